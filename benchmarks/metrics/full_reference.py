"""PSNR and SSIM, for images whose lit original is there to compare with; higher is better."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np

from duskbench.benchmarks.protocol import SsimChannels
from duskbench.data_tools.errors import ConfigError, DataError

PEAK = 255.0
IDENTICAL = "identical to its reference"
# Source: Wang et al. 2004, section III-C: window, its sigma, K1 and K2.
WINDOW = 11
_SIGMA = 1.5
_C1 = (0.01 * PEAK) ** 2
_C2 = (0.03 * PEAK) ** 2
_MARGIN = WINDOW // 2
# Rows worked on at a time: the ten planes they need stay in the cache, and memory does not grow with the image.
_ROWS = 64


def psnr(image_rgb: np.ndarray, reference_rgb: np.ndarray) -> float | None:
    """Peak signal-to-noise ratio over all three channels, in decibels of the peak 255.

    Args:
        image_rgb: (H, W, 3) uint8 RGB.
        reference_rgb: The same shape and type.

    Returns:
        10 log10(255^2 / mean squared error); None where the images are identical.

    Raises:
        DataError: The arrays are no such images, or differ in size.

    Examples:
        >>> import numpy as np
        >>> grey = np.full((20, 20, 3), 100, np.uint8)
        >>> round(psnr(grey + np.uint8(10), grey), 4)
        28.1308
    """
    import cv2

    _check(image_rgb, reference_rgb)
    # Summed by OpenCV as integers, exact up to 138 gigapixels.
    squares = float(cv2.norm(np.ascontiguousarray(image_rgb), np.ascontiguousarray(reference_rgb), cv2.NORM_L2SQR))
    return 10 * math.log10(PEAK**2 * image_rgb.size / squares) if squares > 0 else None


def ssim(image_rgb: np.ndarray, reference_rgb: np.ndarray, *, channels: SsimChannels = "rgb") -> float | None:
    """Structural similarity with a Gaussian window, averaged over the windows that lie inside the image.

    Args:
        image_rgb: (H, W, 3) uint8 RGB.
        reference_rgb: The same shape and type.
        channels: `rgb`, the mean over the three channels (Retinexformer, MIRNet), or `grey`, of the Rec. 601 luma
            rounded to 8 bits (LLFlow).

    Returns:
        A number in [-1, 1], up to rounding (1.000000000001 occurs); None for an image smaller than the window.

    Raises:
        DataError: The arrays are no such images, or differ in size.
        ConfigError: An unknown `channels`.

    Source: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE Transactions on Image Processing 2004, equation 13, without the optional downsampling.
    """
    import cv2

    _check(image_rgb, reference_rgb)
    if channels not in get_args(SsimChannels):
        raise ConfigError(
            "Unknown channels for SSIM.", expected=" or ".join(get_args(SsimChannels)), got=repr(channels)
        )
    if min(image_rgb.shape[:2]) < WINDOW:
        return None
    if channels == "grey":
        planes = [(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY), cv2.cvtColor(reference_rgb, cv2.COLOR_RGB2GRAY))]
    else:
        planes = list(zip(cv2.split(image_rgb), cv2.split(reference_rgb), strict=True))
    return sum(_plane_ssim(one, other) for one, other in planes) / len(planes)


def _check(image_rgb: np.ndarray, reference_rgb: np.ndarray) -> None:
    for image in (image_rgb, reference_rgb):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise DataError(
                "Cannot compare the array with a reference.",
                expected="(H, W, 3) uint8 RGB",
                got=f"{image.shape} {image.dtype}",
            )
    if image_rgb.shape != reference_rgb.shape:
        (height, width), (ref_height, ref_width) = image_rgb.shape[:2], reference_rgb.shape[:2]
        raise DataError(
            "An image and its reference differ in size.",
            expected=f"{ref_width} x {ref_height} pixels, as the reference",
            got=f"{width} x {height}",
        )


def _plane_ssim(one: np.ndarray, other: np.ndarray) -> float:
    total = 0.0
    height, width = (side - 2 * _MARGIN for side in one.shape)
    for top in range(0, height, _ROWS):
        rows = slice(top, top + _ROWS + 2 * _MARGIN)
        total += float(_similarity_map(one[rows], other[rows]).sum())
    return total / (height * width)


def _similarity_map(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Equation 13 for every window inside two planes; in place, for fresh memory costs as much as the sums.

    In float64: a variance is what two squares differ by, and of white areas float32 leaves too little of it.
    """
    x, y = one.astype(np.float64), other.astype(np.float64)
    mean_x, mean_y, covariance = _blur(x), _blur(y), _blur(x * y)
    x *= x
    y *= y
    x += y
    variances = _blur(x)
    covariance -= mean_x * mean_y
    variances -= mean_x * mean_x
    variances -= mean_y * mean_y
    similarity = mean_x * mean_y
    similarity *= 2
    similarity += _C1
    covariance *= 2
    covariance += _C2
    similarity *= covariance
    mean_x *= mean_x
    mean_y *= mean_y
    mean_x += mean_y
    mean_x += _C1
    variances += _C2
    mean_x *= variances
    similarity /= mean_x
    return similarity


def _blur(plane: np.ndarray) -> np.ndarray:
    """Gaussian means over the windows that lie inside the plane."""
    import cv2

    kernel = cv2.getGaussianKernel(WINDOW, _SIGMA, cv2.CV_64F)
    inside = slice(_MARGIN, -_MARGIN)
    return cv2.sepFilter2D(plane, cv2.CV_64F, kernel, kernel)[inside, inside]
