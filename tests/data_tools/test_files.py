"""Files: written whole, placed, listed and locked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.files import (
    check_place,
    file_sha256,
    only_one,
    place_file,
    write_bytes,
    write_text,
    written_whole,
)

_HOLD = """
import sys, time
from pathlib import Path
from duskbench.data_tools.files import only_one
with only_one(Path(sys.argv[1]), "history"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "made" / "file"
    write_bytes(path, b"first")

    def full(self: Path, target: Path) -> Path:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(path, b"second")
    assert path.read_bytes() == b"first" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["夜" * 80 + ".png", "a" * 251 + ".png", "🌙" * 62 + ".csv", "a"])
def test_a_name_as_long_as_names_can_be_is_written(tmp_path: Path, name: str) -> None:
    write_bytes(tmp_path / name, b"first")
    assert (tmp_path / name).read_bytes() == b"first"
    with written_whole(tmp_path / name) as file:
        file.write("second")
    assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name).read_text() == "second"


def test_what_cannot_be_written_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder", tmp_path / "file/a"):
        with pytest.raises(OSError) as raised:
            write_bytes(path, b"1")
        assert raised.value.filename == str(path)
        with pytest.raises(OSError) as raised, written_whole(path) as file:
            file.write("1")
        assert raised.value.filename == str(path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder"]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    check_place(pipe, overwrite=True)
    write_text(pipe, "read")
    assert os.read(reader, 100) == b"read" and pipe.is_fifo()
    os.close(reader)


def test_the_lock_of_a_link_is_that_of_the_other_end(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with (
        only_one(tmp_path / "link", "history"),
        pytest.raises(ConfigError, match="Another process"),
        only_one(tmp_path / "file", "history"),
    ):
        pytest.fail("two at once")


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert file_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_is_linked_or_copied_once(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("text")
    link, copy = tmp_path / "a/link", tmp_path / "a/copy"
    assert place_file(source, link, "hardlink") and link.samefile(source)
    assert place_file(source, copy, "copy") and not copy.samefile(source) and copy.read_text() == "text"
    assert not place_file(source, link, "hardlink") and not place_file(source, copy, "copy")
    assert place_file(source, link, "copy") and not link.samefile(source)


@pytest.mark.parametrize(("made", "lock"), [("folder", "folder/.lock"), ("file", ".file.lock"), (None, ".new.lock")])
def test_the_lock_names_its_holder_and_goes_with_it(tmp_path: Path, made: str | None, lock: str) -> None:
    path = tmp_path / (made or "new")
    if made == "folder":
        path.mkdir()
    if made == "file":
        path.touch()
    for _ in range(2):
        with (
            only_one(path, "history"),
            pytest.raises(ConfigError, match=f"Another process is using this history.*\n.*\n.*process {os.getpid()}"),
            only_one(path, "history"),
        ):
            pytest.fail("two at once")
    assert (tmp_path / lock).is_file()


def test_kill_9_releases_the_lock(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=f"process {process.pid} on"), only_one(tmp_path, "history"):
            pytest.fail("two at once")
        process.send_signal(signal.SIGKILL)
        with only_one(tmp_path, "history", wait=True):
            pass
    finally:
        process.kill()
        process.communicate()


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    for target in (tmp_path / "folder", tmp_path / "file/below.txt"):
        with pytest.raises(OSError, match="irectory") as caught:
            write_text(target, "y")
        assert caught.value.filename == str(target) and str(target) in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
