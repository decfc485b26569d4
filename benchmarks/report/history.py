"""The nights of a history as curves and as a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from duskbench.benchmarks.nightly.night import Night
from duskbench.benchmarks.record import ScoreColumn
from duskbench.benchmarks.report.charts import DottedChart, Line, Mark, Scale, Tick, dotted_line, linear_scale
from duskbench.benchmarks.report.wording import axis_title
from duskbench.benchmarks.table import Column, score_column

# More nights than this would be less than two pixels apart on a phone; more rows than this nobody reads.
_NIGHTS_DRAWN = 120
_NIGHTS_LISTED = 14
_DATES = 4


@dataclass(frozen=True)
class ListedNight:
    """A night of the list, newest first."""

    started: str
    verdict: str
    commit: str
    reasons: tuple[str, ...]
    is_baseline: bool


def history_charts(nights: Sequence[Night], series: Mapping[str, str]) -> list[DottedChart]:
    """Draw the newest night's scores over the nights of one configuration, the oldest first; none for fewer than two.

    A line is broken where the protocol, the data, a metric or a detector changed: numbers on both sides do not compare.
    """
    nights = nights[-_NIGHTS_DRAWN:]
    if len(nights) < 2:
        return []
    joined = [False, *(one.is_comparable(other) for one, other in pairwise(nights))]
    charts = (_chart(score, nights, joined, series) for score in nights[-1].record.columns())
    return [chart for chart in charts if chart is not None]


def _chart(
    score: ScoreColumn, nights: Sequence[Night], joined: Sequence[bool], series: Mapping[str, str]
) -> DottedChart | None:
    """One score over the nights; None where no night has it."""
    numbers = {
        label: [interval.value if (interval := night.score(label, score)) else None for night in nights]
        for label in _labels(nights, series)
    }
    values = [value for of in numbers.values() for value in of if value is not None]
    if not values:
        return None
    column = score_column(score)
    scale = linear_scale(values, factor=column.factor)
    lines = (_line(label, of, nights, joined, scale, column, series[label]) for label, of in numbers.items())
    return DottedChart(
        score.heading,
        axis_title(score.heading, score.metric),
        _dates(nights),
        scale,
        tuple(line for line in lines if line.path),
        tuple(Mark(_across(n, nights), _css(night), _detail(night)) for n, night in enumerate(nights)),
    )


def listed_nights(nights: Sequence[Night]) -> list[ListedNight]:
    """The newest nights, with what made them red."""
    return [
        ListedNight(
            started=_minute(night.started),
            verdict=night.verdict,
            commit=night.record.environment.git or "unknown",
            reasons=tuple(f"{f.subject}, {f.gate}: {f.message}" for f in night.failed),
            is_baseline=night.is_baseline,
        )
        for night in reversed(nights[-_NIGHTS_LISTED:])
    ]


def _labels(nights: Sequence[Night], series: Mapping[str, str]) -> list[str]:
    """Enhancers of tonight's run that any night has; one that is no longer run has no colour here."""
    seen = {enhancer.label for night in nights for enhancer in night.enhancers}
    return [label for label in series if label in seen]


def _line(
    label: str,
    values: Sequence[float | None],
    nights: Sequence[Night],
    joined: Sequence[bool],
    scale: Scale,
    column: Column,
    series: str,
) -> Line:
    dots = [
        None
        if value is None
        else (
            _across(number, nights),
            round(100 - scale.at(value), 2),
            f"{label}, {_minute(nights[number].started)}: {column.show(value)}",
        )
        for number, value in enumerate(values)
    ]
    return dotted_line(label, series, dots, joined)


def _across(number: int, nights: Sequence[Night]) -> float:
    return round(100 * number / (len(nights) - 1), 2)


def _dates(nights: Sequence[Night]) -> tuple[Tick, ...]:
    shown = sorted({round(i * (len(nights) - 1) / (_DATES - 1)) for i in range(_DATES)})
    return tuple(Tick(_across(number, nights), nights[number].started[5:10]) for number in shown)


def _css(night: Night) -> str:
    return night.verdict.replace(" ", "-")


def _detail(night: Night) -> str:
    return f"{_minute(night.started)}: {night.verdict}"


def _minute(iso: str) -> str:
    return iso[:16].replace("T", " ")
