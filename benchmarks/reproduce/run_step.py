"""The last step: the benchmark of Table 2, with the weights that were trained or given."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from duskbench.benchmarks.config import BenchmarkConfig
from duskbench.benchmarks.reproduce.machine import Machine, convolution_gflops, seconds_each
from duskbench.benchmarks.reproduce.steps import Estimate, Reporter, Step, fingerprint_of
from duskbench.benchmarks.runner import RunOptions
from duskbench.data_tools.errors import DataError, DuskbenchError, WeightsError
from duskbench.data_tools.files import file_sha256, listing_sha256
from duskbench.data_tools.images import read_image
from duskbench.pipeline.weights import SEARCH_VARIABLE, search_folders

_ROW_BYTES = 6000  # 200 boxes with score and label, and their share of the file
# Operations of a forward pass for each megapixel, 10^9 with a multiply-add as two, counted with
# torch.utils.flop_counter at 600 x 400. The detector sees 300 x 300 whatever comes.
_GFLOP_A_MEGAPIXEL = {
    "zero_dce": 158.4, "enlightengan": 506.8, "cyclegan": 1512.0, "retinexnet": 663.0, "sci": 0.49,
}  # fmt: skip
_DETECTOR_GFLOP = 72.1  # RFBNet300; SSD300 has 62.7
_SAMPLES_TIMED = 2


@dataclass(frozen=True)
class RunSetting:
    """What the benchmark needs besides its configuration.

    Attributes:
        out: Folder of the results.
        weights: Folders that are searched for weights, in this order, before `$DUSKBENCH_WEIGHTS`.
        device: Torch device.
        checkpoint: Weights of the detector, where the configuration's are not meant.
        limit: Only so many images.
        batch_size: Images that the detector takes at a time.
        workers: Processes; see `RunOptions`.
    """

    out: Path
    weights: tuple[Path, ...] = ()
    device: str = "cpu"
    checkpoint: str | None = None
    limit: int | None = None
    batch_size: int = 1
    workers: int = 0

    def options(self) -> RunOptions:
        """The same for the runner."""
        return RunOptions(
            out=self.out,
            device=self.device,
            checkpoint=self.checkpoint,
            batch_size=self.batch_size,
            workers=self.workers,
            limit=self.limit,
        )


def check_step(
    config: BenchmarkConfig,
    setting: RunSetting,
    extractors: Callable[[], list[dict[str, Any]]],
    enhancers: Sequence[str | dict[str, Any]],
) -> Step:
    """Load all weights that are not made here, and fetch them: what is missing is known before days of work.

    Without the detector and the extractors it cannot go on. Without an enhancer's, its row of the table stays empty.

    Args:
        config: The benchmark.
        setting: See `RunSetting`.
        extractors: Configurations of the frozen feature extractors of all trainings to come.
        enhancers: Those that are not trained here.
    """

    def run(_: str, reporter: Reporter) -> bool:
        from duskbench.pipeline.device import torch_device
        from duskbench.pipeline.networks.build import build_network
        from duskbench.pipeline.registry import load_detector, load_enhancer

        torch_device(setting.device)
        with searched_first(setting.weights):
            if config.detector is not None:
                detector = load_detector(config.detector, setting.checkpoint, device=setting.device)
                reporter.note(f"Detector {detector.name}, fingerprint {detector.fingerprint[:12]}")
            for extractor in extractors():
                build_network(extractor)
                reporter.note(f"Feature extractor {extractor['type']}")
            for spec in enhancers:
                try:
                    load_enhancer(_bare(spec), device=setting.device)
                except (WeightsError, DataError) as error:
                    reporter.note(f"Its row will be empty: {spec}. {error.what}")
        return True

    return Step(
        name="check-weights",
        what="load the detector and all other weights that are not trained here, fetch what is missing",
        inputs=lambda: {
            "detector": repr(config.detector),
            "enhancers": repr(enhancers),
            "checkpoint": str(setting.checkpoint),
            "device": setting.device,
            "extractors": [repr(sorted(extractor.items())) for extractor in extractors()],
            "weights": [str(folder) for folder in setting.weights],
            "code": _code_version(),
        },
        outputs=(),
        run=run,
    )


def run_step(config: BenchmarkConfig, setting: RunSetting, listing: Callable[[], str], machine: Machine) -> Step:
    """Measure, and write the table; rows that are there are not measured again.

    Args:
        config: The benchmark.
        setting: See `RunSetting`.
        listing: Fingerprint of the data set's files.
        machine: For the estimate.
    """
    store = setting.out / "results.sqlite"

    def run(_: str, reporter: Reporter) -> bool:
        from duskbench.benchmarks.results import write_tables
        from duskbench.benchmarks.runner import run as run_benchmark

        with searched_first(setting.weights):
            summary = run_benchmark(config, setting.options(), reporter.run_progress)
        write_tables(setting.out)
        for line in summary.shortfalls():
            reporter.note(line)
        return summary.ok

    return Step(
        name="run",
        what=f"{len(config.enhancers)} enhancers, detector {config.detector or 'none'}; results in {setting.out}",
        inputs=lambda: {
            "config": repr(config),
            "checkpoint": str(setting.checkpoint),
            "limit": setting.limit,
            "files": listing(),
            "weights": _weights_listing(setting.weights),
            "code": _code_version(),
        },
        outputs=(store, setting.out / "table.md"),
        run=run,
        estimate=lambda: _estimate(config, setting, machine),
        begun=lambda _: _rows_there(store),
    )


@contextmanager
def searched_first(folders: Sequence[Path]) -> Iterator[None]:
    """Put folders before those of `$DUSKBENCH_WEIGHTS` for a while; worker processes inherit it."""
    earlier = os.environ.get(SEARCH_VARIABLE)
    there = [str(folder.resolve()) for folder in folders if folder.is_dir()]
    os.environ[SEARCH_VARIABLE] = os.pathsep.join([*there, *([earlier] if earlier else [])])
    try:
        yield
    finally:
        if earlier is None:
            del os.environ[SEARCH_VARIABLE]
        else:
            os.environ[SEARCH_VARIABLE] = earlier


def _weights_listing(folders: Sequence[Path]) -> str:
    return listing_sha256([*folders, *search_folders()])


@cache
def _code_version() -> str:
    """Hash of the sources of all packages: a number may depend on any of them."""
    root = Path(__file__).resolve().parents[2]
    parts = ("benchmarks", "data_tools", "pipeline")
    files = sorted((file.relative_to(root).as_posix(), file) for part in parts for file in (root / part).rglob("*.py"))
    return fingerprint_of({name: file_sha256(file) for name, file in files})


def _rows_there(store: Path) -> str | None:
    """Count stored rows without opening the file for writing; those of a log not yet merged are not seen."""
    if not store.is_file():
        return None
    try:
        database = sqlite3.connect(f"{store.absolute().as_uri()}?immutable=1", uri=True)
        try:
            number = database.execute("SELECT count(*) FROM results WHERE error IS NULL").fetchone()[0]
        finally:
            database.close()
    except sqlite3.DatabaseError:
        return "results are there"
    return f"{number} rows are there" if number else None


def _estimate(config: BenchmarkConfig, setting: RunSetting, machine: Machine) -> Estimate:
    from duskbench.data_tools.datasets import missing, open_dataset

    data = {key: value for key, value in config.data.items() if key not in ("root", "allow_missing", "groups")}
    dataset = open_dataset(config.data["root"], **data)
    images = len(dataset.ids) - len(missing(dataset))
    images = images if setting.limit is None else min(images, setting.limit)
    rate = convolution_gflops(setting.device)
    seconds = _niqe_seconds(machine) * len(config.enhancers) / machine.cores
    for spec in config.enhancers:
        name = str(spec["type"] if isinstance(spec, dict) else spec)
        if name in _GFLOP_A_MEGAPIXEL:
            seconds += _GFLOP_A_MEGAPIXEL[name] * machine.megapixels / rate
        else:
            seconds += _enhancer_seconds(spec, machine) / machine.cores
        seconds += _DETECTOR_GFLOP / rate if config.detector is not None else 0.0
    return Estimate(images * seconds, images * len(config.enhancers) * _ROW_BYTES)


def _niqe_seconds(machine: Machine) -> float:
    from duskbench.benchmarks.metrics.niqe import niqe

    return _seconds_an_image(machine, niqe)


def _bare(spec: str | dict[str, Any]) -> str | dict[str, Any]:
    """A row's specification without what only the table reads."""
    return {k: v for k, v in spec.items() if k not in ("label", "upper_bound")} if isinstance(spec, dict) else spec


def _enhancer_seconds(spec: str | dict[str, Any], machine: Machine) -> float:
    from duskbench.pipeline.registry import load_enhancer

    try:
        return _seconds_an_image(machine, load_enhancer(_bare(spec)))
    except DuskbenchError:
        return 0.0  # it cannot be built, so its row will take no time


def _seconds_an_image(machine: Machine, function: Callable[[Any], object]) -> float:
    """Mean over a few images, after one that warms up."""
    pictures = [read_image(path) for path in machine.sample[: _SAMPLES_TIMED + 1]]
    if not pictures:
        return 0.0
    function(pictures[0])
    return seconds_each(pictures[1:] or pictures, function)
