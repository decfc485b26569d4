"""What a run will do: which images, which enhancers, detectors and metrics."""

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
from duskbench.benchmarks.references import find_references, read_state
from duskbench.benchmarks.store import ResultStore, StoredImage
from duskbench.data_tools.classes import match_classes
from duskbench.data_tools.datasets import missing, open_dataset
from duskbench.data_tools.errors import ConfigError, DataError, DuskbenchError, WeightsError
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.records import Dataset, ImageRecord
from duskbench.data_tools.specs import split_spec
from duskbench.pipeline.registry import ENHANCERS, load_detector, load_enhancer

Spec = str | dict[str, Any]


def plan_enhancers(
    config: BenchmarkConfig, device: str, known: Known, *, keep_broken: bool = False
) -> list[EnhancerEntry]:
    """Find out what every enhancer is, so that a wrong name stops the run before it starts.

    Weights that cannot be had do not: that enhancer's row says so and the others stand. With `keep_broken` that holds
    for whatever keeps an enhancer from being built.

    Args:
        config: What to measure.
        device: Torch device.
        known: What was found out before, so that nothing need be built where nothing changed.
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
            _plan_enhancer(each, label, device, known, keep_broken)
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


def _plan_enhancer(spec: Spec, label: str, device: str, known: Known, keep_broken: bool) -> EnhancerEntry:
    try:
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
            got=f"{', '.join(classes[:20])}{', ...' if len(classes) > 20 else ''}",
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
        ConfigError: A name or an argument is wrong, two metrics have the same key, or one that the configuration names
            lacks what it needs.
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
    return tuple(planned.values())


def _split_label(spec: Spec) -> tuple[Spec, str | None, bool]:
    """The specification itself, and what only the table reads."""
    if not isinstance(spec, dict):
        return spec, None, False
    bare = dict(spec)
    label, bound = bare.pop("label", None), bool(bare.pop("upper_bound", False))
    return bare, label, bound


def _default_label(spec: Spec, taken: set[str]) -> str:
    """As tables spell it; of a plug-in the whole specification where another row has that label."""
    target = str(spec["type"]) if isinstance(spec, dict) and "type" in spec else str(spec)
    label = ENHANCERS.label(target)
    return label if label not in taken or target in ENHANCERS else target


def _same_label(what: str, label: str, where: str) -> ConfigError:
    return ConfigError(
        f"Two {what} have the same label.", where=where, got=repr(label), todo="give one a label of its own"
    )


def open_images(config: BenchmarkConfig) -> Dataset:
    """Open the data set that a configuration names.

    Raises:
        ConfigError: The configuration names none.
        DataError: It is not there, or is no data set.
    """
    data = dict(config.data)
    root = data.pop("root", None)
    if root is None:
        raise ConfigError("The configuration names no data set.", where=config.name, todo="give one: --data DIR")
    data.pop("allow_missing", None)
    data.pop("groups", None)
    data.pop("reference", None)
    return open_dataset(Path(root), **data)


def read_images(
    dataset: Dataset,
    store: ResultStore,
    *,
    limit: int | None = None,
    drop_cup: bool = False,
    groups: Sequence[str] = (),
    references: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[StoredImage]:
    """Parse the records of a data set and hash its files; a file whose size and time are known is not read again.

    Args:
        dataset: The data set.
        store: Where earlier states are and new ones go.
        limit: Take only so many of the images that are there, evenly spread, so that every class still occurs.
        drop_cup: Leave out the images of ExDark's folder Cup.
        groups: Take only images of these groups; empty for all.
        references: Folder of the images' references, or None.
        progress: Called with (images done, images in all).

    Returns:
        Images in the data set's order; `sha256` is None where the file is missing.

    Raises:
        ConfigError: A group has no image.
        DataError: An image that is there has no reference.
    """
    known = store.images()
    absent = set(missing(dataset))
    images: list[StoredImage] = []
    ids = _select(dataset, absent, limit, drop_cup, groups)
    reference_of = find_references(references, (i for i in ids if i not in absent)) if references else {}
    for number, image_id in enumerate(ids):
        # An incomplete tree often lacks the annotation with the image; what is absent is only counted.
        record = _absent_record(dataset, image_id) if image_id in absent else dataset.record(image_id)
        image, earlier = _with_file_state(StoredImage(record), known.get(image_id)), known.get(image_id)
        if image_id in reference_of:
            state = read_state(reference_of[image_id], earlier.reference if earlier else None)
            image = replace(image, reference=state)
        images.append(image)
        if progress:
            progress(number + 1, len(ids))
    store.put_images(images)
    return images


def _select(dataset: Dataset, absent: set[str], limit: int | None, drop_cup: bool, groups: Sequence[str]) -> list[str]:
    ids = list(dataset.ids)
    if groups:
        group_of = {image_id: dataset.record(image_id).group for image_id in ids}
        empty = sorted(set(groups) - set(group_of.values()))
        if empty:
            raise ConfigError(
                "A group of the configuration has no image.",
                where=dataset.root,
                expected=f"folders {', '.join(groups)}",
                got=f"none in {', '.join(empty)}; there are {', '.join(sorted(filter(None, set(group_of.values()))))}",
                todo="choose among those there are: --cfg-options data.groups=DICM,LIME,MEF",
            )
        ids = [image_id for image_id in ids if group_of[image_id] in groups]
    if drop_cup:
        ids = [image_id for image_id in ids if dataset.image_path(image_id).parent.name != "Cup"]
    if limit is None:
        return ids
    present = [image_id for image_id in ids if image_id not in absent]
    limit = min(limit, len(present))
    return [present[i * len(present) // limit] for i in range(limit)]


def _absent_record(dataset: Dataset, image_id: str) -> ImageRecord:
    path = dataset.image_path(image_id)
    return ImageRecord(image_id, path, group=path.parent.name)


def _with_file_state(image: StoredImage, earlier: StoredImage | None) -> StoredImage:
    try:
        stat = image.record.path.stat()
    except OSError:
        return image
    same_path = earlier is not None and earlier.record.path == image.record.path
    if same_path and earlier is not None and (earlier.bytes, earlier.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        return replace(image, bytes=earlier.bytes, mtime_ns=earlier.mtime_ns, sha256=earlier.sha256)
    return replace(image, bytes=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=file_sha256(image.record.path))
