"""Small videos for tests, and what is in one."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

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
