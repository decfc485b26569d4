"""COCO's annotation files: which files of a folder they are, of which split, and what is in them as it stands."""

from __future__ import annotations

import json
import mmap
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duskbench.data_tools.classes import SPLITS
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.data_tools.files import open_file

# Roboflow puts this file into each split's folder, beside the images.
_ROBOFLOW = "_annotations.coco.json"
_PLAIN_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class CocoFile:
    """An annotation file, and what is known of all its images: their split and group."""

    path: Path
    split: str | None = None
    group: str | None = None

    @property
    def is_beside_images(self) -> bool:
        """Whether its format puts it into the folder of its images, as Roboflow's does."""
        return self.path.name == _ROBOFLOW

    @property
    def name(self) -> str:
        """What tells it from others of its data set: its own name, or its folder's where all are named alike."""
        return self.path.parent.name if self.is_beside_images else self.path.stem


def find_annotation_files(root: Path) -> list[CocoFile]:
    """The files in COCO's format of a folder, with their splits; see `coco.COCO`."""
    folders = [root, *(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))]
    files = []
    for folder in folders:
        is_place = folder == root or folder.name.lower() == "annotations"
        pattern = "*.json" if is_place else _ROBOFLOW
        files += [path for path in folder.glob(pattern) if not path.name.startswith(".") and _looks_like_coco(path)]
    instances = [path for path in files if path.name.startswith("instances")]
    return [CocoFile(path, split_named(CocoFile(path).name)) for path in sorted(instances or files)]


def _looks_like_coco(path: Path) -> bool:
    """Whether an object in a file has COCO's keys, in any order; half a gigabyte is searched, not parsed."""
    try:
        with open_file(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            encoding = json.detect_encoding(data[:4])
            if encoding.startswith("utf-8"):
                return _has_coco_keys(data)
            return _has_coco_keys(data[:].decode(encoding, "replace").encode("utf-8", "replace"))
    except (OSError, ValueError):  # an empty file cannot be mapped
        return False


def _has_coco_keys(text: bytes | mmap.mmap) -> bool:
    def has(pattern: bytes) -> bool:
        return re.search(pattern, text) is not None

    images, annotations, categories = (rb'"%s"\s*:\s*\[' % key for key in (b"images", b"annotations", b"categories"))
    is_object = re.match(rb"(?:\xef\xbb\xbf)?\s*\{", text) is not None
    return is_object and has(images) and (has(b'"bbox"') or (has(annotations) and has(categories)))


def split_named(name: str) -> str | None:
    """The split that the name of a file or folder has as a word (`instances_val2017`, `valid`); None if it has none."""
    words = re.findall(r"[a-z]+", name.lower())
    return next((split for split in SPLITS if split in words or (split == "val" and "valid" in words)), None)


def choose_files(root: Path, files: list[CocoFile], split: str) -> list[CocoFile]:
    """Of a folder's annotation files those of a split; see `coco.COCO`.

    Raises:
        DataError: There is no file at all.
        UnknownNameError: There is none of this split.
        ConfigError: There are several of it.
    """
    if not files:
        raise DataError(
            "No annotation file in COCO's format.",
            where=root,
            expected="a JSON file with images, annotations and categories, in the folder or in its `annotations`",
            got="none",
            todo="name it: annotations=FILE",
        )
    named = [one for one in files if split in ("all", one.path.stem)] or [one for one in files if one.split == split]
    if not named and len(files) == 1 and files[0].split is None and split == "test":
        named = files
    if not named:
        names = {one.split or one.path.stem for one in files}
        raise UnknownNameError("split of the COCO files", split, [*names, "all"], where=root)
    if len(named) > 1 and split != "all":
        got = ", ".join(one.path.stem for one in named)
        raise ConfigError(
            "Several files have this split.", where=root, expected="one", got=got, todo="name one: --split"
        )
    return named


def spellings(number: Any) -> tuple[Any, ...]:
    """An id as it is, and `"12"` for 12 or 12 for `"12"`: programs disagree on whether an id is a text."""
    if isinstance(number, str):
        return (number, int(number)) if _PLAIN_NUMBER.fullmatch(number) else (number,)
    whole = isinstance(number, int) or (isinstance(number, float) and number.is_integer())
    return (number, str(int(number))) if whole else (number,)


def read_json(path: Path) -> dict[str, Any]:
    """Read a file in COCO's format.

    Raises:
        DataError: It is no JSON, or lacks one of the lists `images`, `annotations` and `categories`.
    """
    try:
        with open_file(path) as file:
            content = json.loads(file.read())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError("Cannot read the annotation file.", where=path, expected="JSON", got=str(error)) from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(
                "The annotation file is not in COCO's format.",
                where=path,
                expected="an object with the lists images, annotations and categories",
                got=f"no list {key}" if isinstance(content, dict) else type(content).__name__,
            )
    return content
