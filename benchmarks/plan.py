"""What a run will do: which enhancers, detectors and metrics; `images` says with which images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from duskbench.benchmarks.config import BenchmarkConfig
from duskbench.benchmarks.costs import Costs, measure_costs
from duskbench.benchmarks.descriptions import Known
from duskbench.benchmarks.metrics.base import ImageMetric
from duskbench.benchmarks.metrics.registry import DEFAULT_METRICS, load_metric, metric_entry
from duskbench.benchmarks.record import DetectorEntry, DetectorTraining, EnhancerEntry, MetricEntry
from duskbench.data_tools.classes import match_classes
from duskbench.data_tools.errors import ConfigError, DataError, DuskbenchError, WeightsError
from duskbench.data_tools.ids import shown
from duskbench.data_tools.records import Dataset
from duskbench.data_tools.specs import split_spec
from duskbench.pipeline.enhancers.folder import Folder
from duskbench.pipeline.registry import ENHANCERS, load_detector, load_enhancer

Spec = str | dict[str, Any]


def plan_enhancers(
    config: BenchmarkConfig, device: str, known: Known, dataset: Dataset | None = None, *, keep_broken: bool = False
) -> list[EnhancerEntry]:
    """Find out what every enhancer is, so that a wrong name stops the run before it starts.

    Weights that cannot be had do not, nor a folder with one file for several images: that enhancer's row says so and
    the others stand. With `keep_broken` that holds for whatever keeps an enhancer from being built.

    Args:
        config: What to measure.
        device: Torch device.
        known: What was found out before, so that nothing need be built where nothing changed.
        dataset: Whose images folders of enhanced images are of.
        keep_broken: See above.

    Raises:
        ConfigError: A name or an argument is wrong, or two rows have the same label.
    """
    planned: list[EnhancerEntry] = []
    for spec in config.enhancers:
        bare, row, bound = _split_label(spec)
        row = row or _default_label(bare, taken={p.row for p in planned})
        several = trainings_of(bare)
        labels = [f"{row}, training {number}" for number in range(1, len(several) + 1)] if several else [row]
        taken = {label for p in planned for label in (p.label, p.row)}
        same = next((label for label in (row, *labels) if label in taken), None)
        if same is not None:
            raise _same_label("enhancers", same, config.name)
        entries = [
            _plan_enhancer(each, label, device, known, dataset, keep_broken)
            for each, label in zip(several or [bare], labels, strict=True)
        ]
        _check_different(row, entries, config.name)
        planned += [replace(entry, upper_bound=bound, method=row if several else None) for entry in entries]
    return planned


def trainings_of(spec: Spec) -> list[Spec]:
    """The specifications of the trainings that `guided(weights=[a, b, c])` means; none where there is no such list."""
    target, arguments = split_spec(spec, "enhancer")
    files = arguments.get("weights")
    # A plug-in's weights may be numbers.
    if not isinstance(files, list | tuple) or not all(isinstance(each, str | Path) for each in files):
        return []
    return [{"type": target, **arguments, "weights": str(each)} for each in files]


def _plan_enhancer(
    spec: Spec, label: str, device: str, known: Known, dataset: Dataset | None, keep_broken: bool
) -> EnhancerEntry:
    try:
        if dataset is not None and split_spec(spec, "enhancer")[0] == "dir":
            folder = load_enhancer(spec)
            assert isinstance(folder, Folder)  # noqa: S101 - what "dir" loads
            folder.check_images(dataset.ids)
        found = known.find("enhancer", spec, device, partial(known.call, _describe_enhancer, spec, device))
    except DuskbenchError as error:
        if not (keep_broken or isinstance(error, (WeightsError, DataError))):
            raise
        return EnhancerEntry(label, spec, fingerprint="", error=str(error))
    return EnhancerEntry(label, spec, **found)


def _check_different(row: str, trainings: Sequence[EnhancerEntry], where: str) -> None:
    """One training that stands twice among several would make them look more alike than they are."""
    first: dict[str, EnhancerEntry] = {}
    for entry in trainings:
        if entry.error is None and first.setdefault(entry.fingerprint, entry) is not entry:
            raise ConfigError(
                f"Two of the trainings of {row} are the same.",
                where=where,
                expected="weights of different trainings",
                got=f"{first[entry.fingerprint].label} and {entry.label} have the same weights",
            )


def _describe_enhancer(spec: Spec, device: str) -> dict[str, Any]:
    built = load_enhancer(spec, device=device)
    return {
        "fingerprint": built.fingerprint,
        "origin": built.origin,
        "batch_size": built.batch_size,
        "weights": dict(built.weights),
    }


def add_costs(
    enhancers: Sequence[EnhancerEntry], device: str, known: Known, progress: Callable[[int, int], None]
) -> list[EnhancerEntry]:
    """Measure what each enhancer costs; why one could not be measured stands in its costs.

    Args:
        enhancers: Of the run; one that could not be built has no costs.
        device: Torch device.
        known: What was measured before.
        progress: Called with (enhancers done, enhancers in all).
    """
    measured = []
    for number, entry in enumerate(enhancers):
        measured.append(entry if entry.error else replace(entry, costs=_costs_of(entry.spec, device, known)))
        progress(number + 1, len(enhancers))
    return measured


def _costs_of(spec: Spec, device: str, known: Known) -> Costs:
    try:
        return Costs(**known.find("costs", spec, device, lambda: asdict(measure_costs(spec, device))))
    except DuskbenchError as error:
        return Costs(error=str(error))


def plan_detectors(
    config: BenchmarkConfig, checkpoint: str | None, device: str, known: Known, dataset: Dataset | None = None
) -> tuple[DetectorEntry, ...]:
    """Find out what every detector is.

    Args:
        config: What to measure.
        checkpoint: Weights of the detector, where the configuration's are not meant.
        device: Torch device.
        known: What was found out before.
        dataset: Whose images results files are of.

    Raises:
        ConfigError: A name or an argument is wrong, or two detectors have the same label.
        WeightsError: A detector's weights cannot be had.
        UnknownIdError: A results file is of other images.
    """
    if checkpoint is not None and len(config.detectors) > 1:
        raise ConfigError(
            "One checkpoint cannot be that of several detectors.",
            where="--checkpoint",
            got=f"{len(config.detectors)} detectors",
            todo='give each its own, as in --detector "rfbnet300_voc(checkpoint=FILE)"',
        )
    planned: list[DetectorEntry] = []
    for spec in config.detectors:
        given, label, _ = _split_label(spec)
        bare = given if dataset is None else _of_dataset(given, dataset)
        request = {"spec": bare, "checkpoint": checkpoint}
        describe = partial(known.call, _describe_detector, bare, checkpoint, device)
        found = known.find("detector", request, device, describe)
        name = found.pop("name")
        label = label or (name if all(name != p.label for p in planned) else str(given))
        if any(label == p.label for p in planned):
            raise _same_label("detectors", label, config.name)
        classes = tuple(found.pop("classes"))
        _check_shared_class(label, classes, config.protocol.classes)
        planned.append(DetectorEntry(label, bare, classes=classes, checkpoint=checkpoint, **found))
    return tuple(planned)


def _of_dataset(spec: Spec, dataset: Dataset) -> Spec:
    """A results file with the data set's numbers, seen to speak of its images; any other detector as it is."""
    target, arguments = split_spec(spec, "detector")
    if target != "results" and not (isinstance(target, str) and target.endswith(".json")):
        return spec
    from duskbench.pipeline.detectors.results_file import ResultsFile

    if dataset.coco_files:
        arguments = {"annotations": list(map(str, dataset.coco_files)), **arguments}
        spec = {"type": target, **arguments}
    results = ResultsFile(**{"path": target, **arguments})
    results.check_images(dataset.ids, all_known=False)
    return spec


