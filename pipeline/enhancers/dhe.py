"""Dynamic histogram equalisation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Literal

import numpy as np

from duskbench.data_tools.settings import check_setting, is_number, is_whole
from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.enhancers.luminance import map_luma

LEVELS = 256
# Of a normal distribution this share lies within one standard deviation of the mean.
WITHIN_ONE_DEVIATION = 0.683

Part = tuple[int, int]


class DynamicHistogramEqualization(Enhancer):
    """Equalises the luma's histogram part by part, so that a dominant part cannot take the others' range; hues stay.

    Written from the paper's description: there is no code by the authors to compare with, and what the paper leaves
    open is an argument here. Colours follow the luma as in `map_luma`.

    Args:
        x: How much the pixels of a part count beside its span when the output range is shared out, by
            span * log(pixels)^x. At least 0; the paper recommends small values.
        smoothing: Width of the mean filter over the histogram whose minima divide it; odd, 1 for none.
        plateau: Where a minimum that is several levels wide divides: at its "first", "middle" or "last" level.
        split: Histogram whose mean and deviation decide whether a part is divided again: as counted ("raw") or
            "smoothed".
        span: Length of a part: its "levels", or the "difference" of its last and first one.

    Raises:
        ConfigError: An argument is out of its range.

    Source: Abdullah-Al-Wadud, Kabir, Dewan, Chae, "A Dynamic Histogram Equalization for Image Contrast Enhancement",
    IEEE Transactions on Consumer Electronics 53 (2007).
    """

    name = "dhe"
    paper = "Abdullah-Al-Wadud et al.: A Dynamic Histogram Equalization for Image Contrast Enhancement, TCE 2007"

    def __init__(
        self,
        x: float = 1.0,
        smoothing: int = 3,
        plateau: Literal["first", "middle", "last"] = "first",
        split: Literal["raw", "smoothed"] = "raw",
        span: Literal["levels", "difference"] = "levels",
    ) -> None:
        super().__init__(x=x, smoothing=smoothing, plateau=plateau, split=split, span=span)
        for name, value, possible, expected in (
            ("x", x, is_number(x) and x >= 0, "a finite number of at least 0"),
            (
                "smoothing",
                smoothing,
                is_whole(smoothing) and smoothing in range(1, LEVELS, 2),
                "an odd whole number from 1 to 255",
            ),
            ("plateau", plateau, plateau in ("first", "middle", "last"), "'first', 'middle' or 'last'"),
            ("split", split, split in ("raw", "smoothed"), "'raw' or 'smoothed'"),
            ("span", span, span in ("levels", "difference"), "'levels' or 'difference'"),
        ):
            check_setting("DHE", name, value, possible, expected)
        self._x, self._smoothing, self._plateau, self._split, self._span = x, smoothing, plateau, split, span

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """Map the luma by `curve`, rounded."""
        return map_luma(image_rgb, self._map)

    def _map(self, luma: np.ndarray) -> np.ndarray:
        histogram = np.bincount(luma.ravel(), minlength=LEVELS)
        return np.rint(self.curve(histogram)).astype(np.uint8)[luma]

    def curve(self, histogram: np.ndarray) -> np.ndarray:
        """Output level of each input level.

        Args:
            histogram: (256,) counts, not all 0.

        Returns:
            (256,) float64 from 0 to 255, not decreasing, not rounded. The identity where one level alone is used:
            there is nothing to spread.
        """
        parts = self.parts(histogram)
        used = np.flatnonzero(histogram)
        if used[0] == used[-1]:
            return np.arange(LEVELS, dtype=np.float64)
        factors = [self._factor(first, last, int(histogram[first : last + 1].sum())) for first, last in parts]
        if not sum(factors):
            # Every part is of one pixel, whose logarithm is 0, or of one level where the difference counts.
            factors = [float(last - first + 1) for first, last in parts]
        ranges = 255 * np.array(factors) / sum(factors)
        levels = np.zeros(LEVELS)
        start = 0.0
        for (first, last), extent in zip(parts, ranges, strict=True):
            cumulative = np.cumsum(histogram[first : last + 1])
            share = cumulative / cumulative[-1] if cumulative[-1] else np.zeros(len(cumulative))
            levels[first : last + 1] = start + extent * share
            start += extent
        levels[parts[-1][1] + 1 :] = 255
        return levels

    def parts(self, histogram: np.ndarray) -> list[Part]:
        """Divide a histogram at its minima, and further where a part is not like a normal distribution.

        Args:
            histogram: (256,) counts, not all 0.

        Returns:
            First and last level of each part, ascending, from the first to the last level that is used.
        """
        smooth = _smoothed(histogram, self._smoothing)
        used = np.flatnonzero(histogram)
        first, last = int(used[0]), int(used[-1])
        bounds = [first, *(level + 1 for level in self._minima(smooth, first, last)), last + 1]
        counts = histogram if self._split == "raw" else smooth
        whole = [(start, stop - 1) for start, stop in itertools.pairwise(bounds)]
        return [piece for part in whole for piece in _divided(counts, *part)]

    def _minima(self, smooth: np.ndarray, first: int, last: int) -> Iterator[int]:
        level = first + 1
        while level < last:
            end = level
            while end < last and smooth[end + 1] == smooth[level]:
                end += 1
            if end < last and smooth[level - 1] > smooth[level] < smooth[end + 1]:
                yield {"first": level, "middle": (level + end) // 2, "last": end}[self._plateau]
            level = end + 1

    def _factor(self, first: int, last: int, pixels: int) -> float:
        length = last - first + (self._span == "levels")
        return length * math.log10(pixels) ** self._x if pixels else 0.0


def _smoothed(histogram: np.ndarray, width: int) -> np.ndarray:
    """Mean of the neighbours that there are."""
    ones = np.ones(width)
    return np.convolve(histogram, ones, "same") / np.convolve(np.ones(LEVELS), ones, "same")


def _divided(counts: np.ndarray, first: int, last: int) -> list[Part]:
    """Divide a part at one standard deviation from its mean until the middle holds what that of a normal one does."""
    levels, weights = np.arange(first, last + 1), counts[first : last + 1]
    total = weights.sum()
    if not total:
        return [(first, last)]
    mean = (weights * levels).sum() / total
    deviation = math.sqrt((weights * (levels - mean) ** 2).sum() / total)
    low = max(math.floor(mean - deviation + 0.5), first)
    high = min(math.floor(mean + deviation + 0.5), last)
    if counts[low : high + 1].sum() >= WITHIN_ONE_DEVIATION * total or (low, high) == (first, last):
        return [(first, last)]
    below = _divided(counts, first, low - 1) if low > first else []
    above = _divided(counts, high + 1, last) if high < last else []
    return [*below, (low, high), *above]
