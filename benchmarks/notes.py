"""The lines under a table: data, detector, protocol, what marks mean, what is missing and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from duskbench.benchmarks.costs import COSTS_NOTE
from duskbench.benchmarks.evaluate import EnhancerResult, baselines_of
from duskbench.benchmarks.ranks import agreement_notes, rank_agreements
from duskbench.benchmarks.record import DetectorEntry, MetricEntry, RunRecord
from duskbench.benchmarks.simultaneous import family_of
from duskbench.benchmarks.statistics import BootstrapOptions, Difference
from duskbench.benchmarks.stored_run import fewest_lacking
from duskbench.data_tools.classes import match_classes
from duskbench.data_tools.ids import shown

# Behind a value whose difference to the baseline the interval does not settle.
UNSETTLED = "~"
# Objects of a class below which intervals of a mAP are too narrow; see `benchmarks.studies.interval_coverage`.
_FEW_OBJECTS = 20


def table_notes(record: RunRecord, results: Sequence[EnhancerResult]) -> list[str]:
    """What a reader must know beside the numbers, a line each; what they were made with comes last."""
    return [
        *_notes(record, results),
        *_interval_notes(record, results),
        *_family_notes(record, results),
        *agreement_notes(rank_agreements(record, results), record.bootstrap),
        _made_with(record),
    ]


def _notes(record: RunRecord, results: Sequence[EnhancerResult]) -> list[str]:
    data, made = record.data, record.environment
    most = max((result.n_images for result in results), default=0)
    measured = f"{most} of {len(record.image_ids)} images measured"
    notes = [
        f"Data: {data.name} in {data.root}, split {data.split}, {measured}.",
        *(f"Data set: {note}" for note in data.notes),
        *map(_detector_note, record.detectors),
        *([] if record.detectors else ["Detector: none: no mAP."]),
        *(metric.note for metric in record.metrics if metric.note is not None),
        f"ms/image: mean time of the enhancer alone on {made.gpu or made.device}; a dash: not available.",
        *_cost_notes(record),
    ]
    for origin in dict.fromkeys(e.origin for e in record.enhancers if e.origin):
        labels = dict.fromkeys(e.label for e in record.enhancers if e.origin == origin)
        notes.append(f"Weights of {', '.join(labels)}: {origin}.")
    notes += _class_notes(record, results)
    headings = {score.key: score.heading for score in record.columns()}
    fewest = fewest_lacking(result.lacks for result in results if result.n_images)
    for result in results:
        if result.error:
            what = "could not be built" if not result.n_images else "stands on the trainings that could be built"
            notes.append(f"† {result.label} {what}: {' '.join(result.error.split())}")
        elif result.n_images < result.n_expected:
            share = f"over {result.n_images} of {result.n_expected} images"
            apart = "; over other images than the rest, it competes for no best value" if result.lacks != fewest else ""
            notes.append(f"* {result.label}: {share}, {len(result.failures)} failed{apart}.")
        for key, reasons in result.reasons.items():
            notes += [f"{result.label}: {said}" for said in _without_number(headings[key], reasons)]
    notes += _training_notes(record, results)
    notes += _paper_notes(record.paper, data.name, most)
    return notes


def _without_number(heading: str, reasons: Mapping[str, int]) -> Iterator[str]:
    """How many images have no number and why; reasons that differ in their numbers alone, as sizes do, are one."""
    alike: dict[str, list[str]] = {}
    for reason in reasons:
        alike.setdefault(re.sub(r"\d+", "0", reason), []).append(reason)
    for each in alike.values():
        count = sum(reasons[reason] for reason in each)
        images = "image" if count == 1 else "images"
        yield f"{count} {images} without {heading} ({'such as ' if len(each) > 1 else ''}{each[0]})."


def failures_by_reason(failures: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    """Each reason once for each enhancer: label, an image with how many more have it, and the reason as it has it."""
    alike: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for label, image_id, reason in failures:
        # What differs between images is where it happened.
        alike.setdefault((label, reason.replace(image_id, "")), []).append((image_id, reason))
    for (label, _), each in alike.items():
        image_id, reason = each[0]
        yield label, f"{image_id} and {len(each) - 1} more" if len(each) > 1 else image_id, reason


def _detector_note(detector: DetectorEntry) -> str:
    if detector.frozen is None:
        return f"Detector: {detector.label}, frozen, fingerprint {detector.fingerprint[:12]}."
    seeds = ", ".join(map(str, sorted({training.seed for training in detector.trainings})))
    return (
        f"Detector: {detector.label}: {detector.frozen} trained further on each enhancer's images and measured on the "
        f"same enhancer's: {detector.schedule}; seed {seeds}."
    )


def _cost_notes(record: RunRecord) -> Iterator[str]:
    """What the columns of costs mean, and why one is empty."""
    measured = {entry.label: entry.costs for entry in record.enhancers if entry.costs is not None}
    if measured:
        yield COSTS_NOTE
    for label, costs in measured.items():
        if costs.error is not None:
            yield f"{label}: costs not measured: {' '.join(costs.error.split())}"


def _training_notes(record: RunRecord, results: Sequence[EnhancerResult]) -> Iterator[str]:
    """What the rows of several trainings stand on."""
    for result in results:
        entries = [entry for entry in record.rows.get(result.label, ()) if entry.method is not None]
        numbers = result.spread.trainings
        measured = max((len(each) for each in numbers.values()), default=0)
        if measured < len(entries):
            yield f"* {result.label}: {measured} of {len(entries)} trainings measured."
        if measured:
            yield training_note(result.label, record, numbers)


def training_note(label: str, record: RunRecord, numbers: Mapping[str, Sequence[float]]) -> str:
    """The numbers of each training whose mean a row is; `numbers` are key of a score -> of each."""
    measured = max(map(len, numbers.values()))
    columns = [score for score in record.columns() if score.key in numbers]
    of_each = "; ".join(f"{c.heading} {_listed(c.metric, numbers[c.key])}" for c in columns)
    return f"{label}: mean of {measured} training{'s' if measured > 1 else ''}; of each: {of_each}."


def _listed(metric: MetricEntry, numbers: Sequence[float]) -> str:
    return ", ".join(f"{metric.factor * number:.{metric.digits}f}" for number in numbers)


def _class_notes(record: RunRecord, results: Sequence[EnhancerResult]) -> list[str]:
    """Which classes are not in the mean, and which objects are in no class of the protocol."""
    notes = []
    known = {name for result in results for of in result.spread.classes.values() for name in of}
    detected = {score.key for score in record.columns() if score.detector is not None}
    # Only pools of classes have a number where no class has one.
    pooled = not known and any(detected & result.spread.scores.keys() for result in results)
    lacking = {d.label: match_classes(d.classes, record.protocol.classes).not_detectable for d in record.detectors}
    for label, names in lacking.items():
        if names:
            notes.append(f"Not among the classes of {label} and so not in its mean: {', '.join(names)}.")
    nowhere = {name for names in lacking.values() for name in names}
    absent = [name for name in record.protocol.classes if name not in known | nowhere]
    if record.detectors and absent and not pooled and any(result.n_images for result in results):
        notes.append(f"Without ground truth here and so not in the mean: {', '.join(absent)}.")
    if record.detectors and record.other_objects:
        others = shown((f"{name} {count}" for name, count in record.other_objects.items()), 10)
        notes.append(f"Objects of classes that the protocol does not ask for, left out: {others}.")
    return notes


def _made_with(record: RunRecord) -> str:
    made = record.environment
    packages = ", ".join(
        f"{k} {v}" for k, v in made.packages.items() if k in ("duskbench", "torch", "onedl-mmdetection")
    )
    return f"Made with {packages}, commit {made.git or 'unknown'}, {made.started}."


def _interval_notes(record: RunRecord, results: Sequence[EnhancerResult]) -> list[str]:
    """What brackets and marks mean; nothing where no result has an interval."""
    if all(interval.low is None for result in results for interval in result.spread.scores.values()):
        return []
    notes = [bracket_note(record.bootstrap)]
    if record.bootstrap.cluster is not None:
        n_clusters = len(set(record.bootstrap.clusters(record.image_ids).tolist()))
        notes.append(f"{len(record.image_ids)} images in {n_clusters} clusters: the images of one are drawn together.")
    objects = next((list(result.spread.objects.values()) for result in results if result.spread.objects), [])
    few = sum(count < _FEW_OBJECTS for count in objects)
    if 2 * few > len(objects):
        notes.append(
            f"{few} of {len(objects)} classes have fewer than {_FEW_OBJECTS} objects: intervals of mAP are too narrow "
            "and lie too high (in simulations those of 95 % held the truth in 80 to 90 of 100 cases); of differences "
            "they hold it."
        )
    if any(result.spread.trainings for result in results):
        notes.append(
            "Of several trainings the interval holds the variance between trainings too: it is added to that of images "
            "(Student's t, Welch and Satterthwaite's degrees of freedom). SD: standard deviation over trainings."
        )
    if baselines := baselines_of(record, results):
        notes.append(mark_note(f"the difference to {baselines[-1]} (under Δ: to that column's baseline)"))
    for result in results:
        for baseline, difference in result.against.items():
            if difference.n_left_out:
                notes.append(pairing_note(f"{result.label} and {baseline}", difference))
    return notes


def _family_notes(record: RunRecord, results: Sequence[EnhancerResult]) -> Iterator[str]:
    """Which differences to Input are settled when all are taken together."""
    for score in record.columns():
        family = family_of(record, results, score, record.input_label or "")
        if score.detector is None or family is None or len(family.intervals) < 2:
            continue
        found: dict[str, list[str]] = {"better": [], "worse": [], "not settled": []}
        for label, interval in family.intervals.items():
            found[interval.verdict(score.metric.better)].append(label)
        said = "; ".join(f"{finding} {', '.join(labels)}" for finding, labels in found.items() if labels)
        yield (
            f"All {len(family.intervals)} differences of {score.heading} to {record.input_label} at once, so that none "
            f"is settled by chance ({100 * record.bootstrap.level:g} % simultaneous intervals, see `duskbench power`): "
            f"{said}."
        )


def bracket_note(options: BootstrapOptions) -> str:
    """What stands in brackets."""
    return (
        f"[low, high]: {100 * options.level:g} % interval, bootstrap over {options.drawn} (bias-corrected; of "
        f"differences percentile), {options.resamples} resamples, seed {options.seed}, the same draws for every row; a "
        "class without an object in a resample leaves that resample's mean."
    )


def mark_note(difference: str) -> str:
    """What the mark means, of the difference named."""
    return (
        f"{UNSETTLED} not settled: the interval of {difference} holds 0, so these images do not say which of the two "
        "is better."
    )


def pairing_note(who: str, difference: Difference) -> str:
    """On which images two are compared where one of them lacks some."""
    return (
        f"{who} are compared on the {difference.n_images} images that both have; {difference.n_left_out} that only "
        "one has are left out."
    )


def _paper_notes(paper: Mapping[str, Any], data: str, measured: int) -> list[str]:
    """The paper's own rows, where the table is the paper's: on its data set; it says where the images differ."""
    if not paper or data != paper.get("data", data):
        return []
    n_images = paper.get("n_images", measured)
    other = "" if n_images == measured else f", on {n_images} images: not comparable with {measured}"
    lines = [f"The paper's own row ({paper['source']}{other}):"]
    for name, values in paper["rows"].items():
        lines.append(f"{name}: " + ", ".join(f"{column} {value}" for column, value in values.items()))
    return lines
