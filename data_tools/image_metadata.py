"""Write a changed picture as the file it came from was: its format, colour profile, camera data and resolution."""

from __future__ import annotations

import logging
import math
import re
import struct
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.files import write_bytes
from duskbench.data_tools.image_colour import stated_profile
from duskbench.data_tools.image_exif import camera_tags, exif_block, of_photo, read_block, with_directories, with_size
from duskbench.data_tools.image_opening import exif_of, format_to_write, load, orientation_of, read_bytes, with_image

logger = logging.getLogger(__name__)

# An ICC profile is for the channels it was made for; these stay the same ones when a file is read as RGB.
_RGB_MODES = frozenset({"RGB", "RGBA", "RGBX", "P", "PA"})
_LOSSLESS_TIFF = frozenset({"raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits"})
_TIFF_XMP, _TIFF_IPTC = 700, 33723
# Photoshop's image resources, a JPEG's place for IPTC data. Source: Adobe Photoshop File Formats Specification.
_RESOURCES, _RESOURCE, _IPTC = b"Photoshop 3.0\0", b"8BIM", 0x0404
_XMP_NAME = b"http://ns.adobe.com/xap/1.0/\0"
# What the two bytes of a segment's length, which count themselves, leave. Source: ITU T.81, B.1.1.4.
_LONGEST_SEGMENT = 65_533
_TIFF_NAMESPACE = re.compile(rb"""xmlns:([\w.-]+)\s*=\s*["']http://ns\.adobe\.com/tiff/""")


@dataclass(frozen=True)
class ImageMetadata:
    """What an image file holds besides its pixels, for the picture as `read_image` returns it.

    Attributes:
        exif: EXIF block without an orientation, because the picture is upright; empty where there is none. Of a TIFF
            its description of the photo, its camera and its GPS data.
        icc_profile: Of RGB files, or one that says what a PNG or AVIF states by numbers; None where a profile is for
            other channels, because the picture is RGB now.
        dpi: Horizontal and vertical, of the upright picture.
        xmp: XMP packet without an orientation.
        texts: Text chunks of a PNG, comment of a JPEG under "comment".
        iptc: IPTC records of a JPEG or TIFF.
        tiff_compression: As Pillow calls it.
    """

    exif: bytes = b""
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    xmp: bytes | None = None
    texts: dict[str, str] = field(default_factory=dict)
    iptc: bytes = b""
    tiff_compression: str | None = None


def read_metadata(path: str | Path) -> ImageMetadata:
    """Read what an image file holds besides its pixels.

    What is broken, and colours that no ICC profile can say, are left out with a warning in the log: they could not be
    written again.

    Raises:
        DataError: The file cannot be read; see `images.read_image`.
    """
    data = read_bytes(path)
    return with_image(
        data,
        partial(_metadata, data=data, path=path),
        where=path,
        left_out=lambda kinds: logger.warning("%s: chunks of it are broken and are left out: %s", path, kinds),
    )


def _metadata(image: Image.Image, data: bytes, path: str | Path) -> ImageMetadata:
    orientation, _ = orientation_of(image)
    turned = orientation in (5, 6, 7, 8)
    # Pillow gives a TIFF's size turned already. Loading a TIFF drops its camera data: it is read before.
    exif = _exif(image, image.size if image.format == "TIFF" or not turned else image.size[::-1], path)
    load(image)
    info = image.info
    comment = info.get("comment", b"") if image.format in ("JPEG", "MPO") else b""
    return ImageMetadata(
        exif=exif,
        icc_profile=_profile(data, info.get("icc_profile") if image.mode in _RGB_MODES else None, path),
        dpi=_dpi(info.get("dpi"), turned),
        xmp=_without_orientation(info.get("xmp")),
        texts={**_texts(image), **({"comment": comment.decode("latin-1")} if comment else {})},
        iptc=_iptc(image),
        tiff_compression=info.get("compression") if image.format == "TIFF" else None,
    )


def _exif(image: Image.Image, size: tuple[int, int], path: str | Path) -> bytes:
    """The EXIF block of the upright picture, without what of it is broken; empty where there is none."""
    for directories in (True, False):
        try:
            tags = with_size(camera_tags(exif_of(image), directories=directories), size)
            return exif_block(of_photo(tags, directories=True) if image.format == "TIFF" else tags)
        except Exception as error:  # noqa: BLE001 - Pillow lets through whatever a broken block makes its parser run into
            if directories:
                logger.warning("%s: its camera data (EXIF) is broken and is left out: %s", path, error)
    return b""


def _profile(data: bytes, embedded: bytes | None, path: str | Path) -> bytes | None:
    try:
        return stated_profile(data, embedded)
    except ValueError as error:
        logger.warning("%s: what its colours are is left out, as no ICC profile can say it: %s", path, error)
        return embedded


def _iptc(image: Image.Image) -> bytes:
    if image.format == "TIFF":
        # The bytes as they are stored, as Pillow's own reader of IPTC takes them: many programs call them 32-bit words.
        stored: Any = image.tag_v2._tagdata  # type: ignore[attr-defined]
        return bytes(stored.get(_TIFF_IPTC, b""))
    found = image.info.get("photoshop", {}).get(_IPTC, b"")
    return found if isinstance(found, bytes) else b""


