"""Two runs side by side: what moved, by how much, whether the images settle it, and what else changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import stdev

import numpy as np

from duskbench.benchmarks.bootstrap import Bootstrap
from duskbench.benchmarks.evidence import RowEvidence, RunEvidence, onto, open_evidence
from duskbench.benchmarks.notes import bracket_note, mark_note, pairing_note
from duskbench.benchmarks.record import ScoreColumn
from duskbench.benchmarks.run_differences import Change, differences
from duskbench.benchmarks.statistics import Difference, Interval, Sample, Spread
from duskbench.benchmarks.table import Cell, Column, ColumnKey, Table, TableRow, cell_of, score_column
from duskbench.benchmarks.trainings import Trainings
from duskbench.data_tools.errors import ConfigError


class IncomparableError(ConfigError):
    """Two runs do not answer the same question."""


@dataclass(frozen=True)
class EnhancerComparison:
    """One enhancer, or the several trainings of a method, in two runs.

    Attributes:
        before: Of the first run, over the second one's images and under its keys.
        after: Of the second run.
        spread_before: Scores of the first run with their intervals.
        spread_after: Of the second.
        difference: Second minus first, over the images that both have; exactly 0 where all numbers are equal.
        same: Whether the two are equal to the last digit.
    """

    before: RowEvidence
    after: RowEvidence
    spread_before: Spread
    spread_after: Spread
    difference: Difference
    same: bool

    @property
    def label(self) -> str:
        """Of the row, the same in both."""
        return self.after.label

    @property
    def trainings(self) -> bool:
        """Whether one of the two, or both, is the mean over several trainings."""
        return any(isinstance(row.sample, Trainings) for row in (self.before, self.after))


@dataclass(frozen=True)
class RunComparison:
    """Two runs.

    Attributes:
        before: The first.
        after: The second.
        enhancers: Those with a result in both, in the second run's order; none where the runs do not compare.
        changes: Whatever differs, what blocks a comparison first.
        scores: What is compared: the scores that both have, as the second has them.
    """

    before: RunEvidence
    after: RunEvidence
    enhancers: tuple[EnhancerComparison, ...]
    changes: tuple[Change, ...]
    scores: tuple[ScoreColumn, ...]

    @property
    def blocking(self) -> tuple[Change, ...]:
        """Why the runs cannot be compared; none where they can."""
        return tuple(change for change in self.changes if change.blocking)

    @property
    def by_code_of_second(self) -> tuple[str, ...]:
        """Headings of the scores that other code makes of images' numbers in the second run: it makes both here."""
        first = {metric.key: metric for metric in self.before.record.metrics}
        pairs = [(score.heading, first[score.metric.key], score.metric) for score in self.scores]
        return tuple(
            heading
            for heading, was, now in pairs
            if was.fingerprint != now.fingerprint and not (was.is_mean and now.is_mean)
        )

    def only(self, side: RunEvidence) -> tuple[str, ...]:
        """Labels that only one of the two runs has a result of."""
        other = self.after if side is self.before else self.before
        there, elsewhere = ({label for label, row in run.rows.items() if not row.is_empty} for run in (side, other))
        return tuple(label for label in side.rows if label in there - elsewhere)


def compare_evidence(before: RunEvidence, after: RunEvidence, *, these_trainings: bool = False) -> RunComparison:
    """Compare two runs.

    Args:
        before: The first.
        after: The second; its record says how to resample.
        these_trainings: Whether a difference is between the trainings that were measured and no others, so that its
            interval holds the variance of images alone. So it does in any case where both runs have the same weights.

    Returns:
        What moved; where something blocks the comparison (`RunComparison.blocking`), only what that is.
    """
    changes = tuple(differences(before.record, after.record, before.images, after.images))
    if any(change.blocking for change in changes):
        return RunComparison(before, after, (), changes, ())
    moved = onto(before, after)
    shared = [
        label for label, row in after.rows.items() if not row.is_empty and label in moved and not moved[label].is_empty
    ]
    within = after.within()
    for label in shared:
        within = np.any([within, *(one.sample.measured for one in moved[label].each)], axis=0)
    drawn = after.resampled(within)
    enhancers = tuple(
        _compare_one(moved[label], after.rows[label], drawn, these_trainings=these_trainings) for label in shared
    )
    known = {key for one in enhancers for key in (*one.before.sample.values, *one.before.sample.ranked)}
    scores = tuple(score for score in after.record.columns() if score.key in known)
    return RunComparison(before, after, enhancers, changes, scores)


