"""Metrics of your own: one that looks at the enhanced image alone, one that also looks at the image before."""

from __future__ import annotations

import numpy as np

from duskbench import ImageMetric, Value


class Clipped(ImageMetric):
    """Percentage of pixels with a channel at 0 or 255: what an enhancer has lost."""

    key, heading, better, digits = "clipped", "clipped %", "lower", 2
    # By how much it may rise from one night to the next before `duskbench nightly` is red; None: it never is.
    tolerance = 0.5

    def measure(self, image_rgb: np.ndarray, **given: np.ndarray) -> float:
        """(H, W, 3) uint8 RGB -> a number."""
        return float(100 * ((image_rgb == 0) | (image_rgb == 255)).any(axis=2).mean())


class HueShift(ImageMetric):
    """Mean angle, in degrees, between the colours of a pixel before and after."""

    key, heading, better, digits = "hue_shift", "hue shift", "lower", 2
    needs = frozenset({"original"})

    def __init__(self, darkest: int = 8) -> None:
        self.darkest = darkest
        # Arguments are part of a stored value's key: with others it is measured again.
        self.arguments = {"darkest": darkest}

    def measure(self, image_rgb: np.ndarray, **given: np.ndarray) -> Value:
        """The image before is `given["original_rgb"]`; a number that there is not has a reason."""
        after, before = image_rgb.astype(float), given["original_rgb"].astype(float)
        bright = (before.max(axis=2) >= self.darkest) & (after.max(axis=2) >= self.darkest)
        if not bright.any():
            return Value(None, f"no pixel of {self.darkest} or more")
        after, before = after[bright], before[bright]
        cosine = (after * before).sum(axis=1) / (np.linalg.norm(after, axis=1) * np.linalg.norm(before, axis=1))
        return Value(float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean()))
