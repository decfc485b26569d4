"""What another program detected, read from a results file: a detector that looks its answers up."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from duskbench.data_tools.classes import VOC_CLASSES, canonical, class_list, real_classes
from duskbench.data_tools.coco import read_json, same_number
from duskbench.data_tools.errors import DataError, DetectorError, UnknownNameError
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.fingerprint import fingerprint, identity
from duskbench.data_tools.ids import UnknownIdError, bare_id
from duskbench.pipeline.detectors.base import Detections


class ResultsFile:
    """The detections of a COCO-style results file, by image id.

    Args:
        path: JSON. A list of `{"image_id", "category_id", "bbox": [x, y, width, height], "score"}` in 0-based
            continuous pixels, or a dict with such a list under `annotations` or `detections`, and with COCO's
            `categories` and `images`, either of which may be missing. An `image_id` is a file name with or without
            folder and extension, or its number (`12` for `000012`). A `category_id` is a number as in `categories`, by
            default the 1-based position in `classes`; or a class name, which may also stand under `category`.
        classes: Class names, or `voc`, `exdark`, `coco` or, for COCO's own numbers, `coco91`; default: those of
            `categories`, or else VOC's.
        annotations: Annotation files in COCO's format that say which image and class a number is, as pycocotools reads
            results, where this file lacks `images` or `categories`; a run gives those of its data set.

    Raises:
        DataError: The file is missing, is no such JSON, or has an unusable entry, which is named by its position.
        UnknownNameError: An entry names a class that is not known.
    """

    batch_size = 1

    def __init__(
        self,
        path: str | Path,
        classes: str | Sequence[str] | None = None,
        annotations: str | Sequence[str] | None = None,
    ) -> None:
        self.path = Path(path)
        entries, categories, self._file_names = _read(self.path)
        self.weights = {"results": file_sha256(self.path)}
        asks_classes = not categories and not classes and _has_numbers(entries, "category_id")
        asks_images = not self._file_names and _has_numbers(entries, "image_id")
        if annotations and (asks_classes or asks_images):
            files = [Path(annotations)] if isinstance(annotations, str) else [Path(each) for each in annotations]
            numbered = [_numbers(read_json(file), file) for file in files]
            if asks_classes:
                categories = _one_each([each for each, _ in numbered], files)
            if asks_images:
                self._file_names = _one_each([images for _, images in numbered], files)
            self.weights |= {f"annotations {number}": file_sha256(file) for number, file in enumerate(files, start=1)}
        listed = class_list(classes) if classes else tuple(categories.values()) or VOC_CLASSES
        names = tuple(dict.fromkeys(real_classes(listed)))
        self.classes: tuple[str, ...] = names
        # Where background is listed, as in COCO-91, it has number 0.
        first = 1 if listed[0] in names else 0
        by_position = {number: name for number, name in enumerate(listed, start=first) if name in names}
        self._numbered = categories or by_position
        self._has_categories = bool(categories)
        self.name = self.path.name
        arguments = {"classes": names}
        self.identity = identity(arguments, self.weights)
        self.fingerprint = fingerprint(type(self), arguments, self.weights)
        self._by_image: dict[Any, list[tuple[float, ...]]] = {}
        self._first_entry: dict[Any, int] = {}
        labels: dict[Any, int] = {}
        for position, entry in enumerate(entries):
            image, row = self._parse(position, entry, labels)
            self._by_image.setdefault(image, []).append(row)
            self._first_entry.setdefault(image, position)

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Nothing can be detected in an image that has no id.

        Raises:
            DetectorError: Always.
        """
        raise DetectorError(
            "A results file knows images by their ids only.", where=self.path, todo="use it in `duskbench run`"
        )

    def detect_by_id(self, image_ids: Sequence[str]) -> list[Detections]:
        """What the file has of each image; nothing for an image that it does not name."""
        return [self._detections(image_id) for image_id in image_ids]

    def check_images(self, image_ids: Iterable[str], *, all_known: bool = True) -> None:
        """See that the file speaks of these images.

        Args:
            image_ids: Of the data set.
            all_known: Whether every entry must be of one of them, or only some.

        Raises:
            UnknownIdError: An entry is of another image, or of several by its number; or all entries are.
        """
        known = set(image_ids)
        numbered = Counter(map(_number, known))
        unknown = {}
        for image, position in self._first_entry.items():
            names = self._names_of(image)
            same_number = numbered[_number(names[-1])]
            if known.isdisjoint(names) and same_number != 1:
                unknown[names[0]] = position
                if all_known or same_number:
                    break
        else:
            if all_known or len(unknown) < len(self._first_entry):
                return
        if unknown:
            name, position = next(reversed(unknown.items()))
            raise UnknownIdError(name, known, where=f"{self.path}, entry {position}")

    def _detections(self, image_id: str) -> Detections:
        rows = [row for image in self._images_named(image_id) for row in self._by_image[image]]
        table = np.array(rows, np.float64).reshape(-1, 6)
        order = np.argsort(-table[:, 4], kind="stable")
        table = table[order]
        return Detections(
            table[:, :4].astype(np.float32), table[:, 4].astype(np.float32), table[:, 5].astype(np.int64), self.classes
        )

    def _images_named(self, image_id: str) -> list[Any]:
        # `12` in the file is 000012 here; where the file names it in full, other spellings are other images.
        spellings = (image_id, f"*/{image_id}", _number(image_id))
        return next(filter(None, (self._images_by_name.get(each) for each in spellings)), [])

    @cached_property
    def _images_by_name(self) -> dict[str, list[Any]]:
        by_name: dict[str, list[Any]] = {}
        for image in self._by_image:
            whole, *within = self._names_of(image)
            for key in {whole, *(f"*/{name}" for name in within), _number([whole, *within][-1])}:
                by_name.setdefault(key, []).append(image)
        return by_name

    def _names_of(self, image: Any) -> list[str]:
        """The ids that an image may have in a data set: without extension, with ever fewer folders, of Windows too."""
        parts = PurePosixPath(bare_id(str(self._file_names.get(image, image)))).parts
        return ["/".join(parts[first:]) for first in range(len(parts))] or [""]

    def _parse(self, position: int, entry: Any, labels: dict[Any, int]) -> tuple[Any, tuple[float, ...]]:
        try:
            category = entry["category_id"] if "category_id" in entry else entry["category"]
            image, (x, y, width, height), score = entry["image_id"], entry["bbox"], float(entry["score"])
            row = (float(x), float(y), float(x) + float(width), float(y) + float(height), score)
            given = (x, y, width, height, entry["score"])
            usable = (
                all(type(each) in (int, float) for each in given)
                and all(map(math.isfinite, row))
                and width >= 0
                and height >= 0
                and 0 <= score <= 1
            )
            if category not in labels:
                labels[category] = self.classes.index(self._class_of(category, position))
            hash(image)
        except (KeyError, TypeError, ValueError) as error:
            raise self._unusable(position, entry) from error
        if not usable:
            raise self._unusable(position, entry)
        return image, (*row, labels[category])

    def _class_of(self, category: Any, position: int) -> str:
        where = f"{self.path}, entry {position}"
        if category in self._numbered:
            return self._numbered[category]
        if isinstance(category, str):
            return known_class(category, self.classes, where=where)
        raise DataError(
            "A category_id names no class.",
            where=where,
            expected=", ".join(f"{number} {name}" for number, name in self._numbered.items()),
            got=repr(category),
            todo=None
            if self._has_categories
            else "numbers start at 1; a `categories` list in the file can say otherwise",
        )

    def _unusable(self, position: int, entry: Any) -> DataError:
        return DataError(
            "An entry of the results file is not usable.",
            where=f"{self.path}, entry {position}",
            expected="image_id, category_id, bbox [x, y, width, height] and score from 0 to 1, all numbers finite",
            got=repr(entry)[:200],
        )