def _compare_one(
    before: RowEvidence, after: RowEvidence, drawn: Bootstrap, *, these_trainings: bool
) -> EnhancerComparison:
    spreads = drawn.spread(before.sample), drawn.spread(after.sample)
    same = after.same_numbers(before)
    if same:
        difference = _no_difference(spreads[1], before, after)
    else:
        alone = these_trainings or before.weights == after.weights
        # Trainings of another run had other luck, though the method is the same.
        sides = (_with_luck(row, None if alone else f"{row.label} {name}") for row, name in ((after, 2), (before, 1)))
        difference = drawn.difference(*sides)
    return EnhancerComparison(before, after, *spreads, difference, same)


def _with_luck(row: RowEvidence, luck: str | None) -> Sample | Trainings:
    return replace(row.sample, luck=luck) if isinstance(row.sample, Trainings) else row.sample


def _no_difference(spread: Spread, before: RowEvidence, after: RowEvidence) -> Difference:
    shared = {*before.sample.values, *before.sample.ranked}
    none = Interval(0.0, 0.0, 0.0)
    return Difference(
        scores={key: none for key in spread.scores if key in shared},
        classes={key: dict.fromkeys(of, none) for key, of in spread.classes.items() if key in shared},
        baseline=before.label,
        n_images=int(after.sample.measured.sum()),
    )


def compare_runs(before: Path, after: Path) -> RunComparison:
    """Compare the newest runs of two folders.

    Raises:
        IncomparableError: Protocol, data, metrics or detector differ; the message has every field that does, with both
            values. Or no row has a result in both.
        DataError: There are no results in a folder.
    """
    comparison = compare_evidence(open_evidence(before), open_evidence(after))
    blocking = comparison.blocking
    if blocking:
        fields = ", ".join(dict.fromkeys(change.field for change in blocking))
        raise IncomparableError(
            f"The two runs cannot be compared: {fields} {'differ' if len(blocking) > 1 else 'differs'}.",
            where=f"{before} and {after}",
            expected="; ".join(f"{change.field} = {change.before}" for change in blocking),
            got="; ".join(f"{change.field} = {change.after}" for change in blocking),
            todo="run both with the same protocol, data and detector; rows that are there are not measured again",
        )
    if not comparison.enhancers:
        there = (", ".join(comparison.only(side)) or "no row" for side in (comparison.before, comparison.after))
        raise IncomparableError(
            "The two runs have no row with a result in both.",
            where=f"{before} and {after}",
            got="results of {} in the first, of {} in the second".format(*there),
            todo="run the same enhancer, under the same label, in both; `duskbench table` says what failed",
        )
    return comparison


def build_comparison_table(comparison: RunComparison, titles: tuple[str, str]) -> Table:
    """Lay a comparison out; the differences are the second run minus the first.

    Args:
        comparison: From `compare_runs`.
        titles: What the two runs are called.
    """
    columns = [Column("label", "Enhancer")]
    for score in comparison.scores:
        # The first block is the one with the labels.
        part = "" if score is comparison.scores[0] else f"{score.heading}{', %' if score.metric.factor == 100 else ''}"
        for side, heading in (("before", f"{score.heading} 1st"), ("after", f"{score.heading} 2nd")):
            columns.append(score_column(score, key=(score.key, side), heading=heading, better=None, part=part))
        columns.append(score_column(score, heading=f"Δ {score.heading}", part=part, signed=True))
    columns.append(Column("n", "n", part=columns[-1].part))
    if any(one.trainings for one in comparison.enhancers):
        columns += _training_columns(comparison.scores)
    rows = tuple(_row(one, comparison.scores) for one in comparison.enhancers)
    table = Table("2nd run against 1st", tuple(columns), rows, tuple(_notes(comparison, titles)))
    sides = (("1st", comparison.before), ("2nd", comparison.after))
    cautions = [f"{name} run: {said}" for name, side in sides for said in side.cautions]
    return table.with_cautions([*cautions, *map(_by_code_of_second, comparison.by_code_of_second)])