def _dpi(said: Any, turned: bool) -> tuple[float, float] | None:
    try:
        horizontal, vertical = (float(value) for value in said)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not (0 < horizontal < math.inf and 0 < vertical < math.inf):
        return None
    return (vertical, horizontal) if turned else (horizontal, vertical)


def _without_orientation(xmp: Any) -> bytes | None:
    """An XMP packet without the orientation, as attribute or element and with any prefix that the packet declares."""
    if not isinstance(xmp, bytes):
        return None
    name = b"(?:%s):Orientation" % b"|".join(map(re.escape, {b"tiff", *_TIFF_NAMESPACE.findall(xmp)}))
    value = rb"""\s*=\s*(?:"[^"]*"|'[^']*')"""
    return re.sub(rb"\b%s%s|<%s\b[^>]*(?:/>|>[^<]*</%s\s*>)" % (name, value, name, name), b"", xmp)


def _texts(image: Image.Image) -> dict[str, str]:
    # XMP is a text chunk too, and comes back by itself.
    texts = getattr(image, "text", {}) if image.format == "PNG" else {}
    return {key: str(text) for key, text in texts.items() if key != "XML:com.adobe.xmp" and "profile type" not in key}


def write_image_with_metadata(
    path: str | Path, image_rgb: np.ndarray, metadata: ImageMetadata, *, quality: int = 95
) -> None:
    """Write an image and what belongs to it, atomically.

    Args:
        path: Destination; its extension picks the format. PNG, BMP, PPM and TIFF keep every pixel.
        image_rgb: (H, W, 3) uint8 RGB.
        metadata: From `read_metadata`; what the format has no place for is left out, with a warning in the log where
            it is only too long for its place.
        quality: Of JPEG, WebP and AVIF, 1 to 100. JPEG halves the colours' resolution, as cameras do, below 95.

    Raises:
        ConfigError: The quality is out of range.
        DataError: The extension names no format, or one that has no room for so many rows or columns.
    """
    path = Path(path)
    if not 1 <= quality <= 100:
        raise ConfigError("There is no such quality.", where="quality", expected="1 to 100", got=str(quality))
    form = format_to_write(path, image_rgb.shape)
    buffer = BytesIO()
    Image.fromarray(image_rgb).save(buffer, form, **_options(form, metadata, quality, path))
    data = buffer.getvalue()
    write_bytes(path, with_directories(data, read_block(metadata.exif)) if form == "TIFF" else data)


def _options(form: str, metadata: ImageMetadata, quality: int, path: Path) -> dict[str, Any]:
    """Arguments of Pillow's writer of one format."""
    common: dict[str, Any] = {}
    if metadata.icc_profile and form not in ("BMP", "PPM"):
        common["icc_profile"] = metadata.icc_profile
    if metadata.dpi and form not in ("WEBP", "PPM", "AVIF"):
        common["dpi"] = metadata.dpi
    if form == "JPEG":
        subsampling = 0 if quality >= 95 else 2
        return {**common, **_segments(metadata, path), "quality": quality, "subsampling": subsampling}
    if metadata.exif and form in ("PNG", "WEBP", "AVIF"):
        common["exif"] = metadata.exif
    if metadata.xmp and form in ("WEBP", "AVIF"):
        common["xmp"] = metadata.xmp
    if form in ("WEBP", "AVIF"):
        return {**common, "quality": quality}
    if form == "TIFF":
        compression = metadata.tiff_compression
        blocks = {_TIFF_XMP: metadata.xmp, _TIFF_IPTC: metadata.iptc}
        common["tiffinfo"] = {
            **of_photo(read_block(metadata.exif)),
            **{tag: block for tag, block in blocks.items() if block},
        }
        return {**common, "compression": compression if compression in _LOSSLESS_TIFF else "tiff_adobe_deflate"}
    if form == "PNG":
        chunks = PngImagePlugin.PngInfo()
        for key, text in metadata.texts.items():
            chunks.add_itxt(key, text)
        if metadata.xmp:
            chunks.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode("utf-8", "replace"))
        return {**common, "pnginfo": chunks, "compress_level": 3}
    return common


def _segments(metadata: ImageMetadata, path: Path) -> dict[str, bytes]:
    """Arguments of Pillow's writer for the segments of a JPEG, each of which holds less than 64 kB."""
    iptc = metadata.iptc
    # An image resource's name is empty, and its content has an even length.
    resource = _RESOURCE + struct.pack(">HHI", _IPTC, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)
    contents = {
        "exif": ("EXIF", b"", metadata.exif),
        "xmp": ("XMP", _XMP_NAME, metadata.xmp or b""),
        "comment": ("comment", b"", metadata.texts.get("comment", "").encode("latin-1", "replace")),
        "extra": ("IPTC", _RESOURCES, resource if iptc else b""),
    }
    segments = {}
    for argument, (name, head, content) in contents.items():
        if len(head) + len(content) > _LONGEST_SEGMENT:
            logger.warning("%s: %s of %d bytes is left out: too long for a JPEG", path, name, len(content))
        elif content:
            segments[argument] = content
    if "extra" in segments:
        size = 2 + len(_RESOURCES) + len(resource)
        segments["extra"] = struct.pack(">HH", 0xFFED, size) + _RESOURCES + resource
    return segments
