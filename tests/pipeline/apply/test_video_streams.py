"""Streams of a video that are not its pictures are kept, or named."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import AttachmentStream, Disposition

from duskbench.data_tools.errors import DataError
from duskbench.pipeline import load_enhancer
from duskbench.pipeline.apply.video import enhance_video
from tests.videos import make_video


def test_sound_that_the_container_cannot_hold_is_an_error_that_names_one(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mov", sound="pcm_s16le")
    with pytest.raises(DataError, match=r"(?s)cannot hold the audio.*\.mkv"):
        enhance_video(source, tmp_path / "out.webm", load_enhancer("input"))
    assert [path.name for path in tmp_path.iterdir()] == ["in.mov"]


def test_subtitles_and_chapters_stay(tmp_path: Path) -> None:
    plain, source = make_video(tmp_path / "plain.mkv"), tmp_path / "in.mkv"
    lines = tmp_path / "lines.srt"
    lines.write_text("1\n00:00:00,000 --> 00:00:00,200\nIt is dark.\n\n")
    chapters = [{"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {"title": "Dusk"}}]
    with av.open(str(plain)) as read, av.open(str(lines)) as text, av.open(str(source), "w") as write:
        streams = {each: write.add_stream_from_template(each) for each in (*read.streams, *text.streams)}
        write.set_chapters(chapters)  # type: ignore[arg-type]
        for packet in (*text.demux(), *read.demux()):
            if packet.size:
                packet.stream = streams[packet.stream]
                write.mux(packet)
    enhance_video(source, tmp_path / "out.mkv", load_enhancer("input"))
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert [each.type for each in file.streams] == ["video", "audio", "subtitle"]
        assert [bytes(each) for each in file.demux(file.streams.subtitles[0]) if each.size] == [b"It is dark."]
        assert [each["metadata"]["title"] for each in file.chapters()] == ["Dusk"]


def make_several(path: Path, plain: Path, *, videos: int = 1, cover: bool = False, font: bool = False) -> Path:
    """Copy a video, as often as asked for, with a cover picture or a font."""
    with av.open(str(plain)) as read, av.open(str(path), "w") as write:
        original = read.streams.video[0]
        copies = [write.add_stream_from_template(original) for _ in range(videos)]
        if font:
            write.add_attachment("night.ttf", "font/ttf", b"outlines")
        picture: Any = None
        if cover:
            picture = write.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = 16, 16, "yuvj420p"
            picture.disposition = Disposition.attached_pic
        packets = [each for each in read.demux(original) if each.size]
        for copy in copies:
            for packet in packets:
                packet.stream = copy
                write.mux(packet)
        if cover:
            frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 9, np.uint8)).reformat(format="yuvj420p")
            write.mux([*picture.encode(frame), *picture.encode(None)])
    return path


def test_a_second_video_is_copied_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = make_several(tmp_path / "in.mkv", make_video(tmp_path / "plain.mkv", sound=None), videos=2)
    enhance_video(source, tmp_path / "out.mkv", load_enhancer("gamma(gamma=0.5)"))
    with av.open(str(source)) as before, av.open(str(tmp_path / "out.mkv")) as after:
        stored, got = ([bytes(each) for each in file.demux(video=1) if each.size] for file in (before, after))
        assert got == stored
    [message] = caplog.messages
    assert "enhanced the first video only; copied as they are: stream 1, from 0" in message


@pytest.mark.parametrize("source", ["in.mp4", "in.mkv"])
def test_a_cover_picture_stays_in_mkv(tmp_path: Path, caplog: pytest.LogCaptureFixture, source: str) -> None:
    made = make_several(tmp_path / "in.mp4", make_video(tmp_path / "plain.mp4", sound=None), cover=True)
    if source == "in.mkv":
        enhance_video(made, tmp_path / source, load_enhancer("input"))
    enhance_video(tmp_path / source, tmp_path / "out.mkv", load_enhancer("gamma(gamma=0.5)"))
    with av.open(str(made)) as before, av.open(str(tmp_path / "out.mkv")) as after:
        assert [bool(each.disposition & Disposition.attached_pic) for each in after.streams] == [False, True]
        [cover], [got] = ([bytes(each) for each in file.demux(video=1) if each.size] for file in (before, after))
        assert got == cover
    assert caplog.messages == []


@pytest.mark.parametrize("target", ["out.mp4", "out.mov", "out.avi", "out.ts"])
def test_a_cover_picture_is_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture, target: str) -> None:
    source = make_several(tmp_path / "in.mp4", make_video(tmp_path / "plain.mp4", sound=None), cover=True)
    with av.open(str(source)) as file:
        assert [bool(each.disposition & Disposition.attached_pic) for each in file.streams] == [False, True]
    enhance_video(source, tmp_path / target, load_enhancer("input"))
    with av.open(str(tmp_path / target)) as file:
        assert [each.type for each in file.streams] == ["video"]
    assert caplog.messages == [f"{source}: left out, as it cannot be copied: cover picture"]


@pytest.mark.parametrize("target", ["out.mkv", "out.mp4"])
def test_attachments_stay_in_mkv_and_are_named_elsewhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, target: str
) -> None:
    source = make_several(tmp_path / "in.mkv", make_video(tmp_path / "plain.mkv", sound=None), font=True)
    enhance_video(source, tmp_path / target, load_enhancer("input"))
    with av.open(str(tmp_path / target)) as file:
        kept = [(each.name, each.mimetype, each.data) for each in file.streams if isinstance(each, AttachmentStream)]
    if target == "out.mkv":
        assert (kept, caplog.messages) == ([("night.ttf", "font/ttf", b"outlines")], [])
    else:
        assert kept == []
        assert caplog.messages == [f"{source}: left out, as it cannot be copied: attachment night.ttf"]


@pytest.mark.parametrize("kind", ["chapters", "time code"])
def test_chapters_and_a_time_code_are_streams_that_are_not_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """QuickTime keeps both as streams of data."""
    source = make_video(tmp_path / "in.mov", timecode="01:02:03:04" if kind == "time code" else None, sound=None)
    if kind == "chapters":
        plain = source.rename(tmp_path / "plain.mov")
        chapters = [{"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {"title": "Dusk"}}]
        with av.open(str(plain)) as read, av.open(str(source), "w") as write:
            copy = write.add_stream_from_template(read.streams.video[0])
            write.set_chapters(chapters)  # type: ignore[arg-type]
            for packet in read.demux():
                if packet.size:
                    packet.stream = copy
                    write.mux(packet)
    enhance_video(source, tmp_path / "out.mov", load_enhancer("input"))
    found = []
    for path in (source, tmp_path / "out.mov"):
        with av.open(str(path)) as file:
            titles = [each["metadata"]["title"] for each in file.chapters()]
            found.append(([each.type for each in file.streams], titles, file.streams.video[0].metadata.get("timecode")))
    assert found[0] == found[1]
    assert found[0][0] == ["video", "data"] and (found[0][1] == ["Dusk"] or found[0][2] == "01:02:03:04")
    assert caplog.messages == []


def test_a_stream_of_data_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = tmp_path / "in.ts"
    with av.open(str(make_video(tmp_path / "plain.ts", sound=None))) as read, av.open(str(source), "w") as write:
        copy, data = write.add_stream_from_template(read.streams.video[0]), write.add_data_stream("klv")
        for packet in read.demux():
            if packet.size:
                place = av.Packet(b"where")
                place.stream, place.time_base, place.pts, place.dts = data, packet.time_base, packet.dts, packet.dts
                packet.stream = copy
                write.mux([packet, place])
    enhance_video(source, tmp_path / "out.ts", load_enhancer("input"))
    assert caplog.messages == [f"{source}: left out, as it cannot be copied: data klv"]
