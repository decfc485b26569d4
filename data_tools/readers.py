"""A reader of data sets is built, and what a reader from outside says of its images is checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.data_tools.findings import Finding, Severity
from duskbench.data_tools.plugins import naming
from duskbench.data_tools.records import Dataset, ImageRecord, ObjectAnnotation
from duskbench.data_tools.registry import build, check_arguments

# Splits that a layout without splits has.
WHOLE = ("all", "test")


def build_reader(
    code: Any, layout: str, root: Path, split: str | None, options: Mapping[str, Any], **offered: Any
) -> Dataset:
    """Build a reader.

    Args:
        code: Its class.
        layout: What it is called, for errors.
        root: The data set's folder.
        split: Which split; None for all of it.
        options: Further arguments.
        offered: Arguments that it gets where it takes them.

    Raises:
        UnknownNameError: It has no such option, or no splits.
        ConfigError: The code is no reader.
        DataError: It fails.
    """
    arguments = {**options, "root": root}
    if "split" in check_arguments(code, layout, arguments):
        # An empty name is none of its splits.
        arguments["split"] = "all" if split is None else split
    elif split is not None and split not in WHOLE:
        what = "a plain folder" if layout == "folder" else f"{layout}, which has none"
        raise UnknownNameError(f"split of {what}", split, WHOLE, where=root)
    with naming(DataError, "The data set's reader fails.", code, root):
        dataset = build(code, layout, arguments, **offered)
    if not isinstance(dataset, Dataset):
        raise ConfigError(
            "The layout names no reader of data sets.",
            where=layout,
            expected="a class derived from duskbench.Dataset",
            got=type(dataset).__name__,
        )
    if not hasattr(dataset, "counts"):
        raise ConfigError(
            "The reader's constructor leaves out what every data set has.",
            where=layout,
            expected="a call of super().__init__(root, ids)",
            got=f"no such call in {type(dataset).__name__}",
        )
    return dataset


def checked_record(record: Any, image_id: str, where: str) -> ImageRecord:
    """What a reader says of an image, in plain values.

    Args:
        record: What its `annotation` returned.
        image_id: The image that was asked for.
        where: For errors.

    Raises:
        DataError: It is no `ImageRecord` of that image, or a field is not of its kind.
    """
    if not isinstance(record, ImageRecord):
        raise _broken(where, "an ImageRecord", record)
    if record.id != image_id:
        raise _broken(where, f"the record of {image_id!r}", record.id)
    for name in ("split", "lighting", "group"):
        _check(getattr(record, name), str, where, name)
    _check(record.indoor, bool, where, "indoor")
    objects = record.objects
    if objects is not None:
        if not isinstance(objects, Iterable):
            raise _broken(where, "objects: a tuple of ObjectAnnotation, or None", objects)
        objects = tuple(_checked_object(one, f"{where}, object {n}") for n, one in enumerate(objects, start=1))
    size = None if record.size is None else _numbers(record.size, 2, where, "size: width and height")
    if size is not None and not all(side >= 1 and side == int(side) for side in size):
        raise _broken(where, "size: width and height in whole pixels", record.size)
    return replace(
        record,
        path=checked_path(record.path, where),
        objects=objects,
        size=None if size is None else (int(size[0]), int(size[1])),
    )


def checked_path(path: Any, where: str) -> Path:
    """A path that a reader gave.

    Raises:
        DataError: It is none.
    """
    if not isinstance(path, str | Path) or not str(path):
        raise _broken(where, "a path", path)
    return Path(path)


def check_same_file(path: Path, image_path: Any, where: str) -> None:
    """The image is looked for in one place and read in the other.

    Raises:
        DataError: A record's path is not the one that the reader's `image_path` gives.
    """
    if path.resolve() != checked_path(image_path, where).resolve():
        raise _broken(where, f"path: {image_path}, as image_path says", str(path))


def checked_finding(finding: Any, where: str) -> Finding:
    """What a reader found wrong.

    Raises:
        DataError: It is no `Finding` with a severity and texts.
    """
    if not isinstance(finding, Finding) or finding.severity not in get_args(Severity):
        raise _broken(where, f"a Finding of severity {', '.join(get_args(Severity))}", finding)
    return replace(finding, code=str(finding.code), file=str(finding.file), message=str(finding.message))


def _checked_object(one: Any, where: str) -> ObjectAnnotation:
    if not isinstance(one, ObjectAnnotation):
        raise _broken(where, "an ObjectAnnotation", one)
    if not isinstance(one.name, str) or not one.name.strip():
        raise _broken(where, "name: a class's", one.name)
    _check(one.truncated, bool, where, "truncated")
    _check(one.pose, str, where, "pose")
    if one.difficult not in (True, False, None):
        # Any text is true, "0" as well.
        raise _broken(where, "difficult: True or False", one.difficult)
    x1, y1, x2, y2 = _numbers(one.box_xyxy, 4, where, "box_xyxy: x1, y1, x2, y2")
    return replace(one, box_xyxy=(x1, y1, x2, y2), difficult=bool(one.difficult))


def _numbers(given: Any, count: int, where: str, expected: str) -> list[float]:
    try:
        numbers = [] if isinstance(given, str) else [float(each) for each in given]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise _broken(where, f"{expected}, finite numbers", given)
    return numbers


def _check(value: Any, kind: type, where: str, name: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise _broken(where, f"{name}: {kind.__name__} or None", value)


def _broken(where: str, expected: str, got: Any) -> DataError:
    return DataError("The data set's reader broke its contract.", where=where, expected=expected, got=repr(got)[:100])
