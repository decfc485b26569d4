"""What kind of error each false alarm and each missed object is, and what mAP each kind costs.

A false alarm is, in this order: a wrong place, where it overlaps an object of its class, but not enough; a wrong class,
where it overlaps an object of another class enough; a duplicate of a surer detection; background, where it overlaps no
object by more than 0.1; or both, class and place. An object is missed where no detection found it, and none would have
that has only its class or only its place wrong. Difficult objects count neither way.

What a kind costs is the mAP that would be won if an oracle corrected it and left the others: a wrong place or class
becomes a hit if its object has no surer one, and else goes; duplicates, background and both go; missed objects are no
longer asked for. The kinds do not add up to what is missing from 100 %.

Source: Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020, section 2, and its
implementation, tidecv 1.0.1 (order of the tests), whose kinds are the same but for its matching, which is COCO's, and
for detections on difficult objects, which it calls background.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from duskbench.benchmarks.matched import Matched
from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.benchmarks.metrics.voc_ap import average_precision, best_overlap, in_frame
from duskbench.benchmarks.protocol import Protocol

ErrorKind = Literal["class", "place", "both", "duplicate", "background", "missed"]
KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)
# Up to this overlap with everything a detection is of background.
BACKGROUND_IOU = 0.1
_NONE = -1


@dataclass(frozen=True)
class Errors:
    """The errors of one enhancer's detections.

    Attributes:
        kinds: (D,) index into KINDS of each detection, -1 where it is none.
        object: (D,) index of the object that a detection of wrong class or place was meant for, -1 for the others.
        repairs: (D,) bool: the correction of this detection would be a hit: its object has no surer one.
        missed: (T,) bool: objects that nothing found nor nearly found.
        found: (T,) bool: objects that were found.
    """

    kinds: np.ndarray
    object: np.ndarray
    repairs: np.ndarray
    missed: np.ndarray
    found: np.ndarray

    def counts(self) -> dict[ErrorKind, int]:
        """How many there are of each kind."""
        of = np.bincount(self.kinds[self.kinds >= 0], minlength=len(KINDS))
        return {k: int(self.missed.sum()) if k == "missed" else int(n) for k, n in zip(KINDS, of, strict=True)}


def find_errors(one: Matched, protocol: Protocol) -> Errors:
    """Say what kind of error each detection is, and which objects are missed.

    Args:
        one: An enhancer's matched detections.
        protocol: Of the run; its overlap decides what is enough.
    """
    found = one.found
    wrong = np.flatnonzero(one.result.matches.fp)
    (same, same_iou), (other, other_iou) = _of_own_class(one, wrong, protocol), _of_other_classes(one, wrong, protocol)
    strict = protocol.iou_match == ">"
    enough_same, enough_other = (
        iou > protocol.iou_threshold if strict else iou >= protocol.iou_threshold for iou in (same_iou, other_iou)
    )
    # The first that holds, in this order; what is left has both wrong.
    tests: dict[ErrorKind, np.ndarray] = {
        "place": (same_iou >= BACKGROUND_IOU) & ~enough_same,
        "class": enough_other,
        "duplicate": enough_same,
        "background": np.maximum(same_iou, other_iou) <= BACKGROUND_IOU,
    }
    numbers = np.select(list(tests.values()), [KINDS.index(kind) for kind in tests], KINDS.index("both"))
    kinds, meant = (np.full(len(found.scores), _NONE) for _ in range(2))
    kinds[wrong] = numbers
    meant[wrong] = np.select([numbers == KINDS.index("place"), numbers == KINDS.index("class")], [same, other], _NONE)
    return _errors(one, kinds, meant, 0.0)


def errors_above(one: Matched, errors: Errors, threshold: float) -> Errors:
    """Errors from `find_errors`, as they are where detections of a lower score are as if they were not there."""
    counted = one.found.scores >= threshold
    kinds, meant = (np.where(counted, of, _NONE) for of in (errors.kinds, errors.object))
    return _errors(one, kinds, meant, threshold)


def _errors(one: Matched, kinds: np.ndarray, meant: np.ndarray, threshold: float) -> Errors:
    matches, truth = one.result.matches, one.truth
    hit, nearly = (np.zeros(len(truth.labels), bool) for _ in range(2))
    hit[matches.gt_index[matches.tp & (one.found.scores >= threshold)]] = True
    repairs = _surest_for_each(meant, hit, one.found.scores)
    nearly[meant[repairs]] = True
    return Errors(kinds, meant, repairs, ~(hit | nearly | truth.difficult), hit)


def _of_own_class(one: Matched, chosen: np.ndarray, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """The object of its class that each of these detections overlaps most (-1: none) and the IoU."""
    matches, n = one.result.matches, len(protocol.classes)
    same, iou = matches.gt_index[chosen], matches.iou[chosen]
    # Matching knows difficult objects, which count neither way here.
    again = np.flatnonzero(same >= 0)
    again = again[one.truth.difficult[same[again]]]
    objects, boxes, easy = _easy_objects(one.truth, protocol)
    found = one.found.take(chosen[again])
    nearest, iou[again] = best_overlap(
        boxes, easy.images * n + easy.labels, found.boxes_xyxy, found.images * n + found.labels, protocol.plus_one
    )
    same[again] = objects[nearest]
    return same, iou


def _of_other_classes(one: Matched, chosen: np.ndarray, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """The object of another class that each of these detections overlaps most (-1: none) and the IoU."""
    objects, boxes, easy = _easy_objects(one.truth, protocol)
    found, plus_one = one.found, protocol.plus_one
    unlike = easy.labels, found.labels[chosen]
    nearest, iou = best_overlap(
        boxes, easy.images, found.boxes_xyxy[chosen], found.images[chosen], plus_one, unlike=unlike
    )
    return objects[nearest], iou


def _easy_objects(truth: Boxes, protocol: Protocol) -> tuple[np.ndarray, np.ndarray, Boxes]:
    """Indices of the objects that are not difficult, and -1 at the end; their boxes as matching has them; they."""
    objects = np.flatnonzero(~truth.difficult)
    easy = truth.take(objects)
    return np.append(objects, _NONE), in_frame(easy, protocol), easy


def _surest_for_each(meant: np.ndarray, hit: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(D,) bool: the surest detection that was meant for an object which nothing found."""
    candidates = np.flatnonzero(meant >= 0)
    candidates = candidates[~hit[meant[candidates]]]
    order = candidates[np.argsort(-scores[candidates], kind="stable")]
    _, first = np.unique(meant[order], return_index=True)
    surest = np.zeros(len(meant), bool)
    surest[order[first]] = True
    return surest


