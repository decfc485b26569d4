"""Videos go through an enhancer with everything but their pictures kept."""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import AttachmentStream, Disposition

from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.pipeline import load_enhancer
from duskbench.pipeline.apply.video import enhance_video
from tests.progress import Seen

TICKS = 24000
# Time stamps of a camera that drops pictures.
VARIABLE = [0, 1001, 3003, 4004, 9000, 10000, 16000, 17000]
BT709, UNSPECIFIED, BT470BG, SMPTE170M = 1, 2, 5, 6


def picture(number: int, height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 120 // width + 20, y * 80 // height + 20, np.full_like(x, 30 + number)], axis=-1)
    image[8:24, 8:40] = (180, 30, 20)
    return image.astype(np.uint8)


def make_video(
    path: Path,
    *,
    stamps: list[int] | None = None,
    height: int = 48,
    width: int = 96,
    matrix: int = UNSPECIFIED,
    full_range: bool = False,
    pixel_format: str = "yuv420p",
    codec: str = "libx264",
    transfer: int = 2,
    count: int = 8,
    sound: str | None = "aac",
    options: dict[str, str] | None = None,
    timecode: str | None = None,
) -> Path:
    """Write a video at 23.976 pictures a second, or at the given time stamps."""
    stamps = stamps or [number * 1001 for number in range(count)]
    with av.open(str(path), "w") as file:
        file.metadata["title"] = "Night walk"
        video: Any = file.add_stream(codec, rate=Fraction(24000, 1001), options={"crf": "1"} | (options or {}))
        if timecode:
            video.metadata["timecode"] = timecode
        context = video.codec_context
        context.width, context.height, context.pix_fmt = width, height, pixel_format
        context.time_base = Fraction(1, TICKS)
        context.colorspace, context.color_range, context.color_trc = matrix, 2 if full_range else 1, transfer
        context.sample_aspect_ratio = Fraction(4, 3)
        audio: Any = file.add_stream(sound, rate=48000) if sound else None
        if audio:
            audio.metadata["language"] = "deu"
        for number, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(number, height, width), format="rgb24")
            frame.colorspace = matrix if matrix != UNSPECIFIED else SMPTE170M
            frame = frame.reformat(format=pixel_format, dst_color_range=2 if full_range else 1)
            frame.time_base, frame.pts = Fraction(1, TICKS), stamp
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
        if audio:
            tone = (np.sin(np.arange(16384) / 20) * 8000).astype(np.int16)[None]
            samples = av.AudioFrame.from_ndarray(tone, format="s16p", layout="mono")
            samples.sample_rate, samples.pts = 48000, 0
            resampler = av.AudioResampler(format=audio.codec_context.format, layout="mono", rate=48000)
            for piece in resampler.resample(samples):
                file.mux(audio.encode(piece))
            file.mux(audio.encode(None))
    return path


def time_stamps(path: Path) -> list[Fraction]:
    with av.open(str(path)) as file:
        return [frame.pts * frame.time_base for frame in file.decode(video=0)]  # type: ignore[operator]


def sound_packets(path: Path) -> list[tuple[bytes, Any]]:
    with av.open(str(path)) as file:
        return [(bytes(each), each.pts) for each in file.demux(file.streams.audio[0]) if each.size]


def frames(path: Path) -> list[np.ndarray]:
    """Pictures by the matrix and range that their tags name, and that of standard definition without one."""
    with av.open(str(path)) as file:
        return [
            frame.to_ndarray(
                format="rgb24",
                src_colorspace="ITU709" if frame.colorspace == BT709 else "ITU601",
                src_color_range=frame.color_range or 1,
            )
            for frame in file.decode(video=0)
        ]


def planes(path: Path) -> np.ndarray:
    """What is stored, without any conversion of colours."""
    with av.open(str(path)) as file:
        return np.array([frame.to_ndarray() for frame in file.decode(video=0)]).astype(int)


def described(path: Path) -> dict[str, Any]:
    with av.open(str(path)) as file:
        video, context = file.streams.video[0], file.streams.video[0].codec_context
        return {
            "kinds": [(each.type, each.metadata.get("language")) for each in file.streams],
            "title": file.metadata.get("title"),
            "size": (context.height, context.width, context.pix_fmt),
            "colour": (context.colorspace, context.color_range, context.color_primaries, context.color_trc),
            "shape": video.sample_aspect_ratio,
            # It is estimated from rounded times.
            "rate": round(float(video.average_rate or 0), 1),
        }


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("stamps", [None, VARIABLE])
def test_sound_time_stamps_and_metadata_stay(tmp_path: Path, suffix: str, stamps: list[int] | None) -> None:
    source, target = make_video(tmp_path / f"in{suffix}", stamps=stamps), tmp_path / f"out{suffix}"
    seen = Seen()
    enhance_video(source, target, load_enhancer("gamma(gamma=0.5)"), progress=seen)
    assert time_stamps(target) == time_stamps(source)
    assert len(sound_packets(source)) > 10
    assert sound_packets(target) == sound_packets(source)
    assert described(target) == described(source)
    assert described(target)["title"] == "Night walk"
    assert [done for done, _ in seen.counts] == list(range(1, 9))
    assert planes(target).mean() > planes(source).mean() + 20
    assert sorted(tmp_path.iterdir()) == [source, target]


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