def _read(path: Path) -> tuple[list[Any], dict[Any, str], dict[Any, str]]:
    """Entries, and what `categories` and `images` say, empty where the file lacks them."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError("Cannot read the results file.", where=path, expected="JSON", got=str(error)) from error
    if isinstance(content, list):
        return content, {}, {}
    entries = content.get("annotations", content.get("detections")) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise DataError(
            "The file holds no list of detections.",
            where=path,
            expected="a list, or a dict with a list under `annotations` or `detections`",
            got=type(content).__name__ if not isinstance(content, dict) else f"keys {', '.join(sorted(content))}",
        )
    return (entries, *_numbers(content, path))


def _numbers(content: Mapping[str, Any], path: Path) -> tuple[dict[Any, str], dict[Any, str]]:
    """Class and file name of each number that `categories` and `images` give, empty where they are missing."""
    try:
        categories = _names_by_number(((c["id"], canonical(c["name"])) for c in content.get("categories", ())), path)
        images = _names_by_number(((i["id"], str(i["file_name"])) for i in content.get("images", ())), path)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            "`categories` or `images` is not as in COCO.",
            where=path,
            expected="`id` and `name` of each category, `id` and `file_name` of each image",
            got=f"{type(error).__name__}: {error}",
        ) from error
    return categories, images


def _has_numbers(entries: Sequence[Any], key: str) -> bool:
    return any(isinstance(entry, dict) and type(entry.get(key)) is int for entry in entries)


def _one_each(numbered: Sequence[Mapping[Any, str]], files: Sequence[Path]) -> dict[Any, str]:
    """What the numbers of several files name."""
    return _names_by_number(chain.from_iterable(each.items() for each in numbered), " and ".join(map(str, files)))


def _names_by_number(pairs: Iterable[tuple[Any, str]], path: str | Path) -> dict[Any, str]:
    """Number -> name; one number of two names would give the one's detections to the other."""
    names: dict[Any, str] = {}
    for number, name in pairs:
        if names.setdefault(number, name) != name:
            raise same_number("images or categories", number, [names[number], name], path)
    return names


def _number(name: str) -> str:
    """`000012` loses its zeros where an id is stored as a number, `2008_000012` its underscore too."""
    digits = name.replace("_", "")
    return f"#{int(digits)}" if digits.isdecimal() else name


def known_class(name: str, known: Iterable[str], *, where: str | Path) -> str:
    """Bring a class name in any usual spelling to the known one.

    Raises:
        UnknownNameError: There is none.
    """
    known = tuple(known)
    if name in known:
        return name
    for candidate in known:
        if canonical(candidate) == canonical(name):
            return candidate
    raise UnknownNameError("class", name, known, where=where)
