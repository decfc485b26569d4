"""bbGt version 3, the text files in which ExDark has its boxes.

Source: https://github.com/cs-chan/Exclusively-Dark-Image-Dataset, Groundtruth/README.md; Piotr's toolbox, bbGt.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from duskbench.data_tools.boxes import Box, BoxError, format_coordinate
from duskbench.data_tools.classes import EXDARK_CLASSES, EXDARK_TO_VOC
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.ids import read_text


class UnknownClassError(DataError):
    """An annotation names a class that ExDark does not have."""


@dataclass(frozen=True, slots=True)
class BbgtObject:
    """One object line of a bbGt file as it stands there: ExDark's class name and `l t w h` in pixels."""

    name: str
    left: float
    top: float
    width: float
    height: float
    line: int

    def box_xyxy(self, box_origin: int = 1) -> Box:
        """Box as 0-based, end-exclusive x1, y1, x2, y2, not clipped; `box_origin` is the file's first pixel, 1 or 0."""
        x1, y1 = self.left - box_origin, self.top - box_origin
        return x1, y1, x1 + self.width, y1 + self.height

    @classmethod
    def from_box(cls, name: str, box_xyxy: Box, line: int) -> BbgtObject:
        """The line of a 0-based, end-exclusive box, its first pixel 1; `box_xyxy` takes it back."""
        x1, y1, x2, y2 = box_xyxy
        return cls(name, x1 + 1, y1 + 1, x2 - x1, y2 - y1, line)


def read_bbgt(path: str | Path) -> list[BbgtObject]:
    """Read one bbGt version 3 file; see `parse_bbgt`.

    Raises:
        DataError: The file is missing, or a line is broken; says which line.
    """
    return parse_bbgt(read_text(path), where=path)


def parse_bbgt(text: str, *, where: str | Path = "text") -> list[BbgtObject]:
    """Parse bbGt text: a header, then one object a line: `class l t w h` and seven columns ExDark leaves unused.

    These would be occlusion, the visible box, `ign` and an angle. The release's README calls them unused, and its
    numbers count every box, so an `ign` that is set leaves none out.

    Args:
        text: The file's content, any line ends.
        where: The file's name, for errors.

    Returns:
        Objects in file order; an empty list for a file that holds only its header.

    Raises:
        DataError: The header is missing or a line is broken; says which line.

    Source: Groundtruth/README.md of the release.
    """
    lines = text.splitlines()
    # A file cut off at its start, or one of another format, would otherwise pass for an image without objects.
    if not lines or not lines[0].lstrip().startswith("% bbGt version="):
        raise DataError(
            "Not a bbGt annotation file.",
            where=f"{where}:1",
            expected="'% bbGt version=3' in the first line",
            got=repr(lines[0][:80]) if lines else "an empty file",
        )
    return [
        _parse_object(line, f"{where}:{number}", number)
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.lstrip().startswith("%")
    ]


def _parse_object(line: str, where: str, number: int) -> BbgtObject:
    fields = line.split()
    if len(fields) not in (5, 12):
        raise DataError(
            "Broken object line.",
            where=where,
            expected="class l t w h, and seven more columns or none",
            got=repr(line.strip()[:120]),
        )
    if fields[0] not in EXDARK_TO_VOC:
        raise UnknownClassError(
            "Unknown ExDark class.", where=where, expected=", ".join(EXDARK_CLASSES), got=repr(fields[0])
        )
    try:
        left, top, width, height = (float(field) for field in fields[1:5])
    except ValueError as error:
        raise DataError("A coordinate is not a number.", where=where, got=repr(line.strip()[:120])) from error
    if not all(math.isfinite(value) for value in (left, top, width, height)) or width <= 0 or height <= 0:
        raise BoxError("The box has no area.", where=where, expected="l t w h, w and h above 0", got=repr(line.strip()))
    return BbgtObject(fields[0], left, top, width, height, number)


def format_bbgt(objects: Iterable[BbgtObject]) -> str:
    """Format a bbGt version 3 file, the seven unused columns 0; `parse_bbgt` reads it back."""
    lines = ["% bbGt version=3"]
    for found in objects:
        box = (found.left, found.top, found.width, found.height)
        lines.append(f"{found.name} {' '.join(map(format_coordinate, box))} 0 0 0 0 0 0 0")
    return "".join(f"{line}\n" for line in lines)
