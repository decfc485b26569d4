"""The only reader and writer of image files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.files import write_bytes
from duskbench.data_tools.image_colour import check_dynamic_range
from duskbench.data_tools.image_opening import (
    FORMATS,
    IMAGE_SUFFIXES,
    format_to_write,
    image_size,
    is_image_file,
    load,
    orientation_of,
    read_bytes,
    with_image,
)
from duskbench.data_tools.jpeg_scans import without_end

__all__ = ["IMAGE_SUFFIXES", "decode_image", "image_size", "is_image_file", "read_image", "write_image"]


# TIFF 6.0, section 19, tag SampleFormat.
_SIGNED = 2
# TIFF 6.0, tags PlanarConfiguration and Compression.
_PLANE_BY_PLANE = 2
_UNCOMPRESSED = 1


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file, upright by its EXIF orientation.

    Grey, palette, 16-bit, CMYK and transparent files come back as three 8-bit channels; transparency is dropped. What
    counts as white follows from the file's bit depth and sample format, never from its content: 65535 for 16 bits,
    4095 for 12, 1.0 for floats. Broken EXIF data or text chunks do no harm: the picture is taken as it is stored.
    Pillow decodes, not OpenCV: OpenCV returns a full-size array with a grey tail for a truncated JPEG. So does Pillow
    where its end marker is there; see `jpeg_scans.without_end`.

    Args:
        path: The file, of one of `FORMATS`, whatever its extension says.

    Returns:
        (H, W, 3) uint8 RGB, C-contiguous.

    Raises:
        DataError: The file is missing, empty, damaged or not an image; it holds several pictures (an animation,
            pages); it has more than `max_pixels` pixels; it is of high dynamic range (PQ, HLG); or nothing says what
            white is (signed integers, floats outside 0 to 1).
    """
    return decode_image(read_bytes(path), where=path)


def decode_image(data: bytes, *, where: str | Path = "bytes") -> np.ndarray:
    """Decode the bytes of an image file; see `read_image`."""
    check_dynamic_range(data, where=where)
    return with_image(without_end(data), lambda image: _decode(image, where), where=where)


def _decode(image: Image.Image, where: str | Path) -> np.ndarray:
    load(image)
    orientation, _ = orientation_of(image)
    return np.ascontiguousarray(_turned(_to_rgb(image, where), orientation))


def _turned(image_rgb: np.ndarray, orientation: int) -> np.ndarray:
    """Turn a picture upright. Source: Exif 2.32, tag Orientation."""
    if orientation in (5, 6, 7, 8):
        image_rgb = image_rgb.swapaxes(0, 1)
    flip_rows = orientation in (3, 4, 7, 8)
    flip_columns = orientation in (2, 3, 6, 7)
    return image_rgb[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def _to_rgb(image: Image.Image, where: str | Path) -> np.ndarray:
    tags: Any = getattr(image, "tag_v2", {})
    if _SIGNED in _tuple(tags.get(339, 1)):
        raise DataError(
            "Nothing says what white is in this image of signed samples.",
            where=where, expected="unsigned integers, or floats from 0 to 1", got="signed integers",
            todo="save it with 8 or 16 bits, unsigned",
        )  # fmt: skip
    bits = _tuple(tags.get(258, 8))
    if tags.get(284) == _PLANE_BY_PLANE and tags.get(259, 1) == _UNCOMPRESSED and len(bits) > 1 and max(bits) > 8:
        raise DataError(
            "Pillow reads this kind of TIFF as noise.",
            where=where, expected="colours pixel by pixel, 8 bits, or compressed",
            got=f"uncompressed planes of {max(bits)} bits", todo="save it with interleaved channels, or compressed",
        )  # fmt: skip
    if image.mode == "F" or image.mode.startswith("I"):
        return np.repeat(_grey_levels(image, where)[:, :, None], 3, axis=2)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))


def _grey_levels(image: Image.Image, where: str | Path) -> np.ndarray:
    """Samples of more than 8 bits as 8-bit grey, (H, W) uint8; Pillow itself would clip them at 255."""
    tags: Any = getattr(image, "tag_v2", {})
    samples = np.asarray(image)
    if image.mode == "F":
        low, high = float(samples.min()), float(samples.max())
        if not (low >= 0 and high <= 1):
            raise DataError(
                "Nothing says what white is in this image of float samples.",
                where=where, expected="samples from 0 to 1", got=f"{low:g} to {high:g}",
                todo="scale them to 0 to 1, or save it with 8 or 16 bits",
            )  # fmt: skip
        levels = np.rint(samples * 255.0)
    else:
        bits = int(_tuple(tags.get(258, 16))[0])
        if bits == 32:
            samples, bits = (samples.view(np.uint32) >> 16).astype(np.uint16), 16
        white = 2**bits - 1
        level_of = (np.arange(white + 1) * 255 + white // 2) // white
        levels = level_of.astype(np.uint8)[np.minimum(samples, white)]
    grey = levels.astype(np.uint8, copy=False)
    # Pillow inverts 8-bit TIFFs whose 0 is white, and leaves the others as they are stored.
    return 255 - grey if tags.get(262) == 0 else grey


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def write_image(path: str | Path, image_rgb: np.ndarray) -> None:
    """Write an image, atomically: the file appears whole or not at all.

    Args:
        path: Destination; its extension picks the format, and PNG, BMP and TIFF keep every pixel. Folders are made.
        image_rgb: (H, W, 3) uint8 RGB.

    Raises:
        DataError: The array is no such image; or the extension names no format, or one that has no room for it.
    """
    import cv2

    path = Path(path)
    if image_rgb.dtype != np.uint8 or image_rgb.ndim != 3 or image_rgb.shape[2] != 3 or image_rgb.size == 0:
        raise DataError(
            "Cannot write the array as an image.",
            where=path,
            expected="(H, W, 3) uint8 RGB, H and W from 1",
            got=f"{image_rgb.shape} {image_rgb.dtype}",
        )
    form = format_to_write(path, image_rgb.shape)
    # No flags for PNG: OpenCV's default (RLE strategy) is twice as fast as level 1 and smaller.
    flags = [cv2.IMWRITE_JPEG_QUALITY, 95] if form == "JPEG" else []
    done, data = cv2.imencode(FORMATS[form][0], np.ascontiguousarray(image_rgb[:, :, ::-1]), flags)
    if not done:
        raise DataError("Cannot encode the image.", where=path, got=f"{image_rgb.shape}", todo="try another format")
    write_bytes(path, data.tobytes())
