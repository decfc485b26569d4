"""Image files opened with Pillow: which formats, up to which size, and what their headers say."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypeVar

from PIL import Image, TiffTags, UnidentifiedImageError

from duskbench.data_tools.errors import ConfigError, DataError, DuskbenchError
from duskbench.data_tools.file_kinds import HEAD, kind_of, remedy
from duskbench.data_tools.file_states import hint_at_others
from duskbench.data_tools.files import open_file
from duskbench.data_tools.png_chunks import may_hold_exif, pared

# Every format that is opened, as Pillow calls it, with the extensions of its files. Pillow knows many more; most of
# their readers are written in Python, slow and seldom tested with hostile files.
FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".jpg_large"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "AVIF": (".avif",),
}
FORMAT_OF: dict[str, str] = {suffix: form for form, suffixes in FORMATS.items() for suffix in suffixes}
IMAGE_SUFFIXES: frozenset[str] = frozenset(FORMAT_OF)

# Most pixels of a side, where a format has a limit that pictures meet. Source: libjpeg's JPEG_MAX_DIMENSION, RFC 9649
# section 2.6 (14 bits), AV1 section 5.5.1 (16 bits).
LARGEST_SIDE: dict[str, int] = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 65_536}

# 128 million pixels are 384 MB of RGB, and more than all but a few cameras take. A PNG of one colour claims as many in
# 400 kB.
MAX_PIXELS = 128_000_000
MAX_PIXELS_VARIABLE = "DUSKBENCH_MAX_PIXELS"

ORIENTATION = 0x0112
_TURNED_TWICE = ("libtiff", "F;32BF")
_XMP = ("xmp", "XML:com.adobe.xmp")
_OPENING = threading.Lock()
_READ_KINDS = frozenset({
    "a JPEG image", "a PNG image", "a BMP image", "a TIFF image", "a WebP image", "a PPM image", "an AVIF image",
})  # fmt: skip
_ADVICE = {
    "a HEIC image": "convert it to JPEG or PNG, with pillow-heif or another program",
    "a HEIF image": "convert it to JPEG or PNG, with pillow-heif or another program",
    "a camera's raw photo": "develop it to TIFF or JPEG",
}
T = TypeVar("T")

# Pillow warns of camera data that it cannot read; `verify` names it, and the pixels do not need it.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


class DamagedImageError(DataError):
    """An image file of a known format cannot be decoded."""


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says before its pixels are decoded.

    Attributes:
        format: As Pillow calls it: a key of `FORMATS`, or `MPO` (a phone's JPEG with smaller versions behind it).
        size: Width and height of the upright picture.
        orientation: EXIF orientation, 1 to 8; 1 where there is none or it cannot be read.
        broken_exif: Why the EXIF data cannot be read, or None.
    """

    format: str
    size: tuple[int, int]
    orientation: int
    broken_exif: str | None


