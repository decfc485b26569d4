"""Boxes as every layer above the files has them: x1, y1, x2, y2 in pixels, 0-based, end-exclusive."""

from __future__ import annotations

import math
from pathlib import Path

from duskbench.data_tools.errors import DataError

Box = tuple[float, float, float, float]


# Beyond it lies a box in pixels: 1 is an edge of a box in shares of the image, and some reach a little farther.
_ONE_PIXEL = 1.5
# So few boxes of a data set may be large, or in one corner, by chance.
_FEW_LARGE, _FEW_IN_CORNER = 3, 10
_CORNER = 1 / 3


class BoxError(DataError):
    """A box has no area, or nothing of it lies inside its image."""


def clip_box(box_xyxy: Box, size: tuple[int, int] | None, *, where: str | Path | None = None) -> Box:
    """Clip a box to its image.

    Args:
        box_xyxy: The box.
        size: Width and height; None where they are unknown, and then only the left and top edges are clipped.
        where: File and line, for errors.

    Raises:
        BoxError: Nothing of the box is inside the image.
    """
    width, height = size or (math.inf, math.inf)
    x1, y1, x2, y2 = box_xyxy
    clipped = (max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height))
    if clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
        raise BoxError(
            "The box lies outside the image.",
            where=where,
            expected=f"a box that meets an image of {width} x {height}" if size else "a box right of and below 0, 0",
            got=f"x1 {x1:g}, y1 {y1:g}, x2 {x2:g}, y2 {y2:g} (0-based)",
        )
    return clipped


def doubt_of_shares(largest_edge: float) -> str | None:
    """What to say of boxes that can hardly be meant in pixels; None of others.

    Args:
        largest_edge: The largest x2 or y2 of them all; 0 where there are none.
    """
    if not 0 < largest_edge <= _ONE_PIXEL:
        return None
    return (
        "All boxes lie within one pixel of the image's corner: they seem to be shares of its width and height; "
        "multiply them by the image's size."
    )


class BoxDoubts:
    """Whether the boxes of a data set can be meant as they are read; what tells it is in all of them together."""

    def __init__(self) -> None:
        self._count = self._outside = 0
        self._largest_edge = self._reach = 0.0
        self._fit_as_corners = True

    def add(self, box_xyxy: Box, size: tuple[int, int] | None) -> None:
        """Take a box, not clipped, and the width and height of its image, None where they are unknown."""
        x1, y1, x2, y2 = box_xyxy
        width, height = size or (math.nan, math.nan)
        self._count += 1
        self._outside += x2 > width or y2 > height
        self._largest_edge = max(self._largest_edge, x2, y2)
        self._reach = max(self._reach, x2 / width, y2 / height) if size else math.inf
        self._fit_as_corners &= x1 < x2 - x1 <= width and y1 < y2 - y1 <= height

    @property
    def doubt(self) -> str | None:
        """What to say of boxes that can hardly be meant so; None of others."""
        if self._count >= _FEW_LARGE and self._fit_as_corners and 2 * self._outside > self._count:
            return (
                "Most boxes reach out of their images, and none would if their width and height were their second "
                "corner: they seem to be x1, y1, x2, y2 where x, y, width, height belong."
            )
        if self._count >= _FEW_IN_CORNER and self._largest_edge > _ONE_PIXEL and self._reach < _CORNER:
            return (
                "All boxes lie in the upper left corner, a third of the width and height of their images: they seem to "
                "be in other units, as percent, or of smaller versions of the images."
            )
        return doubt_of_shares(self._largest_edge)


def format_coordinate(value: float) -> str:
    """A coordinate as annotation files have it: `3` for 3.0, otherwise the shortest text that reads back the same."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def iou(first_xyxy: Box, second_xyxy: Box) -> float:
    """Intersection over union of two boxes with an area, 0 to 1."""
    width = min(first_xyxy[2], second_xyxy[2]) - max(first_xyxy[0], second_xyxy[0])
    height = min(first_xyxy[3], second_xyxy[3]) - max(first_xyxy[1], second_xyxy[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (first_xyxy, second_xyxy))
    return width * height / (areas - width * height)
