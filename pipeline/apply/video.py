"""Enhance video files: the pictures are encoded again, sound and what else the result can hold is copied."""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.files import replacing
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.pipeline.apply.video_damage import Damage
from duskbench.pipeline.apply.video_pictures import from_rgb, matrix, matrix_tag, pixel_format, to_rgb, upright
from duskbench.pipeline.apply.video_streams import OF_THE_ENCODER, keep, main_video, warn_of_the_rest
from duskbench.pipeline.enhancers.base import Enhancer

if TYPE_CHECKING:
    from fractions import Fraction

    from av import VideoFrame
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

logger = logging.getLogger(__name__)

VIDEO_SUFFIXES: frozenset[str] = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".3gp"})

# AVI does not store when a picture is shown. Without reordering that is when it is decoded, but FFmpeg reads it as one
# picture later unless H.264 says it itself, which x264 does with a model of the buffer (as large as level 4.1 allows).
_AVI = {"bf": "0", "x264-params": "nal-hrd=vbr:vbv-maxrate=62500:vbv-bufsize=78125"}


def is_video_file(path: Path) -> bool:
    """Tell by the ending, in any case, whether a path names a video file that `enhance_video` takes."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def enhance_video(
    source: Path, target: Path, enhancer: Enhancer, *, crf: int = 18, progress: Progress = SILENT
) -> None:
    """Enhance every picture of a video file.

    Each picture is enhanced by itself: an enhancer that adapts to its picture (LIME, histogram equalisation, networks
    with statistics of the whole picture) can flicker.

    Kept: the time stamp of every picture, also at a variable rate; the colour matrix, range and tags; the shape of
    the pixels; sound, subtitles, chapters, metadata and, in MKV, attachments and cover pictures, which are copied
    without being encoded again. A recorded rotation or reflection is carried out, so that the enhancer sees the picture
    as it is shown. Pictures become 8 bits a channel, and RGB becomes YUV.

    Not kept, with a warning: streams of data; attachments and cover pictures in other containers than MKV; the shape of
    the pixels in WebM; that pictures are interlaced, which are enhanced with both moments in one that no player can
    part again. Of several videos in a file the first is enhanced and the others are copied, with a warning too.

    A warning in the log names the pictures that are damaged, which are enhanced as the decoder mended them, and says
    how many cannot be read. MP4, MOV and AVI list their pictures; in the others a gap of more than a second shows, if
    the rate is constant.

    Args:
        source: A file of one of `VIDEO_SUFFIXES`.
        target: Its ending picks the container. Appears whole, or not at all.
        enhancer: From `duskbench.load_enhancer`; pictures are known to it as `<stem>_<number, six digits>`.
        crf: Constant rate factor of H.264 (VP9 in WebM), 0 to 51: smaller is better and larger. 18 is hard to tell from
            the original.
        progress: Where the pictures done of about how many there are is reported.

    Raises:
        ConfigError: PyAV, the extra `video`, is missing, or `crf` is out of range.
        DataError: The file is cut, or damaged where the decoder cannot go on; it has no video, or is high dynamic
            range.
        EnhancerError: The enhancer broke its contract.
    """
    try:
        import av
    except ImportError as error:
        raise ConfigError(
            "Video needs a package that is not installed.", where=source, got=str(error),
            todo='pip install "duskbench[video]"',
        ) from error  # fmt: skip
    if not 0 <= crf <= 51:
        raise ConfigError("There is no such constant rate factor.", where="crf", expected="0 to 51", got=str(crf))
    target.parent.mkdir(parents=True, exist_ok=True)
    options = {"movflags": "use_metadata_tags"} if target.suffix.lower() in (".mp4", ".m4v", ".mov") else {}
    # The container is picked by the ending.
    with replacing(target, keeps_suffix=True) as temporary:
        try:
            with av.open(str(source)) as read, av.open(str(temporary), "w", options=options) as write:
                _Transcoder(read, write, source, enhancer, crf, progress).run()
        except av.FFmpegError as error:
            raise DataError(
                "Cannot enhance the video.", where=source, expected="a complete video file", got=str(error)
            ) from error


class _Transcoder:
    """One file on its way."""

    def __init__(
        self,
        read: InputContainer,
        write: OutputContainer,
        source: Path,
        enhancer: Enhancer,
        crf: int,
        progress: Progress,
    ) -> None:
        self.read, self.write, self.source, self.enhancer = read, write, source, enhancer
        self.crf, self.progress = crf, progress
        self.video = main_video(read, source)
        self.video.thread_type = "AUTO"
        self.damage = Damage(read, self.video, source)
        self.encoder: VideoStream | None = None
        self.done = 0
        self.interlaced = False
        self.last_pts = -1
        self.stamps: deque[int] = deque()
        self.durations: dict[int | None, int] = {}
        self.waiting: list[Packet] = []
        self.copies: dict[int, Stream] = {}

    def run(self) -> None:
        """Read, enhance and write all of it."""
        self.write.metadata.update(self.read.metadata)
        for packet in self.read.demux():
            self.damage.note_packet(packet)
            if packet.stream.index == self.video.index:
                if self.read.format.name == "avi" and packet.dts is not None:
                    self.stamps.append(packet.dts)
                for frame in self.video.decode(packet):
                    self.damage.note_picture(frame)
                    self._put(frame)
            elif packet.size:  # the last one of each stream is empty
                self.waiting.append(packet)
            # The size of the upright picture is known with the first one; a stream is not added after that.
            if self.encoder is not None:
                self._copy(self.waiting)
                self.waiting = []
        if self.encoder is None:
            raise DataError("No picture of the video can be decoded.", where=self.source)
        self._write(self.encoder.encode(None))
        self.damage.report()

    def _put(self, frame: VideoFrame) -> None:
        frame.colorspace = matrix(frame)
        if frame.interlaced_frame and not self.interlaced:
            self.interlaced = True
            logger.warning(
                "%s: the pictures are interlaced; they are enhanced with two moments in one, which no player can part "
                "in the result: deinterlace first, as with ffmpeg -i IN -vf bwdif OUT", self.source,
            )  # fmt: skip
        image, turned = self._upright(frame)
        if self.encoder is None:
            self._open_streams(image, frame, turned=turned)
        assert self.encoder is not None  # noqa: S101 - for the type checker
        if image.shape[:2] != (self.encoder.height, self.encoder.width):
            raise DataError(
                "The pictures change their size.",
                where=self.source,
                expected=f"{self.encoder.width} x {self.encoder.height}",
                got=f"{image.shape[1]} x {image.shape[0]} at picture {self.done}",
            )
        enhanced = self.enhancer(image, image_id=f"{self.source.stem}_{self.done:06d}")
        made = from_rgb(enhanced, frame, str(self.encoder.pix_fmt))
        ticks = (self.video.time_base or 1) / (self.encoder.codec_context.time_base or 1)
        made.time_base, made.pts = self.encoder.codec_context.time_base, round(self._time_stamp(frame) * ticks)
        self.durations[made.pts] = round(frame.duration * ticks)
        self._write(self.encoder.encode(made))
        self.done += 1
        self.progress.update(self.source.name, self.done, max(self._expected(), self.done))

    def _upright(self, frame: VideoFrame) -> tuple[np.ndarray, bool]:
        try:
            return upright(to_rgb(frame), frame)
        except ValueError as error:
            raise DataError(
                "The pictures are to be shown slanted.",
                where=self.source,
                expected="a display matrix that turns by 0, 90, 180 or 270 degrees, or mirrors",
                got=str(error),
                todo="carry out the rotation first: ffmpeg -i IN OUT",
            ) from error

    def _time_stamp(self, frame: VideoFrame) -> int:
        pts = frame.pts
        if self.stamps:
            # AVI stores when a picture is decoded, not when it is shown; shown they are in the same rhythm.
            pts = self.stamps.popleft()
        if pts is None:
            step = 1 / (self.video.average_rate or 25) / (self.video.time_base or 1)
            pts = self.last_pts + max(round(step), 1)
        self.last_pts = pts
        return pts

    def _write(self, packets: list[Packet]) -> None:
        for packet in packets:
            # The encoder does not know how long the last picture stays.
            packet.duration = self.durations.pop(packet.pts, 0) or 0
            self.write.mux(packet)

    def _open_streams(self, image: np.ndarray, frame: VideoFrame, *, turned: bool) -> None:
        """Add the streams in the order of the source, so that players pick the same ones."""
        codec = "libvpx-vp9" if self.write.format.name == "webm" else "libx264"
        options = {"crf": str(self.crf)} | ({"b:v": "0", "cpu-used": "4"} if codec == "libvpx-vp9" else {})
        if self.write.format.name == "avi":
            options |= _AVI
        left_out = []
        for stream in self.read.streams:
            if stream.index == self.video.index:
                made = self.write.add_stream(codec, rate=self.video.average_rate, options=options)
                self.encoder = cast("VideoStream", made)
                self._describe(self.encoder, image, frame, turned=turned)
                copied: Stream = self.encoder
            elif (kept := keep(self.write, stream, self.waiting, self.source)) is not None:
                copied = kept
                if kept.type != "attachment":
                    self.copies[stream.index] = kept
            else:
                left_out.append(stream)
                continue
            copied.metadata.update({key: text for key, text in stream.metadata.items() if key not in OF_THE_ENCODER})
            copied.disposition = stream.disposition
        self.write.set_chapters(self.read.chapters())
        warn_of_the_rest(self.read, self.video, left_out, self.source)

    def _describe(self, encoder: VideoStream, image: np.ndarray, frame: VideoFrame, *, turned: bool) -> None:
        context, original = encoder.codec_context, self.video.codec_context
        context.height, context.width = image.shape[:2]
        context.pix_fmt = pixel_format(frame.format, image.shape[0], image.shape[1])
        if (ticks := self._ticks()) is not None:
            context.time_base = ticks
        # The container's, if it says one, else the codec's.
        shape = self.video.sample_aspect_ratio
        if shape:
            context.sample_aspect_ratio = 1 / shape if turned else shape
            if context.name == "libvpx-vp9" and shape != 1:
                # VP9 does not store it, and PyAV does not write it into the container.
                logger.warning(
                    "%s: a result in .webm cannot say that its pixels are %s times as wide as high; .mkv or .mp4 can",
                    self.source, context.sample_aspect_ratio,
                )  # fmt: skip
        context.colorspace = matrix_tag(original.colorspace, frame.colorspace, context.height)
        context.color_range = original.color_range
        context.color_primaries, context.color_trc = original.color_primaries, original.color_trc

    def _ticks(self) -> Fraction | None:
        """Time base of the result: the source's; in AVI, where a tick is a picture, theirs if all last equally long."""
        rate = self.video.average_rate
        if self.write.format.name == "avi" and rate and rate == self.video.base_rate:
            return 1 / rate
        return self.video.time_base

    def _copy(self, packets: list[Packet]) -> None:
        for packet in packets:
            copy = self.copies.get(packet.stream.index)
            if copy is not None:
                packet.stream = copy
                self.write.mux(packet)

    def _expected(self) -> int:
        """About how many pictures there are."""
        if self.video.frames:
            return self.video.frames
        seconds = (self.read.duration or 0) / 1e6
        return round(seconds * (self.video.average_rate or 0))