def is_image_file(path: Path) -> bool:
    """Tell by the extension, in any case, whether a path names an image file that `read_image` can read."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def format_to_write(path: Path, size: tuple[int, ...]) -> str:
    """The format that a file name asks for, a key of `FORMATS`, for a picture of `size`: height and width.

    Raises:
        DataError: The extension names no format, or one that has no room for so many rows or columns.
    """
    form = FORMAT_OF.get(path.suffix.lower())
    if form is None:
        raise DataError(
            "Cannot tell the image format from the file name.",
            where=path,
            expected=f"an extension of {', '.join(sorted(FORMAT_OF))}",
            got=repr(path.suffix),
        )
    most = LARGEST_SIDE.get(form)
    if most is not None and max(size[:2]) > most:
        raise DataError(
            "The picture is too large for its format.",
            where=path,
            expected=f"at most {most:,} rows and columns in {form}",
            got=f"{size[1]} x {size[0]}",
            todo="give a name that ends in .png",
        )
    return form


def max_pixels() -> int:
    """Most pixels that an image may have: `$DUSKBENCH_MAX_PIXELS`, else `MAX_PIXELS`.

    Raises:
        ConfigError: The variable is no positive number.
    """
    said = os.environ.get(MAX_PIXELS_VARIABLE, "")
    if said and (not said.isascii() or not said.isdigit() or int(said) == 0):
        raise ConfigError("Not a number of pixels.", where=f"${MAX_PIXELS_VARIABLE}", expected="1 or more", got=said)
    return int(said) if said else MAX_PIXELS


def read_header(data: bytes, *, where: str | Path = "bytes") -> ImageHeader:
    """Read what the bytes of an image file say before the pixels.

    Raises:
        DataError: As `read_image`, but for what only decoding shows.
    """
    return with_image(data, _header, where=where)


def image_size(path: str | Path) -> tuple[int, int]:
    """Width and height of an image file as `read_image` would return it, from its header alone.

    Raises:
        DataError: As `read_image`, but for what only decoding shows.
    """
    try:
        with open_file(path) as file, _opened(file, path) as image:
            return _header(image).size
    except DamagedImageError:
        return read_header(read_bytes(path), where=path).size
    except OSError as error:
        raise _unreadable(path, error) from error


def with_image(
    data: bytes,
    work: Callable[[Image.Image], T],
    *,
    where: str | Path = "bytes",
    left_out: Callable[[str], None] = lambda kinds: None,
) -> T:
    """Open an image with Pillow and return what `work` makes of it; whatever Pillow raises becomes a `DataError`.

    A PNG whose text or colour chunks are broken is opened without them; `left_out` is told their kinds.
    """
    try:
        with _opened(BytesIO(data), where) as image:
            return work(image)
    except DamagedImageError as error:
        for rest, missing in pared(data):
            with suppress(DamagedImageError), _opened(BytesIO(rest), where) as image:
                result = work(image)
                left_out(missing)
                return result
        raise error


def load(image: Image.Image) -> None:
    """Decode the pixels of an image that Pillow opened, whatever state its EXIF data is in."""
    if image.format == "TIFF":
        # Pillow parses a TIFF's EXIF and GPS data after its pixels, and fails where they are broken.
        exif = exif_of(image)
        for tag in TiffTags.TAGS_V2_GROUPS:
            exif.pop(tag, None)
        opened: Any = image
        # What is compressed comes from libtiff in the machine's byte order; Pillow would turn floats round once more.
        opened.tile = [
            tile._replace(args=("F;32NF", *tile.args[1:])) if (tile.codec_name, tile.args[0]) == _TURNED_TWICE else tile
            for tile in opened.tile
        ]
    image.load()


def exif_of(image: Image.Image) -> Image.Exif:
    """EXIF data of an image that Pillow opened; what is broken raises whatever Pillow's parser runs into.

    Where EXIF has no orientation, Pillow takes the one that XMP states; by that no browser turns a picture, nor OpenCV.
    """
    if image.format == "PNG" and "exif" not in image.info:
        # Both can lie behind the pixels.
        image.load()
    xmp = {key: image.info.pop(key) for key in _XMP if key in image.info}
    try:
        return image.getexif()
    finally:
        image.info.update(xmp)


def orientation_of(image: Image.Image) -> tuple[int, str | None]:
    """EXIF orientation, 1 to 8, and why the EXIF data cannot be read, or None.

    Pillow turns a TIFF as it loads it, and says 1 from then on.
    """
    try:
        exif = exif_of(image)
        value = exif.get(ORIENTATION, 1)
    except Exception as error:  # noqa: BLE001 - see _opened
        return 1, f"{type(error).__name__}: {error}"
    # Pillow forgets why a block cannot be read once it has looked into it for the resolution.
    unread = "nothing in it can be read" if not exif and image.info.get("exif") else None
    return (int(value) if value in range(1, 9) else 1), unread


@contextmanager
def _opened(file: IO[bytes], where: str | Path) -> Iterator[Image.Image]:
    try:
        with _OPENING:
            # Pillow's own limit is one for the whole process and no error below its double; ours is checked below.
            usual, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(file, formats=tuple(FORMATS))
            finally:
                Image.MAX_IMAGE_PIXELS = usual
        with image:
            _check(image, where)
            yield image
    except DuskbenchError:
        raise
    except Exception as error:  # Pillow lets through what its readers run into: struct.error, TypeError, ...
        raise _undecodable(file, where, error) from error


def _check(image: Image.Image, where: str | Path) -> None:
    width, height = image.size
    most = max_pixels()
    if width * height > most:
        raise DataError(
            "The image has too many pixels.",
            where=where,
            expected=f"at most {most:,}",
            got=f"{width} x {height} = {width * height:,}",
            todo=f"scale it down; if it is meant, set the environment variable {MAX_PIXELS_VARIABLE}: each pixel takes "
            "3 bytes, and enhancers many more",
        )
    # A phone's MPO is a JPEG followed by smaller versions of itself.
    if (getattr(image, "is_animated", False) and image.format != "MPO") or _another_follows(image):
        raise DataError(
            "The file holds several pictures.",
            where=where,
            expected="one picture a file",
            got=f"{getattr(image, 'n_frames', 'several')} (an animation or pages)",
            todo="save each as a file of its own",
        )


def _another_follows(image: Image.Image) -> bool:
    """Whether a PPM's picture has another one behind it, which Pillow does not look for.

    Source: netpbm's pages ppm(5), pgm(5), pbm(5): files with text samples hold one picture only.
    """
    opened: Any = image
    if image.format != "PPM":
        return False
    decoder, _, start, args = opened.tile[0]
    if decoder == "ppm_plain":
        return False
    white = args[1] if decoder == "ppm" else 65535 if image.mode == "I" else 255
    bits = {"1": 1, "F": 32}.get(image.mode, 8 if white < 256 else 16)
    width, height = image.size
    opened.fp.seek(start + height * ((width * bits * len(image.getbands()) + 7) // 8))
    return kind_of(opened.fp.read(HEAD).lstrip()) == "a PPM image"


def _undecodable(file: IO[bytes], where: str | Path, error: Exception) -> DataError:
    if isinstance(error, OSError) and error.errno is not None:
        return _unreadable(where, error)
    n_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(HEAD)
    kind = kind_of(head)
    if kind not in _READ_KINDS and (kind is not None or isinstance(error, UnidentifiedImageError)):
        return DataError(
            "The file is not an image of a format that is read.",
            where=where,
            expected=", ".join(FORMATS),
            got=kind or f"{n_bytes} bytes that begin with {head[:12]!r}",
            todo=remedy(kind) or _ADVICE.get(kind or "", "convert it to PNG or JPEG, or fetch it again"),
        )
    if isinstance(error, UnidentifiedImageError):
        return DamagedImageError(
            "Cannot open the image.",
            where=where,
            expected="samples of 8 or 16 bits, or one float channel",
            got=f"{kind} of {n_bytes} bytes, whose samples are of another kind or whose header is damaged",
            todo="save it as 8- or 16-bit PNG or TIFF; or fetch it again if other programs cannot open it either",
        )
    return DamagedImageError(
        "Cannot decode the image.",
        where=where,
        expected="a complete image file",
        got=f"{n_bytes} bytes; {type(error).__name__}: {error}"[:300],
        todo="fetch the file again; `duskbench data verify` lists every damaged file of a tree",
    )


def _unreadable(where: str | Path, error: OSError) -> DataError:
    todo = hint_at_others(where) if isinstance(error, FileNotFoundError) else None
    return DataError("Cannot read the image file.", where=where, got=error.strerror or str(error), todo=todo)


def read_bytes(path: str | Path) -> bytes:
    """Read an image file's bytes.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with open_file(path) as file:
            return file.read()
    except OSError as error:
        raise _unreadable(path, error) from error


def _header(image: Image.Image) -> ImageHeader:
    orientation, broken = orientation_of(image) if _may_have_exif(image) else (1, None)
    tags: Any = getattr(image, "tag_v2", {})
    # Pillow gives a TIFF's size turned already.
    width, height = (int(tags[256]), int(tags[257])) if image.format == "TIFF" else image.size
    return ImageHeader(
        str(image.format), (height, width) if orientation in (5, 6, 7, 8) else (width, height), orientation, broken
    )


def _may_have_exif(image: Image.Image) -> bool:
    """Pillow decodes a whole PNG to look for EXIF data behind the pixels; it is asked only where there may be some."""
    file: Any = getattr(image, "fp", None)
    return image.format != "PNG" or file is None or may_hold_exif(file)
