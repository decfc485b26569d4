from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duskbench.data_tools.datasets import open_dataset
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.folder import ImageFolder
from duskbench.data_tools.images import read_image, write_image
from duskbench.data_tools.miniature import make_miniature
from duskbench.data_tools.training_manifest import read_manifest
from duskbench.data_tools.unpaired import build_unpaired, open_source
from duskbench.data_tools.unpaired_selection import difference_hash, luma


def scene(seed: int, level: float, side: int = 72) -> np.ndarray:
    """A smooth random picture of the mean brightness `level` in [0, 1]."""
    coarse = np.random.default_rng(seed).uniform(0.5, 1.5, (9, 9, 3))
    smooth = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth / smooth.mean() * level * 255, 0, 255).astype(np.uint8)


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Path, Path]:
    low, normal = tmp_path / "night", tmp_path / "day"
    for number in range(4):
        write_image(low / f"n{number}.png", scene(number, 0.1))
        write_image(normal / f"d{number}.png", scene(100 + number, 0.5))
    return low, normal


def rejected(manifest: Path) -> dict[str, tuple[str, str | None]]:
    rows = read_manifest(manifest)["images"]
    return {row["file"]: (row["rejected"], row["detail"]) for row in rows if row["rejected"]}


def listing(out: Path) -> dict[str, str]:
    files = (path for path in sorted(out.rglob("*")) if path.is_file())
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_writes_enlightengans_layout(sources: tuple[Path, Path], tmp_path: Path) -> None:
    low, normal = sources
    made = build_unpaired([low], [normal], tmp_path / "out")
    assert (made.taken, made.rejected) == ({"A": 4, "B": 4}, {})
    assert sorted(path.name for path in (made.out / "trainA").iterdir()) == [f"night@n{i}.png" for i in range(4)]
    row = read_manifest(made.manifest)["images"][0]
    path = low / "n0.png"
    assert (made.out / "trainA/night@n0.png").samefile(path)
    assert (row["domain"], row["source"], row["id"], row["width"], row["height"]) == ("A", "night", "n0", 72, 72)
    assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    grey = cv2.cvtColor(read_image(path), cv2.COLOR_RGB2GRAY)
    assert row["brightness"] == pytest.approx(grey.mean() / 255, abs=2e-3)


def test_reasons(sources: tuple[Path, Path], tmp_path: Path) -> None:
    low, normal = sources
    write_image(low / "x_bright.png", scene(50, 0.6))
    write_image(low / "x_small.png", scene(51, 0.1, side=20))
    write_image(normal / "zz_dark.png", scene(52, 0.2))
    write_image(normal / "x_twin.jpg", cv2.resize(scene(101, 0.6), (150, 150)))
    (normal / "x_same.png").write_bytes((low / "n2.png").read_bytes())
    (normal / "x_cut.png").write_bytes((normal / "d0.png").read_bytes()[:200])
    made = build_unpaired(
        [low], [normal], tmp_path / "out", max_low_brightness=0.4, min_brightness=0.05, min_side=64, workers=2
    )
    found = rejected(made.manifest)
    assert {name: reason for name, (reason, _) in found.items()} == {
        "night@x_bright.png": "too bright",
        "night@x_small.png": "too small",
        "day@x_twin.jpg": "near-duplicate",
        "day@x_same.png": "in A",
        "day@x_cut.png": "unreadable",
    }
    assert found["day@x_twin.jpg"][1] == "day@d1.png"
    assert found["night@x_small.png"][1] == "20 x 20"
    assert made.rejected == {"too bright": 1, "too small": 1, "near-duplicate": 1, "in A": 1, "unreadable": 1}
    assert sorted(path.name for path in (made.out / "trainB").iterdir())[-1] == "day@zz_dark.png"
    stricter = build_unpaired([low], [normal], tmp_path / "out", min_brightness=0.3)
    assert rejected(stricter.manifest)["day@zz_dark.png"][0] == "too dark"
    # What the earlier manifest put there and the new one does not name is gone.
    assert not (made.out / "trainB/day@zz_dark.png").exists()


@pytest.mark.parametrize("limit", [None, 2])
def test_deterministic(sources: tuple[Path, Path], tmp_path: Path, limit: int | None) -> None:
    low, normal = sources
    runs = [
        listing(build_unpaired([low], [normal], tmp_path / str(workers), limit=limit, seed=3, workers=workers).out)
        for workers in (1, 2)
    ]
    assert runs[0] == runs[1]
    assert len(runs[0]) == 1 + 2 * (limit or 4)
    other = [listing(build_unpaired([low], [normal], tmp_path / f"s{s}", limit=2, seed=s).out) for s in range(6)]
    assert len({tuple(sorted(names)) for names in other}) > 1


