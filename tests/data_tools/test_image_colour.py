"""Colours that a file states by numbers look the same in what is made of it."""

from __future__ import annotations

import logging
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.icc_profile import rgb_profile
from duskbench.data_tools.image_metadata import read_metadata, write_image_with_metadata
from duskbench.data_tools.images import decode_image, read_image
from duskbench.data_tools.verify_image import check_image

SRGB = ImageCms.createProfile("sRGB")
# Display P3's and sRGB's, as a PNG has them: white, red, green, blue in hundred thousandths.
P3 = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


def chunk(kind: bytes, content: bytes, *, crc: int = 0) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content) ^ crc)


def png(pixel: tuple[int, ...], *chunks: bytes, mode: str = "RGB") -> bytes:
    buffer = BytesIO()
    Image.new(mode, (16, 16), pixel if mode == "RGB" else pixel[0]).save(buffer, "PNG")
    return buffer.getvalue()[:33] + b"".join(chunks) + buffer.getvalue()[33:]


def avif(pixel: tuple[int, ...], primaries: int, transfer: int) -> bytes:
    """Pillow writes sRGB's code points into the box `colr`."""
    buffer = BytesIO()
    Image.new("RGB", (16, 16), pixel).save(buffer, "AVIF", quality=100, subsampling="4:4:4")
    said = b"colrnclx" + struct.pack(">HH", 1, 13)
    assert buffer.getvalue().count(said) == 1
    return buffer.getvalue().replace(said, b"colrnclx" + struct.pack(">HH", primaries, transfer))


def shown(path: Path) -> list[int]:
    """The first pixel on an sRGB screen, by LittleCMS."""
    with Image.open(path) as image:
        profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        on_screen = ImageCms.profileToProfile(image.convert("RGB"), profile, SRGB)
        return np.asarray(on_screen)[0, 0].tolist()  # type: ignore[no-any-return]


def through(tmp_path: Path, data: bytes, suffix: str) -> Path:
    (tmp_path / "in").write_bytes(data)
    out = tmp_path / f"out{suffix}"
    write_image_with_metadata(out, read_image(tmp_path / "in"), read_metadata(tmp_path / "in"), quality=100)
    return out


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".avif"])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        # Web platform tests, css-color display-p3-001: color(display-p3 0.26374 0.59085 0.16434) is #009900.
        (png((67, 151, 42), chunk(b"cICP", bytes((12, 13, 0, 1)))), (0, 153, 0)),
        (avif((67, 151, 42), 12, 13), (0, 153, 0)),
        (png((67, 151, 42), chunk(b"gAMA", struct.pack(">I", 45455)), chunk(b"cHRM", struct.pack(">8I", *P3))),
         (0, 153, 0)),
        # CSS Color 4, with BT.2020's own curve: color(rec2020 0.299218 0.533327 0.120785) is #009900.
        (avif((76, 136, 31), 9, 14), (0, 153, 0)),
        # A linear sample of 55 / 255 is 0.5022 by sRGB's curve.
        (png((55, 55, 55), chunk(b"gAMA", struct.pack(">I", 100000))), (128, 128, 128)),
        (png((55,), chunk(b"gAMA", struct.pack(">I", 100000)), mode="L"), (128, 128, 128)),
        (png((10, 100, 200), chunk(b"sRGB", b"\0")), (10, 100, 200)),
        # The first that counts: cICP, then sRGB.
        (png((10, 100, 200), chunk(b"cICP", bytes((1, 13, 0, 1))), chunk(b"gAMA", struct.pack(">I", 100000))),
         (10, 100, 200)),
        (png((10, 100, 200), chunk(b"gAMA", struct.pack(">I", 100000)), chunk(b"sRGB", b"\0")), (10, 100, 200)),
    ],
)  # fmt: skip
def test_stated_colours_look_the_same_in_every_format(
    tmp_path: Path, data: bytes, expected: tuple[int, ...], suffix: str
) -> None:
    # JPEG, WebP and AVIF change the samples themselves by a level or two.
    tolerance = 2 if suffix in (".png", ".tif") and data.startswith(b"\x89PNG") else 6
    assert shown(through(tmp_path, data, suffix)) == pytest.approx(expected, abs=tolerance)


def test_a_profile_counts_before_chunks_and_code_points_but_cicp_before_it(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(SRGB).tobytes()
    embedded = chunk(b"iCCP", b"a\0\0" + zlib.compress(profile))
    linear, p3 = chunk(b"gAMA", struct.pack(">I", 100000)), chunk(b"cICP", bytes((12, 13, 0, 1)))
    with Image.open(through(tmp_path, png((1, 2, 3), embedded, linear), ".png")) as image:
        assert image.info["icc_profile"] == profile
    assert shown(through(tmp_path, png((67, 151, 42), p3, embedded), ".png")) == pytest.approx([0, 153, 0], abs=2)


@pytest.mark.parametrize(
    "data",
    [
        png((9, 9, 9)), png((9, 9, 9), chunk(b"gAMA", struct.pack(">I", 0))), avif((9, 9, 9), 2, 2),
        png((9, 9, 9), chunk(b"cHRM", bytes(32))), png((9, 9, 9), chunk(b"cICP", bytes((99, 13, 0, 1)))),
        png((9, 9, 9), chunk(b"cHRM", struct.pack(">8I", *(3 * P3[:2] + (32000, 33000))))),
    ],
)  # fmt: skip
def test_colours_that_are_not_stated_or_mean_nothing_are_left_out(tmp_path: Path, data: bytes) -> None:
    with Image.open(through(tmp_path, data, ".png")) as image:
        assert "icc_profile" not in image.info


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_pictures_of_high_dynamic_range_are_refused(tmp_path: Path, transfer: int, name: str) -> None:
    for data in (png((9, 9, 9), chunk(b"cICP", bytes((9, transfer, 0, 1)))), avif((9, 9, 9), 9, transfer)):
        with pytest.raises(DataError, match=f"(?s)High dynamic range.*transfer characteristic {name}.*map its tones"):
            decode_image(data)
        (tmp_path / "a").write_bytes(data)
        assert ("error", "unreadable-image") in {problem[:2] for problem in check_image(tmp_path / "a").problems}


@pytest.mark.parametrize("kind", [b"tEXt", b"iTXt", b"gAMA"])
def test_a_broken_chunk_of_a_png_takes_no_whole_one_with_it(
    tmp_path: Path, kind: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    profile = rgb_profile((0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329), (2.2,))
    whole = (
        chunk(b"iCCP", b"a\0\0" + zlib.compress(profile)),
        chunk(b"pHYs", struct.pack(">IIB", 11811, 7874, 1)),
        chunk(b"tEXt", b"Author\0Somebody"),
    )
    with caplog.at_level(logging.WARNING):
        out = through(tmp_path, png((1, 2, 3), chunk(kind, b"Comment\0hello", crc=1), *whole), ".png")
    with Image.open(out) as image:
        assert image.info["icc_profile"] == profile
        assert image.info["dpi"] == pytest.approx((300, 200), abs=0.1)
        assert image.info["Author"] == "Somebody"
    assert f"chunks of it are broken and are left out: {kind.decode()}" in caplog.text


def test_a_text_that_is_a_bomb_takes_no_profile_with_it(tmp_path: Path) -> None:
    profile = rgb_profile((0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329), (2.2,))
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3 << 20)))
    out = through(tmp_path, png((1, 2, 3), chunk(b"iCCP", b"a\0\0" + zlib.compress(profile)), bomb), ".png")
    with Image.open(out) as image:
        assert image.info["icc_profile"] == profile
