"""The class names of a detector in an ONNX file."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from duskbench.data_tools.classes import COCO_91_CLASSES, COCO_CLASSES, VOC_CLASSES, class_list, real_classes
from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.ids import read_names

# ultralytics' first.
_KEYS = ("names", "class_names", "classes", "labels")
_TODO = "pass `classes`, a list with a name for each output, 'N/A' for one that stands for nothing"
_BY_COUNT = {len(names): names for names in (VOC_CLASSES, COCO_CLASSES, COCO_91_CLASSES)}


def metadata_value(text: str | None) -> Any:
    """What a value of a model's metadata says, in Python's spelling or JSON's; None where it is absent or neither."""
    for parse in (ast.literal_eval, json.loads):
        try:
            return parse(text or "None")
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None


def _stated_names(metadata: Mapping[str, str], path: Path) -> tuple[str, ...]:
    """Class names in a model's metadata, a list or a dict by number as ultralytics writes it; empty if absent.

    Raises:
        ConfigError: They cannot be read, or a dict leaves a number out: guessing from how many there are would name
            them wrongly.
    """
    values = {key: metadata_value(metadata[key]) for key in _KEYS if metadata.get(key)}
    # A number says how many there are.
    key = next((each for each, value in values.items() if not isinstance(value, int)), _KEYS[0])
    names = values.get(key)
    if isinstance(names, dict):
        by_number = {str(number): name for number, name in names.items()}
        if by_number.keys() != set(map(str, range(len(names)))):
            raise ConfigError(
                "The class names in the metadata of the ONNX detector are not numbered from 0.",
                where=path,
                expected=f"0 to {len(names) - 1}",
                got=", ".join(map(str, names))[:200],
                todo=_TODO,
            )
        names = [by_number[str(number)] for number in range(len(names))]
    if key in values and not (isinstance(names, list | tuple) and all(isinstance(name, str | int) for name in names)):
        raise ConfigError(
            "The class names in the metadata of the ONNX detector cannot be read.",
            where=path,
            expected=f"{key}: a list of names, or a dict of them by number from 0",
            got=metadata[key][:200],
            todo=_TODO,
        )
    return tuple(map(str, names or ()))


def class_files(path: Path) -> list[Path]:
    """Where names may stand beside a model: in a file of its own, and in two that several may share."""
    return [path.with_name(name) for name in (f"{path.stem}_classes.txt", "classes.txt", "voc_classes.txt")]


def class_names(
    path: Path, count: int | None, given: str | Sequence[str] | None, metadata: Mapping[str, str]
) -> tuple[str, ...]:
    """Names of a model's outputs, background and gaps among them.

    Args:
        path: The model's file.
        count: Its number of outputs, or None where only the best class of each box is known.
        given: What the user says.
        metadata: What the file says of itself.

    Raises:
        ConfigError: Nothing says them, two are equal, or they are of another number.
    """
    own, *others = class_files(path)
    stated = _stated_names(metadata, path) if given is None and not own.is_file() else ()
    beside = next((file for file in others if file.is_file()), None)
    if given is not None:
        names, origin = class_list(given), "the argument `classes`"
    elif own.is_file():
        names, origin = tuple(read_names(own)), str(own)
    elif stated:
        names, origin = stated, "its metadata"
    elif beside is not None:
        names, origin = tuple(read_names(beside)), str(beside)
    elif count in _BY_COUNT:
        names, origin = _BY_COUNT[count], "the number of outputs"
    else:
        raise ConfigError(
            "The class names of the ONNX detector are not known.",
            where=path,
            expected=f"{count or 'its'} class names",
            got=f"none of {', '.join(file.name for file in (own, *others))} beside it, and no `names` in its metadata",
            todo=f"write one name a line to {own}, or pass `classes`, a list, 'coco', 'coco91', 'voc' or 'exdark'",
        )
    real = real_classes(names)
    if len(set(real)) < len(real):
        twice = ", ".join(sorted(name for name in set(real) if real.count(name) > 1))
        raise ConfigError("The class names of the ONNX detector are not all different.", where=origin, got=twice)
    # A softmax has a last output for no object, which is no candidate.
    if count is not None and len(names) == count + 1 and not real_classes(names[-1:]):
        names = names[:-1]
    if count is not None and len(names) != count:
        raise ConfigError(
            "The class names do not fit the ONNX detector.",
            where=path,
            expected=f"{count} names",
            got=f"{len(names)} from {origin}",
        )
    return names