def test_near_duplicates_can_be_kept(sources: tuple[Path, Path], tmp_path: Path) -> None:
    low, normal = sources
    (low / "again.png").write_bytes((low / "n0.png").read_bytes())
    kept = build_unpaired([low], [normal], tmp_path / "keep", hash_distance=-1)
    assert kept.taken["A"] == 5
    assert build_unpaired([low], [normal], tmp_path / "drop", hash_distance=0).taken["A"] == 4


def test_reads_its_own_layout_and_sources_of_one_name(sources: tuple[Path, Path], tmp_path: Path) -> None:
    low, normal = sources
    made = build_unpaired([low], [normal], tmp_path / "out")
    assert len(open_source(made.out, "A").ids) == len(open_source(made.out, "B").ids) == 4
    again = build_unpaired([made.out, ImageFolder(low)], [made.out], tmp_path / "again")
    assert (again.taken, again.rejected) == ({"A": 4, "B": 4}, {"near-duplicate": 4})
    write_image(tmp_path / "other/night/n0.png", scene(77, 0.1))
    both = build_unpaired([low, tmp_path / "other/night"], [normal], tmp_path / "both")
    assert (both.out / "trainA/night-2@n0.png").samefile(tmp_path / "other/night/n0.png")
    assert (both.out / "trainA/night@n0.png").samefile(low / "n0.png")


def test_one_split_of_a_data_set(tmp_path: Path) -> None:
    make_miniature(tmp_path / "mini", voc_images=0, night_images=(2, 1, 1), size=(320, 240), workers=1)
    assert len(open_source(f"{tmp_path}/mini@train", "A").ids) == 2
    assert len(open_source(tmp_path / "mini", "A").ids) == 4
    (tmp_path / "odd@train").mkdir()
    write_image(tmp_path / "odd@train" / "a.png", scene(0, 0.1))
    assert len(open_source(tmp_path / "odd@train", "A").ids) == 1, "a folder of that name is a folder"


