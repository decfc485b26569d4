"""A run's numbers by lighting, indoors and outdoors, class, and object size, from the data set's own labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar, get_args

import numpy as np

from duskbench.benchmarks.bootstrap import Bootstrap
from duskbench.benchmarks.evaluate import baseline_labels, rows_of
from duskbench.benchmarks.metrics.base import DetectionMetric, Ranked, Ranking
from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.benchmarks.samples import samples_of, undetectable
from duskbench.benchmarks.statistics import Difference, Sample, Spread
from duskbench.benchmarks.stored_run import EnhancerRows, RunImages, found_by, has_detections, objects_of
from duskbench.benchmarks.trainings import Trainings
from duskbench.data_tools.classes import INDOOR_OUTDOOR, LIGHTING_TYPES
from duskbench.data_tools.errors import DataError, UnknownNameError

Axis = Literal["lighting", "indoor", "class", "size"]
_Numbers = TypeVar("_Numbers", Spread, Difference)

# Square pixels of the image as stored, both ends in: an object of exactly 1024 is in two of them, as in pycocotools.
# Source: pycocotools cocoeval.py, Params.setDetParams, areaRng.
SIZES: dict[str, tuple[float, float]] = {
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}


@dataclass(frozen=True)
class Part:
    """One part of a break-down: a lighting type, a class, a size.

    Attributes:
        name: `Low`, `Indoor`, `car`, `small`.
        n_images: Measured images of this part; by class and size, those that hold an object of it.
        n_objects: Objects to find there: of the protocol's classes, not difficult.
        spreads: Label of the enhancer -> its scores on this part with their intervals. By class, a score of detections
            is that class's AP. By class and size there are no scores of images, which do not belong to objects.
        differences: Label -> difference to the break-down's baseline, which itself is absent.
    """

    name: str
    n_images: int
    n_objects: int
    spreads: dict[str, Spread] = field(default_factory=dict)
    differences: dict[str, Difference] = field(default_factory=dict)


@dataclass(frozen=True)
class Breakdown:
    """A run's numbers, part by part.

    Attributes:
        by: What it is broken down by.
        baseline: Label that differences are taken to; None where the run has no Input and none was chosen.
        labels: Enhancers with a result, in the run's order.
        parts: In the data set's order (lighting), the protocol's (class), or by size; empty parts are left out.
        notes: What a reader must know, a sentence each.
    """

    by: Axis
    baseline: str | None
    labels: tuple[str, ...]
    parts: tuple[Part, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Question:
    """What every part is asked: of which images, against which baseline."""

    run: RunImages
    anywhere: np.ndarray
    baseline: str | None
    whole: Bootstrap | None

    def rows(self, samples: Iterable[Sample | Trainings]) -> list[Sample | Trainings]:
        """Of each row of the table: several trainings together."""
        return list(rows_of(self.run.record, {sample.label: sample for sample in samples}).values())


def break_down(
    run: RunImages,
    samples: Sequence[Sample | Trainings],
    by: str,
    *,
    sized: Sequence[Mapping[str, Sample | Trainings]] = (),
    bootstrap: Bootstrap | None = None,
    baseline: str | None = None,
) -> Breakdown:
    """Break a run's numbers down.

    By lighting and indoor the images are split, and everything is computed on each part alone. By class the AP of each
    class stands alone. By size, on all images, objects of other sizes are ignored as difficult ones are, and so are
    false alarms of other sizes. Where such an object is detected twice VOC ignores both, COCO one.

    Args:
        run: The run's images.
        samples: From `benchmarks.samples.sample_of`, of each enhancer that has a result.
        by: `lighting`, `indoor`, `class` or `size`.
        sized: From `sized_samples`, of each enhancer that has detections; only needed by size.
        bootstrap: What `benchmarks.evaluate.bootstrap_of` made of the same samples; not to compute it again.
        baseline: Label that differences are taken to; None for Input.

    Raises:
        UnknownNameError: There is no such break-down or baseline.
        DataError: The data set has no such labels, the run no detector, or none of its metrics can be broken down so.

    Source: pycocotools cocoeval.py, `evaluateImg` (objects and unmatched detections outside an area range).
    """
    if by not in get_args(Axis):
        raise UnknownNameError("break-down", by, get_args(Axis))
    axis: Axis = by  # type: ignore[assignment]
    record = run.record
    baselines = baseline_labels(record, baseline)
    anywhere = np.any([one.measured for one in samples] or [np.zeros(len(run.images), bool)], axis=0)
    question = _Question(run, anywhere, baselines[-1] if baselines else None, bootstrap)
    left_out: list[str] = []
    if axis in ("class", "size"):
        left_out = _left_out(run, axis, samples, sized)
    if axis == "class":
        parts = _by_class(question, samples)
    elif axis == "size":
        parts = _by_size(question, sized)
    else:
        parts = _by_image_label(question, samples, axis)
        if not parts:
            raise DataError(
                f"The images have no label to break down by {axis}.",
                where=run.path,
                got=f"data set {record.data.name}",
                todo="ExDark has them, in imageclasslist.txt",
            )
    labels = tuple(rows_of(record, {sample.label: sample for sample in samples}))
    return Breakdown(axis, question.baseline, labels, tuple(parts), (*_notes(axis), *left_out))


def _left_out(
    run: RunImages,
    axis: Literal["class", "size"],
    samples: Sequence[Sample | Trainings],
    sized: Sequence[Mapping[str, Sample | Trainings]],
) -> list[str]:
    """A sentence on each score of detections that cannot be broken down so; an error where none can."""
    if axis == "class":
        there = {key for one in samples for key, of in one.ranked.items() if set(of.by_class) - set(of.pools)}
        why = "it has no AP of a class alone"
    else:
        there = {key for sizes in sized for one in sizes.values() for key in one.ranked}
        why = "its rankings do not say which detections are in them (`Ranking.positions`)"
    asked = {key for one in samples for key in one.ranked}
    lacking = [f"{c.heading}: not by {axis}, for {why}." for c in run.record.columns() if c.key in asked - there]
    if not asked:
        raise DataError(f"The run has no detections to break down by {axis}.", where=run.path)
    if not there:
        raise DataError(
            f"The run has no metric that can be broken down by {axis}.",
            where=run.path,
            got=" ".join(lacking),
            todo="--coco adds COCO AP, of the same detections",
        )
    return lacking


def _by_image_label(
    question: _Question, samples: Sequence[Sample | Trainings], axis: Literal["lighting", "indoor"]
) -> list[Part]:
    run = question.run
    objects = run.objects()
    rows = question.rows(samples)
    per_image = sum(objects.values(), np.zeros(len(run.images), np.int64))
    parts = []
    for name, within in _image_parts(run, axis):
        measured = within & question.anywhere
        if measured.any():
            part = Part(name, int(measured.sum()), int(per_image[measured].sum()))
            parts.append(_filled(part, question.run.resampled(measured, objects), rows, question.baseline))
    return parts


def _image_parts(run: RunImages, axis: Literal["lighting", "indoor"]) -> Iterator[tuple[str, np.ndarray]]:
    records = [image.record for image in run.images]
    if axis == "lighting":
        for name in LIGHTING_TYPES:
            yield name, np.array([record.lighting == name for record in records], bool)
    else:
        for name, indoor in zip(INDOOR_OUTDOOR, (True, False), strict=True):
            yield name, np.array([record.indoor is indoor for record in records], bool)


def _by_class(question: _Question, samples: Sequence[Sample | Trainings]) -> list[Part]:
    run = question.run
    objects = run.objects()
    bootstrap = question.whole or question.run.resampled(question.anywhere, objects)
    whole = _filled(Part("", 0, 0), bootstrap, question.rows(samples), question.baseline)
    parts = []
    for name in run.protocol.classes:
        count = np.where(question.anywhere, objects[name], 0)
        if count.any():
            parts.append(
                Part(
                    name,
                    int(np.count_nonzero(count)),
                    int(count.sum()),
                    {label: _only(spread, name) for label, spread in whole.spreads.items()},
                    {label: _only(difference, name) for label, difference in whole.differences.items()},
                )
            )
    return parts


def _only(numbers: _Numbers, name: str) -> _Numbers:
    """Of each score the AP of one class."""
    return replace(numbers, scores={key: of[name] for key, of in numbers.classes.items() if name in of})


def _by_size(question: _Question, sized: Sequence[Mapping[str, Sample | Trainings]]) -> list[Part]:
    run = question.run
    parts = []
    for name, limits in SIZES.items():
        objects = run.objects(in_range(run.truth, limits))
        per_image = np.where(question.anywhere, sum(objects.values(), np.zeros(len(run.images), np.int64)), 0)
        if per_image.any():
            part = Part(name, int(np.count_nonzero(per_image)), int(per_image.sum()))
            bootstrap = question.run.resampled(question.anywhere, objects)
            rows = question.rows(of[name] for of in sized)
            parts.append(_filled(part, bootstrap, rows, question.baseline))
    return parts


def sized_samples(rows: EnhancerRows, run: RunImages) -> dict[str, Sample | Trainings]:
    """Size -> detections ranked again with only its objects to find; false alarms of other sizes are left out.

    Empty where an AP cannot be made of them. Left out is a metric whose rankings have no positions: they do not say
    of what size a false alarm is.
    """
    if not has_detections(rows, run):
        return {}
    truth = objects_of(rows, run)
    ranked: dict[str, dict[str, list[Ranked]]] = {name: {} for name in SIZES}
    for entry, detector in ((d, one) for d in run.record.detectors for one in d.asked_of(rows.label)):
        found = found_by(rows, run, detector)
        for name, limits in SIZES.items():
            to_find = replace(truth, difficult=truth.difficult | ~in_range(truth, limits))
            # Where detections end at their last pixel, that pixel belongs to them.
            sized = in_range(found, limits, extra=1.0 if run.protocol.plus_one else 0.0)
            for score in run.record.columns():
                metric = run.metrics.get(score.metric.key)
                if isinstance(metric, DetectionMetric) and score.detector == entry:
                    made = metric.rank(to_find, found, run.protocol.classes)
                    asked = made.without(undetectable(entry, run.protocol))
                    if not all(_has_positions(r) for of in asked.by_class.values() for r in of):
                        continue
                    by_class = {c: tuple(_without_others(r, sized) for r in of) for c, of in asked.by_class.items()}
                    ranked[name].setdefault(score.key, []).append(replace(asked, by_class=by_class))
    mask = rows.mask(len(run.images))
    return {name: samples_of(rows.label, mask, {}, of) for name, of in ranked.items()}


def _has_positions(ranking: Ranking) -> bool:
    return ranking.positions is not None or not len(ranking.images)


def _without_others(ranking: Ranking, inside: np.ndarray) -> Ranking:
    if ranking.positions is None:
        return ranking
    kept = ranking.tp | inside[ranking.positions]
    # Held of all enhancers at once, and so without what is no longer needed.
    return Ranking(ranking.images[kept].astype(np.int32), ranking.tp[kept])


def in_range(boxes: Boxes, limits: tuple[float, float], extra: float = 0.0) -> np.ndarray:
    """(N,) bool: which boxes have an area within these limits, `extra` pixels wider and higher."""
    size = boxes.boxes_xyxy[:, 2:] - boxes.boxes_xyxy[:, :2] + extra
    area = size[:, 0] * size[:, 1]
    return (area >= limits[0]) & (area <= limits[1])


def _filled(part: Part, bootstrap: Bootstrap, samples: Sequence[Sample | Trainings], baseline: str | None) -> Part:
    base = next((sample for sample in samples if sample.label == baseline), None)
    return replace(
        part,
        spreads={sample.label: bootstrap.spread(sample) for sample in samples},
        differences={
            sample.label: bootstrap.difference(sample, base)
            for sample in samples
            if base is not None and sample is not base
        },
    )


def _notes(axis: Axis) -> tuple[str, ...]:
    notes = {
        "lighting": "Lighting types are ExDark's own (imageclasslist.txt); each part is evaluated on its images alone.",
        "indoor": "Places are ExDark's own (imageclasslist.txt); each part is evaluated on its images alone.",
        "class": "n images: those with an object of the class; false alarms count wherever they are.",
        "size": "Sizes are COCO's, of the boxes, in square pixels of the stored image: small up to 32x32, medium up to "
        "96x96, large; pycocotools takes an annotation's `area`, in COCO's own files that of the outline. "
        "Objects of other sizes, and false alarms of other sizes, count neither way.",
    }
    return (notes[axis],)
