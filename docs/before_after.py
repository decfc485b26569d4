"""Draw README's picture: a rendered night scene as it is and enhanced, with what the detector finds in each.

Run: python docs/before_after.py [--image ID] [--enhancer guided]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from duskbench import load_detector, load_enhancer
from duskbench.benchmarks.metrics.voc_ap import match
from duskbench.data_tools.datasets import open_dataset
from duskbench.data_tools.images import read_image, write_image
from duskbench.data_tools.records import ImageRecord
from duskbench.pipeline.detectors.base import Detections

THRESHOLD = 0.4


def with_boxes(image: np.ndarray, found: Detections) -> np.ndarray:
    """The image with every detection above the threshold."""
    drawn = image.copy()
    for box, score, label in zip(found.boxes_xyxy, found.scores, found.labels, strict=True):
        if score >= THRESHOLD:
            x1, y1, x2, y2 = (round(float(v)) for v in box)
            text = f"{found.classes[label]} {score:.2f}"
            cv2.rectangle(drawn, (x1, y1), (x2, y2), (255, 170, 0), 2)
            (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
            top = max(y1, height + 6)
            cv2.rectangle(drawn, (x1, top - height - 6), (x1 + width + 4, top), (255, 170, 0), -1)
            cv2.putText(drawn, text, (x1 + 2, top - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return drawn


def objects_found(found: Detections, record: ImageRecord) -> tuple[int, int]:
    """How many objects have a box above the threshold, and how many such boxes have no object of their own."""
    objects = [each for each in record.objects or () if each.name in found.classes]
    shown = found.scores >= THRESHOLD
    matches = match(
        np.array([each.box_xyxy for each in objects], np.float64).reshape(-1, 4),
        np.array([found.classes.index(each.name) for each in objects], np.int64),
        np.zeros(len(objects), np.int64),
        np.array([each.difficult for each in objects], bool),
        found.boxes_xyxy[shown],
        found.scores[shown],
        found.labels[shown],
        np.zeros(shown.sum(), np.int64),
        len(found.classes),
        strict=True,
    )
    return int(matches.tp.sum()), int(matches.fp.sum())


def main() -> None:
    """Write docs/before_after.jpg."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/miniature"))
    parser.add_argument("--image", help="Image id; by default the test image in which the most right boxes are gained.")
    parser.add_argument("--enhancer", default="guided")
    options = parser.parse_args()
    dataset = open_dataset(options.data, split="test")
    enhance, detector = load_enhancer(options.enhancer), load_detector("rfb_miniature")
    best: tuple[int, np.ndarray] | None = None
    for image_id in [options.image] if options.image else dataset.ids:
        record = dataset.record(image_id)
        before = read_image(record.path)
        images = [before, enhance(before)]
        found = detector.detect(images)
        (right_before, _), (right, wrong) = (objects_found(each, record) for each in found)
        gain = right - wrong - right_before
        if best is None or gain > best[0]:
            pair = [with_boxes(image, each) for image, each in zip(images, found, strict=True)]
            best = gain, np.concatenate([pair[0], np.full((len(before), 6, 3), 255, np.uint8), pair[1]], axis=1)
    if best is None:
        raise SystemExit(f"{options.data} holds no test image")
    write_image(Path(__file__).with_name("before_after.jpg"), best[1])


if __name__ == "__main__":
    main()