def test_boxes_of_no_known_layout_do_no_harm(
    sources: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    low, normal = sources
    (low / "n0.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    assert build_unpaired([low], [normal], tmp_path / "out").taken == {"A": 4, "B": 4}
    [said] = caplog.messages
    assert said.startswith(f"{low}: every image is taken; its layout is not known, with 1 text files")


def test_absent_images_of_a_data_set_are_rejected(sources: tuple[Path, Path], tmp_path: Path) -> None:
    exdark = tmp_path / "exdark"
    write_image(exdark / "ExDark/Boat/a.png", scene(1, 0.1))
    (exdark / "imageclasslist.txt").write_text("a.png 2 1 1 1\nb.png 2 1 1 3\n")
    made = build_unpaired([exdark], [sources[1]], tmp_path / "out")
    assert rejected(made.manifest) == {"ExDark@b.png": ("missing", None)}


def test_errors(sources: tuple[Path, Path], tmp_path: Path) -> None:
    low, normal = sources
    with pytest.raises(ConfigError, match="min_brightness"):
        build_unpaired([low], [normal], tmp_path / "out", min_brightness=64)
    with pytest.raises(ConfigError, match="limit"):
        build_unpaired([low], [normal], tmp_path / "out", limit=0)
    with pytest.raises(DataError, match=r"No image is left for trainB(?s:.*)4 too dark"):
        build_unpaired([low], [low], tmp_path / "out", hash_distance=-1, min_brightness=0.9)
    assert not (tmp_path / "out/manifest.json").exists()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/manifest.json").write_text(
        json.dumps({"images": [{"domain": "A", "file": "../../n0.png", "rejected": None}]})
    )
    with pytest.raises(DataError, match="Not the manifest"):
        build_unpaired([low], [normal], tmp_path / "bad")
    assert (low / "n0.png").exists()


def test_a_call_that_fails_places_nothing(sources: tuple[Path, Path], tmp_path: Path) -> None:
    """What it left would be learned from: a training reads the folder, not the manifest."""
    low, normal = sources
    with pytest.raises(DataError, match="No image is left for trainB"):
        build_unpaired([normal], [low], tmp_path / "out", hash_distance=-1)
    assert listing(tmp_path / "out") == {}
    made = build_unpaired([low], [normal], tmp_path / "out")
    whole = listing(made.out)
    placed = [f"trainA/night@n{i}.png" for i in range(4)] + [f"trainB/day@d{i}.png" for i in range(4)]
    assert sorted(whole) == ["manifest.json", *placed]
    with pytest.raises(DataError, match="No image is left for trainB"):
        build_unpaired([normal], [low], tmp_path / "out", hash_distance=-1)
    assert listing(made.out) == whole


def test_images_of_no_set_are_an_error(sources: tuple[Path, Path], tmp_path: Path) -> None:
    low, normal = sources
    write_image(tmp_path / "out/trainA/other@a.png", scene(60, 0.5))
    before = listing(tmp_path / "out")
    with pytest.raises(DataError, match=r"images that are not of it(?s:.*)1: trainA/other@a\.png"):
        build_unpaired([low], [normal], tmp_path / "out")
    assert listing(tmp_path / "out") == before


def test_no_image_takes_the_name_of_another(sources: tuple[Path, Path], tmp_path: Path) -> None:
    pictures = ("a/day/0.png", "b/day/0.png", "c/day-2/0.png", "n/x/1.png", "n/x@1.png", "n/y/1.png")
    for number, name in enumerate(pictures):
        write_image(tmp_path / name, scene(number, 0.5))
    days = [tmp_path / folder for folder in ("a/day", "b/day", "c/day-2")]
    made = build_unpaired([tmp_path / "n"], days, tmp_path / "out")
    assert made.taken == {"A": 3, "B": 3}
    placed = {file.removeprefix("train"): (made.out / file).stat().st_ino for file in listing(made.out) if "/" in file}
    assert placed == {
        name: (tmp_path / file).stat().st_ino
        for name, file in {
            "A/n@x@1.png": "n/x/1.png",
            "A/n@x@1-2.png": "n/x@1.png",
            "A/n@y@1.png": "n/y/1.png",
            "B/day@0.png": "a/day/0.png",
            "B/day-2@0.png": "b/day/0.png",
            "B/day-2-2@0.png": "c/day-2/0.png",
        }.items()
    }


def test_falls_back_to_copies(sources: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("links are not supported")

    monkeypatch.setattr(os, "link", refuse)
    made = build_unpaired([sources[0]], [sources[1]], tmp_path / "out")
    copied = made.out / "trainA/night@n0.png"
    assert copied.read_bytes() == (sources[0] / "n0.png").read_bytes()
    assert not copied.samefile(sources[0] / "n0.png")


def plain_hash(grey: np.ndarray) -> int:
    """The hash by loops over exact cell means; sides must divide by 8 and 9."""
    height, width = grey.shape
    mean = [
        [grey[r * height // 8 : (r + 1) * height // 8, c * width // 9 : (c + 1) * width // 9].mean() for c in range(9)]
        for r in range(8)
    ]
    bits = "".join("1" if mean[r][c + 1] > mean[r][c] else "0" for r in range(8) for c in range(8))
    return int(bits, 2)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([72, 144]), st.floats(0.05, 0.6))
def test_hash_against_loops_and_under_dimming(seed: int, side: int, level: float) -> None:
    grey = luma(scene(seed, level, side))
    assert (difference_hash(grey) ^ plain_hash(grey)).bit_count() <= 1
    assert difference_hash(grey * np.float32(0.25)) == difference_hash(grey)


@pytest.mark.slow
def test_real_duplicates_are_found(shared: Path, tmp_path: Path) -> None:
    """SCI's demo photos say by name that one is LIME's; DICM's 30 and 31 are two shots of one scene."""
    low = [shared / "data/lowlight" / name for name in ("DICM64", "LIME", "SCI")]
    whole = open_dataset(shared / "data/voc2007", split="test")
    normal = open_dataset(shared / "data/voc2007", split=whole.ids[:100])
    made = build_unpaired(low, [normal], tmp_path / "out", min_brightness=0.25)
    found = rejected(made.manifest)
    assert {name: why for name, why in found.items() if not name.startswith("VOC2007")} == {
        "SCI@LIME_9.bmp": ("near-duplicate", "LIME@9.bmp"),
        "DICM64@31.jpg": ("near-duplicate", "DICM64@30.jpg"),
    }
    assert {reason for name, (reason, _) in found.items() if name.startswith("VOC2007")} == {"too dark"}
