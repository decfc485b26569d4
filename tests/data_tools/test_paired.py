from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.images import write_image
from duskbench.data_tools.miniature import make_miniature
from duskbench.data_tools.paired import build_paired, find_pairs, read_paired_manifest
from duskbench.data_tools.voc_dark import make_voc_dark


def picture(seed: int, top: int, size: tuple[int, int] = (20, 30)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, top, (*size, 3)).astype(np.uint8)


@pytest.fixture
def lol(tmp_path: Path) -> Path:
    """LOL's layout: three training pairs, two evaluation pairs."""
    root = tmp_path / "LOL"
    for part, numbers in (("our485", (2, 5, 100)), ("eval15", (1, 22))):
        for number in numbers:
            write_image(root / part / "low" / f"{number}.png", picture(number, 40))
            write_image(root / part / "high" / f"{number}.png", picture(number, 250))
    return root


def rows(made: Path) -> dict[str, dict[str, object]]:
    return {row["id"]: row for row in read_paired_manifest(made)["pairs"]}


def listing(out: Path) -> dict[str, str]:
    files = (path for path in sorted(out.rglob("*")) if path.is_file())
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize(("part", "ids"), [("", "2 5 100"), ("@our485", "2 5 100"), ("@eval15", "1 22")])
def test_lol_gives_its_training_pairs_unless_asked_otherwise(lol: Path, tmp_path: Path, part: str, ids: str) -> None:
    made = build_paired([f"{lol}{part}"], tmp_path / "out")
    assert (made.pairs, made.rejected) == (len(ids.split()), {})
    manifest = rows(made.manifest)
    assert set(manifest) == set(ids.split())
    for image_id, row in manifest.items():
        low, high = (tmp_path / "out" / half / str(row[half]) for half in ("low", "high"))
        source = lol / ("eval15" if part == "@eval15" else "our485")
        assert low.samefile(source / "low" / f"{image_id}.png")
        assert high.samefile(source / "high" / f"{image_id}.png")
        assert row["low_sha256"] == hashlib.sha256(low.read_bytes()).hexdigest()
        assert row["high_sha256"] == hashlib.sha256(high.read_bytes()).hexdigest()
        assert row["low_size"] == row["high_size"] == [30, 20]
        assert float(str(row["low_brightness"])) < 0.1 < float(str(row["high_brightness"]))


def test_lols_folders_are_read_as_they_are(lol: Path) -> None:
    pairs = find_pairs(lol / "our485")
    assert list(pairs) == ["100", "2", "5"]
    assert pairs["5"] == (lol / "our485/low/5.png", lol / "our485/high/5.png")
    made = build_paired([lol / "eval15"], lol.parent / "out")
    assert made.pairs == 2


def test_what_was_built_is_read_as_it_was_paired(lol: Path, tmp_path: Path) -> None:
    build_paired([lol, f"{lol}@eval15"], tmp_path / "out")
    pairs = find_pairs(tmp_path / "out")
    assert sorted(pairs) == ["LOL-2@1", "LOL-2@22", "LOL@100", "LOL@2", "LOL@5"]
    assert pairs["LOL@5"][1].samefile(lol / "our485/high/5.png")


def test_voc_dark_gives_its_originals(shared: Path, tmp_path: Path) -> None:
    dark = make_voc_dark(shared / "data" / "voc2007", tmp_path / "dark", limit=3).out
    made = build_paired([f"{dark}@test"], tmp_path / "out")
    assert made.pairs == 3
    recorded = [json.loads(line) for line in (dark / "manifest.jsonl").read_text().splitlines()[1:]]
    manifest = rows(made.manifest)
    for row in recorded:
        assert manifest[row["id"]]["low_sha256"] == row["sha256"]
        assert manifest[row["id"]]["high_sha256"] == row["lit_sha256"]


@pytest.mark.slow
def test_the_miniature_gives_its_lit_twins(tmp_path: Path) -> None:
    make_miniature(tmp_path / "mini", voc_images=0, night_images=(4, 2, 2), size=(160, 120), workers=1)
    made = build_paired([f"{tmp_path / 'mini'}@train"], tmp_path / "out")
    assert (made.pairs, made.rejected) == (4, {})


