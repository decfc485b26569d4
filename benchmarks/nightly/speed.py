"""Throughput relative to a calibration workload, so that a slower machine does not look like slower code.

The workload is fixed and timed in turns with the measuring. It has two parts: a 3x3 convolution (what networks do
most) on the run's device, and a two-dimensional FFT in NumPy (what LIME and other classical methods do) on one core.
Timed beside the workers, they are slowed by what slows them: another job on the machine, a throttled clock, a busy
memory bus. A machine of another balance slows one part more than the other, so an enhancer counts as slower only where
neither of them explains it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duskbench.benchmarks.compare import EnhancerComparison
from duskbench.benchmarks.nightly.night import Calibration, GateFinding
from duskbench.benchmarks.progress import RunProgress
from duskbench.benchmarks.record import RunRecord
from duskbench.benchmarks.statistics import Interval
from duskbench.data_tools.progress import SILENT, Progress

if TYPE_CHECKING:
    from duskbench.benchmarks.runner import RunSummary

# So much of one core at most goes into the workload.
_SHARE = 0.08
_LEAST_SAMPLES = 10
_Z = 1.959963984540054
# As many as a process that measures has, see `benchmarks.executors`.
_THREADS = 1
_CHANNELS = 32
_SIDE = {"cpu": 128, "cuda": 2048}
_FFT_SIDE = 256
# Fewer images say nothing about a median.
LEAST_IMAGES = 20
# A tenth of a millisecond that doubles is a timer's and a cache's matter.
_LEAST_SLOWDOWN_MS = 1.0
_STAGES = ("decode", "detect", "metrics")


class CalibrationWorkload(RunProgress):
    """Times the workload between rows: it is a run's progress, which hears of each row, and passes that on.

    Args:
        device: Torch device of the run.
        workers: Processes of the run.
        progress: What shows the run meanwhile.
    """

    def __init__(self, device: str, workers: int, progress: Progress = SILENT) -> None:
        super().__init__(progress)
        self.workers = workers
        self._parts: dict[str, Callable[[], object]] = {}
        self._device = device
        self._seconds: list[tuple[float, ...]] = []
        self._next = 0.0

    def planned(self, summary: RunSummary) -> None:
        """Warm up, unless nothing is left to measure."""
        super().planned(summary)
        if summary.reused < summary.total:
            self._parts = {"convolution": convolution(self._device), "FFT": fft()}
            self.sample()
            self._seconds.clear()

    def measured(self, summary: RunSummary) -> None:
        """Take a sample if the last one is long enough ago."""
        super().measured(summary)
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

    def result(self) -> Calibration:
        """Of all samples."""
        parts: dict[str, Interval] = {}
        if len(self._seconds) >= _LEAST_SAMPLES:
            columns = 1000 * np.array(self._seconds).T
            parts = {name: median_interval(column) for name, column in zip(self._parts, columns, strict=True)}
        return Calibration(parts, len(self._seconds), self.workers, _THREADS)


def median_interval(values: np.ndarray) -> Interval:
    """Median with its 95 % interval from order statistics, which assumes nothing of the distribution.

    Source: Conover, Practical Nonparametric Statistics (3rd ed. 1999), section 3.2.
    """
    ordered = np.sort(values)
    n = len(ordered)
    margin = _Z * math.sqrt(n) / 2
    low, high = max(0, math.floor(n / 2 - margin)), min(n - 1, math.ceil(n / 2 + margin))
    return Interval(float(np.median(ordered)), float(ordered[low]), float(ordered[high]))


def convolution(device: str) -> Callable[[], object]:
    """One 3x3 convolution on random numbers; the callable returns when the device is done."""
    import torch

    is_cuda = device.startswith("cuda")
    side = _SIDE["cuda" if is_cuda else "cpu"]
    generator = torch.Generator().manual_seed(0)
    batch = torch.rand(1, _CHANNELS, side, side, generator=generator).to(device)
    weight = torch.rand(_CHANNELS, _CHANNELS, 3, 3, generator=generator).to(device)
    if not is_cuda:
        torch.set_num_threads(_THREADS)

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


@dataclass(frozen=True)
class CostChange:
    """How a stage's throughput changed.

    Attributes:
        ratio: Tonight's throughput over the baseline's, each relative to its calibration workload; 1 is no change. The
            interval holds those of the median over images and of the calibration workloads.
        slower_ms: Median milliseconds an image takes longer than the baseline would on tonight's machine.
        n_images: Images that were timed in both nights.
    """

    ratio: Interval
    slower_ms: float
    n_images: int


def cost_change(
    now_ms: np.ndarray | None, before_ms: np.ndarray | None, now: Calibration, before: Calibration
) -> CostChange | str:
    """Compare the times of a stage in two nights, or say why they cannot be compared.

    Args:
        now_ms: (N,) milliseconds, NaN where tonight's machine did not measure the image.
        before_ms: Of the baseline.
        now: Tonight's calibration workload.
        before: The baseline's.
    """
    if now_ms is None or before_ms is None or len(now_ms) != len(before_ms):
        return "there are no times to compare"
    if not now.parts or not before.parts:
        return f"the calibration workload was timed too few times {'in the baseline' if now.parts else 'tonight'}"
    if (now.workers, now.threads) != (before.workers, before.threads):
        shape = "{} processes with {} threads"
        became, was = (shape.format(each.workers, each.threads) for each in (now, before))
        return f"measured by {became}, the baseline by {was}"
    both = (now_ms > 0) & (before_ms > 0)
    if both.sum() < LEAST_IMAGES:
        return f"{int(both.sum())} images were timed in both nights, fewer than {LEAST_IMAGES}"
    if not now.parts.keys() & before.parts.keys():
        was, became = (" and ".join(each.parts) for each in (before, now))
        return f"the calibration workload is {became}, in the baseline {was}"
    machine = _machine_change(now, before)
    share = median_interval(before_ms[both] / now_ms[both])
    ratio = Interval(share.value * machine.value, *_ends(share, machine))
    slower_ms = float(np.median(now_ms[both] - machine.value * before_ms[both]))
    return CostChange(ratio, slower_ms, int(both.sum()))


def _machine_change(now: Calibration, before: Calibration) -> Interval:
    """How much longer the machine takes than the baseline's, by the part that says the most, with its interval."""
    changes = [_quotient(now.parts[name], before.parts[name]) for name in now.parts if name in before.parts]
    return max(changes, key=lambda change: change.value)


