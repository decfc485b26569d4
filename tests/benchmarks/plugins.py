"""Enhancers and a detector that come from outside the project, as a user's would."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

import cv2
import numpy as np

from duskbench.pipeline.detectors.base import Detections

COLOURS = {"car": (255, 0, 0), "person": (0, 255, 0), "dog": (0, 0, 255)}


def brighten(image_rgb: np.ndarray, gain: float = 2.0) -> np.ndarray:
    """Multiply and clip."""
    return np.clip(np.rint(image_rgb * gain), 0, 255).astype(np.uint8)


def slow(image_rgb: np.ndarray) -> np.ndarray:
    """Take a while."""
    time.sleep(0.15)
    return image_rgb


def wrong_size(image_rgb: np.ndarray) -> np.ndarray:
    """Break the contract."""
    return image_rgb[:-1]


def as_float(image_rgb: np.ndarray) -> np.ndarray:
    """Break the contract otherwise."""
    return image_rgb / 255.0


class FailsOnDark:
    """Raises on some images, as a real network does for reasons of its own."""

    def __init__(self, below: float = 60.0) -> None:
        self.below = below

    def __call__(self, image_rgb: np.ndarray) -> np.ndarray:
        if image_rgb.mean() < self.below:
            raise RuntimeError("too dark for me")
        return image_rgb


def kills_its_process(image_rgb: np.ndarray) -> np.ndarray:
    """Die as from lack of memory when the top left pixel is white."""
    if (image_rgb[0, 0] == 255).all():
        os.kill(os.getpid(), signal.SIGKILL)
    return image_rgb


class ColourDetector:
    """Finds rectangles of pure colours."""

    def __init__(self, score: float = 0.9) -> None:
        self.name = "colours"
        self.classes = tuple(COLOURS)
        self.fingerprint = f"colours {score}"
        self.score = score

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """One box per connected patch of a class's colour."""
        return [self._detect(image) for image in images]

    def _detect(self, image: np.ndarray) -> Detections:
        boxes, labels = [], []
        for label, colour in enumerate(COLOURS.values()):
            mask = (np.abs(image.astype(int) - colour).max(axis=2) < 100).astype(np.uint8)
            _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
            for x, y, width, height, area in stats[1:]:
                if area > 30:
                    boxes.append((x, y, x + width, y + height))
                    labels.append(label)
        return Detections(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.full(len(boxes), self.score, np.float32),
            np.array(labels, np.int64),
            self.classes,
        )
