"""Pictures of a video: from what is stored to RGB, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from av import VideoFormat, VideoFrame

# Values of FFmpeg's enumerations AVColorSpace and AVColorRange (ITU-T H.273).
_RGB, _BT709, _UNSPECIFIED, _SMPTE170M = 0, 1, 2, 6
_LIMITED = 1
# Where a file does not say its matrix, players take that of high definition from this height on.
_HD_HEIGHT = 720
# What a display matrix may move aside, of what it moves along: rounding, and cameras that are not quite level.
_SLANT = 0.02


def matrix(frame: VideoFrame) -> int:
    """The picture's matrix; the usual one where it has none, being RGB, or does not say it."""
    return _usual_matrix(frame.height) if frame.colorspace in (_RGB, _UNSPECIFIED) else frame.colorspace


def matrix_tag(original: int, used: int, height: int) -> int:
    """What the result says of the matrix used; nothing if the source does not and players take it at that height."""
    return _UNSPECIFIED if original == _UNSPECIFIED and used == _usual_matrix(height) else used


def upright(image: np.ndarray, frame: VideoFrame) -> tuple[np.ndarray, bool]:
    """Turn and mirror a picture as its display matrix says.

    Returns:
        The picture, and whether rows have become columns.

    Raises:
        ValueError: The matrix turns by something else than quarters of a circle.

    Source: ISO/IEC 14496-12, 6.2.2: what is stored at (x, y) is shown at (a x + c y, b x + d y).
    """
    from av.sidedata.sidedata import Type

    side_data: Any = frame.side_data
    stored = side_data.get(Type.DISPLAYMATRIX)
    if stored is None:
        return image, False
    a, b, _, c, d = (int(value) for value in np.frombuffer(stored, np.int32)[:5])
    turned = abs(b) + abs(c) > abs(a) + abs(d)
    right, down, aside = (c, b, (a, d)) if turned else (a, d, (b, c))
    if max(map(abs, aside)) > _SLANT * min(abs(right), abs(down)):
        raise ValueError(f"a = {a}, b = {b}, c = {c}, d = {d}")
    image = image.swapaxes(0, 1) if turned else image
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1]), turned


def pixel_format(original: VideoFormat, height: int, width: int) -> str:
    """Eight bits and the chroma of the original; full chroma where halves do not come out even."""
    if "444" in original.name or original.is_rgb or original.has_palette or height % 2 or width % 2:
        return "yuv444p"
    return "yuv422p" if "422" in original.name else "yuv420p"


def to_rgb(frame: VideoFrame) -> np.ndarray:
    """(H, W, 3) uint8 RGB by the frame's own matrix and range."""
    return frame.to_ndarray(format="rgb24", src_color_range=frame.color_range or _LIMITED, **_exact())


def from_rgb(image: np.ndarray, like: VideoFrame, pixel_format: str) -> VideoFrame:
    """A frame by the matrix and range of another one."""
    import av

    made = av.VideoFrame.from_ndarray(image, format="rgb24")
    made.colorspace = like.colorspace
    return made.reformat(format=pixel_format, dst_color_range=like.color_range or _LIMITED, **_exact())


def _exact() -> dict[str, Any]:
    from av.video.reformatter import Interpolation

    return {"interpolation": Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT}


def _usual_matrix(height: int) -> int:
    """The matrix that players take where a file does not say it."""
    return _BT709 if height >= _HD_HEIGHT else _SMPTE170M
