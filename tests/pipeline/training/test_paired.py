"""Crops of pairs: both at one place, in one of the symmetries, functions of seed and number alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.images import write_image
from duskbench.pipeline.training.paired import PairedCrops


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Three pairs of noise, the bright one twice the dark one, each pixel of its own colour."""
    for i in range(3):
        dark = np.random.default_rng(i).integers(5, 120, (30, 41, 3)).astype(np.uint8)
        write_image(tmp_path / "low" / f"{i}.png", dark)
        write_image(tmp_path / "high" / f"{i}.png", 2 * dark)
    return tmp_path


def test_both_are_cut_and_turned_alike(pairs: Path) -> None:
    dataset = PairedCrops(pairs, crop=16)
    assert len(dataset) == 3
    for number in range(40):
        sample = dataset[number]
        assert sample["low"].shape == (3, 16, 16)
        assert sample["low"].dtype == torch.uint8
        assert torch.equal(2 * sample["low"], sample["normal"])


@pytest.mark.parametrize("symmetries", [1, 7, 8])
def test_symmetries_are_numbered_as_the_authors_do(tmp_path: Path, symmetries: int) -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4, 1).repeat(3, 2)
    write_image(tmp_path / "low" / "0.png", image)
    write_image(tmp_path / "high" / "0.png", image)
    expected = [image, np.flipud(image)]
    for turn in (1, 2, 3):
        expected += [np.rot90(image, turn), np.flipud(np.rot90(image, turn))]
    dataset = PairedCrops(tmp_path, crop=4, symmetries=symmetries)
    seen = set()
    for number in range(120):
        crop = dataset[number]["low"].numpy().transpose(1, 2, 0)
        seen |= {i for i, each in enumerate(expected) if np.array_equal(crop, each)}
    assert seen == set(range(symmetries))


def test_samples_are_functions_of_seed_and_number(pairs: Path) -> None:
    one, other = PairedCrops(pairs, crop=16, seed=3), PairedCrops(pairs, crop=16, seed=3)
    assert all(torch.equal(one[number]["low"], other[number]["low"]) for number in (7, 2, 30, 2))
    different = PairedCrops(pairs, crop=16, seed=4)
    assert any(not torch.equal(one[number]["low"], different[number]["low"]) for number in range(5))
    assert len({int(one[number]["seed"]) for number in range(20)}) == 20


def test_an_epoch_sees_every_pair_once(pairs: Path) -> None:
    dataset = PairedCrops(pairs, crop=30, symmetries=1)
    names = [bytes(dataset._pair(number)[0]) for number in range(12)]
    assert all(len(set(names[start : start + 3])) == 3 for start in (0, 3, 6, 9))
    assert len({tuple(names[start : start + 3]) for start in (0, 3, 6, 9)}) > 1


def test_stretched_crops_keep_the_extremes_of_their_image(pairs: Path) -> None:
    dataset = PairedCrops(pairs, crop=4, stretch=True, symmetries=1)
    whole = PairedCrops(pairs, crop=30, stretch=True, symmetries=1)
    sample = whole[0]
    assert sample["low"].dtype == torch.float32
    crops = torch.stack([dataset[number]["low"] for number in range(30)])
    assert crops.min() >= 0
    assert crops.max() <= 1 + 1e-6
    # An image's brightest pixel is in some of its crops only.
    assert len({float(crop.max()) for crop in crops}) > 1
    torch.testing.assert_close(sample["low"], sample["normal"], atol=1e-6, rtol=0)


def test_names_of_any_kind(pairs: Path) -> None:
    for half in ("low", "high"):
        (pairs / half / "0.png").rename(pairs / half / "夜 ü'#%.png")
    samples = PairedCrops(pairs, crop=8)
    assert {tuple(samples[n]["low"].shape) for n in range(3)} == {(3, 8, 8)}


def test_short_sides_and_limits(pairs: Path) -> None:
    assert len(PairedCrops(pairs, crop=8, limit=2)) == 2
    assert PairedCrops(pairs, crop=64)[0]["low"].shape == (3, 64, 64)
    reduced = PairedCrops(pairs, crop=10, short_side=(10, 20))[5]
    assert (reduced["normal"].float() - 2 * reduced["low"].float()).abs().max() <= 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"crop": 0},
        {"crop": 3.5},
        {"crop": (8, 8)},
        {"short_side": (8, 20)},
        {"short_side": 300},
        {"symmetries": 9},
        {"symmetries": "all"},
        {"limit": 0},
        {"limit": "all"},
        {"stretch": "no"},
        {"seed": -1},
    ],
)
def test_impossible_crops(pairs: Path, arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"not possible"):
        PairedCrops(pairs, **{"crop": 16, **arguments})  # type: ignore[arg-type]


def test_a_pair_of_two_sizes_is_an_error(pairs: Path) -> None:
    write_image(pairs / "high" / "1.png", np.zeros((31, 41, 3), np.uint8))
    dataset = PairedCrops(pairs, crop=16)
    with pytest.raises(DataError, match="different sizes"):
        [dataset[number] for number in range(3)]


def test_what_looks_like_a_picture_and_is_not_read_is_said(pairs: Path) -> None:
    assert PairedCrops(pairs, crop=16).notes == ()
    (pairs / "low" / "9.heic").write_bytes(b"")
    (pairs / "high" / "9.png").symlink_to(pairs / "nowhere.png")
    low, high = PairedCrops(pairs, crop=16).notes
    assert low.startswith(f"{pairs / 'low'}: 1 left out, HEIF")
    assert high == f"{pairs / 'high'}: 1 left out, links that lead nowhere: 9.png"


def test_no_pairs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pairs"):
        PairedCrops(tmp_path)
