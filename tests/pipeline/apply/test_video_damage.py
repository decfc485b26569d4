"""Damaged videos are errors or warned of, and whole ones are not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from duskbench.data_tools.errors import DataError
from duskbench.pipeline import load_enhancer
from duskbench.pipeline.apply.video import enhance_video
from tests.videos import VARIABLE, make_video, time_stamps


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def _rubbish(path: Path) -> None:
    path.write_bytes(b"rubbish" * 100)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("damage", [_cut, _rubbish, lambda path: path.write_bytes(b"")])
def test_damaged_files_are_errors_and_leave_nothing(
    tmp_path: Path, suffix: str, damage: Callable[[Path], None]
) -> None:
    source = make_video(tmp_path / f"in{suffix}", stamps=[number * 6000 for number in range(20)])
    damage(source)
    with pytest.raises(DataError) as caught:
        enhance_video(source, tmp_path / f"out{suffix}", load_enhancer("input"))
    assert caught.value.where == source
    assert list(tmp_path.iterdir()) == [source]


def _zeros(path: Path) -> None:
    """Overwrite a part in the middle."""
    data = bytearray(path.read_bytes())
    middle, length = len(data) // 2, len(data) // 25
    data[middle : middle + length] = bytes(length)
    path.write_bytes(data)


def test_pictures_that_the_decoder_mended_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = make_video(tmp_path / "in.ts", count=40, sound=None)
    _zeros(source)
    with av.open(str(source)) as file:
        [damaged] = [number for number, frame in enumerate(file.decode(video=0)) if frame.is_corrupt]
    enhance_video(source, tmp_path / "out.ts", load_enhancer("input"))
    assert f"damaged pictures: 1 of {len(time_stamps(source))} (number {damaged}, from 0)" in caplog.text


def test_pictures_that_are_listed_and_not_there_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = make_video(tmp_path / "in.avi", codec="mjpeg", pixel_format="yuvj420p", count=40, sound=None)
    data = bytearray(source.read_bytes())
    # The headers, name and size, of the chunks with a picture; others only make time pass.
    headers = [each.start() for each in re.finditer(rb"00dc(?!\0{4})", data)]
    for place in headers[11:13]:
        data[place : place + 8] = bytes(8)
    source.write_bytes(data)
    enhance_video(source, tmp_path / "out.avi", load_enhancer("input"))
    assert len(time_stamps(tmp_path / "out.avi")) == 38
    assert "it lists 40 pictures, of which 2 cannot be read" in caplog.text


@pytest.mark.parametrize("variable", [False, True])
def test_a_gap_is_named_where_the_rate_is_constant(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, variable: bool
) -> None:
    stamps = [number * 1001 + 48048 * (number > 45) + 500 * (number % 3) * variable for number in range(60)]
    source = make_video(tmp_path / "in.mkv", stamps=stamps, sound=None)
    enhance_video(source, tmp_path / "out.mkv", load_enhancer("input"))
    assert ("it has no picture from 1.9 to 3.9 seconds" in caplog.text) is not variable
    assert len(time_stamps(tmp_path / "out.mkv")) == 60


@pytest.mark.parametrize(
    ("name", "codec", "stamps"),
    [
        ("in.mp4", "libx264", None), ("in.mp4", "libx264", VARIABLE), ("in.mkv", "libx264", VARIABLE),
        ("in.ts", "libx264", None), ("in.avi", "mpeg4", VARIABLE), ("in.webm", "libvpx-vp9", None),
    ],
)  # fmt: skip
def test_nothing_is_said_of_files_that_are_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, codec: str, stamps: list[int] | None
) -> None:
    source = make_video(tmp_path / name, codec=codec, stamps=stamps, count=20, sound=None)
    enhance_video(source, tmp_path / f"out{source.suffix}", load_enhancer("input"))
    assert caplog.text == ""


def test_a_stream_that_was_cut_from_another_is_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its first pictures need some before them and are not shown by any player."""
    source = make_video(tmp_path / "in.ts", count=60, options={"g": "25"}, sound=None)
    data = source.read_bytes()
    source.write_bytes(data[len(data) // 188 // 3 * 188 :])
    with av.open(str(source)) as file:
        packets = sum(1 for each in file.demux() if each.size)
    enhance_video(source, tmp_path / "out.ts", load_enhancer("input"))
    assert 0 < len(time_stamps(tmp_path / "out.ts")) < packets
    assert caplog.text == ""
