"""The stored rows of a run as arrays: what there was to find, and what was found."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from duskbench.benchmarks.bootstrap import Bootstrap
from duskbench.benchmarks.found import Found, in_one
from duskbench.benchmarks.metric_code import load_needed, needs_code, with_coco
from duskbench.benchmarks.metrics.base import Metric
from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import DetectorEntry, EnhancerEntry, MetricEntry, RunRecord
from duskbench.benchmarks.rows import Detected, Row, StoredImage
from duskbench.benchmarks.statistics import Aggregate
from duskbench.benchmarks.store import RESULTS, ResultStore
from duskbench.data_tools.classes import class_key
from duskbench.pipeline.allocator import give_back_freed_memory

# So many images are converted and matched at once.
IMAGES_AT_A_TIME = 1024
# What is left of a row's detections; one for all rows, as its arrays take more bytes than the rest of a row.
_NOTHING = Detected()


@dataclass(frozen=True)
class RunImages:
    """The images of a run and what is to be found in them.

    Attributes:
        record: The run's.
        images: In the run's order; arrays of images index this list.
        truth: Objects of the protocol's classes in all of them.
        metrics: Key of a metric -> its code, of those whose numbers need it and whose code can be had.
        cautions: On each whose code has gone or is not the run's any more, a sentence each.
        path: The results file, for errors.
    """

    record: RunRecord
    images: tuple[StoredImage, ...]
    truth: Boxes
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    cautions: tuple[str, ...] = ()
    path: Path = Path()

    @property
    def protocol(self) -> Protocol:
        """The run's."""
        return self.record.protocol

    def only(self, ids: Sequence[str]) -> RunImages:
        """Some of the images, in this order; their rows are read without those of the others."""
        by_id = {image.record.id: image for image in self.images}
        images = tuple(by_id[image_id] for image_id in ids)
        return replace(self, images=images, truth=ground_truth(images, self.protocol))

    def objects(self, counted: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Class -> (images,) objects to find in each image; `counted` (objects,) bool leaves others out."""
        easy = ~self.truth.difficult if counted is None else counted & ~self.truth.difficult
        return {
            name: np.bincount(self.truth.images[easy & (self.truth.labels == label)], minlength=len(self.images))
            for label, name in enumerate(self.protocol.classes)
        }

    def aggregates(self) -> dict[str, Aggregate]:
        """For `Bootstrap`: the scores that are no plain mean."""
        return {
            c.key: self.metrics[c.metric.key].aggregate  # type: ignore[attr-defined]
            for c in self.record.columns()
            if not c.metric.is_mean and self.can_compute(c.metric)
        }

    def resampled(self, within: np.ndarray, objects: Mapping[str, np.ndarray] | None = None) -> Bootstrap:
        """Resamples of some of the images, (N,) bool; of all objects, or of others than `objects()`."""
        options = self.record.bootstrap
        clusters = options.clusters([image.record.id for image in self.images])
        objects = self.objects() if objects is None else objects
        return Bootstrap(objects, options, within=within, aggregates=self.aggregates(), clusters=clusters)

    def can_compute(self, metric: MetricEntry) -> bool:
        """Whether the code is there that a metric's number needs."""
        return metric.key in self.metrics or not needs_code(metric)


@dataclass(frozen=True)
class EnhancerRows:
    """The rows of one enhancer.

    Attributes:
        entry: Of the run's record.
        rows: Position of the image -> row, of the images that have a whole result; of detections it has but the times.
        failures: Image id -> reason.
        found: Fingerprint of a detector -> what it found in these images, some images at a time; until it is in `boxes`
            or `samples.sample_of` has ranked it.
        boxes: What was found by the detector of that fingerprint, and under "" the objects of these images; there once
            somebody asked, so that they are matched once for all uses. See `found_by` and `objects_of`.
    """

    entry: EnhancerEntry
    rows: dict[int, Row] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    found: dict[str, list[Found]] = field(default_factory=dict)
    boxes: dict[str, Boxes] = field(default_factory=dict, repr=False)

    @property
    def label(self) -> str:
        """Row of the table."""
        return self.entry.label

    def mask(self, n_images: int) -> np.ndarray:
        """(n_images,) bool: which images have a result."""
        mask = np.zeros(n_images, bool)
        mask[list(self.rows)] = True
        return mask

    def values(self, metric: str, n_images: int) -> np.ndarray:
        """(n_images,) float64 of the metric of that fingerprint, NaN where there is none."""
        values = np.full(n_images, np.nan)
        for position, row in self.rows.items():
            measured = row.values.get(metric)
            if measured is not None and measured.number is not None:
                values[position] = measured.number
        return values


def read_run_images(store: ResultStore, record: RunRecord) -> RunImages:
    """Read the images of a run with their ground truth.

    Args:
        store: The results.
        record: The run's.
    """
    images = store.images_of(record)
    metrics, cautions = load_needed(record)
    return RunImages(record, images, ground_truth(images, record.protocol), metrics, cautions, store.path)


@contextmanager
def open_run(
    run_dir: Path, record: RunRecord | None = None, *, coco: bool = False
) -> Iterator[tuple[ResultStore, RunImages]]:
    """The results of a folder, to be read, and the images of a run.

    Args:
        run_dir: The folder.
        record: The run's; None for the newest.
        coco: Whether to add COCO's metrics to it.

    Raises:
        DataError: There are no results in the folder, or they are damaged.
    """
    with ResultStore(run_dir / RESULTS, reading=True) as store:
        record = record or store.last_run()
        yield store, read_run_images(store, with_coco(record) if coco else record)


def read_enhancers(store: ResultStore, run: RunImages, first: Collection[str] = ()) -> Iterator[EnhancerRows]:
    """Read the rows of a run, one enhancer at a time; rows of an earlier state of an image file are left out.

    Memory holds the detections of one enhancer as long as the caller drops them before it asks for the next, as `map`
    does and a loop does not.

    Args:
        store: The results.
        run: Its images.
        first: Labels of the enhancers that come before the others; else they come in the run's order.
    """
    position = {image.record.id: number for number, image in enumerate(run.images)}
    enhancers = sorted(run.record.enhancers, key=lambda entry: entry.label not in first)
    return map(partial(_read_enhancer, store, run, position), enhancers)


def _read_enhancer(
    store: ResultStore, run: RunImages, position: Mapping[str, int], entry: EnhancerEntry
) -> EnhancerRows:
    # What is left of the enhancer before lies between free blocks that the next one's larger arrays do not fit.
    give_back_freed_memory()
    record, rows, failures = run.record, {}, {}
    waiting: dict[str, dict[int, Detected]] = {}
    found: dict[str, list[Found]] = {}
    # All rows in one pass, but for a few images of many.
    ids = list(position) if len(position) < len(record.image_ids) else None
    for row in store.rows(record, entry, ids) if entry.error is None else ():
        number = position.get(row.key.image_id)
        if number is None or run.images[number].content(record.decoder) != row.key.content:
            continue
        error = row.first_error()
        if error is not None:
            failures[number] = error
        elif not row.lacks(record.wanted_of(entry)):
            for detector, detected in row.detections.items():
                of = waiting.setdefault(detector, {})
                of[number] = detected
                if len(of) == IMAGES_AT_A_TIME:
                    found.setdefault(detector, []).append(Found.of(waiting.pop(detector)))
            times = {detector: replace(_NOTHING, ms=detected.ms) for detector, detected in row.detections.items()}
            rows[number] = replace(row, detections=times)
        # Else measured before one of the run's metrics or detectors was asked for, and interrupted since.
    for detector, of in waiting.items():
        found.setdefault(detector, []).append(Found.of(of))
    by_id = {run.images[number].record.id: failures[number] for number in sorted(failures)}
    return EnhancerRows(entry, {number: rows[number] for number in sorted(rows)}, by_id, found)


def gaps(run: RunImages, masks: Mapping[str, np.ndarray]) -> list[str]:
    """Which rows of a table stand on fewer images or trainings than the run has, a sentence each.

    Args:
        run: Its images.
        masks: Label of each enhancer with a result -> (images,) bool: which have one.
    """
    n, said = len(run.images), []
    for label, lacks in lacking(run, masks).items():
        entries = run.record.rows[label]
        there = sum(entry.label in masks for entry in entries)
        if lacks:
            share = f"over {n - len(lacks)} of {n} images" if there else "no image has a result"
            said.append(f"{label}: {share}.")
        if 0 < there < len(entries):
            said.append(f"{label}: {there} of {len(entries)} trainings measured.")
    return said


def lacking(run: RunImages, masks: Mapping[str, np.ndarray]) -> dict[str, frozenset[int]]:
    """Which of the run's images the numbers of each row of a table are not over; arguments as of `gaps`."""
    lacks = {}
    for label, entries in run.record.rows.items():
        there = [masks[entry.label] for entry in entries if entry.label in masks]
        whole = np.all(there, axis=0) if there else np.zeros(len(run.images), bool)
        lacks[label] = frozenset(np.flatnonzero(~whole).tolist())
    return lacks


def fewest_lacking(each: Iterable[frozenset[int]]) -> frozenset[int]:
    """What rows of a table must lack to compete for the best value: images that the one over the most images lacks."""
    return min(each, key=len, default=frozenset())


def has_detections(rows: EnhancerRows, run: RunImages) -> bool:
    """Whether an AP can be made: there is a detector, and every image with a result has ground truth."""
    known = all(run.images[number].record.objects is not None for number in rows.rows)
    return bool(run.record.detectors and rows.rows and known)


def found_by(rows: EnhancerRows, run: RunImages, detector: DetectorEntry) -> Boxes:
    """What a detector found in one enhancer's images; `images` index the run's."""
    name = detector.fingerprint
    if name not in rows.boxes:
        rows.boxes[name] = in_one([part.boxes(detector.classes, run.protocol) for part in rows.found.pop(name)])
    return rows.boxes[name]


def objects_of(rows: EnhancerRows, run: RunImages) -> Boxes:
    """The run's objects in the images that an enhancer has a result of."""
    if "" not in rows.boxes:
        rows.boxes[""] = run.truth.take(rows.mask(len(run.images))[run.truth.images])
    return rows.boxes[""]


def ground_truth(images: Sequence[StoredImage], protocol: Protocol) -> Boxes:
    """Ground truth of the protocol's classes."""
    index = {class_key(name): i for i, name in enumerate(protocol.classes)}
    objects = [
        (number, ordinal, index[name], o)
        for number, image in enumerate(images)
        for ordinal, o in enumerate(image.record.objects or ())
        if (name := class_key(o.name)) in index
    ]
    return Boxes(
        boxes_xyxy=np.array([o.box_xyxy for *_, o in objects], np.float64).reshape(-1, 4),
        labels=np.array([label for _, _, label, _ in objects], np.int64),
        images=np.array([number for number, *_ in objects], np.int64),
        scores=np.ones(len(objects)),
        difficult=np.array([o.difficult for *_, o in objects], bool),
        ordinals=np.array([ordinal for _, ordinal, *_ in objects], np.int64),
    )
