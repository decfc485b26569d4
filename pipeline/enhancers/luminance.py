"""Replacing a picture's luma while its hues stay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# ITU-R BT.601, the luma of JPEG and of OpenCV's grey and YCrCb conversions.
_LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_BAND_PIXELS = 1 << 20


def map_luma(image_rgb: np.ndarray, transform: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Transform the luma of an image and scale its colours along.

    A pixel is multiplied by new luma over old. Where that would leave the RGB cube, the colour is moved towards the
    grey of the same luma until it fits: luma and hue are kept, saturation gives way. (Leaving Cb and Cr as they are
    instead would turn a night picture, whose colour differences are tiny, almost grey.)

    Args:
        image_rgb: (H, W, 3) uint8 RGB.
        transform: From the luma (H, W) uint8 to one of the same shape and dtype.

    Returns:
        (H, W, 3) uint8 RGB.

    Source: luma 0.299 R + 0.587 G + 0.114 B, ITU-R BT.601.
    """
    luma = np.empty(image_rgb.shape[:2], dtype=np.uint8)
    bands = _row_bands(image_rgb)
    for rows in bands:
        luma[rows] = np.rint(image_rgb[rows] @ _LUMA_WEIGHTS)
    new_luma = transform(luma)
    result = np.empty_like(image_rgb)
    for rows in bands:
        result[rows] = _recolour(image_rgb[rows], luma[rows], new_luma[rows])
    return result


def _recolour(image_rgb: np.ndarray, luma: np.ndarray, new_luma: np.ndarray) -> np.ndarray:
    exact = image_rgb @ _LUMA_WEIGHTS
    old, new = luma.astype(np.float32), new_luma.astype(np.float32)
    # Black, where there is nothing to multiply, is lifted instead.
    gain = np.where(luma > 0, new / np.maximum(old, 1), 1)
    target = np.minimum(np.where(luma > 0, exact * gain, exact + new), 255)
    room, reach = 255 - target, image_rgb.max(axis=2) - exact
    saturation = np.where(gain * reach > room, room / np.maximum(reach, 1e-6), gain)
    return np.rint(target[..., None] + saturation[..., None] * (image_rgb - exact[..., None])).clip(0, 255)


def _row_bands(image: np.ndarray) -> list[slice]:
    """Slices of rows that keep temporary arrays small whatever the image's size."""
    step = max(1, _BAND_PIXELS // image.shape[1])
    return [slice(top, top + step) for top in range(0, image.shape[0], step)]
