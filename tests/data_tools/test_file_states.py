"""A file that was written or replaced is noticed without reading it, whatever its size and time of change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from duskbench.data_tools.file_states import files_below, is_file, is_there, stamp, states_sha256, time_of_change


def in_place(file: Path) -> None:
    noted = file.stat().st_ctime_ns
    # The system's clock has ticks of some milliseconds.
    while file.stat().st_ctime_ns == noted:
        file.write_bytes(b"new")


def by_renaming(file: Path) -> None:
    file.with_name("other").write_bytes(b"new")
    os.utime(file.with_name("other"), (1, 1))
    file.with_name("other").replace(file)


@pytest.mark.parametrize("replaced", [in_place, by_renaming])
def test_a_file_of_the_same_size_and_time_is_another_one(tmp_path: Path, replaced) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "file"
    file.write_bytes(b"old")
    os.utime(file, (1, 1))
    before, listed = file.stat(), states_sha256([tmp_path])
    assert stamp(file.stat()) == stamp(before) and states_sha256([tmp_path]) == listed
    replaced(file)
    os.utime(file, (1, 1))
    assert (file.stat().st_size, file.stat().st_mtime) == (before.st_size, before.st_mtime)
    assert stamp(file.stat()) != stamp(before) and states_sha256([tmp_path]) != listed
    assert 0 <= stamp(before) < 2**63


@pytest.mark.parametrize("field", ["st_mtime_ns", "st_ctime_ns", "st_ino"])
def test_what_a_stamp_is_made_of(field: str) -> None:
    class State:
        st_mtime_ns = st_ctime_ns = st_ino = 1

    before, other = State(), State()
    setattr(other, field, 2)
    assert stamp(before) != stamp(other)  # type: ignore[arg-type]


def test_the_states_of_folders_and_files(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    (folder / "b").mkdir(parents=True)
    for name in ("one", "b/two"):
        (folder / name).write_text("1")
    seen = {states_sha256([folder, folder / "one"])}
    (folder / ".hidden").touch()
    assert states_sha256([folder, folder / "one"]) in seen
    changes = {
        "other order": [folder / "one", folder],
        "name": [folder, folder / "b/two"],
        "none": [folder, tmp_path / "nothing"],
    }
    for what, paths in changes.items():
        new = states_sha256(paths)
        assert new not in seen, what
        seen.add(new)
    (folder / "b" / "two").rename(folder / "two")
    assert states_sha256([folder, folder / "one"]) not in seen
    assert states_sha256([tmp_path / "no"]) == states_sha256([tmp_path / "neither"])


def test_files_below_a_folder(tmp_path: Path) -> None:
    for name in ("a/one", "a/b/two", "a/.hidden/x", "a/__pycache__/y", "a/run/marker", "a/run/deep/z", "other/three"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "round").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "link").symlink_to(tmp_path / "other")
    (tmp_path / "a" / "broken").symlink_to(tmp_path / "nothing")
    files = {path.relative_to(tmp_path / "a").as_posix() for path in files_below(tmp_path / "a")}
    assert files == {"one", "b/two", "run/marker", "run/deep/z", "link/three"}
    fewer = {path.relative_to(tmp_path / "a").as_posix() for path in files_below(tmp_path / "a", without="marker")}
    assert fewer == {"one", "b/two", "link/three"}


def test_any_text_may_be_asked_about(tmp_path: Path) -> None:
    texts = ["x" * 5000, "a/" * 5000, "a\0b", "\ud800"]
    assert not any(map(is_there, texts)) and not any(map(is_file, texts))
    (tmp_path / "there").touch()
    assert is_file(tmp_path / "there") and is_there(tmp_path) and not is_file(tmp_path)


def test_what_a_listing_notices(tmp_path: Path) -> None:
    for name in ("a/one", "a/b/two"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (1, 1))
    seen = {states_sha256([tmp_path / "a"], mark=time_of_change)}
    (tmp_path / "a/.half").write_text("half-written")
    assert states_sha256([tmp_path / "a"], mark=time_of_change) in seen

    untimed = states_sha256([tmp_path / "a"], mark=lambda _: 0)
    os.utime(tmp_path / "a/one", (2, 2))
    assert states_sha256([tmp_path / "a"], mark=lambda _: 0) == untimed
    for change in ("date", "size", "name", "gone"):
        if change == "size":
            (tmp_path / "a/b/two").write_text("longer than before")
        elif change == "name":
            (tmp_path / "a/b/two").rename(tmp_path / "a/two")
        elif change == "gone":
            (tmp_path / "a/two").unlink()
        new = states_sha256([tmp_path / "a"], mark=time_of_change)
        assert new not in seen
        seen.add(new)
    paths = [tmp_path / "no"], [tmp_path / "neither"]
    assert states_sha256(paths[0], mark=time_of_change) == states_sha256(paths[1], mark=time_of_change)
