"""Detections that can hardly be meant as they are: boxes in other units or of other corners, classes out of order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.benchmarks.metrics.voc_ap import match
from duskbench.data_tools.boxes import doubt_of_shares

# Fewer detections, or objects where nothing is found, say nothing.
_ENOUGH = 3
# Of the objects, found by place alone: then the places are right.
_MANY = 0.3
# A small box near the corner overlaps its object in every reading.
_FAR_MORE = 3


def doubts(truth: Boxes, found: Boxes) -> list[str]:
    """What looks as if it was not meant so, with a suggestion, a sentence each.

    Args:
        truth: Objects of all classes.
        found: Detections of the same images.
    """
    if len(found.labels) == 0:
        n = len(truth.labels)
        return [f"It found nothing, and there are {n} objects to find."] if n >= _ENOUGH else []
    if len(truth.labels) == 0:
        return []
    shares = doubt_of_shares(float(found.boxes_xyxy.max()))
    if shares is not None and truth.boxes_xyxy.max() > 2:
        return [shares]
    return _misplaced(truth, found) if len(found.labels) >= _ENOUGH else []


def _misplaced(truth: Boxes, found: Boxes) -> list[str]:
    in_class = _hits(truth, found, of_class=True)
    anywhere = _hits(truth, found, of_class=False)
    if anywhere >= _MANY * len(truth.labels) and in_class < 0.1 * anywhere:
        return [
            f"{anywhere} detections lie on objects, but only {in_class} on objects of their class: the classes seem to "
            "be numbered or named otherwise (from 0, or as COCO's 80 or 91)."
        ]
    many = max(1, _MANY * len(truth.labels))
    if anywhere >= many:
        return []
    for what, boxes in _other_readings(found.boxes_xyxy):
        hits = _hits(truth, replace(found, boxes_xyxy=boxes), of_class=False)
        if hits >= many and hits >= _FAR_MORE * anywhere:
            lie = "detections lie" if anywhere > 1 else "detection lies"
            return [
                f"{anywhere or 'No'} {lie} on an object, but {hits} of {len(found.labels)} would if their boxes were "
                f"meant as {what}."
            ]
    return []


def _hits(truth: Boxes, found: Boxes, *, of_class: bool) -> int:
    labels = (truth.labels, found.labels) if of_class else (np.zeros_like(truth.labels), np.zeros_like(found.labels))
    n_classes = 1 + int(max(labels[0].max(initial=0), labels[1].max(initial=0)))
    matches = match(
        truth.boxes_xyxy, labels[0], truth.images, truth.difficult,
        found.boxes_xyxy, found.scores, labels[1], found.images, n_classes,
    )  # fmt: skip
    return int(matches.tp.sum())


def _other_readings(corners: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The same four numbers, had they been the centre and size, or the corner and size, of a box."""
    x, y, third, fourth = corners.T
    width, height = third - x, fourth - y

    def centred(w: np.ndarray, h: np.ndarray) -> np.ndarray:
        return np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1)

    return [
        ("centre x, centre y, width, height", centred(third, fourth)),
        ("x, y, width, height", np.stack([x, y, x + third, y + fourth], axis=1)),
        ("corners x1 y1 x2 y2, where width and height belong", np.stack([x, y, width, height], axis=1)),
        ("centre and size, where corner and size belong", centred(width, height)),
    ]
