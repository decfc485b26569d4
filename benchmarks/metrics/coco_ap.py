"""COCO's average precision, of the same plain arrays that `voc_ap` takes: pycocotools' numbers, for all images at once.

Source: pycocotools `cocoeval.py` (`evaluateImg`, `accumulate`) and `maskApi.c` (`bbIou`);
https://cocodataset.org/#detection-eval.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from duskbench.benchmarks.metrics.base import DetectionMetric, Ranked, Ranking
from duskbench.benchmarks.metrics.boxes import Boxes, check_boxes, check_column, check_whole_column, pairs
from duskbench.benchmarks.metrics.voc_ap import average_precision, precision_recall

# Source of all three: pycocotools cocoeval.py, Params.setDetParams. Spelt as there, for the last bit.
IOU_THRESHOLDS: np.ndarray = np.linspace(0.5, 0.95, 10)
# Detections of an image and class that COCO looks at.
_MOST = 100
# Square pixels; what is larger is ignored.
_LARGEST = 1e5**2


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

    >>> whole = np.array([[0.0, 0.0, 10.0, 10.0]])
    >>> zero = np.array([0])
    >>> found = np.array([[0.0, 0.0, 10.0, 7.2]])
    >>> coco_ap(whole, zero, zero, zero, found, np.array([0.9]), zero, zero, n_classes=2)
    CocoAP(ap=0.5, ap50=1.0, ap75=0.0, per_class=(0.5, None))

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
        DataError: Shapes that do not fit, labels out of range, NaN or infinite numbers.
    """
    gt_xyxy, gt_label, gt_image = check_boxes("ground truth", gt_boxes, gt_labels, gt_images, n_classes)
    det_xyxy, det_label, det_image = check_boxes("detections", det_boxes, det_labels, det_images, n_classes)
    difficult = check_whole_column("gt_difficult", gt_difficult, len(gt_xyxy)).astype(bool)
    scores = check_column("det_scores", det_scores, len(det_xyxy)).astype(np.float64)
    truth = Boxes(gt_xyxy, gt_label, gt_image, np.ones(len(difficult)), difficult, np.arange(len(difficult)))
    found = Boxes(det_xyxy, det_label, det_image, scores, np.zeros(len(scores), bool), np.arange(len(scores)))

    n_gt = np.bincount(gt_label[~_ignored(truth)], minlength=n_classes)
    # (thresholds, classes), NaN where a class has nothing to find.
    ap = np.full((len(IOU_THRESHOLDS), n_classes), np.nan)
    for label, rankings in enumerate(rank(truth, found, n_classes)):
        if n_gt[label]:
            curves = [precision_recall(ranking.tp, ~ranking.tp, n_gt[label]) for ranking in rankings]
            ap[:, label] = [average_precision(*curve, "101point") for curve in curves]
    return CocoAP(_mean(ap), _mean(ap[0]), _mean(ap[5]), tuple(_mean(of_class) for of_class in ap.T))


def _mean(ap: np.ndarray) -> float | None:
    known = ap[~np.isnan(ap)]
    return float(known.mean()) if known.size else None


def rank(truth: Boxes, found: Boxes, n_classes: int) -> list[tuple[Ranking, ...]]:
    """Decide which detections found an object, at each of the ten overlaps.

    Args:
        truth: Objects; labels in [0, n_classes).
        found: Detections, likewise.
        n_classes: Number of classes.

    Returns:
        Of each class the rankings by rising overlap.
    """
    best, group = _best_of_each_image(found, n_classes)
    candidates, hit, ignored = _match(truth, found, best, group, n_classes)
    # Position among `best` -> among `candidates`; the last stands for those that overlap nothing.
    place = np.full(len(found.scores), len(candidates))
    place[candidates] = np.arange(len(candidates))
    hit, ignored = (np.pad(flags, ((0, 0), (0, 1))) for flags in (hit, ignored))
    too_large = _too_large(found)
    # Groups go image by image, so that equal scores stay in the order of images.
    ranked = best[np.argsort(-found.scores[best], kind="stable")]
    rankings = []
    for label in range(n_classes):
        chosen = ranked[found.labels[ranked] == label]
        images, at, never = found.images[chosen], place[chosen], too_large[chosen]
        of_class: list[Ranking] = []
        before = None
        for hits, passed in zip(hit, ignored, strict=True):
            counted = ~(passed[at] | (never & ~hits[at]))
            # What is counted is mostly the same at all overlaps, and held once.
            same = before is not None and np.array_equal(counted, before)
            columns = (of_class[-1].images, of_class[-1].positions) if same else (images[counted], chosen[counted])
            of_class.append(Ranking(columns[0], hits[at][counted], columns[1]))
            before = counted
        rankings.append(tuple(of_class))
    return rankings


