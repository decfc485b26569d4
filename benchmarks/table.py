"""From a run's numbers to the columns and rows of its table; `table_formats` writes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from statistics import stdev
from typing import Any, Literal, get_args

import numpy as np

from duskbench.benchmarks.evaluate import EnhancerResult, baselines_of
from duskbench.benchmarks.metrics.base import Better
from duskbench.benchmarks.notes import UNSETTLED, table_notes
from duskbench.benchmarks.record import RunRecord, ScoreColumn
from duskbench.benchmarks.statistics import Interval
from duskbench.benchmarks.stored_run import fewest_lacking

# What stands for a number that is not there.
ABSENT = "–"
# Of a column: a text, or for a score's a tuple with its key first, so that no name that a user gives is another's.
ColumnKey = str | tuple[str, ...]
End = Literal["value", "low", "high", "unsettled"]


@dataclass(frozen=True)
class Cell:
    """A value, the ends of its interval, and whether its difference to the baseline is not settled; None: not there."""

    value: Any = None
    low: float | None = None
    high: float | None = None
    unsettled: bool | None = None


_NOTHING = Cell()


@dataclass(frozen=True)
class TableRow:
    """One row: cells by the key of their column.

    Attributes:
        label: In the first column.
        cells: Those of the other columns; absent ones are empty.
        bound: Whether it stands for a limit, such as the lit twins, and does not compete for the best value.
        mark: Shown behind the label: an asterisk where images are missing, a dagger where it was not built.
        lacks: Which of the run's images its numbers are not over.
    """

    label: str
    cells: Mapping[ColumnKey, Cell]
    bound: bool = False
    mark: str = ""
    lacks: frozenset[int] = frozenset()

    def __getitem__(self, key: ColumnKey) -> Cell:
        return Cell(self.label + self.mark) if key == "label" else self.cells.get(key, _NOTHING)


@dataclass(frozen=True)
class Column:
    """One column: its heading, which way is better, and how its numbers are shown.

    Attributes:
        key: Of its cells.
        heading: Its name.
        better: Which way, for the arrow and the best value.
        digits: Behind the point; None for text and whole numbers.
        factor: What a stored value is multiplied by to be shown.
        part: Title of the block the terminal shows it in; empty for the first.
        bounds: Where the ends of the interval stand: `shown` in the cell, `kept` only in the CSV, None nowhere.
        signed: Whether a plus is written.
        short: The heading where the terminal has little room; without an arrow.
    """

    key: ColumnKey
    heading: str
    better: Better | None = None
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

    def cell(self, cell: Cell, form: str = "{}") -> str:
        """Value, mark and interval; `form` is put round the value alone."""
        text = form.format(self.show(cell.value))
        if cell.unsettled:
            text += UNSETTLED
        if self.bounds != "shown" or self.digits is None or cell.low is None or cell.high is None:
            return text
        # A digit less than the value: an end of an interval is not known so well.
        return f"{text} [{self.show(cell.low, self.digits - 1)}, {self.show(cell.high, self.digits - 1)}]"


@dataclass(frozen=True)
class Table:
    """Columns, rows of full-precision values, and the lines under them.

    Attributes:
        cautions: Those of the notes that must be said even where a form has none.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...]
    cautions: tuple[str, ...] = ()

    def with_cautions(self, cautions: Sequence[str]) -> Table:
        """The table with these notes before its own."""
        return replace(self, notes=(*cautions, *self.notes), cautions=(*cautions, *self.cautions))

    def lacking(self, lacks: Mapping[str, frozenset[int]]) -> Table:
        """The table with what each row lacks, by its label."""
        return replace(self, rows=tuple(replace(row, lacks=lacks[row.label]) for row in self.rows))

    def is_best(self, column: Column, row: TableRow) -> bool:
        """Whether a row has the best value of a column over the rows that compete.

        A bound such as the lit twins does not, nor does a row over other images than the one that lacks the fewest.
        """
        there = [each for each in self.rows if not each.bound and each[column.key].value is not None]
        lacks = fewest_lacking(each.lacks for each in there)
        values = [each[column.key].value for each in there if each.lacks == lacks]
        if column.better is None or len(values) < 2 or row.bound or row.lacks != lacks:
            return False
        return bool(row[column.key].value == (min(values) if column.better == "lower" else max(values)))

    def repeated(self) -> set[str]:
        """The headings that several columns in blocks have: outside of these they do not say what they are of."""
        counted = Counter(column.heading for column in self.columns if column.part)
        return {heading for heading, count in counted.items() if count > 1}

    def fields(self) -> list[tuple[str, Column, End]]:
        """Names of all values and ends of intervals that are there, each once: the columns of a CSV.

        Where two would have the same name, as where a group of images is called low, the table's own columns and the
        scores over all images keep theirs, and another's gets the title of its block, or else a number. A heading that
        several blocks have gets it in each.
        """
        repeated = self.repeated()
        places: list[tuple[Column, End]] = [
            (column, end)
            for column in self.columns
            for end in get_args(End)
            if end == "value" or any(getattr(row[column.key], end) is not None for row in self.rows)
        ]
        names: dict[tuple[ColumnKey, End], str] = {}
        for column, end in sorted(places, key=lambda place: (not isinstance(place[0].key, str), bool(place[0].part))):
            plain = column.heading + ("" if end == "value" else f" {end}")
            others = (f"{plain} ({each})" for each in chain([column.part] if column.part else [], count(2)))
            taken = {*names.values(), *([plain] if column.heading in repeated and column.part else [])}
            names[column.key, end] = next(name for name in chain([plain], others) if name not in taken)
        return [(names[column.key, end], column, end) for column, end in places]


