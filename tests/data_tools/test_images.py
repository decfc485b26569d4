"""Every kind of image file comes back as upright 8-bit RGB, and a damaged one as an error."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.image_metadata import read_metadata, write_image_with_metadata
from duskbench.data_tools.image_opening import FORMAT_OF, read_header
from duskbench.data_tools.images import decode_image, image_size, read_image, write_image
from duskbench.data_tools.verify_image import check_image

RAMP = np.arange(40 * 100 * 3, dtype=np.uint32).reshape(40, 100, 3).astype(np.uint8)


def encode(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif"])
def test_lossless_round_trip(tmp_path: Path, ending: str) -> None:
    write_image(tmp_path / "deep" / f"a{ending}", RAMP)
    assert np.array_equal(read_image(tmp_path / "deep" / f"a{ending}"), RAMP)
    assert image_size(tmp_path / "deep" / f"a{ending}") == (100, 40)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == [f"a{ending}"]


@pytest.mark.parametrize(
    "name", ["a.jpg", "a.JPE", "a.jfi", "a.jpg_large", "a.avif", "a.webp", "a.ppm", "a.pgm", "a.dib", "a.apng"]
)
def test_extensions_of_phones_and_the_web(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / name, np.full((24, 32, 3), 90, np.uint8))
    assert np.abs(read_image(tmp_path / name).astype(int) - 90).max() <= 3
    metadata = read_metadata(tmp_path / name)
    write_image_with_metadata(tmp_path / f"again.{name}", read_image(tmp_path / name), metadata)
    forms = [read_header((tmp_path / file).read_bytes()).format for file in (name, f"again.{name}")]
    assert forms[0] == forms[1] == FORMAT_OF[Path(name).suffix.lower()]
    assert check_image(tmp_path / name).problems == ()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("form", "mode"),
    [("JPEG", "RGB"), ("PNG", "RGB"), ("TIFF", "RGB"), ("WEBP", "RGB"), ("AVIF", "RGB"), ("PNG", "I;16"),
     ("TIFF", "I;16")],
)  # fmt: skip
def test_every_format_has_one_size_in_every_orientation(tmp_path: Path, form: str, orientation: int, mode: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = RAMP[:, :, 0].astype(np.uint16) * 257 if mode == "I;16" else RAMP
    (tmp_path / "a").write_bytes(encode(Image.fromarray(pixels), form, exif=exif))
    upright = read_image(tmp_path / "a")
    width, height = (100, 40) if orientation < 5 else (40, 100)
    assert image_size(tmp_path / "a") == (width, height)
    assert check_image(tmp_path / "a").size == (width, height)
    assert read_header((tmp_path / "a").read_bytes()).orientation == orientation
    assert upright.shape == (height, width, 3)
    if form in ("PNG", "TIFF"):
        # Where the stored first row and first column are, of the upright picture. Source: Exif 2.32, table 4.
        first_row, first_column = [
            ("top", "left"), ("top", "right"), ("bottom", "right"), ("bottom", "left"),
            ("left", "top"), ("right", "top"), ("right", "bottom"), ("left", "bottom"),
        ][orientation - 1]  # fmt: skip
        stored = np.repeat(RAMP[:, :, :1], 3, axis=2) if mode == "I;16" else RAMP
        sides = {"top": upright[0], "bottom": upright[-1], "left": upright[:, 0], "right": upright[:, -1]}
        row, column = sides[first_row], sides[first_column]
        assert np.array_equal(row[::-1] if first_column in ("right", "bottom") else row, stored[0])
        assert np.array_equal(column[::-1] if first_row in ("right", "bottom") else column, stored[:, 0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "a.jpg").write_bytes(encode(Image.fromarray(RAMP), "JPEG", exif=exif, quality=95))
    upright = read_image(tmp_path / "a.jpg")
    assert upright.shape[:2] == ((40, 100) if orientation < 5 else (100, 40))
    assert image_size(tmp_path / "a.jpg") == upright.shape[1::-1]
    # OpenCV applies the tag too, by code of its own.
    assert np.array_equal(upright, cv2.imread(str(tmp_path / "a.jpg"))[:, :, ::-1])


@pytest.mark.parametrize(
    ("image", "form", "pixel"),
    [
        (Image.new("L", (4, 3), 77), "PNG", (77, 77, 77)),
        (Image.new("LA", (4, 3), (77, 10)), "PNG", (77, 77, 77)),
        (Image.new("RGBA", (4, 3), (1, 2, 3, 0)), "PNG", (1, 2, 3)),
        (Image.new("1", (4, 3), 1), "PNG", (255, 255, 255)),
        (Image.new("P", (4, 3), 0), "PNG", (0, 0, 0)),
        (Image.fromarray(np.full((3, 4), 0x8040, np.uint16)), "PNG", (128, 128, 128)),
        (Image.new("CMYK", (8, 8), (0, 0, 0, 255)), "JPEG", (0, 0, 0)),
    ],
)
def test_every_mode_becomes_rgb(image: Image.Image, form: str, pixel: tuple[int, int, int]) -> None:
    decoded = decode_image(encode(image, form))
    assert decoded.dtype == np.uint8
    assert decoded.shape == (image.height, image.width, 3)
    assert np.abs(decoded[0, 0].astype(int) - pixel).max() <= 1


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_truncated_file_is_an_error(tmp_path: Path, form: str, share: float) -> None:
    data = encode(Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)), form)
    path = tmp_path / "broken"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match="broken"):
        read_image(path)


NOISE = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"optimize": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("how", ["half is missing", "last tenth is missing", "a tenth is zero", "the end is zero"])
def test_a_jpeg_that_lacks_pixels_before_its_end_marker_is_an_error(
    tmp_path: Path, mode: str, options: dict[str, Any], how: str
) -> None:
    # As in a night photo, blocks take less than the bits that zeros are taken for.
    data = encode(Image.fromarray(NOISE // 12).convert(mode), "JPEG", quality=75, **options)
    scan = data.rindex(b"\xff\xda") + 14
    size = len(data) - scan
    broken = {
        "half is missing": data[: scan + size // 2] + b"\xff\xd9",
        "last tenth is missing": data[: scan + size * 9 // 10] + b"\xff\xd9",
        "the end is zero": data[: scan + size // 2] + bytes(9 * size),
        "a tenth is zero": data[: scan + size // 2] + bytes(size // 10) + data[scan + size // 2 + size // 10 :],
    }[how]
    with pytest.raises(DataError, match=r"(?s)a\.jpg.*truncated"):
        decode_image(broken, where="a.jpg")
    (tmp_path / "a.jpg").write_bytes(broken)
    assert [problem[:2] for problem in check_image(tmp_path / "a.jpg").problems] == [("error", "truncated-image")]


@pytest.mark.parametrize("behind", [b"", bytes(9), b"\xff\xd9", b"\xff\xd8\xff\xe0", NOISE.tobytes()[:99]])
@pytest.mark.parametrize("fill", [b"", b"\xff\xff"])
@pytest.mark.parametrize("pixels", [NOISE, NOISE[:1, :1], np.full((17, 33, 3), 128, np.uint8)])
@pytest.mark.parametrize("options", [
    {}, {"subsampling": 2}, {"optimize": True}, {"progressive": True}, {"restart_marker_rows": 1}, {"quality": 1},
    {"exif": b"Exif\0\0\xff\xd9\xff\xda", "comment": b"\xff\xd9"},
])  # fmt: skip
def test_a_whole_jpeg_is_read_whatever_lies_around_its_end(
    pixels: np.ndarray, options: dict[str, Any], fill: bytes, behind: bytes
) -> None:
    data = encode(Image.fromarray(pixels), "JPEG", **options)
    padded = data[:-2] + fill + data[-2:] + behind
    assert np.array_equal(decode_image(padded), np.asarray(Image.open(BytesIO(data))))


def test_missing_file_names_itself(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.png"):
        read_image(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match=r"nowhere\.png"):
        image_size(tmp_path / "nowhere.png")


@pytest.mark.parametrize("array", [RAMP[:, :, 0], RAMP.astype(np.float32), np.zeros((3, 4, 4), np.uint8), RAMP[:0]])
def test_only_images_are_written(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(DataError, match="uint8 RGB"):
        write_image(tmp_path / "a.png", array)
    assert not list(tmp_path.iterdir())


def test_unknown_ending_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="ending"):
        write_image(tmp_path / "a.xyz", RAMP)


def test_jpeg_decodes_as_opencv_does(shared: Path) -> None:
    files = sorted((shared / "data" / "exdark" / "ExDark").glob("*/*.jpg"))[:8]
    assert files
    for file in files:
        theirs = cv2.imread(str(file))[:, :, ::-1].astype(int)
        assert np.abs(read_image(file) - theirs).mean() < 0.5


# --- what white is ---------------------------------------------------------------------------------------------------


def tiff(
    samples: bytes, bits: int, kind: int, *, white_is_zero: bool = False, order: str = "<",
    compression: int = 1, more: Sequence[tuple[int, int, int]] = (),
) -> bytes:  # fmt: skip
    """A TIFF of 4 x 1 grey samples by the specification alone. Source: TIFF 6.0, sections 2, 4 and 19."""
    entries = [
        (256, 3, 4), (257, 3, 1), (258, 3, bits), (259, 3, compression), (262, 3, 0 if white_is_zero else 1),
        (273, 4, 8), (277, 3, 1), (278, 3, 1), (279, 4, len(samples)), (339, 3, kind), *more,
    ]  # fmt: skip
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(samples))
    directory = struct.pack(f"{order}H", len(entries))
    for tag, width, value in sorted(entries):
        # A short lies in the first two bytes of the four.
        shown = struct.pack(f"{order}HH", value, 0) if width == 3 else struct.pack(f"{order}I", value)
        directory += struct.pack(f"{order}HHI", tag, width, 1) + shown
    return head + samples + directory + bytes(4)


def plane_by_plane(planes: Sequence[bytes], width: int, bits: int) -> bytes:
    """A TIFF of one row of uncompressed RGB, one colour behind the other. Source: TIFF 6.0, section 6."""
    size = len(planes[0])
    # Behind the directory lie the lists that have no room in it: bits, offsets, sizes; then the pixels.
    lists = 8 + 2 + 12 * 10 + 4
    first = lists + 6 + 12 + 12
    entries = [
        (256, 3, 1, width), (257, 3, 1, 1), (258, 3, 3, lists), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 3, lists + 6),
        (277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 3, lists + 18), (284, 3, 1, 2),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *each) for each in entries) + bytes(4)
    behind = struct.pack("<3H3I3I", *[bits] * 3, *(first + size * n for n in range(3)), *[size] * 3)
    return b"II" + struct.pack("<HI", 42, 8) + directory + behind + b"".join(planes)


def test_planes_of_16_bits_are_no_noise() -> None:
    reds, greens, blues = (0, 128, 255, 7), (1, 2, 3, 4), (90, 80, 70, 60)
    eight = plane_by_plane([bytes(each) for each in (reds, greens, blues)], 4, 8)
    np.testing.assert_array_equal(decode_image(eight)[0].T, [reds, greens, blues])
    # Pillow takes the first half of each plane for the plane.
    sixteen = plane_by_plane([struct.pack("<4H", *(257 * n for n in each)) for each in (reds, greens, blues)], 4, 16)
    with pytest.raises(DataError, match="uncompressed planes of 16 bits"):
        decode_image(sixteen)


UNSIGNED, SIGNED, FLOAT = 1, 2, 3


@pytest.mark.parametrize(
    ("data", "levels"),
    [
        # A night photo: its largest sample is 255 of 65535, which is black and not white.
        (tiff(struct.pack("<4H", 0, 129, 255, 200), 16, UNSIGNED), [0, 1, 1, 1]),
        (tiff(struct.pack("<4H", 0, 257, 32896, 65535), 16, UNSIGNED), [0, 1, 128, 255]),
        (tiff(struct.pack(">4H", 0, 257, 32896, 65535), 16, UNSIGNED, order=">"), [0, 1, 128, 255]),
        (tiff(struct.pack("<4H", 0, 257, 32896, 65535), 16, UNSIGNED, white_is_zero=True), [255, 254, 127, 0]),
        (tiff(bytes((0, 1, 128, 255)), 8, UNSIGNED), [0, 1, 128, 255]),
        (tiff(bytes((0, 1, 128, 255)), 8, UNSIGNED, white_is_zero=True), [255, 254, 127, 0]),
        # 12 bits: 0x000 0x100 | 0x800 0xfff, two samples in three bytes.
        (tiff(bytes((0x00, 0x01, 0x00, 0x80, 0x0F, 0xFF)), 12, UNSIGNED), [0, 16, 128, 255]),
        (tiff(struct.pack("<4I", 0, 1 << 24, 1 << 31, 2**32 - 1), 32, UNSIGNED), [0, 1, 128, 255]),
        (tiff(struct.pack("<4f", 0, 0.004, 0.5, 1), 32, FLOAT), [0, 1, 128, 255]),
        (tiff(struct.pack(">4f", 0, 0.004, 0.2, 0.3), 32, FLOAT, order=">"), [0, 1, 51, 76]),
        # Compressed by zlib: Adobe's number for it, and libtiff's older one.
        *[
            (tiff(zlib.compress(struct.pack(f"{order}4f", 0, 0.004, 0.5, 1)), 32, FLOAT, order=order, compression=n),
             [0, 1, 128, 255])
            for order in "<>" for n in (8, 32946)
        ],
        (tiff(zlib.compress(struct.pack(">4H", 0, 257, 32896, 65535)), 16, UNSIGNED, order=">", compression=8),
         [0, 1, 128, 255]),
        (b"P5 4 1 65535\n" + struct.pack(">4H", 0, 257, 32896, 65535), [0, 1, 128, 255]),
        (b"P5 4 1 1000\n" + struct.pack(">4H", 0, 4, 500, 1000), [0, 1, 128, 255]),
        (b"P5 4 1 100\n" + bytes((0, 1, 50, 100)), [0, 3, 128, 255]),
        (encode(Image.fromarray(np.array([[0, 129, 255, 65535]], np.uint16)), "PNG"), [0, 1, 1, 255]),
        (encode(Image.fromarray(np.array([[0, 129, 255, 200]], np.uint16)), "PNG"), [0, 1, 1, 1]),
    ],
)  # fmt: skip
def test_white_follows_from_depth_and_format_and_not_from_the_content(data: bytes, levels: list[int]) -> None:
    decoded = decode_image(data)
    assert decoded.shape == (1, 4, 3)
    assert np.array_equal(decoded[:, :, 0], decoded[:, :, 2])
    assert decoded[0, :, 0].tolist() == pytest.approx(levels, abs=1 if b"P5" in data[:2] else 0)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (tiff(struct.pack("<4f", 0, 1, 128, 255), 32, FLOAT), "0 to 255"),
        (tiff(struct.pack("<4f", 0, 0.5, float("nan"), 1), 32, FLOAT), "nan"),
        (tiff(struct.pack("<4f", -0.1, 0.5, 0.5, 1), 32, FLOAT), "-0.1 to 1"),
        (tiff(bytes((0, 1, 127, 128)), 8, SIGNED), "signed integers"),
        (tiff(struct.pack("<4h", 0, 1, 128, 255), 16, SIGNED), "signed integers"),
        (tiff(struct.pack("<4i", 0, 1, 128, 255), 32, SIGNED), "signed integers"),
    ],
)
def test_samples_without_a_known_white_are_an_error(data: bytes, text: str) -> None:
    with pytest.raises(DataError, match=f"(?s)Nothing says what white is.*{text}.*save it with 8 or 16 bits"):
        decode_image(data)


# --- broken metadata does no harm ------------------------------------------------------------------------------------


def exif_block(*entries: tuple[int, int, int, bytes], orientation: int = 6, extra: bytes = b"") -> bytes:
    """An EXIF block by hand: entries are tag, type, count and four bytes; `extra` begins 8 + 2 + 12 n + 4 bytes in."""
    every = [(0x0112, 3, 1, struct.pack("<HH", orientation, 0)), *entries]
    directory = b"".join(struct.pack("<HHI", tag, kind, count) + value for tag, kind, count, value in sorted(every))
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(every)) + directory + bytes(4) + extra


RATIONAL, SIGNED_RATIONAL, TEXT = 5, 10, 2
BROKEN_EXIF = {
    "rational of negative parts": exif_block((0x011A, SIGNED_RATIONAL, 1, struct.pack("<I", 38)),
                                             extra=struct.pack("<ii", -1, -1)),
    "rational over nothing": exif_block((0x011A, RATIONAL, 1, struct.pack("<I", 38)), extra=bytes(8)),
    "rational that is a text": exif_block((0x011A, TEXT, 4, b"abc\0")),
    "value outside the block": exif_block((0x010F, TEXT, 99, struct.pack("<I", 1 << 30))),
    "sub-directory outside": exif_block((0x8769, 4, 1, struct.pack("<I", (1 << 31) - 1))),
    "sub-directory of texts": exif_block((0x8769, TEXT, 4, b"abcd")),
    "unknown type": exif_block((0x010F, 77, 1, bytes(4))),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")
@pytest.mark.parametrize("name", BROKEN_EXIF)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_with_broken_camera_data_is_read_upright(tmp_path: Path, name: str, form: str) -> None:
    whole = encode(Image.fromarray(RAMP), form, quality=95)
    block = BROKEN_EXIF[name]
    path = tmp_path / {"JPEG": "a.jpg", "PNG": "a.png", "WEBP": "a.webp"}[form]
    path.write_bytes(encode(Image.fromarray(RAMP), form, quality=95, exif=block))
    assert np.array_equal(read_image(path), np.rot90(decode_image(whole), -1))
    assert image_size(path) == (40, 100)
    check = check_image(path)
    assert check.size == (40, 100)
    assert "error" not in {severity for severity, _, _ in check.problems}
    write_image_with_metadata(tmp_path / f"again{path.suffix}", read_image(path), read_metadata(path))
    assert image_size(tmp_path / f"again{path.suffix}") == (40, 100)


@pytest.mark.parametrize("orientation", [0, 9, 99, 65535])
def test_an_orientation_that_does_not_exist_is_none(orientation: int) -> None:
    data = encode(Image.fromarray(RAMP), "JPEG", exif=exif_block(orientation=orientation))
    assert decode_image(data).shape == (40, 100, 3)
    assert read_header(data).orientation == 1


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_xmp_turns_no_picture(tmp_path: Path, form: str) -> None:
    """No browser nor OpenCV turns by it: boxes are drawn on the picture as it is stored."""
    xmp = '<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", xmp)
    options = {"PNG": {"pnginfo": texts}, "TIFF": {"tiffinfo": {700: xmp.encode()}}}.get(form, {"xmp": xmp.encode()})
    path = tmp_path / "a"
    path.write_bytes(encode(Image.fromarray(RAMP), form, **options))
    assert read_image(path).shape == (40, 100, 3)
    assert image_size(path) == (100, 40)
    assert check_image(path).problems[1:] == () and read_header(path.read_bytes()).orientation == 1
    assert b"Orientation" not in (read_metadata(path).xmp or b"no XMP: Orientation")


def test_exif_that_is_no_exif_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encode(Image.fromarray(RAMP), "JPEG", exif=b"Exif\0\0not a TIFF header"))
    assert read_image(tmp_path / "a.jpg").shape == (40, 100, 3)
    check = check_image(tmp_path / "a.jpg")
    assert [problem[:2] for problem in check.problems] == [("warning", "broken-exif")]
    assert read_metadata(tmp_path / "a.jpg").exif == b""


def chunk(kind: bytes, content: bytes, crc: int | None = None) -> bytes:
    right = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", right if crc is None else crc)


@pytest.mark.parametrize(
    "broken",
    [
        chunk(b"tEXt", b"Comment\0hello", crc=1),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3 << 20))),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(3 << 20))),
        chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(3 << 20))),
        chunk(b"zTXt", b"Comment\0\7nonsense"),
        chunk(b"pHYs", b""),
        chunk(b"gAMA", b"\0"),
    ],
)
@pytest.mark.parametrize("at", ["before the pixels", "behind the pixels"])
def test_a_png_with_broken_texts_is_read(tmp_path: Path, broken: bytes, at: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = encode(Image.fromarray(RAMP), "PNG", exif=exif)
    place = whole.index(b"IDAT") - 4 if at == "before the pixels" else whole.index(b"IEND") - 4
    (tmp_path / "a.png").write_bytes(whole[:place] + broken + whole[place:])
    assert np.array_equal(read_image(tmp_path / "a.png"), np.rot90(RAMP, -1))
    assert image_size(tmp_path / "a.png") == (40, 100)
    read_metadata(tmp_path / "a.png")


@pytest.mark.parametrize("broken", [(0x8769, 4, 0xFFFFFFF0), (0x8769, 4, 3), (0x8825, 4, 1 << 20), (0x8769, 3, 1)])
def test_a_tiff_with_broken_camera_data_is_read(broken: tuple[int, int, int]) -> None:
    data = tiff(bytes((0, 1, 128, 255)), 8, UNSIGNED, more=[(0x0112, 3, 6), broken])
    assert decode_image(data)[:, 0, 0].tolist() == [0, 1, 128, 255]
    assert read_header(data).size == (1, 4)


# --- limits, several pictures, other files ---------------------------------------------------------------------------


def claims(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(13000, 13000), (50000, 50000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, width: int, height: int) -> None:
    (tmp_path / "a.png").write_bytes(claims(width, height))
    for read in (read_image, image_size, read_metadata):
        with pytest.raises(DataError, match=f"(?s)too many pixels.*{width} x {height}.*DUSKBENCH_MAX_PIXELS"):
            read(tmp_path / "a.png")
    (problem,) = check_image(tmp_path / "a.png").problems
    assert problem[:2] == ("error", "unreadable-image")
    assert "too many pixels" in problem[2]


def test_the_limit_of_pixels_can_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(Image.new("1", (20000, 10000)), "PNG")
    with pytest.raises(DataError, match="200,000,000"):
        read_header(data)
    monkeypatch.setenv("DUSKBENCH_MAX_PIXELS", "200000000")
    assert read_header(data).size == (20000, 10000)
    monkeypatch.setenv("DUSKBENCH_MAX_PIXELS", "3999")
    with pytest.raises(DataError, match="at most 3,999"):
        decode_image(encode(Image.fromarray(RAMP), "PNG"))
    for wrong in ("many", "0", "-1", "²"):
        monkeypatch.setenv("DUSKBENCH_MAX_PIXELS", wrong)
        with pytest.raises(ConfigError, match="DUSKBENCH_MAX_PIXELS"):
            decode_image(encode(Image.fromarray(RAMP), "PNG"))
    assert Image.MAX_IMAGE_PIXELS is not None


@pytest.mark.parametrize("form", ["TIFF", "WEBP", "PNG", "AVIF"])
def test_several_pictures_in_a_file_are_refused_everywhere(tmp_path: Path, form: str) -> None:
    pages = [Image.new("RGB", (32, 32), (level, 0, 0)) for level in (10, 200)]
    path = tmp_path / "a"
    path.write_bytes(encode(pages[0], form, save_all=True, append_images=pages[1:]))
    for read in (read_image, image_size, read_metadata):
        with pytest.raises(DataError, match=r"(?s)several pictures.*2 \(an animation or pages\)"):
            read(path)
    assert [problem[:2] for problem in check_image(path).problems] == [("error", "unreadable-image")]


@pytest.mark.parametrize(
    "picture",
    [
        b"P4 10 2\n" + bytes(4), b"P5 3 2 255\n" + bytes(6), b"P5 3 2 15\n" + bytes(6), b"P5 3 2 1023\n" + bytes(12),
        b"P5 3 2 65535\n" + bytes(12), b"P6 3 2 255\n" + bytes(18), b"P6 3 2 1023\n" + bytes(36),
        b"P6 3 2 65535\n" + bytes(36),
    ],
)  # fmt: skip
def test_several_ppm_pictures_in_a_file_are_refused(tmp_path: Path, picture: bytes) -> None:
    """They stand one behind the other, which Pillow does not look for."""
    path = tmp_path / "a.pnm"
    for whole in (picture, picture + b"\n", picture + bytes(3)):
        path.write_bytes(whole)
        assert check_image(path).problems == ()
    path.write_bytes(picture * 2)
    for read in (read_image, image_size, read_metadata):
        with pytest.raises(DataError, match="several pictures"):
            read(path)


@pytest.mark.parametrize(("picture", "level"), [(b"P1 2 1\n0 0", 255), (b"P2 2 1 255\n80 80", 80)])
def test_pnm_pictures_of_text_are_read(tmp_path: Path, picture: bytes, level: int) -> None:
    (tmp_path / "a.pnm").write_bytes(picture + b"\n")
    assert read_image(tmp_path / "a.pnm").tolist() == [[[level] * 3] * 2]


def test_a_phones_photo_with_smaller_versions_is_one_picture(tmp_path: Path) -> None:
    large, small = Image.new("RGB", (64, 48), (90, 90, 90)), Image.new("RGB", (32, 24), (90, 90, 90))
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(large, "MPO", save_all=True, append_images=[small]))
    assert read_image(path).shape == (48, 64, 3)
    assert check_image(path).problems == ()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>Sign in", "(?s)a web page.*fetch it again"),
        (b"\xef\xbb\xbf\n <HTML><body>404", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (bytes(4) + b"ftypheic" + bytes(40), "(?s)HEIC.*pillow-heif"),
        (b"DDS " + bytes(200), "a DDS texture"),
        (encode(Image.new("P", (4, 4)), "GIF"), "a GIF image"),
        (encode(Image.new("RGB", (4, 4)), "TGA"), "not an image of a format that is read"),
        (encode(Image.new("RGB", (64, 64)), "AVIF")[:-30], "Cannot decode"),
        (encode(Image.new("RGB", (64, 64)), "JPEG")[:20], "Cannot open"),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(DataError, match=text):
        read_image(tmp_path / "a.jpg")
    assert [problem[0] for problem in check_image(tmp_path / "a.jpg").problems if problem[0] == "error"] == ["error"]


# --- anything else ---------------------------------------------------------------------------------------------------


def whole_files() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769).update({0x829A: 0.5, 0xA002: 17, 0x927C: b"maker's own"})
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", "x" * 30, zip=True)
    texts.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="3"/>')
    picture = Image.fromarray(RAMP[:12, :17])
    options: list[tuple[str, dict[str, Any]]] = [
        ("JPEG", {"exif": exif, "dpi": (300, 200)}),
        ("PNG", {"exif": exif, "pnginfo": texts, "icc_profile": b"x" * 40}),
        ("TIFF", {"exif": exif}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"exif": exif}), ("BMP", {}),
        ("PPM", {}), ("AVIF", {"exif": exif}),
    ]  # fmt: skip
    grey = Image.fromarray(RAMP[:12, :17, 0].astype(np.uint16) * 200)
    return [*(encode(picture, form, **more) for form, more in options), encode(grey, "PNG"), encode(grey, "TIFF")]


WHOLE = whole_files()
change = st.tuples(
    st.integers(0, 400), st.sampled_from(["set", "drop", "add", "end"]), st.binary(min_size=1, max_size=4)
)


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(WHOLE[0], [(20, "set", b"\xff\xff\xff\xff")])
@given(st.sampled_from(WHOLE), st.lists(change, min_size=1, max_size=6))
def test_a_damaged_file_is_an_image_or_an_error_that_is_documented(
    tmp_path: Path, whole: bytes, changes: list[tuple[int, str, bytes]]
) -> None:
    data = whole
    for place, how, value in changes:
        before = data[:place]
        data = {
            "set": before + value + data[place + len(value) :],
            "drop": before + data[place + len(value) :],
            "add": before + value + data[place:],
            "end": before,
        }[how]
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    image, header = _or_none(lambda: decode_image(data)), _or_none(lambda: read_header(data))
    metadata, size = _or_none(lambda: read_metadata(path)), _or_none(lambda: image_size(path))
    problems = [problem for problem in _or_none(lambda: check_image(path)).problems if problem[0] == "error"]
    assert bool(problems) == (image is None)
    if image is not None:
        assert (image.dtype, image.ndim, image.shape[2]) == (np.uint8, 3, 3)
        assert header is not None and metadata is not None
        assert header.size == size == image.shape[1::-1]
        write_image_with_metadata(tmp_path / "again.jpg", image, metadata)


def _or_none(work: Callable[[], Any]) -> Any:
    with warnings.catch_warnings(action="ignore"):
        try:
            return work()
        except DataError:
            return None
