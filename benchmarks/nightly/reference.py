"""A fixed workload, timed in turns with the measuring, so that a slower machine does not look like slower code.

Two parts: a 3x3 convolution (what networks do most) on the run's device, and a two-dimensional FFT in NumPy (what LIME
and other classical methods do) on one core. Timed beside the workers, they are slowed by what slows them: another job
on the machine, a throttled clock, a busy memory bus. A machine of another balance slows one part more than the other,
so an enhancer counts as slower only where neither of them explains it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from duskbench.benchmarks.nightly.night import Reference
from duskbench.benchmarks.progress import RunProgress
from duskbench.benchmarks.statistics import Interval

if TYPE_CHECKING:
    from duskbench.benchmarks.runner import RunSummary

# So much of one core at most goes into it.
_SHARE = 0.08
_LEAST_SAMPLES = 10
_Z = 1.959963984540054
_CHANNELS = 32
_SIDE = {"cpu": 128, "cuda": 2048}
_FFT_SIDE = 256


class ReferenceWorkload(RunProgress):
    """Times the workload between rows; as a run's progress it is told when there is one, and tells the next.

    Args:
        device: Torch device of the run.
        workers: Processes of the run.
        threads: Torch threads of each.
        progress: What is to be told besides.
    """

    def __init__(self, device: str, workers: int, threads: int, progress: RunProgress | None = None) -> None:
        self.workers, self.threads = workers, threads
        self._parts: dict[str, Callable[[], object]] = {}
        self._device = device
        self._seconds: list[tuple[float, ...]] = []
        self._inner = progress or RunProgress()
        self._next = 0.0

    def reading(self, done: int, total: int) -> None:
        """Pass on."""
        self._inner.reading(done, total)

    def planned(self, summary: RunSummary) -> None:
        """Warm up, unless nothing is left to measure."""
        self._inner.planned(summary)
        if summary.reused < summary.total:
            self._parts = {"convolution": convolution(self._device, self.threads), "FFT": fft()}
            self.sample()
            self._seconds.clear()

    def measured(self, summary: RunSummary) -> None:
        """Take a sample if the last one is long enough ago."""
        self._inner.measured(summary)
        if time.perf_counter() >= self._next:
            self.sample()

    def sample(self) -> None:
        """Time both parts once."""
        taken = []
        for part in self._parts.values():
            start = time.perf_counter()
            part()
            taken.append(time.perf_counter() - start)
        self._seconds.append(tuple(taken))
        self._next = time.perf_counter() + sum(taken) / _SHARE

    def result(self) -> Reference:
        """Of all samples."""
        parts: dict[str, Interval] = {}
        if len(self._seconds) >= _LEAST_SAMPLES:
            columns = 1000 * np.array(self._seconds).T
            parts = {name: median_interval(column) for name, column in zip(self._parts, columns, strict=True)}
        return Reference(parts, len(self._seconds), self.workers, self.threads)


def median_interval(values: np.ndarray) -> Interval:
    """Median with its 95 % interval from order statistics, which assumes nothing of the distribution.

    Source: Conover, Practical Nonparametric Statistics (3rd ed. 1999), section 3.2.
    """
    ordered = np.sort(values)
    n = len(ordered)
    margin = _Z * math.sqrt(n) / 2
    low, high = max(0, math.floor(n / 2 - margin)), min(n - 1, math.ceil(n / 2 + margin))
    return Interval(float(np.median(ordered)), float(ordered[low]), float(ordered[high]))


def convolution(device: str, threads: int) -> Callable[[], object]:
    """One 3x3 convolution on random numbers; the callable returns when the device is done."""
    import torch

    is_cuda = device.startswith("cuda")
    side = _SIDE["cuda" if is_cuda else "cpu"]
    generator = torch.Generator().manual_seed(0)
    batch = torch.rand(1, _CHANNELS, side, side, generator=generator).to(device)
    weight = torch.rand(_CHANNELS, _CHANNELS, 3, 3, generator=generator).to(device)
    if not is_cuda:
        # In this process the run either measures with so many threads itself, or leaves the work to workers.
        torch.set_num_threads(threads)

    def run() -> None:
        with torch.inference_mode():
            torch.nn.functional.conv2d(batch, weight, padding=1)
            if is_cuda:
                torch.cuda.synchronize(device)

    return run


def fft() -> Callable[[], object]:
    """One FFT there and back of a square of random numbers, float64."""
    square = np.random.default_rng(0).random((_FFT_SIDE, _FFT_SIDE))
    return lambda: np.fft.ifft2(np.fft.fft2(square))
