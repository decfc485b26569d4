"""The page as plain values: what the template writes and what the script of the pictures reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duskbench.benchmarks.evaluate import EnhancerResult
from duskbench.benchmarks.ranks import RankAgreement, rank_agreements
from duskbench.benchmarks.record import RunRecord
from duskbench.benchmarks.report.charts import DottedChart, Legend
from duskbench.benchmarks.report.content import ReportContent, best_first
from duskbench.benchmarks.report.figures import (
    CurveChart,
    Forest,
    PanelGroup,
    Scatter,
    curve_charts,
    forest,
    panel_group,
    scatter,
    series_classes,
)
from duskbench.benchmarks.report.history import ListedNight, history_charts, listed_nights
from duskbench.benchmarks.report.night_curve import NightSection, night_section
from duskbench.benchmarks.report.summary import summary_lines
from duskbench.benchmarks.report.tables import (
    MARKS,
    Sortable,
    blocks_of,
    changes_table,
    class_parts,
    main_table,
    other_tables,
)
from duskbench.benchmarks.report.viewer import viewer_data
from duskbench.benchmarks.report.wording import minus
from duskbench.benchmarks.run_differences import in_words
from duskbench.benchmarks.statistics import Interval

# Curves shown at first: more than these are a thicket. The others are a click away.
_CURVES_AT_FIRST = 4
_FAILURES_LISTED = 50
_REASON_LENGTH = 400


@dataclass(frozen=True)
class Failure:
    """What is not there and why."""

    label: str
    image: str
    reason: str


@dataclass(frozen=True)
class DetectorCurves:
    """The curves of one detector."""

    detector: str
    charts: tuple[CurveChart, ...]


@dataclass(frozen=True)
class DetectorChanges:
    """Objects gained and lost, as one detector finds them from a score on."""

    detector: str
    threshold: str
    table: Sortable


@dataclass(frozen=True)
class Agreement:
    """Whether two detectors put the enhancers in the same order."""

    pair: str
    kendall: str
    kendall_interval: str
    spearman: str
    spearman_interval: str
    n_enhancers: int


@dataclass(frozen=True)
class Page:
    """Everything the template needs."""

    title: str
    facts: tuple[str, ...]
    summary: tuple[str, ...]
    night: NightSection | None
    intervals: str
    baseline: str | None
    main: Sortable
    others: tuple[Sortable, ...]
    by_class: tuple[Sortable, ...]
    marks: dict[str, str]
    forests: tuple[Forest, ...]
    scatter: Scatter | None
    agreements: tuple[Agreement, ...]
    groups: tuple[PanelGroup, ...]
    curves: tuple[DetectorCurves, ...]
    legend: tuple[Legend, ...]
    changes: tuple[DetectorChanges, ...]
    more: tuple[tuple[str, tuple[Sortable, ...], tuple[str, ...]], ...]
    viewer: dict[str, Any] | None
    viewer_notes: tuple[str, ...]
    history: tuple[DottedChart, ...]
    history_legend: tuple[Legend, ...]
    nights: tuple[ListedNight, ...]
    notes: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    failures: tuple[Failure, ...]
    failures_left_out: int
    n_failed: int


def build_page(content: ReportContent) -> Page:
    """Lay a run's content out; pure, so the same content is the same page."""
    record, results, baseline = content.record, content.results, content.baseline
    scores, bounds = record.headline_first(), record.bounds
    # Several trainings are one row, and each has curves of its own.
    in_night = [curve.label for made in content.night.values() for curve in made.curves]
    labels = dict.fromkeys([*record.rows, *(entry.label for entry in record.enhancers), *in_night])
    series = series_classes(list(labels), baseline, bounds)
    failures = list(_failures(record, results))
    class_titles = class_parts(content.table, record)
    others = other_tables(content.table)
    agreements = rank_agreements(record, results)
    in_curves = {label for found in content.detectors for label in found.curves}
    in_history = {enhancer.label for night in content.history for enhancer in night.enhancers}
    return Page(
        title=record.title,
        facts=_facts(record, results),
        summary=tuple(summary_lines(record, scores, results, baseline)),
        night=night_section(content.night, series) if content.night else None,
        intervals=_intervals(content),
        baseline=baseline,
        main=main_table(content.table, scores),
        others=tuple(table for table in others if table.title not in class_titles),
        by_class=tuple(table for table in others if table.title in class_titles),
        marks=dict(MARKS),
        forests=tuple(f for s in scores if baseline and (f := forest(s, results, baseline, bounds))),
        scatter=_scatter(content, series),
        agreements=tuple(map(_agreement, agreements)),
        groups=tuple(g for b in content.breakdowns if (g := panel_group(b, scores, bounds)).scores),
        curves=tuple(_curves(content, series)),
        legend=_legend(content, series, in_curves),
        changes=tuple(
            DetectorChanges(found.label, f"{found.threshold:.2f}", changes_table(found.changes))
            for found in content.detectors
            if found.threshold is not None
        ),
        more=tuple((table.title, tuple(blocks_of(table)), table.notes) for table in content.more),
        viewer=viewer_data(content, _short) if any(one.views for one in content.shown) else None,
        viewer_notes=_viewer_notes(content),
        history=tuple(history_charts(content.history, series)),
        history_legend=_legend(content, series, in_history),
        nights=tuple(listed_nights(content.history)),
        notes=content.table.notes,
        environment=_environment(record),
        failures=tuple(failures[:_FAILURES_LISTED]),
        failures_left_out=max(len(failures) - _FAILURES_LISTED, 0),
        n_failed=sum((result.error is not None) + len(result.failures) for result in results),
    )