def test_pairs_that_are_none_are_rejected_with_the_reason(lol: Path, tmp_path: Path) -> None:
    folder = lol / "our485"
    write_image(folder / "low/7.png", picture(7, 40, (20, 31)))
    write_image(folder / "high/7.png", picture(7, 250))
    write_image(folder / "low/8.png", picture(8, 250))
    write_image(folder / "high/8.png", picture(8, 250))
    (folder / "low/9.png").write_bytes(b"no image")
    write_image(folder / "high/9.png", picture(9, 250))
    for half in ("low", "high"):
        (folder / half / "99.png").write_bytes((folder / half / "2.png").read_bytes())
    made = build_paired([lol], tmp_path / "out")
    assert made.rejected == {"sizes differ": 1, "not darker": 1, "unreadable": 1, "twice": 1}
    manifest = rows(made.manifest)
    assert {image_id: row["rejected"] for image_id, row in manifest.items() if row["rejected"]} == {
        "7": "sizes differ", "8": "not darker", "9": "unreadable", "99": "twice",
    }  # fmt: skip
    assert manifest["7"]["detail"] == "31 x 20 and 30 x 20"
    assert len(list((tmp_path / "out/low").iterdir())) == made.pairs == 3
    small = build_paired([lol], tmp_path / "small", min_side=20)
    assert small.pairs == 3
    with pytest.raises(DataError, match="No pair is left"):
        build_paired([lol], tmp_path / "none", min_side=21)
    assert not (tmp_path / "none/manifest.json").exists()


def test_an_image_without_a_twin_is_an_error(lol: Path, tmp_path: Path) -> None:
    (lol / "our485/high/5.png").unlink()
    with pytest.raises(DataError, match="no twin") as caught:
        build_paired([lol], tmp_path / "out")
    assert "5: none" in str(caught.value)


def test_no_image_is_the_twin_of_two(tmp_path: Path) -> None:
    for name in ("low/x/1.png", "low/y/1.png", "high/y/1.png", "high/z/9.png"):
        write_image(tmp_path / name, picture(len(name), 250 if name.startswith("high") else 40))
    with pytest.raises(DataError, match="1 of 2 without: x/1: none"):
        find_pairs(tmp_path)


@pytest.mark.parametrize("make", [(), ("low",), ("low", "high")])
def test_a_folder_without_pairs_is_an_error(tmp_path: Path, make: tuple[str, ...]) -> None:
    for half in make:
        (tmp_path / half).mkdir()
    with pytest.raises(DataError, match="no pairs"):
        build_paired([tmp_path], tmp_path / "out")


def test_the_same_again_is_the_same_and_stale_files_go(lol: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build_paired([lol], out)
    first = listing(out)
    (out / "notes.txt").write_text("mine")
    (lol / "our485/low/5.png").unlink()
    (lol / "our485/high/5.png").unlink()
    build_paired([lol], out)
    second = listing(out)
    assert set(first) - set(second) == {"low/LOL@5.png", "high/LOL@5.png"}
    assert "notes.txt" in second


def test_a_call_that_fails_places_nothing(lol: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_image(tmp_path / "same/low/1.png", picture(1, 40))
    write_image(tmp_path / "same/high/1.png", picture(1, 40))
    build_paired([lol], out)
    before = listing(out)
    with pytest.raises(DataError, match="No pair is left"):
        build_paired([tmp_path / "same"], out)
    assert listing(out) == before
    write_image(out / "high/other.png", picture(1, 40))
    with pytest.raises(DataError, match=r"images that are not of it(?s:.*)1: high/other\.png"):
        build_paired([lol], out)


def test_no_pair_takes_the_name_of_another(tmp_path: Path) -> None:
    for number, name in enumerate(("x/1.png", "x@1.png", "y/1.png")):
        write_image(tmp_path / "set/low" / name, picture(number, 40))
        write_image(tmp_path / "set/high" / name, picture(number, 250))
    made = build_paired([tmp_path / "set"], tmp_path / "out")
    assert made.pairs == 3
    for half in ("low", "high"):
        for name, file in (("set@x@1", "x/1"), ("set@x@1-2", "x@1"), ("set@y@1", "y/1")):
            assert (made.out / half / f"{name}.png").samefile(tmp_path / "set" / half / f"{file}.png")


def test_a_manifest_of_another_kind_is_an_error(lol: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text('{"settings": {}, "images": [{"domain": "A", "file": "x", "rejected": null}]}')
    with pytest.raises(DataError, match="Not the manifest of a paired set"):
        build_paired([lol], out)


def test_the_command(lol: Path, tmp_path: Path, duskbench) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = duskbench("data", "paired", tmp_path / "out", "--source", lol)
    assert code == 0
    assert out.startswith("3 pairs in")
    code, _, err = duskbench("data", "paired", tmp_path / "out2", "--source", tmp_path / "nothing")
    assert code != 0
    assert "no pairs" in err
