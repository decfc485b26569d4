"""The run's table as the report shows it: numbers over their intervals, and how they compare with the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from duskbench.benchmarks.changes import Changes, Tally
from duskbench.benchmarks.metrics.base import Better
from duskbench.benchmarks.notes import UNSETTLED
from duskbench.benchmarks.record import RunRecord, ScoreColumn
from duskbench.benchmarks.report.charts import Standing
from duskbench.benchmarks.report.wording import minus
from duskbench.benchmarks.statistics import Interval
from duskbench.benchmarks.table import Column, ColumnKey, Table, TableRow, class_ap_key

MARKS: Mapping[str, str] = {"better": "▲", "worse": "▼", "unsettled": UNSETTLED}
_WORDS: Mapping[str, str] = {"better": "better", "worse": "worse", "unsettled": "not settled"}


@dataclass(frozen=True)
class Head:
    """Heading of a column; `first` is the order of the first click, so that the best comes first."""

    text: str
    arrow: str
    first: Literal["ascending", "descending"]
    hint: str
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    """A cell: text, interval in small print, what it is sorted by (None goes last), whether it is the best."""

    text: str
    interval: str = ""
    sort: float | str | None = None
    best: bool = False
    standing: Standing | None = None
    words: str = ""


@dataclass(frozen=True)
class Sortable:
    """A table of the page; `title` is empty for the main one."""

    title: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]


def main_table(table: Table, scores: Sequence[ScoreColumn]) -> Sortable:
    """The main columns, the scores in this order and first of all: the headline is all that a phone shows at once."""
    order: dict[ColumnKey, int] = {"label": -1, **{(score.key,): number for number, score in enumerate(scores)}}
    main = sorted((c for c in table.columns if not c.part), key=lambda c: order.get(c.key, len(order)))
    return _sortable("", table, main)


def other_tables(table: Table) -> list[Sortable]:
    """The other parts of the table: scores by set of images, COCO AP, AP by class."""
    parts = dict.fromkeys(column.part for column in table.columns if column.part and not column.signed)
    return [
        _sortable(part, table, [table.columns[0], *(column for column in table.columns if column.part == part)])
        for part in parts
    ]


def blocks_of(table: Table) -> list[Sortable]:
    """A table that is none of the run's own, block by block: a heading may stand in several of them."""
    first, *columns = table.columns
    parts = dict.fromkeys(column.part for column in columns)
    return [_sortable(part, table, [first, *(c for c in columns if c.part == part)]) for part in parts]


def class_parts(table: Table, record: RunRecord) -> frozenset[str]:
    """Titles of the parts of the table that hold APs by class."""
    keys = {
        class_ap_key(score, name) for score in record.columns() for name in record.protocol.classes if score.detector
    }
    return frozenset(column.part for column in table.columns if column.key in keys)


def changes_table(changes: Sequence[Changes]) -> Sortable:
    """Objects gained and lost by each enhancer, and false alarms, at the threshold of the changes."""
    heads = (
        Head("Enhancer", "", "ascending", "", numeric=False),
        Head("gained", "", "descending", "objects found on the enhanced image only"),
        Head("lost", "", "descending", "objects found on the baseline's image only"),
        Head("found in both", "", "descending", "objects found on both"),
        Head("in neither", "", "descending", "objects found on neither"),
        Head("false alarms", "", "ascending", "detections that find nothing"),
        Head("more or fewer", "", "ascending", "false alarms less those of the baseline"),
    )
    rows = [(Cell(one.label, sort=one.label.lower()), *_tally_cells(one.total)) for one in changes]
    return Sortable("", heads, tuple(rows))


def _tally_cells(tally: Tally) -> tuple[Cell, ...]:
    counts = [Cell(str(n), sort=n) for n in (tally.gained, tally.lost, tally.kept, tally.missed, tally.false_alarms)]
    more = tally.false_alarms - tally.false_alarms_baseline
    return *counts, Cell(minus(f"{more:+d}"), sort=more)


def _sortable(title: str, table: Table, columns: Sequence[Column]) -> Sortable:
    """Columns, each followed by its differences."""
    shown = list(_with_differences(table, columns))
    rows = [tuple(_cell(table, column, better, row) for column, better in shown) for row in table.rows]
    return Sortable(title, tuple(_head(column, better) for column, better in shown), tuple(rows))


def _with_differences(table: Table, columns: Sequence[Column]) -> Iterator[tuple[Column, Better | None]]:
    """Columns and which way is better: of a difference, that of the number it is a difference of."""
    for column in columns:
        yield column, column.better
        for other in table.columns if isinstance(column.key, tuple) else ():
            if other.signed and other.key != column.key and other.key[: len(column.key)] == column.key:
                yield other, column.better


def _head(column: Column, better: Better | None) -> Head:
    if column.key == "label":
        return Head(column.heading, "", "ascending", "", numeric=False)
    arrow = {"lower": "↓", "higher": "↑", None: ""}[better]
    hint = [f"{better} is better"] if better else []
    if column.factor == 100:
        hint.append("percentage points" if column.signed else "percent")
    return Head(column.heading, arrow, "descending" if better == "higher" else "ascending", ", ".join(hint))


def _cell(table: Table, column: Column, better: Better | None, row: TableRow) -> Cell:
    value = row[column.key].value
    standing = _standing(column, better, row)
    return Cell(
        text=minus(column.show(value)) if column.digits is not None else column.show(value),
        interval=_interval(column, row),
        sort=value.lower() if isinstance(value, str) else value,
        best=table.is_best(column, row),
        standing=standing,
        words="" if standing is None else _WORDS[standing],
    )


def _interval(column: Column, row: TableRow) -> str:
    low, high = row[column.key].low, row[column.key].high
    if low is None or high is None or column.digits is None:
        return ""
    # As the other forms of the table have it, a digit less than the value.
    return minus(" to ".join(column.show(end, column.digits - 1) for end in (low, high)))


def _standing(column: Column, better: Better | None, row: TableRow) -> Standing | None:
    cell = row[column.key]
    if not column.signed or better is None or cell.value is None or row.bound or cell.low is None:
        return None
    if cell.unsettled:
        return "unsettled"
    verdict = Interval(cell.value, cell.low, cell.high).verdict(better)
    # A difference of 0 in every resample, as of two equal rows, is not settled either, but no image leaves it open.
    return None if verdict == "not settled" else verdict
