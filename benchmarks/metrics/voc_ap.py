"""Average precision of PASCAL VOC, of plain arrays, in float64 and with stable sorting.

`match` decides once for every detection whether it is a true positive, a false positive or ignored;
`precision_recall` and `average_precision` turn those flags into a number, with weights where images are resampled.
`voc_ap` does both.

Source: section 3.4.1 of the VOC2007 devkit documentation; VOCdevkit `VOCevaldet.m` and its Python port `voc_eval.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args
from weakref import WeakKeyDictionary

import numpy as np

from duskbench.benchmarks.metrics.base import DetectionMetric, Mode, Ranked, Ranking
from duskbench.benchmarks.metrics.boxes import Boxes, check_boxes, check_column, check_whole_column, pairs
from duskbench.benchmarks.protocol import Protocol
from duskbench.data_tools.errors import ConfigError

# Recalls at which the envelope of the precision is read. Spelt as in the references, for the last bit: of VOC's eleven
# the fourth is a hair above 0.3, and a recall of 3/10 misses it.
# Source: VOCdevkit `VOCevaldet.m`; pycocotools cocoeval.py, Params.setDetParams.
RECALL_THRESHOLDS: dict[Mode, np.ndarray] = {
    "11point": np.arange(0.0, 1.1, 0.1),
    "101point": np.linspace(0.0, 1.0, 101),
}


@dataclass(frozen=True)
class Matches:
    """What became of every detection.

    Attributes:
        tp: (D,) bool, in the order the detections were given: hit an object first.
        fp: (D,) bool: hit nothing, or an object already hit. Neither `tp` nor `fp`: hit a difficult object, ignored.
        gt_index: (D,) int64, the object of its class and image that it overlaps most, -1 where none overlaps.
        iou: (D,) float64, the overlap with that object.
        order: (D,) int64, indices into the detections, best score first; ties by image, then by position.
        ranked: One array of indices into the detections per class, best score first; ties by image, then by position.
    """

    tp: np.ndarray
    fp: np.ndarray
    gt_index: np.ndarray
    iou: np.ndarray
    order: np.ndarray
    ranked: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class VocAP:
    """Average precision of every class.

    Attributes:
        ap: One number in [0, 1] per class, or None where the class has no object that is not difficult.
        n_gt: Objects of each class that are not difficult.
        n_det: Detections of each class.
        recall: Per class (n_det,) float64 by rank; empty where `ap` is None.
        precision: Likewise.
        matches: The fate of each detection, for breakdowns and resampling.
    """

    ap: tuple[float | None, ...]
    n_gt: tuple[int, ...]
    n_det: tuple[int, ...]
    recall: tuple[np.ndarray, ...]
    precision: tuple[np.ndarray, ...]
    matches: Matches

    def mean(self, classes: Sequence[int] | None = None) -> float | None:
        """Mean AP over the given class indices (default: all) that have a value; None if none has."""
        chosen = range(len(self.ap)) if classes is None else classes
        values = [value for value in (self.ap[c] for c in chosen) if value is not None]
        return float(np.mean(values)) if values else None


def voc_ap(
    gt_boxes: np.ndarray,
    gt_labels: np.ndarray,
    gt_images: np.ndarray,
    gt_difficult: np.ndarray,
    det_boxes: np.ndarray,
    det_scores: np.ndarray,
    det_labels: np.ndarray,
    det_images: np.ndarray,
    n_classes: int,
    *,
    iou_threshold: float = 0.5,
    mode: Mode = "11point",
    strict: bool = False,
    plus_one: bool = False,
) -> VocAP:
    """Average precision of each class, from all objects and all detections of a data set at once.

    >>> whole = np.array([[0.0, 0.0, 10.0, 10.0]])
    >>> zero = np.array([0])
    >>> voc_ap(whole, zero, zero, zero, whole, np.array([0.9]), zero, zero, n_classes=2).ap
    (1.0, None)

    Args:
        gt_boxes: (G, 4), x1 y1 x2 y2.
        gt_labels: (G,) integers in [0, n_classes).
        gt_images: (G,) integers: which image an object is in.
        gt_difficult: (G,) bool or 0/1. A detection of a difficult object counts neither way.
        det_boxes: (D, 4), in the same frame as `gt_boxes`.
        det_scores: (D,), the higher the surer.
        det_labels: (D,) integers in [0, n_classes).
        det_images: (D,) integers.
        n_classes: Number of classes.
        iou_threshold: Overlap from which a detection matches.
        mode: `11point` (VOC2007), `area` under the monotone envelope (VOC2010 and later), or `101point` (COCO).
        strict: Match where IoU > threshold (VOC devkit, RFBNet) and not where IoU >= threshold (mmdet).
        plus_one: Boxes end with their last pixel, so a width is x2 - x1 + 1; otherwise x2 - x1.

    Raises:
        DataError: Shapes that do not fit, labels out of range, NaN or infinite numbers.
        ConfigError: An unknown mode or a threshold outside [0, 1].

    Source: VOCdevkit `VOCevaldet.m`; `voc_eval.py` of py-faster-rcnn.
    """
    _check_mode(mode)
    matches = match(
        gt_boxes, gt_labels, gt_images, gt_difficult, det_boxes, det_scores, det_labels, det_images, n_classes,
        iou_threshold=iou_threshold, strict=strict, plus_one=plus_one,
    )  # fmt: skip
    return _with_curves(matches, np.asarray(gt_labels, np.int64)[~np.asarray(gt_difficult, bool)], mode)


def _with_curves(matches: Matches, to_find: np.ndarray, mode: Mode) -> VocAP:
    """Precision, recall and AP of every class; `to_find` holds the labels of the objects that are not difficult."""
    n_gt = np.bincount(to_find, minlength=len(matches.ranked))
    ap: list[float | None] = []
    recall: list[np.ndarray] = []
    precision: list[np.ndarray] = []
    for label, ranked in enumerate(matches.ranked):
        if n_gt[label] == 0:
            ap.append(None)
            recall.append(np.empty(0))
            precision.append(np.empty(0))
            continue
        class_recall, class_precision = precision_recall(matches.tp[ranked], matches.fp[ranked], n_gt[label])
        ap.append(float(average_precision(class_recall, class_precision, mode)))
        recall.append(class_recall)
        precision.append(class_precision)
    n_det = tuple(len(ranked) for ranked in matches.ranked)
    return VocAP(tuple(ap), tuple(int(n) for n in n_gt), n_det, tuple(recall), tuple(precision), matches)


def match(
    gt_boxes: np.ndarray,
    gt_labels: np.ndarray,
    gt_images: np.ndarray,
    gt_difficult: np.ndarray,
    det_boxes: np.ndarray,
    det_scores: np.ndarray,
    det_labels: np.ndarray,
    det_images: np.ndarray,
    n_classes: int,
    *,
    iou_threshold: float = 0.5,
    strict: bool = False,
    plus_one: bool = False,
) -> Matches:
    """Decide for every detection whether it found an object; arguments and errors as in `voc_ap`.

    A detection is compared with the one object of its class and image, difficult ones included, that it overlaps most
    (the first given, of equal ones). It never falls back on the second best when that one is taken.
    """
    if not 0.0 <= iou_threshold <= 1.0:
        raise ConfigError("The IoU threshold is out of range.", expected="0 to 1", got=repr(iou_threshold))
    gt_xyxy, gt_label, gt_image = check_boxes("ground truth", gt_boxes, gt_labels, gt_images, n_classes)
    det_xyxy, det_label, det_image = check_boxes("detections", det_boxes, det_labels, det_images, n_classes)
    difficult = check_whole_column("gt_difficult", gt_difficult, len(gt_xyxy)).astype(bool)
    scores = check_column("det_scores", det_scores, len(det_xyxy)).astype(np.float64, copy=False)

    gt_key, det_key = gt_image * n_classes + gt_label, det_image * n_classes + det_label
    gt_index, iou = best_overlap(gt_xyxy, gt_key, det_xyxy, det_key, plus_one)
    order = _by_score(scores, det_image)
    # NumPy sorts 16-bit integers by radix, in one pass over them.
    label = det_label.astype(np.uint16) if n_classes <= np.iinfo(np.uint16).max else det_label
    by_class = order[np.argsort(label[order], kind="stable")]
    ends = np.cumsum(np.bincount(det_label, minlength=n_classes))[:-1]
    ranked = tuple(np.split(by_class, ends))
    return Matches(*_fates(gt_index, iou, order, difficult, iou_threshold, strict), gt_index, iou, order, ranked)


def _fates(
    gt_index: np.ndarray, iou: np.ndarray, order: np.ndarray, difficult: np.ndarray, iou_threshold: float, strict: bool
) -> tuple[np.ndarray, np.ndarray]:
    """`Matches.tp` and `Matches.fp`: an object that is not difficult is found by the surest detection that hits it."""
    hit = (gt_index >= 0) & ((iou > iou_threshold) if strict else (iou >= iou_threshold))
    hits = order[hit[order]]
    ignored = difficult[gt_index[hits]]
    claims = hits[~ignored]
    _, first = np.unique(gt_index[claims], return_index=True)
    tp, fp = np.zeros(len(order), bool), np.ones(len(order), bool)
    tp[claims[first]] = True
    fp[claims[first]] = fp[hits[ignored]] = False
    return tp, fp


def precision_recall(tp: np.ndarray, fp: np.ndarray, n_gt: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision after each detection.

    Args:
        tp: (..., D) flags, or weights (how often a detection's image was drawn), of one class by rank.
        fp: (..., D), likewise.
        n_gt: Number of objects to find, above zero; (...,) where images are weighted.

    Returns:
        Recall and precision, (..., D) float64. Precision is 0 before the first detection of any weight.
    """
    found = np.cumsum(tp, axis=-1, dtype=np.float64)
    made = found + np.cumsum(fp, axis=-1, dtype=np.float64)
    recall = found / np.asarray(n_gt, dtype=np.float64)[..., None]
    return recall, np.divide(found, made, out=np.zeros_like(found), where=made > 0)


