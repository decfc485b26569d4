"""What another program detected, read from a results file: a detector that looks its answers up."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.data_tools.classes import VOC_CLASSES, canonical, class_key, class_list, real_classes
from duskbench.data_tools.coco import same_number
from duskbench.data_tools.coco_files import read_json, spellings
from duskbench.data_tools.errors import DataError, DetectorError, UnknownNameError
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.fingerprint import fingerprint, identity
from duskbench.data_tools.ids import UnknownIdError, stem
from duskbench.pipeline.detectors.base import Detections
from duskbench.pipeline.detectors.results_names import ResultsNames


class ResultsFile:
    """The detections of a COCO-style results file, by image id.

    Args:
        path: JSON. A list of `{"image_id", "category_id", "bbox": [x, y, width, height], "score"}` in 0-based
            continuous pixels, or a dict with such a list under `annotations` or `detections`, and with COCO's
            `categories` and `images`, either of which may be missing. An `image_id` is a file name with or without
            folder and extension, or its number (`12` for `000012`). A `category_id` is a number as in `categories`, by
            default the 1-based position in `classes`; or a class name, which may also stand under `category`. A
            `file_name` and a `category_name` beside them say what the numbers mean.
        classes: Class names, or `voc`, `exdark`, `coco` or, for COCO's own numbers, `coco91`; default: those of
            `categories`, or else VOC's.
        annotations: Annotation files in COCO's format that say which image and class a number is, as pycocotools reads
            results, where this file lacks `images` or `categories`; a run gives those of its data set.
        annotated: Classes of the data set, which entries may name beside VOC's where `classes` gives none.

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
        annotated: Sequence[str] = (),
    ) -> None:
        self.path = Path(path)
        entries, categories, file_names = _read(self.path)
        self.weights = {"results": file_sha256(self.path)}
        asks_classes = not categories and not classes and any(map(_is_number, _given(entries, "category_id")))
        asked = set() if file_names else {*filter(_is_no_file_name, _given(entries, "image_id"))}
        if annotations and (asks_classes or asked):
            files = [Path(annotations)] if isinstance(annotations, str) else [Path(each) for each in annotations]
            numbered = [_numbers(read_json(file), file) for file in files]
            if asks_classes:
                categories = _one_each([each for each, _ in numbered], files)
            if asked:
                spelled = set(chain.from_iterable(map(spellings, asked)))
                images = [{n: name for n, name in each.items() if n in spelled} for _, each in numbered]
                file_names = _one_each(images, files)
            self.weights |= {f"annotations {number}": file_sha256(file) for number, file in enumerate(files, start=1)}
        named = set(map(canonical, filter(_is_text, _given(entries, "category_name"))))
        entries = [_by_names(each) for each in entries]
        words = filter(_is_text, [*_given(entries, "category_id"), *_given(entries, "category")])
        unknown = set(map(class_key, words)).difference(map(class_key, named))
        named.update({class_key(each): each for each in annotated if class_key(each) in unknown}.values())
        listed = class_list(classes) if classes else tuple(categories.values()) or _voc_and(named)
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
        self._of_image: dict[str, list[Any]] | None = None
        first_entry: dict[Any, int] = {}
        labels: dict[Any, int] = {}
        for position, entry in enumerate(entries):
            image, row = self._parse(position, entry, labels)
            self._by_image.setdefault(image, []).append(row)
            first_entry.setdefault(image, position)
        self._names = ResultsNames(self.path, first_entry, file_names)

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Nothing can be detected in an image that has no id.

        Raises:
            DetectorError: Always.
        """
        raise DetectorError(
            "A results file knows images by their ids only.", where=self.path, todo="use it in `duskbench run`"
        )

    def detect_by_id(self, image_ids: Sequence[str]) -> list[Detections]:
        """What the file has of each image; nothing for an image that it does not name.

        Where the data set has other images than these, `check_images` is to be asked first: it says which of the
        file's names means which of them.
        """
        if self._of_image is None:
            self._of_image, _ = self._names.settle(image_ids)
        return [self._detections(self._of_image.get(image_id, ())) for image_id in image_ids]

    def check_images(self, image_ids: Iterable[str], *, all_known: bool = True) -> None:
        """See that the file speaks of these images, and settle which of its names means which of them.

        A name means the image of that id, else of the id that is left when folders are taken away, else the only one
        of its number (`12`, 000012).

        Args:
            image_ids: All of the data set.
            all_known: Whether every entry must be of one of them, or only some.

        Raises:
            UnknownIdError: An entry is of another image, or of several by its number; or all entries are.
            DataError: Two names mean one image.
        """
        known = set(image_ids)
        self._of_image, unknown = self._names.settle(known)
        several = {image for image, count in unknown.items() if count}
        wrong = list(unknown) if all_known or len(unknown) == len(self._by_image) else [*several]
        if wrong:
            image = next((each for each in wrong if each in several), wrong[0])
            raise UnknownIdError(self._names.of(image)[0], known, where=self._names.where(image))

    def _detections(self, images: Iterable[Any]) -> Detections:
        rows = [row for image in images for row in self._by_image[image]]
        table = np.array(rows, np.float64).reshape(-1, 6)
        order = np.argsort(-table[:, 4], kind="stable")
        table = table[order]
        return Detections(
            table[:, :4].astype(np.float32), table[:, 4].astype(np.float32), table[:, 5].astype(np.int64), self.classes
        )

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
            # As pandas writes a column of numbers with gaps.
            image = int(image) if isinstance(image, float) and image.is_integer() else image
        except (KeyError, TypeError, ValueError, OverflowError) as error:
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


def _by_names(entry: Any) -> Any:
    """An entry with the names of its image and class in place of their numbers, where it says them."""
    names = {"image_id": "file_name", "category_id": "category_name"}
    given = {key: entry[name] for key, name in names.items() if isinstance(entry, dict) and entry.get(name)}
    return {**entry, **given} if given else entry


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


def _given(entries: Sequence[Any], key: str) -> set[Any]:
    """What the entries have under a key."""
    values = (entry.get(key) for entry in entries if isinstance(entry, dict))
    return {each for each in values if each is not None and isinstance(each, Hashable)}


def _voc_and(named: Iterable[str]) -> tuple[str, ...]:
    """VOC's classes, of which a file may have found none, and the others that it names."""
    return (*VOC_CLASSES, *sorted({*named}.difference(VOC_CLASSES)))


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float)


def _is_text(given: Any) -> bool:
    return isinstance(given, str)


def _is_no_file_name(given: Any) -> bool:
    return not isinstance(given, str) or stem(given) == given


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


def known_class(name: str, known: Iterable[str], *, where: str | Path) -> str:
    """Bring a class name in any usual spelling to the known one.

    Raises:
        UnknownNameError: There is none.
    """
    known = tuple(known)
    if name in known:
        return name
    for candidate in known:
        if class_key(candidate) == class_key(name):
            return candidate
    raise UnknownNameError("class", name, known, where=where)