@pytest.mark.parametrize(
    ("suffix", "codec", "sound"),
    [
        (".webm", "libvpx-vp9", None), (".avi", "mpeg4", "pcm_s16le"), (".avi", "libx264", None),
        (".3gp", "libx264", None), (".ts", "libx264", None),
    ],
)  # fmt: skip
def test_other_containers(tmp_path: Path, suffix: str, codec: str, sound: str | None) -> None:
    source = make_video(tmp_path / f"in{suffix}", codec=codec, sound=sound)
    enhance_video(source, tmp_path / f"out{suffix}", load_enhancer("input"))
    assert sorted(time_stamps(source))[-1] - time_stamps(tmp_path / f"out{suffix}")[-1] <= Fraction(1, 20)
    assert len(time_stamps(tmp_path / f"out{suffix}")) == 8
    if sound:
        wanted, got = sound_packets(source), sound_packets(tmp_path / f"out{suffix}")
        assert b"".join(data for data, _ in got) == b"".join(data for data, _ in wanted)


@pytest.mark.parametrize(
    ("source", "stamps", "rate"),
    [("in.mp4", None, Fraction(24000, 1001)), ("in.avi", None, 600), ("in.mp4", VARIABLE, 600)],
)
def test_avi_shows_each_picture_when_the_source_did(
    tmp_path: Path, source: str, stamps: list[int] | None, rate: Fraction
) -> None:
    """They came a picture late to readers by FFmpeg, and at 600 a second."""
    made = make_video(tmp_path / source, stamps=stamps, sound=None)
    enhance_video(made, tmp_path / "out.avi", load_enhancer("input"))
    with av.open(str(tmp_path / "out.avi")) as file:
        assert file.streams.video[0].average_rate == rate
        shown = [frame.pts * frame.time_base for frame in file.decode(video=0)]
    wanted = [Fraction(stamp, TICKS) for stamp in stamps or [number * 1001 for number in range(8)]]
    assert [abs(got - want) <= Fraction(1, 1200) for got, want in zip(shown, wanted, strict=True)] == [True] * 8


def test_sound_that_the_container_cannot_hold_is_an_error_that_names_one(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mov", sound="pcm_s16le")
    with pytest.raises(DataError, match=r"(?s)cannot hold the audio.*\.mkv"):
        enhance_video(source, tmp_path / "out.webm", load_enhancer("input"))
    assert [path.name for path in tmp_path.iterdir()] == ["in.mov"]


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


@pytest.mark.parametrize("target", ["out.mp4", "out.mkv", "out.ts"])
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


def test_the_name_of_the_result_may_be_as_long_as_any(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", count=2, sound=None)
    target = tmp_path / f"{'n' * 251}.mp4"
    enhance_video(source, target, load_enhancer("input"))
    assert sorted(tmp_path.iterdir()) == [source, target]


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
    source = make_video(tmp_path / name, codec=codec, stamps=stamps, count=60, sound=None)
    enhance_video(source, tmp_path / f"out{source.suffix}", load_enhancer("input"))
    assert caplog.text == ""


def test_a_stream_that_was_cut_from_another_is_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its first pictures need some before them and are not shown by any player."""
    source = make_video(tmp_path / "in.ts", count=300, sound=None)
    data = source.read_bytes()
    source.write_bytes(data[len(data) // 188 // 3 * 188 :])
    with av.open(str(source)) as file:
        packets = sum(1 for each in file.demux() if each.size)
    enhance_video(source, tmp_path / "out.ts", load_enhancer("input"))
    assert 0 < len(time_stamps(tmp_path / "out.ts")) < packets
    assert caplog.text == ""


def test_sound_alone_and_high_dynamic_range_are_errors(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mp4"), "w") as file:
        stream: Any = file.add_stream("aac", rate=48000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        samples.sample_rate = 48000
        file.mux([*stream.encode(samples), *stream.encode(None)])
    with pytest.raises(DataError, match="no video"):
        enhance_video(tmp_path / "sound.mp4", tmp_path / "out.mp4", load_enhancer("input"))
    bright = make_video(tmp_path / "hdr.mp4", transfer=16, sound=None)
    with pytest.raises(DataError, match="High dynamic range"):
        enhance_video(bright, tmp_path / "out.mp4", load_enhancer("input"))


def test_stopped_half_way_leaves_nothing(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4")
    calls = []

    def stop(image: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return image

    with pytest.raises(KeyboardInterrupt):
        enhance_video(source, tmp_path / "out.mp4", load_enhancer(stop))
    assert list(tmp_path.iterdir()) == [source]


def test_without_pyav_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_video(tmp_path / "in.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match=r"duskbench\[video\]"):
        enhance_video(source, tmp_path / "out.mp4", load_enhancer("input"))


def test_crf_is_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="constant rate factor"):
        enhance_video(tmp_path / "in.mp4", tmp_path / "out.mp4", load_enhancer("input"), crf=60)
