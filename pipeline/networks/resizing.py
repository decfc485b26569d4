"""Padding and enlarging in operations that a graph with free sizes can hold, too."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor


def pad_after(batch: Tensor, *, multiple: int = 1, least: int = 1, mode: Literal["edge", "reflect"] = "edge") -> Tensor:
    """Pad at the bottom and the right, as far as a network needs it.

    Padding of a free amount is not in every runtime's reach, and gathering is.

    Args:
        batch: (N, C, H, W), any type.
        multiple: What height and width are to be divisible by.
        least: What they are to be at least.
        mode: "edge" repeats the last row and column; "reflect" mirrors at them, and repeats the first where the picture
            is too small to mirror.

    Returns:
        (N, C, H', W') of the same type; the batch itself where nothing is missing.
    """
    for axis in (2, 3):
        size = batch.shape[axis]
        # Not with -size: ONNX divides towards zero.
        padded = torch.sym_max((size + multiple - 1) // multiple, (least + multiple - 1) // multiple) * multiple
        if torch.compiler.is_exporting() or padded != size:
            places = torch.arange(padded, device=batch.device)
            reflected = ((size - 1) - (places - (size - 1)).abs()).clamp(min=0)
            batch = batch.index_select(axis, reflected if mode == "reflect" else places.clamp(max=size - 1))
    return batch


def enlarge_aligned(
    maps: Tensor, size: tuple[int, int], *, whole: tuple[int, int], start: tuple[int, int], small: tuple[int, int]
) -> Tensor:
    """Enlarge bilinearly with the corners' centres kept in place, of a picture or of a window of it.

    What `torch.nn.functional.interpolate(align_corners=True)` does of a whole picture. There the place of a pixel
    depends on the picture's size, so a window must be told where in the picture it lies.

    Args:
        maps: (N, C, h, w) float, the small maps of the window.
        size: Height and width of the window's result.
        whole: Height and width of the picture's result.
        start: Row and column of the picture's result where the window's begins.
        small: Height and width of the picture's small maps. The window's begin at `start * small / whole`.

    Returns:
        (N, C, *size). At a side of the window that is not one of the picture the pixels of one small one are off.
    """
    for axis in (0, 1):
        places = torch.arange(size[axis], device=maps.device).to(maps.dtype) + start[axis]
        places = places * (small[axis] - 1) / cast(int, torch.sym_max(whole[axis] - 1, 1))
        places = places - start[axis] * small[axis] // whole[axis]
        last = maps.shape[axis + 2] - 1
        below = places.floor().clamp(0, last)
        weight = (places - below).clamp(0, 1).reshape((-1, 1) if axis == 0 else (-1,))
        low, high = below.long(), (below.long() + 1).clamp(max=last)
        maps = torch.lerp(maps.index_select(axis + 2, low), maps.index_select(axis + 2, high), weight)
    return maps
