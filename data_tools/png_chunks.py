"""The chunks of a PNG, and the file without those that are broken."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import IO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Chunks that the pixels need, and those that may hold EXIF data.
_PIXELS = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL"})
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_EXIF = _TEXTS | {b"eXIf"}


def may_hold_exif(file: IO[bytes]) -> bool:
    """Whether a PNG has a chunk that may hold EXIF data; the file's position stays."""
    before = file.tell()
    file.seek(len(SIGNATURE))
    found = any(kind in _EXIF for kind, _, _ in _chunks(file))
    file.seek(before)
    return found


def intact_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk of a PNG whose checksum is right; nothing of other files."""
    if data.startswith(SIGNATURE):
        file = BytesIO(data)
        file.seek(len(SIGNATURE))
        for kind, start, length in _chunks(file):
            chunk = data[start : start + length]
            if _is_intact(chunk):
                yield kind, chunk[8:-4]


def pared(data: bytes) -> Iterator[tuple[bytes, str]]:
    """A PNG with ever fewer of the chunks that its pixels do not need, and which kinds are missing; no other files.

    First those with a wrong checksum go, then all texts, then all but EXIF data, which says how the picture is turned.
    """
    if not data.startswith(SIGNATURE):
        return
    file = BytesIO(data)
    file.seek(len(SIGNATURE))
    chunks = [(kind, data[start : start + length]) for kind, start, length in _chunks(file)]
    needless = [(kind, chunk) for kind, chunk in chunks if kind not in _PIXELS]
    damaged = {chunk for _, chunk in needless if not _is_intact(chunk)}
    texts = {chunk for kind, chunk in needless if kind in _TEXTS}
    others = {chunk for kind, chunk in needless if kind != b"eXIf"}
    for dropped in (damaged, damaged | texts, damaged | others):
        if dropped:
            kinds = sorted({kind.decode("latin-1") for kind, chunk in needless if chunk in dropped})
            yield SIGNATURE + b"".join(chunk for _, chunk in chunks if chunk not in dropped), ", ".join(kinds)


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and length (with its 12 bytes around the content) of each chunk; the content is skipped."""
    while len(header := file.read(8)) == 8:
        start = file.tell() - 8
        length = int.from_bytes(header[:4], "big") + 12
        yield header[4:], start, length
        file.seek(start + length)


def _is_intact(chunk: bytes) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
