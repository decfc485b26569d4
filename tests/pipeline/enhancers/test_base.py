"""What every enhancer is given."""

from __future__ import annotations

import numpy as np
import pytest

from duskbench.data_tools.errors import EnhancerError
from duskbench.pipeline import load_enhancer

PICTURE = np.random.default_rng(0).integers(0, 60, (14, 17, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["lime", "npe", "clahe", "he", "zero_dce", "guided"])
@pytest.mark.parametrize(
    "stored",
    [
        np.asfortranarray(PICTURE), np.repeat(PICTURE, 2, axis=1)[:, ::2], PICTURE[::-1].copy()[::-1],
        PICTURE[:, :, ::-1].copy()[:, :, ::-1],
    ],
    ids=["Fortran's order", "every second column", "upside down", "BGR"],
)  # fmt: skip
def test_an_image_counts_by_its_pixels_and_not_by_its_order_in_memory(name: str, stored: np.ndarray) -> None:
    assert not stored.flags.c_contiguous and np.array_equal(stored, PICTURE)
    enhancer = load_enhancer(name)
    expected = enhancer(PICTURE)
    assert np.array_equal(enhancer(stored), expected)
    assert np.array_equal(enhancer.many([stored], [None])[0], expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "made", [PICTURE / 255, PICTURE.astype(np.float32), PICTURE / 127.5 - 1], ids=["to 1", "to 255", "from -1"]
)
def test_what_to_do_with_floats_makes_the_image_that_they_are(made: np.ndarray) -> None:
    with pytest.raises(EnhancerError, match="float") as caught:
        load_enhancer(lambda image: made)(PICTURE)
    advice = str(caught.value.todo).removeprefix("make it uint8: ")
    assert np.array_equal(eval(advice, {"np": np, "x": made}), PICTURE)  # noqa: S307 - our own words
