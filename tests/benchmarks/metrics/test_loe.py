"""LOE against its definition, written out."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from duskbench.benchmarks.metrics.loe import loe
from duskbench.benchmarks.metrics.registry import load_metric
from duskbench.data_tools.errors import ConfigError, DataError


def by_definition(image: np.ndarray, original: np.ndarray) -> float:
    after, before = (each.max(axis=2).ravel().tolist() for each in (image, original))
    errors = [
        sum((a >= b) != (c >= d) for b, d in zip(before, after, strict=True))
        for a, c in zip(before, after, strict=True)
    ]
    return sum(errors) / len(errors)


@pytest.mark.parametrize("size", [(9, 12), (1, 7), (30, 20)])
def test_is_the_definition_where_every_pixel_is_taken(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 256, (2, *size, 3)).astype(np.uint8)
    assert loe(one, other) == pytest.approx(by_definition(one, other))


def pair_by_pair(image: np.ndarray, original: np.ndarray) -> float:
    before, after = (each.max(axis=2).ravel() for each in (original, image))
    changed = (before[:, None] >= before[None]) ^ (after[:, None] >= after[None])
    return float(changed.sum(axis=1).mean())


@pytest.mark.parametrize("size", [(1, 1), (50, 75), (1, 2999), (49, 61)])
@pytest.mark.parametrize("levels", [2, 60, 256])
def test_is_what_comparing_every_pair_gives_to_the_last_bit(size: tuple[int, int], levels: int) -> None:
    rng = np.random.default_rng(2)
    one, other = rng.integers(0, levels, (2, *size, 3)).astype(np.uint8)
    assert loe(one, other) == pair_by_pair(one, other)
    assert loe(255 - other, other) == pair_by_pair(255 - other, other)


def test_an_elongated_image_takes_no_memory_for_every_pair() -> None:
    one, other = np.random.default_rng(3).integers(0, 256, (2, 99, 2000, 3)).astype(np.uint8)
    tracemalloc.start()
    loe(one, other)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


def test_a_rising_curve_costs_nothing_and_a_negative_all() -> None:
    grey = np.repeat(np.arange(0, 200, 2, dtype=np.uint8).reshape(10, 10, 1), 3, axis=2)
    curve = np.rint(255 * (grey / 255) ** 0.45).astype(np.uint8)
    assert loe(curve, grey) == 0
    # All 99 others change their order, and each pixel is equal to itself before and after.
    assert loe(255 - grey, grey) == 99


def test_large_images_are_sampled() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.integers(0, 256, (2, 400, 600, 3)).astype(np.uint8)
    assert loe(one, other) == loe(one[4::8, 4::8], other[4::8, 4::8], side=999)
    assert 0.4 < loe(one, other) / (50 * 75) < 0.6


def test_wrong_input_is_an_error() -> None:
    image = np.zeros((5, 6, 3), np.uint8)
    with pytest.raises(DataError, match="differ in size"):
        loe(image, image[:4])
    with pytest.raises(DataError, match="levels of 8 bits"):
        loe(image / 255, image)
    with pytest.raises(ConfigError, match="1 or more"):
        load_metric("loe(side=0)")
