"""What is wrong with a data set, before a run wastes hours on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from duskbench.data_tools.bbgt import UnknownClassError
from duskbench.data_tools.boxes import Box, BoxDoubts, BoxError, iou
from duskbench.data_tools.classes import OUTSIDE_VOC, VOC_CLASSES, canonical, class_key, is_known, is_synonym
from duskbench.data_tools.datasets import open_for_checking
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.findings import Collector, Report
from duskbench.data_tools.ordered_map import ordered_map
from duskbench.data_tools.plugins import naming
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.data_tools.records import Dataset, ImageRecord, MissingAnnotationError, ObjectAnnotation, image_of
from duskbench.data_tools.verify_image import ImageCheck, check_image

# Two boxes of a class that overlap more are one object annotated twice.
_SAME_OBJECT_IOU = 0.95


@dataclass(frozen=True)
class Expectation:
    """An image that should be there: its file, the size its annotation states, and its boxes with their names."""

    path: Path
    size: tuple[int, int] | None = None
    boxes: tuple[tuple[str, Box], ...] = ()


def verify(
    root: str | Path,
    layout: str = "auto",
    *,
    decode: bool = True,
    workers: int | None = None,
    progress: Progress = SILENT,
    **options: Any,
) -> Report:
    """Look for everything that is wrong with a data set.

    Of every image: whether it is there, decodes to its last row and has the size that its annotation states; its
    annotation, boxes outside it or twice, class names. Of the whole: files of the same bytes, classes that no VOC
    detector knows, and what the reader of the layout checks, such as lists and official numbers.

    Args:
        root: The folder.
        layout: See `datasets.open_dataset`.
        decode: Decode every image to its last row; False reads headers and bytes only.
        workers: Threads; as many as there are cores by default.
        progress: Where images done are reported.
        options: Of the reader: `year`, `box_origin`, ...

    Returns:
        The report; what is wrong inside the data set is a finding, not an exception.

    Raises:
        DataError: No such folder, or not of this layout.
        UnknownNameError: No such layout.
    """
    layout, dataset = open_for_checking(root, layout, **options)
    report = Report(str(root), layout)
    found = Collector(report, dataset.root)
    found.count("images listed", len(dataset.ids))
    report.counts.update(dataset.counts)
    with naming(DataError, "The data set's reader fails.", type(dataset), root):
        for finding in (*dataset.faults, *dataset.check()):
            found.add(finding.severity, finding.code, finding.file, finding.message)
    for note in dataset.left_out:
        found.add("warning", "left-out", dataset.root, note)
    expected = _check_annotations(dataset, found)
    _check_images(expected, found, decode, workers, progress)
    return report


def _check_annotations(dataset: Dataset, found: Collector) -> list[Expectation]:
    spelled: dict[str, _Class] = {}
    expected = []
    for image_id in dataset.ids:
        path = dataset.image_path(image_id)
        if not path.is_file():
            # Another extension is the usual cause: `x.JPG` unpacked as `x.jpg`.
            found.add("error", "missing-image", path, found.not_there(path))
        record = _read(dataset, image_id, found)
        if record is None or record.objects is None:
            expected.append(Expectation(path))
            continue
        file = dataset.annotation_path(image_id)
        image = image_of(file, image_id)
        found.count("annotations present")
        found.count("boxes", len(record.objects))
        difficult = sum(one.difficult for one in record.objects)
        if difficult:
            found.count("boxes difficult", difficult)
        if not record.objects and image_id in dataset.known_without_box:
            found.add("info", "no-boxes-known", file, "the release itself has no box for this image")
        elif not record.objects:
            found.add("warning", "no-boxes", file, f"no box in the file{image}")
        for message in _twice(record.objects):
            found.add("warning", "object-twice", file, f"{message}{image}")
        for name, number in Counter(one.name for one in record.objects).items():
            spelled.setdefault(name, _Class(file)).add(number)
        expected.append(Expectation(path, record.size, tuple((one.name, one.box_xyxy) for one in record.objects)))
    _report_classes(spelled, found)
    return expected


def _read(dataset: Dataset, image_id: str, found: Collector) -> ImageRecord | None:
    try:
        with naming(DataError, "The data set's reader fails.", type(dataset), dataset.annotation_path(image_id)):
            return dataset.annotation(image_id)
    except MissingAnnotationError as error:
        path = Path(error.where or dataset.root)
        found.add("error", "missing-annotation", path, f"{error.got}, {found.not_there(path)}")
    except DataError as error:
        code = "broken-annotation"
        if isinstance(error, BoxError | UnknownClassError):
            code = "degenerate-box" if isinstance(error, BoxError) else "unknown-class"
        found.add("error", code, dataset.annotation_path(image_id), error.one_line)
    return None


def _twice(objects: tuple[ObjectAnnotation, ...]) -> Iterator[str]:
    for number, one in enumerate(objects, start=1):
        for earlier, other in enumerate(objects[: number - 1], start=1):
            same = class_key(one.name) == class_key(other.name)
            if same and iou(one.box_xyxy, other.box_xyxy) > _SAME_OBJECT_IOU:
                yield f"objects {earlier} and {number} ({one.name}) are one, annotated twice"
                break


class _Class:
    """A class name as it is spelled: in how many objects and images, and the first file that has it."""

    def __init__(self, file: Path) -> None:
        self.file, self.objects, self.images = file, 0, 0

    def add(self, number: int) -> None:
        self.objects += number
        self.images += 1

    def __str__(self) -> str:
        return f"{self.objects} object{'s' * (self.objects != 1)} in {self.images} image{'s' * (self.images != 1)}"


def _report_classes(spelled: dict[str, _Class], found: Collector) -> None:
    outside = []
    for name, seen in sorted(spelled.items()):
        if not is_known(name):
            message = f"{name!r} ({seen}) is no class of VOC, ExDark or COCO; it counts only where `classes` names it"
            found.add("warning", "unknown-class", seen.file, message)
        elif is_synonym(name):
            found.add("info", "class-synonym", seen.file, f"{name!r} ({seen}) is read as {canonical(name)!r}")
        if is_known(name) and canonical(name) not in (*VOC_CLASSES, *OUTSIDE_VOC):
            outside.append(f"{canonical(name)} ({seen})")
    if outside:
        found.add("info", "class-outside-voc", found.root, f"a VOC detector cannot find {', '.join(outside)}")


def _check_images(
    expected: list[Expectation], found: Collector, decode: bool, workers: int | None, progress: Progress
) -> None:
    first_of: dict[str, Path] = {}
    doubts = BoxDoubts()
    checks: Callable[[Expectation], ImageCheck | None] = partial(_check_one, decode=decode)
    for done, (one, check) in enumerate(zip(expected, ordered_map(checks, expected, workers), strict=True), start=1):
        if check is not None:
            found.count("images present")
            for severity, code, message in check.problems:
                found.add(severity, code, one.path, message)
            if check.size:
                _compare_sizes(one, check.size, found)
            if check.sha256 and first_of.setdefault(check.sha256, one.path) is not one.path:
                first = found.shown(first_of[check.sha256])
                found.add("warning", "duplicate-image", one.path, f"same bytes as {first}")
        for _, box in one.boxes:
            doubts.add(box, check.size if check and check.size else one.size)
        progress.update(f"Verifying {found.root.name}", done, len(expected))
    if doubts.doubt is not None:
        found.add("error", "doubtful-boxes", found.root, doubts.doubt)


def _check_one(one: Expectation, *, decode: bool) -> ImageCheck | None:
    return check_image(one.path, decode=decode) if one.path.is_file() else None


def _compare_sizes(one: Expectation, size: tuple[int, int], found: Collector) -> None:
    width, height = size
    if one.size and one.size != size:
        stated = f"{one.size[0]} x {one.size[1]}"
        found.add("error", "size-mismatch", one.path, f"the image is {width} x {height}, its annotation says {stated}")
    for name, (x1, y1, x2, y2) in one.boxes:
        shown = f"{name} box {x1:g}, {y1:g}, {x2:g}, {y2:g} (0-based x1, y1, x2, y2), image {width} x {height}"
        if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
            found.add("error", "box-off-image", one.path, f"{shown}: nothing of it is inside")
        elif x1 < 0 or y1 < 0 or x2 > width or y2 > height:
            found.add("warning", "box-outside", one.path, f"{shown}: reaches outside")
