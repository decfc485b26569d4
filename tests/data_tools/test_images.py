"""Every kind of image file comes back as upright 8-bit RGB, and a damaged one as an error."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.images import decode_image, image_size, read_image, write_image

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


def test_missing_file_names_itself(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.png"):
        read_image(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match=r"nowhere\.png"):
        image_size(tmp_path / "nowhere.png")


@pytest.mark.parametrize("array", [RAMP[:, :, 0], RAMP.astype(np.float32), np.zeros((3, 4, 4), np.uint8)])
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
