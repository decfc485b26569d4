"""Pictures no larger than a network's stride, by the networks that ship."""

from __future__ import annotations

import numpy as np
import pytest

from duskbench.pipeline import load_enhancer


@pytest.mark.parametrize("name", ["guided", "enlightengan", "cyclegan", "zero_dce"])
@pytest.mark.parametrize("size", [(1, 1), (3, 16), (17, 2)])
def test_they_come_back_in_their_size(name: str, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 60, (*size, 3), dtype=np.uint8)
    assert load_enhancer(name)(picture).shape == picture.shape
