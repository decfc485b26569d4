"""The stored rows of a run as flat arrays: what there was to find, what each enhancer led the detector to find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from duskbench.benchmarks.metrics.voc_ap import Matches
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.statistics import Ranking, Sample
from duskbench.benchmarks.store import ResultStore, Row, StoredImage


@dataclass(frozen=True)
class Boxes:
    """Ground truth or detections of many images as flat arrays, in the protocol's classes.

    Attributes:
        boxes_xyxy: (N, 4) float64.
        labels: (N,) int64 into the protocol's classes.
        images: (N,) int64 into the list of images.
        scores: (N,) float64; for ground truth all 1.
        difficult: (N,) bool; for detections all False.
        ordinals: (N,) int64: position among the objects of the image's record, or the detections of its row.
    """

    boxes_xyxy: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    scores: np.ndarray
    difficult: np.ndarray
    ordinals: np.ndarray

    def take(self, chosen: np.ndarray) -> Boxes:
        """Those of a mask or of indices."""
        return Boxes(**{name: column[chosen] for name, column in vars(self).items()})


@dataclass(frozen=True)
class RunImages:
    """The images of a run and what is to be found in them.

    Attributes:
        protocol: The run's.
        images: In the run's order; arrays of images index this list.
        truth: Objects of the protocol's classes in all of them.
        detector_classes: What the labels of stored rows index; empty without a detector.
    """

    protocol: Protocol
    images: tuple[StoredImage, ...]
    truth: Boxes
    detector_classes: tuple[str, ...]

    def objects(self, counted: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Class -> (images,) objects to find in each image; `counted` (objects,) bool leaves others out."""
        easy = ~self.truth.difficult if counted is None else counted & ~self.truth.difficult
        return {
            name: np.bincount(self.truth.images[easy & (self.truth.labels == label)], minlength=len(self.images))
            for label, name in enumerate(self.protocol.classes)
        }


@dataclass(frozen=True)
class Measured:
    """The rows of one enhancer.

    Attributes:
        label: Row of the table.
        rows: Position of the image -> row, of the images that have a result.
        failures: Image id -> reason.
        error: Why the enhancer could not be built; there are no rows then.
    """

    label: str
    rows: dict[int, Row] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    error: str | None = None

    def mask(self, n_images: int) -> np.ndarray:
        """(n_images,) bool: which images have a result."""
        mask = np.zeros(n_images, bool)
        mask[list(self.rows)] = True
        return mask

    def niqe(self, n_images: int) -> np.ndarray:
        """(n_images,) float64, NaN where there is none."""
        values = np.full(n_images, np.nan)
        for position, row in self.rows.items():
            if row.niqe is not None:
                values[position] = row.niqe
        return values


def read_run_images(store: ResultStore, record: Mapping[str, Any]) -> RunImages:
    """Read the images of a run with their ground truth."""
    protocol = Protocol.from_config(record["protocol"])
    known = store.images()
    images = tuple(known[image_id] for image_id in record["image_ids"])
    classes = store.detector_classes(record["detector"]["fingerprint"])
    return RunImages(protocol, images, ground_truth(images, protocol), classes)


def read_measured(store: ResultStore, record: Mapping[str, Any], run: RunImages) -> Iterator[Measured]:
    """Read the rows of a run, one enhancer at a time; rows of an earlier state of an image file are left out."""
    position = {image.record.id: number for number, image in enumerate(run.images)}
    for enhancer in record["enhancers"]:
        if enhancer["error"] is not None:
            yield Measured(enhancer["label"], error=enhancer["error"])
            continue
        stored = store.rows(
            enhancer=enhancer["fingerprint"], detector=record["detector"]["fingerprint"], measure=record["measure"]
        )
        current = {
            number: row
            for row in stored
            if (number := position.get(row.key.image_id)) is not None and run.images[number].content == row.key.sha256
        }
        ordered = [(number, current[number]) for number in sorted(current)]
        yield Measured(
            enhancer["label"],
            rows={number: row for number, row in ordered if row.error is None},
            failures={row.key.image_id: row.error for _, row in ordered if row.error is not None},
        )


def has_detections(measured: Measured, run: RunImages) -> bool:
    """Whether an AP can be made: there is a detector, and every image with a result has ground truth."""
    known = all(run.images[number].record.objects is not None for number in measured.rows)
    return bool(run.detector_classes and measured.rows and known)


def found_by(measured: Measured, run: RunImages) -> Boxes:
    """The detections of one enhancer; `images` index the run's."""
    found = detections(list(measured.rows.values()), run.detector_classes, run.protocol)
    return replace(found, images=np.array(list(measured.rows), np.int64)[found.images])


def to_sample(measured: Measured, run: RunImages, found: Boxes | None = None, matches: Matches | None = None) -> Sample:
    """What resampling needs of one enhancer; without detections only its NIQE."""
    n = len(run.images)
    rankings: dict[str, Ranking] = {}
    if found is not None and matches is not None:
        counted = matches.tp | matches.fp
        for name, ranked in zip(run.protocol.classes, matches.ranked, strict=True):
            chosen = ranked[counted[ranked]]
            rankings[name] = Ranking(found.images[chosen], matches.tp[chosen])
    return Sample(measured.label, measured.mask(n), measured.niqe(n), rankings)


def ground_truth(images: Sequence[StoredImage], protocol: Protocol, *, plus_one: bool | None = None) -> Boxes:
    """Ground truth of the protocol's classes, in the protocol's frame (see `Protocol.plus_one`)."""
    index = {name: i for i, name in enumerate(protocol.classes)}
    objects = [
        (number, ordinal, index[o.name], o)
        for number, image in enumerate(images)
        for ordinal, o in enumerate(image.record.objects or ())
        if o.name in index
    ]
    boxes = np.array([o.box_xyxy for *_, o in objects], np.float64).reshape(-1, 4)
    if protocol.plus_one if plus_one is None else plus_one:
        boxes = boxes - np.array([0.0, 0.0, 1.0, 1.0])
    return Boxes(
        boxes_xyxy=boxes,
        labels=np.array([label for _, _, label, _ in objects], np.int64),
        images=np.array([number for number, *_ in objects], np.int64),
        scores=np.ones(len(objects)),
        difficult=np.array([o.difficult for *_, o in objects], bool),
        ordinals=np.array([ordinal for _, ordinal, *_ in objects], np.int64),
    )


def detections(rows: Sequence[Row], classes: Sequence[str], protocol: Protocol) -> Boxes:
    """Stored detections of the protocol's classes; those of every other class are dropped."""
    index = {name: i for i, name in enumerate(protocol.classes)}
    translate = np.array([index.get(name, -1) for name in classes], np.int64)
    found = [row for row in enumerate(rows) if row[1].boxes_xyxy is not None]
    sizes = [len(_array(r.scores)) for _, r in found]
    images = np.repeat(np.array([n for n, _ in found], np.int64), sizes)
    labels = np.concatenate([translate[_array(r.labels)] for _, r in found] or [np.zeros(0, np.int64)])
    boxes = np.concatenate([_array(r.boxes_xyxy) for _, r in found] or [np.zeros((0, 4))]).astype(np.float64)
    scores = np.concatenate([_array(r.scores) for _, r in found] or [np.zeros(0)]).astype(np.float64)
    ordinals = np.concatenate([np.arange(size) for size in sizes] or [np.zeros(0, np.int64)])
    all_found = Boxes(boxes, labels, images, scores, np.zeros(len(labels), bool), ordinals)
    return all_found.take(labels >= 0)


def _array(values: np.ndarray | None) -> np.ndarray:
    return np.zeros(0) if values is None else values
