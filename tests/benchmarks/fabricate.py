"""Runs and nights written by hand: images with labels, objects and detections drawn from a seed, no file decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.benchmarks.evaluate import EnhancerResult, evaluate
from duskbench.benchmarks.metrics.registry import load_metric, metric_entry
from duskbench.benchmarks.nightly.night import Calibration, Night, NightEnhancer
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import (
    DataEntry,
    DetectorEntry,
    EnhancerEntry,
    Environment,
    MetricEntry,
    RunRecord,
)
from duskbench.benchmarks.rows import Detected, Key, Measured, Row, StoredImage
from duskbench.benchmarks.statistics import BootstrapOptions, Interval
from duskbench.benchmarks.store import ResultStore
from duskbench.data_tools.classes import LIGHTING_TYPES
from duskbench.data_tools.records import ImageRecord, ObjectAnnotation

CLASSES = ("car", "dog", "person")
DETECTOR = DetectorEntry("made", "made", "d" * 64, "i" * 64, CLASSES)
ENVIRONMENT = Environment(started="now", device="cpu", packages={"torch": "2"})


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


@cache
def metric(name: str) -> MetricEntry:
    """The entry of a metric that duskbench brings."""
    return metric_entry(load_metric(name, Protocol(classes=CLASSES)), name)


def make_record(images: Sequence[StoredImage], labels: Sequence[str], **changes: Any) -> RunRecord:
    """The record of a run over these images; `changes` are fields of it."""
    record = RunRecord(
        name="made",
        title="Made by hand",
        data=DataEntry("ExDark", "nowhere"),
        detectors=(DETECTOR,),
        enhancers=tuple(EnhancerEntry(label, label.lower(), label) for label in labels),
        metrics=(metric("niqe"), metric("voc_ap")),
        protocol=Protocol(classes=CLASSES),
        environment=ENVIRONMENT,
        bootstrap=BootstrapOptions(50, 3, 0.9),
        image_ids=tuple(image.record.id for image in images),
    )
    return replace(record, **changes)


def make_run(
    folder: Path,
    images: Sequence[StoredImage],
    skills: Mapping[str, float],
    *,
    failing: Mapping[str, Sequence[str]] | None = None,
    seed: int = 1,
    **changes: Any,
) -> RunRecord:
    """Write a run folder: an enhancer for each skill, with failures where asked for; returns its record.

    A metric of images is about 5 less the skill, whichever it is.
    """
    record = make_record(images, list(skills), **changes)
    with ResultStore(folder / "results.sqlite") as store:
        store.put_images(images)
        for enhancer in record.enhancers:
            rng = np.random.default_rng([seed, len(enhancer.label)])
            for image in images:
                row = _row(record, enhancer, image, skills[enhancer.label], rng)
                failed = image.record.id in (failing or {}).get(enhancer.label, ())
                store.put(Row(row.key, error="too dark") if failed else row)
        store.put_run(record)
    return record


def results_of(folder: Path, record: RunRecord | None = None, **options: Any) -> dict[str, EnhancerResult]:
    """Label -> what the enhancers of a run folder's newest record, or of another one, reached; see `evaluate`."""
    with ResultStore(folder / "results.sqlite", reading=True) as store:
        return {result.label: result for result in evaluate(store, record or store.last_run(), **options)}


def _row(record: RunRecord, enhancer: EnhancerEntry, image: StoredImage, skill: float, rng: np.random.Generator) -> Row:
    key = Key(image.record.id, str(image.content(record.decoder)), enhancer.fingerprint)
    detections = {d.fingerprint: Detected(*detect(image, skill, rng), ms=2.0) for d in record.asked_of(enhancer)}
    values = {
        m.fingerprint: Measured(float(rng.normal(5 - skill, 1)), ms=0.5) for m in record.metrics if m.kind == "image"
    }
    return Row(key, None, 0.25, 1.0, detections, values)


def make_night(number: int, scores: Mapping[str, Mapping[str, Interval]] | None = None, **changes: Any) -> Night:
    """The night of a day of November; `scores` are label -> key -> number, `changes` fields of the night."""
    scores = {"LIME": {"map": Interval(0.5, 0.4, 0.6), "niqe": Interval(4.0)}} if scores is None else scores
    night = Night(
        id=f"2026-11-{number:02d}T03-00-00Z",
        started=f"2026-11-{number:02d}T03:00:00+00:00",
        finished=f"2026-11-{number:02d}T04:00:00+00:00",
        verdict="green",
        baseline=("2026-11-01T03-00-00Z",),
        record=make_record((), list(scores)),
        n_images=10,
        images_digest="s" * 64,
        calibration=Calibration({"FFT": Interval(2.0, 1.9, 2.2)}, 40, 2, 1),
        enhancers=tuple(NightEnhancer(label, 10, 0, scores=dict(of)) for label, of in scores.items()),
        findings=(),
        rows={"total": 10, "reused": 0, "measured": 10},
    )
    return replace(night, **changes)
