"""The geometry of the report's charts: numbers become percentages of a plot, so that text keeps its size anywhere."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from duskbench.benchmarks.report.wording import minus
from duskbench.benchmarks.statistics import Interval

Standing = Literal["better", "worse", "unsettled", "baseline", "bound"]
Anchor = Literal["start", "end"]

# Curves are drawn in a square of this many units, stretched to the plot.
CURVE_UNITS = 1000
# Recall is divided into so many columns: what a screen shows of a curve. Each keeps its highest and lowest precision.
_CURVE_COLUMNS = 120
# Labels must not overlap on the narrowest screen: plot and text sizes there, in pixels.
_PHONE_PLOT = (260.0, 300.0)
_LABEL_HEIGHT, _LETTER_WIDTH = 16.0, 8.0


@dataclass(frozen=True)
class Tick:
    """A mark of an axis: where, in percent, and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Scale:
    """A linear axis from `low` to `high`."""

    low: float
    high: float
    ticks: tuple[Tick, ...]

    def at(self, value: float) -> float:
        """Position of a value in percent of the axis, kept inside it."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(max(share, 0.0), 1.0), 2)


@dataclass(frozen=True)
class Whisker:
    """An interval on a scale, in percent."""

    low: float
    high: float


@dataclass(frozen=True)
class Bar:
    """A row of a bar chart or of a chart of differences.

    Attributes:
        label: Enhancer.
        start: Where the bar starts, in percent.
        at: Where the value is, in percent.
        whisker: Its interval; None without one.
        text: The value.
        detail: Value and interval in words.
        standing: How it compares with the baseline.
    """

    label: str
    start: float
    at: float
    whisker: Whisker | None
    text: str
    detail: str
    standing: Standing


@dataclass(frozen=True)
class Point:
    """A point of a scatter plot, in percent; `label_y` is moved where labels would overlap."""

    label: str
    x: float
    y: float
    across: Whisker | None
    along: Whisker | None
    label_x: float
    label_y: float
    anchor: Anchor
    series: str
    detail: str


@dataclass(frozen=True)
class Line:
    """A curve: `path` in a square of `CURVE_UNITS`, and the dots on it in percent."""

    label: str
    path: str
    series: str
    detail: str
    dots: tuple[tuple[float, float, str], ...] = ()


@dataclass(frozen=True)
class Mark:
    """A mark below a chart; `at` in percent, `kind` picks its form."""

    at: float
    kind: str
    detail: str


@dataclass(frozen=True)
class DottedChart:
    """Lines through dots, one for each enhancer; `axis` is what stands above the plot."""

    heading: str
    axis: str
    x: tuple[Tick, ...]
    y: Scale
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...] = ()


def dotted_line(
    label: str, series: str, dots: Sequence[tuple[float, float, str] | None], joined: Sequence[bool] | None = None
) -> Line:
    """A line through dots.

    Args:
        label: Of the enhancer.
        series: Its colour and dashes.
        dots: Where, in percent, and what it says; None breaks the line.
        joined: Whether each is joined to the one before it; None for all.
    """
    path, drawn = "", False
    for dot, is_joined in zip(dots, joined or [True] * len(dots), strict=True):
        if dot is not None:
            x, y, _ = dot
            path += f"{'L' if drawn and is_joined else 'M'}{x * CURVE_UNITS / 100:g} {y * CURVE_UNITS / 100:g}"
        drawn = dot is not None
    return Line(label, path, series, label, tuple(dot for dot in dots if dot is not None))


@dataclass(frozen=True)
class Legend:
    """An enhancer in the legend of curves."""

    label: str
    series: str
    number: int
    on: bool


def linear_scale(values: Iterable[float], *, zero: bool = False, factor: float = 1.0, marks: int = 5) -> Scale:
    """A scale over values with round ticks.

    Args:
        values: What must fit; empty or equal ones still make a scale.
        zero: Whether 0 must be on it.
        factor: Of the ticks' texts: 100 for shares shown in percent.
        marks: About how many ticks.
    """
    inside = [*values, *([0.0] if zero else [])] or [0.0, 1.0]
    low, high = min(inside), max(inside)
    if high - low < 1e-9:
        pad = abs(high) * 0.05 or 0.5
        low, high = low - (0 if zero and low == 0 else pad), high + pad
    step = _round_step((high - low) / marks)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = max(0, -math.floor(math.log10(step * factor) + 1e-9))
    scale = Scale(first * step, last * step, ())
    ticks = tuple(
        Tick(scale.at(number * step), _plain(number * step * factor, digits)) for number in range(first, last + 1)
    )
    return Scale(scale.low, scale.high, ticks)


def _round_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, the next above."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def _plain(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else minus(text)


def whisker(scale: Scale, interval: Interval | None) -> Whisker | None:
    """An interval on a scale; None where it has no ends."""
    if interval is None or interval.low is None or interval.high is None:
        return None
    return Whisker(scale.at(interval.low), scale.at(interval.high))


def ends(interval: Interval | None) -> list[float]:
    """The value and the ends of an interval, those that exist."""
    if interval is None:
        return []
    return [value for value in (interval.value, interval.low, interval.high) if value is not None]


def spread_labels(points: Sequence[tuple[str, float, float]]) -> list[tuple[float, float, Anchor]]:
    """Where to write the labels of points so that they do not overlap on a narrow screen.

    Args:
        points: (label, x, y) in percent.

    Returns:
        For each point (x, y, anchor) of its label, in percent: on the right of the point if there is room, else on its
        left, else above or below.
    """
    placed: list[tuple[float, float, float, float]] = [(x, x, y, y) for _, x, y in points]
    height = 100 * _LABEL_HEIGHT / _PHONE_PLOT[1]
    labels: dict[int, tuple[float, float, Anchor]] = {}
    for index in sorted(range(len(points)), key=lambda i: points[i][2]):
        text, x, y = points[index]
        width = 100 * _LETTER_WIDTH * len(text) / _PHONE_PLOT[0]
        sides: list[tuple[Anchor, float, float]] = [("start", x + 3, x + 3 + width), ("end", x - 3 - width, x - 3)]
        fitting = [side for side in sides if side[1] >= 0 and side[2] <= 100] or sides[x > 50 :][:1]
        rows = sorted((y + step * height / 2 for step in range(-9, 10)), key=lambda at: (abs(at - y), at))
        free = (
            (at, side)
            for at in rows
            for side in fitting
            if height / 2 <= at <= 100 - height / 2 and not _overlaps(side[1], side[2], at, height, placed)
        )
        at, (anchor, left, right) = next(free, (y, fitting[0]))
        placed.append((left, right, at - height / 2, at + height / 2))
        labels[index] = (x, round(at, 2), anchor)
    return [labels[index] for index in range(len(points))]


def _overlaps(
    left: float, right: float, middle: float, height: float, placed: Sequence[tuple[float, float, float, float]]
) -> bool:
    top, bottom = middle - height / 2, middle + height / 2
    return any(left < x2 and right > x1 and top < y2 and bottom > y1 for x1, x2, y1, y2 in placed)


def thin_curve(recall: np.ndarray, precision: np.ndarray) -> list[tuple[int, int]]:
    """The corners of a precision-recall curve that a screen can show.

    Args:
        recall: (K,) rising, 0 to 1.
        precision: (K,) 0 to 1.

    Returns:
        Points in a square of `CURVE_UNITS`, y downwards, in rank order: the first and last, and in each of
        `_CURVE_COLUMNS` columns of recall the highest and the lowest.
    """
    if not len(recall):
        return []
    kept = {0, len(recall) - 1}
    column = np.minimum((recall * _CURVE_COLUMNS).astype(int), _CURVE_COLUMNS - 1)
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(recall)], strict=True):
        inside = precision[start:stop]
        kept |= {int(start + inside.argmax()), int(start + inside.argmin())}
    return [
        (round(CURVE_UNITS * float(recall[i])), round(CURVE_UNITS * (1 - float(precision[i])))) for i in sorted(kept)
    ]


def path_of(points: Sequence[tuple[float, float]]) -> str:
    """SVG path through points."""
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points) if points else ""
