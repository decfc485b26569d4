"""COCO's files written: the ground truth of any data set, and detections as a results file for it.

Both are what pycocotools, FiftyOne and CVAT read. Source: https://cocodataset.org/#format-data, #format-results.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.data_tools.classes import VOC_CLASSES, class_key
from duskbench.data_tools.coco_files import read_json
from duskbench.data_tools.errors import ConfigError, DataError, DuskbenchError
from duskbench.data_tools.files import write_text
from duskbench.data_tools.ids import UnknownIdError
from duskbench.data_tools.images import image_size
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.data_tools.records import Dataset, ImageRecord

# An extra key of `images`, which COCO's format allows: what duskbench calls the image.
_ID = "duskbench_id"


@dataclass(frozen=True)
class CocoTruth:
    """What `write_coco_truth` wrote: the file, images, and objects by class, difficult ones (`iscrowd`) apart."""

    path: Path
    images: int
    objects: dict[str, int]
    difficult: int

    def __str__(self) -> str:
        by_class = ", ".join(f"{name} {number}" for name, number in self.objects.items())
        return f"{self.path}: {self.images} images, {by_class or 'no objects'}; {self.difficult} of them difficult"


@dataclass(frozen=True)
class CocoResults:
    """What `write_coco_results` wrote: the file, its ground truth, detections, and those left out by class."""

    path: Path
    truth: Path
    detections: int
    left_out: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        left_out = ", ".join(f"{name} {number}" for name, number in self.left_out.items())
        more = f"; of other classes, left out: {left_out}" if left_out else ""
        return f"{self.path}: {self.detections} detections, to be scored by {self.truth}{more}"


def write_coco_truth(path: str | Path, dataset: Dataset, progress: Progress = SILENT) -> CocoTruth:
    """Write a data set's annotations as COCO JSON.

    Images are numbered from 1 in the data set's order, their `file_name` is relative to its root. Boxes are continuous
    and clipped to the image. A difficult object gets `iscrowd` 1, as usual for VOC.

    Args:
        path: The file to write.
        dataset: The data set.
        progress: Where images done are reported.

    Raises:
        DataError: The data set has no image, no annotations, or one is broken.
        ConfigError: The file is an annotation file of the data set, which may say more than is written here.
    """
    if Path(path).resolve() in {file.resolve() for file in dataset.coco_files}:
        raise ConfigError(
            "The file would take the place of the data set's own annotations.", where=path, todo="give another name"
        )
    if not dataset.ids:
        raise DataError(
            "There is no image to write.",
            where=dataset.root,
            got="0 images",
            todo="choose the split or the image ids with --split; `duskbench data verify` says what a tree lacks",
        )
    images, found = [], []
    for number, image_id in enumerate(dataset.ids, start=1):
        record = dataset.record(image_id)
        if record.objects is None:
            raise DataError("The data set has no annotation to write.", where=f"{dataset.root}, {image_id}")
        width, height = _size(record)
        file_name = record.path.relative_to(dataset.root) if record.path.is_relative_to(dataset.root) else record.path
        name = file_name.as_posix()
        images.append({"id": number, "file_name": name, "width": width, "height": height, _ID: image_id})
        found += [(number, one) for one in record.objects]
        progress.update("Writing", number, len(dataset.ids))
    # Of several spellings of a class that VOC lacks the first one.
    names = set({class_key(one.name): one.name for _, one in reversed(found)}.values())
    ordered = [*(name for name in VOC_CLASSES if name in names), *sorted(names.difference(VOC_CLASSES))]
    category = {class_key(name): number for number, name in enumerate(ordered, start=1)}
    annotations = []
    for number, (image, one) in enumerate(found, start=1):
        bbox = _xywh(one.box_xyxy)
        annotations.append(
            {
                "id": number,
                "image_id": image,
                "category_id": category[class_key(one.name)],
                "bbox": bbox,
                "area": bbox[2] * bbox[3],
                "segmentation": [],
                "iscrowd": int(one.difficult),
            }
        )
    content = {
        "info": {"description": f"{dataset.name}, written by duskbench"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(ordered, start=1)],
    }
    write_text(path, json.dumps(content, allow_nan=False) + "\n")
    counted = Counter(class_key(one.name) for _, one in found)
    return CocoTruth(
        Path(path),
        len(images),
        {name: counted[class_key(name)] for name in ordered},
        sum(one.difficult for _, one in found),
    )


def write_coco_part(path: str | Path, truth: str | Path, image_ids: Collection[str]) -> None:
    """Write a ground truth with some of the images of another, under the same numbers.

    Args:
        path: The file to write.
        truth: Ground truth that `write_coco_truth` wrote.
        image_ids: Ids of the images, as the data set has them.

    Raises:
        DataError: `truth` is no such file.
    """
    content = read_json(Path(truth))
    images = [entry for entry in content["images"] if entry[_ID] in image_ids]
    numbers = {entry["id"] for entry in images}
    annotations = [one for one in content["annotations"] if one["image_id"] in numbers]
    write_text(path, json.dumps({**content, "images": images, "annotations": annotations}) + "\n")


def _size(record: ImageRecord) -> tuple[int, int]:
    """Of the image as it is read; what the annotation states where it is absent or damaged, else 0 x 0."""
    try:
        return image_size(record.path)
    except DuskbenchError:
        return record.size or (0, 0)


def _xywh(box_xyxy: Sequence[float]) -> list[float]:
    x1, y1, x2, y2 = map(float, box_xyxy)
    return [x1, y1, x2 - x1, y2 - y1]


def write_coco_results(
    path: str | Path,
    truth: str | Path,
    image_ids: Sequence[str],
    boxes_xyxy: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    class_names: Sequence[Sequence[str]],
) -> CocoResults:
    """Write detections as a COCO results file that belongs to a ground-truth file.

    Each also says its image's `file_name` and its `category_name`: beside another file, or a data set without one, the
    numbers would mean other images and classes.

    Args:
        path: The file to write.
        truth: Ground truth that `write_coco_truth` wrote; its numbers of images and classes are used.
        image_ids: Ids of the images, as the data set has them.
        boxes_xyxy: For each image (N, 4) floats, x1 y1 x2 y2 in pixels of the image, 0-based.
        scores: For each image (N,) floats.
        class_names: For each image the N classes, in any usual spelling. Detections of a class that the ground truth
            does not have are left out and counted.

    Raises:
        DataError: The lengths differ, a number is not finite, or `truth` is no such file.
        UnknownIdError: An image is not in the ground truth.
    """
    content = read_json(Path(truth))
    entry_of = {str(entry.get(_ID, entry["file_name"])): entry for entry in content["images"]}
    category = {class_key(entry["name"]): entry["id"] for entry in content["categories"]}
    rows: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    for image_id, boxes, values, names in zip(image_ids, boxes_xyxy, scores, class_names, strict=True):
        if image_id not in entry_of:
            raise UnknownIdError(image_id, entry_of, where=truth)
        image = {"image_id": entry_of[image_id]["id"], "file_name": entry_of[image_id]["file_name"]}
        if not len(boxes) == len(values) == len(names) or not (np.isfinite(boxes).all() and np.isfinite(values).all()):
            raise DataError(
                "Detections cannot be written.",
                where=image_id,
                expected="as many boxes as scores and classes, all numbers finite",
                got=f"{len(boxes)} boxes, {len(values)} scores, {len(names)} classes",
            )
        for box, score, name in zip(np.asarray(boxes, float).tolist(), np.asarray(values, float), names, strict=True):
            number = category.get(class_key(name))
            if number is None:
                left_out[name] += 1
                continue
            named = {"category_id": number, "category_name": name}
            rows.append({**image, **named, "bbox": _xywh(box), "score": float(score)})
    write_text(path, json.dumps(rows, allow_nan=False) + "\n")
    return CocoResults(Path(path), Path(truth), len(rows), dict(left_out))
