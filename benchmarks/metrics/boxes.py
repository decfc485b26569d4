"""Objects or detections of many images as flat arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Boxes:
    """Ground truth or detections of many images as flat arrays, in the protocol's classes.

    Attributes:
        boxes_xyxy: (N, 4) float64, end-exclusive.
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