def build_table(record: RunRecord, results: Sequence[EnhancerResult]) -> Table:
    """Lay a run's numbers out.

    Args:
        record: The run's record.
        results: From `benchmarks.evaluate.evaluate`.

    Returns:
        The table: a column for each metric, for those of images also one for each set of images where there are
        several, and the APs by class. A value whose difference to the chosen baseline, or else to Input, the interval
        does not settle is marked.
    """
    baselines = baselines_of(record, results)
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
        *_difference_columns(baselines, scores),
        *_frozen_columns(record, scores),
        *_training_columns(results, scores),
        *(column for score in scores if score.metric.key == "map" for column in _class_columns(record, score)),
    ]
    rows = tuple(_row(result, record, baselines[-1] if baselines else "") for result in results)
    return Table(record.title, tuple(columns), rows, tuple(table_notes(record, results)))


def score_column(score: ScoreColumn, **changes: Any) -> Column:
    """A metric's column; numbers of COCO stand in a block of their own."""
    metric = score.metric
    part = "COCO AP, %" if metric.key.startswith("coco ") else ""
    column = Column((score.key,), score.heading, metric.better, metric.digits, metric.factor, part, bounds="shown")
    return replace(column, **changes)


def _group_column(score: ScoreColumn, group: str) -> Column:
    heading = f"{score.heading} {group}"
    part = f"{score.heading} by set"
    return score_column(score, key=(score.key, "group", group), heading=heading, part=part, bounds=None)


def _class_columns(record: RunRecord, score: ScoreColumn) -> Iterator[Column]:
    several = len(record.detectors) > 1
    for name in record.protocol.classes:
        part = f"AP by class{f' of {score.detector.label}' if several and score.detector else ''}, %"
        heading = f"{name} {score.detector.label}" if several and score.detector else name
        key = class_ap_key(score, name)
        yield Column(key, heading, "higher", 1, 100, part, bounds="kept", short=name[:5])


def class_ap_key(score: ScoreColumn, name: str) -> ColumnKey:
    """Key of a class's AP in a row."""
    return score.key, "class", name


def difference_key(score: ScoreColumn, baseline: str) -> ColumnKey:
    """Key of a score's difference to a baseline."""
    return score.key, "less", baseline


def _frozen_key(score: ScoreColumn, frozen: ScoreColumn) -> ColumnKey:
    return score.key, "less score", frozen.key


def _cost_columns(record: RunRecord) -> list[Column]:
    """What an enhancer costs apart from time; none where the run did not ask."""
    if all(entry.costs is None for entry in record.enhancers):
        return []
    return [
        Column("parameters", "parameters"),
        Column("gflops", "GFLOPs", digits=2),
        Column("peak_mb", "peak MB", digits=0),
    ]


