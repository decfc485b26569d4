"""Pictures of a video: from what is stored to RGB, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from av import VideoFormat, VideoFrame

# Values of FFmpeg's enumerations AVColorSpace and AVColorRange (ITU-T H.273).
_RGB, BT709, UNSPECIFIED, SMPTE170M = 0, 1, 2, 6
_LIMITED = 1
# Where a file does not say its matrix, players take that of high definition from this height on.
_HD_HEIGHT = 720


def usual_matrix(height: int) -> int:
    """The matrix that players take where a file does not say it."""
    return BT709 if height >= _HD_HEIGHT else SMPTE170M


def matrix(frame: VideoFrame) -> int:
    """The picture's matrix; the usual one where it has none, being RGB, or does not say it."""
    return usual_matrix(frame.height) if frame.colorspace in (_RGB, UNSPECIFIED) else frame.colorspace


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
