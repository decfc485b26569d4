"""The enhanced pictures that `--save-images` keeps: where each lies, and what it was made of.

A picture says in itself which row of the results it belongs to, so that one of an earlier version of an enhancer, or of
an image that was replaced since, is never taken for the one that was measured.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from pathlib import Path

import numpy as np

from duskbench.benchmarks.rows import Key
from duskbench.data_tools.files import write_bytes

_LONGEST_NAME = 100
# The signature and the header chunk, which comes first and has one length. Source: PNG (ISO/IEC 15948), 5.2 and 11.2.2.
_HEADER_BYTES = 8 + 25
_KEYWORD = b"duskbench\0"
_LONGEST_TEXT = 1024


def folder_name(label: str) -> str:
    """A label made fit for the name of a file or folder; another one for each label.

    Zero-DCE and Zero-DCE++ must not write over each other's pictures.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", label).strip("_.")[:_LONGEST_NAME]
    return plain if plain == label else f"{plain}_{hashlib.sha256(label.encode()).hexdigest()[:6]}"


def image_path(root: Path, label: str, image_id: str) -> Path:
    """Where an enhanced image lies: root/label/id.png, the label made fit for a folder name."""
    return root / folder_name(label) / f"{image_id}.png"


def write_picture(path: Path, image_rgb: np.ndarray, key: Key) -> None:
    """Write an enhanced image with the row that it belongs to.

    Args:
        path: A PNG file; folders are made.
        image_rgb: (H, W, 3) uint8 RGB.
        key: Of the row.
    """
    import cv2

    png = cv2.imencode(".png", np.ascontiguousarray(image_rgb[:, :, ::-1]))[1].tobytes()
    text = _KEYWORD + _told(key)
    chunk = b"tEXt" + text
    whole = struct.pack(">I", len(text)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    write_bytes(path, png[:_HEADER_BYTES] + whole + png[_HEADER_BYTES:])


def is_of(path: Path, key: Key) -> bool | None:
    """Whether a picture is of that row; None of one that does not say, as an earlier version wrote it.

    False where there is none.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES + _LONGEST_TEXT)
    except OSError:
        return False
    start = _HEADER_BYTES + 8 + len(_KEYWORD)
    if head[_HEADER_BYTES + 4 : start] != b"tEXt" + _KEYWORD:
        return None
    (length,) = struct.unpack(">I", head[_HEADER_BYTES : _HEADER_BYTES + 4])
    return head[start : _HEADER_BYTES + 8 + length] == _told(key)


def _told(key: Key) -> bytes:
    return f"{key.enhancer} {key.content}".encode()
