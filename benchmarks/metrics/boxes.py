"""Objects or detections of many images as flat arrays, and which of them belong together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from duskbench.data_tools.errors import DataError

# Bounds the memory, and what is computed of these pairs stays in the cache.
_PAIRS_AT_A_TIME = 1 << 16


@dataclass(frozen=True, eq=False)
class Boxes:
    """Ground truth or detections of many images as flat arrays, in the protocol's classes; equal only to itself.

    Attributes:
        boxes_xyxy: (N, 4) float64, end-exclusive.
        labels: (N,) int64 into the protocol's classes.
        images: (N,) int64 into the list of images.
        scores: (N,) float64; for ground truth all 1.
        difficult: (N,) bool: not to be found; for detections all False.
        ordinals: (N,) int64: position among the objects of the image's record, or the detections of its row.
        crowd: (N,) bool: the difficult ones on which COCO ignores any number of detections; by default all of them. An
            object of a size that is not asked for is difficult and no crowd.
    """

    boxes_xyxy: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    scores: np.ndarray
    difficult: np.ndarray
    ordinals: np.ndarray
    crowd: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.crowd is None:
            object.__setattr__(self, "crowd", self.difficult)

    def take(self, chosen: np.ndarray) -> Boxes:
        """Those of a mask or of indices."""
        return Boxes(**{name: column[chosen] for name, column in vars(self).items()})


def pairs(gt_keys: np.ndarray, det_keys: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Detections with the objects of the same key (image and class), about 65,000 pairs at a time.

    Args:
        gt_keys: (G,) int64.
        det_keys: (D,) int64.

    Yields:
        Detections that have an object, rising; how many each has; and the objects, detection by detection, rising.
    """
    gt_order = np.argsort(gt_keys, kind="stable")
    gt_keys = gt_keys[gt_order]
    start = np.searchsorted(gt_keys, det_keys, side="left")
    n_pairs = np.searchsorted(gt_keys, det_keys, side="right") - start
    with_gt = np.flatnonzero(n_pairs)
    pairs_before = np.cumsum(n_pairs[with_gt])
    while len(with_gt):
        # One detection at least, however many objects its class has.
        take = max(1, int(np.searchsorted(pairs_before, pairs_before[0] + _PAIRS_AT_A_TIME)))
        rows, with_gt = with_gt[:take], with_gt[take:]
        pairs_before = pairs_before[take:]
        counts = n_pairs[rows]
        segment = np.cumsum(counts) - counts
        yield rows, counts, gt_order[np.repeat(start[rows] - segment, counts) + np.arange(counts.sum())]


def check_boxes(
    what: str, boxes: np.ndarray, labels: np.ndarray, images: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns as (N, 4) float64, (N,) int64 and (N,) int64.

    Raises:
        DataError: Shapes that do not fit, labels out of range, fractions in labels or images, NaN or infinite numbers.
    """
    boxes = np.asarray(boxes, dtype=np.float64)
    if boxes.size == 0:
        boxes = boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
        got = "NaN or infinite coordinates" if boxes.shape[1:] == (4,) else f"shape {boxes.shape}"
        raise DataError("The boxes are not usable.", where=what, expected="(N, 4) finite numbers, x1 y1 x2 y2", got=got)
    label = check_whole_column("labels", labels, len(boxes), where=what)
    image = check_whole_column("images", images, len(boxes), where=what)
    if len(label) and not (label.min() >= 0 and label.max() < n_classes):
        raise DataError(
            "A label names no class.",
            where=what,
            expected=f"0 to {n_classes - 1}",
            got=f"{label.min()} to {label.max()}",
        )
    return boxes, label, image


def check_column(name: str, values: np.ndarray, n: int, *, where: str | None = None) -> np.ndarray:
    """A column of `n` finite numbers.

    Raises:
        DataError: It is of another length, or holds NaN or infinite numbers.
    """
    values = np.asarray(values)
    if values.shape != (n,):
        raise DataError(
            f"The length of {name} does not fit the boxes.", where=where, expected=f"({n},)", got=str(values.shape)
        )
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError(f"NaN or infinite numbers in {name}.", where=where, expected="finite numbers")
    return values


def check_whole_column(name: str, values: np.ndarray, n: int, *, where: str | None = None) -> np.ndarray:
    """A column of `n` whole numbers, of any type, as int64.

    Raises:
        DataError: It is of another length, or holds NaN, infinite numbers or fractions.
    """
    values = check_column(name, values, n, where=where)
    whole = values.astype(np.int64, copy=False)
    fractions = values[values != whole]
    if len(fractions):
        raise DataError(f"Fractions in {name}.", where=where, expected="whole numbers", got=f"{fractions[0]:g}")
    return whole
