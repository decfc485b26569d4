"""Pictures padded to the sizes that a network takes."""

from __future__ import annotations

import numpy as np


def pad_to_multiple(image: np.ndarray, stride: int, margin: int = 0) -> tuple[np.ndarray, int, int]:
    """Pad by a margin and to a multiple of a stride: reflected where the picture is large enough, repeated where not.

    The smaller half goes to the top and left, as EnlightenGAN has it.

    Args:
        image: (H, W, C), any dtype.
        stride: What height and width are to be divisible by.
        margin: Rows and columns to add on each side in any case.

    Returns:
        The padded picture, and the rows and columns added before the original.
    """
    before = [0, 0]
    for axis in (0, 1):
        missing = 2 * margin + -(image.shape[axis] + 2 * margin) % stride
        before[axis] = missing // 2
        width = [(0, 0)] * 3
        width[axis] = (missing // 2, missing - missing // 2)
        mode = "reflect" if image.shape[axis] > width[axis][1] else "edge"
        image = np.pad(image, width, mode=mode) if missing else image  # type: ignore[call-overload]
    return image, before[0], before[1]
