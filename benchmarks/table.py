"""From a run's numbers to the columns and rows of its table; `table_formats` writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import stdev
from typing import Any, Literal

from duskbench.benchmarks.evaluate import EnhancerResult
from duskbench.benchmarks.notes import UNSETTLED, table_notes
from duskbench.benchmarks.record import RunRecord, ScoreColumn
from duskbench.benchmarks.statistics import BootstrapOptions, Interval

# What stands for a number that is not there.
ABSENT = "–"


@dataclass(frozen=True)
class Column:
    """One column: its heading, which way is better, and how its numbers are shown.

    Attributes:
        key: Of its values in a row; the row may also hold `KEY low`, `KEY high` and `KEY unsettled`.
        heading: Its name.
        better: Which way, for the arrow and the best value.
        digits: Behind the point; None for text and whole numbers.
        factor: What a stored value is multiplied by to be shown.
        part: Title of the block the terminal shows it in; empty for the first.
        bounds: Where the ends of the interval stand: `shown` in the cell, `kept` only in the CSV, None nowhere.
        signed: Whether a plus is written.
        short: The heading where the terminal has little room; without an arrow.
    """

    key: str
    heading: str
    better: Literal["lower", "higher"] | None = None
    digits: int | None = None
    factor: float = 1.0
    part: str = ""
    bounds: Literal["shown", "kept"] | None = None
    signed: bool = False
    short: str | None = None

    @property
    def title(self) -> str:
        """Heading with its arrow."""
        return self.heading + {"lower": " ↓", "higher": " ↑", None: ""}[self.better]

    def show(self, value: Any, digits: int | None = None) -> str:
        """A number's text; an absent one is a dash, never a zero."""
        if value is None:
            return ABSENT
        if self.digits is None:
            return str(value)
        sign = "+" if self.signed else ""
        return f"{value * self.factor:{sign}.{max(0, self.digits if digits is None else digits)}f}"

    def cell(self, row: Mapping[str, Any], form: str = "{}") -> str:
        """Value, mark and interval; `form` is put round the value alone."""
        text = form.format(self.show(row.get(self.key)))
        if row.get(f"{self.key} unsettled"):
            text += UNSETTLED
        low, high = row.get(f"{self.key} low"), row.get(f"{self.key} high")
        if self.bounds != "shown" or self.digits is None or low is None or high is None:
            return text
        # A digit less than the value: an end of an interval is not known so well.
        return f"{text} [{self.show(low, self.digits - 1)}, {self.show(high, self.digits - 1)}]"


@dataclass(frozen=True)
class Table:
    """Columns, rows of full-precision values, and the lines under them.

    Attributes:
        cautions: Those of the notes that must be said even where a form has none.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    cautions: tuple[str, ...] = ()

    def with_cautions(self, cautions: Sequence[str]) -> Table:
        """The table with these notes before its own."""
        return replace(self, notes=(*cautions, *self.notes), cautions=(*cautions, *self.cautions))

    def best(self, column: Column) -> Any:
        """The best value of a column over the rows that compete; a bound such as the lit twins does not."""
        values = [v for row in self.rows if not row["bound"] and (v := row.get(column.key)) is not None]
        if column.better is None or len(values) < 2:
            return None
        return min(values) if column.better == "lower" else max(values)


def build_table(
    record: RunRecord, results: Sequence[EnhancerResult], bootstrap: BootstrapOptions | None = None
) -> Table:
    """Lay a run's numbers out.

    Args:
        record: The run's record.
        results: From `benchmarks.evaluate.evaluate`.
        bootstrap: How their intervals were made; None for the record's options.

    Returns:
        The table: a column for each metric, for those of images also one for each set of images where there are
        several, and the APs by class. A value whose difference to Input the interval does not settle is marked.
    """
    groups = list(record.data.groups) if len(record.data.groups) > 1 else []
    scores = record.columns()
    columns = [
        Column("label", "Enhancer"),
        *(_group_column(score, group) for score in scores if score.detector is None for group in groups),
        *map(score_column, scores),
        Column("ms", "ms/image", None, 1),
        *_cost_columns(record),
        Column("n", "n"),
        Column("failed", "failed"),
        *_difference_columns(results, scores),
        *_frozen_columns(record, scores),
        *_training_columns(results, scores),
        *(column for score in scores if score.metric.key == "map" for column in _class_columns(record, score)),
    ]
    rows = tuple(_row(result, record) for result in results)
    notes = table_notes(record, results, bootstrap or record.bootstrap)
    return Table(record.title, tuple(columns), rows, tuple(notes))


def score_column(score: ScoreColumn, **changes: Any) -> Column:
    """A metric's column; numbers of COCO stand in a block of their own."""
    metric = score.metric
    part = "COCO AP, %" if metric.key.startswith("coco ") else ""
    column = Column(score.key, score.heading, metric.better, metric.digits, metric.factor, part, bounds="shown")
    return replace(column, **changes)


