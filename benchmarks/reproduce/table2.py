"""Table 2 from ExDark and VOC as released: verify, build the training set, train, run, print."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from duskbench.benchmarks.config import BenchmarkConfig, load_benchmark_config
from duskbench.benchmarks.descriptions import Known
from duskbench.benchmarks.plan import plan_detectors, plan_enhancers
from duskbench.benchmarks.progress import RunProgress
from duskbench.benchmarks.reproduce.data import unpaired_counts, unpaired_step, verify_steps
from duskbench.benchmarks.reproduce.estimates import ImageTimes, time_benchmark, to_benchmark
from duskbench.benchmarks.reproduce.steps import Estimate, Step, fingerprint_of
from duskbench.benchmarks.reproduce.training import Training, training_step
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.benchmarks.store import RESULTS
from duskbench.data_tools.environment import variable_set
from duskbench.data_tools.errors import ConfigError, UnknownNameError
from duskbench.data_tools.file_states import states_sha256
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.progress import Progress
from duskbench.data_tools.released import ReleasedData, find_released_data
from duskbench.pipeline.weights import SEARCH_VARIABLE, search_folders

# What the paper trains on ExDark and VOC: its own method, and the three that it retrains "for the fair comparison".
METHODS = ("guided", "enlightengan", "cyclegan", "zero_dce")


@dataclass(frozen=True)
class Table2Options:
    """What `duskbench table2` was asked for.

    Attributes:
        work: Folder of everything that is made.
        run: How the benchmark is run. Training takes a GPU if there is one, whatever the device.
        data: See `released.find_released_data`; likewise `exdark` and `voc`.
        methods: The trained enhancers of the table; the others of `METHODS` are left out of it.
        training: How they are trained; None trains none and takes the weights that ship.
        weights: Folder with weights of the user; a method that has some there is not trained.
        allow_missing: Whether incomplete data sets are meant.
        config: Name or file of the benchmark's configuration.
        detectors: Other detectors than the configuration's.
    """

    work: Path
    run: RunOptions
    data: Path | None = None
    exdark: Path | None = None
    voc: Sequence[Path] = ()
    methods: Sequence[str] = METHODS
    training: Training | None = field(default_factory=Training)
    weights: Path | None = None
    allow_missing: bool = False
    config: str | Path = "table2"
    detectors: Sequence[str] = ()

    @property
    def users_weights(self) -> list[Path]:
        """Folders of weights that the user has, in the order they are searched."""
        return [*([self.weights] if self.weights is not None else []), *search_folders()]

    @property
    def searched(self) -> list[Path]:
        """All folders of weights. What the user has comes first, as it does where it is decided what to train."""
        return [*self.users_weights, *([self.work / "weights"] if self.training is not None else [])]


@dataclass(frozen=True)
class Table2Plan:
    """The steps in order, where the results will be, and what else the user should know before."""

    steps: tuple[Step, ...]
    results: Path
    notes: tuple[str, ...]


def plan_table2(options: Table2Options) -> Table2Plan:
    """Make the plan; nothing is written and no image is opened.

    Raises:
        ConfigError: A method, the configuration or a training configuration is wrong.
        DataError: A data set is not there.
    """
    _check_methods(options.methods)
    given = {method: file for method in options.methods if (file := _given_weights(method, options)) is not None}
    training = options.training
    trained = [] if training is None else [method for method in options.methods if method not in given]
    data = find_released_data(options.data, options.exdark, options.voc, with_voc=bool(trained))
    config, sample = benchmark_of(options, data), ImageTimes(data.exdark.images, options.work)
    steps = [
        *verify_steps(data, options.work, sample, allow_missing=options.allow_missing),
        _check_step(config, options, trained),
    ]
    if training is not None and trained:
        counts = partial(unpaired_counts, data)
        steps.append(unpaired_step(data, options.work, sample))
        steps += [training_step(method, training, options.work, counts) for method in trained]
    steps.append(_run_step(config, options, trained, data, sample))
    return Table2Plan(tuple(steps), options.run.out, tuple(_notes(options, given)))


def benchmark_of(options: Table2Options, data: ReleasedData) -> BenchmarkConfig:
    """The benchmark's configuration on this data, with the enhancers that were asked for.

    Raises:
        ConfigError: The configuration cannot be read.
    """
    overrides = {
        "data.root": str(data.exdark.root),
        "data.layout": "exdark",
        "data.allow_missing": options.allow_missing or None,
        "detector": list(options.detectors) or None,
    }
    config = load_benchmark_config(options.config, overrides=overrides)
    left_out = set(METHODS) - set(options.methods)
    enhancers = [spec for spec in config.enhancers if _name(spec) not in left_out]
    return load_benchmark_config(options.config, overrides={**overrides, "enhancers": enhancers})


def _check_methods(methods: Sequence[str]) -> None:
    for method in methods:
        if method not in METHODS:
            raise UnknownNameError("method", method, METHODS, where="--methods")
    if len(set(methods)) != len(methods):
        raise ConfigError("A method is named twice.", where="--methods", got=", ".join(methods))


def _name(spec: str | Mapping[str, Any]) -> str:
    return str(spec.get("type") if isinstance(spec, Mapping) else spec).partition("(")[0]


def _given_weights(method: str, options: Table2Options) -> Path | None:
    files = [folder / f"{method}.safetensors" for folder in options.users_weights]
    return next((file for file in files if file.is_file()), None)


def _notes(options: Table2Options, given: Mapping[str, Path]) -> Iterator[str]:
    for method, file in given.items():
        yield f"{method} is not trained: {file} is there"
    if options.training is None:
        yield "Nothing is trained: the weights that ship learned from other pictures than the paper's"
    elif options.training.schedule == "small":
        yield "The small schedule is for two cores; the paper's numbers need --train paper"
    if options.allow_missing:
        yield "Incomplete data sets are taken as they are: the numbers are not those of the whole sets"
    if options.run.limit is not None:
        yield f"Only {options.run.limit} images are measured"


def _check_step(config: BenchmarkConfig, options: Table2Options, trained: Sequence[str]) -> Step:
    """Load all weights that are not made here, and fetch them: what is missing is known before days of work.

    Without the detector and the extractors of trainings it cannot go on. Without an enhancer's, its row stays empty.
    """
    enhancers = tuple(spec for spec in config.enhancers if _name(spec) not in trained)

    def extractors() -> list[dict[str, Any]]:
        return [] if options.training is None else options.training.extractors_of(trained)

    def run(progress: Progress) -> bool:
        from duskbench.pipeline.networks.build import build_network

        device, known = options.run.device, Known(options.run.out / RESULTS)
        with searched_first(options.searched):
            for detector in plan_detectors(config, options.run.checkpoint, device, known):
                progress.message(f"Detector {detector.label}, fingerprint {detector.fingerprint[:12]}")
            for extractor in extractors():
                build_network(extractor)
                progress.message(f"Feature extractor {extractor['type']}")
            for enhancer in plan_enhancers(replace(config, enhancers=enhancers), device, known):
                if enhancer.error is not None:
                    progress.message(f"The row of {enhancer.label} will be empty: {enhancer.error}", warning=True)
        return True

    return Step(
        name="check-weights",
        what="load the detector and all other weights that are not trained here, fetch what is missing",
        inputs=lambda: {
            "detectors": repr(config.detectors),
            "enhancers": repr(enhancers),
            "checkpoint": str(options.run.checkpoint),
            "device": options.run.device,
            "extractors": [repr(sorted(extractor.items())) for extractor in extractors()],
            "weights": [str(folder) for folder in options.searched],
            "code": _code_version(),
        },
        outputs=(),
        run=run,
    )


def _run_step(
    config: BenchmarkConfig, options: Table2Options, trained: Sequence[str], data: ReleasedData, sample: ImageTimes
) -> Step:
    """Measure, and write the table; rows that are there are not measured again."""
    out = options.run.out

    def run(progress: Progress) -> bool:
        from duskbench.benchmarks.results import write_tables
        from duskbench.benchmarks.runner import run as run_benchmark

        with searched_first(options.searched):
            summary = run_benchmark(config, options.run, RunProgress(progress))
        write_tables(out, record=summary.record)
        for line in (*summary.warnings, *summary.shortfalls()):
            progress.message(line, warning=True)
        return summary.ok

    def estimate() -> Estimate:
        from duskbench.benchmarks.images import open_images
        from duskbench.data_tools.datasets import missing

        dataset = open_images(config)
        images = len(dataset.ids) - len(missing(dataset))
        with searched_first(options.searched):
            seconds = time_benchmark(config, options.run)
        if seconds is not None and options.training is not None:
            # What ships for them is smaller than what is trained.
            seconds += sum(options.training.times_of(method).enhance_pixel for method in trained) * sample.pixels
        return to_benchmark(min(images, options.run.limit or images), seconds, len(config.enhancers))

    return Step(
        name="run",
        what=f"{len(config.enhancers)} enhancers, {len(config.detectors)} detectors; results in {out}",
        inputs=lambda: {
            "config": repr(config),
            "checkpoint": str(options.run.checkpoint),
            "limit": options.run.limit,
            "files": data.exdark.listing,
            "weights": states_sha256(options.searched),
            "code": _code_version(),
        },
        outputs=(out / RESULTS, out / "table.md"),
        run=run,
        estimate=estimate,
        started=(out / RESULTS).is_file,
    )


def searched_first(folders: Sequence[Path]) -> AbstractContextManager[None]:
    """Search these folders for weights, and no others, for a while; worker processes inherit it."""
    existing = (str(folder.resolve()) for folder in folders if folder.is_dir())
    return variable_set(SEARCH_VARIABLE, os.pathsep.join(existing))


@cache
def _code_version() -> str:
    """Hash of the sources of all packages: a number may depend on any of them."""
    root = Path(__file__).resolve().parents[2]
    parts = ("benchmarks", "data_tools", "pipeline")
    files = sorted((file.relative_to(root).as_posix(), file) for part in parts for file in (root / part).rglob("*.py"))
    return fingerprint_of({name: file_sha256(file) for name, file in files})
