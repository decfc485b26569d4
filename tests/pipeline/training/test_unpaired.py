"""Training crops: a function of seed and number alone, every image once an epoch, nothing kept in memory."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.images import read_image, write_image
from duskbench.pipeline.training import unpaired as module
from duskbench.pipeline.training.unpaired import SampleNumbers, UnpairedCrops


def test_a_sample(unpaired: Path) -> None:
    sample = UnpairedCrops(unpaired, crop=32)[0]
    assert set(sample) == {"low", "normal", "seed"}
    for name in ("low", "normal"):
        assert sample[name].shape == (3, 32, 32)
        assert sample[name].dtype == torch.uint8
    assert sample["low"].max() < 60
    assert sample["normal"].max() > 60
    assert sample["seed"].dtype == torch.int64


def test_folders_inside_are_read(unpaired: Path, tmp_path: Path) -> None:
    for domain in ("trainA", "trainB"):
        for number, file in enumerate(sorted((unpaired / domain).iterdir())):
            write_image(tmp_path / domain / str(number % 2) / f"{file.stem}.png", read_image(file))
    one, other = UnpairedCrops(unpaired, crop=32), UnpairedCrops(tmp_path, crop=32)
    assert len(one) == len(other)


def test_samples_depend_on_seed_and_number_alone(unpaired: Path) -> None:
    one, other = (UnpairedCrops(unpaired, crop=32, short_side=(34, 50), seed=3) for _ in range(2))
    forward = {number: one[number] for number in range(12)}
    backward = {number: other[number] for number in reversed(range(12))}
    for number, sample in forward.items():
        assert all(torch.equal(sample[key], backward[number][key]) for key in sample)
    seeds = {
        int(UnpairedCrops(unpaired, crop=32, seed=seed)[number]["seed"]) for seed in range(3) for number in range(9)
    }
    assert len(seeds) == 27


def test_an_epoch_sees_every_image_once_and_the_next_in_another_order(
    unpaired: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def note(path: Path) -> np.ndarray:
        read.append(path)
        return read_image(path)

    monkeypatch.setattr(module, "read_image", note)
    crops = UnpairedCrops(unpaired, crop=8)
    assert len(crops) == 7
    for number in range(14):
        crops[number]
    normal = [path.name for path in read if path.parent.name == "trainB"]
    assert Counter(normal[:7]) == Counter(normal[7:]) == Counter(f"{i}.png" for i in range(7))
    assert normal[:7] != normal[7:]
    assert Counter(path.name for path in read if path.parent.name == "trainA")["0.png"] in (2, 3)


def test_a_crop_is_a_window_of_the_image_or_its_mirror(tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:20, 0:30].astype(np.uint8)
    for folder in ("trainA", "trainB"):
        write_image(tmp_path / folder / "one.png", np.stack([rows, columns, np.full_like(rows, 7)], axis=2))
    seen = set()
    crops = UnpairedCrops(tmp_path, crop=16)
    for number in range(60):
        low = crops[number]["low"].numpy().astype(int)
        top, left, right = low[0, 0, 0], low[1, 0, 0], low[1, 0, -1]
        assert abs(right - left) == 15
        assert (low[0] == top + np.arange(16)[:, None]).all()
        assert (low[1] == np.linspace(left, right, 16)).all()
        seen.add((top, min(left, right), right > left))
    assert {top for top, *_ in seen} == set(range(5)), "every window can be drawn"
    assert {left for _, left, _ in seen} >= {0, 14}
    assert len({mirrored for *_, mirrored in seen}) == 2
    assert all(not torch.equal(a["low"], a["normal"]) for a in [crops[2], crops[3]]), "drawn apart from each other"


def test_small_images_are_enlarged(unpaired: Path) -> None:
    assert UnpairedCrops(unpaired, crop=64)[0]["low"].shape == (3, 64, 64)


def test_a_small_image_is_enlarged_by_cubic_interpolation(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    for folder in ("trainA", "trainB"):
        write_image(tmp_path / folder / "one.png", picture)
    enlarged = UnpairedCrops(tmp_path, crop=60, flips=())[0]["low"].numpy().transpose(1, 2, 0)
    assert np.array_equal(enlarged, cv2.resize(picture, (60, 60), interpolation=cv2.INTER_CUBIC))


def test_short_side_is_how_much_of_the_image_a_crop_shows(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 255, 200).astype(np.uint8)[None, :, None], (100, 1, 3))
    for folder in ("trainA", "trainB"):
        write_image(tmp_path / folder / "ramp.png", ramp)
    for side in (20, 40):
        crops = UnpairedCrops(tmp_path, crop=20, short_side=(side, side), flips=())
        shown = [int(s["low"][0, 0, -1]) - int(s["low"][0, 0, 0]) for s in (crops[n] for n in range(5))]
        # A crop is 20 of 2 * side columns, over which the ramp climbs by 255.
        assert shown == pytest.approx([19 / (2 * side) * 255] * 5, abs=4)


@pytest.mark.parametrize(("resampling", "filter_"), [("bicubic", 3), ("lanczos", 1)])
def test_the_whole_image_is_resized_as_pillow_does_it(tmp_path: Path, resampling: str, filter_: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (30, 50, 3)).astype(np.uint8)
    for folder in ("trainA", "trainB"):
        write_image(tmp_path / folder / "one.png", picture)
    crops = UnpairedCrops(tmp_path, crop=16, resize=16, resampling=resampling, flips=())
    expected = Image.fromarray(picture).resize((16, 16), filter_)
    assert np.array_equal(crops[0]["low"].numpy().transpose(1, 2, 0), np.asarray(expected))
    larger = np.asarray(Image.fromarray(picture).resize((19, 19), filter_))
    windows = [larger[y : y + 16, x : x + 16] for y in range(4) for x in range(4)]
    crops = UnpairedCrops(tmp_path, crop=16, resize=19, resampling=resampling, flips=())
    for number in range(6):
        found = crops[number]["low"].numpy().transpose(1, 2, 0)
        assert any(np.array_equal(found, window) for window in windows)


@pytest.mark.parametrize(("flips", "seen"), [((), 1), (("left_right",), 2), (("left_right", "up_down"), 4)])
def test_flips(tmp_path: Path, flips: tuple[str, ...], seen: int) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[0, 0] = 255
    for folder in ("trainA", "trainB"):
        write_image(tmp_path / folder / "corner.png", picture)
    crops = UnpairedCrops(tmp_path, crop=8, flips=flips)
    corners = Counter(int(crops[number]["low"][0].argmax()) for number in range(80))
    assert len(corners) == seen
    assert min(corners.values()) >= 80 / seen / 2


def test_crops_that_show_nothing_are_drawn_anew(tmp_path: Path) -> None:
    picture = np.zeros((20, 80, 3), np.uint8)
    picture[:, 60:] = 200
    for folder in ("trainA", "trainB"):
        write_image(tmp_path / folder / "lamp.png", picture)
    dark = [UnpairedCrops(tmp_path, crop=20)[n]["low"].max() == 0 for n in range(40)]
    kept = [UnpairedCrops(tmp_path, crop=20, least_luma=0.02)[n]["low"].max() == 0 for n in range(40)]
    assert sum(dark) > 20
    assert sum(kept) < 8


def test_one_domain_alone_is_not_decoded_twice(unpaired: Path, tmp_path: Path) -> None:
    (tmp_path / "trainA").symlink_to(unpaired / "trainA")
    crops = UnpairedCrops(tmp_path, crop=32, domains=("A",))
    assert set(crops[0]) == {"low", "seed"}
    assert len(crops) == 5


def test_several_roots_are_taken_together(unpaired: Path) -> None:
    assert len(UnpairedCrops([unpaired, unpaired], crop=8)) == 14


@pytest.mark.parametrize(
    "arguments",
    [
        {"crop": 0},
        {"short_side": (8, 300)},
        {"short_side": (400, 300)},
        {"resize": 255},
        {"resize": 300, "short_side": (300, 300)},
        {"resize": 300, "resampling": "spline"},
        {"flips": ("diagonal",)},
        {"domains": ()},
        {"domains": ("C",)},
        {"domains": "AB"},
        {"domains": 1},
        {"crop": True},
        {"crop": 3.5},
        {"crop": "large"},
        {"crop": (32, 0)},
        {"crop": (32, 32, 32)},
        {"short_side": 300},
        {"short_side": (300, "large")},
        {"short_side": (300, float("nan"))},
        {"short_side": (300, 400, 500)},
        {"resize": "large"},
        {"resampling": 5},
        {"least_luma": 20},
        {"least_luma": float("nan")},
        {"seed": -1},
        {"seed": "zero"},
    ],
)
def test_impossible_crops(unpaired: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="crops are not possible"):
        UnpairedCrops(unpaired, **arguments)


def test_one_name_of_a_flip_or_domain_need_not_be_a_list(unpaired: Path) -> None:
    one = UnpairedCrops(unpaired, crop=8, flips="up_down", domains="A")
    assert (one.flips, list(one[0])) == (("up_down",), ["low", "seed"])


def test_names_of_any_kind_and_a_home_folder(unpaired: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "Bilder bei Nacht, ü#%'"
    for folder in ("trainA", "trainB"):
        (root / folder).mkdir(parents=True)
        for number, name in enumerate(("夜 1.png", "b'#%.png", os.fsdecode(b"\xff.png"))):
            shutil.copy(unpaired / folder / f"{number}.png", root / folder / name)
    monkeypatch.setenv("HOME", str(tmp_path))
    home = UnpairedCrops(f"~/{root.name}", crop=8)
    assert {tuple(home[n]["low"].shape) for n in range(3)} == {(3, 8, 8)}


def test_pictures_of_another_format_are_named(unpaired: Path, tmp_path: Path) -> None:
    (tmp_path / "trainA").mkdir()
    shutil.copy(unpaired / "trainA" / "0.png", tmp_path / "trainA" / "a.gif")
    with pytest.raises(DataError, match=r"(?s)no images.*got: 1 left out, no format that is read.*a\.gif"):
        UnpairedCrops(tmp_path)


def test_missing_sets_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not there") as caught:
        UnpairedCrops(tmp_path)
    assert "duskbench data unpaired" in str(caught.value)
    (tmp_path / "trainA").mkdir()
    with pytest.raises(DataError, match="no images"):
        UnpairedCrops(tmp_path)


def test_a_damaged_image_is_named(unpaired: Path, tmp_path: Path) -> None:
    for folder in ("trainA", "trainB"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "bad.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"bad\.png"):
        UnpairedCrops(tmp_path)[0]


def test_numbers_are_dealt_out_and_start_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    dealt = []
    for rank in range(2):
        monkeypatch.setattr(module, "get_dist_info", lambda rank=rank: (rank, 2))
        sampler = SampleNumbers(range(10), seed=0)
        assert len(sampler) == 10
        dealt.append([number for number, _ in zip(sampler, range(4), strict=False)])
        sampler.skip(2)
        assert next(iter(sampler)) == dealt[-1][2]
    assert dealt == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_crops_may_be_wider_than_high(unpaired: Path) -> None:
    assert UnpairedCrops(unpaired, crop=(16, 40))[0]["low"].shape == (3, 16, 40)
    assert UnpairedCrops(unpaired, crop=(64, 32))[3]["normal"].shape == (3, 64, 32)
    assert UnpairedCrops(unpaired, crop=(16, 32), resize=(20, 40))[0]["low"].shape == (3, 16, 32)
    with pytest.raises(ConfigError, match="not possible"):
        UnpairedCrops(unpaired, crop=(16, 32), resize=(40, 20))
