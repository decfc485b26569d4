"""A run's numbers as the report's figures; nothing is computed here that the numbers do not already say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from duskbench.benchmarks.breakdown import Breakdown, Part
from duskbench.benchmarks.changes import Curve
from duskbench.benchmarks.evaluate import EnhancerResult
from duskbench.benchmarks.report.charts import (
    Bar,
    Line,
    Point,
    Scale,
    Verdict,
    ends,
    linear_scale,
    path_of,
    spread_labels,
    thin_curve,
    whisker,
)
from duskbench.benchmarks.statistics import Difference, Interval

# As many curves as have a colour of their own; the next ones are dashed.
_COLOURS = 9
# Longer labels do not fit beside a point on a phone.
_LABEL_LETTERS = 20


@dataclass(frozen=True)
class Panel:
    """Bars of one part of a break-down; `reference` is where the reference's value is, in percent."""

    title: str
    subtitle: str
    bars: tuple[Bar, ...]
    reference: float | None


@dataclass(frozen=True)
class PanelGroup:
    """All parts of a break-down, on one scale."""

    key: str
    title: str
    panels: tuple[Panel, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Forest:
    """Differences to the reference with their intervals."""

    reference: str
    scale: Scale
    zero: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Scatter:
    """NIQE against mAP; the better corner is at the top left."""

    x: Scale
    y: Scale
    points: tuple[Point, ...]


@dataclass(frozen=True)
class CurveChart:
    """Precision-recall curves of one class."""

    name: str
    n_objects: int
    lines: tuple[Line, ...]


def percent(value: float, digits: int = 2, *, sign: bool = False) -> str:
    """A share in percent with a real minus sign."""
    text = f"{100 * value:{'+' if sign else ''}.{digits}f}"
    return text.replace("-", "−")


def interval_text(interval: Interval | None, digits: int, factor: float = 1.0, *, sign: bool = False) -> str:
    """`33.1 to 35.2`, or nothing where there is no interval."""
    if interval is None or interval.low is None or interval.high is None:
        return ""
    form = f"{{:{'+' if sign else ''}.{digits}f}}"
    return " to ".join(form.format(factor * end).replace("-", "−") for end in (interval.low, interval.high))


def verdict_of(label: str, difference: Interval | None, reference: str | None, bounds: frozenset[str]) -> Verdict:
    """How a row compares with the reference; a difference without an interval is not settled."""
    if label in bounds:
        return "bound"
    if label == reference:
        return "reference"
    if difference is None or not difference.settled:
        return "unsettled"
    return "better" if difference.value > 0 else "worse"


def series_classes(labels: Sequence[str], reference: str | None, bounds: frozenset[str]) -> dict[str, str]:
    """Label -> CSS classes of its colour; the reference and bounds have greys of their own."""
    classes: dict[str, str] = {}
    for label in labels:
        if label == reference:
            classes[label] = "series s-reference"
        elif label in bounds:
            classes[label] = "series s-bound"
        else:
            number = sum("s-reference" not in c and "s-bound" not in c for c in classes.values())
            dashed = " s-dashed" if number // _COLOURS % 2 else ""
            classes[label] = f"series s{number % _COLOURS}{dashed}"
    return classes


def forest(results: Sequence[EnhancerResult], reference: str | None, bounds: frozenset[str]) -> Forest | None:
    """Change of mAP against the reference, the largest first; None where there is none."""
    if reference is None:
        return None
    against = {r.label: r.against[reference].map for r in results if reference in r.against}
    known = {label: interval for label, interval in against.items() if interval is not None and label not in bounds}
    if not known:
        return None
    scale = linear_scale([v for i in known.values() for v in ends(i)], zero=True, factor=100, marks=4)
    bars = []
    for label, interval in sorted(known.items(), key=lambda item: -item[1].value):
        text = percent(interval.value, sign=True)
        spread = interval_text(interval, 2, 100, sign=True)
        bars.append(
            Bar(
                label=label,
                at=scale.at(interval.value),
                whisker=whisker(scale, interval),
                text=text,
                detail=f"{label}: {text} percentage points" + (f", interval {spread}" if spread else ""),
                verdict=verdict_of(label, interval, reference, bounds),
            )
        )
    return Forest(reference, scale, scale.at(0.0), tuple(bars))


def scatter(results: Sequence[EnhancerResult], series: Mapping[str, str]) -> Scatter | None:
    """NIQE (across, lower to the left) against mAP (up); None where fewer than two rows have both."""
    both = [(r, r.niqe, r.map) for r in results if r.niqe is not None and r.map is not None]
    if len(both) < 2:
        return None
    x = linear_scale([v for r, niqe, _ in both for v in (niqe, *ends(r.niqe_interval))], marks=6)
    y = linear_scale([v for r, _, ap in both for v in (ap, *ends(r.map_interval))], factor=100)
    places = spread_labels([(_shorten(r.label), x.at(niqe), 100 - y.at(ap)) for r, niqe, ap in both])
    points = [
        Point(
            label=_shorten(r.label),
            x=x.at(niqe),
            y=round(100 - y.at(ap), 2),
            across=whisker(x, r.niqe_interval),
            along=whisker(y, r.map_interval),
            label_x=label_x,
            label_y=label_y,
            anchor=anchor,
            series=series[r.label],
            detail=f"{r.label}: NIQE {niqe:.3f}, mAP {percent(ap)} %",
        )
        for (r, niqe, ap), (label_x, label_y, anchor) in zip(both, places, strict=True)
    ]
    return Scatter(x, y, tuple(points))


def _shorten(label: str) -> str:
    return label if len(label) <= _LABEL_LETTERS else label[: _LABEL_LETTERS - 1] + "…"


_GROUP_TITLES = {
    "class": "By class",
    "lighting": "By lighting",
    "indoor": "Indoors and outdoors",
    "size": "By object size",
}


def panel_group(breakdown: Breakdown, bounds: frozenset[str]) -> PanelGroup:
    """Bars of a break-down: a panel for each part that has any, all on one scale from 0."""
    shown = [s.map for part in breakdown.parts for s in part.spreads.values() if s.map is not None]
    scale = linear_scale([v for interval in shown for v in ends(interval)], zero=True, factor=100)
    panels = [_panel(part, breakdown, scale, bounds) for part in breakdown.parts]
    drawn = tuple(panel for panel in panels if panel.bars)
    return PanelGroup(breakdown.by, _GROUP_TITLES[breakdown.by], drawn, breakdown.notes)


def _panel(part: Part, breakdown: Breakdown, scale: Scale, bounds: frozenset[str]) -> Panel:
    bars = []
    for label in breakdown.labels:
        spread = part.spreads.get(label)
        interval = None if spread is None else spread.map
        if interval is None:
            continue
        difference = part.differences.get(label)
        bars.append(_bar(label, interval, difference, breakdown.reference, scale, bounds))
    base = part.spreads.get(breakdown.reference) if breakdown.reference is not None else None
    reference = None if base is None or base.map is None else scale.at(base.map.value)
    subtitle = f"{_count(part.n_objects, 'object')} in {_count(part.n_images, 'image')}"
    return Panel(part.name, subtitle, tuple(bars), reference)


def _bar(
    label: str,
    interval: Interval,
    difference: Difference | None,
    reference: str | None,
    scale: Scale,
    bounds: frozenset[str],
) -> Bar:
    text, spread = percent(interval.value, 1), interval_text(interval, 1, 100)
    detail = f"{label}: {text} %" + (f", interval {spread}" if spread else "")
    change = None if difference is None else difference.map
    if change is not None:
        detail += f"; {percent(change.value, 1, sign=True)} against {reference}"
        moved = interval_text(change, 1, 100, sign=True)
        detail += f", interval {moved}" if moved else ""
    verdict = verdict_of(label, change, reference, bounds)
    return Bar(label, scale.at(interval.value), whisker(scale, interval), text, detail, verdict)


def _count(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")


def curve_charts(
    curves: Mapping[str, Mapping[str, Curve]], classes: Sequence[str], series: Mapping[str, str]
) -> list[CurveChart]:
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
            lines.append(Line(label, path_of(points), series[label], f"{label}: AP {percent(curve.ap, 1)} %"))
        charts.append(CurveChart(name, max(curve.n_objects for curve in of.values()), tuple(lines)))
    return charts


def unit_scale() -> Scale:
    """0 to 100 % for both axes of a precision-recall chart."""
    return linear_scale([0.0, 1.0], factor=100)
