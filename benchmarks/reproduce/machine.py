"""What this machine can do, measured in about two seconds, for estimates."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from statistics import fmean
from typing import TypeVar

from duskbench.benchmarks.provenance import available_cores
from duskbench.data_tools.errors import DataError

Item = TypeVar("Item")

_SAMPLES = 8
_CONVOLUTION_S = 0.7
# Two cores or a GPU reach this with 64 channels, the usual width of the networks here.
_CHANNELS, _SIDE = 64, 256


@dataclass
class Machine:
    """Measures when it is asked, once; holds for images like the ones it is given.

    Args:
        images: Image files that are there; a few of them, evenly spread, are looked at.
        work: Where files will be written.
    """

    images: Sequence[Path]
    work: Path

    @cached_property
    def cores(self) -> int:
        """Cores this process may use."""
        return available_cores()

    @cached_property
    def sample(self) -> list[Path]:
        """A few of the images."""
        return [self.images[place * len(self.images) // _SAMPLES] for place in range(_SAMPLES if self.images else 0)]

    @cached_property
    def image_bytes(self) -> float:
        """Mean size of an image file."""
        return fmean(path.stat().st_size for path in self.sample) if self.sample else 0.0

    @cached_property
    def _decoded(self) -> tuple[float, float]:
        """Seconds to read, hash and decode an image on one core, and megapixels."""
        from duskbench.data_tools.files import file_sha256
        from duskbench.data_tools.images import read_image

        seconds, megapixels = [], []
        for path in self.sample:
            try:
                start = time.perf_counter()
                file_sha256(path)
                height, width = read_image(path).shape[:2]
            except DataError:
                continue  # verifying will say so
            seconds.append(time.perf_counter() - start)
            megapixels.append(height * width / 1e6)
        return (fmean(seconds), fmean(megapixels)) if seconds else (0.0, 0.0)

    @property
    def decode_s(self) -> float:
        """Seconds to read, hash and decode an image on one core."""
        return self._decoded[0]

    @property
    def megapixels(self) -> float:
        """Mean size of an image."""
        return self._decoded[1]

    @cached_property
    def read_s(self) -> float:
        """Seconds to read an image file, hash it, and write a small file."""
        from duskbench.data_tools.files import file_sha256

        return seconds_each(self.sample, file_sha256) + 0.002

    @cached_property
    def can_link(self) -> bool:
        """Whether images can be hard-linked into the work folder: it is on their file system."""
        return bool(self.sample) and self.sample[0].stat().st_dev == nearest_folder(self.work).stat().st_dev


@cache
def convolution_gflops(device: str) -> float:
    """Billions of floating-point operations a second of a 3x3 convolution on a device, with all threads.

    A multiply-add counts twice, as in torch's FLOP counter.
    """
    probe, gflop = convolution_probe(device)
    probe()
    done, elapsed, start = 0, 0.0, time.perf_counter()
    while elapsed < _CONVOLUTION_S:
        probe()
        done, elapsed = done + 1, time.perf_counter() - start
    return gflop * done / elapsed


def convolution_probe(device: str) -> tuple[Callable[[], object], float]:
    """The 3x3 convolution that tells what a device can do: a call that waits for it, and its billions of operations."""
    import torch

    layer = torch.nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1, bias=False)
    layer = layer.to(device).to(memory_format=torch.channels_last)
    batch = torch.rand(1, _CHANNELS, _SIDE, _SIDE, device=device).contiguous(memory_format=torch.channels_last)

    def convolve() -> None:
        with torch.inference_mode():
            layer(batch)
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)

    return convolve, 2 * 9 * _CHANNELS**2 * _SIDE**2 / 1e9


def seconds_each(items: Sequence[Item], function: Callable[[Item], object]) -> float:
    """Mean seconds of a function over items; 0 where there is none."""
    start = time.perf_counter()
    for item in items:
        function(item)
    return (time.perf_counter() - start) / max(1, len(items))


def nearest_folder(path: Path) -> Path:
    """The path itself or the nearest folder above it that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())