def _best_of_each_image(found: Boxes, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The best 100 detections of each image and class, image by image, best first, and (D,) the key of these two."""
    key = found.images * n_classes + found.labels
    order = np.lexsort((-found.scores, key))
    sorted_key = key[order]
    rank_in_group = np.arange(len(order)) - np.searchsorted(sorted_key, sorted_key)
    return order[rank_in_group < _MOST], key


def _match(
    truth: Boxes, found: Boxes, best: np.ndarray, key: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What became of the detections that overlap an object by half at least.

    A detection takes the object that it overlaps most among those still free, a crowd only where there is none; the
    last given, of equal ones. That depends on the detections of its image and class before it and on no others, so
    that the first of all images and classes are matched at once, then the second, at all overlaps together.

    Returns:
        (C,) these detections, and (thresholds, C) bool each: found an object or a crowd; that is to be ignored.
    """
    detection, gt, iou = _overlapping(truth, found, best, key, n_classes)
    unsorted = np.unique(detection)
    of_group = key[best[unsorted]]
    turn = np.arange(len(unsorted)) - np.searchsorted(of_group, of_group)
    crowd, ignored_gt = truth.crowd, _ignored(truth)
    turn_of_pair = turn[np.searchsorted(unsorted, detection)]
    # Turn by turn, detection by detection, and of each what it takes first.
    order = np.lexsort((-gt, -iou, ignored_gt[gt], detection, turn_of_pair))
    detection, gt, iou, turn_of_pair = detection[order], gt[order], iou[order], turn_of_pair[order]
    first = np.flatnonzero(np.diff(detection, prepend=-1))
    hit, ignored = (np.zeros((len(IOU_THRESHOLDS), len(first)), bool) for _ in range(2))
    taken = np.zeros((len(IOU_THRESHOLDS), len(truth.labels)), bool)
    enough = iou >= IOU_THRESHOLDS[:, None]
    ends = np.searchsorted(turn_of_pair[first], np.arange(turn.max(initial=-1) + 2))
    for begin, end in itertools.pairwise(ends.tolist()):
        last_pair = first[end] if end < len(first) else len(gt)
        here = slice(first[begin], last_pair)
        free = enough[:, here] & ~taken[:, gt[here]]
        number = np.where(free, np.arange(here.start, here.stop), len(gt))
        taken_pair = np.minimum.reduceat(number, first[begin:end] - first[begin], axis=1)
        threshold, column = np.nonzero(taken_pair < len(gt))
        objects = gt[taken_pair[threshold, column]]
        hit[threshold, begin + column] = True
        ignored[threshold, begin + column] = ignored_gt[objects]
        taken[threshold, objects] = ~crowd[objects]
    return best[detection[first]], hit, ignored


def _overlapping(
    truth: Boxes, found: Boxes, best: np.ndarray, key: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of a position in `best` and an object of the same image and class that overlap by half at least, and how.

    Source: `bbIou`, operation by operation.
    """
    kept: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = [(np.zeros(0, int), np.zeros(0, int), np.zeros(0))]
    gt_xywh, det_xywh = _xywh(truth), _xywh(found)
    for rows, counts, gt in pairs(truth.images * n_classes + truth.labels, key[best]):
        detection = np.repeat(rows, counts)
        a, b = det_xywh[best[detection]], gt_xywh[gt]
        size = np.minimum(a[:, 2:] + a[:, :2], b[:, 2:] + b[:, :2]) - np.maximum(a[:, :2], b[:, :2])
        shared = np.where((size > 0).all(axis=1), size[:, 0] * size[:, 1], 0.0)
        own = a[:, 2] * a[:, 3]
        whole = np.where(truth.crowd[gt], own, own + b[:, 2] * b[:, 3] - shared)
        iou = np.divide(shared, whole, out=np.zeros_like(whole), where=shared > 0)
        near = iou >= IOU_THRESHOLDS[0]
        kept.append((detection[near], gt[near], iou[near]))
    detection, gt, iou = (np.concatenate(column) for column in zip(*kept, strict=True))
    return detection, gt, iou


def _xywh(boxes: Boxes) -> np.ndarray:
    corners = boxes.boxes_xyxy
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def _too_large(boxes: Boxes) -> np.ndarray:
    """(N,) bool: whose area is outside of what COCO calls all sizes."""
    size = boxes.boxes_xyxy[:, 2:] - boxes.boxes_xyxy[:, :2]
    area = size[:, 0] * size[:, 1]
    return (area < 0) | (area > _LARGEST)


def _ignored(truth: Boxes) -> np.ndarray:
    """(G,) bool: the objects that are not to be found."""
    return truth.difficult | _too_large(truth)


class CocoAPMetric(DetectionMetric):
    """COCO's AP, mean over IoU 0.50, 0.55, ... 0.95; see `coco_ap`."""

    key, heading = "coco AP50:95", "COCO AP50:95"
    by_image = True
    thresholds = slice(None)

    def rank(self, truth: Boxes, found: Boxes, classes: Sequence[str]) -> Ranked:
        """Match by COCO's rules; see `rank`."""
        return Ranked({n: of[self.thresholds] for n, of in _rankings(truth, found, tuple(classes)).items()}, "101point")

    def describe(self) -> str:
        """How it is computed."""
        return (
            f"{self.heading}: by COCO's matching, 101 recall points, all sizes, at most {_MOST} detections of an "
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
    newest = _newest.get(found)
    if newest is not None and newest[0] is truth:
        return newest[1]
    made = dict(zip(classes, rank(truth, found, len(classes)), strict=True))
    _newest[found] = truth, made
    return made


# Detections -> the objects that they were matched with last, and the rankings: three metrics ask for the same.
_newest: WeakKeyDictionary[Boxes, tuple[Boxes, dict[str, tuple[Ranking, ...]]]] = WeakKeyDictionary()
