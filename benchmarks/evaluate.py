"""From stored rows to the numbers of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.metrics.coco_ap import coco_ap
from benchmarks.metrics.voc_ap import voc_ap
from benchmarks.protocol import Protocol
from benchmarks.store import ResultStore, Row, StoredImage


@dataclass(frozen=True)
class EnhancerResult:
    """What one enhancer reached.

    Attributes:
        label: Row of the table.
        n_images: Images with a result.
        n_expected: Images of the run.
        failures: Image id -> reason.
        niqe: Mean over the images that have one; None where none has.
        niqe_reasons: Reason -> number of images without a NIQE.
        niqe_by_group: Group -> mean.
        map: Mean AP over the protocol's classes, 0 to 1; None without detector or ground truth.
        ap: Class -> AP, None for a class without ground truth here.
        coco: AP50:95, AP50, AP75 by name; empty unless asked for.
        ms_enhance: Mean milliseconds per image.
        error: Why the enhancer could not be built.
    """

    label: str
    n_images: int
    n_expected: int
    failures: dict[str, str] = field(default_factory=dict)
    niqe: float | None = None
    niqe_reasons: dict[str, int] = field(default_factory=dict)
    niqe_by_group: dict[str, float | None] = field(default_factory=dict)
    map: float | None = None
    ap: dict[str, float | None] = field(default_factory=dict)
    coco: dict[str, float | None] = field(default_factory=dict)
    ms_enhance: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Boxes:
    """Ground truth or detections of many images as flat arrays, in the protocol's classes.

    Attributes:
        boxes_xyxy: (N, 4) float64.
        labels: (N,) int64 into the protocol's classes.
        images: (N,) int64 into the list of images.
        scores: (N,) float64; for ground truth all 1.
        difficult: (N,) bool; for detections all False.
    """

    boxes_xyxy: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    scores: np.ndarray
    difficult: np.ndarray


def evaluate(store: ResultStore, record: Mapping[str, Any], *, coco: bool = False) -> list[EnhancerResult]:
    """Compute every number of a run's table.

    Args:
        store: The results.
        record: The run's record, see `ResultStore.last_run`.
        coco: Whether to compute COCO AP as well (pycocotools, some seconds an enhancer at full size).

    Returns:
        One result per enhancer, in the run's order.
    """
    protocol = Protocol.from_config(record["protocol"])
    known = store.images()
    images = [known[image_id] for image_id in record["image_ids"]]
    classes = store.detector_classes(record["detector"]["fingerprint"])
    results = []
    for enhancer in record["enhancers"]:
        if enhancer["error"] is not None:
            results.append(EnhancerResult(enhancer["label"], 0, len(images), error=enhancer["error"]))
            continue
        rows = store.rows(
            enhancer=enhancer["fingerprint"], detector=record["detector"]["fingerprint"], measure=record["measure"]
        )
        by_image = {row.key.image_id: row for row in rows if _is_current(row, known.get(row.key.image_id))}
        results.append(_evaluate_one(enhancer["label"], images, by_image, classes, protocol, coco))
    return results


def _is_current(row: Row, image: StoredImage | None) -> bool:
    return image is not None and image.sha256 == row.key.sha256


def _evaluate_one(
    label: str,
    images: Sequence[StoredImage],
    by_image: Mapping[str, Row],
    classes: Sequence[str],
    protocol: Protocol,
    coco: bool,
) -> EnhancerResult:
    asked = [(image, by_image[image.record.id]) for image in images if image.record.id in by_image]
    measured = [(image, row) for image, row in asked if row.error is None]
    niqe = [row.niqe for _, row in measured]
    groups = sorted({image.record.group for image, _ in measured if image.record.group is not None})
    numbers: dict[str, Any] = {}
    if classes and measured and all(image.record.objects is not None for image, _ in measured):
        numbers = _detection_numbers(measured, classes, protocol, coco)
    return EnhancerResult(
        label=label,
        n_images=len(measured),
        n_expected=len(images),
        failures={image.record.id: row.error for image, row in asked if row.error is not None},
        niqe=_mean(niqe),
        niqe_reasons=dict(Counter(row.niqe_reason or "" for _, row in measured if row.niqe is None)),
        niqe_by_group={g: _mean([row.niqe for image, row in measured if image.record.group == g]) for g in groups},
        ms_enhance=_mean([row.ms_enhance for _, row in measured]),
        **numbers,
    )


def _detection_numbers(
    measured: Sequence[tuple[StoredImage, Row]], classes: Sequence[str], protocol: Protocol, coco: bool
) -> dict[str, Any]:
    truth = ground_truth([image for image, _ in measured], protocol)
    found = detections([row for _, row in measured], classes, protocol)
    result = voc_ap(
        truth.boxes_xyxy,
        truth.labels,
        truth.images,
        truth.difficult,
        found.boxes_xyxy,
        found.scores,
        found.labels,
        found.images,
        len(protocol.classes),
        iou_threshold=protocol.iou_threshold,
        mode=protocol.ap,
        strict=protocol.iou_match == ">",
        plus_one=protocol.plus_one,
    )
    numbers: dict[str, Any] = {"ap": dict(zip(protocol.classes, result.ap, strict=True)), "map": result.mean()}
    if coco:
        # COCO's boxes are continuous whatever the VOC protocol says.
        continuous = ground_truth([image for image, _ in measured], protocol, plus_one=False)
        scored = coco_ap(
            continuous.boxes_xyxy,
            continuous.labels,
            continuous.images,
            continuous.difficult,
            found.boxes_xyxy,
            found.scores,
            found.labels,
            found.images,
            len(protocol.classes),
        )
        numbers["coco"] = {"AP50:95": scored.ap, "AP50": scored.ap50, "AP75": scored.ap75}
    return numbers


def ground_truth(images: Sequence[StoredImage], protocol: Protocol, *, plus_one: bool | None = None) -> Boxes:
    """Ground truth of the protocol's classes, in the protocol's frame (see `Protocol.plus_one`)."""
    index = {name: i for i, name in enumerate(protocol.classes)}
    objects = [
        (number, index[o.name], o)
        for number, image in enumerate(images)
        for o in image.record.objects or ()
        if o.name in index
    ]
    boxes = np.array([o.box_xyxy for _, _, o in objects], np.float64).reshape(-1, 4)
    if protocol.plus_one if plus_one is None else plus_one:
        boxes = boxes - np.array([0.0, 0.0, 1.0, 1.0])
    return Boxes(
        boxes_xyxy=boxes,
        labels=np.array([label for _, label, _ in objects], np.int64),
        images=np.array([number for number, _, _ in objects], np.int64),
        scores=np.ones(len(objects)),
        difficult=np.array([o.difficult for _, _, o in objects], bool),
    )


def detections(rows: Sequence[Row], classes: Sequence[str], protocol: Protocol) -> Boxes:
    """Stored detections of the protocol's classes; those of every other class are dropped."""
    index = {name: i for i, name in enumerate(protocol.classes)}
    translate = np.array([index.get(name, -1) for name in classes], np.int64)
    found = [row for row in enumerate(rows) if row[1].boxes_xyxy is not None]
    images = np.concatenate([np.full(len(_array(r.scores)), n, np.int64) for n, r in found] or [np.zeros(0, np.int64)])
    labels = np.concatenate([translate[_array(r.labels)] for _, r in found] or [np.zeros(0, np.int64)])
    boxes = np.concatenate([_array(r.boxes_xyxy) for _, r in found] or [np.zeros((0, 4))]).astype(np.float64)
    scores = np.concatenate([_array(r.scores) for _, r in found] or [np.zeros(0)]).astype(np.float64)
    keep = labels >= 0
    return Boxes(boxes[keep], labels[keep], images[keep], scores[keep], np.zeros(int(keep.sum()), bool))


def _array(values: np.ndarray | None) -> np.ndarray:
    return np.zeros(0) if values is None else values


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None