def average_precision(recall: np.ndarray, precision: np.ndarray, mode: Mode = "11point") -> np.ndarray:
    """Average precision of one class, or of many resamples of it.

    Args:
        recall: (..., D) float64, not falling along the last axis.
        precision: (..., D) float64.
        mode: `11point`, `area` under the monotone envelope, or COCO's `101point`.

    Returns:
        (...,) float64; 0 where there is no detection.
    """
    _check_mode(mode)
    envelope = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    if mode == "area":
        return np.sum(np.diff(recall, axis=-1, prepend=0.0) * envelope, axis=-1)
    padded = np.concatenate([envelope, np.zeros((*envelope.shape[:-1], 1))], axis=-1)
    reached_at = np.apply_along_axis(np.searchsorted, -1, recall, RECALL_THRESHOLDS[mode])
    return np.take_along_axis(padded, reached_at, axis=-1).mean(axis=-1)


def best_overlap(
    gt_boxes: np.ndarray,
    gt_keys: np.ndarray,
    det_boxes: np.ndarray,
    det_keys: np.ndarray,
    plus_one: bool,
    *,
    unlike: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Index of the object of the same key that each detection overlaps most (-1: none), and the IoU.

    Args:
        gt_boxes: (G, 4) float64.
        gt_keys: (G,) int64: image and class, or image alone.
        det_boxes: (D, 4) float64.
        det_keys: (D,) int64.
        plus_one: As in `voc_ap`.
        unlike: Labels of the objects and of the detections: a detection's own class is left out.
    """
    best_gt = np.full(len(det_boxes), -1, dtype=np.int64)
    best_iou = np.zeros(len(det_boxes))
    gt_sides = _sides(gt_boxes, plus_one)
    for rows, counts, gt in pairs(gt_keys, det_keys):
        segment = np.cumsum(counts) - counts
        det_sides = [np.repeat(side, counts) for side in _sides(det_boxes[rows], plus_one)]
        iou = _iou(det_sides, [side[gt] for side in gt_sides], plus_one)
        if unlike is not None:
            iou[unlike[0][gt] == np.repeat(unlike[1][rows], counts)] = 0.0
        top = np.maximum.reduceat(iou, segment)
        # Within a segment objects stand in the order given, so the least index is the first, as argmax has it.
        best_gt[rows] = np.minimum.reduceat(np.where(iou == np.repeat(top, counts), gt, len(gt_boxes)), segment)
        best_iou[rows] = top
    best_gt[best_iou <= 0.0] = -1
    return best_gt, best_iou


def _sides(boxes: np.ndarray, plus_one: bool) -> list[np.ndarray]:
    """x1, y1, x2, y2 and area of boxes, an array each: much faster than columns of one."""
    x1, y1, x2, y2 = (np.ascontiguousarray(side) for side in boxes.T)
    extra = 1.0 if plus_one else 0.0
    return [x1, y1, x2, y2, (x2 - x1 + extra) * (y2 - y1 + extra)]


def _iou(a: list[np.ndarray], b: list[np.ndarray], plus_one: bool) -> np.ndarray:
    """IoU of boxes with boxes by their `_sides`, pair by pair; 0 where both are empty."""
    extra = 1.0 if plus_one else 0.0
    width = np.maximum(np.minimum(a[2], b[2]) - np.maximum(a[0], b[0]) + extra, 0.0)
    height = np.maximum(np.minimum(a[3], b[3]) - np.maximum(a[1], b[1]) + extra, 0.0)
    intersection = width * height
    union = -intersection + a[4] + b[4]
    return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)


def _by_score(scores: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Indices by falling score; ties by image, then by position."""
    if np.all(images[1:] >= images[:-1]):
        return np.argsort(-scores, kind="stable")
    by_image = np.argsort(images, kind="stable")
    return by_image[np.argsort(-scores[by_image], kind="stable")]


def _check_mode(mode: str) -> None:
    if mode not in get_args(Mode):
        raise ConfigError("Unknown kind of average precision.", expected=", ".join(get_args(Mode)), got=repr(mode))


class VocAPMetric(DetectionMetric):
    """Mean AP by VOC's rules, as a protocol states them.

    Args:
        protocol: Classes, overlap, interpolation.
    """

    key, heading, tolerance = "map", "mAP", 0.5
    by_image = True

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        rules = ("classes", "iou_threshold", "iou_match", "plus_one", "ap", "max_detections", "cup_images")
        self.arguments = {name: getattr(protocol, name) for name in rules}

    def rank(self, truth: Boxes, found: Boxes, classes: Sequence[str]) -> Ranked:
        """Match by the protocol; see `match`."""
        matches = match_by_protocol(truth, found, self.protocol)
        by_class = {name: (_ranking(found, matches, of),) for name, of in zip(classes, matches.ranked, strict=True)}
        return Ranked(by_class, self.protocol.ap)

    def describe(self) -> str:
        """How it is computed."""
        protocol = self.protocol
        limit = "all" if protocol.max_detections is None else f"the best {protocol.max_detections}"
        return (
            f"mAP: mean over {len(protocol.classes)} classes ({', '.join(protocol.classes)}); {protocol.ap_rules()}, "
            f"{limit} detections of an image; images of ExDark's folder Cup: {protocol.cup_images}."
        )


class MicroAPMetric(VocAPMetric):
    """AP of the detections of all classes in one list, each of which must name its object's class.

    The mean over classes gives a class of three objects the weight of one of three hundred, so on a few hundred images
    it swings by several points whatever is measured; here each object weighs the same. Recall is read at every hit.

    Args:
        protocol: Classes and overlap.

    Source: micro-averaged average precision as in scikit-learn's `average_precision_score(average="micro")`, over
    detections. torchmetrics' `average="micro"` is another: it asks no class to be named.
    """

    key, heading = "micro_ap", "micro AP"

    def rank(self, truth: Boxes, found: Boxes, classes: Sequence[str]) -> Ranked:
        """Match by the protocol; see `match`."""
        matches = match_by_protocol(truth, found, self.protocol)
        return Ranked({_ALL: (_ranking(found, matches, matches.order),)}, "area", {_ALL: tuple(classes)})

    def describe(self) -> str:
        """How it is computed."""
        return (
            "micro AP: detections of all classes in one list, each of which must name its object's class; overlap as "
            "for mAP, area under the envelope, so that each object weighs the same."
        )


_ALL = "all classes"


def _ranking(found: Boxes, matches: Matches, ranked: np.ndarray) -> Ranking:
    """Those of some detections, best first, that count; `ranked` are indices into all."""
    chosen = ranked[matches.tp[ranked] | matches.fp[ranked]]
    return Ranking(found.images[chosen], matches.tp[chosen], chosen)


def match_by_protocol(truth: Boxes, found: Boxes, protocol: Protocol) -> Matches:
    """Match detections with objects; both end-exclusive, whatever the protocol counts.

    Overlaps are computed once of detections that are matched again: for another table, or with other objects difficult.
    """
    strict, objects = protocol.iou_match == ">", (truth.boxes_xyxy, truth.labels, truth.images)
    newest = _newest.get(found)
    if newest is not None and newest[0] == protocol and all(map(operator.is_, newest[1], objects)):
        one = newest[2]
        tp, fp = _fates(one.gt_index, one.iou, one.order, truth.difficult, protocol.iou_threshold, strict)
        return replace(one, tp=tp, fp=fp)
    matches = match(
        in_frame(truth, protocol), truth.labels, truth.images, truth.difficult,
        found.boxes_xyxy, found.scores, found.labels, found.images, len(protocol.classes),
        iou_threshold=protocol.iou_threshold, strict=strict, plus_one=protocol.plus_one,
    )  # fmt: skip
    _newest[found] = protocol, objects, matches
    return matches


# Detections -> how and with what they were matched last. Kept as long as the detections are.
_newest: WeakKeyDictionary[Boxes, tuple[Protocol, tuple[np.ndarray, ...], Matches]] = WeakKeyDictionary()


def voc_ap_by_protocol(truth: Boxes, found: Boxes, protocol: Protocol) -> VocAP:
    """AP of every class with its curve; see `voc_ap`."""
    return _with_curves(match_by_protocol(truth, found, protocol), truth.labels[~truth.difficult], protocol.ap)


def in_frame(truth: Boxes, protocol: Protocol) -> np.ndarray:
    """Where detections end at their last pixel, ground truth does too; see `Protocol.plus_one`."""
    return truth.boxes_xyxy - (np.array([0.0, 0.0, 1.0, 1.0]) if protocol.plus_one else 0.0)
