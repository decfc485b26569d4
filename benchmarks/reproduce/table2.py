"""The plan of Table 2: from ExDark and VOC as released to the printed table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from duskbench.benchmarks.config import BenchmarkConfig, load_benchmark_config
from duskbench.benchmarks.reproduce.data_steps import convert_step, unpaired_counts, unpaired_step, verify_steps
from duskbench.benchmarks.reproduce.locate import ReleasedData, find_released_data
from duskbench.benchmarks.reproduce.machine import Machine
from duskbench.benchmarks.reproduce.run_step import RunSetting, check_step, run_step
from duskbench.benchmarks.reproduce.steps import Step
from duskbench.benchmarks.reproduce.training_steps import Training, settings_of, training_step
from duskbench.data_tools.errors import ConfigError, UnknownNameError
from duskbench.pipeline.weights import search_folders

# What the paper trains on ExDark and VOC: its own method, and the three that it retrains "for the fair comparison".
METHODS = ("guided", "enlightengan", "cyclegan", "zero_dce")


@dataclass(frozen=True)
class Table2Options:
    """What `duskbench table2` was asked for.

    Attributes:
        work: Folder of everything that is made.
        data: See `locate.find_released_data`; likewise `exdark` and `voc`.
        methods: The trained enhancers of the table; the others of `METHODS` are left out of it.
        training: How they are trained; None trains none and takes the weights that ship.
        weights: Folder with weights of the user; a method that has some there is not trained.
        allow_missing: Whether incomplete data sets are meant.
        config: Name or file of the benchmark's configuration.
        detector: Another detector than the configuration's.
        checkpoint: Its weights.
        device: Torch device of the benchmark. Training takes a GPU where there is one.
        limit: Only so many images in the benchmark; data and training stay whole.
        batch_size: Images that the detector takes at a time.
        workers: Processes of the benchmark.
    """

    work: Path
    data: Path | None = None
    exdark: Path | None = None
    voc: Sequence[Path] = ()
    methods: Sequence[str] = METHODS
    training: Training | None = field(default_factory=Training)
    weights: Path | None = None
    allow_missing: bool = False
    config: str | Path = "table2"
    detector: str | None = None
    checkpoint: str | None = None
    device: str = "cpu"
    limit: int | None = None
    batch_size: int = 1
    workers: int = 0


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
    work, training = options.work, options.training
    has_weights = {m: folder for m in options.methods if (folder := _given_weights(m, options.weights)) is not None}
    trained = [] if training is None else [method for method in options.methods if method not in has_weights]
    data = find_released_data(options.data, options.exdark, options.voc, with_voc=bool(trained))
    config, setting = benchmark_of(options, data), _run_setting(options)
    machine = Machine(data.exdark_images, work)
    steps = [
        *verify_steps(data, work, machine, allow_missing=options.allow_missing),
        check_step(
            config,
            setting,
            partial(_extractors, trained, training),
            [spec for spec in config.enhancers if _name(spec) not in trained],
        ),
        convert_step(data, work, machine, allow_missing=options.allow_missing),
    ]
    if training is not None and trained:
        steps.append(unpaired_step(data, work, machine))
        steps += [training_step(method, training, work, partial(unpaired_counts, data)) for method in trained]
    steps.append(run_step(config, setting, lambda: data.exdark_listing, machine))
    return Table2Plan(tuple(steps), setting.out, tuple(_notes(options, has_weights)))


def _run_setting(options: Table2Options) -> RunSetting:
    # What the user has comes first, as it does where it is decided what to train.
    own = [options.work / "weights"] if options.training is not None else []
    return RunSetting(
        out=options.work / "results",
        weights=(*_users_folders(options.weights), *own),
        device=options.device,
        checkpoint=options.checkpoint,
        limit=options.limit,
        batch_size=options.batch_size,
        workers=options.workers,
    )


def benchmark_of(options: Table2Options, data: ReleasedData) -> BenchmarkConfig:
    """The benchmark's configuration on this data, with the enhancers that were asked for.

    Raises:
        ConfigError: The configuration cannot be read.
    """
    overrides = {
        "data.root": str(data.exdark_root),
        "data.layout": "exdark",
        "data.allow_missing": options.allow_missing or None,
        "detector": options.detector,
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


def _users_folders(given: Path | None) -> list[Path]:
    return [*([given] if given is not None else []), *search_folders()]


def _given_weights(method: str, given: Path | None) -> Path | None:
    return next((folder for folder in _users_folders(given) if (folder / f"{method}.safetensors").is_file()), None)


def _extractors(methods: Sequence[str], training: Training | None) -> list[dict[str, Any]]:
    """The frozen extractors that trainings build, each once."""
    found: list[dict[str, Any]] = []
    for method in methods if training is not None else ():
        assert training is not None  # noqa: S101 - the line above
        for extractor in _features_in(settings_of(training.config_of(method), training.cfg_options)["model"]):
            if extractor not in found:
                found.append(extractor)
    return found


def _features_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if str(value.get("type", "")).endswith("Features"):
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _features_in(one)


def _notes(options: Table2Options, has_weights: Mapping[str, Path]) -> Iterator[str]:
    for method, folder in has_weights.items():
        yield f"{method} is not trained: {folder / f'{method}.safetensors'} is there"
    if options.training is None:
        yield "Nothing is trained: the weights that ship learned from other pictures than the paper's"
    elif options.training.schedule == "small":
        yield "The small schedule is for two cores; the paper's numbers need --train paper"
    if options.allow_missing:
        yield "Incomplete data sets are taken as they are: the numbers are not those of the whole sets"
    if options.limit is not None:
        yield f"Only {options.limit} images are measured"
