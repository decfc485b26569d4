"""COCO's annotation files: one JSON file for many images, read with any arrangement of the images.

Source: https://cocodataset.org/#format-data (object detection).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from duskbench.data_tools.boxes import Box, BoxError
from duskbench.data_tools.classes import SPLITS
from duskbench.data_tools.coco_files import CocoFile, choose_files, find_annotation_files, read_json, spellings
from duskbench.data_tools.coco_pictures import Pictures, names_in
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.findings import Finding
from duskbench.data_tools.ids import bare_id, path_parts, resolve, shown, stem
from duskbench.data_tools.image_files import UNNAMED, find_images
from duskbench.data_tools.records import Dataset, ImageRecord, ObjectAnnotation

_T = TypeVar("_T")


@dataclass
class _Image:
    """An image of an annotation file: where it is, and its objects as (annotation's id, class, bbox, iscrowd)."""

    source: CocoFile
    path: Path
    size: tuple[int, int] | None
    objects: list[tuple[Any, str, Any, bool]] = field(default_factory=list)


class CocoDataset(Dataset):
    """The images of annotation files in COCO's format; the files are read whole.

    An id is the image's `file_name` without extension, with it where a file has different images of one id, and with
    the annotation file's name in front where two files have; images come by their number. The image is looked for by
    that name below the root, see `coco_pictures`. A box `[x, y, width, height]` is 0-based and
    continuous; `iscrowd` makes an object difficult.

    Args:
        root: Folder that holds the images, at any depth.
        files: The annotation files.
        others: Further ones of the folder: an image in their split's folder that they list is not another split's.
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
        others: Sequence[CocoFile] = (),
        name: str | None = None,
        images: str | None = None,
        tolerant: bool = False,
    ) -> None:
        folder = root / images if images else root
        if not folder.is_dir():
            raise ConfigError("There is no such folder of images.", where="images", got=str(folder))
        found = find_images(folder)
        pictures = Pictures(found, [*files, *others])
        faults: list[Finding] = []
        read = [
            (image_id, image)
            for source in files
            for image_id, image in _read_images(source, pictures, faults if tolerant else None)
        ]
        ids = _told_apart(read)
        self._images: dict[str, _Image] = {}
        for image_id, (_, image) in zip(ids, read, strict=True):
            self._images.setdefault(image_id, image)
        super().__init__(root, ids, name=name, listed_in=", ".join(str(one.path) for one in files), tolerant=tolerant)
        self.coco_files = tuple(source.path for source in files)
        # What an entry names needs no extension.
        unnamed = {folder / file: file for file in found.left_out.pop(UNNAMED, ())}
        unread = [unnamed[path] for path in unnamed.keys() - {image.path for _, image in read}]
        found.left_out |= {UNNAMED: sorted(unread)} if unread else {}
        self.left_out = (*found.notes, *pictures.notes)
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
            known = files = [CocoFile(root / annotations, split if split in SPLITS else None)]
        else:
            known = find_annotation_files(root)
            files = choose_files(root, known, split)
        others = [one for one in known if one not in files]
        super().__init__(root, files, others=others, images=images, tolerant=tolerant)

    @classmethod
    def detects(cls, root: Path) -> bool:
        """By a JSON file that has `images`, `annotations` and `categories`."""
        return bool(find_annotation_files(root))


def _told_apart(read: Sequence[tuple[str, _Image]]) -> list[str]:
    """The ids, with what tells those apart that are of different images.

    In one annotation file that is the extension (`a.jpg`, `a.png`), in two their names in front.
    """
    images = [image for _, image in read]
    ids = [
        f"{image_id}{image.path.suffix}" if is_shared else image_id
        for (image_id, image), is_shared in zip(
            read, _shared([(one.source, name) for name, one in read], images), strict=True
        )
    ]
    return [
        f"{image.source.name}/{image_id}" if is_shared else image_id
        for image_id, image, is_shared in zip(ids, images, _shared(ids, images), strict=True)
    ]


def _shared(keys: Sequence[Hashable], images: Sequence[_Image]) -> list[bool]:
    """For each image whether another has its key."""
    paths: dict[Hashable, set[Path]] = defaultdict(set)
    for key, image in zip(keys, images, strict=True):
        paths[key].add(image.path)
    return [len(paths[key]) > 1 for key in keys]


def _read_images(source: CocoFile, pictures: Pictures, faults: list[Finding] | None) -> Iterable[tuple[str, _Image]]:
    """Ids and images of an annotation file; faults are collected, or raised where no list for them is given."""
    content = read_json(source.path)
    located = pictures.locate(source, names_in(content))
    images: dict[Any, _Image] = {}
    ids: dict[Any, str] = {}
    for entry in content["images"]:
        try:
            number, file_name = entry["id"], str(entry["file_name"])
            width, height = (int(float(entry.get(key) or 0)) for key in ("width", "height"))
            image_id, path = _located(file_name, source, pictures, located[file_name])
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
            image, name = _by_number(images, entry["image_id"]), _by_number(names, entry["category_id"])
            # Some write "0", which is as true as "1".
            image.objects.append((entry.get("id"), name, entry.get("bbox"), bool(int(entry.get("iscrowd") or 0))))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            _report(_unusable("annotation", path, entry, error), path, faults)


def _by_number(entries: dict[Any, _T], number: Any) -> _T:
    return entries[next((spelled for spelled in spellings(number) if spelled in entries), number)]


def _located(file_name: str, source: CocoFile, pictures: Pictures, files: Sequence[str]) -> tuple[str, Path]:
    """The id of an image and where it lies, or should lie."""
    if len(files) > 1:
        raise DataError(
            "Several images have the name of one in the annotation file.",
            where=f"{source.path}, {file_name}",
            expected="one",
            got=shown(files),
            todo="name the folder of the images, relative to the data set: images=FOLDER",
        )
    wanted = bare_id(file_name)
    if path_parts(wanted) is None and files:
        # An absolute path of another machine says nothing here but the file's name.
        wanted = stem(files[0])
    return wanted, pictures.root / files[0] if files else pictures.missing(file_name, source)


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