def _scatter(content: ReportContent, series: Mapping[str, str]) -> Scatter | None:
    """The first score of images against the first of detections."""
    scores = content.record.columns()
    of_images = next((score for score in scores if score.detector is None), None)
    of_detections = next((score for score in scores if score.detector is not None), None)
    if of_images is None or of_detections is None:
        return None
    return scatter(of_images, of_detections, content.results, series)


def _curves(content: ReportContent, series: Mapping[str, str]) -> Iterator[DetectorCurves]:
    for found in content.detectors:
        charts = curve_charts(found.curves, content.record.protocol.classes, series)
        if charts:
            yield DetectorCurves(found.label, charts)


def _agreement(agreement: RankAgreement) -> Agreement:
    return Agreement(
        f"{agreement.one.heading} and {agreement.other.heading}",
        *_correlation(agreement.kendall),
        *_correlation(agreement.spearman),
        agreement.n_enhancers,
    )


def _correlation(interval: Interval) -> tuple[str, str]:
    ends = "" if interval.low is None else f"{interval.low:.2f} to {interval.high:.2f}"
    return minus(f"{interval.value:.2f}"), minus(ends)


def _facts(record: RunRecord, results: Sequence[EnhancerResult]) -> tuple[str, ...]:
    most = max((result.n_images for result in results), default=0)
    detectors = ", ".join(detector.label for detector in record.detectors) or "none"
    return (
        f"{record.data.name}, split {record.data.split}",
        f"{most} of {len(record.image_ids)} images",
        f"detector{'s' if len(record.detectors) > 1 else ''} {detectors}",
        f"{record.environment.started[:16].replace('T', ' ')} UTC",
    )


def _intervals(content: ReportContent) -> str:
    options = content.record.bootstrap
    if all(interval.low is None for result in content.results for interval in result.spread.scores.values()):
        return ""
    return (
        f"Intervals cover {100 * options.level:g} % of {options.resamples} resamples of the {options.drawn} "
        f"(paired bootstrap, seed {options.seed})."
    )


def _legend(content: ReportContent, series: Mapping[str, str], labels: set[str]) -> tuple[Legend, ...]:
    """The best by the headline and the baseline are shown at first; all of them where there is no headline."""
    ranked = best_first(content.record, content.results, content.record.headline)
    best = [result.label for result in ranked if result.label != content.baseline][:_CURVES_AT_FIRST]
    ahead = {label for row in best for label in (row, *(entry.label for entry in content.record.rows[row]))}
    return tuple(
        Legend(label, series[label], number, not ranked or label in ahead or label == content.baseline)
        for number, label in enumerate(series)
        if label in labels
    )


def _viewer_notes(content: ReportContent) -> tuple[str, ...]:
    if not content.remade:
        return ()
    built = [entry.label for entry in content.record.enhancers if entry.error is None]
    which = "All pictures" if len(content.remade) == len(built) else f"The pictures of {', '.join(content.remade)}"
    return (
        f"{which} were made again by other code, arguments or weights than were measured; "
        "the boxes are those that were measured.",
    )


def _environment(record: RunRecord) -> tuple[tuple[str, str], ...]:
    made = record.environment
    return (
        ("started", made.started),
        ("command", " ".join(made.argv)),
        ("device", made.gpu or made.device),
        ("platform", made.platform),
        ("Python", made.python),
        *made.packages.items(),
        ("git commit", made.git or "unknown"),
        *((f"detector {d.label}", f"{_spec(d.spec)}  {in_words(d.fingerprint)}") for d in record.detectors),
        *((e.label, f"{_spec(e.spec)}  {in_words(e.fingerprint)}") for e in record.enhancers),
        *((f"metric {m.heading}", f"{_spec(m.spec)}  {in_words(m.fingerprint)}") for m in record.metrics),
    )


def _spec(spec: str | Mapping[str, Any]) -> str:
    if isinstance(spec, str):
        return spec
    rest = ", ".join(f"{key}={value!r}" for key, value in spec.items() if key != "type")
    return f"{spec['type']}({rest})" if rest else str(spec["type"])


def _failures(record: RunRecord, results: Sequence[EnhancerResult]) -> Iterator[Failure]:
    headings = {score.key: score.heading for score in record.columns()}
    for result in results:
        if result.error:
            yield Failure(result.label, "all", _short(result.error))
        for image, reason in result.failures.items():
            yield Failure(result.label, image, _short(reason))
        for key, reasons in result.reasons.items():
            for reason, count in reasons.items():
                images = f"{count} image{'' if count == 1 else 's'}"
                yield Failure(result.label, images, _short(f"no {headings[key]}: {reason}"))


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _REASON_LENGTH else flat[: _REASON_LENGTH - 1] + "…"
