"""A run's numbers as the report's figures; nothing is computed here that the numbers do not already say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from duskbench.benchmarks.breakdown import Breakdown, Part
from duskbench.benchmarks.breakdown_table import heading_of
from duskbench.benchmarks.changes import Curve
from duskbench.benchmarks.evaluate import EnhancerResult
from duskbench.benchmarks.record import ScoreColumn
from duskbench.benchmarks.report.charts import (
    Bar,
    Line,
    Point,
    Scale,
    Standing,
    ends,
    linear_scale,
    path_of,
    spread_labels,
    thin_curve,
    whisker,
)
from duskbench.benchmarks.report.wording import axis_title, behind_comma, interval_text, number_text, unit
from duskbench.benchmarks.statistics import Difference, Interval

# As many curves as have a colour of their own; the next ones are dashed.
_COLOURS = 9
# Longer labels do not fit beside a point on a phone.
_LABEL_LETTERS = 20


@dataclass(frozen=True)
class Panel:
    """Bars of one part of a break-down; `baseline` is where the baseline's value is, in percent."""

    title: str
    subtitle: str
    bars: tuple[Bar, ...]
    baseline: float | None


@dataclass(frozen=True)
class ScorePanels:
    """All parts of a break-down by one score, on one scale."""

    key: str
    heading: str
    axis: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class PanelGroup:
    """A break-down, score by score."""

    key: str
    title: str
    scores: tuple[ScorePanels, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Forest:
    """Differences of one score to the baseline with their intervals, the best first."""

    key: str
    heading: str
    hint: str
    scale: Scale
    zero: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Scatter:
    """A score of images (across) against one of detections (up); `best` is the corner where both are best."""

    x_heading: str
    y_heading: str
    x_axis: str
    y_axis: str
    best: str
    x: Scale
    y: Scale
    points: tuple[Point, ...]


@dataclass(frozen=True)
class CurveChart:
    """Precision-recall curves of one class."""

    name: str
    n_objects: int
    lines: tuple[Line, ...]


def standing_of(
    label: str, score: ScoreColumn, difference: Interval | None, baseline: str | None, bounds: frozenset[str]
) -> Standing:
    """How a row compares with the baseline by a score; a difference without an interval is not settled."""
    if label in bounds:
        return "bound"
    if label == baseline:
        return "baseline"
    verdict = "not settled" if difference is None else difference.verdict(score.metric.better)
    return "unsettled" if verdict == "not settled" else verdict


def series_classes(labels: Sequence[str], baseline: str | None, bounds: frozenset[str]) -> dict[str, str]:
    """Label -> CSS classes of its colour; the baseline and bounds have greys of their own."""
    classes: dict[str, str] = {}
    for label in labels:
        if label == baseline:
            classes[label] = "series s-baseline"
        elif label in bounds:
            classes[label] = "series s-bound"
        else:
            number = sum("s-baseline" not in c and "s-bound" not in c for c in classes.values())
            dashed = " s-dashed" if number // _COLOURS % 2 else ""
            classes[label] = f"series s{number % _COLOURS}{dashed}"
    return classes


def forest(
    score: ScoreColumn, results: Sequence[EnhancerResult], baseline: str, bounds: frozenset[str]
) -> Forest | None:
    """Change of a score against the baseline, the best first; None where there is none."""
    metric = score.metric
    against = {r.label: r.against[baseline].scores.get(score.key) for r in results if baseline in r.against}
    known = {label: interval for label, interval in against.items() if interval is not None and label not in bounds}
    if not known:
        return None
    scale = linear_scale([v for i in known.values() for v in ends(i)], zero=True, factor=metric.factor, marks=4)
    sign = -1 if metric.better == "higher" else 1
    bars = []
    for label, interval in sorted(known.items(), key=lambda item: sign * item[1].value):
        text = number_text(metric, interval.value, sign=True)
        at = scale.at(interval.value)
        moved = behind_comma(interval_text(metric, interval, sign=True))
        bars.append(
            Bar(
                label=label,
                start=at,
                at=at,
                whisker=whisker(scale, interval),
                text=text,
                detail=f"{label}: {text}{unit(metric, difference=True)}{moved}",
                standing=standing_of(label, score, interval, baseline, bounds),
            )
        )
    hint = ", ".join(filter(None, [unit(metric, difference=True).strip(), f"{metric.better} is better"]))
    return Forest(score.key, score.heading, hint, scale, scale.at(0.0), tuple(bars))


def scatter(
    x_score: ScoreColumn, y_score: ScoreColumn, results: Sequence[EnhancerResult], series: Mapping[str, str]
) -> Scatter | None:
    """One score across against another up; None where fewer than two rows have both."""
    both = [(r, i, j) for r in results if (i := r.score(x_score.key)) and (j := r.score(y_score.key))]
    if len(both) < 2:
        return None
    x = linear_scale([v for _, i, _ in both for v in ends(i)], factor=x_score.metric.factor, marks=6)
    y = linear_scale([v for _, _, j in both for v in ends(j)], factor=y_score.metric.factor)
    places = spread_labels([(_shorten(r.label), x.at(i.value), 100 - y.at(j.value)) for r, i, j in both])
    points = [
        Point(
            label=_shorten(r.label),
            x=x.at(i.value),
            y=round(100 - y.at(j.value), 2),
            across=whisker(x, i),
            along=whisker(y, j),
            label_x=label_x,
            label_y=label_y,
            anchor=anchor,
            series=series[r.label],
            detail=f"{r.label}: {_said(x_score, i)}, {_said(y_score, j)}",
        )
        for (r, i, j), (label_x, label_y, anchor) in zip(both, places, strict=True)
    ]
    top = "top" if y_score.metric.better == "higher" else "bottom"
    side = "right" if x_score.metric.better == "higher" else "left"
    return Scatter(
        x_score.heading,
        y_score.heading,
        axis_title(x_score.heading, x_score.metric),
        axis_title(y_score.heading, y_score.metric),
        f"{top} {side}",
        x,
        y,
        tuple(points),
    )


def _said(score: ScoreColumn, interval: Interval) -> str:
    return f"{score.heading} {number_text(score.metric, interval.value)}{unit(score.metric)}"


def _shorten(label: str) -> str:
    return label if len(label) <= _LABEL_LETTERS else label[: _LABEL_LETTERS - 1] + "…"


_GROUP_TITLES = {
    "class": "By class",
    "lighting": "By lighting",
    "indoor": "Indoors and outdoors",
    "size": "By object size",
}


def panel_group(breakdown: Breakdown, scores: Sequence[ScoreColumn], bounds: frozenset[str]) -> PanelGroup:
    """Bars of a break-down: for each score that any part has, a panel for each part that has it, on one scale."""
    made = (_score_panels(breakdown, score, bounds) for score in scores)
    shown = tuple(panels for panels in made if panels.panels)
    return PanelGroup(breakdown.by, _GROUP_TITLES[breakdown.by], shown, breakdown.notes)


def _score_panels(breakdown: Breakdown, score: ScoreColumn, bounds: frozenset[str]) -> ScorePanels:
    intervals = [s.scores[score.key] for p in breakdown.parts for s in p.spreads.values() if score.key in s.scores]
    scale = linear_scale([v for interval in intervals for v in ends(interval)], zero=True, factor=score.metric.factor)
    panels = [_panel(part, breakdown, score, scale, bounds) for part in breakdown.parts]
    heading = heading_of(score, breakdown.by)
    axis = axis_title(heading, score.metric)
    return ScorePanels(score.key, heading, axis, tuple(panel for panel in panels if panel.bars))


def _panel(part: Part, breakdown: Breakdown, score: ScoreColumn, scale: Scale, bounds: frozenset[str]) -> Panel:
    there = {label: part.spreads[label].scores.get(score.key) for label in breakdown.labels if label in part.spreads}
    bars = [
        _bar(label, score, interval, part.differences.get(label), breakdown.baseline, scale, bounds)
        for label, interval in there.items()
        if interval is not None
    ]
    base = there.get(breakdown.baseline) if breakdown.baseline is not None else None
    subtitle = _count(part.n_images, "image")
    if score.detector is not None:
        subtitle = f"{_count(part.n_objects, 'object')} in {subtitle}"
    return Panel(part.name, subtitle, tuple(bars), None if base is None else scale.at(base.value))


def _bar(
    label: str,
    score: ScoreColumn,
    interval: Interval,
    difference: Difference | None,
    baseline: str | None,
    scale: Scale,
    bounds: frozenset[str],
) -> Bar:
    metric = score.metric
    text = number_text(metric, interval.value, fewer=1)
    detail = f"{label}: {text}{unit(metric)}{behind_comma(interval_text(metric, interval, fewer=1))}"
    change = None if difference is None else difference.scores.get(score.key)
    if change is not None:
        moved = behind_comma(interval_text(metric, change, fewer=1, sign=True))
        detail += f"; {number_text(metric, change.value, fewer=1, sign=True)} against {baseline}{moved}"
    standing = standing_of(label, score, change, baseline, bounds)
    return Bar(label, scale.at(0.0), scale.at(interval.value), whisker(scale, interval), text, detail, standing)


def _count(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")


def curve_charts(
    curves: Mapping[str, Mapping[str, Curve]], classes: Sequence[str], series: Mapping[str, str]
) -> tuple[CurveChart, ...]:
    """A chart for each class that has objects, a line for each enhancer."""
    charts = []
    for name in classes:
        of = {label: by_class[name] for label, by_class in curves.items() if name in by_class}
        if not of:
            continue
        lines = []
        for label, curve in of.items():
            points: list[tuple[float, float]] = [*thin_curve(curve.recall, curve.precision)]
            if points:
                # From the first hit to the left edge precision is what it is there, as AP reads it.
                points = [(0, points[0][1]), *points]
            lines.append(Line(label, path_of(points), series[label], f"{label}: AP {100 * curve.ap:.1f} %"))
        charts.append(CurveChart(name, max(curve.n_objects for curve in of.values()), tuple(lines)))
    return tuple(charts)


def unit_scale() -> Scale:
    """0 to 100 % for both axes of a precision-recall chart."""
    return linear_scale([0.0, 1.0], factor=100)
