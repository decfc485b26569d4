"""The contract of a detector: images in, `Detections` out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from data_tools.errors import DetectorError


@dataclass(frozen=True)
class Detections:
    """What a detector found in one image, best score first.

    Attributes:
        boxes_xyxy: (N, 4) float32, x1 y1 x2 y2 in absolute pixels of the image given, 0-based, end-exclusive
            (a box over the whole image is 0, 0, W, H).
        scores: (N,) float32 in [0, 1], descending.
        labels: (N,) int64, indices into `classes`.
        classes: Names of the detector's classes.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.scores)
        if self.boxes_xyxy.shape != (n, 4) or self.scores.shape != (n,) or self.labels.shape != (n,):
            raise DetectorError(
                "A detector broke its contract.",
                expected="boxes (N, 4), scores (N,), labels (N,)",
                got=f"boxes {self.boxes_xyxy.shape}, scores {self.scores.shape}, labels {self.labels.shape}",
            )
        if n and not (self.labels.min() >= 0 and self.labels.max() < len(self.classes)):
            raise DetectorError(
                "A detector broke its contract.",
                expected=f"labels from 0 to {len(self.classes) - 1}",
                got=f"{self.labels.min()} to {self.labels.max()}",
            )
        if not (np.isfinite(self.boxes_xyxy).all() and np.isfinite(self.scores).all()):
            raise DetectorError("A detector returned NaN or infinite boxes or scores.", expected="finite numbers")

    def __len__(self) -> int:
        return len(self.scores)


@runtime_checkable
class Detector(Protocol):
    """A frozen detector. Colour order, means, resizing and mapping back stay inside it.

    Attributes:
        name: For tables and errors.
        classes: Class names, in the order of the labels.
        fingerprint: Hash of code, arguments (thresholds, NMS) and weights; keys every stored result.
    """

    name: str
    classes: tuple[str, ...]
    fingerprint: str

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Detect in a batch of (H, W, 3) uint8 RGB images, of any sizes; one `Detections` each, in order."""
        ...
