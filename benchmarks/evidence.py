"""All that a comparison needs of a run: images, samples, failures and times, enhancer by enhancer."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from duskbench.benchmarks.bootstrap import Bootstrap
from duskbench.benchmarks.metrics.base import Ranking
from duskbench.benchmarks.record import EnhancerEntry, RunRecord
from duskbench.benchmarks.rows import ImageState, Key
from duskbench.benchmarks.samples import sample_of
from duskbench.benchmarks.statistics import Aggregate, BootstrapOptions, Sample
from duskbench.benchmarks.store import RESULTS, ResultStore
from duskbench.benchmarks.stored_run import EnhancerRows, RunImages, read_enhancers, read_run_images
from duskbench.benchmarks.trainings import Trainings

STAGES = ("decode", "enhance", "detect", "metrics")


@dataclass(frozen=True)
class EnhancerEvidence:
    """One enhancer of a run, image by image; N are the images of the run.

    Attributes:
        entry: Of the run's record.
        sample: Measured images, values and rankings.
        failures: Image id -> reason.
        ms: Stage -> (N,) float64 milliseconds; NaN where an image was not measured, or not by this run.
    """

    entry: EnhancerEntry
    sample: Sample
    failures: dict[str, str] = field(default_factory=dict)
    ms: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is no number in it."""
        return not self.sample.measured.any()


