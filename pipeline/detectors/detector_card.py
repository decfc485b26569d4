"""What a trained detector is worth, and the card that is shipped beside its weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from duskbench.data_tools.files import file_sha256, write_text
from duskbench.data_tools.images import read_image
from duskbench.data_tools.records import Dataset, ImageRecord
from duskbench.pipeline.detectors.base import Detector


def mean_average_precision(detector: Detector, dataset: Dataset, pictures: Mapping[str, Path] | None = None) -> float:
    """VOC2007's mean average precision (11 points, IoU 0.5), by mmdet's eval_map with plain widths.

    Args:
        detector: The detector; its classes are those that count. Objects of others are dropped.
        dataset: Images with ground truth.
        pictures: Image id -> file to show to the detector instead, for lit twins and enhanced images.

    Returns:
        The mean over the classes that occur, 0 to 1.

    Raises:
        DataError: An image or annotation cannot be read.
    """
    from mmdet.evaluation import eval_map

    found, truth = [], []
    for image_id in dataset.ids:
        record = dataset.record(image_id)
        image = read_image(record.path if pictures is None else pictures[image_id])
        detections = detector.detect([image])[0]
        rows = np.column_stack([detections.boxes_xyxy, detections.scores])
        found.append([rows[detections.labels == label] for label in range(len(detector.classes))])
        truth.append(_truth(record, detector.classes))
    mean, _ = eval_map(found, truth, iou_thr=0.5, dataset="voc07", logger="silent", nproc=1, eval_mode="11points")
    return float(mean)


def _truth(record: ImageRecord, classes: tuple[str, ...]) -> dict[str, np.ndarray]:
    objects = [each for each in record.objects or () if each.name in classes]

    def part(difficult: bool) -> tuple[np.ndarray, np.ndarray]:
        chosen = [each for each in objects if each.difficult is difficult]
        boxes = np.array([each.box_xyxy for each in chosen], np.float32).reshape(-1, 4)
        return boxes, np.array([classes.index(each.name) for each in chosen], np.int64)

    (boxes, labels), (ignored, ignored_labels) = part(False), part(True)
    return {"bboxes": boxes, "labels": labels, "bboxes_ignore": ignored, "labels_ignore": ignored_labels}


def write_card(path: str | Path, title: str, facts: Iterable[tuple[str, str]], weights: str | Path) -> None:
    """Write the Markdown card of a weight file.

    Args:
        path: Destination, `.md`; written atomically.
        title: First line.
        facts: What is to be said, name and text, in order.
        weights: The weight file; its size and sha256 are added.
    """
    size = Path(weights).stat().st_size
    rows = [*facts, ("file", f"`{Path(weights).name}`, {size:,} bytes, sha256 `{file_sha256(weights)}`")]
    table = "\n".join(f"| {name} | {text} |" for name, text in rows)
    write_text(path, f"# {title}\n\n| | |\n|---|---|\n{table}\n")
