from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.io import loadmat
from scipy.special import gamma

from duskbench.benchmarks.metrics.base import Value
from duskbench.benchmarks.metrics.niqe import _half, _normalise, _pristine_model, niqe, niqe_batch
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.images import read_image


def natural(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture with a natural-looking spectrum, (H, W, 3) uint8."""
    noise = np.random.default_rng(seed).standard_normal((height, width, 3))
    smooth = sum(ndimage.gaussian_filter(noise, (s, s, 0)) * s for s in (0.7, 2, 5, 12))
    return np.clip(128 + 45 * smooth, 0, 255).astype(np.uint8)


# The release's figures as published with BasicSR (baboon) and with the calibration table of IQA-PyTorch.
@pytest.mark.parametrize(
    ("file", "luma", "matlab", "tolerance"),
    [
        ("baboon.png", "ycbcr_y", 5.72957338, 1e-6),
        ("I03.bmp", "rgb2gray", 15.7536293917814, 1e-3),
        ("I04.bmp", "rgb2gray", 3.6549215235377, 1e-6),
        ("I06.bmp", "rgb2gray", 3.23547743716998, 1e-3),
    ],
)
def test_equals_the_official_matlab_release(
    shared: Path, file: str, luma: str, matlab: float, tolerance: float
) -> None:
    assert niqe(read_image(shared / "golden" / "niqe" / file), luma=luma) == pytest.approx(matlab, rel=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number", "mean"), [("DICM64", 64, 4.2544), ("LIME", 9, 4.5625)])
def test_input_in_the_papers_table_1(shared: Path, name: str, number: int, mean: float) -> None:
    """The paper has 4.255 for DICM; for all 10 pictures of LIME, of which 9 are here, 4.438."""
    files = sorted((shared / "data" / "lowlight" / name).iterdir())
    scores = [niqe(read_image(file)) for file in files]
    assert len(scores) == number
    assert np.mean(scores) == pytest.approx(mean, abs=1e-4)


def test_the_model_is_that_of_the_release(shared: Path) -> None:
    release = loadmat(shared / "weights" / "niqe" / "modelparameters.mat")
    mean, covariance = _pristine_model()
    np.testing.assert_array_equal(mean, release["mu_prisparam"][0])
    np.testing.assert_array_equal(covariance, release["cov_prisparam"])


SHAPES = np.arange(0.2, 10.0005, 0.001)
RATIOS = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))


def fit(values: np.ndarray) -> tuple[float, float, float]:
    """`estimateaggdparam.m`, word for word: shape, left and right spread."""
    left, right = math.sqrt(np.mean(values[values < 0] ** 2)), math.sqrt(np.mean(values[values > 0] ** 2))
    g = left / right
    wanted = np.mean(np.abs(values)) ** 2 / np.mean(values**2) * (g**3 + 1) * (g + 1) / (g**2 + 1) ** 2
    shape = SHAPES[np.argmin((RATIOS - wanted) ** 2)]
    spread = math.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * spread, right * spread


def plain_niqe(image: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    """The official release's steps one after another, with scipy and loops; for pictures without flat areas."""
    grey = np.floor(image @ np.array([0.298936021293775, 0.587043074451121, 0.114020904255103]) + 0.5)
    rows, columns = grey.shape[0] // 96, grey.shape[1] // 96
    grey = grey[: rows * 96, : columns * 96]
    y, x = np.mgrid[-3:4, -3:4]
    window = np.exp(-(x**2 + y**2) / (2 * (7 / 6) ** 2))
    window /= window.sum()
    scales = []
    for side in (96, 48):
        local = ndimage.convolve(grey, window, mode="nearest")
        deviation = np.sqrt(np.abs(ndimage.convolve(grey**2, window, mode="nearest") - local**2))
        coefficients = (grey - local) / (deviation + 1)
        features = []
        for row in range(rows):
            for column in range(columns):
                block = coefficients[row * side : (row + 1) * side, column * side : (column + 1) * side]
                shape, left, right = fit(block)
                feature = [shape, (left + right) / 2]
                for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
                    shape, left, right = fit(block * np.roll(block, shift, (0, 1)))
                    feature += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
                features.append(feature)
        scales.append(np.array(features))
        # MATLAB's imresize: weights from the bicubic kernel itself.
        distance = np.abs(np.arange(-3.5, 4)) / 2
        near, far = 1.5 * distance**3 - 2.5 * distance**2 + 1, -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
        taps = np.where(distance <= 1, near, far)
        for axis in (0, 1):
            # Even length 8: origin -1 puts taps on 2 i - 3 ... 2 i + 4.
            grey = ndimage.correlate1d(grey, taps / taps.sum(), axis=axis, mode="reflect", origin=-1)
            grey = grey[::2] if axis == 0 else grey[:, ::2]
    features = np.concatenate(scales, axis=1)
    difference = mean - features.mean(0)
    return float(np.sqrt(difference @ np.linalg.pinv((covariance + np.cov(features.T)) / 2) @ difference))


@pytest.mark.parametrize("size", [(96, 192), (200, 310), (288, 400)])
def test_equals_the_release_retyped(size: tuple[int, int]) -> None:
    image = natural(*size)
    assert niqe(image) == pytest.approx(plain_niqe(image, *_pristine_model()), rel=1e-6)


def test_a_score_does_not_depend_on_the_batch() -> None:
    images = [natural(200, 300, seed) for seed in range(3)]
    alone = [niqe(image) for image in images]
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    assert [result.number for result in niqe_batch(images)] == alone
    assert [result.number for result in niqe_batch(stacked)] == alone
    assert [result.number for result in niqe_batch(stacked.double() / 255)] == alone
    assert [result.number for result in niqe_batch([images[2], natural(96, 500), images[0]])][::2] == [
        alone[2],
        alone[0],
    ]


def test_a_score_does_not_depend_on_how_many_blocks_are_worked_on_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    image = natural(300, 400)
    whole = niqe(image)
    for at_a_time in (1, 3, 100):
        monkeypatch.setattr("duskbench.benchmarks.metrics.niqe._BLOCKS_AT_A_TIME", {"cpu": at_a_time})
        assert niqe(image) == pytest.approx(whole, rel=1e-12)


def test_pixels_beyond_the_last_whole_block_do_not_count() -> None:
    image = natural(230, 330)
    assert niqe(image) == niqe(image[:192, :288]) == niqe(np.ascontiguousarray(image[:192, :288]))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((1, 1, 3), np.uint8), "1x1 holds 0 whole blocks"),
        (np.zeros((0, 0, 3), np.uint8), "0x0 holds 0 whole blocks"),
        (natural(96, 96), "96x96 holds 1 whole blocks"),
        (natural(95, 2000), "2000x95 holds 0 whole blocks"),
        (np.zeros((300, 300, 3), np.uint8), "only 0 of 9 blocks have texture"),
        (np.full((300, 300, 3), 7, np.uint8), "only 0 of 9 blocks have texture"),
        (np.full((300, 300, 3), 255, np.uint8), "only 0 of 9 blocks have texture"),
    ],
)
def test_an_image_without_a_score_says_why(image: np.ndarray, reason: str) -> None:
    (result,) = niqe_batch([image])
    assert result.number is None
    assert result.reason is not None and reason in result.reason
    assert niqe(image) is None