def _group_column(score: ScoreColumn, group: str) -> Column:
    heading = f"{score.heading} {group}"
    return score_column(score, key=f"{score.key} {group}", heading=heading, part=f"{score.heading} by set", bounds=None)


def _class_columns(record: RunRecord, score: ScoreColumn) -> Iterator[Column]:
    several = len(record.detectors) > 1
    for name in record.protocol.classes:
        part = f"AP by class{f' of {score.detector.label}' if several and score.detector else ''}, %"
        heading = f"{name} {score.detector.label}" if several and score.detector else name
        key = class_key(score, name)
        yield Column(key, heading, "higher", 1, 100, part, bounds="kept", short=name[:5])


def class_key(score: ScoreColumn, name: str) -> str:
    """Key of a class's AP in a row."""
    return f"ap {name}" + score.key.removeprefix(score.metric.key)


def _cost_columns(record: RunRecord) -> list[Column]:
    """What an enhancer costs apart from time; none where the run did not ask."""
    if all(entry.costs is None for entry in record.enhancers):
        return []
    return [
        Column("parameters", "parameters"),
        Column("gflops", "GFLOPs", digits=2),
        Column("peak_mb", "peak MB", digits=0),
    ]


def _difference_columns(results: Sequence[EnhancerResult], scores: Sequence[ScoreColumn]) -> list[Column]:
    return [
        score_column(
            score,
            key=f"{score.key} - {baseline}",
            heading=f"Δ {score.heading} to {baseline}",
            better=None,
            part=f"Differences to {baseline}",
            signed=True,
        )
        for baseline in dict.fromkeys(label for result in results for label in result.against)
        for score in scores
    ]


def _frozen_columns(record: RunRecord, scores: Sequence[ScoreColumn]) -> Iterator[Column]:
    """What training a detector further changed; none where no detector was."""
    for score in scores:
        frozen = record.frozen_score(score)
        if frozen is not None:
            yield score_column(
                score,
                key=f"{score.key} - {frozen.key}",
                heading=f"Δ {score.heading} to {frozen.heading}",
                better=None,
                part="Fine-tuned and frozen",
                signed=True,
            )


def _training_columns(results: Sequence[EnhancerResult], scores: Sequence[ScoreColumn]) -> list[Column]:
    """How far several trainings of a method lie apart; none where there are none."""
    trained = {key for result in results for key in result.spread.trainings}
    if not trained:
        return []
    part = "Several trainings"
    spreads = [
        score_column(score, key=f"{score.key} sd", heading=f"SD {score.heading}", better=None, part=part, bounds=None)
        for score in scores
        if score.key in trained
    ]
    return [Column("trainings", "trainings", part=part), *spreads]


def _row(result: EnhancerResult, record: RunRecord) -> dict[str, Any]:
    measured = {len(each) for each in result.spread.trainings.values()}
    incomplete = result.n_images < result.n_expected or any(n < len(record.rows[result.label]) for n in measured)
    incomplete = incomplete and result.error is None
    row: dict[str, Any] = {
        "label": result.label + (" *" if incomplete else " †" if result.error else ""),
        "bound": result.label in record.bounds,
        "ms": result.ms_enhance,
        "n": result.n_images,
        "failed": len(result.failures),
    }
    for costs in (entry.costs for entry in record.rows.get(result.label, ()) if entry.costs is not None):
        row |= {"parameters": costs.parameters, "gflops": costs.gflops, "peak_mb": costs.peak_mb}
    if measured:
        row["trainings"] = max(measured)
    for score in record.columns():
        if len(trainings := result.spread.trainings.get(score.key, ())) > 1:
            row[f"{score.key} sd"] = stdev(trainings)
        row |= ends(score.key, result.score(score.key))
        frozen = record.frozen_score(score)
        if frozen is not None and (interval := result.to_frozen.get(score.key)) is not None:
            row |= ends(f"{score.key} - {frozen.key}", interval)
            row[f"{score.key} - {frozen.key} unsettled"] = interval.unsettled
        row |= {f"{score.key} {group}": number for group, number in result.by_group.get(score.key, {}).items()}
        for number, (baseline, difference) in enumerate(result.against.items()):
            interval = difference.scores.get(score.key)
            if interval is None:
                continue
            row |= ends(f"{score.key} - {baseline}", interval)
            row[f"{score.key} - {baseline} unsettled"] = interval.unsettled
            if number == 0:
                row[f"{score.key} unsettled"] = interval.unsettled
        # As `_class_columns`: another metric's APs by class would stand under the same keys.
        if score.metric.key == "map":
            for name, interval in result.spread.classes.get(score.key, {}).items():
                row |= ends(class_key(score, name), interval)
    return row


def ends(key: str, interval: Interval | None) -> dict[str, Any]:
    """Value and ends of an interval, as a row holds them; nothing for None."""
    if interval is None:
        return {}
    return {key: interval.value, f"{key} low": interval.low, f"{key} high": interval.high}
