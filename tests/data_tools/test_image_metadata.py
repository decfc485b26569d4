"""A changed picture is written as the file it came from was."""

from __future__ import annotations

import struct
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, IptcImagePlugin, PngImagePlugin

from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.image_metadata import ImageMetadata, read_metadata, write_image_with_metadata
from duskbench.data_tools.images import read_image, write_image

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'


def photo(path: Path, orientation: int = 1, mode: str = "RGB", **options: Any) -> Path:
    """24 wide and 16 high as it is stored, with a camera's data."""
    exif = Image.Exif()
    exif[0x0110] = "Night Camera"
    exif[0x0112] = orientation
    exif.get_ifd(0x8769).update({0x829A: 0.5, 0xA002: 24, 0xA003: 16, 0x927C: b"maker's own"})
    exif.get_ifd(0x8825)[1] = "N"
    image = Image.fromarray(np.random.default_rng(0).integers(0, 80, (16, 24, 3), dtype=np.uint8)).convert(mode)
    image.save(path, **{"exif": exif, "dpi": (300, 200), **options})
    return path


def rewritten(source: Path, target: Path, **options: Any) -> Image.Image:
    write_image_with_metadata(target, read_image(source), read_metadata(source), **options)
    image = Image.open(target)
    image.load()
    return image


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_camera_profile_and_resolution_stay(tmp_path: Path, suffix: str, orientation: int) -> None:
    source = photo(tmp_path / f"in{suffix}", orientation, icc_profile=PROFILE)
    image = rewritten(source, tmp_path / f"out{suffix}")
    upright = read_image(source)
    assert image.size == (upright.shape[1], upright.shape[0])
    exif = image.getexif()
    assert exif[0x0110] == "Night Camera"
    # Turned once, not twice.
    assert exif.get(0x0112, 1) == 1
    assert exif.get_ifd(0x8769) == {0x829A: 0.5, 0xA002: image.width, 0xA003: image.height, 0x927C: b"maker's own"}
    assert exif.get_ifd(0x8825)[1] == "N"
    assert image.info["icc_profile"] == PROFILE
    if suffix != ".webp":
        assert image.info["dpi"] == pytest.approx((300, 200) if orientation in (1, 3) else (200, 300), abs=0.02)
    assert np.abs(read_image(tmp_path / f"out{suffix}").astype(int) - upright).max() <= (0 if suffix == ".png" else 60)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".ppm"])
def test_lossless_formats_keep_every_pixel(tmp_path: Path, suffix: str) -> None:
    source = photo(tmp_path / f"in{suffix}")
    rewritten(source, tmp_path / f"out{suffix}")
    assert np.array_equal(read_image(tmp_path / f"out{suffix}"), read_image(source))


def test_tiff_keeps_its_description_and_compression(tmp_path: Path) -> None:
    source = photo(tmp_path / "in.tif", compression="tiff_lzw", tiffinfo={270: "A street", 33432: "Somebody"})
    image: Any = rewritten(source, tmp_path / "out.tif")
    assert (image.tag_v2[270], image.tag_v2[33432]) == ("A street", "Somebody")
    assert image.info["compression"] == "tiff_lzw"
    assert image.info["dpi"] == (300, 200)


def test_texts_comment_and_xmp_stay(tmp_path: Path) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Author", "Somebody")
    photo(tmp_path / "in.png", pnginfo=chunks)
    assert rewritten(tmp_path / "in.png", tmp_path / "out.png").text["Author"] == "Somebody"  # type: ignore[attr-defined]
    photo(tmp_path / "in.jpg", comment=b"dark", xmp=XMP)
    image = rewritten(tmp_path / "in.jpg", tmp_path / "out.jpg")
    assert (image.info["comment"], image.info["xmp"]) == (b"dark", XMP)