def plan_trained(
    frozen: DetectorEntry,
    trainings: Sequence[DetectorTraining],
    schedule: str,
    device: str,
    known: Known,
) -> DetectorEntry:
    """What a detector became when it was trained further.

    Args:
        frozen: The detector.
        trainings: Without fingerprint and weights, which are found out here.
        schedule: How they were trained, in words.
        device: Torch device.
        known: What was found out before.
    """
    planned = []
    for training in trainings:
        checkpoint = training.checkpoint
        request = {"spec": frozen.spec, "checkpoint": checkpoint}
        found = known.find("detector", request, device, partial(_describe_detector, frozen.spec, checkpoint, device))
        planned.append(replace(training, fingerprint=found["fingerprint"], weights=found["weights"]))
    return replace(
        frozen,
        label=f"{frozen.label}, fine-tuned",
        fingerprint=_joined([each.fingerprint for each in planned]),
        identity=_joined([frozen.identity, schedule]),
        weights={},
        checkpoint=None,
        frozen=frozen.label,
        schedule=schedule,
        trainings=tuple(planned),
    )


def _joined(hashes: Sequence[str]) -> str:
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def _check_shared_class(label: str, classes: Sequence[str], asked: Sequence[str]) -> None:
    if len(match_classes(classes, asked).not_detectable) == len(asked):
        raise ConfigError(
            "The detector has none of the classes that the protocol asks for.",
            where=f"detector {label}",
            expected=f"one of {', '.join(asked)}, or another name for it",
            got=shown(classes, 20),
            todo="name the detector's classes, or ask for others: --cfg-options protocol.classes=car,person",
        )


