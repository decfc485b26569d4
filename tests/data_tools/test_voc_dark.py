"""VOC-dark: the same tree whatever the workers, resumed where it was interrupted, and never mixed with another."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from duskbench.benchmarks.config import load_benchmark_config
from duskbench.data_tools.darken import srgb_to_linear
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.data_tools.image_files import find_images
from duskbench.data_tools.images import read_image, write_image
from duskbench.data_tools.night import Night, image_seed
from duskbench.data_tools.verify import verify
from duskbench.data_tools.voc import VOC
from duskbench.data_tools.voc_dark import make_voc_dark, read_manifest
from duskbench.data_tools.voc_xml import read_annotation

XML = """<annotation><folder>VOC2007</folder><filename>{0}.jpg</filename><source><image>flickr</image></source>
<size><width>60</width><height>40</height><depth>3</depth></size><segmented>0</segmented>
<object><name>dog</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>
<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>50</xmax><ymax>39</ymax></bndbox>
<part><name>head</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part></object></annotation>
"""
IDS = [f"{number:06d}" for number in range(1, 7)]


@pytest.fixture
def lit(tmp_path: Path) -> Path:
    tree = tmp_path / "VOC2007"
    for folder in ("Annotations", "ImageSets/Main"):
        (tree / folder).mkdir(parents=True)
    for number, image_id in enumerate(IDS):
        image = cv2.GaussianBlur(np.random.default_rng(number).integers(60, 256, (40, 60, 3), np.uint8), (0, 0), 3)
        write_image(tree / "JPEGImages" / f"{image_id}.jpg", image)
        (tree / "Annotations" / f"{image_id}.xml").write_text(XML.format(image_id))
    (tree / "ImageSets/Main/test.txt").write_text("".join(f"{image_id}\n" for image_id in IDS[:4]))
    (tree / "ImageSets/Main/trainval.txt").write_text("".join(f"{image_id}\n" for image_id in IDS[4:]))
    return tree


def snapshot(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def mean_light(path: Path) -> float:
    return float(srgb_to_linear(read_image(path) / 255.0).mean())


def test_the_tree_is_a_voc_tree_with_exact_boxes_and_references(lit: Path, tmp_path: Path) -> None:
    out = tmp_path / "dark"
    done = make_voc_dark(lit, out)
    assert (done.images, done.darkened, done.split) == (4, 4, "test")
    dark, original = VOC(out), VOC(lit)
    assert dark.ids == original.ids
    for image_id in dark.ids:
        assert dark.record(image_id).objects == original.record(image_id).objects
        assert dark.image_path(image_id).name == f"{image_id}.png"
        assert read_annotation(dark.annotation_path(image_id)).file == f"{image_id}.png"
        expected = (lit / "Annotations" / f"{image_id}.xml").read_text().replace(f"{image_id}.jpg", f"{image_id}.png")
        assert (out / "Annotations" / f"{image_id}.xml").read_text() == expected
        assert (out / "lit" / f"{image_id}.jpg").samefile(lit / "JPEGImages" / f"{image_id}.jpg")
        assert read_image(dark.image_path(image_id)).shape == (40, 60, 3)
        assert mean_light(dark.image_path(image_id)) < mean_light(original.image_path(image_id)) / 2
    assert verify(out).ok


@pytest.mark.parametrize("encoding", ["gb2312", "iso-8859-1", "utf-8"])
def test_annotations_in_any_encoding_stay_readable(lit: Path, tmp_path: Path, encoding: str) -> None:
    image_id = "夜" if encoding == "gb2312" else "été"
    for folder, suffix in (("JPEGImages", ".jpg"), ("Annotations", ".xml")):
        (lit / folder / f"{IDS[0]}{suffix}").rename(lit / folder / f"{image_id}{suffix}")
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n{XML.format(image_id)}'
    (lit / f"Annotations/{image_id}.xml").write_bytes(text.encode(encoding))
    make_voc_dark(lit, tmp_path / "dark", split=[image_id])
    assert read_annotation(tmp_path / f"dark/Annotations/{image_id}.xml").file == f"{image_id}.png"
    original = read_annotation(lit / f"Annotations/{image_id}.xml")
    assert VOC(tmp_path / "dark").record(image_id).objects == original.objects


def test_a_night_without_lamps_has_the_light_of_its_exposure(lit: Path, tmp_path: Path) -> None:
    night = Night(exposure_ev=(-2, -2), lamps=(0, 0), electrons=(1e6, 1e6), read_noise=(0, 0), white_balance=(1, 1))
    make_voc_dark(lit, tmp_path / "dark", night=night)
    _, rows = read_manifest(tmp_path / "dark/manifest.jsonl")
    for image_id, row in rows.items():
        # Fully balanced, what is left of the light's colour is its green.
        expected = mean_light(lit / "JPEGImages" / f"{image_id}.jpg") / 4 * row["ambient"][1]
        assert mean_light(tmp_path / "dark/JPEGImages" / f"{image_id}.png") == pytest.approx(expected, rel=0.02)


def test_bytes_do_not_depend_on_workers_order_or_number_of_images(lit: Path, tmp_path: Path) -> None:
    make_voc_dark(lit, tmp_path / "one", workers=1)
    make_voc_dark(lit, tmp_path / "two", workers=3)
    assert snapshot(tmp_path / "one") == snapshot(tmp_path / "two")
    make_voc_dark(lit, tmp_path / "part", split=[IDS[2]])
    name = f"JPEGImages/{IDS[2]}.png"
    assert snapshot(tmp_path / "part")[name] == snapshot(tmp_path / "one")[name]
    make_voc_dark(lit, tmp_path / "other", seed=1)
    assert snapshot(tmp_path / "other")[name] != snapshot(tmp_path / "one")[name]


def test_images_have_nights_and_noise_of_their_own(lit: Path, tmp_path: Path) -> None:
    shutil.copy(lit / f"JPEGImages/{IDS[0]}.jpg", lit / f"JPEGImages/{IDS[1]}.jpg")
    make_voc_dark(lit, tmp_path / "dark")
    one, two = (read_image(tmp_path / f"dark/JPEGImages/{image_id}.png") for image_id in IDS[:2])
    assert not np.array_equal(one, two)
    _, rows = read_manifest(tmp_path / "dark/manifest.jsonl")
    assert len({row["camera"]["exposure_ev"] for row in rows.values()}) == 4
    assert [row["seed"] for row in rows.values()] == [image_seed(0, image_id) for image_id in rows]


def test_what_is_right_stays_and_the_rest_is_made(lit: Path, tmp_path: Path) -> None:
    out = tmp_path / "dark"
    make_voc_dark(lit, out)
    before = snapshot(out)
    assert make_voc_dark(lit, out).darkened == 0
    (out / f"JPEGImages/{IDS[0]}.png").unlink()
    (out / f"JPEGImages/{IDS[1]}.png").write_bytes(b"half")
    (out / f"Annotations/{IDS[2]}.xml").unlink()
    (out / f"lit/{IDS[3]}.jpg").unlink()
    assert make_voc_dark(lit, out).darkened == 3
    assert snapshot(out) == before


def test_a_killed_run_goes_on_from_its_journal(lit: Path, tmp_path: Path) -> None:
    out = tmp_path / "dark"
    make_voc_dark(lit, out)
    before = snapshot(out)
    lines = (out / "manifest.jsonl").read_text().splitlines(keepends=True)
    (out / "manifest.jsonl").write_text("".join(lines[:3]) + lines[3][:40])
    (out / "ImageSets/Main/test.txt").unlink()
    assert make_voc_dark(lit, out).darkened == 2
    assert snapshot(out) == before


def test_a_changed_original_is_darkened_again(lit: Path, tmp_path: Path) -> None:
    out = tmp_path / "dark"
    make_voc_dark(lit, out)
    write_image(lit / f"JPEGImages/{IDS[1]}.jpg", np.full((40, 60, 3), 200, np.uint8))
    assert make_voc_dark(lit, out).darkened == 1
    assert read_image(out / f"lit/{IDS[1]}.jpg").std() < 1


def test_a_changed_annotation_is_copied_again(lit: Path, tmp_path: Path) -> None:
    out, xml = tmp_path / "dark", f"Annotations/{IDS[1]}.xml"
    make_voc_dark(lit, out, split=[IDS[1]])
    (lit / xml).write_text((lit / xml).read_text().replace("dog", "cat"))
    assert make_voc_dark(lit, out, split=[IDS[1]]).darkened == 0
    assert [each.name for each in read_annotation(out / xml).objects] == ["cat"]


def test_the_ids_of_a_file_become_the_split_test(lit: Path, tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text(f"{IDS[5]}\n")
    assert make_voc_dark(lit, tmp_path / "dark", split=str(tmp_path / "some.txt")).split == "test"
    assert (tmp_path / "dark/ImageSets/Main/test.txt").read_text() == f"{IDS[5]}\n"


def test_another_split_and_a_limit_are_added(lit: Path, tmp_path: Path) -> None:
    out = tmp_path / "dark"
    assert make_voc_dark(lit, out, limit=2).images == 2
    assert VOC(out).ids == [IDS[0], IDS[2]]
    assert make_voc_dark(lit, out).darkened == 2
    assert make_voc_dark(lit, out, split="trainval").darkened == 2
    assert (VOC(out).ids, VOC(out, split="trainval").ids) == (IDS[:4], IDS[4:])
    assert list(read_manifest(out / "manifest.jsonl")[1]) == IDS


def test_all_images_keep_their_image_sets(lit: Path, tmp_path: Path) -> None:
    assert make_voc_dark(lit, tmp_path / "dark", split="all").images == len(IDS)
    assert (VOC(tmp_path / "dark").ids, VOC(tmp_path / "dark", split="trainval").ids) == (IDS[:4], IDS[4:])
    assert VOC(tmp_path / "dark", split="all").ids == VOC(lit, split="all").ids
    assert not any(finding.code == "no-image-sets" for finding in verify(tmp_path / "dark").findings)
    shutil.rmtree(lit / "ImageSets")
    make_voc_dark(lit, tmp_path / "none", split="all")
    assert VOC(tmp_path / "none").ids == sorted(IDS)


def test_several_nights_are_those_of_the_seeds_that_follow(lit: Path, tmp_path: Path) -> None:
    done = make_voc_dark(lit, tmp_path / "many", seed=5, nights=2)
    assert (done.images, done.darkened) == (8, 8)
    many = VOC(tmp_path / "many")
    assert many.ids == [f"{image_id}_night{number}" for image_id in IDS[:4] for number in (0, 1)]
    originals = find_images(tmp_path / "many/lit")
    for number in (0, 1):
        alone = tmp_path / str(number)
        make_voc_dark(lit, alone, seed=5 + number)
        for image_id in IDS[:4]:
            name = f"{image_id}_night{number}"
            assert many.image_path(name).read_bytes() == (alone / "JPEGImages" / f"{image_id}.png").read_bytes()
            assert many.record(name).objects == VOC(lit).record(image_id).objects
            assert read_annotation(many.annotation_path(name)).file == f"{name}.png"
            [original] = originals.matching(name)
            assert original.read_bytes() == (lit / "JPEGImages" / f"{image_id}.jpg").read_bytes()
    assert verify(tmp_path / "many").ok
    more = make_voc_dark(lit, tmp_path / "many", seed=5, nights=3)
    assert (more.images, more.darkened) == (12, 4)
    # As the configuration of VOC-dark draws them.
    clusters = load_benchmark_config("voc_dark").bootstrap.clusters(VOC(tmp_path / "many").ids)
    assert clusters.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_other_settings_and_other_folders_are_refused(
    lit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "dark"
    make_voc_dark(lit, out)
    before = snapshot(out)
    for arguments in ({"seed": 1}, {"night": replace(Night(), bits=10)}):
        with pytest.raises(DataError, match="other settings"):
            make_voc_dark(lit, out, **arguments)  # type: ignore[arg-type]
    monkeypatch.chdir(lit)
    for same in (lit, lit / ".." / lit.name, f"../{lit.name}"):
        with pytest.raises(ConfigError, match="overwrite the lit"):
            make_voc_dark(lit, same)
    shutil.copytree(lit, tmp_path / "foreign")
    with pytest.raises(DataError, match="not VOC-dark"):
        make_voc_dark(lit, tmp_path / "foreign")
    (out / "manifest.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match="Not the manifest"):
        make_voc_dark(lit, out)
    (out / "manifest.jsonl").write_bytes(before["manifest.jsonl"])
    assert snapshot(out) == before


def test_missing_and_broken_originals_are_named(lit: Path, tmp_path: Path) -> None:
    (lit / f"JPEGImages/{IDS[1]}.jpg").unlink()
    with pytest.raises(DataError, match=IDS[1]):
        make_voc_dark(lit, tmp_path / "dark")
    assert make_voc_dark(lit, tmp_path / "dark", limit=9).images == 3
    (lit / f"JPEGImages/{IDS[2]}.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=IDS[2]):
        make_voc_dark(lit, tmp_path / "dark", limit=9)
    with pytest.raises(UnknownNameError):
        make_voc_dark(lit, tmp_path / "dark", split="tset")


def test_the_manifest_says_which_versions_made_it_whatever_brought_them(lit: Path, tmp_path: Path) -> None:
    # opencv-python-headless is as good as opencv-python.
    make_voc_dark(lit, tmp_path / "dark", limit=1)
    header = json.loads((tmp_path / "dark/manifest.jsonl").read_text().splitlines()[0])
    assert header["versions"] == {"numpy": np.__version__, "opencv": cv2.__version__}


def test_the_manifest_is_strict_json_with_sorted_keys(lit: Path, tmp_path: Path) -> None:
    make_voc_dark(lit, tmp_path / "dark", limit=1)
    for line in (tmp_path / "dark/manifest.jsonl").read_text().splitlines():
        assert json.dumps(json.loads(line), sort_keys=True, allow_nan=False) == line


@pytest.mark.parametrize(
    "arguments",
    [{"exposure_ev": (-3, -4)}, {"exposure_ev": (float("nan"), 0)}, {"lamps": (0, 99)}, {"electrons": (0, 5)},
     {"white_balance": (0.5, 1.5)}, {"read_noise": (0.1,)}, {"bits": 40}],
)  # fmt: skip
def test_impossible_nights_are_refused(arguments: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ConfigError):
        Night(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("option", "value"), [("limit", 0), ("seed", -1), ("nights", 0)])
def test_values_out_of_range_are_refused(lit: Path, tmp_path: Path, option: str, value: int) -> None:
    with pytest.raises(ConfigError, match=option):
        make_voc_dark(lit, tmp_path / "dark", **{option: value})


def test_images_of_one_name_in_several_folders(tmp_path: Path) -> None:
    lit = tmp_path / "lit"
    for number, camera in enumerate(("cam1", "cam2")):
        write_image(lit / "JPEGImages" / camera / "1.png", np.full((64, 64, 3), 100 + 90 * number, np.uint8))
        (lit / "Annotations" / camera).mkdir(parents=True)
        (lit / "Annotations" / camera / "1.xml").write_text(f"<annotation><folder>{camera}</folder></annotation>")
    make_voc_dark(lit, tmp_path / "out", split="all")
    dark = VOC(tmp_path / "out", "all")
    assert dark.ids == ["cam1/1", "cam2/1"]
    originals = find_images(tmp_path / "out/lit")
    for image_id in dark.ids:
        assert read_annotation(dark.annotation_path(image_id)).folder == image_id[:4]
        [original] = originals.matching(image_id)
        assert (read_image(original) == read_image(lit / "JPEGImages" / f"{image_id}.png")).all()
