"""From stored rows to the numbers of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np

from duskbench.benchmarks.bootstrap import Bootstrap
from duskbench.benchmarks.record import RunRecord
from duskbench.benchmarks.samples import sample_of
from duskbench.benchmarks.statistics import Difference, Interval, Sample, Spread
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.stored_run import EnhancerRows, RunImages, lacking, read_enhancers, read_run_images
from duskbench.benchmarks.trainings import Trainings
from duskbench.data_tools.errors import UnknownNameError


@dataclass(frozen=True)
class EnhancerResult:
    """What one enhancer reached.

    Attributes:
        label: Row of the table.
        n_images: Images with a result.
        n_expected: Images of the run.
        failures: Image id -> reason.
        spread: Its scores and APs with their intervals.
        reasons: Key of a score -> reason -> number of images without a value.
        by_group: Key of a score of images -> group of images -> its number there.
        against: Label of a baseline -> difference to it: Input first, then the chosen one; none to itself.
        ms_enhance: Mean milliseconds per image.
        error: Why the enhancer could not be built.
        to_frozen: Key of a score of a detector that was trained further -> its difference to that of the frozen one.
        lacks: Which of the run's images have no result; from `results_of`.
    """

    label: str
    n_images: int
    n_expected: int
    failures: dict[str, str] = field(default_factory=dict)
    spread: Spread = field(default_factory=Spread)
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)
    by_group: dict[str, dict[str, float]] = field(default_factory=dict)
    against: dict[str, Difference] = field(default_factory=dict)
    ms_enhance: float | None = None
    error: str | None = None
    to_frozen: dict[str, Interval] = field(default_factory=dict)
    lacks: frozenset[int] = frozenset()

    def score(self, key: str) -> Interval | None:
        """A score with its interval; None where there is none."""
        return self.spread.scores.get(key)

    def number(self, key: str) -> float | None:
        """A score; None where there is none."""
        interval = self.score(key)
        return None if interval is None else interval.value


def evaluate(store: ResultStore, record: RunRecord, *, baseline: str | None = None) -> list[EnhancerResult]:
    """Compute every number of a run's table; `evaluate_run` with the images of a record.

    Args:
        store: The results.
        record: The run's record, see `ResultStore.last_run` and `metric_code.with_coco`.
        baseline: As in `evaluate_run`, like the error.
    """
    return evaluate_run(store, read_run_images(store, record), baseline=baseline)


def evaluate_run(store: ResultStore, run: RunImages, *, baseline: str | None = None) -> list[EnhancerResult]:
    """Compute every number of a run's table.

    Args:
        store: The results.
        run: The run's images.
        baseline: Label of an enhancer to compare with, besides Input.

    Returns:
        One result per enhancer, in the run's order.

    Raises:
        UnknownNameError: The run has no such baseline.
    """
    baselines = baseline_labels(run.record, baseline)

    def numbers(rows: EnhancerRows) -> tuple[EnhancerResult, Sample | Trainings | None]:
        return counts_of(rows, run), sample_of(rows, run) if rows.rows else None

    # `map`, not a loop, whose variable would keep one enhancer's rows while the next one's are read.
    each = list(map(numbers, read_enhancers(store, run)))
    measured = {count.label: sample for count, sample in each if sample is not None}
    drawn = bootstrap_of(run, measured.values())
    return results_of(run, [count for count, _ in each], measured, drawn, baselines)


def results_of(
    run: RunImages,
    each: Iterable[EnhancerResult],
    measured: Mapping[str, Sample | Trainings],
    bootstrap: Bootstrap,
    baselines: Sequence[str],
) -> list[EnhancerResult]:
    """A result for each row of the table.

    Args:
        run: Its images.
        each: Of each enhancer, from `counts_of`.
        measured: Label of an enhancer with a result -> its sample.
        bootstrap: From `bootstrap_of` of these samples.
        baselines: From `baseline_labels`.
    """
    counts = {count.label: count for count in each}
    by_row = rows_of(run.record, measured)
    lacks = lacking(run, {label: sample.measured for label, sample in measured.items()})
    results = [
        replace(
            _together(label, [counts[entry.label] for entry in entries if entry.label in counts], by_row.get(label)),
            lacks=lacks[label],
        )
        for label, entries in run.record.rows.items()
    ]
    return [
        with_intervals(result, by_row[result.label], by_row, baselines, run, bootstrap)
        if result.label in by_row
        else result
        for result in results
    ]


def rows_of(record: RunRecord, samples: Mapping[str, Sample | Trainings]) -> dict[str, Sample | Trainings]:
    """The samples of a run's enhancers by row of its table: those of several trainings together.

    Args:
        record: The run's.
        samples: Label of an enhancer -> its sample; an enhancer without a result is absent.
    """
    rows: dict[str, Sample | Trainings] = {}
    for label, entries in record.rows.items():
        there = tuple(samples[entry.label] for entry in entries if entry.label in samples)
        if there:
            each = (sample.samples if isinstance(sample, Trainings) else (sample,) for sample in there)
            rows[label] = there[0] if entries[0].method is None else Trainings(label, tuple(chain.from_iterable(each)))
    return rows


def baseline_labels(record: RunRecord, baseline: str | None = None) -> list[str]:
    """What differences are taken to: Input, if the run has it, and a chosen enhancer.

    Raises:
        UnknownNameError: The run has no such enhancer.
    """
    labels = list(record.rows)
    if baseline is not None and baseline not in labels:
        raise UnknownNameError("baseline of this run", baseline, labels)
    return list(dict.fromkeys(label for label in (record.input_label, baseline) if label is not None))


def baselines_of(record: RunRecord, results: Iterable[EnhancerResult]) -> list[str]:
    """What results have differences to: Input first, then the chosen one; the last is what a table's marks are of."""
    found = dict.fromkeys(label for result in results for label in result.against)
    return sorted(found, key=lambda label: label != record.input_label)


