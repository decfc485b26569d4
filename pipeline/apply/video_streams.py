"""Streams of a video file: which one is enhanced, and how the others are kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from duskbench.data_tools.errors import DataError

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

# Values of FFmpeg's enumeration AVColorTransferCharacteristic (ITU-T H.273).
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
# What a muxer or an encoder writes about itself, which would be said twice or be wrong.
OF_THE_ENCODER = frozenset({"encoder", "ENCODER", "handler_name", "vendor_id", "BPS", "DURATION", "NUMBER_OF_BYTES"})


def main_video(read: InputContainer, source: Path) -> VideoStream:
    """The stream that is enhanced: the first that is no cover picture."""
    from av.stream import Disposition

    moving = [each for each in read.streams.video if not each.disposition & Disposition.attached_pic]
    if not moving:
        raise DataError("The file has no video.", where=source, got=", ".join(each.type for each in read.streams))
    transfer = _HDR_TRANSFERS.get(int(moving[0].codec_context.color_trc))
    if transfer is not None:
        raise DataError(
            "High dynamic range cannot be enhanced.",
            where=source,
            expected="standard dynamic range, which is what enhancers are made for",
            got=f"a video with the transfer characteristic {transfer}",
            todo="map its tones first",
        )
    return moving[0]


def add_copy(write: OutputContainer, stream: Stream, source: Path) -> Stream:
    """Add a stream whose packets are copied as they are."""
    try:
        return write.add_stream_from_template(stream)
    except ValueError as error:
        raise DataError(
            f"The result's container cannot hold the {stream.type} of the video.",
            where=source,
            got=str(error),
            todo="give a result with the extension .mkv, which holds any",
        ) from error
