"""A run's numbers by lighting, indoors and outdoors, class, and object size, from the data set's own labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from duskbench.benchmarks.evaluate import bootstrap_options, reference_labels
from duskbench.benchmarks.evidence import Boxes, Measured, RunImages, to_sample
from duskbench.benchmarks.judge import Judged, JudgedRun, sample_of, score
from duskbench.benchmarks.statistics import Bootstrap, BootstrapOptions, Difference, Sample, Spread
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
        spreads: Label of the enhancer -> mAP, AP and NIQE on this part with their intervals. By class, mAP is that
            class's AP. By class and size there is no NIQE, which belongs to an image and not to its objects.
        differences: Label -> difference to the break-down's reference, which itself is absent.
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
        reference: Label that differences are taken to; None where the run has no Input and none was chosen.
        labels: Enhancers with a result, in the run's order.
        parts: In the data set's order (lighting), the protocol's (class), or by size; empty parts are left out.
        notes: What a reader must know, a sentence each.
    """

    by: Axis
    reference: str | None
    labels: tuple[str, ...]
    parts: tuple[Part, ...]
    notes: tuple[str, ...]


def break_down(
    judged: JudgedRun,
    record: Mapping[str, Any],
    by: str,
    *,
    bootstrap: BootstrapOptions | None = None,
    reference: str | None = None,
) -> Breakdown:
    """Break a run's numbers down.

    By lighting and indoor the images are split, and everything is computed on each part alone. By class the AP of each
    class stands alone. By size, on all images, objects of other sizes are ignored as difficult ones are, and so are
    false alarms of other sizes. Where an ignored object is detected twice VOC ignores both, COCO one.

    Args:
        judged: From `duskbench.benchmarks.judge.read_judged`.
        record: The run's record.
        by: `lighting`, `indoor`, `class` or `size`.
        bootstrap: How to resample; None for the record's options.
        reference: Label that differences are taken to; None for Input.

    Raises:
        UnknownNameError: There is no such break-down or reference.
        DataError: The data set has no such labels, or the run no detector.

    Source: pycocotools cocoeval.py, `evaluateImg` (objects and unmatched detections outside an area range).
    """
    if by not in get_args(Axis):
        raise UnknownNameError("break-down", by, get_args(Axis))
    axis: Axis = by  # type: ignore[assignment]
    references = reference_labels(record, reference)
    options = bootstrap or bootstrap_options(record)
    chosen = references[-1] if references else None
    n = len(judged.run.images)
    anywhere = np.any([one.mask(n) for one in judged.measured] or [np.zeros(n, bool)], axis=0)
    if axis in ("class", "size") and not judged.by_label:
        raise DataError(f"The run has no detections to break down by {axis}.", where=judged.path)
    if axis == "class":
        parts = _by_class(judged, anywhere, chosen, options)
    elif axis == "size":
        parts = _by_size(judged, anywhere, chosen, options)
    else:
        parts = _by_image_label(judged, anywhere, chosen, options, axis)
        if not parts:
            raise DataError(
                f"The images have no label to break down by {axis}.",
                where=judged.path,
                got=f"data set {record['data']['name']}",
                todo="ExDark has them, in imageclasslist.txt",
            )
    return Breakdown(axis, chosen, tuple(one.label for one in judged.measured), tuple(parts), _notes(axis))


def _by_image_label(
    judged: JudgedRun,
    anywhere: np.ndarray,
    reference: str | None,
    options: BootstrapOptions,
    axis: Literal["lighting", "indoor"],
) -> list[Part]:
    run, samples = judged.run, _samples(judged)
    objects = run.objects()
    per_image = sum(objects.values(), np.zeros(len(run.images), np.int64))
    parts = []
    for name, within in _image_parts(run, axis):
        measured = within & anywhere
        if measured.any():
            bootstrap = Bootstrap(objects, options, run.protocol.ap, within=measured)
            part = Part(name, int(measured.sum()), int(per_image[measured].sum()))
            parts.append(_filled(part, bootstrap, samples, reference))
    return parts


def _image_parts(run: RunImages, axis: Literal["lighting", "indoor"]) -> Iterator[tuple[str, np.ndarray]]:
    records = [image.record for image in run.images]
    if axis == "lighting":
        for name in LIGHTING_TYPES:
            yield name, np.array([record.lighting == name for record in records], bool)
    else:
        for name, indoor in zip(INDOOR_OUTDOOR, (True, False), strict=True):
            yield name, np.array([record.indoor is indoor for record in records], bool)


def _by_class(
    judged: JudgedRun,
    anywhere: np.ndarray,
    reference: str | None,
    options: BootstrapOptions,
) -> list[Part]:
    run = judged.run
    objects = run.objects()
    bootstrap = Bootstrap(objects, options, run.protocol.ap, within=anywhere)
    samples = [_without_niqe(sample) for sample in _samples(judged)]
    whole = _filled(Part("", 0, 0), bootstrap, samples, reference)
    parts = []
    for name in run.protocol.classes:
        count = np.where(anywhere, objects[name], 0)
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
    return replace(numbers, map=numbers.ap.get(name), ap={k: v for k, v in numbers.ap.items() if k == name})


def _by_size(
    judged: JudgedRun,
    anywhere: np.ndarray,
    reference: str | None,
    options: BootstrapOptions,
) -> list[Part]:
    run = judged.run
    parts = []
    for name, limits in SIZES.items():
        inside = _in_range(run.truth, limits, run)
        objects = run.objects(inside)
        per_image = np.where(anywhere, sum(objects.values(), np.zeros(len(run.images), np.int64)), 0)
        if not per_image.any():
            continue
        truth = replace(run.truth, difficult=run.truth.difficult | ~inside)
        with_detections = [one for one in judged.measured if one.label in judged.by_label]
        samples = [_sized_sample(one, judged.by_label[one.label], run, truth, limits) for one in with_detections]
        bootstrap = Bootstrap(objects, options, run.protocol.ap, within=anywhere)
        part = Part(name, int(np.count_nonzero(per_image)), int(per_image.sum()))
        parts.append(_filled(part, bootstrap, samples, reference))
    return parts


def _sized_sample(measured: Measured, one: Judged, run: RunImages, truth: Boxes, limits: tuple[float, float]) -> Sample:
    matches = score(truth.take(one.objects), one.found, run.protocol).matches
    counted = replace(matches, fp=matches.fp & _in_range(one.found, limits, run))
    return _without_niqe(to_sample(measured, run, one.found, counted))


def _samples(judged: JudgedRun) -> list[Sample]:
    return [sample_of(one, judged.run, judged.by_label.get(one.label)) for one in judged.measured]


def _without_niqe(sample: Sample) -> Sample:
    return replace(sample, niqe=np.full(len(sample.niqe), np.nan))


def _in_range(boxes: Boxes, limits: tuple[float, float], run: RunImages) -> np.ndarray:
    extra = 1.0 if run.protocol.plus_one else 0.0
    size = boxes.boxes_xyxy[:, 2:] - boxes.boxes_xyxy[:, :2] + extra
    area = size[:, 0] * size[:, 1]
    return (area >= limits[0]) & (area <= limits[1])


def _filled(part: Part, bootstrap: Bootstrap, samples: Sequence[Sample], reference: str | None) -> Part:
    base = next((sample for sample in samples if sample.label == reference), None)
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
        "size": "Sizes are COCO's, in square pixels of the stored image: small up to 32x32, medium up to 96x96, large. "
        "Objects of other sizes, and false alarms of other sizes, count neither way.",
    }
    return (notes[axis],)
