"""What resampling needs of a run's enhancers, made of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import TypeVar

import numpy as np

from duskbench.benchmarks.found import Found, rank_in_parts
from duskbench.benchmarks.metrics.base import DetectionMetric, Ranked
from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import DetectorEntry
from duskbench.benchmarks.statistics import Sample
from duskbench.benchmarks.stored_run import EnhancerRows, RunImages, found_by, has_detections, objects_of
from duskbench.benchmarks.trainings import Trainings
from duskbench.data_tools.classes import match_classes

_T = TypeVar("_T")


def sample_of(rows: EnhancerRows, run: RunImages) -> Sample | Trainings:
    """What resampling needs of one enhancer: its images' values, and its detections where an AP can be made.

    Where a detector was trained on its images several times, there is a sample for each training. A score whose
    metric's code has gone is left out.
    """
    n = len(run.images)
    values: dict[str, np.ndarray] = {}
    ranked: dict[str, list[Ranked]] = {}
    by_detector: dict[str, dict[str, Ranked]] = {}
    detected = has_detections(rows, run)
    for column in (c for c in run.record.columns() if run.can_compute(c.metric)):
        if column.detector is None:
            values[column.key] = rows.values(column.metric.fingerprint, n)
            continue
        for detector in column.detector.asked_of(rows.label) if detected else ():
            if detector.fingerprint not in by_detector:
                by_detector[detector.fingerprint] = _rank(rows, run, detector)
            made = by_detector[detector.fingerprint][column.metric.key]
            ranked.setdefault(column.key, []).append(made.without(undetectable(column.detector, run.protocol)))
    return samples_of(rows.label, rows.mask(n), values, ranked)


def _rank(rows: EnhancerRows, run: RunImages, detector: DetectorEntry) -> dict[str, Ranked]:
    """Key of a metric -> what it makes of a detector's detections."""
    metrics = {key: metric for key, metric in run.metrics.items() if isinstance(metric, DetectionMetric)}
    parts = rows.found.get(detector.fingerprint, [])
    if len(parts) < 2 or not all(one.by_image for one in metrics.values()):
        pairs = [(objects_of(rows, run), found_by(rows, run, detector))]
        return rank_in_parts(metrics, pairs, run.protocol.classes)
    del rows.found[detector.fingerprint]
    # Each is dropped when its turn comes.
    turns = (parts.pop() for _ in range(len(parts)))
    return rank_in_parts(metrics, (_matchable(part, run, detector) for part in turns), run.protocol.classes)


def _matchable(part: Found, run: RunImages, detector: DetectorEntry) -> tuple[Boxes, Boxes]:
    """Objects of these images, and what was found in them."""
    objects = np.isin(run.truth.images, part.images)
    return run.truth.take(objects), part.boxes(detector.classes, run.protocol)


def samples_of(
    label: str, measured: np.ndarray, values: Mapping[str, np.ndarray], ranked: Mapping[str, Sequence[Ranked]]
) -> Sample | Trainings:
    """One enhancer's sample, or one for each training of its detector; see `Sample` for what is not said here.

    Args:
        label: Of the enhancer.
        measured: Which images have a result.
        values: Of images.
        ranked: Key of a score of detections -> of a frozen detector one, of a trained one those of its trainings.
    """
    samples = tuple(
        Sample(label, measured, values, {key: each[min(number, len(each) - 1)] for key, each in ranked.items()})
        for number in range(max(map(len, ranked.values()), default=1))
    )
    return samples[0] if len(samples) == 1 else Trainings(label, samples)


def undetectable(detector: DetectorEntry, protocol: Protocol) -> Set[str]:
    """The classes that a detector does not have."""
    return frozenset(match_classes(detector.classes, protocol.classes).not_detectable)


def detectable(by_class: Mapping[str, _T], detector: DetectorEntry, protocol: Protocol) -> dict[str, _T]:
    """Without the classes that a detector does not have: it cannot fail at what it was never asked to say."""
    lacking = undetectable(detector, protocol)
    return {name: value for name, value in by_class.items() if name not in lacking}
