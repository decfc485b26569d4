"""Videos go through an enhancer with their times and their sound kept."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.pipeline import load_enhancer
from duskbench.pipeline.apply.video import enhance_video
from tests.progress import Seen
from tests.videos import TICKS, VARIABLE, described, make_video, planes, sound_packets, time_stamps


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


def test_the_name_of_the_result_may_be_as_long_as_any(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", count=2, sound=None)
    target = tmp_path / f"{'n' * 251}.mp4"
    enhance_video(source, target, load_enhancer("input"))
    assert sorted(tmp_path.iterdir()) == [source, target]


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
