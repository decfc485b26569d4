"""The gates: what makes a night red, and what is only reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from duskbench.benchmarks.compare import EnhancerComparison, RunComparison, compare_evidence
from duskbench.benchmarks.evidence import RowEvidence, RunEvidence
from duskbench.benchmarks.nightly.failures import failures_finding
from duskbench.benchmarks.nightly.history import Baseline
from duskbench.benchmarks.nightly.night import Calibration, GateFinding, Outcome
from duskbench.benchmarks.nightly.speed import cost_change, stage_findings, throughput_finding
from duskbench.benchmarks.record import MetricEntry, ScoreColumn
from duskbench.benchmarks.statistics import Interval
from duskbench.benchmarks.table import cell_of, score_column
from duskbench.data_tools.errors import ConfigError

_NEW = "not in the baseline yet: its numbers of tonight are its baseline from now on"
_NEW_AND_FAILING = "not in the baseline, and does not become part of it while images fail (--accept overrules)"
_NEW_SCORE = "not in the baseline yet; --accept makes tonight the baseline"


@dataclass(frozen=True)
class Limits:
    """How much worse is still no regression.

    Attributes:
        tolerances: Key of a metric -> by how much it may get worse, in the unit in which it is shown; instead of its
            own, see `Metric.tolerance`. Below it nothing is red, whatever the interval says.
        throughput: Least share of the baseline's throughput, relative to the calibration workload.
    """

    tolerances: Mapping[str, float] = field(default_factory=dict)
    throughput: float = 0.7

    def __post_init__(self) -> None:
        for key, value in self.tolerances.items():
            if not value >= 0:
                raise _out_of_range(f"--tolerance {key}", "0 or more, in the unit in which it is shown", value)
        if not 0 <= self.throughput <= 1:
            raise _out_of_range("--throughput-ratio", "a share, 0 to 1", self.throughput)

    def tolerance(self, metric: MetricEntry) -> float | None:
        """Of a metric; None where it decides nothing."""
        return self.tolerances.get(metric.key, metric.tolerance)


def _out_of_range(option: str, expected: str, value: float) -> ConfigError:
    return ConfigError("The gate cannot be set like this.", where=option, expected=expected, got=f"{value:g}")


@dataclass(frozen=True)
class GateResult:
    """What the gates say of a night.

    Attributes:
        findings: Gate by gate.
        differences: Why it cannot be compared with its baseline; none where it can.
        notes: What was seen and decides nothing.
        joins: Labels whose baseline the night becomes by itself: all of a first night in which nothing fails, and new
            ones.
    """

    findings: tuple[GateFinding, ...]
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    joins: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Compared:
    """Tonight beside one of the nights that its baseline is made of."""

    baseline: Baseline
    comparison: RunComparison
    by_label: Mapping[str, EnhancerComparison]


def gate_night(
    tonight: RunEvidence,
    calibration: Calibration,
    baselines: Sequence[Baseline],
    limits: Limits,
    missing: Sequence[str] = (),
) -> GateResult:
    """Compare a night with its baseline.

    Args:
        tonight: What was measured.
        calibration: Tonight's calibration workload.
        baselines: The nights that it is compared with, each in other enhancers; none for a first night.
        limits: What is tolerated.
        missing: Ids of images that are not in the tree and should be.
    """
    compared = [_compare(baseline, tonight) for baseline in baselines]
    blocking = dict.fromkeys(str(change) for each in compared for change in each.comparison.blocking)
    if blocking:
        findings = [failures_finding(row, None, tonight) for row in tonight.rows.values()]
        return GateResult((*findings, *_nothing_measured(tonight)), differences=tuple(blocking))
    of = {label: each for each in compared for label in each.baseline.evidence.rows}
    findings = list(_nothing_measured(tonight))
    others = dict.fromkeys(heading for each in compared for heading in each.comparison.by_code_of_second)
    notes = [f"{heading}: of both nights computed by tonight's code, which is not the baseline's" for heading in others]
    for label, row in tonight.rows.items():
        findings += _row_findings(row, of.get(label), tonight, calibration, limits)
        if label in of and label in of[label].by_label:
            notes += _unexplained(of[label].by_label[label], of[label].comparison)
    findings += [_gone_finding(label, label) for label in of if label not in tonight.rows]
    if compared:
        findings += _stage_findings(compared, tonight, calibration, limits)
    else:
        findings += [_missing_finding(missing)] if missing else []
        notes += _empty_columns(tonight, limits)
    return GateResult(tuple(findings), notes=tuple(notes), joins=tuple(_joins(tonight, of, findings)))


def _compare(baseline: Baseline, tonight: RunEvidence) -> _Compared:
    # What one of the trainings loses is not excused by how far trainings lie apart.
    comparison = compare_evidence(baseline.evidence, tonight, these_trainings=True)
    return _Compared(baseline, comparison, {one.label: one for one in comparison.enhancers})


def _row_findings(
    now: RowEvidence,
    compared: _Compared | None,
    tonight: RunEvidence,
    calibration: Calibration,
    limits: Limits,
) -> Iterator[GateFinding]:
    """All gates of one row; without `compared` it is new."""
    label = now.label
    before = compared.baseline.evidence.rows[label] if compared is not None else None
    failures = failures_finding(now, before, tonight)
    yield failures
    there = {one.entry.label for one in now.each}
    if gone := [one.entry.label for one in before.each if one.entry.label not in there] if before else []:
        yield _gone_finding(label, ", ".join(gone))
    if now.is_empty:
        gates = [*((column.heading, column.key) for column in tonight.record.columns()), ("throughput", None)]
        yield from (GateFinding(label, gate, "not gated", "no image has a result", score=key) for gate, key in gates)
    elif compared is None or before is None or before.is_empty:
        message = _NEW if failures.outcome == "passed" else _NEW_AND_FAILING
        yield GateFinding(label, "presence", "not gated", message)
    else:
        one, why = compared.by_label[label], cause(compared.by_label[label], compared.comparison)
        for column in tonight.record.columns():
            yield _score_finding(one, column, limits.tolerance(column.metric), why)
        for column in compared.baseline.evidence.record.columns():
            if column.identity not in {each.identity for each in tonight.record.columns()}:
                gated = limits.tolerance(column.metric) is not None
                message = "in the baseline and not measured tonight; if that is meant, --accept takes it out"
                yield GateFinding(label, column.heading, "failed" if gated else "not gated", message, score=column.key)
        change = cost_change(
            one.after.ms.get("enhance"), one.before.ms.get("enhance"), calibration, compared.baseline.night.calibration
        )
        yield throughput_finding(label, change, limits.throughput, why)


def _score_finding(one: EnhancerComparison, column: ScoreColumn, tolerance: float | None, why: str) -> GateFinding:
    """The gate of one score."""
    outcome, message = _score_outcome(one, column, tolerance, why)
    change = one.difference.scores.get(column.key)
    if tolerance is None and outcome != "not gated":
        # A change over other images than the baseline's would look like an answer.
        change = None if outcome == "failed" else change
        outcome, message = "not gated", f"{message}; it has no tolerance"
    return GateFinding(one.label, column.heading, outcome, message, change, column.key)


def _score_outcome(
    one: EnhancerComparison, column: ScoreColumn, tolerance: float | None, why: str
) -> tuple[Outcome, str]:
    """Red where images lost their value, or it is worse than tolerated, beyond its interval."""
    key, name = column.key, column.heading
    now, before, change = one.after.sample, one.before.sample, one.difference.scores.get(key)
    if key in before.values and key in now.values:
        lost = now.measured & before.measured & np.isnan(now.values[key]) & ~np.isnan(before.values[key])
        if lost.any():
            # A constant image has no number: leaving it out of the mean would hide that the enhancer broke.
            return "failed", f"{lost.sum()} images had a {name} in the baseline and have none; {why}"
    if change is None:
        if key in one.spread_before.scores:
            return "failed", f"had a {name} in the baseline and has none; {why}"
        return "not gated", _NEW_SCORE if key in one.spread_after.scores else "no image has it in either night"
    return _change_outcome(one, column, change, tolerance, why)


def _change_outcome(
    one: EnhancerComparison, column: ScoreColumn, change: Interval, tolerance: float | None, why: str
) -> tuple[Outcome, str]:
    metric, n_left_out = column.metric, one.difference.n_left_out
    shown = score_column(column, signed=True)
    if change.value == change.low == change.high == 0:
        return "passed", "equal to the last digit"
    over = f" over the {one.difference.n_images} images that both nights have" if n_left_out else ""
    limit = "" if tolerance is None else f", tolerated {tolerance:g}"
    seen = f"{shown.cell(cell_of(change))}{over}{limit}"
    loss = change.value * metric.factor * (1 if metric.better == "lower" else -1)
    if tolerance is None or loss <= tolerance:
        return "passed", seen
    # With one image there is no interval; then the tolerance decides alone.
    if change.low is None or change.settled:
        return "failed", f"worse: {seen}; {why}"
    return "passed", f"{seen}: worse than tolerated, but not beyond its interval"


def cause(one: EnhancerComparison, comparison: RunComparison) -> str:
    """What may have caused other numbers: the enhancer itself, or what it stands on."""
    around = [str(change) for change in comparison.changes if not change.field.startswith("enhancers.")]
    changed = ", ".join(around)
    was, became = (", ".join(each.entry.fingerprint[:12] for each in row.each) for row in (one.before, one.after))
    if was != became:
        same = [each.entry.weights for each in one.after.each] == [each.entry.weights for each in one.before.each]
        part = "code or arguments" if same else "weights, and perhaps code or arguments"
        also = f"; also changed: {changed}" if changed else ""
        return f"its fingerprint changed ({part}: {was} -> {became}){also}"
    if changed:
        return f"same fingerprint, so not its code or weights; changed: {changed}"
    return "same fingerprint, same versions, same machine: it is not deterministic, or reads something unrecorded"


def _unexplained(one: EnhancerComparison, comparison: RunComparison) -> Iterator[str]:
    """Say so where the same fingerprint gave other numbers, whichever way they went."""
    was, became = ([each.entry.fingerprint for each in row.each] for row in (one.before, one.after))
    if not one.same and was == became:
        yield f"{one.label}: other numbers than in the baseline; {cause(one, comparison)}"


def _gone_finding(label: str, what: str) -> GateFinding:
    """A guard that silently guards less is none, so what is gone, a training too, is red until it is accepted."""
    message = "in the baseline and not in tonight's configuration; if that is meant, --accept takes it out"
    return GateFinding(label, "presence", "failed", message if what == label else f"{what}: {message}")


def _missing_finding(image_ids: Sequence[str]) -> GateFinding:
    """In a first night there is nothing that could say that missing images are known."""
    message = f"{len(image_ids)} images of the split are not in the tree (the first: {', '.join(image_ids[:3])})"
    return GateFinding("data set", "failures", "failed", message)


def _nothing_measured(tonight: RunEvidence) -> Iterator[GateFinding]:
    """Also where each failure is known: a night without a number cannot be green."""
    columns = tonight.record.columns()
    if not tonight.within().any():
        yield GateFinding("night", "presence", "failed", "no enhancer has a result of any image")
    elif columns and not _scored(tonight):
        named = ", ".join(column.heading for column in columns)
        yield GateFinding("night", "presence", "failed", f"no image of any enhancer has a number: {named}")


def _empty_columns(tonight: RunEvidence, limits: Limits) -> Iterator[str]:
    """In a first night there is no gate of a score yet that would say so."""
    scored = _scored(tonight)
    for column in tonight.record.columns():
        if column.key not in scored and limits.tolerance(column.metric) is not None:
            yield f"{column.heading}: no image of any enhancer has it, so nothing can get worse in it"


def _scored(tonight: RunEvidence) -> set[str]:
    """Keys of the scores that an image has a number of, or an object to find."""
    found: set[str] = set()
    for sample in (one.sample for one in tonight.enhancers.values()):
        there = sample.measured
        found |= {key for key, values in sample.values.items() if not np.isnan(values[there]).all()}
        found |= {
            key
            for key, of in sample.ranked.items()
            if any(of.to_find(n, tonight.objects)[there].any() for n in of.by_class)
        }
    return found


def _stage_findings(
    compared: Sequence[_Compared], tonight: RunEvidence, calibration: Calibration, limits: Limits
) -> list[GateFinding]:
    """The stages are compared over the enhancers that share the baseline night with the most of them."""
    most = max(compared, key=lambda each: len(each.by_label))
    if not most.by_label:
        return []
    around = [str(change) for change in most.comparison.changes if not change.field.startswith("enhancers.")]
    records = most.baseline.evidence.record, tonight.record
    return stage_findings(
        list(most.by_label.values()),
        records,
        (most.baseline.night.calibration, calibration),
        limits.throughput,
        f"changed: {', '.join(around)}" if around else "",
    )


def _joins(tonight: RunEvidence, of: Mapping[str, _Compared], findings: Sequence[GateFinding]) -> list[str]:
    failed = {finding.subject for finding in findings if finding.outcome == "failed"}
    if not of:
        return [] if failed else list(tonight.rows)
    known = {label for label, each in of.items() if not each.baseline.evidence.rows[label].is_empty}
    new = [label for label in tonight.rows if label not in known and label not in failed]
    return [label for label in new if not tonight.rows[label].is_empty]
