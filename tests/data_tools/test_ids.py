from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.ids import (
    UnknownIdError,
    as_known,
    check_id,
    find_id,
    numbered_names,
    path_parts,
    printable,
    read_names,
    resolve_all,
    shown,
)


@pytest.mark.parametrize(
    "name", ["a", "2015_00001", "cam1/0001", "night shot 1", "a.v2", "Übersicht", "夜", "a" * 255, "a..b", "..."]
)
def test_names_that_are_ids(name: str) -> None:
    assert check_id(name, where="list.txt") == name


@pytest.mark.parametrize(
    "name",
    [
        "../../evil", "..", ".", "", "a/../b", "/etc/passwd", "C:\\a", "C:a", "\\\\server\\a", "..\\evil", "a\nb",
        "a\x00b", "a\x1b[31m", "\udcd2\udcb9", "a" * 256, "x/" + "a" * 256,
    ],
)  # fmt: skip
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(DataError, match=r"not a safe file name") as caught:
        check_id(name, where="list.txt")
    # The message itself can be shown anywhere.
    str(caught.value).encode("utf-8")


@pytest.mark.slow
@given(st.text(max_size=20))
def test_a_safe_path_stays_in_its_folder(name: str) -> None:
    parts = path_parts(name)
    if parts is not None:
        inside = Path("/root/of/set").joinpath(*parts).resolve()
        assert inside.is_relative_to("/root/of/set")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a", "a"), ("a.jpg", "a"), ("a.XML", "a"), ("JPEGImages/a.png", "a"), ("/data/VOC2007/JPEGImages/a.jpg", "a"),
        ("C:\\data\\JPEGImages\\a.jpg", "a"), ("'a'", "a"), ('"a.jpg"', "a"), ("./a", "a"), ("cam1\\b.png", "cam1/b"),
        ("x/cam1/b", "cam1/b"), ("n 1", "n 1"), ("c", None), ("../a", None), ("cam2/b", None), ("../../cam1/b", None),
    ],
)  # fmt: skip
def test_a_name_from_elsewhere(name: str, found: str | None) -> None:
    assert find_id(name, {"a", "cam1/b", "n 1"}) == found


def test_names_in_either_form_of_unicode() -> None:
    composed, split = "Ch\xe2teau", "Cha\u0302teau"
    assert find_id(f"x/{composed}.jpg", {split}) == split and find_id(split, {composed}) == composed
    assert find_id(split, {split, composed}) == split
    assert as_known(composed, {split}) == split and as_known(composed, {"b"}) == composed


def test_a_literal_match_comes_first() -> None:
    assert find_id("x/a.jpg", {"a", "x/a.jpg", "x/a"}) == "x/a.jpg"


def test_lists_of_names(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes('\ufeff# classes\r\nperson\r\n  potted plant \n\n\ttraffic light # 3\n"a b"\nimg#1\n'.encode())
    assert read_names(path) == ["person", "potted plant", "traffic light", "a b", "img#1"]
    assert numbered_names(path)[1] == (3, "potted plant")
    path.write_text("a b\r\nc\u00e9\r\n", encoding="utf-16")
    assert read_names(path) == ["a b", "c\u00e9"]


@pytest.mark.parametrize("content", [b"", b"# nothing\n\n", b"\xff\xfe\x00"])
def test_unusable_lists(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"names\.txt"):
        read_names(tmp_path / "names.txt")


def test_ids_given_by_hand() -> None:
    assert resolve_all(["b.jpg", "a"], {"a": None, "b": None}) == ["b", "a"]
    with pytest.raises(DataError, match="given twice"):
        resolve_all(["a", "a.jpg"], {"a": None})
    nested = {"x/a": None, "y/b": None, "z/b": None}
    assert resolve_all(["a.jpg"], nested) == ["x/a"]
    for name in ("b.jpg", "y/a.jpg"):
        with pytest.raises(UnknownIdError):
            resolve_all([name], nested)
    with pytest.raises(UnknownIdError, match="did you mean 2015_00001"):
        resolve_all(["2015_0001"], ["2015_00001"])
    with pytest.raises(UnknownIdError, match=r"did you mean img_001\?"):
        resolve_all(["IMG_001"], ["img_001", "IMG_002"])


def test_printable() -> None:
    assert printable("a\udcd2") == "a\\udcd2" and printable("夜") == "夜"


def test_the_first_of_many_names_are_shown() -> None:
    assert [shown(["a", "b", "c"], most) for most in (2, 3)] == ["a, b and 1 more", "a, b, c"] and shown([]) == ""
