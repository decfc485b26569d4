"""What the steps will take, from a few images and a few training steps that are timed; nothing is kept of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from duskbench.benchmarks.config import BenchmarkConfig
from duskbench.benchmarks.executors.choice import default_workers
from duskbench.benchmarks.images import evenly
from duskbench.benchmarks.progress import RunProgress
from duskbench.benchmarks.provenance import available_cores
from duskbench.benchmarks.reproduce.steps import Estimate
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.benchmarks.runner import RunSummary, run
from duskbench.data_tools.download import OFFLINE_VARIABLE
from duskbench.data_tools.environment import variable_set
from duskbench.data_tools.errors import DataError, DuskbenchError
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.images import read_image

_IMAGES_READ = 8
_IMAGES_MEASURED = 3
_TRAINING_SECONDS = 3.0  # training steps are timed for so long, one at least
_BLOCK = 4096  # a small file takes a block of the file system
_MANIFEST_ROW = 420  # bytes an image in the unpaired set's manifest.json
_ROW_BYTES = 6000  # 200 boxes with score and label, and their share of the file
# A checkpoint has the weights and Adam's two moments, in four bytes each; two are kept while a third is written.
_CHECKPOINT_BYTES_A_PARAMETER = 3 * 3 * 4


@dataclass
class ImageTimes:
    """A few of a data set's images, timed when they are first asked for.

    Args:
        images: Its image files that are there.
        work: Where files will be written.
    """

    images: Sequence[Path]
    work: Path

    @cached_property
    def _few(self) -> list[Path]:
        return evenly(self.images, _IMAGES_READ)

    @cached_property
    def _read(self) -> list[tuple[float, float]]:
        """Seconds to read, hash and decode an image, and its pixels, for each that can be."""
        found = []
        for path in self._few:
            start = time.perf_counter()
            try:
                file_sha256(path)
                height, width = read_image(path).shape[:2]
            except (OSError, DataError):
                continue  # verifying will say so
            found.append((time.perf_counter() - start, float(height * width)))
        return found

    @property
    def pixels(self) -> float:
        """Of an image, on average."""
        return fmean(pixels for _, pixels in self._read) if self._read else 0.0

    def to_read(self, images: int) -> Estimate:
        """Reading, hashing and decoding so many images on all cores; the disk takes a report."""
        seconds = fmean(seconds for seconds, _ in self._read) if self._read else 0.0
        return Estimate(images * seconds / available_cores(), _BLOCK)

    def to_collect(self, images: int) -> Estimate:
        """The same, with the images put into a training set: linked, or copied to another file system."""
        can_link = bool(self._few) and self._few[0].stat().st_dev == nearest_folder(self.work).stat().st_dev
        copied = 0.0 if can_link or not self._few else fmean(path.stat().st_size for path in self._few)
        return Estimate(self.to_read(images).seconds, images * (_MANIFEST_ROW + copied))


@dataclass(frozen=True)
class TrainingTimes:
    """Of one training configuration on this machine.

    Attributes:
        step: Seconds of an optimisation step, without loading its images.
        enhance_pixel: Seconds that the network which it trains takes for a pixel.
        parameters: Numbers trained.
        batch_size: Crops a step.
    """

    step: float
    enhance_pixel: float
    parameters: int
    batch_size: int

    def estimate(self, steps: int) -> Estimate:
        """So many steps."""
        return Estimate(steps * self.step, self.parameters * _CHECKPOINT_BYTES_A_PARAMETER)


def time_training(config: str | Path, cfg_options: Mapping[str, Any] | None = None) -> TrainingTimes:
    """Time a few steps of a training configuration on random crops, on a GPU if there is one.

    Args:
        config: A file of `configs/training`.
        cfg_options: See `duskbench.pipeline.training.enhancer.train`.

    Raises:
        ConfigError: The configuration cannot be read.
    """
    import torch
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import MODELS

    from duskbench.pipeline.training.enhancer import prepare

    loaded = prepare(config, cfg_options)
    crop, number = loaded.train_dataloader.dataset.crop, loaded.train_dataloader.batch_size
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.random.fork_rng():
        model = MODELS.build(without_downloads(loaded.model.to_dict())).to(device).train()
        if loaded.get("channels_last"):
            model.to(memory_format=torch.channels_last)
        optimizers = build_optim_wrapper(model, loaded.optim_wrapper)
        batch: dict[str, Any] = {
            name: torch.randint(256, (number, 3, crop, crop), dtype=torch.uint8) for name in ("low", "normal")
        }
        batch["seed"] = torch.arange(number)
        step = _seconds(lambda: model.train_step(batch, optimizers), device)
        low = torch.rand(1, 3, crop, crop, device=device)
        with torch.inference_mode():
            enhance = _seconds(lambda: model.exported[0].eval()(low), device)
    parameters = sum(one.numel() for one in model.parameters() if one.requires_grad)
    return TrainingTimes(step, enhance / crop**2, parameters, number)


def _seconds(call: Callable[[], object], device: str) -> float:
    """Of a call, what it left to the GPU included: the fastest of those that `_TRAINING_SECONDS` have room for."""
    import torch

    taken: list[float] = []
    while sum(taken) < _TRAINING_SECONDS:
        start = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return min(taken)


def without_downloads(model: Mapping[str, Any]) -> dict[str, Any]:
    """The same configuration of a model with random weights for VGG-16, at any depth."""
    changed = {key: without_downloads(value) if isinstance(value, Mapping) else value for key, value in model.items()}
    return {**changed, "weights": "random"} if model.get("type") == "VGG16Features" else changed


def time_benchmark(config: BenchmarkConfig, options: RunOptions) -> float | None:
    """Seconds that enhancers, detectors and metrics take for an image, from a few that are measured in one process.

    They are divided by the number of processes of the whole run. An enhancer without weights counts as the others do on
    average. None where nothing can be measured, as while the detector has no weights: none are downloaded.
    """
    clock = _Clock()
    limit = min(_IMAGES_MEASURED, options.limit or _IMAGES_MEASURED)
    with tempfile.TemporaryDirectory() as out, variable_set(OFFLINE_VARIABLE, "1"):
        few = replace(options, out=Path(out), limit=limit, workers=1, cluster=None, keep_broken=True)
        try:
            run(config, few, clock)
        except DuskbenchError:
            return None
    if not clock.ends:
        return None
    # How many a cluster has room for only the run finds out.
    processes = options.workers or (default_workers(options.device) if options.cluster is None else 1)
    return clock.seconds_a_row() * len(config.enhancers) / processes


class _Clock(RunProgress):
    """Times the rows of a run."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def planned(self, summary: RunSummary) -> None:
        """Start."""
        self._start = time.perf_counter()

    def measured(self, summary: RunSummary) -> None:
        """One more row is through."""
        self.ends.append(time.perf_counter())

    def seconds_a_row(self) -> float:
        """Without the first image's rows, for which enhancers and detectors are loaded."""
        first = len(self.ends) // _IMAGES_MEASURED
        start = self.ends[first - 1] if first else self._start
        return (self.ends[-1] - start) / (len(self.ends) - first)


def to_benchmark(images: int, seconds_an_image: float | None, enhancers: int) -> Estimate:
    """Measuring so many images."""
    seconds = None if seconds_an_image is None else images * seconds_an_image
    return Estimate(seconds, images * enhancers * _ROW_BYTES)


def nearest_folder(path: Path) -> Path:
    """The path itself or the nearest folder above it that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())
