"""Naturalness preserved enhancement for pictures of uneven illumination."""

from __future__ import annotations

import numpy as np

from duskbench.data_tools.settings import check_setting, is_whole
from duskbench.pipeline.enhancers.base import Enhancer

LEVELS = 256
# Divisor of the range of levels over which neighbour counts are smoothed.
_SMOOTHING = 32
_BAND_PIXELS = 1 << 18


class NPE(Enhancer):
    """Divides a picture by a bright-pass illumination and multiplies by the illumination mapped to a bi-log histogram.

    Written from the paper's description: the authors' programme is public as MATLAB P-code only, so there is no output
    of theirs to compare with. Ratios of R, G and B stay, up to clipping. A picture of one colour becomes as bright as
    its largest channel allows, and a black one stays black.

    Args:
        window: Side of the square window of the bright-pass filter in pixels, odd.

    Raises:
        ConfigError: The window is not an odd whole number.

    Source: Wang, Zheng, Hu, Li, "Naturalness Preserved Enhancement Algorithm for Non-Uniform Illumination Images", IEEE
    TIP 22 (2013).
    """

    name = "npe"
    paper = (
        "Wang, Zheng, Hu, Li: Naturalness Preserved Enhancement Algorithm for Non-Uniform Illumination Images, TIP 2013"
    )

    def __init__(self, window: int = 15) -> None:
        super().__init__(window=window)
        odd = is_whole(window, 1) and window % 2 == 1
        check_setting("NPE", "window", window, odd, "an odd whole number of at least 1")
        self._window = window

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """Enhance, rounded and clipped."""
        lightness = image_rgb.max(axis=2)
        illumination = bright_pass(lightness, self._window)
        levels = np.floor(illumination + 0.5).astype(np.uint8)
        mapped = bi_log(np.bincount(levels.ravel(), minlength=LEVELS))[levels]
        # Where the illumination is 0, the pixel is black.
        gain = mapped / np.maximum(illumination, 1)
        return np.rint(image_rgb * gain[..., None]).clip(0, 255).astype(np.uint8)


def bright_pass(lightness: np.ndarray, window: int) -> np.ndarray:
    """Average the neighbours that are at least as light, weighted by how often the two levels meet in the picture.

    Args:
        lightness: (H, W) uint8.
        window: Side of the square in which neighbours count; outside the picture there are none.

    Returns:
        (H, W) float32, nowhere less than `lightness`.

    Source: Wang et al. 2013, section III-A.
    """
    weights = _weights(lightness)
    # Darker neighbours and those outside the picture, level 256, do not count.
    table = np.pad(np.triu(weights), ((0, 0), (0, 1))).astype(np.float32).ravel()
    reach = window // 2
    padded = np.pad(lightness.astype(np.int32), reach, constant_values=LEVELS)
    height, width = lightness.shape
    result = np.empty((height, width), dtype=np.float32)
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        own = lightness[top : top + rows].astype(np.int32)
        start = own * (LEVELS + 1)
        total, mean = np.zeros(own.shape, np.float32), np.zeros(own.shape, np.float32)
        for shift in range(window * window):
            y, x = top + shift // window, shift % window
            neighbour = padded[y : y + own.shape[0], x : x + width]
            weight = table[start + neighbour]
            total += weight
            # As an excess over the pixel itself nothing is lost to rounding.
            mean += weight * (neighbour - own)
        result[top : top + rows] = own + mean / np.maximum(total, np.finfo(np.float32).tiny)
    return result


def _weights(lightness: np.ndarray) -> np.ndarray:
    """(256, 256) float64: how often a level (row) has a neighbour of about another one (column), of eight."""
    counts = np.zeros((LEVELS, LEVELS))
    for one, other in (
        (lightness[:, 1:], lightness[:, :-1]),
        (lightness[1:], lightness[:-1]),
        (lightness[1:, 1:], lightness[:-1, :-1]),
        (lightness[1:, :-1], lightness[:-1, 1:]),
    ):
        pairs = one.astype(np.uint16) * np.uint16(LEVELS) + other
        met = np.bincount(pairs.ravel(), minlength=LEVELS * LEVELS).reshape(LEVELS, LEVELS)
        counts += met + met.T
    reach = (int(lightness.max()) - int(lightness.min())) // _SMOOTHING
    sums = np.cumsum(np.pad(counts, ((0, 0), (reach + 1, reach))), axis=1)
    width = 2 * reach + 1
    return (sums[:, width:] - sums[:, :-width]) / width


def bi_log(histogram: np.ndarray) -> np.ndarray:
    """Map levels so that their distribution, each level weighted by its logarithm, becomes that of a log curve.

    Args:
        histogram: (256,) counts of levels.

    Returns:
        (256,) float64, the new level of each, a whole number in 0..255, not decreasing. Level 0 alone maps to 0.

    Source: Wang et al. 2013, section III-B.
    """
    logs = np.log(np.arange(LEVELS) + 1.0)
    weighted = np.cumsum(histogram * logs)
    if not weighted[-1]:
        return np.zeros(LEVELS)
    target = np.cumsum(logs) / logs.sum()
    share = weighted / weighted[-1]
    return np.abs(target - share[:, None]).argmin(axis=1).astype(np.float64)
