"""Pictures of videos: colours, sizes and how they are laid."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from duskbench.data_tools.errors import DataError
from duskbench.pipeline import load_enhancer
from duskbench.pipeline.apply.video import enhance_video
from tests.videos import BT470BG, BT709, SMPTE170M, UNSPECIFIED, described, frames, make_video, planes


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", [BT709, BT470BG, SMPTE170M, UNSPECIFIED])
def test_colours_survive_the_way_to_rgb_and_back(tmp_path: Path, matrix: int, full_range: bool) -> None:
    source = make_video(tmp_path / "in.mp4", matrix=matrix, full_range=full_range, sound=None)
    # The enhancer is shown the colours that were filmed ...
    shown = frames(source)[0]
    assert np.abs(shown[12:20, 16:32].astype(int) - (180, 30, 20)).max() <= 3
    # ... and what is stored afterwards is what was stored before, to the codec's error.
    enhance_video(source, tmp_path / "out.mp4", load_enhancer("input"), crf=1)
    difference = np.abs(planes(tmp_path / "out.mp4") - planes(source))
    assert difference.mean() < 0.5 and np.quantile(difference, 0.99) <= 4
    assert described(tmp_path / "out.mp4") == described(source)


def test_a_wrong_matrix_would_show(tmp_path: Path) -> None:
    right = make_video(tmp_path / "right.mp4", matrix=BT709, sound=None)
    wrong = make_video(tmp_path / "wrong.mp4", matrix=SMPTE170M, sound=None)
    difference = np.abs(planes(right) - planes(wrong))
    assert difference.mean() > 2 and np.quantile(difference, 0.99) > 8


@pytest.mark.parametrize(
    ("codec", "pixel_format", "source", "target"),
    [
        ("libx264rgb", "rgb24", "in.mp4", "out.mp4"), ("libx264rgb", "bgr0", "in.mkv", "out.webm"),
        ("png", "rgb24", "in.mov", "out.mkv"), ("png", "rgba", "in.mov", "out.avi"),
        ("libvpx-vp9", "gbrp", "in.webm", "out.webm"), ("qtrle", "argb", "in.mov", "out.mov"),
    ],
)  # fmt: skip
def test_rgb_becomes_yuv_by_a_matrix_that_the_result_names(
    tmp_path: Path, codec: str, pixel_format: str, source: str, target: str
) -> None:
    made = make_video(tmp_path / source, codec=codec, pixel_format=pixel_format, sound=None)
    enhance_video(made, tmp_path / target, load_enhancer("input"), crf=1)
    assert described(tmp_path / target)["size"][2] in ("yuv444p", "yuvj444p")
    # QuickTime's codec says nothing about its colours, and neither does what is made of it.
    assert described(tmp_path / target)["colour"][0] == (UNSPECIFIED if codec == "qtrle" else SMPTE170M)
    difference = np.abs(np.array(frames(tmp_path / target)).astype(int) - np.array(frames(made)))
    assert difference.mean() < 1.5 and difference.max() <= 12
    assert np.abs(frames(tmp_path / target)[0][12:20, 16:32].astype(int) - (180, 30, 20)).max() <= 3


@pytest.mark.parametrize(("height", "width"), [(47, 95), (48, 95), (1, 1)])
def test_odd_sizes_stay(tmp_path: Path, height: int, width: int) -> None:
    source = make_video(tmp_path / "in.mkv", height=height, width=width, pixel_format="yuv444p", sound=None)
    enhance_video(source, tmp_path / "out.mkv", load_enhancer("input"))
    assert described(tmp_path / "out.mkv")["size"] == (height, width, "yuv444p")


def put_display_matrix(path: Path, a: float, b: float, c: float, d: float) -> None:
    """Put the matrix (x, y) -> (a x + c y, b x + d y) into the first track's header.

    Source: ISO/IEC 14496-12, 8.3.2 and 6.2.2.
    """
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (round(value * (1 << 16)) for value in (a, b, c, d))
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def rotate_90_clockwise(path: Path) -> None:
    """As a phone held upright does: (x, y) -> (-y, x)."""
    put_display_matrix(path, 0, 1, -1, 0)


# The shape that each of the eight ways to lay a picture leaves, and where its patch (rows 8 to 24, columns 8 to 40 of
# 48 x 96) is then.
@pytest.mark.parametrize(
    ("display_matrix", "shape", "patch"),
    [
        ((1, 0, 0, 1), (48, 96), (8, 24, 8, 40)), ((-1, 0, 0, 1), (48, 96), (8, 24, 56, 88)),
        ((1, 0, 0, -1), (48, 96), (24, 40, 8, 40)), ((-1, 0, 0, -1), (48, 96), (24, 40, 56, 88)),
        ((0, 1, 1, 0), (96, 48), (8, 40, 8, 24)), ((0, 1, -1, 0), (96, 48), (8, 40, 24, 40)),
        ((0, -1, 1, 0), (96, 48), (56, 88, 8, 24)), ((0, -1, -1, 0), (96, 48), (56, 88, 24, 40)),
        ((0.01, 1, -1, 0.01), (96, 48), (8, 40, 24, 40)),
    ],
)  # fmt: skip
def test_turned_and_mirrored_pictures_are_shown_to_the_enhancer_upright(
    tmp_path: Path,
    display_matrix: tuple[float, float, float, float],
    shape: tuple[int, int],
    patch: tuple[int, int, int, int],
) -> None:
    source = make_video(tmp_path / "in.mp4", sound=None)
    put_display_matrix(source, *display_matrix)
    seen = []

    def watch(image: np.ndarray) -> np.ndarray:
        seen.append(image)
        return image

    enhance_video(source, tmp_path / "out.mp4", load_enhancer(watch), crf=1)
    top, bottom, left, right = patch
    for image in (seen[0], frames(tmp_path / "out.mp4")[0]):
        assert image.shape == (*shape, 3)
        is_patch = image[..., 0] > 150
        assert is_patch[top + 2 : bottom - 2, left + 2 : right - 2].all()
        is_patch[top - 2 : bottom + 2, left - 2 : right + 2] = False
        assert not is_patch.any()
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert not [each for each in next(file.decode(video=0)).side_data if "DISPLAYMATRIX" in str(each)]


def test_a_slanted_display_matrix_is_an_error(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", sound=None)
    put_display_matrix(source, 0.866, 0.5, -0.5, 0.866)
    with pytest.raises(DataError, match="shown slanted"):
        enhance_video(source, tmp_path / "out.mp4", load_enhancer("input"))


def test_a_recorded_rotation_is_carried_out(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", sound=None)
    rotate_90_clockwise(source)
    shapes = []

    def watch(image: np.ndarray) -> np.ndarray:
        shapes.append(image.shape)
        return image

    enhance_video(source, tmp_path / "out.mp4", load_enhancer(watch), crf=1)
    assert set(shapes) == {(96, 48, 3)}
    [first, *_] = frames(tmp_path / "out.mp4")
    # The patch at rows 8 to 24, columns 8 to 40 of 48 rows is now at columns 24 to 40, rows 8 to 40.
    assert np.abs(first[12:36, 28:36].astype(int) - (180, 30, 20)).max() <= 6
    with av.open(str(tmp_path / "out.mp4")) as file:
        frame = next(file.decode(video=0))
        assert frame.rotation == 0
        assert (frame.width, frame.height) == (48, 96)
    assert described(tmp_path / "out.mp4")["shape"] == Fraction(3, 4)


def test_a_matrix_left_out_is_said_where_the_new_height_stands_for_another(tmp_path: Path) -> None:
    """Players take BT.709 from 720 lines on."""
    source = make_video(tmp_path / "in.mp4", height=48, width=720, sound=None)
    rotate_90_clockwise(source)
    enhance_video(source, tmp_path / "out.mp4", load_enhancer("input"), crf=1)
    assert described(source)["colour"][0] == UNSPECIFIED
    assert described(tmp_path / "out.mp4")["colour"][0] == SMPTE170M


def put_wide_pixels(path: Path) -> None:
    """Put 2:1 into the container alone. Source: ISO/IEC 14496-12, 12.1.4."""
    data = bytearray(path.read_bytes())
    place = data.index(b"pasp")
    data[place + 4 : place + 12] = struct.pack(">2I", 2, 1)
    path.write_bytes(data)


@pytest.mark.parametrize("target", ["out.mp4", "out.mov", "out.mkv", "out.avi", "out.ts"])
@pytest.mark.parametrize("codec", ["libx264", "prores_ks"])
def test_the_container_says_the_shape_of_the_pixels(tmp_path: Path, codec: str, target: str) -> None:
    """H.264 says 4:3 itself, ProRes nothing."""
    pixel_format = "yuv420p" if codec == "libx264" else "yuv422p10le"
    source = make_video(tmp_path / "in.mov", codec=codec, pixel_format=pixel_format, sound=None)
    put_wide_pixels(source)
    enhance_video(source, tmp_path / target, load_enhancer("input"))
    assert described(source)["shape"] == described(tmp_path / target)["shape"] == 2


def test_a_shape_that_the_result_cannot_say_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = make_video(tmp_path / "in.mp4", sound=None)
    enhance_video(source, tmp_path / "out.webm", load_enhancer("input"))
    assert "its pixels are 4/3 times as wide as high; .mkv or .mp4 can" in caplog.text


def test_interlaced_pictures_are_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = make_video(tmp_path / "in.mp4", options={"x264-params": "tff=1"}, sound=None)
    enhance_video(source, tmp_path / "out.mp4", load_enhancer("input"))
    [message] = caplog.messages
    assert "the pictures are interlaced" in message and "bwdif" in message
