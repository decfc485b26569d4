"""BRISQUE, the quality of an image without a reference, by the LIVE laboratory's model; lower is better.

Source: Mittal, Moorthy and Bovik, "No-reference image quality assessment in the spatial domain", IEEE Transactions on
Image Processing 2012, and the release's `brisque_feature.m`, `estimateggdparam.m`, `estimateaggdparam.m`, `allrange`
and `allmodel` (see NOTICE).
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np

from duskbench.benchmarks.metrics.base import ImageMetric, Value
from duskbench.data_tools.errors import DataError

# MATLAB's rgb2gray, of grey levels 0..255.
GREY = (0.298936021293775, 0.587043074451121, 0.114020904255103)
# MATLAB's imresize by one half: bicubic (a = -0.5) stretched to twice its width.
HALVING = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
_GAMMA, _RHO = 0.05, -153.591
# Least and greatest of each feature in the LIVE database. Source: the release's `allrange`.
_RANGES = np.array([
    [0.338, 10], [0.017204, 0.806612], [0.236, 1.642], [-0.123884, 0.20293], [0.000155, 0.712298], [0.001122, 0.470257],
    [0.244, 1.641], [-0.123586, 0.179083], [0.000152, 0.710456], [0.000975, 0.470984], [0.249, 1.555],
    [-0.135687, 0.100858], [0.000174, 0.684173], [0.000913, 0.534174], [0.258, 1.561], [-0.143408, 0.100486],
    [0.000179, 0.685696], [0.000888, 0.536508], [0.471, 3.264], [0.012809, 0.703171], [0.218, 1.046],
    [-0.094876, 0.187459], [0.000015, 0.442057], [0.001272, 0.40803], [0.222, 1.042], [-0.115772, 0.162604],
    [0.000016, 0.444362], [0.001374, 0.40243], [0.227, 0.996], [-0.117188, 0.098323], [0.00003, 0.531903],
    [0.001122, 0.369589], [0.228, 0.99], [-0.12243, 0.098658], [0.000028, 0.530092], [0.001118, 0.370399],
])  # fmt: skip
# Smaller than that, the second scale has no neighbours.
_LEAST_SIDE = 8


class Brisque(ImageMetric):
    """BRISQUE; an image without texture, or smaller than 8x8, has none."""

    key, heading, better, digits, tolerance = "brisque", "BRISQUE", "lower", 2, 0.5

    def measure(self, image_rgb: np.ndarray, **given: np.ndarray) -> Value:
        """Measure one image; see `brisque`."""
        number = brisque(image_rgb)
        return Value(number, "too small or without texture" if number is None else None)

    def describe(self) -> str:
        """How it is computed."""
        return "BRISQUE: features and model of the LIVE release, on the 8-bit enhanced image's grey; mean over images."


def brisque(image_rgb: np.ndarray) -> float | None:
    """BRISQUE of one image.

    Args:
        image_rgb: (H, W, 3) uint8 RGB.

    Returns:
        About 0 (best) to 100 on natural photos, not clipped; None where a feature cannot be estimated.

    Raises:
        DataError: The array is no such image.
    """
    found = features(image_rgb)
    if found is None:
        return None
    coefficients, support_vectors = _model()
    low, high = _RANGES.T
    scaled = -1 + 2 * (found - low) / (high - low)
    distances = ((support_vectors - scaled) ** 2).sum(axis=1)
    return float(coefficients @ np.exp(-_GAMMA * distances) - _RHO)


def features(image_rgb: np.ndarray) -> np.ndarray | None:
    """The 36 features of an image, (36,) float64: 18 of each of two scales; None where one cannot be estimated.

    Raises:
        DataError: The array is no image.
    """
    if image_rgb.dtype != np.uint8 or image_rgb.ndim != 3 or image_rgb.shape[2] != 3:
        raise DataError(
            "Cannot compute BRISQUE of this.",
            expected="(H, W, 3) uint8 RGB",
            got=f"{image_rgb.shape} {image_rgb.dtype}",
        )
    if min(image_rgb.shape[:2]) < _LEAST_SIDE:
        return None
    # MATLAB rounds halves up and stays in 8 bits.
    grey = np.floor(image_rgb @ np.array(GREY) + 0.5)
    found = [*_scale_features(grey), *_scale_features(_half(_half(grey).T).T)]
    return np.array(found) if np.isfinite(found).all() else None


def _scale_features(grey: np.ndarray) -> list[float]:
    coefficients = _normalise(grey)
    shape, deviation = _symmetric(coefficients)
    found = [shape, deviation**2]
    for shift in ((0, 1), (1, 0), (1, 1), (-1, 1)):
        found += _asymmetric(coefficients * np.roll(coefficients, shift, axis=(0, 1)))
    return found


def _normalise(grey: np.ndarray) -> np.ndarray:
    """Mean-subtracted, contrast-normalised coefficients; outside the image there is black, as for `filter2`."""
    import cv2

    taps = gaussian()

    def blur(plane: np.ndarray) -> np.ndarray:
        return cv2.sepFilter2D(plane, cv2.CV_64F, taps, taps, borderType=cv2.BORDER_CONSTANT)

    mean = blur(grey)
    deviation = np.sqrt(np.abs(blur(grey * grey) - mean * mean))
    return (grey - mean) / (deviation + 1)


@cache
def gaussian() -> np.ndarray:
    """The 7-tap Gaussian of sigma 7/6, (7,) float64.

    Multiples of 2^-26 that add up to exactly 1: then every product and sum over a flat area is exact and its
    coefficients are exactly 0. With other weights their sign, which the features count, would be rounding noise, other
    noise on every machine, and flat areas (black skies, blown lamps) are what night images are full of.
    """
    taps = np.exp(-0.5 * (np.arange(-3, 4) / (7 / 6)) ** 2)
    taps = np.round(taps / taps.sum() * 2**26) / 2**26
    taps[3] = 1 - taps[[0, 1, 2, 4, 5, 6]].sum()
    return taps


def _half(grey: np.ndarray) -> np.ndarray:
    """Half as many rows, as MATLAB's `imresize(x, 0.5)`: bicubic with antialiasing, borders mirrored."""
    rows = math.ceil(len(grey) / 2)
    padded = np.pad(grey, ((3, 5), (0, 0)), mode="symmetric")
    return sum((tap * padded[k : k + 2 * rows : 2][:rows] for k, tap in enumerate(HALVING)), np.zeros(()))


