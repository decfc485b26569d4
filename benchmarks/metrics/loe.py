"""LOE, the lightness order error: how often an enhancer swaps which of two pixels is lighter; lower is better.

Source: Wang, Zheng, Hu and Li, "Naturalness preserved enhancement algorithm for non-uniform illumination images", IEEE
Transactions on Image Processing 2013, equations 23 to 26.
"""

from __future__ import annotations

import numpy as np

from duskbench.benchmarks.metrics.base import ImageMetric
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.settings import is_whole

_LEVELS = 256


class Loe(ImageMetric):
    """LOE of the enhanced image against the image before it was enhanced.

    Args:
        side: See `loe`.
    """

    key, heading, better, digits = "loe", "LOE", "lower", 1
    needs = frozenset({"original"})

    def __init__(self, side: int = 50) -> None:
        if not is_whole(side, 1):
            raise ConfigError(
                "Pixels cannot be sampled like this.", where="loe(side)", expected="1 or more", got=repr(side)
            )
        self.side = side
        self.arguments = {"side": side}

    def measure(self, image_rgb: np.ndarray, **given: np.ndarray) -> float:
        """Measure one image; see `loe`."""
        return loe(image_rgb, given["original_rgb"], side=self.side)

    def describe(self) -> str:
        """How it is computed."""
        return (
            "LOE: lightness order error of Wang et al. 2013 against the image before, lightness max(R, G, "
            f"B), sampled to {self.side} pixels on the smaller side; mean over images."
        )


def loe(image_rgb: np.ndarray, original_rgb: np.ndarray, *, side: int = 50) -> float:
    """Lightness order error of one image.

    Args:
        image_rgb: (H, W, 3) uint8 RGB, enhanced.
        original_rgb: The same shape and type, before.
        side: Every pixel is compared with every other, so both images are sampled at regular steps to at least so many
            pixels on the smaller side (the paper's 50).

    Returns:
        Mean over the sampled pixels of the number of pixels whose order to it has changed: 0 where the order of all is
        kept, as any rising curve keeps it.

    Raises:
        DataError: The arrays are not of 8 bits, are empty, or differ in size.
    """
    if image_rgb.shape != original_rgb.shape or image_rgb.ndim != 3 or image_rgb.size == 0:
        raise DataError(
            "An image and its original differ in size.", expected=str(original_rgb.shape), got=str(image_rgb.shape)
        )
    if {image_rgb.dtype, original_rgb.dtype} != {np.dtype(np.uint8)}:
        got = f"{image_rgb.dtype}, {original_rgb.dtype}"
        raise DataError("LOE counts levels of 8 bits.", expected="uint8", got=got)
    step = max(1, min(image_rgb.shape[:2]) // side)
    # The middle of each cell: the corner of the image stands for nothing.
    cells = slice(step // 2, None, step)
    before, after = (each.max(axis=2)[cells, cells].ravel().astype(np.intp) for each in (original_rgb, image_rgb))
    # How many pixels are no lighter than a level before, than one after, and both: all pairs, counted by their levels.
    counts = np.bincount(before * _LEVELS + after, minlength=_LEVELS**2).reshape(_LEVELS, _LEVELS)
    both = counts.cumsum(axis=0).cumsum(axis=1)
    changed = both[before, -1] + both[-1, after] - 2 * both[before, after]
    return float(changed.mean())
