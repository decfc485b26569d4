"""Damage to a video file that shows while it is read."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.ids import shown

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

logger = logging.getLogger(__name__)

# A file whose pictures and sound all stop this much before its stated end was cut short.
_MISSING_SECONDS, _MISSING_PART = 1.0, 0.05
# How far a step from picture to picture may be off at a constant rate, of the step, and how many must not be further.
_UNSTEADY, _MOSTLY = 0.25, 0.9
# So many numbers of damaged pictures are named.
_NAMED = 5


class Damage:
    """What of one file is damaged, as far as its container and the decoder tell.

    Packets and pictures are not counted against each other: where a stream was cut, pictures before the first that can
    be decoded are left out, and some formats have packets without a picture.
    """

    def __init__(self, read: InputContainer, video: VideoStream, source: Path) -> None:
        self.read, self.video, self.source = read, video, source
        # Counted before reading, which adds to it. AVI, MP4 and MOV list every packet, the others none or seek points.
        self.listed = sum(1 for entry in video.index_entries if entry.size)
        self.packets = self.pictures = self.steady = 0
        self.concealed: list[int] = []
        self.gaps: list[tuple[float, float]] = []
        self.last_picture: float | None = None
        self.end = 0.0

    def note_packet(self, packet: Packet) -> None:
        """Take note of a packet of any stream."""
        if not packet.size:  # the last one of each stream is empty
            return
        if packet.stream.index == self.video.index:
            self.packets += 1
        else:
            self.end = max(self.end, float((packet.pts or packet.dts or 0) * (packet.time_base or 0)))

    def note_picture(self, frame: VideoFrame) -> None:
        """Take note of a picture of the video."""
        if frame.is_corrupt:
            self.concealed.append(self.pictures)
        self.pictures += 1
        if frame.pts is None or not frame.time_base:
            return
        time = float(frame.pts * frame.time_base)
        rate = float(self.video.average_rate or 0)
        if self.last_picture is not None:
            pictures = (time - self.last_picture) * rate
            self.steady += abs(pictures - 1) < _UNSTEADY
            if pictures > 1 + _MISSING_SECONDS * rate:
                self.gaps.append((self.last_picture, time))
        self.last_picture = time
        self.end = max(self.end, time)

    def report(self) -> None:
        """Warn of what is damaged or missing.

        Raises:
            DataError: The end of the file is missing.
        """
        length = (self.read.duration or 0) / 1e6
        missing = length + (self.read.start_time or 0) / 1e6 - self.end
        if missing > _MISSING_SECONDS + _MISSING_PART * length:
            raise DataError(
                "The video is cut short.",
                where=self.source,
                expected=f"{length:.1f} seconds, as its header says",
                got=f"{self.end:.1f} seconds, {self.pictures} pictures",
                todo="fetch the file again",
            )
        if self.concealed:
            numbers = shown(self.concealed, _NAMED)
            logger.warning(
                "%s: damaged pictures: %d of %d (number %s, from 0); they are enhanced as the decoder mended them",
                self.source, len(self.concealed), self.pictures, numbers,
            )  # fmt: skip
        if self.packets < self.listed:
            logger.warning(
                "%s: the file is damaged: it lists %d pictures, of which %d cannot be read; they are left out",
                self.source, self.listed, self.listed - self.packets,
            )  # fmt: skip
        # A list tells better what is missing, and pictures at a variable rate may stay as long as they like.
        steps = self.pictures - 1 - len(self.gaps)
        for start, end in self.gaps if not self.listed and self.steady > _MOSTLY * steps else []:
            logger.warning(
                "%s: the file may be damaged: it has no picture from %.1f to %.1f seconds", self.source, start, end
            )