@cache
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Shapes 0.2, 0.201, ... 10; ratio of moments; and two functions of the shape."""
    shapes = 0.2 + 0.001 * np.arange(9801)
    one, two, three = (np.array([math.lgamma(k / a) for a in shapes]) for k in (1, 2, 3))
    return shapes, np.exp(2 * two - one - three), np.exp((one - three) / 2), np.exp(two - one)


def _symmetric(values: np.ndarray) -> tuple[float, float]:
    """Shape and deviation of a generalised Gaussian. Source: `estimateggdparam.m`."""
    shapes, ratio, _, _ = _tables()
    square, size = float(np.mean(values**2)), float(np.mean(np.abs(values)))
    if square == 0:
        return math.nan, math.nan
    return float(shapes[np.abs(square / size**2 - 1 / ratio).argmin()]), math.sqrt(square)


def _asymmetric(values: np.ndarray) -> tuple[float, float, float, float]:
    """Shape, mean, left and right variance. Source: `estimateaggdparam.m`."""
    left, right = values[values < 0], values[values > 0]
    if not len(left) or not len(right):
        return (math.nan,) * 4
    shapes, ratio, spread, centre = _tables()
    left_deviation, right_deviation = math.sqrt(np.mean(left**2)), math.sqrt(np.mean(right**2))
    skew = left_deviation / right_deviation
    flatness = np.mean(np.abs(values)) ** 2 / np.mean(values**2) * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    nearest = np.abs(ratio - flatness).argmin()
    mean = (right_deviation - left_deviation) * centre[nearest] * spread[nearest]
    return float(shapes[nearest]), float(mean), left_deviation**2, right_deviation**2


@cache
def _model() -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (774,) and support vectors (774, 36) of the release's `allmodel`; see NOTICE."""
    with np.load(Path(__file__).with_name("brisque_model.npz"), allow_pickle=False) as model:
        return model["coefficients"], model["support_vectors"].astype(np.float64)
