from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from duskbench.data_tools import exdark, voc
from duskbench.data_tools.convert import exdark_to_voc
from duskbench.data_tools.errors import DataError, UnknownNameError
from duskbench.data_tools.findings import Report
from duskbench.data_tools.images import write_image
from duskbench.data_tools.miniature import make_miniature
from duskbench.data_tools.verify import verify
from tests.progress import Seen

BBGT = "% bbGt version=3\n"
EXDARK = {
    "Bicycle/a.png": (f"{BBGT}Bicycle 1 1 40 30 0 0 0 0 0 0 0\n", "1 2 1 1"),
    "People/b.JPG": (f"{BBGT}People 2 2 5 5\nCup 3 3 4 4\n", "11 2 1 2"),
    "Boat/c.jpg": (f"{BBGT}Boat 2 2 5 5\n", "2 2 1 3"),
    "Motorbike/2015_05894.jpg": (BBGT, "10 2 1 1"),
}


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (30, 40, 3), dtype=np.uint8)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small ExDark in which nothing is wrong, taken as the whole release."""
    monkeypatch.setattr(exdark, "OFFICIAL_IMAGES", {"train": 2, "val": 1, "test": 1})
    monkeypatch.setattr(exdark, "OFFICIAL_BOXES", 4)
    root = tmp_path / "exdark"
    rows = ["Name | Class | Light | In/Out | Train/Val/Test"]
    for number, (name, (text, codes)) in enumerate(EXDARK.items()):
        write_image(root / "ExDark" / name, picture(number))
        path = root / "ExDark_Annno" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        rows.append(f"{Path(name).name} {codes}")
    (root / "imageclasslist.txt").write_text("\r\n".join([*rows, ""]))
    return root


@pytest.fixture
def voc_tree(tree: Path, tmp_path: Path) -> Path:
    exdark_to_voc(tree, tmp_path / "voc", copy="copy")
    return tmp_path / "voc"


def found(report: Report) -> set[tuple[str, str, str]]:
    return {(finding.severity, finding.code, finding.file) for finding in report.findings}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


def rotate(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(9).transpose(1, 0, 2)).save(path, exif=exif)


KNOWN = ("info", "no-boxes-known", "ExDark_Annno/Motorbike/2015_05894.jpg.txt")


def test_a_whole_release_is_ok(tree: Path) -> None:
    report = verify(tree)
    assert found(report) == {KNOWN}
    assert report.ok
    assert report.counts == {
        "images listed": 4, "listed train": 2, "listed val": 1, "listed test": 1, "annotations present": 4, "boxes": 4,
        "images present": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("breakage", "expected"),
    [
        (lambda t: (t / "ExDark/Boat/c.jpg").unlink(), ("error", "missing-image", "ExDark/Boat/c.jpg")),
        (lambda t: (t / "ExDark_Annno/Boat/c.jpg.txt").unlink(),
         ("error", "missing-annotation", "ExDark_Annno/Boat/c.jpg.txt")),
        (lambda t: write_image(t / "ExDark/Boat/d.jpg", picture(7)), ("warning", "orphan-image", "ExDark/Boat/d.jpg")),
        (lambda t: (t / "ExDark_Annno/Boat/d.jpg.txt").write_text(BBGT),
         ("warning", "orphan-annotation", "ExDark_Annno/Boat/d.jpg.txt")),
        (lambda t: cut(t / "ExDark/Boat/c.jpg"), ("error", "truncated-image", "ExDark/Boat/c.jpg")),
        (lambda t: cut(t / "ExDark/Bicycle/a.png"), ("error", "truncated-image", "ExDark/Bicycle/a.png")),
        (lambda t: (t / "ExDark/Boat/c.jpg").write_bytes(b""), ("error", "unreadable-image", "ExDark/Boat/c.jpg")),
        (lambda t: (t / "ExDark/Boat/c.jpg").write_text("<html>"), ("error", "unreadable-image", "ExDark/Boat/c.jpg")),
        (lambda t: rotate(t / "ExDark/Boat/c.jpg"), ("warning", "exif-orientation", "ExDark/Boat/c.jpg")),
        (lambda t: Image.fromarray(picture(8)).save(t / "ExDark/Boat/c.jpg", format="PNG"),
         ("info", "other-format", "ExDark/Boat/c.jpg")),
        (lambda t: edit(t / "ExDark_Annno/Boat/c.jpg.txt", "2 2 5 5", "38 2 5 5"),
         ("warning", "box-outside", "ExDark/Boat/c.jpg")),
        (lambda t: edit(t / "ExDark_Annno/Boat/c.jpg.txt", "2 2 5 5", "41 2 5 5"),
         ("error", "box-off-image", "ExDark/Boat/c.jpg")),
        (lambda t: edit(t / "ExDark_Annno/Boat/c.jpg.txt", "2 2 5 5", "2 2 0 5"),
         ("error", "degenerate-box", "ExDark_Annno/Boat/c.jpg.txt")),
        (lambda t: edit(t / "ExDark_Annno/Boat/c.jpg.txt", "Boat", "Ship"),
         ("error", "unknown-class", "ExDark_Annno/Boat/c.jpg.txt")),
        (lambda t: edit(t / "ExDark_Annno/Boat/c.jpg.txt", "Boat 2 2", "Boat 2"),
         ("error", "broken-annotation", "ExDark_Annno/Boat/c.jpg.txt")),
        (lambda t: edit(t / "ExDark_Annno/Boat/c.jpg.txt", "Boat", "Car"),
         ("info", "no-own-class", "ExDark_Annno/Boat/c.jpg.txt")),
        (lambda t: (t / "ExDark_Annno/Boat/c.jpg.txt").write_text(BBGT),
         ("warning", "no-boxes", "ExDark_Annno/Boat/c.jpg.txt")),
        (lambda t: edit(t / "ExDark_Annno/Boat/c.jpg.txt", "Boat", "Boat 1 1 5 5\nBoat"),
         ("error", "count", "ExDark_Annno")),
        (lambda t: edit(t / "imageclasslist.txt", "c.jpg", "a.jpg"), ("error", "duplicate-id", "imageclasslist.txt")),
        (lambda t: edit(t / "imageclasslist.txt", "c.jpg 2 2 1 3", "c.jpg 2 2 1 1"),
         ("warning", "count", "imageclasslist.txt")),
        (lambda t: (t / "imageclasslist.txt").write_text("Name | Class | Light | In/Out | Train/Val/Test"),
         ("error", "count", "imageclasslist.txt")),
        (lambda t: edit(t / "imageclasslist.txt", "c.jpg 2 2 1 3", "c.jpg 2 2 1"),
         ("error", "broken-list", "imageclasslist.txt")),
        (lambda t: shutil.copy(t / "ExDark/Bicycle/a.png", t / "ExDark/Boat/c.jpg"),
         ("warning", "duplicate-image", "ExDark/Boat/c.jpg")),
    ],
)  # fmt: skip
def test_every_fault_of_an_exdark_tree(
    tree: Path, breakage: Callable[[Path], object], expected: tuple[str, str, str]
) -> None:
    breakage(tree)
    report = verify(tree, workers=1)
    assert expected in found(report)
    assert report.ok == all(severity != "error" for severity, _, _ in found(report))
    if expected[0] == "error":
        assert not report.ok


def test_another_ending_is_hinted_at(tree: Path) -> None:
    (tree / "ExDark/People/b.JPG").rename(tree / "ExDark/People/b.jpg")
    messages = [finding.message for finding in verify(tree).findings if finding.code == "missing-image"]
    assert messages == ["not there, but b.jpg is"]


def test_a_rotated_image_is_measured_upright(tree: Path) -> None:
    rotate(tree / "ExDark/Bicycle/a.png")
    assert "box-outside" not in {finding.code for finding in verify(tree).findings}


def test_a_converted_tree_is_ok(voc_tree: Path) -> None:
    report = verify(voc_tree)
    assert found(report) == {("info", "no-boxes-known", "Annotations/2015_05894.xml")}
    assert (report.layout, report.counts["boxes"], report.counts["listed trainval"]) == ("voc", 4, 3)


@pytest.mark.parametrize(
    ("breakage", "expected"),
    [
        (lambda t: (t / "JPEGImages/c.jpg").unlink(), ("error", "missing-image", "JPEGImages/c.jpg")),
        (lambda t: (t / "JPEGImages/c.jpg").unlink(), ("warning", "orphan-annotation", "Annotations/c.xml")),
        (lambda t: (t / "Annotations/c.xml").unlink(), ("error", "missing-annotation", "Annotations/c.xml")),
        (lambda t: write_image(t / "JPEGImages/d.jpg", picture(7)), ("warning", "orphan-image", "JPEGImages/d.jpg")),
        (
            lambda t: edit(t / "Annotations/c.xml", "<width>40", "<width>41"),
            ("error", "size-mismatch", "JPEGImages/c.jpg"),
        ),
        (
            lambda t: edit(t / "Annotations/c.xml", "<xmax>6", "<xmax>41"),
            ("warning", "box-outside", "JPEGImages/c.jpg"),
        ),
        (
            lambda t: edit(t / "Annotations/c.xml", "<xmax>6", "<xmax>1"),
            ("error", "degenerate-box", "Annotations/c.xml"),
        ),
        (lambda t: edit(t / "Annotations/c.xml", "boat", "People"), ("info", "class-synonym", "Annotations/c.xml")),
        (lambda t: edit(t / "Annotations/c.xml", "boat", "Ship"), ("warning", "unknown-class", "Annotations/c.xml")),
        (lambda t: edit(t / "Annotations/c.xml", "</object>", ""), ("error", "broken-annotation", "Annotations/c.xml")),
        (lambda t: edit(t / "Annotations/c.xml", "c.jpg", "z.jpg"), ("warning", "other-filename", "Annotations/c.xml")),
        (
            lambda t: edit(t / "ImageSets/Main/test.txt", "c\n", "c\nc\n"),
            ("error", "duplicate-id", "ImageSets/Main/test.txt"),
        ),
        (
            lambda t: edit(t / "ImageSets/Main/test.txt", "c\n", "c\na\n"),
            ("error", "leak", "ImageSets/Main/trainval.txt"),
        ),
        (
            lambda t: (t / "ImageSets/Main/val.txt").write_bytes(b"\xff"),
            ("error", "broken-list", "ImageSets/Main/val.txt"),
        ),
        (lambda t: shutil.rmtree(t / "ImageSets"), ("error", "no-image-sets", "ImageSets/Main")),
    ],
)
def test_every_fault_of_a_voc_tree(
    voc_tree: Path, breakage: Callable[[Path], object], expected: tuple[str, str, str]
) -> None:
    breakage(voc_tree)
    assert expected in found(verify(voc_tree, workers=1))


def test_image_sets_of_other_names_are_named(voc_tree: Path) -> None:
    sets = voc_tree / "ImageSets/Main"
    (sets / "test.txt").rename(sets / "default.txt")
    for name in ("train", "val", "trainval"):
        (sets / f"{name}.txt").unlink(missing_ok=True)
    [said] = [finding for finding in verify(voc_tree).findings if finding.code == "no-image-sets"]
    assert said.severity == "warning" and "`--split NAME` takes default, " in said.message


def test_voc_counts_are_the_official_ones(voc_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    official = voc_tree.rename(voc_tree.parent / "VOC2007")
    assert ("warning", "count", "ImageSets/Main") in found(verify(official))
    monkeypatch.setitem(voc.OFFICIAL_IMAGES, "VOC2007", {"train": 2, "val": 1, "trainval": 3, "test": 1})
    assert "count" not in {finding.code for finding in verify(official).findings}


def test_nothing_is_wrong_with_the_miniature(tmp_path: Path) -> None:
    """It has the layouts of two releases and is neither, which is no fault of it."""
    made = make_miniature(tmp_path, voc_images=2, night_images=(1, 1, 2), size=(160, 120), workers=1)
    report = verify(made.root)
    (count,) = report.findings
    assert (count.severity, count.code, report.ok) == ("warning", "count", True)
    assert "train 1 (3000), val 1 (1800), test 2 (2563)" in count.message
    assert found(verify(made.root / "VOCdevkit")) == {("warning", "count", "ImageSets/Main")}


def test_voc2012_has_no_test_annotations(voc_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(voc.OFFICIAL_IMAGES, "VOC2012", {"trainval": 3})
    official = voc_tree.rename(voc_tree.parent / "VOC2012")
    (official / "Annotations/c.xml").unlink()
    assert verify(official).ok


def test_plain_folder(tmp_path: Path) -> None:
    for number, name in enumerate(("a.png", "b/a.png", "c.jpg")):
        write_image(tmp_path / name, picture(number))
    assert verify(tmp_path).findings == []
    cut(tmp_path / "c.jpg")
    assert found(verify(tmp_path)) == {("error", "truncated-image", "c.jpg")}
    assert verify(tmp_path, decode=False).ok


def test_report_is_json_and_progress_counts(tree: Path) -> None:
    seen = Seen()
    (tree / "ExDark/Boat/c.jpg").unlink()
    report = verify(tree, progress=seen, workers=2)
    assert seen.counts == [(1, 4), (2, 4), (3, 4), (4, 4)]
    said = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert (said["ok"], said["layout"], said["counts"]["images present"]) == (False, "exdark", 3)
    assert said["summary"][0] == {"severity": "error", "code": "missing-image", "count": 1}
    assert said["findings"][0]["file"] == "ExDark/Boat/c.jpg" or said["findings"][1]["file"] == "ExDark/Boat/c.jpg"


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such data set folder"):
        verify(tmp_path / "nowhere")
    with pytest.raises(UnknownNameError, match="did you mean folder"):
        verify(tmp_path, "foldr")


@pytest.mark.slow
def test_real_exdark(shared: Path) -> None:
    report = verify(shared / "data/exdark")
    assert report.by_code == {("error", "missing-annotation"): 7328, ("error", "missing-image"): 7328}
    assert [report.counts[f"listed {split}"] for split in ("train", "val", "test")] == [3000, 1800, 2563]
    assert report.counts["images present"] == 35


def test_real_voc(shared: Path) -> None:
    report = verify(shared / "data/voc2007", decode=False)
    # One person has two boxes there, a pixel apart.
    twice = ("warning", "object-twice", "Annotations/003261.xml")
    assert found(report) == {("warning", "count", "ImageSets/Main"), twice}
    assert report.counts["boxes"] - report.counts["boxes difficult"] == 1993
