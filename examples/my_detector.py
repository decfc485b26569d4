"""A detector of your own: a class with `classes` and `detect`."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from duskbench.pipeline.detectors.base import Detections

# duskbench run miniature --detector "examples/my_detector.py:BrightThings(threshold=180)" --enhancer input


class BrightThings:
    """Takes every bright patch for a car; a lamp is one, too."""

    def __init__(self, threshold: int = 200) -> None:
        self.classes = ("car", "person")
        self.threshold = threshold

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """One `Detections` for each (H, W, 3) uint8 RGB image, in order."""
        return [self._detect(image) for image in images]

    def _detect(self, image_rgb: np.ndarray) -> Detections:
        bright = (image_rgb.mean(axis=2) > self.threshold).astype(np.uint8)
        _, _, patches, _ = cv2.connectedComponentsWithStats(bright)
        # The first patch is the background. Largest first, and its share of the image for a score.
        found = sorted((patch for patch in patches[1:] if patch[4] > 20), key=lambda patch: -patch[4])
        boxes = [(x, y, x + width, y + height) for x, y, width, height, _ in found]
        return Detections(
            boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),  # x1 y1 x2 y2, ends exclusive
            scores=np.array([area / bright.size for *_, area in found], np.float32),  # descending
            labels=np.zeros(len(found), np.int64),  # indices into `classes`
            classes=self.classes,
        )