def bootstrap_of(run: RunImages, samples: Iterable[Sample | Trainings]) -> Bootstrap:
    """Resamples of the images that any of the samples has a result of."""
    within = np.zeros(len(run.images), bool)
    for sample in samples:
        within |= sample.measured
    return run.resampled(within)


def with_intervals(
    result: EnhancerResult,
    sample: Sample | Trainings,
    samples: Mapping[str, Sample | Trainings],
    baselines: Sequence[str],
    run: RunImages,
    bootstrap: Bootstrap,
) -> EnhancerResult:
    """Add numbers, intervals and differences to a result."""
    return replace(
        result,
        spread=bootstrap.spread(sample),
        by_group=_by_group(sample, run, bootstrap),
        against={
            label: bootstrap.difference(sample, samples[label])
            for label in baselines
            if label != result.label and label in samples
        },
        to_frozen={
            score.key: difference
            for score in run.record.columns()
            if (frozen := run.record.frozen_score(score)) is not None
            and (difference := bootstrap.between(sample, score.key, frozen.key)) is not None
        },
    )


def counts_of(rows: EnhancerRows, run: RunImages) -> EnhancerResult:
    """What can be said of one enhancer without resampling: images, failures, reasons, time."""
    reasons: dict[str, dict[str, int]] = {}
    for column in run.record.columns():
        if column.detector is None:
            said = [row.values[column.metric.fingerprint] for row in rows.rows.values()]
            reasons[column.key] = dict(Counter(each.reason or "" for each in said if each.number is None))
    times = [row.ms_enhance for row in rows.rows.values() if row.ms_enhance is not None]
    return EnhancerResult(
        label=rows.label,
        n_images=len(rows.rows),
        n_expected=len(run.images),
        failures=rows.failures,
        reasons=reasons,
        ms_enhance=float(np.mean(times)) if times else None,
        error=rows.entry.error,
    )


def _together(label: str, each: Sequence[EnhancerResult], sample: Sample | Trainings | None) -> EnhancerResult:
    """What was counted of several trainings, as one row; of one enhancer that itself."""
    if len(each) == 1 and each[0].label == label:
        return each[0]
    reasons: dict[str, Counter[str]] = {}
    for one in each:
        for key, count in one.reasons.items():
            reasons.setdefault(key, Counter()).update(count)
    times = [one.ms_enhance for one in each if one.ms_enhance is not None]
    return EnhancerResult(
        label=label,
        n_images=0 if sample is None else int(sample.measured.sum()),
        n_expected=each[0].n_expected,
        failures={i: f"{one.label}: {reason}" for one in reversed(each) for i, reason in one.failures.items()},
        reasons={key: dict(count) for key, count in reasons.items()},
        ms_enhance=float(np.mean(times)) if times else None,
        error="; ".join(f"{one.label}: {one.error}" for one in each if one.error) or None,
    )


def _by_group(sample: Sample | Trainings, run: RunImages, bootstrap: Bootstrap) -> dict[str, dict[str, float]]:
    groups = np.array([image.record.group or "" for image in run.images])
    each = sample.samples if isinstance(sample, Trainings) else (sample,)
    made: dict[str, dict[str, float]] = {}
    for key, values in sample.values.items():
        there = sample.measured & ~np.isnan(values)
        aggregate = bootstrap.aggregates.get(key, np.mean)
        made[key] = {
            str(group): float(np.mean([aggregate(one.values[key][there & (groups == group)]) for one in each]))
            for group in np.unique(groups[there])
        }
    return made
