"""The only reader and writer of image files."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.files import write_bytes

IMAGE_SUFFIXES: frozenset[str] = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm"})


def is_image_file(path: Path) -> bool:
    """Tell by the ending, in any case, whether a path names an image file that `read_image` can read."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file, upright by its EXIF orientation.

    Grey, palette, 16-bit, CMYK and transparent files come back as three 8-bit channels; transparency is dropped.
    Pillow decodes, not OpenCV: OpenCV returns a full-size array with a grey tail for a truncated JPEG.

    Args:
        path: The file.

    Returns:
        (H, W, 3) uint8 RGB, C-contiguous.

    Raises:
        DataError: The file is missing, empty, truncated or not an image.
    """
    path = Path(path)
    try:
        return decode_image(path.read_bytes(), where=path)
    except OSError as error:
        raise DataError("Cannot read the image file.", where=path, got=str(error)) from error


def decode_image(data: bytes, *, where: str | Path = "bytes") -> np.ndarray:
    """Decode the bytes of an image file; see `read_image`."""
    try:
        with Image.open(BytesIO(data)) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
            return np.ascontiguousarray(_to_rgb(upright))
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            "Cannot decode the image.",
            where=where,
            expected="a complete image file",
            got=f"{len(data)} bytes; {error}",
            todo="fetch the file again; `duskbench data verify` lists every damaged file of a tree",
        ) from error


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow clips 16-bit samples to 255 on conversion; the high byte is the picture.
        samples = np.asarray(image, dtype=np.float64)
        scale = 257.0 if samples.max(initial=0) > 255 else 1.0
        grey = np.clip(np.rint(samples / scale), 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))


def image_size(path: str | Path) -> tuple[int, int]:
    """Width and height of an image file as `read_image` would return it, from its header alone.

    Raises:
        DataError: The file is missing or its header is not an image's.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            # Pillow decodes a whole PNG to look for an EXIF chunk behind the pixels, so it is asked only where one is.
            has_exif = image.format != "PNG" or _png_has_exif(Path(path))
            if has_exif and image.getexif().get(0x0112, 1) in (5, 6, 7, 8):
                width, height = height, width
            return width, height
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise DataError("Cannot read the size of the image.", where=path, got=str(error)) from error


def _png_has_exif(path: Path) -> bool:
    """Whether a PNG has a chunk that may hold EXIF data; reads the chunks' headers and skips their content."""
    with path.open("rb") as file:
        file.seek(8)
        while len(header := file.read(8)) == 8:
            length, kind = int.from_bytes(header[:4], "big"), header[4:]
            if kind in (b"eXIf", b"zTXt", b"tEXt", b"iTXt"):
                return True
            file.seek(length + 4, os.SEEK_CUR)
    return False


def write_image(path: str | Path, image_rgb: np.ndarray) -> None:
    """Write an image, atomically: the file appears whole or not at all.

    Args:
        path: Destination; its ending picks the format, and PNG, BMP and TIFF keep every pixel. Folders are made.
        image_rgb: (H, W, 3) uint8 RGB.

    Raises:
        DataError: The array is no such image or the ending names no format.
    """
    import cv2

    path = Path(path)
    if image_rgb.dtype != np.uint8 or image_rgb.ndim != 3 or image_rgb.shape[2] != 3:
        raise DataError(
            "Cannot write the array as an image.",
            where=path,
            expected="(H, W, 3) uint8 RGB",
            got=f"{image_rgb.shape} {image_rgb.dtype}",
        )
    if not is_image_file(path):
        raise DataError(
            "Cannot tell the image format from the file name.",
            where=path,
            expected=f"an ending of {', '.join(sorted(IMAGE_SUFFIXES))}",
            got=repr(path.suffix),
        )
    # No flags for PNG: OpenCV's default (RLE strategy) is twice as fast as level 1 and smaller.
    flags = [cv2.IMWRITE_JPEG_QUALITY, 95] if path.suffix.lower() in (".jpg", ".jpeg") else []
    _, data = cv2.imencode(path.suffix.lower(), np.ascontiguousarray(image_rgb[:, :, ::-1]), flags)
    write_bytes(path, data.tobytes())
