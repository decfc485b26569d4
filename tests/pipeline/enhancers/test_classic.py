"""Input, gamma correction, histogram equalisation and CLAHE against plain references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from duskbench.data_tools.errors import ConfigError, EnhancerError
from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.enhancers.clahe import CLAHE
from duskbench.pipeline.enhancers.gamma import Gamma
from duskbench.pipeline.enhancers.he import HistogramEqualization
from duskbench.pipeline.enhancers.input import Input
from duskbench.pipeline.enhancers.luminance import map_luma

SIZES = [(1, 1), (1, 9), (9, 1), (2, 2), (7, 5), (3, 100), (65, 33)]
EVERY = [Input(), Gamma(), HistogramEqualization(), CLAHE(), CLAHE(clip_limit=40.0, tile_grid=[3, 50])]

images = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda size: arrays(np.uint8, (*size, 3)))


def noise(height: int, width: int, seed: int = 0, high: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, (height, width, 3), dtype=np.uint8)


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values.astype(np.uint8)[:, :, None], 3, axis=2)


def luma(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float64) @ [0.299, 0.587, 0.114]


@pytest.mark.parametrize("enhancer", EVERY, ids=lambda enhancer: f"{enhancer.name}-{dict(enhancer.arguments)}")
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_any_size_comes_back_the_same_and_the_argument_is_left_alone(enhancer: Enhancer, size: tuple[int, int]) -> None:
    image = noise(*size)
    before = image.copy()
    result = enhancer(image)
    assert result.shape == image.shape
    assert result.dtype == np.uint8
    assert not np.shares_memory(result, image)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(enhancer(image), result)


@pytest.mark.parametrize("enhancer", EVERY, ids=lambda enhancer: f"{enhancer.name}-{dict(enhancer.arguments)}")
def test_views_give_what_their_copies_give(enhancer: Enhancer) -> None:
    view = noise(40, 31)[::-1, ::2, ::-1]
    np.testing.assert_array_equal(enhancer(view), enhancer(np.ascontiguousarray(view)))


@given(images)
def test_input_changes_nothing(image: np.ndarray) -> None:
    np.testing.assert_array_equal(Input()(image), image)


@pytest.mark.parametrize(
    ("gamma", "level", "expected"),
    [
        (1.0, 100, 100),
        (0.5, 64, 128),  # 255 sqrt(64 / 255) = 127.7
        (0.5, 255, 255),
        (0.5, 0, 0),
        (2.0, 128, 64),  # 128^2 / 255 = 64.3
        (0.45, 10, 59),  # 255 (10 / 255)^0.45 = 59.4
    ],
)
def test_gamma_by_hand(gamma: float, level: int, expected: int) -> None:
    assert Gamma(gamma)(np.full((1, 1, 3), level, np.uint8)).ravel().tolist() == [expected] * 3


@pytest.mark.parametrize("gamma", [0, -1, True, "1", float("nan"), float("inf")])
def test_gamma_out_of_range(gamma: float) -> None:
    with pytest.raises(ConfigError, match="greater than 0"):
        Gamma(gamma)


def plain_equalization(values: np.ndarray) -> np.ndarray:
    """New level of v: the share of pixels at most v, less that of the darkest level, on a scale of 255."""
    levels, counts = np.unique(values, return_counts=True)
    if len(levels) == 1:
        return values.copy()
    at_most = np.cumsum(counts)
    new = np.rint(255 * (at_most - counts[0]) / (values.size - counts[0]))
    return new[np.searchsorted(levels, values)].astype(np.uint8)


@settings(deadline=None)
@given(st.tuples(st.integers(1, 20), st.integers(1, 20)).flatmap(lambda size: arrays(np.uint8, size)))
def test_he_of_grey_images_is_the_textbook_formula(values: np.ndarray) -> None:
    result = HistogramEqualization()(grey(values))
    # OpenCV scales in single precision, so a half may round the other way.
    assert np.abs(result.astype(int) - grey(plain_equalization(values))).max() <= 1


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (10, 40, 90), (1, 0, 0)])
@pytest.mark.parametrize("size", [(1, 1), (20, 30)])
def test_he_leaves_one_colour_as_it_is(colour: tuple[int, int, int], size: tuple[int, int]) -> None:
    image = np.full((*size, 3), colour, np.uint8)
    np.testing.assert_array_equal(HistogramEqualization()(image), image)


def test_he_spreads_a_night_picture_over_all_levels() -> None:
    image = noise(80, 60, high=60)
    result = luma(HistogramEqualization()(image))
    assert luma(image).max() < 60
    assert result.min() < 1
    assert result.max() > 250
    assert abs(result.mean() - 127.5) < 6


@settings(deadline=None)
@given(images)
def test_the_identity_on_luma_is_the_identity(image: np.ndarray) -> None:
    np.testing.assert_array_equal(map_luma(image, np.copy), image)


@settings(deadline=None)
@given(images, arrays(np.uint8, 256))
def test_new_luma_is_what_was_asked_for_and_hue_stays(image: np.ndarray, table: np.ndarray) -> None:
    result = map_luma(image, lambda values: table[values])
    old = np.rint(image.astype(np.float32) @ np.float32([0.299, 0.587, 0.114])).astype(np.uint8)
    wanted = table[old].astype(float)
    # A pixel of luma y stands in its level by y - level, and so does its new luma, in proportion; plus rounding.
    slack = 0.5 + 0.5 * wanted / np.maximum(old, 1) + 0.51
    assert (np.abs(luma(result) - wanted) <= slack).all()
    # Hue: the order of the channels survives wherever rounding has not made them equal.
    for a, b in ((0, 1), (1, 2), (0, 2)):
        before = np.sign(image[..., a].astype(int) - image[..., b])
        after = np.sign(result[..., a].astype(int) - result[..., b])
        assert (before * after >= 0).all()


def test_colours_that_fit_keep_their_ratios_and_others_lose_saturation() -> None:
    image = np.array([[[40, 20, 10], [200, 20, 10]]], np.uint8)
    doubled = map_luma(image, lambda values: values * 2)
    assert doubled[0, 0].tolist() == [80, 40, 20]
    red, green, blue = doubled[0, 1].tolist()
    assert red == 255
    assert 40 < green < red
    assert 20 < blue < green
    assert abs(luma(doubled[0, 1]) - 2 * luma(image[0, 1])) <= 1


def plain_clahe(values: np.ndarray, clip_limit: float, columns: int, rows: int) -> np.ndarray:
    """Zuiderveld's CLAHE pixel by pixel, for sides that are multiples of the grid."""
    height, width = values.shape[0] // rows, values.shape[1] // columns
    area = height * width
    limit = max(1, int(clip_limit * area / 256))
    tables = np.empty((rows, columns, 256))
    for row in range(rows):
        for column in range(columns):
            tile = values[row * height : (row + 1) * height, column * width : (column + 1) * width]
            counts = np.bincount(tile.ravel(), minlength=256)
            excess = int((counts - limit).clip(0).sum())
            counts = counts.clip(max=limit) + excess // 256
            left = excess % 256
            if left:
                step = max(256 // left, 1)
                counts[np.arange(0, 256, step)[:left]] += 1
            tables[row, column] = np.rint(np.cumsum(counts) * 255 / area)
    result = np.empty(values.shape)
    for (y, x), value in np.ndenumerate(values):
        v, u = y / height - 0.5, x / width - 0.5
        top, left = int(np.floor(v)), int(np.floor(u))
        dy, dx = v - top, u - left
        above, below = np.clip([top, top + 1], 0, rows - 1)
        near, far = np.clip([left, left + 1], 0, columns - 1)
        upper = (1 - dx) * tables[above, near, value] + dx * tables[above, far, value]
        lower = (1 - dx) * tables[below, near, value] + dx * tables[below, far, value]
        result[y, x] = (1 - dy) * upper + dy * lower
    return result


@pytest.mark.parametrize(
    ("size", "clip_limit", "grid", "high"),
    [
        ((64, 64), 2.0, (8, 8), 40),
        ((48, 80), 4.0, (5, 3), 256),
        ((32, 32), 40.0, (1, 1), 100),
        ((40, 40), 1.0, (2, 4), 9),
    ],
)
def test_clahe_is_the_textbook_algorithm(
    size: tuple[int, int], clip_limit: float, grid: tuple[int, int], high: int
) -> None:
    values = np.random.default_rng(3).integers(0, high, size).astype(np.uint8)
    result = CLAHE(clip_limit, grid)(grey(values))
    expected = plain_clahe(values, clip_limit, *grid)
    assert np.abs(result[:, :, 0] - expected).max() <= 1
    np.testing.assert_array_equal(result, grey(result[:, :, 0]))


@pytest.mark.parametrize(
    "arguments",
    [
        {"clip_limit": 0},
        {"clip_limit": float("nan")},
        {"clip_limit": True},
        {"clip_limit": "2"},
        {"tile_grid": (0, 8)},
        {"tile_grid": (8,)},
        {"tile_grid": (8, 1.5)},
        {"tile_grid": (8, True)},
    ],
)
def test_clahe_out_of_range(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="out of range"):
        CLAHE(**arguments)  # type: ignore[arg-type]


def test_fingerprints_know_the_arguments() -> None:
    several = [Input(), HistogramEqualization(), Gamma(0.4), Gamma(0.5), CLAHE(), CLAHE(3.0), CLAHE(tile_grid=(4, 4))]
    assert len({enhancer.fingerprint for enhancer in several}) == len(several)
    assert Gamma(0.4).fingerprint == Gamma(gamma=0.4).fingerprint
    assert CLAHE(tile_grid=[8, 8]).fingerprint == CLAHE().fingerprint


@pytest.mark.parametrize("enhancer", EVERY, ids=lambda enhancer: f"{enhancer.name}-{dict(enhancer.arguments)}")
@pytest.mark.parametrize("wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_image_is_refused(enhancer: Enhancer, wrong: np.ndarray) -> None:
    with pytest.raises(EnhancerError, match=enhancer.name):
        enhancer(wrong)