@dataclass(frozen=True)
class RowEvidence:
    """A row of a run's table: an enhancer, or the several trainings of a method.

    Attributes:
        label: Of the row.
        each: The enhancer, or the trainings.
    """

    label: str
    each: tuple[EnhancerEvidence, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is no number in it."""
        return all(one.is_empty for one in self.each)

    @cached_property
    def sample(self) -> Sample | Trainings:
        """Of the enhancer, or of the trainings that have numbers."""
        if self.each[0].entry.method is None:
            return self.each[0].sample
        there = tuple(one.sample for one in self.each if not one.is_empty)
        return Trainings(self.label, there or tuple(one.sample for one in self.each))

    @property
    def ms(self) -> dict[str, np.ndarray]:
        """Stage -> (N,) float64 mean milliseconds of the trainings, NaN where one of them has none."""
        stages = (stage for stage in STAGES if all(stage in one.ms for one in self.each))
        return {stage: np.mean([one.ms[stage] for one in self.each], axis=0) for stage in stages}

    @property
    def error(self) -> str | None:
        """Why it, or one of the trainings, cannot be built."""
        if self.each[0].entry.method is None:
            return self.each[0].entry.error
        return "; ".join(f"{one.entry.label}: {one.entry.error}" for one in self.each if one.entry.error) or None

    @property
    def failed(self) -> Set[str]:
        """Ids of the images on which it, or one of the trainings, fails."""
        return {image_id for one in self.each for image_id in one.failures}

    def same_numbers(self, other: RowEvidence) -> bool:
        """Whether two are equal to the last digit in all scores that both have."""
        return len(self.each) == len(other.each) and all(
            one.sample.same_numbers(its.sample) for one, its in zip(self.each, other.each, strict=True)
        )

    @property
    def weights(self) -> list[Mapping[str, str] | str]:
        """What tells the trainings from others: the hashes of their weight files, or how they are built."""
        return [one.entry.weights or str(one.entry.spec) for one in self.each]


@dataclass(frozen=True)
class RunEvidence:
    """What a comparison needs of a run.

    Attributes:
        record: The run's.
        images: Their content and ground truth.
        objects: Class -> (N,) objects to find in each image.
        enhancers: Label -> evidence, in the run's order.
        aggregates: Key of a score -> how it is made of its images' numbers, where that is not their mean.
        cautions: As of `RunImages`.
    """

    record: RunRecord
    images: tuple[ImageState, ...]
    objects: dict[str, np.ndarray]
    enhancers: dict[str, EnhancerEvidence]
    aggregates: Mapping[str, Aggregate] = field(default_factory=dict)
    cautions: tuple[str, ...] = ()

    @cached_property
    def rows(self) -> dict[str, RowEvidence]:
        """Label of a row of the table -> its evidence, in the run's order."""
        return _rows_of(self.enhancers)

    def within(self) -> np.ndarray:
        """(N,) bool: the images that any enhancer has a result of."""
        masks = [enhancer.sample.measured for enhancer in self.enhancers.values()]
        return np.any(masks or [np.zeros(len(self.images), bool)], axis=0)

    def resampled(self, within: np.ndarray, options: BootstrapOptions | None = None) -> Bootstrap:
        """Resamples of some of the images, (N,) bool; by the run's own options, or others."""
        options = options or self.record.bootstrap
        clusters = options.clusters([state.id for state in self.images])
        return Bootstrap(self.objects, options, within=within, aggregates=self.aggregates, clusters=clusters)


def _rows_of(enhancers: Mapping[str, EnhancerEvidence]) -> dict[str, RowEvidence]:
    """Put the trainings of a method together; label of an enhancer -> evidence becomes label of a row -> evidence."""
    rows: dict[str, list[EnhancerEvidence]] = {}
    for one in enhancers.values():
        rows.setdefault(one.entry.row, []).append(one)
    return {label: RowEvidence(label, tuple(each)) for label, each in rows.items()}


def read_evidence(store: ResultStore, *, earlier: Set[Key] = frozenset()) -> RunEvidence:
    """Read the newest run.

    Args:
        store: The results.
        earlier: Keys of rows that another start had measured, perhaps on another machine: their results count, their
            times do not.
    """
    run = read_run_images(store, store.last_run())

    def take(rows: EnhancerRows) -> EnhancerEvidence:
        return EnhancerEvidence(rows.entry, _frozen_sample(rows, run), rows.failures, _times(rows, run, earlier))

    return RunEvidence(
        record=run.record,
        images=tuple(image.state() for image in run.images),
        objects=run.objects(),
        # `map`, not a loop, whose variable would keep one enhancer's rows while the next one's are read.
        enhancers={one.entry.label: one for one in map(take, read_enhancers(store, run))},
        aggregates=run.aggregates(),
        cautions=run.cautions,
    )


def _frozen_sample(rows: EnhancerRows, run: RunImages) -> Sample:
    """Without the detectors that were trained further: a comparison of runs says so."""
    made = sample_of(rows, run)
    first = made.samples[0] if isinstance(made, Trainings) else made
    frozen = {c.key for c in run.record.columns() if c.detector is not None and c.detector.frozen is None}
    return replace(first, ranked={key: each for key, each in first.ranked.items() if key in frozen})


def _times(rows: EnhancerRows, run: RunImages, earlier: Set[Key]) -> dict[str, np.ndarray]:
    times = {stage: np.full(len(run.images), np.nan) for stage in STAGES}
    detectors = [detector.fingerprint for detector in run.record.asked_of(rows.entry)]
    metrics = [metric.fingerprint for metric in run.record.metrics if metric.kind == "image"]
    for position, row in rows.rows.items():
        if row.key in earlier:
            continue
        parts = {
            "decode": [row.ms_decode],
            "enhance": [row.ms_enhance],
            "detect": [row.detections[each].ms for each in detectors],
            "metrics": [row.values[each].ms for each in metrics],
        }
        for stage, taken in parts.items():
            if taken and None not in taken:
                times[stage][position] = sum(ms for ms in taken if ms is not None)
    return times


def onto(evidence: RunEvidence, other: RunEvidence) -> dict[str, RowEvidence]:
    """A run's rows with their arrays over another run's images and their scores under its keys.

    Both have the same images, perhaps in another order; a detector is the same where its label is.
    """
    places = {state.id: number for number, state in enumerate(evidence.images)}
    order = np.array([places[state.id] for state in other.images], np.int64)
    back = np.argsort(order)
    theirs = {column.identity: column.key for column in other.record.columns()}
    keys = {c.key: theirs[c.identity] for c in evidence.record.columns() if c.identity in theirs}
    return _rows_of({label: _moved(one, order, back, keys) for label, one in evidence.enhancers.items()})


def _moved(one: EnhancerEvidence, order: np.ndarray, back: np.ndarray, keys: Mapping[str, str]) -> EnhancerEvidence:
    sample = one.sample
    ranked = {
        keys[key]: replace(
            ranked,
            by_class={name: tuple(Ranking(back[r.images], r.tp) for r in of) for name, of in ranked.by_class.items()},
        )
        for key, ranked in sample.ranked.items()
        if key in keys
    }
    values = {keys[key]: values[order] for key, values in sample.values.items() if key in keys}
    return replace(
        one,
        sample=Sample(sample.label, sample.measured[order], values, ranked),
        ms={stage: times[order] for stage, times in one.ms.items()},
    )


def open_evidence(run_dir: Path) -> RunEvidence:
    """Read the newest run of a folder.

    Raises:
        DataError: There are no results in the folder, or they are damaged.
    """
    with ResultStore(run_dir / RESULTS, reading=True) as store:
        return read_evidence(store)