def costs(one: Matched, errors: Errors, protocol: Protocol, classes: Mapping[str, object]) -> dict[ErrorKind, float]:
    """What correcting each kind would add to the mAP, 0 to 1; never below 0, where interpolation would make it so.

    Args:
        one: The matched detections.
        errors: From `find_errors`: an AP stands on all detections.
        protocol: Of the run.
        classes: Names of the classes that enter the mean.
    """
    labels = [number for number, name in enumerate(protocol.classes) if name in classes]
    matches = one.result.matches
    # Best first, and of few bytes: each kind goes through all of them.
    order = matches.order[(matches.tp | matches.fp)[matches.order]]
    ranked = _Ranked(
        matches.tp[order],
        one.found.labels[order].astype(np.int32),
        errors.kinds[order].astype(np.int8),
        errors.repairs[order],
        errors.object[order],
    )
    before = _mean_ap(one, errors, ranked, protocol, labels, None)
    return {kind: max(_mean_ap(one, errors, ranked, protocol, labels, kind) - before, 0.0) for kind in KINDS}


class _Ranked(NamedTuple):
    """Detections that are not ignored, best first; `kinds`, `repairs` and `object` as in `Errors`."""

    tp: np.ndarray
    labels: np.ndarray
    kinds: np.ndarray
    repairs: np.ndarray
    object: np.ndarray


def _mean_ap(
    one: Matched,
    errors: Errors,
    ranked: _Ranked,
    protocol: Protocol,
    labels: list[int],
    corrected: ErrorKind | None,
) -> float:
    truth, tp, label = one.truth, ranked.tp, ranked.labels
    asked = ~truth.difficult
    if corrected == "missed":
        asked &= ~errors.missed
    elif corrected is not None:
        these = ranked.kinds == KINDS.index(corrected)
        better = these & ranked.repairs
        label = label.copy()
        label[better] = truth.labels[ranked.object[better]]
        kept = ~these | better
        tp, label = (tp | better)[kept], label[kept]
    aps = []
    for number in labels:
        n_objects = int((asked & (truth.labels == number)).sum())
        # Where recall rises; between two hits precision only falls.
        ranks = np.flatnonzero(tp[label == number])
        found = np.arange(1, len(ranks) + 1)
        if n_objects:
            aps.append(float(average_precision(found / n_objects, found / (ranks + 1), protocol.ap)))
        elif (~truth.difficult & (truth.labels == number)).any():
            # All of them were missed: the class stays in the mean with the AP that it had.
            aps.append(0.0)
    return float(np.mean(aps)) if aps else 0.0
