"""Extraction of archives that nobody here has made: zip, tar and tar.gz, nothing but plain files and folders."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import os
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from duskbench.data_tools.archive_members import Member, members_of
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.file_kinds import HEAD, kind_of, kind_of_file, remedy
from duskbench.data_tools.ids import path_parts

_READ_KINDS = frozenset({"a zip archive", "an empty zip archive", "a tar archive", "a gzip file"})
# How a program of Windows, of Linux and a script begin: what unpacks itself is a zip with one of them in front.
_PROGRAMS = (b"MZ", b"\x7fELF", b"#!")
_PART = re.compile(r"\.(?:z\d\d|r\d\d|part\d+\.rar|(?:zip|7z|rar|tar|tgz|gz)\.\d{3})$", re.IGNORECASE)
MAX_BYTES = 16 << 30
MAX_FILES = 200_000

# No real data set is near either.
_DEEPEST, _LONGEST_PATH = 64, 1024
_CHUNK = 1 << 20
_PACK = "pack the folder as a zip"
_REPACK = f"unpack it with another program, and {_PACK}"
# tarfile reads a header's extension (long names) into memory in one piece; no real one is near this long.
_LONGEST_READ = 4 << 20
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError,
    NotImplementedError, ValueError,
)  # fmt: skip


def extract(archive: str | Path, dest: str | Path, *, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES) -> Path:
    """Extract an archive into a new folder, all of it or nothing.

    The kind is recognised by content, not by name: zip, tar, or gzipped tar. Owners, permissions and times in the
    archive are not taken over. What macOS adds (`__MACOSX`, `._x`, `.DS_Store`) is left out.

    Args:
        archive: The file.
        dest: A folder that does not exist yet, or is empty.
        max_bytes: Most bytes the files may have together, as declared and as written.
        max_files: Most members the archive may have.

    Returns:
        `dest`.

    Raises:
        DataError: The archive is damaged or of another kind; or a member, which the error names, has a path that
            leads elsewhere, appears twice, is a link or a device, is encrypted, or exceeds the limits. Nothing of the
            archive is left behind.
    """
    archive, dest = Path(archive), Path(dest)
    if not archive.is_file():
        raise DataError("The archive is not there.", where=archive, expected="a zip, tar or tar.gz file")
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise DataError("Cannot extract over what is there.", where=dest, expected="no folder, or an empty one")
    dest.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=dest.parent, prefix=f".{dest.name}."))
    try:
        with _opened(archive, max_bytes) as source:
            _extract_all(source, archive, temporary, max_bytes, max_files)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        temporary.replace(dest)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return dest


def paths_in(archive: str | Path) -> tuple[list[PurePosixPath], list[PurePosixPath]]:
    """List the folders and the files of an archive, those included that its file names imply.

    Raises:
        DataError: The archive is damaged, of another kind, or has too many members or a path that leads elsewhere.
    """
    folders: set[PurePosixPath] = set()
    files: list[PurePosixPath] = []
    with _opened(Path(archive), MAX_BYTES) as source:
        for count, member in enumerate(members_of(source), start=1):
            where = f"{archive}: {member.name!r:.200}"
            if count > MAX_FILES:
                raise _too_many(where, MAX_FILES)
            path = PurePosixPath(*safe_parts(member.name, where=where))
            if path.parts and not _is_of_macos(path.parts):
                folders.update(path.parents, [path] if member.is_folder else [])
                files += [] if member.is_folder else [path]
    return sorted(folders), sorted(files)


@contextlib.contextmanager
def _opened(archive: Path, max_bytes: int) -> Iterator[tarfile.TarFile | zipfile.ZipFile]:
    try:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(archive.open("rb"))
            head = file.read(HEAD)
            begins_with_program = head.startswith(_PROGRAMS) and kind_of(head) is None
            is_zip = head.startswith(b"PK") or (begins_with_program and zipfile.is_zipfile(file))
            file.seek(0)
            if is_zip:
                yield stack.enter_context(zipfile.ZipFile(file))
                return
            plain: Any = stack.enter_context(gzip.GzipFile(fileobj=file)) if head.startswith(b"\x1f\x8b") else file
            # Headers come on top of the files; 10 % and a megabyte are more than any real archive has.
            limited = _Limited(plain, max_bytes + max_bytes // 10 + (1 << 20), archive)
            yield stack.enter_context(tarfile.open(fileobj=limited, mode="r:"))  # type: ignore[call-overload]
    except _DAMAGE as error:
        raise _unreadable(archive, error) from error


def _unreadable(archive: Path, error: Exception) -> DataError:
    kind = kind_of_file(archive)
    expected = "a complete zip, tar or tar.gz file"
    # The last part of a split zip has the name of the whole.
    if _PART.search(archive.name) or archive.with_suffix(".z01").exists():
        got, todo = "one part of a split archive", f"unpack all parts together with another program, and {_PACK}"
        return DataError("Cannot read the archive.", where=archive, expected=expected, got=got, todo=todo)
    if kind in _READ_KINDS or kind is None:
        # A way of packing that is not known, as Windows' Deflate64, is no damage.
        todo = _REPACK if isinstance(error, NotImplementedError) else "fetch it again"
        got = f"{type(error).__name__}: {error}"
        return DataError("Cannot read the archive.", where=archive, expected=expected, got=got, todo=todo)
    todo = remedy(kind) or _REPACK
    return DataError("The file is no archive that is read.", where=archive, expected=expected, got=kind, todo=todo)


class _Limited:
    """A readable file that refuses to become longer than it may: what a bomb unpacks to need not be declared."""

    def __init__(self, file: IO[bytes], most: int, archive: Path) -> None:
        self._file, self._most, self._archive = file, most, archive

    def read(self, n: int = -1) -> bytes:
        if n < 0 or n > _LONGEST_READ or self._file.tell() > self._most:
            raise DataError(
                "The archive is larger than it may be.",
                where=self._archive,
                expected=f"at most {self._most} bytes with headers, and no header over {_LONGEST_READ} bytes",
                got=f"a read of {n} bytes at byte {self._file.tell()}",
            )
        return self._file.read(n)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _extract_all(
    source: tarfile.TarFile | zipfile.ZipFile, archive: Path, folder: Path, max_bytes: int, max_files: int
) -> None:
    declared = written = 0
    for count, member in enumerate(members_of(source), start=1):
        where = f"{archive}: {member.name!r:.200}"
        declared += max(member.size, 0)
        if count > max_files:
            raise _too_many(where, max_files)
        if member.size < 0 or declared > max_bytes:
            raise _too_large(where, max_bytes, f"{declared} bytes declared up to this member")
        if member.refused is not None:
            raise DataError(
                "The archive holds something that is neither a plain file nor a folder.",
                where=where,
                expected="plain files and folders",
                got=member.refused,
                todo="do not use this archive, or unpack it by other means and look at that member",
            )
        parts = safe_parts(member.name, where=where)
        if not parts or _is_of_macos(parts):
            continue
        target = folder.joinpath(*parts)
        try:
            if member.is_folder:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as out:
                written += _copy(source, member, out, max_bytes - written, where)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise DataError(
                "The archive holds the same path twice.",
                where=where,
                expected="each path once, as a file or as a folder",
            ) from error


def _is_of_macos(parts: tuple[str, ...]) -> bool:
    return bool(parts) and (parts[0] == "__MACOSX" or parts[-1] == ".DS_Store" or parts[-1].startswith("._"))


def _too_many(where: str, most: int) -> DataError:
    return DataError("The archive has too many members.", where=where, expected=f"at most {most}")


def _copy(source: tarfile.TarFile | zipfile.ZipFile, member: Member, out: IO[bytes], most: int, where: str) -> int:
    """Copy one member's content; its real size counts, whatever its header says."""
    written = 0
    for chunk in _content(source, member):
        written += len(chunk)
        if written > most:
            raise _too_large(where, most, "more on unpacking")
        out.write(chunk)
    if written != member.size:
        raise DataError("The archive is damaged.", where=where, expected=f"{member.size} bytes", got=f"{written} bytes")
    return written


