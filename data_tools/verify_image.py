"""What is wrong with one image file: damage, EXIF orientation, content that its extension does not name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.image_opening import FORMATS, DamagedImageError, read_header
from duskbench.data_tools.images import decode_image

Problem = tuple[Literal["error", "warning", "info"], str, str]


@dataclass(frozen=True)
class ImageCheck:
    """An image file's sha256, upright width and height (None if it is no image), and problems."""

    sha256: str
    size: tuple[int, int] | None
    problems: tuple[Problem, ...]


def check_image(path: Path, *, decode: bool = True) -> ImageCheck:
    """Check one image file.

    Args:
        path: The file.
        decode: Decode it to its last row, which is how a truncated file shows.

    Returns:
        What was found; a file that cannot be read is a problem, not an exception.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        return ImageCheck("", None, (("error", "unreadable-image", f"cannot be read: {error}"),))
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        header = read_header(data, where=path)
    except DataError as error:
        return ImageCheck(sha256, None, (("error", "unreadable-image", _one_line(error)),))
    problems: list[Problem] = []
    if header.broken_exif is not None:
        problems.append(("warning", "broken-exif", f"taken as it is stored: {header.broken_exif}"))
    if header.orientation != 1:
        problems.append(("warning", "exif-orientation", f"EXIF orientation {header.orientation}; it is read upright"))
    if path.suffix.lower() not in FORMATS["JPEG" if header.format == "MPO" else header.format]:
        problems.append(("info", "other-format", f"holds {header.format}, whatever its extension says"))
    if decode:
        try:
            decode_image(data, where=path)
        except DamagedImageError as error:
            problems.append(("error", "truncated-image", f"does not decode: {error.got}"))
        except DataError as error:
            problems.append(("error", "unreadable-image", _one_line(error)))
    return ImageCheck(sha256, header.size, tuple(problems))


def _one_line(error: DataError) -> str:
    return f"{error.what} Got {error.got}; expected {error.expected}."
