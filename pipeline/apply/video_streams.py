"""Streams of a video file: which one is enhanced, and how the others are kept."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.image_colour import check_transfer

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import AttachmentStream, Stream
    from av.video.stream import VideoStream

logger = logging.getLogger(__name__)

# What a muxer or an encoder writes about itself, which would be said twice or be wrong.
OF_THE_ENCODER = frozenset({"encoder", "ENCODER", "handler_name", "vendor_id", "BPS", "DURATION", "NUMBER_OF_BYTES"})
# Codecs of cover pictures: extension and media type of the file that Matroska attaches.
_COVERS = {"mjpeg": ("jpg", "image/jpeg"), "png": ("png", "image/png")}


def main_video(read: InputContainer, source: Path) -> VideoStream:
    """The stream that is enhanced: the first that is no cover picture."""
    moving = _moving(read)
    if not moving:
        raise DataError("The file has no video.", where=source, got=", ".join(each.type for each in read.streams))
    # FFmpeg's enumeration AVColorTransferCharacteristic has the numbers of H.273.
    check_transfer(int(moving[0].codec_context.color_trc), "video", where=source)
    return moving[0]


def keep(write: OutputContainer, stream: Stream, packets: Iterable[Packet], source: Path) -> Stream | None:
    """Add a stream that is not enhanced, to be copied as it is; None where its kind cannot be copied.

    Args:
        write: The result.
        stream: Of the file that is read.
        packets: Its first ones: the picture of a cover is the first packet of all.
        source: The file that is read.
    """
    if stream.type == "attachment" or _is_cover(stream):
        # MP4 holds covers too, but PyAV writes none together with metadata of any name.
        return _attached(write, stream, packets) if write.format.name == "matroska" else None
    # Whether a container takes a stream of data shows only when its header is written.
    if stream.type not in ("video", "audio", "subtitle"):
        return None
    try:
        return write.add_stream_from_template(stream)
    except ValueError as error:
        raise DataError(
            f"The result's container cannot hold the {stream.type} of the video.",
            where=source,
            got=str(error),
            todo="give a result with the extension .mkv, which holds any",
        ) from error


def _attached(write: OutputContainer, stream: Stream, packets: Iterable[Packet]) -> Stream | None:
    if stream.type == "attachment":
        file = cast("AttachmentStream", stream)
        return write.add_attachment(file.name or "attachment", file.mimetype or "application/octet-stream", file.data)
    picture = next((bytes(each) for each in packets if each.stream.index == stream.index), None)
    kind = _COVERS.get(str(stream.codec_context and stream.codec_context.name))
    # Matroska takes an attached image of this name for the cover.
    return write.add_attachment(f"cover.{kind[0]}", kind[1], picture) if picture and kind else None


def warn_of_the_rest(read: InputContainer, video: VideoStream, left_out: Iterable[Stream], source: Path) -> None:
    """Say which streams are not in the result, and which videos are not enhanced."""
    from av.stream import Discard

    # A time code is also a text with the video, and the stream of chapters, which FFmpeg discards, is read as chapters.
    lost = [each for each in left_out if "timecode" not in each.metadata and each.discard != Discard.all]
    if lost:
        named = ", ".join(map(_named, lost))
        logger.warning("%s: left out, as it cannot be copied: %s", source, named)
    others = [each.index for each in _moving(read) if each.index != video.index]
    if others:
        named = ", ".join(map(str, others))
        logger.warning("%s: enhanced the first video only; copied as they are: stream %s, from 0", source, named)


def _moving(read: InputContainer) -> list[VideoStream]:
    return [each for each in read.streams.video if not _is_cover(each)]


def _is_cover(stream: Stream) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _named(stream: Stream) -> str:
    if _is_cover(stream):
        return "cover picture"
    return f"{stream.type} {getattr(stream, 'name', None) or stream.index}"
