"""PSNR and SSIM against scikit-image, and what has neither."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from duskbench.benchmarks.metrics.base import ImageMetric, Value
from duskbench.benchmarks.metrics.full_reference import IDENTICAL, psnr, ssim
from duskbench.benchmarks.metrics.registry import load_metric
from duskbench.data_tools.errors import ConfigError, DataError

WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}


def both(image: np.ndarray, reference: np.ndarray) -> list[Value]:
    """PSNR and SSIM as the benchmark's metrics have them."""
    values = []
    for name in ("psnr", "ssim"):
        metric = load_metric(name)
        assert isinstance(metric, ImageMetric)
        value = metric.measure(image, reference_rgb=reference)
        assert isinstance(value, Value)
        values.append(value)
    return values


def picture(kind: str, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    if kind == "noise":
        return noise
    if kind == "dark":
        return (cv2.GaussianBlur(noise, (0, 0), 2) // 24 + noise // 128).astype(np.uint8)
    if kind == "bright":
        return (255 - noise // 64).astype(np.uint8)
    if kind == "black and white":
        picture = np.zeros((*shape, 3), np.uint8)
        picture[:, shape[1] // 2 :] = 255 - seed % 2
        return picture
    if kind == "flat":
        return np.full((*shape, 3), 77, np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 5)


@pytest.mark.parametrize("shape", [(11, 11), (12, 40), (138, 19), (139, 30), (300, 200)])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("smooth", "noise"),
        ("dark", "smooth"),
        ("dark", "dark"),
        ("bright", "bright"),
        ("flat", "dark"),
        ("flat", "flat"),
        ("black and white", "black and white"),
    ],
)
def test_both_are_scikit_images(shape: tuple[int, int], one: str, other: str) -> None:
    image, reference = picture(one, shape, 1), picture(other, shape, 2)
    if not np.array_equal(image, reference):
        assert psnr(image, reference) == pytest.approx(peak_signal_noise_ratio(reference, image), abs=1e-9)
    assert ssim(image, reference) == pytest.approx(
        structural_similarity(image, reference, channel_axis=2, **WANG), abs=1e-9
    )
    greys = [cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (image, reference)]
    assert ssim(image, reference, channels="grey") == pytest.approx(structural_similarity(*greys, **WANG), abs=1e-9)


def test_a_window_by_hand() -> None:
    """One window, so the whole formula can be written out in float64."""
    rng = np.random.default_rng(3)
    image, reference = (rng.integers(0, 256, (11, 11, 3)).astype(np.uint8) for _ in range(2))
    distance = np.arange(11) - 5.0
    window = np.exp(-(distance[:, None] ** 2 + distance[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    expected = []
    for x, y in zip(image.transpose(2, 0, 1).astype(float), reference.transpose(2, 0, 1).astype(float), strict=True):
        mx, my = (window * x).sum(), (window * y).sum()
        vx, vy, cov = ((window * each).sum() for each in ((x - mx) ** 2, (y - my) ** 2, (x - mx) * (y - my)))
        c1, c2 = 2.55**2, 7.65**2
        expected.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    assert ssim(image, reference) == pytest.approx(np.mean(expected), abs=1e-6)


@given(st.integers(1, 255), st.integers(11, 24), st.integers(11, 24))
@settings(max_examples=30, deadline=None)
def test_an_offset_has_the_psnr_of_its_size(offset: int, height: int, width: int) -> None:
    black = np.zeros((height, width, 3), np.uint8)
    assert psnr(black + np.uint8(offset), black) == pytest.approx(20 * math.log10(255 / offset), abs=1e-9)
    # Two flat planes have no structure: what is left of equation 13 is its luminance term.
    c1 = 2.55**2
    assert ssim(black + np.uint8(offset), black) == pytest.approx(c1 / (offset**2 + c1), abs=1e-6)


def test_numbers_do_not_depend_on_the_order_or_on_memory_layout() -> None:
    image, reference = picture("smooth", (60, 50), 1), picture("dark", (60, 50), 2)
    assert ssim(image, reference) == pytest.approx(ssim(reference, image), abs=1e-7)
    assert psnr(image, reference) == psnr(reference, image)
    assert both(image[::-1], reference[::-1]) == both(image[::-1].copy(), reference[::-1].copy())


def test_an_image_that_equals_its_reference_has_no_psnr() -> None:
    image = picture("smooth", (40, 30))
    assert both(image, image.copy()) == [Value(None, IDENTICAL), Value(pytest.approx(1.0, abs=1e-6))]


def test_an_image_below_the_window_has_no_ssim() -> None:
    decibels, similarity = both(picture("noise", (10, 40), 1), picture("noise", (10, 40), 2))
    assert decibels.number is not None and decibels.reason is None
    assert similarity == Value(None, "40x10; SSIM needs 11x11")


@pytest.mark.parametrize(
    ("image", "message"),
    [(np.zeros((20, 21, 3), np.uint8), "differ in size"), (np.zeros((20, 20)), "Cannot compare"),
     (np.zeros((20, 20, 3)), "Cannot compare"), (np.zeros((0, 20, 3), np.uint8), "Cannot compare")],
)  # fmt: skip
def test_other_arrays_are_refused(image: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        both(image, np.zeros((20, 20, 3), np.uint8))


def test_two_colours_of_one_luma_differ_in_rgb_alone() -> None:
    red, grey = (np.broadcast_to(np.array(colour, np.uint8), (20, 20, 3)) for colour in ((200, 0, 0), (60, 60, 60)))
    found = {}
    for channels in ("rgb", "grey"):
        metric = load_metric({"type": "ssim", "channels": channels})
        assert isinstance(metric, ImageMetric)
        found[channels] = metric.measure(red, reference_rgb=grey).number  # type: ignore[union-attr]
    assert found["grey"] > 0.99 and found["rgb"] < 0.5


def test_other_channels_are_refused() -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(ConfigError, match="channels"):
        ssim(image, image, channels="hsv")  # type: ignore[arg-type]
