"""Of the files that arguments name all that code may read counts, and nothing that a run changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from duskbench.data_tools import named_files
from duskbench.data_tools.fingerprint import argument_files
from duskbench.data_tools.named_files import folder_sha256, named_paths


def test_paths_are_found_at_any_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    arguments = {"a": "w", "b": [1, "x", ("y", None)], "c": {"d": {2: Path("~/z")}, "e": "", "f": 0.5}, "g": "~nobody_"}
    assert list(named_paths(arguments)) == [
        ("a", Path("w")),
        ("b[1]", Path("x")),
        ("b[2][0]", Path("y")),
        ("c.d.2", Path("/home/me/z")),
        ("g", Path("~nobody_")),
    ]


def test_any_text_may_be_an_argument() -> None:
    """Also one that no file can be called by."""
    assert argument_files({"texts": ["x" * 5000, "a/" * 5000, "a\0b", "\ud800"]}, len) == {}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights below the current one."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "weights"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.pth").write_bytes(b"1")
    (folder / "deep" / "b.pth").write_bytes(b"2")
    return folder


def counted(**arguments: object) -> dict[str, str]:
    return argument_files(arguments, lambda **_: None)


def test_what_a_folder_holds_counts(folder: Path) -> None:
    seen = {folder_sha256(folder)}
    os.utime(folder / "a.pth", (1, 1))
    (folder / ".hidden").touch()
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "net.pyc").touch()
    (folder / "deep" / "round").symlink_to(folder)
    assert {folder_sha256(folder)} == seen
    for change in ("content", "name", "new", "linked"):
        if change == "content":
            (folder / "deep" / "b.pth").write_bytes(b"3")
        elif change == "name":
            (folder / "a.pth").rename(folder / "c.pth")
        elif change == "new":
            (folder / "d.pth").touch()
        else:
            (folder.parent / "elsewhere").mkdir()
            (folder.parent / "elsewhere" / "e.pth").touch()
            (folder / "link").symlink_to(folder.parent / "elsewhere")
        new = folder_sha256(folder)
        assert new not in seen, change
        seen.add(new)


@pytest.mark.parametrize("bound", ["_MOST_FILES", "_MOST_BYTES"])
def test_a_large_folder_counts_by_names_sizes_and_times(
    folder: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    for file in (folder / "a.pth", folder / "deep" / "b.pth"):
        os.utime(file, (1, 1))
    by_content = folder_sha256(folder)
    monkeypatch.setattr(named_files, bound, 2)
    assert folder_sha256(folder) == by_content
    monkeypatch.setattr(named_files, bound, 1)
    monkeypatch.setattr(named_files, "file_sha256", lambda path: pytest.fail(f"{path} is read"))
    seen = [folder_sha256(folder), folder_sha256(folder)]
    os.utime(folder / "a.pth", (2, 2))
    seen.append(folder_sha256(folder))
    (folder / "a.pth").write_bytes(b"longer")
    os.utime(folder / "a.pth", (2, 2))
    seen.append(folder_sha256(folder))
    assert by_content != seen[0] == seen[1] and len(set(seen)) == 3


def test_folders_that_a_run_may_write_to_do_not_count(folder: Path) -> None:
    """Their contents would make a plug-in another one in the middle of a run."""
    assert counted(weights="weights") == {"folder of weights": folder_sha256(folder)}
    for name in ("out", "out_dir", "save_to", "log_folder", "cache"):
        assert counted(**{name: "weights"}) == {} == counted(more={name: ["weights"]}), name
    for here in (".", "./", "..", "/", "weights/..", folder.parent):
        assert counted(folder=here) == {}, here
    before = counted(folder="weights")
    (folder / "run" / "images").mkdir(parents=True)
    (folder / "run" / "results.sqlite").touch()
    (folder / "run" / "images" / "a.png").touch()
    assert counted(folder="weights") == before


def test_a_word_among_our_own_arguments_names_no_folder(folder: Path) -> None:
    assert argument_files({"channels": "weights"}) == {}
    assert list(argument_files({"channels": "weights/a.pth"})) == ["file of channels"]


def test_defaults_count_unless_something_is_given(folder: Path) -> None:
    def f(image: object, weights: str = "weights/a.pth", parts: str = "weights/deep") -> None: ...

    assert list(argument_files({}, f)) == ["file of weights", "folder of parts"]
    assert list(argument_files({"weights": "no", "parts": None}, f)) == []
