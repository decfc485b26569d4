"""What the rest of the project knows of a data set and of an image in it, whatever layout they came from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

from duskbench.data_tools.boxes import BoxDoubts, clip_box
from duskbench.data_tools.classes import canonical, is_synonym
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.file_states import hint_at_others
from duskbench.data_tools.findings import Finding
from duskbench.data_tools.ids import check_id, resolve, resolve_all
from duskbench.data_tools.images import image_size
from duskbench.data_tools.plugins import naming


@dataclass(frozen=True, slots=True)
class ObjectAnnotation:
    """One ground-truth object.

    Attributes:
        name: Class name. In a record it is spelled as `classes.canonical` does: `person`, `diningtable`, `cup`.
        box_xyxy: x1, y1, x2, y2 in absolute pixels, 0-based, end-exclusive: a box over the whole image is 0, 0, W, H.
        difficult: VOC's flag; such an object counts neither as found nor as missed.
        truncated: VOC's flag, or None where the file does not say.
        pose: VOC's field, or None where the file does not say.
    """

    name: str
    box_xyxy: tuple[float, float, float, float]
    difficult: bool = False
    truncated: bool | None = None
    pose: str | None = None


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image of a data set with its annotation.

    Attributes:
        id: File name without extension; unique in its data set.
        path: The image file. It need not exist: the reader of pixels reports that.
        objects: Ground truth, or None where the data set has no annotation (a plain folder).
        split: `train`, `val`, `test`, or None.
        lighting: One of `classes.LIGHTING_TYPES`, or None.
        indoor: True indoors, False outdoors, None where the data set does not say.
        group: Sub-set it belongs to: the class folder in ExDark, the first folder below the root in a plain folder.
        size: Width and height that the annotation states, or None.
    """

    id: str
    path: Path
    objects: tuple[ObjectAnnotation, ...] | None = None
    split: str | None = None
    lighting: str | None = None
    indoor: bool | None = None
    group: str | None = None
    size: tuple[int, int] | None = None


class MissingAnnotationError(DataError):
    """An image has no annotation file where its layout wants one."""


