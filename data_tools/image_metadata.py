"""Write a changed picture as the file it came from was: its format, colour profile, camera data and resolution."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.files import write_bytes

_FORMATS = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP",
    ".ppm": "PPM",
}  # fmt: skip
# An ICC profile is for the channels it was made for; these stay the same ones when a file is read as RGB.
_RGB_MODES = frozenset({"RGB", "RGBA", "RGBX", "P", "PA"})
_LOSSLESS_TIFF = frozenset({"raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits"})
# Baseline TIFF 6.0 tags about the photo and not about its storage; 700 is XMP.
_TIFF_TAGS = (269, 270, 271, 272, 305, 306, 315, 316, 33432, 700)
_EXIF_IFD, _EXIF_WIDTH, _EXIF_HEIGHT = 0x8769, 0xA002, 0xA003


@dataclass(frozen=True)
class ImageMetadata:
    """What an image file holds besides its pixels, for the picture as `read_image` returns it.

    Attributes:
        exif: EXIF block without an orientation, because the picture is upright; empty where there is none.
        icc_profile: Of RGB files; None elsewhere, because the picture is RGB now.
        dpi: Horizontal and vertical, of the upright picture.
        xmp: XMP packet without an orientation.
        texts: Text chunks of a PNG, comment of a JPEG under "comment".
        tiff_tags: Tag -> value of a TIFF's description of the photo.
        tiff_compression: As Pillow calls it.
    """

    exif: bytes = b""
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    xmp: bytes | None = None
    texts: dict[str, str] = field(default_factory=dict)
    tiff_tags: dict[int, Any] = field(default_factory=dict)
    tiff_compression: str | None = None


def read_metadata(path: str | Path) -> ImageMetadata:
    """Read what an image file holds besides its pixels.

    Raises:
        DataError: The file cannot be read, or holds several pictures (an animation, pages), of which `read_image` would
            take the first alone.
    """
    try:
        with Image.open(path) as image:
            # A phone's MPO is a JPEG followed by smaller versions of itself.
            count = getattr(image, "n_frames", 1)
            if image.format != "MPO" and count > 1:
                raise DataError(
                    "The file holds several pictures.", where=path, expected="one", got=str(count),
                    todo="split it",
                )  # fmt: skip
            image.load()
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            upright = ImageOps.exif_transpose(image)
            info, exif = upright.info, upright.getexif()
            exif.pop(0x0112, None)
            sizes = exif.get_ifd(_EXIF_IFD) if exif else {}
            for tag, value in ((_EXIF_WIDTH, upright.width), (_EXIF_HEIGHT, upright.height)):
                if tag in sizes:
                    sizes[tag] = value
            tags: Any = getattr(image, "tag_v2", {})
            comment = info.get("comment", b"") if image.format in ("JPEG", "MPO") else b""
            dpi = info.get("dpi")
            return ImageMetadata(
                exif=exif.tobytes() if exif and image.format != "TIFF" else b"",
                icc_profile=info.get("icc_profile") if image.mode in _RGB_MODES else None,
                dpi=(float(dpi[turned]), float(dpi[not turned])) if dpi else None,
                xmp=info.get("xmp"),
                texts={**_texts(image), **({"comment": comment.decode("latin-1")} if comment else {})},
                tiff_tags={tag: tags[tag] for tag in _TIFF_TAGS if tag in tags},
                tiff_compression=info.get("compression") if image.format == "TIFF" else None,
            )
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError("Cannot read what the image file holds.", where=path, got=str(error)) from error


def _texts(image: Image.Image) -> dict[str, str]:
    # XMP is a text chunk too, and comes back by itself.
    texts = getattr(image, "text", {}) if image.format == "PNG" else {}
    return {key: str(text) for key, text in texts.items() if key != "XML:com.adobe.xmp" and "profile type" not in key}


def write_image_with_metadata(
    path: str | Path, image_rgb: np.ndarray, metadata: ImageMetadata, *, quality: int = 95
) -> None:
    """Write an image and what belongs to it, atomically.

    Args:
        path: Destination; its ending picks the format. PNG, BMP, PPM and TIFF keep every pixel.
        image_rgb: (H, W, 3) uint8 RGB.
        metadata: From `read_metadata`; what the format has no place for is left out.
        quality: Of JPEG and WebP, 1 to 100. JPEG halves the colours' resolution, as cameras do, below 95.

    Raises:
        ConfigError: The quality is out of range.
        DataError: The ending names no format.
    """
    path = Path(path)
    form = _FORMATS.get(path.suffix.lower())
    if not 1 <= quality <= 100:
        raise ConfigError("There is no such quality.", where="quality", expected="1 to 100", got=str(quality))
    if form is None:
        raise DataError(
            "Cannot tell the image format from the file name.",
            where=path,
            expected=f"an ending of {', '.join(sorted(_FORMATS))}",
            got=repr(path.suffix),
        )
    buffer = BytesIO()
    Image.fromarray(image_rgb).save(buffer, form, **_options(form, metadata, quality))
    write_bytes(path, buffer.getvalue())


def _options(form: str, metadata: ImageMetadata, quality: int) -> dict[str, Any]:
    """Arguments of Pillow's writer of one format."""
    common: dict[str, Any] = {}
    if metadata.icc_profile and form not in ("BMP", "PPM"):
        common["icc_profile"] = metadata.icc_profile
    if metadata.dpi and form not in ("WEBP", "PPM"):
        common["dpi"] = metadata.dpi
    if metadata.exif and form in ("JPEG", "PNG", "WEBP"):
        common["exif"] = metadata.exif
    if metadata.xmp and form in ("JPEG", "WEBP"):
        common["xmp"] = metadata.xmp
    if form == "JPEG":
        comment = metadata.texts.get("comment")
        return {
            **common,
            "quality": quality,
            "subsampling": 0 if quality >= 95 else 2,
            **({"comment": comment.encode("latin-1", "replace")} if comment else {}),
        }
    if form == "WEBP":
        return {**common, "quality": quality}
    if form == "TIFF":
        compression = metadata.tiff_compression
        common["tiffinfo"] = metadata.tiff_tags
        return {**common, "compression": compression if compression in _LOSSLESS_TIFF else "tiff_adobe_deflate"}
    if form == "PNG":
        chunks = PngImagePlugin.PngInfo()
        for key, text in metadata.texts.items():
            chunks.add_itxt(key, text)
        if metadata.xmp:
            chunks.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode("utf-8", "replace"))
        return {**common, "pnginfo": chunks, "compress_level": 3}
    return common
