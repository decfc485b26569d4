"""PASCAL VOC annotation files: XML read and written, and the one place where 1-based pixels become 0-based and back.

Source: the VOC development kit, VOCcode/PASreadrecord.m and its annotation files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from duskbench.data_tools.boxes import Box, BoxError, format_coordinate
from duskbench.data_tools.classes import INDOOR_OUTDOOR, LIGHTING_TYPES, OUTSIDE_VOC, VOC_CLASSES
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.files import write_text
from duskbench.data_tools.records import ObjectAnnotation

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


@dataclass(frozen=True)
class VOCAnnotation:
    """What a VOC annotation file says.

    Attributes:
        file: Name of the image file, or None where the XML does not say.
        size: Width and height, or None where they are absent or 0.
        depth: Number of channels, or None.
        objects: The objects, with 0-based boxes.
        folder: The XML's `folder`, or None.
        lighting: One of `classes.LIGHTING_TYPES`; only in trees converted from ExDark.
        indoor: True or False; only in trees converted from ExDark.
        source: Tag and text of what the XML's `source` holds (`database`, `annotation`, `image`), in its order.
        segmented: Whether the image is among the segmented ones, or None where the XML does not say 0 or 1.
    """

    file: str | None
    size: tuple[int, int] | None
    objects: tuple[ObjectAnnotation, ...]
    depth: int | None = None
    folder: str | None = None
    lighting: str | None = None
    indoor: bool | None = None
    source: tuple[tuple[str, str], ...] = ()
    segmented: bool | None = None


def from_voc_box(box_1based: Box) -> Box:
    """Turn VOC's 1-based inclusive xmin, ymin, xmax, ymax into 0-based end-exclusive x1, y1, x2, y2."""
    xmin, ymin, xmax, ymax = box_1based
    return xmin - 1, ymin - 1, xmax, ymax


def to_voc_box(box_xyxy: Box) -> Box:
    """Turn a 0-based end-exclusive x1, y1, x2, y2 into VOC's 1-based inclusive xmin, ymin, xmax, ymax."""
    x1, y1, x2, y2 = box_xyxy
    return x1 + 1, y1 + 1, x2, y2


def normalise_class(name: str) -> str:
    """Bring a class name to VOC's spelling where only case, blanks, `_`, `-` or `/` differ; any other stays as it is.

    `TV Monitor` -> `tvmonitor`, ` Person ` -> `person`; `People` stays `People`, for what it means is not this file's
    to say.
    """
    squeezed = name.lower().translate({ord(mark): None for mark in " \t\r\n_-/"})
    return squeezed if squeezed in VOC_CLASSES or squeezed in OUTSIDE_VOC else name.strip()


def read_annotation(path: str | Path) -> VOCAnnotation:
    """Read one VOC annotation file; see `parse_annotation`.

    Raises:
        DataError: The file is missing or broken.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError("Cannot read the annotation.", where=path, got=str(error)) from error
    return parse_annotation(data, where=path)


def parse_annotation(data: bytes, *, where: str | Path = "bytes") -> VOCAnnotation:
    """Parse the bytes of a VOC annotation file.

    `pose` and `truncated` may be missing (None), `difficult` too (False); coordinates may be fractions, as some of
    VOC2011's are. Boxes inside an object's `part` are not objects.

    Raises:
        DataError: Not XML, XML with entities or external references, or an object without name, box or area.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(data)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise DataError(
            "The annotation is no safe XML.", where=where, got=str(error) or type(error).__name__
        ) from error
    if root.tag != "annotation":
        raise DataError("Not a VOC annotation.", where=where, expected="<annotation>", got=f"<{root.tag}>")
    width, height, depth = (_integer(root, f"size/{key}", where) for key in ("width", "height", "depth"))
    lighting, place = root.findtext("lighting"), root.findtext("indoor_outdoor")
    return VOCAnnotation(
        file=_text(root, "filename"),
        size=(width, height) if width and height else None,
        objects=tuple(_parse_object(element, index, where) for index, element in enumerate(root.findall("object"), 1)),
        depth=depth,
        folder=_text(root, "folder"),
        lighting=lighting if lighting in LIGHTING_TYPES else None,
        indoor=place == "Indoor" if place in INDOOR_OUTDOOR else None,
        source=tuple((child.tag, child.text.strip()) for child in root.iterfind("source/*") if child.text),
        segmented={"0": False, "1": True}.get(root.findtext("segmented", "").strip()),
    )


