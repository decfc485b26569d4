"""How a picture is cut into overlapping windows, so that the pieces join without a seam."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """One axis of a tile: pixels `start` to `stop` go in, of the result `core_start` to `core_stop` are kept."""

    start: int
    stop: int
    core_start: int
    core_stop: int


@dataclass(frozen=True)
class Tile:
    """A window of a picture and the part of its result that is kept; all in pixels of the whole picture.

    Attributes:
        rows: Its extent along the height.
        columns: Its extent along the width.
        image_size: Height and width of the whole picture, padding included.
    """

    rows: Span
    columns: Span
    image_size: tuple[int, int]

    @property
    def window(self) -> tuple[slice, slice]:
        """What goes into the network, as an index into the picture."""
        return slice(self.rows.start, self.rows.stop), slice(self.columns.start, self.columns.stop)

    @property
    def core(self) -> tuple[slice, slice]:
        """Where the kept part lies, as an index into the picture."""
        return slice(self.rows.core_start, self.rows.core_stop), slice(self.columns.core_start, self.columns.core_stop)

    @property
    def core_in_window(self) -> tuple[slice, slice]:
        """Where the kept part lies, as an index into the window."""
        return (
            slice(self.rows.core_start - self.rows.start, self.rows.core_stop - self.rows.start),
            slice(self.columns.core_start - self.columns.start, self.columns.core_stop - self.columns.start),
        )


def plan_tiles(height: int, width: int, *, pixels: int, overlap: int, stride: int) -> Iterator[Tile]:
    """Cut a picture into windows.

    The cores cover every pixel once. A window reaches `overlap` pixels beyond its core, except where the picture ends,
    and starts and stops at multiples of `stride`, so that a down-sampling network meets the same grid as in the whole
    picture.

    Args:
        height: Height of the picture.
        width: Width of the picture.
        pixels: Most pixels of a window; exceeded only where the core would be narrower than the overlap.
        overlap: Pixels on each side that a result pixel may depend on.
        stride: Total down-sampling of the network.

    Yields:
        The tiles, row by row; a single one if the picture fits.
    """
    window_height = min(height, max(1, math.isqrt(pixels)))
    window_width = min(width, max(1, pixels // window_height))
    window_height = min(height, max(1, pixels // window_width))
    rows = _spans(height, window_height, overlap, stride)
    columns = _spans(width, window_width, overlap, stride)
    for row in rows:
        for column in columns:
            yield Tile(row, column, (height, width))


def _spans(size: int, window: int, overlap: int, stride: int) -> list[Span]:
    if size <= window:
        return [Span(0, size, 0, size)]
    halo = math.ceil(overlap / stride) * stride
    core = max(window - 2 * halo, overlap, 1)
    # Even pieces: the last one would otherwise be nearly all overlap.
    core = math.ceil(size / math.ceil(size / core) / stride) * stride
    return [
        Span(max(start - halo, 0), min(start + core + halo, size), start, min(start + core, size))
        for start in range(0, size, core)
    ]
