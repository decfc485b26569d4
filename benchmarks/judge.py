"""What became of each detection of a run: matched with the ground truth once, for tables, break-downs and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.benchmarks.evidence import (
    Boxes,
    Measured,
    RunImages,
    found_by,
    has_detections,
    read_measured,
    read_run_images,
    to_sample,
)
from duskbench.benchmarks.metrics.voc_ap import VocAP, voc_ap
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.statistics import Sample
from duskbench.benchmarks.store import ResultStore


@dataclass(frozen=True)
class Judged:
    """An enhancer's detections and what became of each.

    Attributes:
        mask: (images,) bool: which have a result.
        objects: (T,) indices into the run's truth: those in these images; `result.matches.gt_index` indexes them.
        found: The detections.
        result: What became of them.
    """

    mask: np.ndarray
    objects: np.ndarray
    found: Boxes
    result: VocAP


@dataclass(frozen=True)
class JudgedRun:
    """All enhancers of a run that have a result.

    Attributes:
        run: Images and ground truth.
        measured: The rows of each enhancer, in the run's order.
        by_label: Label -> what became of its detections; only those that have any.
        path: The results file, for errors.
    """

    run: RunImages
    measured: tuple[Measured, ...]
    by_label: Mapping[str, Judged]
    path: Path


def read_judged(store: ResultStore, record: Mapping[str, Any]) -> JudgedRun:
    """Read and match a whole run: for what needs all enhancers at once, and for several such things."""
    run = read_run_images(store, record)
    measured = tuple(one for one in read_measured(store, record, run) if one.rows)
    judged = ((one.label, judge(one, run)) for one in measured)
    return JudgedRun(run, measured, {label: one for label, one in judged if one is not None}, store.path)


def judge(measured: Measured, run: RunImages) -> Judged | None:
    """Match an enhancer's detections with the objects of its images; None where an AP cannot be made."""
    if not has_detections(measured, run):
        return None
    mask = measured.mask(len(run.images))
    objects = np.flatnonzero(mask[run.truth.images])
    found = found_by(measured, run)
    return Judged(mask, objects, found, score(run.truth.take(objects), found, run.protocol))


def sample_of(measured: Measured, run: RunImages, judged: Judged | None) -> Sample:
    """What resampling needs of one enhancer; without detections only its NIQE."""
    if judged is None:
        return to_sample(measured, run)
    return to_sample(measured, run, judged.found, judged.result.matches)


def score(truth: Boxes, found: Boxes, protocol: Protocol) -> VocAP:
    """AP of detections under a protocol."""
    return voc_ap(
        truth.boxes_xyxy,
        truth.labels,
        truth.images,
        truth.difficult,
        found.boxes_xyxy,
        found.scores,
        found.labels,
        found.images,
        len(protocol.classes),
        iou_threshold=protocol.iou_threshold,
        mode=protocol.ap,
        strict=protocol.iou_match == ">",
        plus_one=protocol.plus_one,
    )