def _parse_object(element: Element, index: int, where: str | Path) -> ObjectAnnotation:
    name = _text(element, "name")
    place = f"{where}, object {index} ({name})"
    if name is None:
        raise DataError("An object has no name.", where=place, expected="<name> inside <object>")
    edges = [element.findtext(f"bndbox/{edge}", "") for edge in ("xmin", "ymin", "xmax", "ymax")]
    try:
        xmin, ymin, xmax, ymax = (float(edge) for edge in edges)
    except ValueError as error:
        raise DataError(
            "An object has no complete box.",
            where=place,
            expected="four numbers in <bndbox>",
            got=", ".join(map(repr, edges)),
        ) from error
    box = from_voc_box((xmin, ymin, xmax, ymax))
    if not all(map(math.isfinite, box)) or box[0] >= box[2] or box[1] >= box[3]:
        raise BoxError("The box has no area.", where=place, expected="xmin <= xmax, ymin <= ymax", got=", ".join(edges))
    truncated = _integer(element, "truncated", place)
    return ObjectAnnotation(
        name=normalise_class(name),
        box_xyxy=box,
        difficult=bool(_integer(element, "difficult", place)),
        truncated=None if truncated is None else bool(truncated),
        pose=_text(element, "pose"),
    )


def _text(element: Element, tag: str) -> str | None:
    text = (element.findtext(tag) or "").strip()
    return text or None


def _integer(element: Element, tag: str, where: str | Path) -> int | None:
    text = _text(element, tag)
    if text is None:
        return None
    try:
        return int(float(text))
    except (ValueError, OverflowError) as error:
        raise DataError(f"<{tag}> is not a number.", where=where, got=repr(text)) from error


def format_annotation(annotation: VOCAnnotation) -> str:
    """Format a VOC annotation file; what is None is left out, and reading the text back gives `annotation` again.

    A size that is not known is written as 0 x 0, which parsers that insist on `<size>` accept. An object whose class
    VOC does not have (`classes.OUTSIDE_VOC`) gets `<protocol>outside</protocol>`, which they pass over.
    """
    width, height = annotation.size or (0, 0)
    lines = ["<annotation>"]
    lines += _leaf("folder", annotation.folder) + _leaf("filename", annotation.file)
    if annotation.source:
        said = (leaf for tag, text in annotation.source for leaf in _leaf(tag, text, "\t\t"))
        lines += ["\t<source>", *said, "\t</source>"]
    lines += ["\t<size>", f"\t\t<width>{width}</width>", f"\t\t<height>{height}</height>"]
    lines += [*_leaf("depth", annotation.depth, "\t\t"), "\t</size>"]
    lines += _leaf("segmented", None if annotation.segmented is None else int(annotation.segmented))
    lines += _leaf("lighting", annotation.lighting)
    if annotation.indoor is not None:
        lines += _leaf("indoor_outdoor", INDOOR_OUTDOOR[0 if annotation.indoor else 1])
    for found in annotation.objects:
        lines += _format_object(found)
    return "\n".join([*lines, "</annotation>", ""])


def _format_object(found: ObjectAnnotation) -> list[str]:
    edges = zip(("xmin", "ymin", "xmax", "ymax"), to_voc_box(found.box_xyxy), strict=True)
    return [
        "\t<object>",
        *_leaf("name", found.name, "\t\t"),
        *_leaf("pose", found.pose, "\t\t"),
        *_leaf("truncated", None if found.truncated is None else int(found.truncated), "\t\t"),
        f"\t\t<difficult>{int(found.difficult)}</difficult>",
        *(["\t\t<protocol>outside</protocol>"] if found.name in OUTSIDE_VOC else []),
        "\t\t<bndbox>",
        *(f"\t\t\t<{edge}>{format_coordinate(value)}</{edge}>" for edge, value in edges),
        "\t\t</bndbox>",
        "\t</object>",
    ]


def _leaf(tag: str, value: str | int | None, indent: str = "\t") -> list[str]:
    return [] if value is None else [f"{indent}<{tag}>{escape(str(value), quote=False)}</{tag}>"]


def write_annotation(path: str | Path, annotation: VOCAnnotation) -> None:
    """Write a VOC annotation file atomically; see `format_annotation`."""
    write_text(path, format_annotation(annotation))
