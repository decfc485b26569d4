"""Where ExDark and VOC are found in a user's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.released import find_released_data


@pytest.mark.parametrize(
    ("exdark_at", "voc_at"),
    [
        ("exdark", "VOCdevkit/VOC2007"),
        ("ExDark", "voc2007/VOCdevkit/VOC2007"),
        (".", "VOCdevkit/VOC2012"),
        (".", "VOC2007"),
        ("exdark", "VOC2012/VOCdevkit/VOC2012"),
    ],
)
def test_layouts_that_are_found(tmp_path: Path, exdark_at: str, voc_at: str) -> None:
    _bare_exdark(tmp_path / exdark_at)
    _bare_voc(tmp_path / voc_at, "trainval")
    found = find_released_data(tmp_path)
    assert found.exdark.root.samefile(tmp_path / exdark_at)
    assert [(tree.root, tree.split) for tree in found.voc] == [(tmp_path / voc_at, "trainval")]


def _bare_exdark(root: Path) -> Path:
    for name in ("ExDark", "ExDark_Annno"):
        (root / name).mkdir(parents=True)
    (root / "imageclasslist.txt").write_text("Name | Class\n")
    return root


def _bare_voc(root: Path, *splits: str) -> Path:
    for name in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / name).mkdir(parents=True)
    for split in splits:
        (root / "ImageSets/Main" / f"{split}.txt").write_text("000001\n")
    return root


def test_both_years_are_taken_and_others_that_repeat_them_are_not(tmp_path: Path) -> None:
    _bare_exdark(tmp_path)
    for year in (2012, 2007, 2010):
        _bare_voc(tmp_path / f"VOCdevkit/VOC{year}", "train", "trainval")
    assert [tree.name for tree in find_released_data(tmp_path).voc] == ["VOC2007", "VOC2012"]
    given = find_released_data(tmp_path, voc=[tmp_path / "VOCdevkit/VOC2010"]).voc
    assert [tree.name for tree in given] == ["VOC2010"]


def test_what_is_not_found_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ExDark is not there[\s\S]*exdark[\s\S]*--exdark"):
        find_released_data(tmp_path)
    with pytest.raises(DataError, match="--data is not given"):
        find_released_data(None)
    _bare_exdark(tmp_path / "exdark")
    with pytest.raises(DataError, match=r"VOC's training images[\s\S]*VOCdevkit/VOC2007[\s\S]*--voc"):
        find_released_data(tmp_path)
    assert find_released_data(tmp_path, with_voc=False).voc == ()
    # The test devkit alone has no training images.
    _bare_voc(tmp_path / "VOCdevkit/VOC2007", "test")
    with pytest.raises(DataError, match="training images are not there"):
        find_released_data(tmp_path)
    _bare_voc(tmp_path / "a/VOC2012", "train")
    _bare_voc(tmp_path / "b/VOC2012", "train")
    with pytest.raises(DataError, match=r"twice[\s\S]*VOC2012"):
        find_released_data(tmp_path, voc=[tmp_path / "a", tmp_path / "b"])
    (tmp_path / "exdark/ExDark_Annno").rmdir()
    with pytest.raises(DataError, match="no folder ExDark_Annno"):
        find_released_data(tmp_path)
