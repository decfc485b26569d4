"""Files on disk: written whole or not at all, linked or copied, hashed, and locked."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import IO, BinaryIO, Literal

from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.file_states import NEVER_ENDING, other_than_file

CopyMode = Literal["hardlink", "copy"]

# Characters of up to 4 bytes; file systems take names of 255 bytes.
_NAME_PART = 40
# What a file system that has no locks answers, as some network file systems do.
_CANNOT_LOCK = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def replacing(path: Path, *, keeps_suffix: bool = False) -> Iterator[Path]:
    """A temporary name beside a file, for what takes the file's place once it is complete.

    If the writing fails, what is there stays, and nothing is left behind; what a killed process leaves, `leftovers`
    removes. A device or pipe, as /dev/stdout is, is written to and not replaced.

    Args:
        path: The file.
        keeps_suffix: Whether the temporary name ends as the file's, for programs that go by it.

    Raises:
        OSError: As in the block, and of `path` where it is of the temporary name: nobody asked for that one.
    """
    if is_device(path):
        yield path
        return
    # Not mkstemp: it makes files private, and takes twice the system calls. No two writers share process and thread.
    # A part of the name: the whole may be as long as a name can be.
    name = f".{path.name[:_NAME_PART]}.{os.getpid()}.{threading.get_ident()}"
    temporary = path.with_name(f"{name}.part{path.suffix}" if keeps_suffix else name)
    try:
        try:
            yield temporary
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.filename == str(temporary):
            error.filename, error.filename2 = str(path), None
        raise


def write_bytes(path: str | Path, data: bytes, *, durable: bool = False) -> None:
    """Write a file, whole or not at all; folders are made.

    `durable` flushes it to the disk before it gets its name, so that a power cut cannot leave an empty file under it.
    """
    with replacing(Path(path)) as temporary, _created(temporary) as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def written_whole(path: Path) -> Iterator[IO[str]]:
    """A UTF-8 file to write to bit by bit, line ends as they are written; it appears whole or not at all."""
    with replacing(path) as temporary, TextIOWrapper(_created(temporary), encoding="utf-8", newline="") as file:
        yield file


def _created(path: Path) -> BinaryIO:
    mode: Literal["wb", "xb"] = "wb" if is_device(path) else "xb"
    try:
        return path.open(mode)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open(mode)


def is_device(path: Path) -> bool:
    """Whether a name stands for a device or pipe; what /dev/stdout leads to may be a file too."""
    return other_than_file(path) in NEVER_ENDING or (path.parent == Path("/dev") and path.exists())


def check_place(path: Path, *, overwrite: bool) -> None:
    """See before long work that its result can be written there; the folder is made.

    Raises:
        ConfigError: There is a folder in its place, or a file, which may be one that cannot be made again, although
            `overwrite` is not given.
        OSError: There can be no such folder, or no file in it.
    """
    if path.is_file() and not overwrite:
        raise ConfigError(
            "There is a file in the result's place already.",
            where=path,
            todo="give another name, or --overwrite to replace it",
        )
    if path.is_dir():
        raise ConfigError("There is a folder in the result's place.", where=path, todo="give another name")
    if is_device(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        # Nobody asked for the temporary name.
        error.filename = str(path)
        raise


def user_cache() -> Path:
    """Where duskbench keeps what it can download again: `$XDG_CACHE_HOME/duskbench`, else `~/.cache/duskbench`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "duskbench"


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically, line ends as they are in `text`."""
    write_bytes(path, text.encode("utf-8"))


def place_file(source: Path, target: Path, copy: CopyMode) -> bool:
    """Hard-link a file, or copy it where `copy` says so or links are not possible; it appears whole or not at all.

    Returns:
        False where that is done already: a link is the same file, and a copy keeps its source's size and time of
        change.
    """
    if target.exists():
        there, here = target.stat(), source.stat()
        is_same = (there.st_size, there.st_mtime_ns) == (here.st_size, here.st_mtime_ns)
        if is_same and (copy == "hardlink" or not target.samefile(source)):
            return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".placing.{os.getpid()}.") as folder:
        temporary = Path(folder, target.name)
        try:
            if copy == "copy":
                raise OSError("a copy is asked for")
            os.link(source.resolve(), temporary)
        except OSError:
            shutil.copy2(source, temporary)
        temporary.replace(target)
    return True


def open_file(path: str | Path) -> BufferedReader:
    """Open a data set's file to read its bytes.

    Raises:
        OSError: It cannot be opened, or is no file: reading a pipe that nobody writes to would never end.
    """
    other = other_than_file(Path(path))
    if other in NEVER_ENDING:
        raise OSError(errno.EINVAL, f"{other}, not a file", str(path))
    return Path(path).open("rb")


def file_sha256(path: str | Path) -> str:
    """Sha256 of a file's bytes, as 64 hexadecimal digits."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def only_one(path: Path, what: str, *, wait: bool = False) -> Iterator[None]:
    """Hold a lock on a file or folder that only one process may use at a time.

    The system releases it whenever and however the process ends, `kill -9` included. Where the file system has no
    locks there is none.

    Args:
        path: What is protected. The lock is `.lock` in a folder that exists, else `.<name>.lock` beside the file; it
            stays there and says who held it last.
        what: What is protected, in words, as in "Another process is using this WHAT".
        wait: Wait for the other process, instead of the error.

    Raises:
        ConfigError: Another process holds it; says which.
    """
    from filelock import FileLock, Timeout

    # Of a link that of the other end, which may have more names.
    real = path.resolve()
    file = real / ".lock" if real.is_dir() else real.with_name(f".{real.name}.lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        lock.acquire(blocking=wait)
    except Timeout as error:
        raise ConfigError(
            f"Another process is using this {what}.",
            where=path,
            got=file.read_text().strip() or "it does not say which",
            todo=f"wait until it ends, or use another {what}",
        ) from error
    except OSError as error:
        if error.errno not in _CANNOT_LOCK:
            raise
    try:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        file.write_text(f"process {os.getpid()} on {platform.node()}, since {now}\n")
        yield
    finally:
        lock.release()
