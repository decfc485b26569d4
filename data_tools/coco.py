"""COCO's annotation files: one JSON file for many images, read with any arrangement of the images.

Source: https://cocodataset.org/#format-data (object detection).
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from duskbench.data_tools.boxes import Box, BoxError
from duskbench.data_tools.classes import SPLITS
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.data_tools.findings import Finding
from duskbench.data_tools.ids import bare_id, path_parts, resolve, stem
from duskbench.data_tools.image_files import ImageFiles, find_images
from duskbench.data_tools.records import Dataset, ImageRecord, ObjectAnnotation

# Roboflow puts this file into each split's folder.
_ROBOFLOW = "_annotations.coco.json"
_PEEK = 1 << 16


@dataclass(frozen=True)
class CocoFile:
    """An annotation file, and what is known of all its images: their split and group."""

    path: Path
    split: str | None = None
    group: str | None = None


@dataclass
class _Image:
    """An image of an annotation file: where it is, and its objects as (annotation's id, class, bbox, iscrowd)."""

    source: CocoFile
    path: Path
    size: tuple[int, int] | None
    objects: list[tuple[Any, str, Any, bool]] = field(default_factory=list)


class CocoDataset(Dataset):
    """The images of annotation files in COCO's format; the files are read whole.

    An id is the image's `file_name` without extension; images come by their number. The image is looked for by that
    name below the root. A box `[x, y, width, height]` is 0-based and continuous; `iscrowd` makes an object difficult.

    Args:
        root: Folder that holds the images, at any depth.
        files: The annotation files.
        name: See `Dataset`.
        images: Folder of the images, relative to `root`, where several have a file of the same name.
        tolerant: See `Dataset`.

    Raises:
        DataError: A file is not in COCO's format, or an image's name is not safe, ambiguous, or there twice.
    """

    def __init__(
        self,
        root: Path,
        files: Sequence[CocoFile],
        *,
        name: str | None = None,
        images: str | None = None,
        tolerant: bool = False,
    ) -> None:
        folder = root / images if images else root
        if not folder.is_dir():
            raise ConfigError("There is no such folder of images.", where="images", got=str(folder))
        found = find_images(folder)
        by_name: dict[str, list[str]] = defaultdict(list)
        for file in found.files:
            by_name[PurePosixPath(file).name].append(file)
        self._images: dict[str, _Image] = {}
        ids: list[str] = []
        faults: list[Finding] = []
        for source in files:
            for image_id, image in _read_images(source, found, by_name, faults if tolerant else None):
                ids.append(image_id)
                self._images.setdefault(image_id, image)
        super().__init__(root, ids, name=name, listed_in=", ".join(str(one.path) for one in files), tolerant=tolerant)
        self.coco_files = tuple(source.path for source in files)
        self.left_out = found.notes
        self.faults += faults

    def image_path(self, image_id: str) -> Path:
        """The image's file."""
        return self._images[resolve(image_id, self._images, where=self.root)].path

    def annotation_path(self, image_id: str) -> Path:
        """The annotation file that lists the image."""
        return self._images[resolve(image_id, self._images, where=self.root)].source.path

    def annotation(self, image_id: str) -> ImageRecord:
        """The image's objects.

        Raises:
            DataError: A box is not four numbers, or has no area; names the annotation.
        """
        image = self._images[image_id]
        objects = tuple(
            ObjectAnnotation(name, _box(bbox, f"{image.source.path}, annotation {number}"), difficult=crowd)
            for number, name, bbox, crowd in image.objects
        )
        return ImageRecord(image_id, image.path, objects, image.source.split, group=image.source.group, size=image.size)


class COCO(CocoDataset):
    """A folder with annotation files in COCO's format beside or above its images.

    The files are `*.json` of the folder, of its `annotations`, and Roboflow's `_annotations.coco.json` of each split's
    folder; where some are called `instances_...`, only these. A split is a word in their name (`instances_val2017`:
    `val`) or that name itself; a single file without such a word is taken for `test`.

    Args:
        root: The folder.
        split: `train`, `val`, `test`, the name of a file without extension, or `all`.
        annotations: One annotation file, relative to `root`, whatever its name says.
        images: Folder of the images, relative to `root`, where several have a file of the same name.
        tolerant: See `Dataset`.

    Raises:
        DataError: There is no such file, or it is not in COCO's format.
        UnknownNameError: There is no such split.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "test",
        *,
        annotations: str | None = None,
        images: str | None = None,
        tolerant: bool = False,
    ) -> None:
        root = Path(root)
        if annotations is not None:
            files = [CocoFile(root / annotations, split if split in SPLITS else None)]
        else:
            files = _choose(root, [CocoFile(path, _split_of(path)) for path in find_annotation_files(root)], split)
        super().__init__(root, files, images=images, tolerant=tolerant)

    @classmethod
    def detects(cls, root: Path) -> bool:
        """By a JSON file that has `images`, `annotations` and `categories`."""
        return bool(find_annotation_files(root))


def find_annotation_files(root: Path) -> list[Path]:
    """The files in COCO's format of a folder; see `COCO`."""
    folders = [root, *(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))]
    files = []
    for folder in folders:
        is_place = folder == root or folder.name.lower() == "annotations"
        pattern = "*.json" if is_place else _ROBOFLOW
        files += [path for path in folder.glob(pattern) if not path.name.startswith(".") and _looks_like_coco(path)]
    instances = [path for path in files if path.name.startswith("instances")]
    return sorted(instances or files)


