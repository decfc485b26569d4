"""COCO's average precision, through pycocotools, of the same plain arrays that `voc_ap` takes."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from duskbench.data_tools.errors import DataError


@dataclass(frozen=True)
class CocoAP:
    """COCO's figures in [0, 1]; None where there is no object to find.

    Attributes:
        ap: Mean over classes and over IoU 0.50, 0.55, ... 0.95 (`AP50:95`).
        ap50: At IoU 0.50.
        ap75: At IoU 0.75.
        per_class: `AP50:95` of each class.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    per_class: tuple[float | None, ...]


def coco_ap(
    gt_boxes: np.ndarray,
    gt_labels: np.ndarray,
    gt_images: np.ndarray,
    gt_difficult: np.ndarray,
    det_boxes: np.ndarray,
    det_scores: np.ndarray,
    det_labels: np.ndarray,
    det_images: np.ndarray,
    n_classes: int,
) -> CocoAP:
    """COCO AP over all sizes, at most 100 detections per image and class.

    A difficult object becomes `iscrowd`, as in the usual conversions of VOC to COCO: detections on it are ignored, any
    number of them. COCO measures their overlap as the share of the detection that lies inside the object, so slightly
    more detections are ignored than under VOC's rules.

    Args:
        gt_boxes: (G, 4), x1 y1 x2 y2, end-exclusive.
        gt_labels: (G,) integers in [0, n_classes).
        gt_images: (G,) integers.
        gt_difficult: (G,) bool or 0/1.
        det_boxes: (D, 4), in the same frame.
        det_scores: (D,).
        det_labels: (D,) integers in [0, n_classes).
        det_images: (D,) integers.
        n_classes: Number of classes.

    Raises:
        DataError: Arrays whose lengths differ, or labels out of range.

    Source: pycocotools `cocoeval.py`, https://cocodataset.org/#detection-eval.
    """
    from pycocotools.cocoeval import COCOeval

    for what, columns in (
        ("ground truth", (gt_boxes, gt_labels, gt_images, gt_difficult)),
        ("detections", (det_boxes, det_scores, det_labels, det_images)),
    ):
        if len({len(column) for column in columns}) != 1:
            raise DataError("The lengths differ.", where=what, got=", ".join(str(len(column)) for column in columns))
    for what, labels in (("ground truth", gt_labels), ("detections", det_labels)):
        if len(labels) and not (np.min(labels) >= 0 and np.max(labels) < n_classes):
            raise DataError("A label names no class.", where=what, expected=f"0 to {n_classes - 1}")

    images = np.union1d(gt_images, det_images).astype(np.int64).tolist()
    # pycocotools reports on standard output; the numbers are taken from its arrays instead.
    with contextlib.redirect_stdout(io.StringIO()):
        truth = _indexed(images, n_classes, gt_boxes, gt_labels, gt_images, iscrowd=np.asarray(gt_difficult, dtype=int))
        found = _indexed(
            images, n_classes, det_boxes, det_labels, det_images, score=np.asarray(det_scores, dtype=float)
        )
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [100]
        if images:
            evaluation.evaluate()
            evaluation.accumulate()
    if not images:
        return CocoAP(None, None, None, (None,) * n_classes)
    # (IoU thresholds, recalls, classes), -1 where a class has nothing to find.
    precision = evaluation.eval["precision"][..., 0, 0]
    return CocoAP(
        _mean(precision),
        _mean(precision[0]),
        _mean(precision[5]),
        tuple(_mean(precision[:, :, label]) for label in range(n_classes)),
    )


def _indexed(
    images: list[int],
    n_classes: int,
    boxes: np.ndarray,
    labels: np.ndarray,
    box_images: np.ndarray,
    **extra: np.ndarray,
) -> Any:
    from pycocotools.coco import COCO

    corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    xywh = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    ((name, values),) = extra.items()
    columns = zip(
        xywh.tolist(),
        (xywh[:, 2] * xywh[:, 3]).tolist(),
        np.asarray(labels, dtype=np.int64).tolist(),
        np.asarray(box_images, dtype=np.int64).tolist(),
        values.tolist(),
        strict=True,
    )
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image} for image in images],
        "categories": [{"id": label} for label in range(n_classes)],
        "annotations": [
            # Identifiers start at 1: pycocotools takes a match with object 0 for no match.
            {"id": i, "bbox": box, "area": area, "category_id": label, "image_id": image, "iscrowd": 0, name: value}
            for i, (box, area, label, image, value) in enumerate(columns, start=1)
        ],
    }
    coco.createIndex()
    return coco


def _mean(precision: np.ndarray) -> float | None:
    values = precision[precision > -1]
    return float(values.mean()) if values.size else None
