from __future__ import annotations

from pathlib import Path

import pytest

from duskbench.data_tools.dataset import detect_layout, missing, open_dataset
from duskbench.data_tools.errors import DataError, UnknownNameError
from duskbench.data_tools.exdark import ExDark
from duskbench.data_tools.folder import ImageFolder
from duskbench.data_tools.ids import UnknownIdError, read_id_list, stem
from duskbench.data_tools.records import ImageRecord
from duskbench.data_tools.voc import VOC

EXDARK_LIST = "Name | Class | Light | In/Out | Train/Val/Test\r\na.jpg 1 1 1 1\r\nb.png 2 2 2 3\r\nc.JPG 3 3 1 3\r\n"
XML = "<annotation><filename>a.jpg</filename></annotation>"


@pytest.fixture
def exdark(tmp_path: Path) -> Path:
    root = tmp_path / "exdark"
    for name in ("Bicycle/a.jpg", "Boat/b.png"):
        (root / "ExDark" / name).parent.mkdir(parents=True)
        (root / "ExDark" / name).touch()
    (root / "imageclasslist.txt").write_bytes(EXDARK_LIST.encode())
    return root


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    root = tmp_path / "VOCdevkit"
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / "VOC2007" / folder).mkdir(parents=True)
    (root / "VOC2007/ImageSets/Main/test.txt").write_text("a\nb\n")
    for image_id in "ab":
        (root / f"VOC2007/Annotations/{image_id}.xml").write_text(XML)
    (root / "VOC2007/JPEGImages/a.jpg").touch()
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.png"):
        (tmp_path / "photos" / name).touch()
    return tmp_path / "photos"


def test_layout_is_told_by_content(exdark: Path, voc: Path, folder: Path) -> None:
    assert [detect_layout(root) for root in (exdark, voc, voc / "VOC2007", folder)] == [
        "exdark",
        "voc",
        "voc",
        "folder",
    ]
    assert isinstance(open_dataset(exdark), ExDark)
    assert isinstance(open_dataset(voc), VOC)
    assert isinstance(open_dataset(folder), ImageFolder)
    assert isinstance(open_dataset(exdark, layout="folder"), ImageFolder)


@pytest.mark.parametrize("halves", [["ExDark"], ["ExDark_Annno"], ["Annotations"], ["ExDark", "ExDark_Annno"]])
def test_half_a_data_set_is_no_plain_folder(tmp_path: Path, halves: list[str]) -> None:
    for name in halves:
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=r"Part of a data set is missing(?s:.*)layout='folder'"):
        open_dataset(tmp_path)


def test_default_split_is_test(exdark: Path, voc: Path, folder: Path) -> None:
    assert open_dataset(exdark).ids == ["b", "c"]
    assert open_dataset(voc).ids == ["a", "b"]
    assert open_dataset(folder).ids == ["a", "b"]


def test_split_from_a_file(exdark: Path, folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "ids.txt"
    listed.write_text("\ufeff# chosen by hand\nc.JPG\n\n  a   # bicycle\r\n", encoding="utf-8")
    assert read_id_list(listed) == ["c.JPG", "a"]
    assert open_dataset(exdark, split=str(listed)).ids == ["c", "a"]
    assert open_dataset(exdark, split=listed).ids == ["c", "a"]
    assert open_dataset(exdark, split=["b.png"]).ids == ["b"]
    with pytest.raises(UnknownIdError, match=r"image id 'c\.JPG'"):
        open_dataset(folder, split=listed)


@pytest.mark.parametrize("content", [b"", b"# nothing\n\n", b"\xff\xfe\x00"])
def test_unusable_id_file(tmp_path: Path, exdark: Path, content: bytes) -> None:
    (tmp_path / "ids.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"ids\.txt"):
        open_dataset(exdark, split=tmp_path / "ids.txt")


def test_wrong_names(exdark: Path, voc: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean exdark"):
        open_dataset(exdark, layout="exdrak")
    with pytest.raises(UnknownNameError, match="one of all, test, train, val"):
        open_dataset(exdark, split="trainval")
    with pytest.raises(UnknownNameError, match="one of all, test"):
        open_dataset(voc, split="train")
    with pytest.raises(UnknownNameError, match="split of a plain folder"):
        open_dataset(folder, split="train")
    with pytest.raises(UnknownNameError, match=r"'ids\.txt'"):
        open_dataset(exdark, split="ids.txt")
    with pytest.raises(DataError, match="No such data set folder"):
        open_dataset(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("2015_00001.png", "2015_00001"),
        ("a.JPEG", "a"),
        ("a.v2", "a.v2"),
        ("a.v2.jpg", "a.v2"),
        ("x/a.jpg", "x/a"),
        ("a", "a"),
    ],
)
def test_stem(file: str, expected: str) -> None:
    assert stem(file) == expected


class Foreign:
    """A data set of someone else's, with nothing but the protocol."""

    name, ids = "foreign", ["here", "gone"]

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "here").touch()

    def record(self, image_id: str) -> ImageRecord:
        return ImageRecord(image_id, self.root / image_id)


def test_missing(exdark: Path, voc: Path, folder: Path, tmp_path: Path) -> None:
    assert missing(open_dataset(exdark, split="all")) == ["c"]
    assert missing(open_dataset(voc)) == ["b"]
    assert missing(open_dataset(folder)) == []
    assert missing(Foreign(tmp_path)) == ["gone"]


def test_real_trees(shared: Path) -> None:
    exdark = open_dataset(shared / "data/exdark", split="all")
    assert len(exdark.ids) == 7363
    assert len(missing(exdark)) == 7363 - 35
    assert len(open_dataset(shared / "data/exdark").ids) == 2563
    voc = open_dataset(shared / "data/voc2007", split="trainval")
    assert (len(voc.ids), missing(voc)) == (450, [])