def _looks_like_coco(path: Path) -> bool:
    """Whether a file's begin and end have COCO's keys; a training set's half gigabyte is not parsed to find out."""
    try:
        with path.open("rb") as file:
            data = file.read(_PEEK)
            encoding = json.detect_encoding(data)
            file.seek(max(len(data), path.stat().st_size - _PEEK))
            text = (data + file.read(_PEEK)).decode(encoding, "replace")
    except OSError:
        return False
    has = {key: re.search(rf'"{key}"\s*:\s*\[', text) for key in ("images", "annotations", "categories")}
    has_boxes = '"bbox"' in text or (has["annotations"] and has["categories"])
    return bool(text.lstrip().startswith("{") and has["images"] and has_boxes)


def _split_of(path: Path) -> str | None:
    name = path.parent.name if path.name == _ROBOFLOW else path.stem
    words = re.findall(r"[a-z]+", name.lower())
    return next((split for split in SPLITS if split in words or (split == "val" and "valid" in words)), None)


def _choose(root: Path, files: list[CocoFile], split: str) -> list[CocoFile]:
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


def _read_images(
    source: CocoFile, found: ImageFiles, by_name: dict[str, list[str]], faults: list[Finding] | None
) -> Iterable[tuple[str, _Image]]:
    """Ids and images of an annotation file; faults are collected, or raised where no list for them is given."""
    content = read_json(source.path)
    images: dict[Any, _Image] = {}
    ids: dict[Any, str] = {}
    for entry in content["images"]:
        try:
            number, file_name = entry["id"], str(entry["file_name"])
            width, height = (int(entry.get(key) or 0) for key in ("width", "height"))
            image_id, path = _locate(file_name, source, found, by_name)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            _report(_unusable("image", source.path, entry, error), source.path, faults)
        except DataError as error:
            _report(error, source.path, faults)
        else:
            if ids.setdefault(number, image_id) != image_id:
                _report(same_number("images", number, [ids[number], image_id], source.path), source.path, faults)
                continue
            images[number] = _Image(source, path, (width, height) if width and height else None)
    _read_objects(content, source.path, images, faults)
    # As pycocotools orders images, which decides between detections of the same score.
    ordered = sorted(images) if all(isinstance(number, int) for number in images) else images
    return [(ids[number], images[number]) for number in ordered]


