"""A run folder written by hand: images with labels, objects and detections drawn from a seed, no file decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.store import Key, ResultStore, Row, StoredImage
from duskbench.data_tools.classes import LIGHTING_TYPES
from duskbench.data_tools.records import ImageRecord, ObjectAnnotation

CLASSES = ("car", "dog", "person")
DETECTOR = "d" * 64


def make_images(n: int, seed: int = 0) -> list[StoredImage]:
    """Up to four objects an image, in cells of 200 pixels so that none overlaps another; sizes from 10 to 180."""
    rng = np.random.default_rng(seed)
    images = []
    for number in range(n):
        objects = []
        for cell in rng.permutation(4)[: rng.integers(0, 5)]:
            x, y = 200.0 * (cell % 2), 200.0 * (cell // 2)
            width, height = rng.integers(10, 180, 2)
            box = (x, y, x + float(width), y + float(height))
            objects.append(ObjectAnnotation(CLASSES[rng.integers(3)], box, difficult=bool(rng.random() < 0.1)))
        record = ImageRecord(
            f"{number:04d}",
            Path("nowhere") / f"{number:04d}.png",
            tuple(objects),
            "test",
            LIGHTING_TYPES[number % 3],
            bool(number % 2),
            "Car",
        )
        images.append(StoredImage(record, 1, 1, f"{number:064x}"))
    return images


def detect(image: StoredImage, skill: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, scores and labels: of each object with probability `skill`, sometimes twice, and some false alarms."""
    boxes, labels = [], []
    for o in image.record.objects or ():
        for chance in (skill, 0.15):
            if rng.random() < chance:
                boxes.append(np.array(o.box_xyxy) + rng.normal(0, 1, 4))
                labels.append(CLASSES.index(o.name))
    for _ in range(rng.integers(0, 3)):
        corner, size = rng.random(2) * 150 + 100, rng.integers(10, 150, 2)
        boxes.append(np.concatenate([corner, corner + size]))
        labels.append(int(rng.integers(3)))
    scores = np.sort(rng.random(len(boxes)))[::-1]
    order = rng.permutation(len(boxes))
    return (
        np.array(boxes, np.float32).reshape(-1, 4)[order],
        scores.astype(np.float32),
        np.array(labels, np.int64)[order],
    )


def make_record(images: Sequence[StoredImage], labels: Sequence[str], **changes: Any) -> dict[str, Any]:
    """The record of a run over these images."""
    return {
        "name": "made",
        "title": "Made by hand",
        "data": {"name": "ExDark", "root": "nowhere", "split": "test"},
        "detector": {"name": "made", "fingerprint": DETECTOR},
        "enhancers": [
            {"label": label, "spec": label.lower(), "fingerprint": label, "error": None, "upper_bound": False}
            for label in labels
        ],
        "protocol": Protocol(classes=CLASSES).to_dict(),
        "measure": "niqe=rgb2gray",
        "paper": {},
        "bootstrap": {"resamples": 50, "seed": 3, "level": 0.9},
        "image_ids": [image.record.id for image in images],
        "environment": {"device": "cpu", "gpu": None, "packages": {"torch": "2"}, "git": None, "started": "now"},
        **changes,
    }


def make_run(
    folder: Path,
    images: Sequence[StoredImage],
    skills: Mapping[str, float],
    *,
    failing: Mapping[str, Sequence[str]] | None = None,
    seed: int = 1,
    **changes: Any,
) -> dict[str, Any]:
    """Write a run folder: an enhancer for each skill, with failures where told; returns its record."""
    record = make_record(images, list(skills), **changes)
    with ResultStore(folder / "results.sqlite") as store:
        store.put_images(images)
        store.put_detector(record["detector"]["fingerprint"], "made", CLASSES)
        for label, skill in skills.items():
            rng = np.random.default_rng([seed, len(label)])
            for image in images:
                boxes, scores, labels = detect(image, skill, rng)
                key = Key(
                    image.record.id, str(image.sha256), label, record["detector"]["fingerprint"], record["measure"]
                )
                row = Row(key, None, float(rng.normal(5 - skill, 1)), None, boxes, scores, labels, ms_enhance=1.0)
                failed = image.record.id in (failing or {}).get(label, ())
                store.put(Row(key, error="too dark") if failed else row)
        store.put_run(record)
    return record
