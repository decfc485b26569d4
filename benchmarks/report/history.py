"""The nights of a history as curves and as a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from duskbench.benchmarks.nightly.night import Night, NightEnhancer
from duskbench.benchmarks.report.charts import CURVE_UNITS, Line, Scale, Tick, linear_scale
from duskbench.benchmarks.report.figures import percent
from duskbench.benchmarks.statistics import Interval

# More nights than this would be less than two pixels apart on a phone; more rows than this nobody reads.
_NIGHTS_DRAWN = 120
_NIGHTS_LISTED = 14
_DATES = 4


@dataclass(frozen=True)
class NightMark:
    """A night under the curves; `at` in percent."""

    at: float
    verdict: str
    detail: str


@dataclass(frozen=True)
class HistoryChart:
    """One metric of every enhancer over the nights."""

    heading: str
    better: Literal["lower", "higher"]
    y: Scale
    dates: tuple[Tick, ...]
    lines: tuple[Line, ...]
    marks: tuple[NightMark, ...]


@dataclass(frozen=True)
class ListedNight:
    """A night of the list, newest first."""

    started: str
    verdict: str
    commit: str
    reasons: tuple[str, ...]
    is_baseline: bool


def history_charts(nights: Sequence[Night], series: Mapping[str, str]) -> list[HistoryChart]:
    """Draw mAP and NIQE over the nights of one configuration, the oldest first; none for fewer than two nights.

    A line is broken where the protocol, the data or the detector changed: numbers on both sides do not compare.
    """
    nights = nights[-_NIGHTS_DRAWN:]
    if len(nights) < 2:
        return []
    charts = []
    for heading, better, factor, read in (("mAP", "higher", 100.0, _map), ("NIQE", "lower", 1.0, _niqe)):
        values = [i.value for night in nights for e in night.enhancers if (i := read(e)) is not None]
        if values:
            scale = linear_scale(values, factor=factor)
            lines = tuple(_line(label, nights, scale, read, series[label]) for label in _labels(nights, series))
            lines = tuple(line for line in lines if line.path)
            charts.append(
                HistoryChart(
                    heading,
                    "higher" if better == "higher" else "lower",
                    scale,
                    _dates(nights),
                    lines,
                    tuple(NightMark(_across(n, nights), _css(night), _detail(night)) for n, night in enumerate(nights)),
                )
            )
    return charts


def listed_nights(nights: Sequence[Night]) -> list[ListedNight]:
    """The newest nights, with what made them red."""
    return [
        ListedNight(
            started=_minute(night.started),
            verdict=night.verdict,
            commit=str(night.environment.get("git") or "unknown"),
            reasons=tuple(f"{f.subject}, {f.gate}: {f.message}" for f in night.failed),
            is_baseline=night.is_baseline,
        )
        for night in reversed(nights[-_NIGHTS_LISTED:])
    ]


def _map(enhancer: NightEnhancer) -> Interval | None:
    return enhancer.map


def _niqe(enhancer: NightEnhancer) -> Interval | None:
    return enhancer.niqe


def _labels(nights: Sequence[Night], series: Mapping[str, str]) -> list[str]:
    """Enhancers of tonight's run that any night has; one that is no longer run has no colour here."""
    seen = {enhancer.label for night in nights for enhancer in night.enhancers}
    return [label for label in series if label in seen]


def _line(
    label: str,
    nights: Sequence[Night],
    scale: Scale,
    read: Callable[[NightEnhancer], Interval | None],
    series: str,
) -> Line:
    path, dots, context = "", [], None
    for number, night in enumerate(nights):
        interval = next((read(e) for e in night.enhancers if e.label == label), None)
        if interval is None:
            context = None
            continue
        x, y = _across(number, nights), round(100 - scale.at(interval.value), 2)
        joined = context == night.context
        path += f"{'L' if joined else 'M'}{x * CURVE_UNITS / 100:g} {y * CURVE_UNITS / 100:g}"
        shown = percent(interval.value) if read is _map else f"{interval.value:.3f}"
        dots.append((x, y, f"{label}, {_minute(night.started)}: {shown}"))
        context = night.context
    return Line(label, path, series, label, tuple(dots))


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