def _read_objects(content: dict[str, Any], path: Path, images: dict[Any, _Image], faults: list[Finding] | None) -> None:
    names: dict[Any, str] = {}
    try:
        for entry in content["categories"]:
            number, name = entry["id"], str(entry["name"])
            if names.setdefault(number, name) != name:
                _report(same_number("categories", number, [names[number], name], path), path, faults)
    except (KeyError, TypeError) as error:
        raise _unusable("category", path, content["categories"], error) from error
    for entry in content["annotations"]:
        try:
            image, name = images[entry["image_id"]], names[entry["category_id"]]
            # Some write "0", which is as true as "1".
            image.objects.append((entry.get("id"), name, entry.get("bbox"), bool(int(entry.get("iscrowd") or 0))))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            _report(_unusable("annotation", path, entry, error), path, faults)


def read_json(path: Path) -> dict[str, Any]:
    """Read a file in COCO's format.

    Raises:
        DataError: It is no JSON, or lacks one of the lists `images`, `annotations` and `categories`.
    """
    try:
        content = json.loads(path.read_bytes())
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


def _locate(file_name: str, source: CocoFile, found: ImageFiles, by_name: dict[str, list[str]]) -> tuple[str, Path]:
    """The id of an image and where it lies: the file below the root whose path ends in `file_name`."""
    wanted = bare_id(file_name)
    path = PurePosixPath(file_name.replace("\\", "/").removeprefix("./"))
    same = by_name.get(path.name, [])
    at = [file for file in same if f"/{file}".endswith(f"/{path.as_posix()}")] or same
    if len(at) > 1:
        at = _of_split(at, source, found.root)
    if len(at) > 1:
        raise DataError(
            "Several images have the name of one in the annotation file.",
            where=f"{source.path}, {file_name}",
            expected="one",
            got=", ".join(at[:5]),
            todo="name the folder of the images, relative to the data set: images=FOLDER",
        )
    if path_parts(wanted) is None and at:
        # An absolute path of another machine says nothing here but the file's name.
        wanted = stem(at[0])
    return wanted, found.root / at[0] if at else found.root / file_name


def _of_split(files: list[str], source: CocoFile, root: Path) -> list[str]:
    """Of several images of one name those of the annotation file's split, or beside it: splits may number alike."""

    def fits(file: str) -> bool:
        folders = PurePosixPath(file).parts[:-1]
        named = any(folder == source.split or source.path.stem.endswith(folder) for folder in folders)
        return named or (root / file).parent == source.path.parent

    return [file for file in files if fits(file)] or files


def _box(bbox: Any, where: str) -> Box:
    try:
        x, y, width, height = (float(value) for value in bbox)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            "A box is not four numbers.", where=where, expected="bbox [x, y, w, h]", got=repr(bbox)
        ) from error
    if not all(map(math.isfinite, (x, y, width, height))) or width <= 0 or height <= 0:
        raise BoxError("The box has no area.", where=where, expected="[x, y, w, h], w and h above 0", got=repr(bbox))
    return x, y, x + width, y + height


def _unusable(kind: str, path: Path, entry: Any, error: Exception) -> DataError:
    said = f"{error} is missing or not known" if isinstance(error, KeyError) else str(error)
    return DataError(f"An entry of the annotation file is no {kind}.", where=path, got=f"{repr(entry)[:200]}; {said}")


def same_number(what: str, number: object, names: Sequence[str], where: str | Path) -> DataError:
    """The error of one number of two names: what is said of it could be of either."""
    return DataError(
        f"Two {what} have the same id.", where=where, expected="an id for each", got=f"{number}: {' and '.join(names)}"
    )


def _report(error: DataError, path: Path, faults: list[Finding] | None) -> None:
    if faults is None:
        raise error
    faults.append(Finding("error", "broken-list", path, error.one_line))
