"""The run's table as the report shows it: numbers over their intervals, and how they compare with the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from duskbench.benchmarks.changes import Changes, Tally
from duskbench.benchmarks.notes import UNSETTLED
from duskbench.benchmarks.report.charts import Verdict
from duskbench.benchmarks.table import Column, Table

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
    verdict: Verdict | None = None
    words: str = ""


@dataclass(frozen=True)
class Sortable:
    """A table of the page; `title` is empty for the main one."""

    title: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]


def main_table(table: Table) -> Sortable:
    """The main columns, each followed by its differences; mAP first, which is all that a phone shows at once."""
    main = sorted((c for c in table.columns if not c.part), key=lambda c: {"label": 0, "map": 1}.get(c.key, 2))
    differences = [column for column in table.columns if _is_difference(column)]
    columns = []
    for column in main:
        columns += [column, *(one for one in differences if one.key.startswith(f"{column.key} - "))]
    return _sortable("", table, columns)


def other_tables(table: Table) -> list[Sortable]:
    """The other parts of the table: AP by class, NIQE by set, COCO AP."""
    main = {column.part for column in table.columns if not column.part or _is_difference(column)}
    parts = [part for part in dict.fromkeys(column.part for column in table.columns) if part not in main]
    return [
        _sortable(part, table, [table.columns[0], *(column for column in table.columns if column.part == part)])
        for part in parts
    ]


def changes_table(changes: Sequence[Changes]) -> Sortable:
    """Objects won and lost by each enhancer, and false alarms, at the threshold of the changes."""
    heads = (
        Head("Enhancer", "", "ascending", "", numeric=False),
        Head("gained", "", "descending", "objects found on the enhanced image only"),
        Head("lost", "", "descending", "objects found on the reference image only"),
        Head("found in both", "", "descending", "objects found on both"),
        Head("in neither", "", "descending", "objects found on neither"),
        Head("false alarms", "", "ascending", "detections that find nothing"),
        Head("more or fewer", "", "ascending", "false alarms less those of the reference"),
    )
    rows = [(Cell(one.label, sort=one.label.lower()), *_tally_cells(one.total)) for one in changes]
    return Sortable("", heads, tuple(rows))


def _tally_cells(tally: Tally) -> tuple[Cell, ...]:
    counts = [Cell(str(n), sort=n) for n in (tally.gained, tally.lost, tally.kept, tally.missed, tally.false_alarms)]
    more = tally.false_alarms - tally.false_alarms_reference
    return *counts, Cell(_minus(f"{more:+d}"), sort=more)


def _sortable(title: str, table: Table, columns: Sequence[Column]) -> Sortable:
    rows = [tuple(_cell(table, column, row) for column in columns) for row in table.rows]
    return Sortable(title, tuple(map(_head, columns)), tuple(rows))


def _is_difference(column: Column) -> bool:
    return " - " in column.key


def _better(column: Column) -> Literal["lower", "higher"] | None:
    """Which way is better; of a difference, that of the number it is a difference of."""
    return "lower" if column.key.startswith("niqe - ") else "higher" if _is_difference(column) else column.better


def _head(column: Column) -> Head:
    if column.digits is None and column.better is None and column.key == "label":
        return Head(column.heading, "", "ascending", "", numeric=False)
    better = _better(column)
    arrow = {"lower": "↓", "higher": "↑", None: ""}[better]
    hint = [f"{better} is better"] if better else []
    if column.factor == 100:
        hint.append("percentage points" if _is_difference(column) else "percent")
    return Head(column.heading, arrow, "descending" if better == "higher" else "ascending", ", ".join(hint))


def _cell(table: Table, column: Column, row: Mapping[str, Any]) -> Cell:
    value = row.get(column.key)
    best = table.best(column)
    verdict = _verdict(column, row)
    return Cell(
        text=_minus(column.show(value)),
        interval=_interval(column, row),
        sort=value.lower() if isinstance(value, str) else value,
        best=best is not None and not row["bound"] and value == best,
        verdict=verdict,
        words="" if verdict is None else _WORDS[verdict],
    )


def _interval(column: Column, row: Mapping[str, Any]) -> str:
    low, high = row.get(f"{column.key} low"), row.get(f"{column.key} high")
    if low is None or high is None or column.digits is None:
        return ""
    # As the other forms of the table have it, a digit less than the value.
    return _minus(" to ".join(column.show(end, column.digits - 1) for end in (low, high)))


def _verdict(column: Column, row: Mapping[str, Any]) -> Verdict | None:
    value, unsettled = row.get(column.key), row.get(f"{column.key} unsettled")
    if not _is_difference(column) or value is None or row["bound"] or row.get(f"{column.key} low") is None:
        return None
    if unsettled:
        return "unsettled"
    return "better" if (value < 0) == (_better(column) == "lower") else "worse"


def _minus(text: str) -> str:
    """A real minus sign before a number."""
    return text.replace("-", "−") if text.strip("+-–0123456789. to") == "" else text