def _difference_columns(baselines: Sequence[str], scores: Sequence[ScoreColumn]) -> list[Column]:
    return [
        score_column(
            score,
            key=difference_key(score, baseline),
            heading=f"Δ {score.heading} to {baseline}",
            better=None,
            part=f"Differences to {baseline}",
            signed=True,
        )
        for baseline in baselines
        for score in scores
    ]


def _frozen_columns(record: RunRecord, scores: Sequence[ScoreColumn]) -> Iterator[Column]:
    """What training a detector further changed; none where no detector was."""
    for score in scores:
        frozen = record.frozen_score(score)
        if frozen is not None:
            yield score_column(
                score,
                key=_frozen_key(score, frozen),
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
        score_column(score, key=(score.key, "sd"), heading=f"SD {score.heading}", better=None, part=part, bounds=None)
        for score in scores
        if score.key in trained
    ]
    return [Column("trainings", "trainings", part=part), *spreads]


def _row(result: EnhancerResult, record: RunRecord, marked_to: str) -> TableRow:
    measured = {len(each) for each in result.spread.trainings.values()}
    incomplete = result.n_images < result.n_expected or any(n < len(record.rows[result.label]) for n in measured)
    incomplete = incomplete and result.error is None
    own: dict[str, Any] = {"ms": result.ms_enhance, "n": result.n_images, "failed": len(result.failures)}
    for costs in (entry.costs for entry in record.rows.get(result.label, ()) if entry.costs is not None):
        own |= {"parameters": costs.parameters, "gflops": costs.gflops, "peak_mb": costs.peak_mb}
    if measured:
        own["trainings"] = max(measured)
    cells: dict[ColumnKey, Cell] = {key: Cell(value) for key, value in own.items()}
    for score in record.columns():
        cells |= _score_cells(score, result, record, marked_to)
    mark = " *" if incomplete else " †" if result.error else ""
    return TableRow(result.label, cells, bound=result.label in record.bounds, mark=mark, lacks=result.lacks)


def _score_cells(
    score: ScoreColumn, result: EnhancerResult, record: RunRecord, marked_to: str
) -> dict[ColumnKey, Cell]:
    """All that a row says of one score; its own number is marked by its difference to `marked_to`, a row's label."""
    differences = {label: each.scores.get(score.key) for label, each in result.against.items()}
    cells: dict[ColumnKey, Cell] = {
        (score.key,): cell_of(result.score(score.key), differences.get(marked_to)),
        **{difference_key(score, label): cell_of(each, each) for label, each in differences.items()},
        **{(score.key, "group", group): Cell(n) for group, n in result.by_group.get(score.key, {}).items()},
    }
    if len(trainings := result.spread.trainings.get(score.key, ())) > 1:
        cells[score.key, "sd"] = Cell(stdev(trainings))
    frozen = record.frozen_score(score)
    if frozen is not None:
        interval = result.to_frozen.get(score.key)
        cells[_frozen_key(score, frozen)] = cell_of(interval, interval)
    classes = result.spread.classes.get(score.key, {})
    return cells | {class_ap_key(score, name): cell_of(interval) for name, interval in classes.items()}


def mean_rows(record: RunRecord, numbers: Mapping[str, Mapping[Any, float]]) -> tuple[TableRow, ...]:
    """A row for each enhancer that has numbers, of a method the mean over its trainings.

    Args:
        record: The run's.
        numbers: Label of the enhancer, or of the training -> number by the key of its column.
    """
    rows = []
    for label, entries in record.rows.items():
        each = [numbers[entry.label] for entry in entries if entry.label in numbers]
        if each:
            cells = {key: Cell(float(np.mean([one[key] for one in each]))) for key in each[0]}
            rows.append(TableRow(label, cells, bound=label in record.bounds))
    return tuple(rows)


def cell_of(interval: Interval | None, difference: Interval | None = None) -> Cell:
    """Value and ends of an interval, marked where a difference is not settled; an empty cell for None."""
    unsettled = None if difference is None else difference.unsettled
    return (
        Cell(unsettled=unsettled) if interval is None else Cell(interval.value, interval.low, interval.high, unsettled)
    )
