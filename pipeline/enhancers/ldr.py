"""Contrast enhancement by the layered difference representation of 2-D histograms."""

from __future__ import annotations

import numpy as np

from duskbench.data_tools.settings import check_setting, is_number
from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.enhancers.luminance import map_luma

LEVELS = 256
_BAND_PIXELS = 1 << 20


class LDR(Enhancer):
    """Amplifies the grey-level differences that are frequent between neighbouring pixels.

    The method is for grey pictures: here it maps the luma, and colours are scaled along with it so that hues stay, see
    `map_luma`. (The paper maps Y of YCbCr and keeps the chroma, which leaves a night picture almost without colour.) A
    picture without two neighbours of different luma has nothing to amplify and stays as it is.

    Args:
        alpha: How much more the layers count that hold more of the differences, at least 0.

    Raises:
        ConfigError: alpha is not a finite number of at least 0.

    Source: Lee, Lee, Kim, "Contrast Enhancement Based on Layered Difference Representation of 2D Histograms", IEEE
    TIP 22 (2013); alpha 2.5 is the authors' value.
    """

    name = "ldr"
    paper = "Lee, Lee, Kim: Contrast Enhancement Based on Layered Difference Representation of 2D Histograms, TIP 2013"

    def __init__(self, alpha: float = 2.5) -> None:
        super().__init__(alpha=alpha)
        check_setting("LDR", "alpha", alpha, is_number(alpha) and alpha >= 0, "a finite number of at least 0")
        self._alpha = alpha

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """Map the luma by `ldr_curve`, rounded."""
        return map_luma(image_rgb, self._map)

    def _map(self, luma: np.ndarray) -> np.ndarray:
        curve = ldr_curve(neighbour_histogram(luma), self._alpha)
        return np.rint(curve).astype(np.uint8)[luma]


def neighbour_histogram(grey: np.ndarray) -> np.ndarray:
    """Count the grey levels of every pixel and its right neighbour, and of every pixel and its lower neighbour.

    Args:
        grey: (H, W) uint8.

    Returns:
        (256, 256) int64: at [larger, smaller] how often the two levels meet.
    """
    counts = np.zeros(LEVELS * LEVELS, dtype=np.int64)
    rows = max(1, _BAND_PIXELS // grey.shape[1])
    for top in range(0, grey.shape[0], rows):
        band = grey[top : top + rows + 1]
        for one, other in ((band[:rows, 1:], band[:rows, :-1]), (band[1:], band[:-1])):
            pair = np.maximum(one, other).astype(np.uint16) * np.uint16(LEVELS) + np.minimum(one, other)
            counts += np.bincount(pair.ravel(), minlength=counts.size)
    return counts.reshape(LEVELS, LEVELS)


def ldr_curve(histogram: np.ndarray, alpha: float) -> np.ndarray:
    """Solve for the output levels, layer by layer.

    Args:
        histogram: (256, 256), how often a level (row) meets a smaller or equal one (column); equal ones play no part.
        alpha: See `LDR`.

    Returns:
        (256,) float64, the output level of each input level: from 0 to 255, not decreasing, not rounded. The identity
        where no level meets another one.

    Source: Lee, Lee, Kim 2013, sections III-B to III-D.
    """
    places = np.arange(1, LEVELS)
    weights, solutions = [], []
    for layer in range(1, LEVELS):
        logs = np.log(np.diagonal(histogram, -layer) + 1.0)
        mass = logs.sum()
        if mass == 0:
            continue
        spread = np.convolve(logs, np.ones(layer))
        # How many differences of this layer reach across each step from one level to the next.
        across = np.minimum(places, LEVELS - layer) - np.maximum(places - layer, 0)
        steps = (spread - spread.min()) / across
        # The weight refers to the fullest layer of all, also where that one says nothing about the steps.
        weights.append(mass)
        solutions.append(steps / steps.sum() if steps.sum() else np.zeros_like(steps))
    if not weights or not np.any(solutions):
        return np.arange(LEVELS, dtype=np.float64)
    steps = (np.array(weights) / max(weights)) ** alpha @ np.array(solutions)
    return 255 * np.concatenate(([0.0], np.cumsum(steps / steps.sum())))