def test_an_image_without_a_score_leaves_the_others_alone() -> None:
    good = natural(200, 200)
    flat, scored = niqe_batch([np.zeros_like(good), good])
    assert flat.number is None
    assert scored == Value(niqe(good))


def test_flat_areas_are_exactly_zero_at_both_scales() -> None:
    rng = np.random.default_rng(3)
    for level in (0, 1, 3, 77, 254, 255):
        image = rng.integers(0, 256, (192, 192)).astype(np.float64)
        image[:, 96:] = level
        grey = torch.from_numpy(image)
        assert torch.all(_normalise(grey)[:, 100:] == 0)
        assert torch.all(_normalise(_half(grey))[:, 54:] == 0)


def test_half_flat_pictures_have_a_score() -> None:
    image = natural(288, 288)
    image[:, :96] = 0
    value = niqe(image)
    assert value is not None and math.isfinite(value)


def test_noise_and_blur_are_less_natural() -> None:
    image = natural(288, 384)
    noisy = np.clip(image + np.random.default_rng(1).normal(0, 60, image.shape), 0, 255).astype(np.uint8)
    blurred = ndimage.gaussian_filter(image, (3, 3, 0))
    base = niqe(image)
    assert base is not None
    for worse in (noisy, blurred):
        value = niqe(worse)
        assert value is not None and value > base


def test_colour_order_and_grey_rule_matter() -> None:
    image = natural(200, 300)
    values = {niqe(image), niqe(image[:, :, ::-1]), niqe(image, luma="ycbcr_y")}
    assert len(values) == 3


def test_the_image_is_left_as_it_was() -> None:
    image = natural(200, 200)
    before = image.copy()
    image.setflags(write=False)
    niqe(image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((200, 200), np.uint8),
        np.zeros((200, 200, 4), np.uint8),
        np.zeros((200, 200, 3), np.float32),
        torch.zeros(200, 200, 3),
        torch.zeros((3, 200, 200), dtype=torch.int64),
        torch.full((3, 200, 200), float("nan")),
    ],
)
def test_another_shape_or_type_is_an_error(image: np.ndarray | torch.Tensor) -> None:
    with pytest.raises(DataError, match="Cannot compute NIQE"):
        niqe_batch([image])


def test_an_unknown_grey_rule_is_an_error() -> None:
    with pytest.raises(ConfigError, match="rgb2gray"):
        niqe(natural(200, 200), luma="hsv")  # type: ignore[arg-type]


@pytest.mark.gpu
def test_a_gpu_gives_the_same() -> None:
    images = [natural(480, 640, seed) for seed in range(2)]
    images[0][:, :200] = 0
    here, there = niqe_batch(images), niqe_batch(images, device="cuda")
    for a, b in zip(here, there, strict=True):
        assert b.number == pytest.approx(a.number, rel=1e-9)
    assert [niqe_batch([image], device="cuda")[0] for image in images] == there