# Every way to say it: attribute in either quotes, element, and a prefix of the packet's own.
_ORIENTED = (
    b"<rdf:Description xmlns:tiff='http://ns.adobe.com/tiff/1.0/' tiff:Orientation='6' tiff:Make=\"x\"/>",
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation = "6" tiff:Make="x"/>',
    b"<rdf:Description tiff:Make='x'><tiff:Orientation>6</tiff:Orientation></rdf:Description>",
    b'<rdf:Description xmlns:t="http://ns.adobe.com/tiff/1.0/" t:Orientation="6" t:Make="x"/>',
)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tif"])
@pytest.mark.parametrize("said", _ORIENTED)
def test_the_orientation_in_the_xmp_goes_with_the_one_in_the_exif(tmp_path: Path, suffix: str, said: bytes) -> None:
    packet = XMP.replace(b"/></x:xmpmeta>", b">" + said + b"</rdf:RDF></x:xmpmeta>")
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", packet.decode())
    options = {".png": {"pnginfo": texts}, ".tif": {"tiffinfo": {274: 6, 700: packet}, "exif": None}}
    source = photo(tmp_path / f"in{suffix}", 6, **options.get(suffix, {"xmp": packet}))
    image = rewritten(source, tmp_path / f"out{suffix}")
    assert read_image(source).shape == read_image(tmp_path / f"out{suffix}").shape == (24, 16, 3)
    xmp = image.info["xmp"]
    assert b"Orientation" not in xmp and b"Make" in xmp and len(xmp) > len(packet) - 60


def test_an_orientation_in_the_xmp_of_a_tiff_alone_is_never_applied(tmp_path: Path) -> None:
    photo(tmp_path / "in.tif", exif=None, tiffinfo={700: XMP.replace(b"<rdf:RDF", b'<rdf:RDF tiff:Orientation="6"')})
    rewritten(tmp_path / "in.tif", tmp_path / "out.tif")
    assert read_image(tmp_path / "out.tif").shape == read_image(tmp_path / "in.tif").shape == (16, 24, 3)


IPTC = b"\x1c\x02\x78\x00\x07Stra\xc3\x9fe"


def photo_of_a_street(path: Path) -> Path:
    """A photo with a text that is not ASCII, GPS and IPTC data: a JPEG, or what `photo` and this project make of it."""
    resource = b"Photoshop 3.0\0" + b"8BIM\4\4\0\0" + len(IPTC).to_bytes(4, "big") + IPTC
    photo(path, extra=b"\xff\xed" + (len(resource) + 2).to_bytes(2, "big") + resource)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"Night Camera\0", "Straße Cam\0".encode() + b"\0"))
    return path


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_texts_camera_gps_and_iptc_data_go_into_a_tiff_and_back(tmp_path: Path, compression: str) -> None:
    source = photo_of_a_street(tmp_path / "in.jpg")
    metadata = replace(read_metadata(source), tiff_compression=compression)
    write_image_with_metadata(tmp_path / "a.tif", read_image(source), metadata)
    assert np.array_equal(read_image(tmp_path / "a.tif"), read_image(source))
    chain = [tmp_path / name for name in ("a.tif", "b.tif", "c.jpg", "d.png")]
    for before, after in pairwise(chain):
        rewritten(before, after)
    for path in chain:
        with Image.open(path) as image:
            exif = image.getexif()
            assert exif[0x0110].rstrip("\0").encode("latin-1") == "Straße Cam".encode()
            camera = exif.get_ifd(0x8769)
            assert camera == {0x829A: 0.5, 0xA002: 24, 0xA003: 16, 0x927C: b"maker's own"}
            assert exif.get_ifd(0x8825) == {1: "N"}
            if path.suffix != ".png":
                assert IptcImagePlugin.getiptcinfo(image) == {(2, 120): "Straße".encode()}  # type: ignore[arg-type]
            if path.suffix == ".tif":
                assert image.info["compression"] == compression


@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")
def test_iptc_data_stored_as_words_stays(tmp_path: Path) -> None:
    # Many programs follow libtiff, which has called the tag LONG.
    photo(tmp_path / "in.tif", exif=None, tiffinfo={33723: IPTC})
    stored, kind = (tmp_path / "in.tif").read_bytes(), struct.Struct("<HHI")
    assert stored.count(kind.pack(33723, 7, 12)) == 1
    (tmp_path / "in.tif").write_bytes(stored.replace(kind.pack(33723, 7, 12), kind.pack(33723, 4, 3)))
    rewritten(tmp_path / "in.tif", tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as image:
        assert IptcImagePlugin.getiptcinfo(image) == {(2, 120): "Straße".encode()}  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")
def test_a_tiff_with_broken_camera_data_keeps_its_description(tmp_path: Path) -> None:
    photo(tmp_path / "in.tif", exif=None, tiffinfo={270: "A street", 0x8769: 10**9})
    assert rewritten(tmp_path / "in.tif", tmp_path / "out.tif").tag_v2[270] == "A street"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("mode", "suffix"), [("L", ".jpg"), ("CMYK", ".jpg"), ("L", ".png")])
