"""A run's detections matched with its objects by the protocol, one enhancer at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from duskbench.benchmarks.evaluate import baseline_labels
from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.benchmarks.metrics.voc_ap import VocAP, voc_ap_by_protocol
from duskbench.benchmarks.record import DetectorEntry, RunRecord
from duskbench.benchmarks.samples import detectable
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.stored_run import (
    EnhancerRows,
    RunImages,
    found_by,
    has_detections,
    objects_of,
    read_enhancers,
)
from duskbench.data_tools.errors import DataError, UnknownNameError

_T = TypeVar("_T")


@dataclass(frozen=True)
class Matched:
    """An enhancer's detections and what became of each.

    Attributes:
        mask: (images,) bool: which have a result.
        objects: (T,) indices into the run's truth: those in these images; `result.matches.gt_index` indexes them.
        truth: These objects.
        found: The detections.
        result: What became of them by the protocol.
        asked: (T,) bool: which of the objects the detector was asked to find: not difficult, of a class that it has.
        threshold: Score from which a detection counts where objects and false alarms are counted.
    """

    mask: np.ndarray
    objects: np.ndarray
    truth: Boxes
    found: Boxes
    result: VocAP
    asked: np.ndarray
    threshold: float = 0.0


def read_matched(
    store: ResultStore,
    run: RunImages,
    take: Callable[[EnhancerRows, Mapping[str, Matched]], _T],
    *,
    detectors: Sequence[DetectorEntry] | None = None,
    baseline: str | None = None,
    threshold: float | None = None,
) -> dict[str, _T]:
    """Match a run and keep what is made of each enhancer; the detections of all would be too many to keep.

    Args:
        store: The results.
        run: Its images.
        take: Given an enhancer's rows and, by the label of the detector, its matched detections; a detector is absent
            where it was not asked or an AP cannot be made.
        detectors: Of the run; None for the first, if it has any.
        baseline: Label of the row whose enhancer comes first; None for Input.
        threshold: Score from which a detection counts; None for the one with the best F1 on the first enhancer that a
            detector has detections of, over all classes together. It is the same for every enhancer, because the
            detector is: a user sets it once.

    Returns:
        Label of the enhancer -> what was made of it, in the run's order.

    Raises:
        UnknownNameError: The run has no such baseline.
    """
    record = run.record
    asked = record.detectors[:1] if detectors is None else detectors
    first = [entry.label for label in baseline_labels(record, baseline)[-1:] for entry in record.rows[label]]
    thresholds = {} if threshold is None else {detector.label: threshold for detector in asked}

    def made_of(rows: EnhancerRows) -> tuple[str, _T]:
        matched = {}
        for detector in asked:
            one = match_enhancer(rows, run, detector)
            if one is not None:
                if detector.label not in thresholds:
                    thresholds[detector.label] = best_f1_threshold(one)
                matched[detector.label] = replace(one, threshold=thresholds[detector.label])
        return rows.label, take(rows, matched)

    made = dict(map(made_of, read_enhancers(store, run, first)))
    return {entry.label: made[entry.label] for entry in record.enhancers}


def read_each_matched(
    store: ResultStore,
    run: RunImages,
    take: Callable[[Matched], _T],
    *,
    detector: DetectorEntry | None = None,
    baseline: str | None = None,
    threshold: float | None = None,
) -> dict[str, _T]:
    """`read_matched` of one detector, by default the first; an enhancer that it has no detections of is absent."""

    def made_of(_: EnhancerRows, matched: Mapping[str, Matched]) -> list[_T]:
        return [take(one) for one in matched.values()]

    detectors = None if detector is None else (detector,)
    made = read_matched(store, run, made_of, detectors=detectors, baseline=baseline, threshold=threshold)
    return {label: one for label, each in made.items() for one in each}


def match_enhancer(rows: EnhancerRows, run: RunImages, detector: DetectorEntry) -> Matched | None:
    """Match an enhancer's detections with the objects of its images; None where an AP cannot be made.

    Of a detector that was trained several times on these images, the first training's detections: see
    `label_of_matched`.
    """
    asked = detector.asked_of(rows.label)[:1]
    if not asked or not has_detections(rows, run):
        return None
    mask = rows.mask(len(run.images))
    objects = np.flatnonzero(mask[run.truth.images])
    truth, found = objects_of(rows, run), found_by(rows, run, asked[0])
    names = run.protocol.classes
    known = detectable(dict.fromkeys(names), detector, run.protocol)
    wanted = ~truth.difficult & np.array([name in known for name in names], bool)[truth.labels]
    return Matched(mask, objects, truth, found, voc_ap_by_protocol(truth, found, run.protocol), wanted)


def choose_detector(record: RunRecord, label: str | None) -> DetectorEntry:
    """A run's detector of that label, or its first.

    Raises:
        UnknownNameError: It has no such detector.
        DataError: It has none at all.
    """
    if not record.detectors:
        raise DataError(
            "The run has no detections: it had no detector.", where=record.name, todo="run it with one: --detector NAME"
        )
    by_label = {detector.label: detector for detector in record.detectors}
    if label is not None and label not in by_label:
        raise UnknownNameError("detector of the run", label, by_label)
    return record.detectors[0] if label is None else by_label[label]


def other_detectors(record: RunRecord, detector: DetectorEntry) -> list[str]:
    """The note under what is of one of several detectors: what the others are called."""
    others = [repr(each.label) for each in record.detectors if each is not detector]
    return [f"Of {label_of_matched(detector)}. For {' or '.join(others)}: --detector."] if others else []


def label_of_matched(detector: DetectorEntry) -> str:
    """What matched detections are said to be of."""
    return f"{detector.label}, seed {detector.trainings[0].seed}" if detector.trainings else detector.label


def best_f1_threshold(one: Matched) -> float:
    """The score at which F1 over all classes together is best; 0 where nothing is found at any.

    Of equal ones the highest. F1 = 2 TP / (detections + objects).
    """
    matches = one.result.matches
    counted = np.flatnonzero(matches.tp | matches.fp)
    order = counted[np.argsort(-one.found.scores[counted], kind="stable")]
    if not matches.tp.any():
        return 0.0
    scores = one.found.scores[order]
    found = np.cumsum(matches.tp[order])
    f1 = 2 * found / (np.arange(1, len(order) + 1) + np.count_nonzero(one.asked))
    # A threshold takes all detections of its score or none.
    last_of_score = np.append(scores[1:] < scores[:-1], True)
    return float(scores[np.argmax(np.where(last_of_score, f1, -1.0))])