def _quotient(a: Interval, b: Interval) -> Interval:
    (a_low, a_high), (b_low, b_high) = ((each.low or each.value, each.high or each.value) for each in (a, b))
    return Interval(a.value / b.value, a_low / b_high, a_high / b_low)


def _ends(a: Interval, b: Interval) -> tuple[float, float]:
    """Of a product of positive numbers."""
    return (a.low or a.value) * (b.low or b.value), (a.high or a.value) * (b.high or b.value)


def throughput_finding(subject: str, change: CostChange | str, limit: float, why: str = "") -> GateFinding:
    """Red where the throughput fell below `limit` of the baseline's, its whole interval with it."""
    if isinstance(change, str):
        return GateFinding(subject, "throughput", "not gated", change)
    ratio = change.ratio
    seen = f"{ratio.value:.2f} of the baseline's [{ratio.low:.2f}, {ratio.high:.2f}], at least {limit:g} wanted"
    slow = ratio.high is not None and ratio.high < limit
    if not slow:
        return GateFinding(subject, "throughput", "passed", seen, ratio)
    if change.slower_ms < _LEAST_SLOWDOWN_MS:
        ending = f", but it is {change.slower_ms:.2f} ms an image"
        return GateFinding(subject, "throughput", "passed", seen + ending, ratio)
    cost = f"{change.slower_ms:.1f} ms an image slower than the calibration workload explains"
    return GateFinding(subject, "throughput", "failed", f"{seen}; {cost}" + (f"; {why}" if why else ""), ratio)


def stage_findings(
    enhancers: Sequence[EnhancerComparison],
    records: tuple[RunRecord, RunRecord],
    calibrations: tuple[Calibration, Calibration],
    limit: float,
    why: str = "",
) -> list[GateFinding]:
    """Throughput of the stages that all enhancers share: decoding, the detectors, the metrics.

    Args:
        enhancers: Those that both nights have.
        records: Of the baseline and of tonight.
        calibrations: Likewise.
        limit: Least share of the baseline's throughput.
        why: What changed since.
    """
    findings = []
    for stage in _STAGES:
        before, now = (_parts(record, stage) for record in records)
        change: CostChange | str = (
            f"tonight it is {', '.join(now) or 'nothing'}, in the baseline {', '.join(before) or 'nothing'}"
        )
        if now == before:
            theirs = _mean_times([one.before.ms for one in enhancers], stage)
            ours = _mean_times([one.after.ms for one in enhancers], stage)
            change = cost_change(ours, theirs, calibrations[1], calibrations[0])
        findings.append(throughput_finding(stage, change, limit, why))
    return findings


def _parts(record: RunRecord, stage: str) -> list[str]:
    """What a stage consists of, where that depends on the run."""
    if stage == "detect":
        return sorted(detector.label for detector in record.detectors)
    if stage == "metrics":
        return sorted(metric.heading for metric in record.metrics if metric.kind == "image")
    return []


def _mean_times(times: Sequence[Mapping[str, np.ndarray]], stage: str) -> np.ndarray | None:
    """Mean over enhancers, of the images that all of them have."""
    columns = [column[stage] for column in times if stage in column]
    return np.mean(columns, axis=0) if columns else None
