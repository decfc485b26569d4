"""PASCAL VOC annotation files: XML read and written, and the one place where 1-based pixels become 0-based and back.

Source: the VOC development kit, VOCcode/PASreadrecord.m and its annotation files.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from duskbench.data_tools.boxes import Box, BoxError, format_coordinate
from duskbench.data_tools.classes import INDOOR_OUTDOOR, LIGHTING_TYPES, OUTSIDE_VOC
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.files import open_file
from duskbench.data_tools.records import ObjectAnnotation

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_ENCODING = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["'](?P<name>[\w.-]+)["'][^>]*\?>""")
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_SIDES = ("width", "height", "depth")
# What declares the smaller set is often written in the larger.
_SUPERSETS = {
    "ascii": "utf-8", "us-ascii": "utf-8", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932",
    "euc-kr": "cp949",
}  # fmt: skip


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
        oddities: What was read otherwise than it is written, one sentence each.
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
    oddities: tuple[str, ...] = ()


def from_voc_box(box_1based: Box) -> Box:
    """Turn VOC's 1-based inclusive xmin, ymin, xmax, ymax into 0-based end-exclusive x1, y1, x2, y2."""
    xmin, ymin, xmax, ymax = box_1based
    return xmin - 1, ymin - 1, xmax, ymax


def to_voc_box(box_xyxy: Box) -> Box:
    """Turn a 0-based end-exclusive x1, y1, x2, y2 into VOC's 1-based inclusive xmin, ymin, xmax, ymax."""
    x1, y1, x2, y2 = box_xyxy
    return x1 + 1, y1 + 1, x2, y2


def read_annotation(path: str | Path) -> VOCAnnotation:
    """Read one VOC annotation file; see `parse_annotation`.

    Raises:
        DataError: The file is missing or broken.
    """
    try:
        with open_file(path) as file:
            data = file.read()
    except OSError as error:
        raise DataError("Cannot read the annotation.", where=path, got=str(error)) from error
    return parse_annotation(data, where=path)


def parse_annotation(data: bytes, *, where: str | Path = "bytes") -> VOCAnnotation:
    """Parse the bytes of a VOC annotation file.

    `pose` and `truncated` may be missing or hold any word (None), `difficult` too (False; a word that is neither yes
    nor no is named in `oddities`); tags may be in capitals; coordinates may be fractions, as some of VOC2011's are.
    Each box of an object is an object of its own, as some labelling tools write them. Boxes inside an object's `part`
    are not objects.

    Raises:
        DataError: Not XML, XML with entities or external references, or an object without one name, box or area.
    """
    root = _parse_xml(data.lstrip(), where)
    lower_tags(root.iter())
    if root.tag != "annotation":
        raise DataError("Not a VOC annotation.", where=where, expected="<annotation>", got=f"<{root.tag}>")
    oddities: list[str] = []
    sizes = root.findall("size")
    if len(sizes) > 1:
        oddities.append(f"there are {len(sizes)} <size>, and none is taken")
    width, height, depth = (_integer(sizes[0], key) if len(sizes) == 1 else None for key in _SIDES)
    lighting, place = root.findtext("lighting"), root.findtext("indoor_outdoor")
    # Some tools put them into a list of their own.
    elements = enumerate(root.iter("object"), 1)
    return VOCAnnotation(
        file=_text(root, "filename"),
        size=(width, height) if width and height else None,
        objects=tuple(one for index, element in elements for one in _parse_object(element, index, where, oddities)),
        depth=depth,
        folder=_text(root, "folder"),
        lighting=lighting if lighting in LIGHTING_TYPES else None,
        indoor=place == "Indoor" if place in INDOOR_OUTDOOR else None,
        source=tuple((child.tag, child.text.strip()) for child in root.iterfind("source/*") if child.text),
        segmented={"0": False, "1": True}.get(root.findtext("segmented", "").strip()),
        oddities=tuple(oddities),
    )


def lower_tags(elements: Iterable[Element]) -> None:
    """Put tags into lower case: an `<Object>` would not be found, and be lost without a word."""
    for element in elements:
        element.tag = element.tag.lower()


def _parse_xml(data: bytes, where: str | Path) -> Element:
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    encoding = _encoding_of(data)
    try:
        # Expat knows no multi-byte encoding but UTF; Python does, and in text that is decoded it passes over the name.
        return fromstring(data.decode(_SUPERSETS.get(encoding, encoding)).lstrip())
    except (UnicodeDecodeError, LookupError) as error:
        raise DataError(
            f"The annotation's encoding {encoding} cannot be read.",
            where=where,
            got=str(error),
            todo="save it as UTF-8",
        ) from error
    except (ParseError, DefusedXmlException, ValueError) as error:
        is_broken = isinstance(error, ParseError)
        raise DataError(
            "The annotation is no safe XML.",
            where=where,
            got=str(error) or type(error).__name__,
            todo="correct it there: in a text, & is written &amp; and < is written &lt;" if is_broken else None,
        ) from error


def _encoding_of(data: bytes) -> str:
    """The encoding of XML: the UTF that its first bytes are in, else the one that it declares."""
    stored, declared = json.detect_encoding(data), _ENCODING.match(data)
    name = declared["name"].decode("ascii").lower() if declared else "utf-8"
    # .NET declares UTF-16 in what it writes as UTF-8.
    return stored if stored != "utf-8" or name.startswith("utf-16") else name


def _parse_object(element: Element, index: int, where: str | Path, oddities: list[str]) -> Iterator[ObjectAnnotation]:
    """The objects of an <object>: one for each of its boxes."""
    name = _text(element, "name")
    place = f"{where}, object {index} ({name})"
    if name is None:
        raise DataError("An object has no name.", where=place, expected="<name> inside <object>")
    _only(element, "name", place)
    _only(element, "difficult", place)
    said = _text(element, "difficult")
    difficult = False if said is None else _switch(said)
    if difficult is None:
        oddities.append(f"object {index} ({name}): <difficult> is {said!r}, read as 0")
    for box in element.findall("bndbox") or [element]:
        yield ObjectAnnotation(
            name=name,
            box_xyxy=_parse_box(box, place),
            difficult=bool(difficult),
            truncated=_switch(_text(element, "truncated")),
            pose=_text(element, "pose"),
        )


def _parse_box(element: Element, place: str) -> Box:
    for edge in _EDGES:
        _only(element, edge, place)
    edges = [_text(element, edge) or "" for edge in _EDGES]
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
    return box


def _only(element: Element, tag: str, where: str | Path) -> Element | None:
    """The child of a tag, or None; where there are several, none of them is to be believed."""
    found = element.findall(tag)
    if len(found) > 1:
        got = ", ".join((each.text or "").strip() for each in found)
        raise DataError(f"There are several <{tag}>.", where=where, expected=f"one in <{element.tag}>", got=got)
    return found[0] if found else None


def _text(element: Element, tag: str) -> str | None:
    text = (element.findtext(tag) or "").strip()
    return text or None


def _integer(element: Element, tag: str) -> int | None:
    """A number, or None where there is none: nothing depends on it."""
    try:
        return int(float(_text(element, tag) or ""))
    except (ValueError, OverflowError):
        return None


def _switch(text: str | None) -> bool | None:
    """Yes or no, in words or as a number; None for anything else."""
    word = (text or "").lower()
    if word in ("true", "yes", "y"):
        return True
    if word in ("false", "no", "n"):
        return False
    try:
        return bool(int(float(word)))
    except (ValueError, OverflowError):
        return None


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
