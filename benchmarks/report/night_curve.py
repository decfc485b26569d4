"""The night curves in the report: the charts, and the tables beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from duskbench.benchmarks.night_curve import NightCurve, NightCurves
from duskbench.benchmarks.night_curve_table import build_curve_table
from duskbench.benchmarks.report.charts import DottedChart, Legend, Line, Scale, Tick, dotted_line, linear_scale
from duskbench.benchmarks.report.tables import Sortable, main_table, other_tables
from duskbench.benchmarks.report.wording import axis_title, behind_comma, interval_text, minus, number_text, unit


@dataclass(frozen=True)
class NightSection:
    """The section of the night curves."""

    legend: tuple[Legend, ...]
    charts: tuple[DottedChart, ...]
    tables: tuple[Sortable, ...]
    notes: tuple[str, ...]


def night_section(curves: Mapping[str, NightCurves], series: Mapping[str, str]) -> NightSection:
    """Lay the curves out.

    Args:
        curves: Noise -> curves.
        series: Label of an enhancer -> its colour and dashes in all charts of the page.
    """
    table = build_curve_table("Stops gained and area", curves)
    labels = list(dict.fromkeys(curve.label for made in curves.values() for curve in made.curves))
    return NightSection(
        tuple(Legend(label, series[label], number, True) for number, label in enumerate(labels)),
        tuple(_chart(noise, made, series) for noise, made in curves.items()),
        (main_table(table, ()), *other_tables(table)),
        table.notes,
    )


def _chart(noise: str, made: NightCurves, series: Mapping[str, str]) -> DottedChart:
    metric = made.score.metric
    values = [point.value for curve in made.curves for point in curve.points]
    scale = linear_scale(values, factor=metric.factor)
    # Dark to the left, as an exposure grows.
    ticks = tuple(Tick(_across(ev, made.exposures), minus(f"{ev:g}")) for ev in reversed(made.exposures))
    lines = tuple(_line(curve, made, scale, series[curve.label]) for curve in made.curves)
    axis = f"{axis_title(made.score.heading, metric)}, by exposure in stops"
    return DottedChart(f"{made.score.heading}, noise {noise}", axis, ticks, scale, lines)


def _line(curve: NightCurve, made: NightCurves, scale: Scale, series: str) -> Line:
    metric, dots = made.score.metric, list[tuple[float, float, str] | None]()
    for ev, point in reversed(list(zip(made.exposures, curve.points, strict=True))):
        x, y = _across(ev, made.exposures), round(100 - scale.at(point.value), 2)
        said = f"{number_text(metric, point.value)}{unit(metric)}{behind_comma(interval_text(metric, point))}"
        dots.append((x, y, f"{curve.label} at {ev:g} stops: {said}"))
    return dotted_line(curve.label, series, dots)


def _across(ev: float, exposures: tuple[float, ...]) -> float:
    return round(100 * (ev - exposures[-1]) / (exposures[0] - exposures[-1]), 2)