def _by_code_of_second(heading: str) -> str:
    return (
        f"{heading}: of both runs computed by the 2nd one's code, which is not the 1st one's; `duskbench table` of the "
        "1st may have another number."
    )


def _training_columns(scores: Sequence[ScoreColumn]) -> Iterator[Column]:
    """How far the trainings of each run lie apart."""
    for side, name in (("before", "1st"), ("after", "2nd")):
        part = f"Several trainings, {name}"
        yield Column(f"trainings {side}", f"trainings {name}", part=part)
        for score in scores:
            heading = f"SD {score.heading} {name}"
            key = score.key, side, "sd"
            yield score_column(score, key=key, heading=heading, better=None, part=part, bounds=None)


def _row(one: EnhancerComparison, scores: tuple[ScoreColumn, ...]) -> TableRow:
    cells: dict[ColumnKey, Cell] = {"n": Cell(one.difference.n_images)}
    for score in scores:
        interval = one.difference.scores.get(score.key)
        cells[score.key,] = cell_of(interval, interval)
        for side, spread in (("before", one.spread_before), ("after", one.spread_after)):
            cells[score.key, side] = cell_of(spread.scores.get(score.key))
            numbers = spread.trainings.get(score.key, ())
            if numbers:
                cells[f"trainings {side}"] = Cell(len(numbers))
            if len(numbers) > 1:
                cells[score.key, side, "sd"] = Cell(stdev(numbers))
    # As a bound no row competes: the best difference is not the best enhancer.
    return TableRow(one.label, cells, bound=True)


def _notes(comparison: RunComparison, titles: tuple[str, str]) -> Iterator[str]:
    first, second = titles
    yield f"1st: {first}. 2nd: {second}. Δ: 2nd minus 1st. Protocol, images, annotations and detector are the same."
    if comparison.enhancers:
        yield from (bracket_note(comparison.after.record.bootstrap), mark_note("the difference"))
    for one in comparison.enhancers:
        if one.difference.n_left_out:
            yield pairing_note(f"The two runs of {one.label}", one.difference)
        if one.trainings:
            same = one.before.weights == one.after.weights
            which, held = ("the same", "images alone") if same else ("not the same", "images and trainings")
            varies = f"the interval of Δ holds the variance of {held}"
            yield f"{one.label}: mean of trainings, {which} in both runs; {varies}."
    for side, name in ((comparison.before, "1st"), (comparison.after, "2nd")):
        for detector in (d for d in side.record.detectors if d.frozen is not None):
            yield f"{detector.label}, of the {name} run: not compared; `duskbench table` has its numbers."
        yield from (f"{label}: only in the {name} run." for label in comparison.only(side))
        other = (comparison.after if name == "1st" else comparison.before).record
        metrics, detectors = {m.key for m in other.metrics}, {d.label for d in other.detectors}
        lacking = [metric.heading for metric in side.record.metrics if metric.key not in metrics]
        lacking += [d.label for d in side.record.detectors if d.frozen is None and d.label not in detectors]
        if lacking:
            yield f"{', '.join(lacking)}: only in the {name} run."
    yield from map(str, comparison.changes)
    if not comparison.changes:
        yield "Fingerprints, versions, commit and machine are the same."


def title_of(folder: Path, evidence: RunEvidence) -> str:
    """What a run is called beside another."""
    return f"{folder} ({evidence.record.environment.started})"
