"""What a zip or tar archive says that it holds, in one form for both."""

from __future__ import annotations

import logging
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

_CHUNK = 1 << 20
# Bit of a zip's flags. Source: APPNOTE 6.3.10, section 4.4.4 and appendix D; without it names are in code page 437.
_IS_UTF8 = 0x800


@dataclass(frozen=True)
class Member:
    """One file or folder, or what is refused.

    Attributes:
        name: Its path, as the archive has it; of a tar's name that is not UTF-8 the bytes are lone surrogates.
        size: In bytes, as declared.
        is_folder: Whether it is a folder.
        refused: Why it is neither a plain file nor a folder.
        handle: What the library that reads the archive calls it.
    """

    name: str
    size: int
    is_folder: bool
    refused: str | None
    handle: tarfile.TarInfo | zipfile.ZipInfo


def members_of(source: tarfile.TarFile | zipfile.ZipFile) -> Iterator[Member]:
    """All members, in the archive's order.

    Raises:
        tarfile.TarError, OSError, EOFError: A tar archive is damaged or ends too early.
    """
    if isinstance(source, zipfile.ZipFile):
        names = [_name_in_zip(info) for info in source.infolist()]
        if None in names:
            first = source.infolist()[names.index(None)].orig_filename
            logger.warning(
                "%s: names that are not UTF-8 are taken to be in code page 437, as the standard of zip has it: %r",
                source.filename, first,
            )  # fmt: skip
        for info, name in zip(source.infolist(), names, strict=True):
            yield Member(name or info.orig_filename, info.file_size, _is_folder(info), _refused_in_zip(info), info)
        return
    for entry in source:
        yield Member(entry.name, entry.size, entry.isdir(), _refused_in_tar(entry), entry)
    _check_end(source)


def _check_end(source: tarfile.TarFile) -> None:
    """Refuse a tar archive that does not end where its last member was found, and read what is behind its end.

    tarfile takes a header that is damaged or cut off for the end, and what follows would be missing without a word.
    The checksum of a gzipped one is at its very end, and is compared when that is read.
    """
    file: Any = source.fileobj
    file.seek(source.offset)
    block = file.read(tarfile.BLOCKSIZE)
    if block != bytes(tarfile.BLOCKSIZE):
        found = "a damaged header" if len(block) == tarfile.BLOCKSIZE else "the end of the file"
        raise tarfile.ReadError(f"{found} at byte {source.offset}, before the mark that ends the archive")
    while chunk := file.read(_CHUNK):
        if chunk != bytes(len(chunk)):
            raise tarfile.ReadError(
                "data behind the mark that ends the archive: several in one, which `tar -xi` unpacks"
            )


def _name_in_zip(info: zipfile.ZipInfo) -> str | None:
    """The path, which macOS writes as UTF-8 without saying so; None where it is not said and is none."""
    try:
        # `filename` was cut at the first NUL; what the archive says is what is checked.
        said = info.orig_filename
        return said if info.flag_bits & _IS_UTF8 else said.encode("cp437").decode("utf-8")
    except UnicodeDecodeError:
        return None


def _is_folder(info: zipfile.ZipInfo) -> bool:
    # Old Windows tools write backslashes, here too.
    return info.orig_filename.endswith(("/", "\\"))


def _refused_in_zip(info: zipfile.ZipInfo) -> str | None:
    if info.flag_bits & 0x1:
        return "an encrypted file"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind in (0, stat.S_IFREG) or (kind == stat.S_IFDIR and _is_folder(info)):
        return None
    return "a symbolic link" if kind == stat.S_IFLNK else f"file type {kind:#o}"


def _refused_in_tar(entry: tarfile.TarInfo) -> str | None:
    if entry.issym():
        return f"a symbolic link to {entry.linkname!r}"
    if entry.islnk():
        return f"a hard link to {entry.linkname!r}"
    if entry.issparse() or not (entry.isreg() or entry.isdir()):
        return f"a sparse file, device or other special file (type {entry.type!r})"
    return None