def _content(source: tarfile.TarFile | zipfile.ZipFile, member: Member) -> Iterator[bytes]:
    handle: Any = member.handle
    try:
        content: Any = source.open(handle) if isinstance(source, zipfile.ZipFile) else source.extractfile(handle)
        with content:
            while chunk := content.read(_CHUNK):
                yield chunk
    except OSError as error:
        # What zipfile and bz2 raise for offsets and data that cannot be; what fails on writing is not raised in here.
        raise zipfile.BadZipFile(f"{member.name!r:.200}: {error}") from error


def _too_large(where: str, most: int, got: str) -> DataError:
    return DataError(
        "The archive unpacks to more than it may.",
        where=where,
        expected=f"at most {most} bytes",
        got=got,
        todo="do not use this archive: it is either a bomb or another file than the one expected",
    )


def safe_parts(name: str, *, where: str) -> tuple[str, ...]:
    """Split a member's path, refusing any that leads out of the folder it is extracted to.

    Args:
        name: The path as the archive has it; backslashes separate too, as old Windows tools write them.
        where: Archive and member, for the error.

    Returns:
        The path's parts, without `.`; empty for the root itself.

    Raises:
        DataError: The path is absolute, has a drive letter, `..`, a control character, too many parts or too
            long ones.
    """
    if any(0xD800 <= ord(character) < 0xE000 for character in name):
        raise DataError(
            "The archive holds a name that is not UTF-8.",
            where=where,
            expected="names in UTF-8: a tar archive does not say in which encoding they are",
            got=repr(name[:300]),
            todo=f"unpack it where its names are readable, and {_PACK}",
        )
    parts = path_parts(name)
    if parts is None or len(parts) > _DEEPEST or len(os.fsencode(name)) > _LONGEST_PATH:
        raise DataError(
            "The archive holds a path that is not safe to write.",
            where=where,
            expected=f"a relative path without `..`, of up to {_DEEPEST} parts of up to 255 bytes without control "
            f"characters, {_LONGEST_PATH} bytes in all",
            got=repr(name[:300]),
            todo="do not use this archive",
        )
    return parts