def _describe_detector(spec: Spec, checkpoint: str | None, device: str) -> dict[str, Any]:
    built = load_detector(spec, checkpoint, device=device)
    return {
        "name": built.name,
        "fingerprint": built.fingerprint,
        "identity": built.identity,
        "classes": list(built.classes),
        "batch_size": built.batch_size,
        # A plug-in's detector need not say; its fingerprint has them all the same.
        "weights": dict(getattr(built, "weights", {})),
    }


def plan_metrics(config: BenchmarkConfig, *, reference: bool, detector: bool) -> tuple[MetricEntry, ...]:
    """Find out what every metric is.

    Of the default ones those are left out that lack what they need: a data set with references, a detector.

    Raises:
        ConfigError: A name or an argument is wrong, two metrics have the same key or heading, or one that the
            configuration names lacks what it needs.
    """
    default = DEFAULT_METRICS if config.metrics is None else ()
    planned: dict[str, MetricEntry] = {}
    for number, spec in enumerate([*default, *(config.metrics or ()), *config.more_metrics]):
        metric = load_metric(spec, config.protocol)
        lacks = None
        if isinstance(metric, ImageMetric):
            lacks = None if reference or "reference" not in metric.needs else "a data set with lit originals"
        elif not detector:
            lacks = "a detector"
        if lacks is not None:
            if number < len(default):
                continue
            raise ConfigError(
                f"The metric {metric.key} needs {lacks}.",
                where=config.name,
                got="data.reference = None" if "originals" in lacks else "detector = None",
                todo="name one, or leave the metric out",
            )
        if metric.key in planned and planned[metric.key].fingerprint != metric.fingerprint:
            raise ConfigError(
                "Two metrics have the same key.",
                where=config.name,
                got=f"{metric.key!r}, of {planned[metric.key].spec} and of {spec}",
                todo="give one a key of its own, or leave one out",
            )
        planned[metric.key] = metric_entry(metric, spec)
    named: dict[str, MetricEntry] = {}
    for entry in planned.values():
        other = named.setdefault(entry.heading, entry)
        if other is not entry:
            raise ConfigError(
                "Two metrics have the same heading.",
                where=config.name,
                got=f"{entry.heading!r}, of {other.spec} and of {entry.spec}",
                todo="give one a heading of its own, or leave one out",
            )
    return tuple(planned.values())


def _split_label(spec: Spec) -> tuple[Spec, str | None, bool]:
    """The specification itself, and what only the table reads."""
    if not isinstance(spec, dict):
        return spec, None, False
    bare = dict(spec)
    label, bound = bare.pop("label", None), bare.pop("upper_bound", False)
    if not (label is None or (isinstance(label, str) and label.strip() and label.isprintable())):
        raise _other_kind(spec, "label = a text of one line", label)
    if not isinstance(bound, bool):
        # A word would count as True.
        raise _other_kind(spec, "upper_bound = True or False", bound)
    return bare, label, bound


def _other_kind(spec: Spec, expected: str, got: object) -> ConfigError:
    return ConfigError("A setting is of another kind.", where=str(spec), expected=expected, got=repr(got))


def _default_label(spec: Spec, taken: set[str]) -> str:
    """As tables spell it; of a plug-in the whole specification where another row has that label."""
    target = str(spec["type"]) if isinstance(spec, dict) and "type" in spec else str(spec)
    label = ENHANCERS.label(target)
    return label if label not in taken or target in ENHANCERS else target


def _same_label(what: str, label: str, where: str) -> ConfigError:
    return ConfigError(
        f"Two {what} have the same label.", where=where, got=repr(label), todo="give one a label of its own"
    )