def test_a_profile_for_other_channels_goes(tmp_path: Path, mode: str, suffix: str) -> None:
    source = photo(tmp_path / f"in{suffix}", mode=mode, icc_profile=PROFILE)
    image = rewritten(source, tmp_path / f"out{suffix}")
    assert image.mode == "RGB" and "icc_profile" not in image.info


@pytest.mark.parametrize("part", ["exif", "xmp", "comment", "iptc"])
def test_what_is_too_long_for_a_jpeg_is_left_out_and_the_rest_stays(
    tmp_path: Path, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = photo_of_a_street(tmp_path / "in.jpg")
    kept = replace(read_metadata(source), xmp=XMP, texts={"comment": "dark"})
    # The most that a segment holds, as Pillow's own writer counts it, and one byte more.
    most = {"exif": 65_533, "xmp": 65_533 - 29, "comment": 65_533, "iptc": 65_533 - 14 - 12}[part]
    for size in (most - 1, most + 1):
        long = "x" * size if part == "comment" else (kept.exif if part == "exif" else b"").ljust(size, b"x")
        changed = {"texts": {"comment": long}} if part == "comment" else {part: long}
        caplog.clear()
        write_image_with_metadata(tmp_path / "out.jpg", read_image(source), replace(kept, **changed))
        with Image.open(tmp_path / "out.jpg") as image:
            found = {
                "exif": image.getexif().get(0x0110), "xmp": image.info.get("xmp"), "comment": image.info.get("comment"),
                "iptc": image.info.get("photoshop"),
            }  # fmt: skip
            assert {name for name, value in found.items() if not value} == (set() if size < most else {part})
        assert ("too long for a JPEG" in caplog.text) == (size > most)
    write_image_with_metadata(tmp_path / "out.png", read_image(source), replace(kept, **changed))


@pytest.mark.parametrize(("name", "most"), [("a.jpg", "65,500"), ("a.webp", "16,383"), ("a.avif", "65,536")])
def test_a_picture_too_large_for_its_format_is_an_error(tmp_path: Path, name: str, most: str) -> None:
    size = int(most.replace(",", "")) + 1
    for shape in ((size, 1, 3), (1, size, 3)):
        for write in (write_image, lambda path, image: write_image_with_metadata(path, image, ImageMetadata())):
            with pytest.raises(DataError, match=rf"(?s)too large for its format.*at most {most} rows.*\.png"):
                write(tmp_path / name, np.zeros(shape, np.uint8))
            write(tmp_path / "a.png", np.zeros(shape, np.uint8))
    write_image(tmp_path / "b.jpg", np.zeros((65_500, 1, 3), np.uint8))
    assert read_image(tmp_path / "b.jpg").shape == (65_500, 1, 3)


def test_what_the_encoder_refuses_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imencode", lambda *_: (False, ()))
    with pytest.raises(DataError, match="Cannot encode the image"):
        write_image(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))


def test_quality_decides_the_size(tmp_path: Path) -> None:
    source = photo(tmp_path / "in.jpg", quality=100)
    sizes = []
    for quality in (30, 95, 100):
        rewritten(source, tmp_path / "out.jpg", quality=quality)
        sizes.append((tmp_path / "out.jpg").stat().st_size)
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]


def test_several_pictures_and_wrong_arguments_are_errors(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (8, 8), (level, 0, 0)) for level in (10, 20)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match="several pictures"):
        read_metadata(tmp_path / "pages.tif")
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="not an image of a format that is read"):
        read_metadata(tmp_path / "broken.png")
    source = photo(tmp_path / "in.png")
    with pytest.raises(ConfigError, match="quality"):
        rewritten(source, tmp_path / "out.jpg", quality=0)
    with pytest.raises(DataError, match="image format"):
        rewritten(source, tmp_path / "out.cr2")