class Dataset(ABC):
    """An ordered set of images: what the reader of a layout is built on, and all that the rest of the project asks for.

    A reader says where an image lies (`image_path`) and what the files say of it (`annotation`); it may say by what it
    is recognised (`detects`) and what else can be wrong with it (`check`). Its constructor takes the folder and, by
    name, whatever options it likes: they are those of `data` in a configuration. Two names have a meaning: `split`,
    where the layout has splits (`"all"` must be one), and `tolerant`, where lists can be broken: then faults are kept
    in `faults` for `verify` and the rest is read.

    Annotations are parsed when asked for, so memory need not grow with the set.

    Args:
        root: The data set's folder.
        ids: The images' ids, in order: file names without extension, with folders where they are needed to be unique.
        name: What to call the data set; by default its folder's name.
        listed_in: The file that lists the ids, for errors.
        tolerant: Keep an id that is not safe, or comes twice, in `faults` instead of refusing the data set.

    Attributes:
        name: What the data set is called.
        root: Its folder.
        ids: The images' ids, in order.
        left_out: What of the folder is not in the data set, or lies elsewhere than it should, one sentence each.
        faults: What was wrong with its lists; empty unless `tolerant`.
        coco_files: Annotation files in COCO's format, whose numbers results of other programs use.
        counts: Further numbers for `verify`'s report, such as the images of each split.

    Raises:
        DataError: An id could lead out of the folder, or occurs twice.
    """

    known_without_box: ClassVar[frozenset[str]] = frozenset()
    """Ids that have no box in the release itself."""

    def __init__(
        self,
        root: str | Path,
        ids: Iterable[str],
        *,
        name: str | None = None,
        listed_in: str | Path | None = None,
        tolerant: bool = False,
    ) -> None:
        self.root = Path(root)
        self.name = name or self.root.resolve().name
        self.left_out: tuple[str, ...] = ()
        self.coco_files: tuple[Path, ...] = ()
        self._renamed: dict[str, set[str]] = {}
        self._other_sizes: dict[str, str] = {}
        self._box_doubts = BoxDoubts()
        self.faults: list[Finding] = []
        self.counts: Mapping[str, int] = {}
        self._known: dict[str, None] = {}
        where = listed_in or self.root
        for image_id in ids:
            try:
                check_id(image_id, where=where)
                if image_id in self._known:
                    raise DataError("An image id is given twice.", where=where, got=image_id)
            except DataError as error:
                if not tolerant:
                    raise
                code = "duplicate-id" if image_id in self._known else "unsafe-id"
                self.faults.append(Finding("error", code, where, error.one_line))
            else:
                self._known[image_id] = None
        self.ids = list(self._known)

    @classmethod
    def detects(cls, root: Path) -> bool:
        """Whether a folder has this layout; asked for `layout="auto"`, so it must be quick and must not raise."""
        return False

    @abstractmethod
    def image_path(self, image_id: str) -> Path:
        """Where an image of `ids` lies, by names alone; the file need not exist."""

    @abstractmethod
    def annotation(self, image_id: str) -> ImageRecord:
        """What the files say of an image of `ids`: class names as they are spelled there, boxes not clipped.

        Raises:
            MissingAnnotationError: It has no annotation.
            DataError: The annotation is broken; says where.
        """

    def annotation_path(self, image_id: str) -> Path:
        """The file that holds an image's annotation, for messages."""
        return self.image_path(image_id)

    def check(self) -> Iterator[Finding]:
        """What can be wrong with this layout alone.

        `verify` itself looks at every image and its annotation: missing files, boxes, sizes, classes.
        """
        return iter(())

    def record(self, image_id: str) -> ImageRecord:
        """One image: the annotation with class names in their canonical spelling and boxes clipped to the image.

        Where the image file is absent, the size that the annotation states counts; without either, boxes are clipped at
        the left and top edges only.

        Args:
            image_id: One of `ids`, or the image's file name.

        Raises:
            UnknownIdError: There is no such id.
            DataError: The annotation is missing or broken, or a box lies outside the image.
        """
        found = resolve(image_id, self._known, where=self.root)
        with naming(DataError, "The data set's reader fails.", type(self), f"{self.root}, {found}"):
            record = self._annotation(found)
        size, file = _size_if_readable(record.path), self.annotation_path(found)
        if size and record.size and size != record.size:
            self._other_sizes[found] = (
                f"{record.size[0]} x {record.size[1]}, the image of {found} {size[0]} x {size[1]}"
            )
        objects = []
        for number, one in enumerate(record.objects or (), start=1):
            name = canonical(one.name)
            if is_synonym(one.name):
                self._renamed.setdefault(f"{one.name} as {name}", set()).add(found)
            self._box_doubts.add(one.box_xyxy, size or record.size)
            where = f"{file}{image_of(file, found)}, object {number} ({one.name})"
            box = clip_box(one.box_xyxy, size or record.size, where=where)
            objects.append(replace(one, name=name, box_xyxy=box))
        return record if record.objects is None else replace(record, objects=tuple(objects))

    def _annotation(self, image_id: str) -> ImageRecord:
        try:
            return self.annotation(image_id)
        except MissingAnnotationError as error:
            todo = error.todo or (hint_at_others(error.where) if error.where else None)
            todo = todo or "add the file, or name the images to take: --split FILE, an id a line"
            raise MissingAnnotationError(error.what, where=error.where, got=error.got, todo=todo) from error

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user of the data set should know, one sentence each.

        Files that were left out; and of the records read so far, classes that were read under another name, images of
        another size than their annotation states, and boxes that seem to be meant otherwise.
        """
        notes = list(self.left_out)
        if self._renamed:
            each = (f"{names} ({_images(len(ids))})" for names, ids in sorted(self._renamed.items()))
            notes.append(f"Classes read under another name: {', '.join(each)}")
        if self._other_sizes:
            first = next(iter(self._other_sizes.values()))
            notes.append(
                f"{_images(len(self._other_sizes))} of another size than annotated, so boxes may be wrong: {first}"
            )
        if self._box_doubts.doubt is not None:
            notes.append(self._box_doubts.doubt)
        return tuple(notes)

    def selectable(self) -> Collection[str]:
        """The ids that `select` can take."""
        return self._known

    def select(self, image_ids: Iterable[str]) -> None:
        """Take only these images, in this order.

        Args:
            image_ids: Ids or file names; see `ids.find_id`.

        Raises:
            UnknownIdError: There is no such image.
            DataError: An image is given twice.
        """
        self.ids = resolve_all(image_ids, self.selectable(), where=self.root)
        self._known = dict.fromkeys(self.ids)


def image_of(file: Path, image_id: str) -> str:
    """What follows an annotation file's name in messages: the image, where the name does not say it, as COCO's."""
    return "" if file.name.startswith(f"{PurePosixPath(image_id).name}.") else f", image {image_id}"


def _images(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"


def _size_if_readable(path: Path) -> tuple[int, int] | None:
    """An image that cannot be read is a fault of that image, found when it is decoded."""
    try:
        return image_size(path)
    except DataError:
        return None
