"""What is wrong with one image file: damage, EXIF orientation, content that its ending does not name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

from PIL import Image, UnidentifiedImageError

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.images import decode_image

_ORIENTATION = 0x0112
_FORMATS: dict[str, frozenset[str]] = {
    "JPEG": frozenset({".jpg", ".jpeg"}),
    "MPO": frozenset({".jpg", ".jpeg"}),
    "PNG": frozenset({".png"}),
    "BMP": frozenset({".bmp"}),
    "TIFF": frozenset({".tif", ".tiff"}),
    "WEBP": frozenset({".webp"}),
    "PPM": frozenset({".ppm"}),
}

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
        with Image.open(BytesIO(data)) as image:
            size, kind = image.size, image.format or "?"
            orientation = _orientation(image)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        message = "the file is empty" if not data else f"no image: {error}"
        return ImageCheck(sha256, None, (("error", "unreadable-image", message),))
    problems: list[Problem] = []
    if orientation != 1:
        problems.append(("warning", "exif-orientation", f"EXIF orientation {orientation}; it is read upright"))
    if path.suffix.lower() not in _FORMATS.get(kind, ()):
        problems.append(("info", "other-format", f"holds {kind}, whatever its ending says"))
    if decode:
        try:
            decode_image(data, where=path)
        except DataError as error:
            problems.append(("error", "truncated-image", f"does not decode: {error.got}"))
    upright = (size[1], size[0]) if orientation in (5, 6, 7, 8) else size
    return ImageCheck(sha256, upright, tuple(problems))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except (OSError, SyntaxError, ValueError, TypeError):
        # Pillow decodes a PNG to find its EXIF chunk; one that is cut off is found out by the decoding that follows.
        return 1
