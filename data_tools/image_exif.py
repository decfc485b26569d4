"""A photo's camera data as tags: read from any file that Pillow opens, and written again as they were read."""

from __future__ import annotations

import struct
from typing import Any

from PIL import Image, TiffImagePlugin

from duskbench.data_tools.image_opening import ORIENTATION

_EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 0x8769, 0x8825, 0xA005
_DIRECTORIES = (_EXIF_IFD, _GPS_IFD)
# Baseline TIFF 6.0 tags about the photo and not about its storage.
_TIFF_TAGS = frozenset({269, 270, 271, 272, 305, 306, 315, 316, 33432})
_EXIF_WIDTH, _EXIF_HEIGHT = 0xA002, 0xA003


class _Text(str):
    """A text that is written as the bytes it was read from: Pillow reads them as Latin-1 and writes ASCII."""

    __slots__ = ()

    def encode(self, encoding: str = "latin-1", errors: str = "strict") -> bytes:
        """The bytes that were read, whatever encoding is asked for."""
        return super().encode("latin-1")


def camera_tags(exif: Image.Exif, *, directories: bool = True) -> dict[int, Any]:
    """Tag -> value of an EXIF block, without the orientation; a directory is such a dictionary itself.

    Args:
        exif: As Pillow has it; what is broken raises whatever Pillow's parser runs into.
        directories: Whether to read those of camera and GPS data.
    """
    of_file = {tag: exif[tag] for tag in exif if tag not in (ORIENTATION, *_DIRECTORIES)}
    groups = {tag: dict(exif.get_ifd(tag)) for tag in _DIRECTORIES if directories and tag in exif}
    if _INTEROP_IFD in groups.get(_EXIF_IFD, {}):
        groups[_EXIF_IFD][_INTEROP_IFD] = _texts(exif.get_ifd(_INTEROP_IFD))
    return {**_texts(of_file), **{tag: _texts(group) for tag, group in groups.items() if group}}


def with_size(tags: dict[int, Any], size: tuple[int, int]) -> dict[int, Any]:
    """The same tags with another width and height, where they state any."""
    camera = tags.get(_EXIF_IFD, {})
    stated = {tag: value for tag, value in zip((_EXIF_WIDTH, _EXIF_HEIGHT), size, strict=True) if tag in camera}
    return {**tags, _EXIF_IFD: {**camera, **stated}} if stated else tags


def exif_block(tags: dict[int, Any]) -> bytes:
    """An EXIF block of these tags; empty where there are none."""
    exif = Image.Exif()
    exif.update(tags)
    return exif.tobytes() if tags else b""


def read_block(block: bytes) -> dict[int, Any]:
    """The tags of an EXIF block that `exif_block` wrote."""
    exif = Image.Exif()
    exif.load(block)
    return camera_tags(exif)


def of_photo(tags: dict[int, Any], *, directories: bool = False) -> dict[int, Any]:
    """The tags that are about the photo and not about the storage of its pixels, with or without the directories."""
    wanted = _TIFF_TAGS.union(_DIRECTORIES) if directories else _TIFF_TAGS
    return {tag: value for tag, value in tags.items() if tag in wanted}


def with_directories(tiff: bytes, tags: dict[int, Any]) -> bytes:
    """A TIFF that Pillow wrote, with the directories of camera and GPS data; Pillow writes none in compressed files.

    They lie behind the picture, and behind them the file's own directory, again and with their places.

    Source: TIFF 6.0, section 2 (header and directory); Exif 2.32, section 4.6.3 (the places of the directories).
    """
    order = "<" if tiff.startswith(b"II") else ">"
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    entries = [tiff[place : place + 12] for place in range(start + 2, start + 2 + 12 * count, 12)]
    result = bytearray(tiff)
    for tag in _DIRECTORIES:
        if tag in tags:
            result += bytes(len(result) % 2)
            entries.append(struct.pack(f"{order}HHII", tag, 4, 1, len(result)))
            directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=tiff[:2], group=tag)
            directory.update(tags[tag])
            result += directory.tobytes(len(result))
    result += bytes(len(result) % 2)
    struct.pack_into(f"{order}I", result, 4, len(result))
    entries.sort(key=lambda entry: struct.unpack_from(f"{order}H", entry))
    return bytes(result) + struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)


def _texts(tags: dict[int, Any]) -> dict[int, Any]:
    return {tag: _Text(value) if isinstance(value, str) else value for tag, value in tags.items()}
