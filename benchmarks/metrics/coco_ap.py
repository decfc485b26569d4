"""COCO's average precision, through pycocotools, of the same plain arrays that `voc_ap` takes."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from duskbench.benchmarks.metrics.base import DetectionMetric, Ranked, Ranking
from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.data_tools.errors import DataError

# Detections of an image and class that COCO looks at.
_MOST = 100


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
    evaluation = _evaluate(
        (gt_boxes, gt_labels, gt_images, gt_difficult), (det_boxes, det_scores, det_labels, det_images), n_classes
    )
    if evaluation is None:
        return CocoAP(None, None, None, (None,) * n_classes)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
    # (IoU thresholds, recalls, classes), -1 where a class has nothing to find.
    precision = evaluation.eval["precision"][..., 0, 0]
    return CocoAP(
        _mean(precision),
        _mean(precision[0]),
        _mean(precision[5]),
        tuple(_mean(precision[:, :, label]) for label in range(n_classes)),
    )


def _evaluate(truth: Sequence[np.ndarray], found: Sequence[np.ndarray], n_classes: int) -> Any:
    """Match with pycocotools, over all sizes, the best 100 detections of an image and class; None without images."""
    from pycocotools.cocoeval import COCOeval

    for what, columns in (("ground truth", truth), ("detections", found)):
        if len({len(column) for column in columns}) != 1:
            raise DataError("The lengths differ.", where=what, got=", ".join(str(len(column)) for column in columns))
    (gt_boxes, gt_labels, gt_images, gt_difficult), (det_boxes, det_scores, det_labels, det_images) = truth, found
    for what, labels in (("ground truth", gt_labels), ("detections", det_labels)):
        if len(labels) and not (np.min(labels) >= 0 and np.max(labels) < n_classes):
            raise DataError("A label names no class.", where=what, expected=f"0 to {n_classes - 1}")
    images = np.union1d(gt_images, det_images).astype(np.int64).tolist()
    if not images:
        return None
    # pycocotools reports on standard output; the numbers are taken from its arrays instead.
    with contextlib.redirect_stdout(io.StringIO()):
        objects = _indexed(images, n_classes, gt_boxes, gt_labels, gt_images, iscrowd=np.asarray(gt_difficult, int))
        results = _indexed(images, n_classes, det_boxes, det_labels, det_images, score=np.asarray(det_scores, float))
        evaluation = COCOeval(objects, results, "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [_MOST]
        evaluation.evaluate()
    return evaluation


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


class CocoAPMetric(DetectionMetric):
    """COCO's AP, mean over IoU 0.50, 0.55, ... 0.95; see `coco_ap`."""

    key, heading = "coco AP50:95", "COCO AP50:95"
    thresholds = slice(None)

    def rank(self, truth: Boxes, found: Boxes, classes: Sequence[str]) -> Ranked:
        """Match by COCO's rules, with pycocotools."""
        return Ranked({n: of[self.thresholds] for n, of in _rankings(truth, found, tuple(classes)).items()}, "101point")

    def describe(self) -> str:
        """How it is computed."""
        return (
            f"{self.heading}: by pycocotools' matching, 101 recall points, all sizes, at most {_MOST} detections of an "
            "image and class, difficult objects as crowds."
        )


class CocoAP50Metric(CocoAPMetric):
    """COCO's AP at IoU 0.50."""

    key, heading = "coco AP50", "COCO AP50"
    thresholds = slice(0, 1)


class CocoAP75Metric(CocoAPMetric):
    """COCO's AP at IoU 0.75."""

    key, heading = "coco AP75", "COCO AP75"
    thresholds = slice(5, 6)


def _rankings(truth: Boxes, found: Boxes, classes: tuple[str, ...]) -> dict[str, tuple[Ranking, ...]]:
    """Class -> ranking at each of the ten overlaps, as `COCOeval.accumulate` orders and counts detections."""
    global _newest  # noqa: PLW0603 - three metrics ask for the same matching one after the other
    if _newest is not None and _newest[0] is truth and _newest[1] is found:
        return _newest[2]
    evaluation = _evaluate(
        (truth.boxes_xyxy, truth.labels, truth.images, truth.difficult),
        (found.boxes_xyxy, found.scores, found.labels, found.images),
        len(classes),
    )
    made: dict[str, tuple[Ranking, ...]] = {}
    if evaluation is not None:
        images = evaluation.params.imgIds
        for label, name in enumerate(classes):
            here = evaluation.evalImgs[label * len(images) : (label + 1) * len(images)]
            made[name] = _class_rankings([each for each in here if each is not None], len(evaluation.params.iouThrs))
    _newest = (truth, found, made)
    return made


def _class_rankings(per_image: Sequence[dict[str, Any]], n_thresholds: int) -> tuple[Ranking, ...]:
    if not per_image:
        return (Ranking(np.zeros(0, np.int64), np.zeros(0, bool)),) * n_thresholds
    scores = np.concatenate([each["dtScores"] for each in per_image])
    order = np.argsort(-scores, kind="stable")
    images = np.concatenate([np.full(len(each["dtScores"]), each["image_id"], np.int64) for each in per_image])[order]
    positions = np.concatenate([np.array(each["dtIds"], np.int64) - 1 for each in per_image])[order]
    hit = np.concatenate([each["dtMatches"] for each in per_image], axis=1)[:, order] > 0
    ignored = np.concatenate([each["dtIgnore"] for each in per_image], axis=1)[:, order].astype(bool)
    return tuple(Ranking(images[~i], h[~i], positions[~i]) for h, i in zip(hit, ignored, strict=True))


_newest: tuple[Boxes, Boxes, dict[str, tuple[Ranking, ...]]] | None = None
