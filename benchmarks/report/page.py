"""The page as plain values: what the template writes and what the script of the pictures reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duskbench.benchmarks.evaluate import EnhancerResult
from duskbench.benchmarks.report.content import ReportContent
from duskbench.benchmarks.report.figures import (
    CurveChart,
    Forest,
    PanelGroup,
    Scatter,
    curve_charts,
    forest,
    interval_text,
    panel_group,
    percent,
    scatter,
    series_classes,
    verdict_of,
)
from duskbench.benchmarks.report.gallery import LOWEST_SCORE, Drawn, Shown
from duskbench.benchmarks.report.history import HistoryChart, ListedNight, history_charts, listed_nights
from duskbench.benchmarks.report.pictures import PictureSet
from duskbench.benchmarks.report.tables import MARKS, Sortable, changes_table, main_table, other_tables

# Curves shown at first: more than these are a thicket. The others are a click away.
_CURVES_AT_FIRST = 4
_FAILURES_LISTED = 50
# Of the boxes, where there is no reference on which to find the best one.
_THRESHOLD = 0.3
_REASON_LENGTH = 400


@dataclass(frozen=True)
class Legend:
    """An enhancer in the legend of the curves."""

    label: str
    series: str
    number: int
    on: bool


@dataclass(frozen=True)
class Failure:
    """What is not there and why."""

    label: str
    image: str
    reason: str


@dataclass(frozen=True)
class Page:
    """Everything the template needs."""

    title: str
    facts: tuple[str, ...]
    summary: tuple[str, ...]
    intervals: str
    reference: str | None
    main: Sortable
    others: tuple[Sortable, ...]
    marks: dict[str, str]
    forest: Forest | None
    scatter: Scatter | None
    groups: tuple[PanelGroup, ...]
    curves: tuple[CurveChart, ...]
    legend: tuple[Legend, ...]
    changes: Sortable | None
    threshold: str
    viewer: dict[str, Any] | None
    viewer_notes: tuple[str, ...]
    history: tuple[HistoryChart, ...]
    history_legend: tuple[Legend, ...]
    nights: tuple[ListedNight, ...]
    notes: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    failures: tuple[Failure, ...]
    failures_left_out: int


def build_page(content: ReportContent) -> Page:
    """Lay a run's content out; pure, so the same content is the same page."""
    results, reference, bounds = content.results, content.reference, content.bounds
    labels = [result.label for result in results]
    series = series_classes(labels, reference, bounds)
    failures = _failures(results)
    charts = curve_charts(content.curves, content.record["protocol"]["classes"], series)
    return Page(
        title=str(content.record["title"]),
        facts=_facts(content.record, results),
        summary=tuple(_summary(results, reference, bounds)),
        intervals=_intervals(content),
        reference=reference,
        main=main_table(content.table),
        others=tuple(other_tables(content.table)),
        marks=dict(MARKS),
        forest=forest(results, reference, bounds),
        scatter=scatter(results, series),
        groups=tuple(group for b in content.breakdowns if (group := panel_group(b, bounds)).panels),
        curves=tuple(charts),
        legend=_legend([label for label in labels if label in content.curves], series, results, bounds, reference),
        changes=changes_table(content.changes) if content.changes else None,
        threshold=f"{content.changes[0].threshold:.2f}" if content.changes else "",
        viewer=viewer_data(content) if any(one.views for one in content.shown) else None,
        viewer_notes=_viewer_notes(content),
        history=tuple(history_charts(content.history, series)),
        history_legend=_legend(_in_history(content, labels), series, results, bounds, reference),
        nights=tuple(listed_nights(content.history)),
        notes=content.table.notes,
        environment=_environment(content.record),
        failures=tuple(failures[:_FAILURES_LISTED]),
        failures_left_out=max(len(failures) - _FAILURES_LISTED, 0),
    )


def viewer_data(content: ReportContent) -> dict[str, Any]:
    """What the script of the pictures reads: JSON values only."""
    changed = {change.label: {i.image_id: i.tally for i in change.images} for change in content.changes}
    labels = [r.label for r in content.results if any(r.label in one.views for one in content.shown)]
    maps = {r.label: r.map or 0.0 for r in content.results}
    competing = [label for label in labels if label != content.reference and label not in content.bounds]
    threshold = content.changes[0].threshold if content.changes else _THRESHOLD
    start = max(competing, key=lambda label: maps[label], default=labels[-1])
    return {
        "labels": labels,
        "left": content.reference or labels[0],
        "right": start,
        "threshold": threshold,
        "lowest": min(LOWEST_SCORE, threshold),
        "detector": content.record["detector"]["name"],
        "classes": content.record["protocol"]["classes"],
        "images": [
            _viewer_image(one, pictures, {label: of.get(one.record.id) for label, of in changed.items()})
            for one, pictures in zip(content.shown, content.pictures, strict=True)
        ],
    }


def _viewer_image(one: Shown, pictures: PictureSet, tallies: Mapping[str, Any]) -> dict[str, Any]:
    record = one.record
    facts = [
        record.id,
        f"lighting: {record.lighting}" if record.lighting else "",
        {True: "indoors", False: "outdoors", None: ""}[record.indoor],
    ]
    return {
        "id": record.id,
        "facts": " · ".join(filter(None, facts)),
        "size": list(pictures.size) if pictures.size else None,
        "objects": [[o.name, [round(v, 1) for v in o.box_xyxy], int(o.difficult)] for o in record.objects or ()],
        "pictures": pictures.pictures,
        "reasons": {label: _short(reason) for label, reason in pictures.reasons.items()},
        "detections": {label: [_detection(d) for d in view.detections] for label, view in one.views.items()},
        "net": {label: tally.net if tally is not None else 0 for label, tally in tallies.items()},
    }


def _detection(drawn: Drawn) -> list[Any]:
    kind = {"found": 0, "false_alarm": 1, "ignored": 2}[drawn.kind]
    return [drawn.name, list(drawn.box_xyxy), drawn.score, kind, -1 if drawn.object is None else drawn.object]


def _facts(record: Mapping[str, Any], results: Sequence[EnhancerResult]) -> tuple[str, ...]:
    data, made = record["data"], record["environment"]
    most = max((result.n_images for result in results), default=0)
    return (
        f"{data['name']}, split {data.get('split', 'test')}",
        f"{most} of {len(record['image_ids'])} images",
        f"detector {record['detector']['name'] or 'none'}",
        f"{made['started'][:16].replace('T', ' ')} UTC",
    )


def _summary(results: Sequence[EnhancerResult], reference: str | None, bounds: frozenset[str]) -> list[str]:
    """The run in a few sentences, from the numbers of the table."""
    lines = []
    ranked = sorted((r for r in results if r.map is not None and r.label not in bounds), key=lambda r: -(r.map or 0))
    base = next((r for r in ranked if r.label == reference), None)
    if ranked:
        best = ranked[0]
        line = f"Highest mAP: {best.label} with {percent(best.map or 0)} %"
        change = best.against[reference].map if reference is not None and reference in best.against else None
        if base is not None and change is not None:
            spread = interval_text(change, 2, 100, sign=True)
            moved = f"{percent(change.value, sign=True)} points" + (f", interval {spread}" if spread else "")
            line += f", against {percent(base.map or 0)} % of {reference} ({moved})"
        lines.append(line + ".")
    if reference is not None:
        lines += _verdict_lines(ranked, reference, bounds)
    scored = sorted((r for r in results if r.niqe is not None and r.label not in bounds), key=lambda r: r.niqe or 0)
    if len(scored) > 1:
        lines.append(f"Best (lowest) NIQE: {scored[0].label} with {scored[0].niqe:.3f}.")
    return lines


def _verdict_lines(ranked: Sequence[EnhancerResult], reference: str, bounds: frozenset[str]) -> list[str]:
    judged: dict[str, list[str]] = {"better": [], "worse": [], "unsettled": []}
    for result in ranked:
        if reference in result.against:
            judged[verdict_of(result.label, result.against[reference].map, reference, bounds)].append(result.label)
    sentences = (
        ("better", f"Better than {reference}: {{}}."),
        ("worse", f"Worse than {reference}: {{}}."),
        ("unsettled", f"Not settled by these images, better or worse than {reference}: {{}}."),
    )
    return [sentence.format(", ".join(judged[kind])) for kind, sentence in sentences if judged[kind]]


def _intervals(content: ReportContent) -> str:
    options = content.options
    if options.resamples == 0 or all(r.map_interval is None and r.niqe_interval is None for r in content.results):
        return ""
    return (
        f"Intervals cover {100 * options.level:g} % of {options.resamples} resamples of the images "
        f"(paired bootstrap, seed {options.seed})."
    )


def _legend(
    labels: Sequence[str],
    series: Mapping[str, str],
    results: Sequence[EnhancerResult],
    bounds: frozenset[str],
    reference: str | None,
) -> tuple[Legend, ...]:
    ranked = sorted((r for r in results if r.map is not None and r.label not in bounds), key=lambda r: -(r.map or 0))
    first = {r.label for r in [r for r in ranked if r.label != reference][:_CURVES_AT_FIRST]} | {reference}
    # Without a detector no enhancer is ahead, so all are shown.
    number = {result.label: n for n, result in enumerate(results)}
    return tuple(Legend(label, series[label], number[label], label in first or not ranked) for label in labels)


def _in_history(content: ReportContent, labels: Sequence[str]) -> list[str]:
    seen = {enhancer.label for night in content.history for enhancer in night.enhancers}
    return [label for label in labels if label in seen]


def _viewer_notes(content: ReportContent) -> tuple[str, ...]:
    if not content.remade:
        return ()
    built = [e["label"] for e in content.record["enhancers"] if e["error"] is None]
    which = "All pictures" if len(content.remade) == len(built) else f"The pictures of {', '.join(content.remade)}"
    return (
        f"{which} were made again by other code, arguments or weights than were measured; "
        "the boxes are those that were measured.",
    )


def _environment(record: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    made = record["environment"]
    rows = [
        ("started", made["started"]),
        ("command", " ".join(made["argv"])),
        ("device", made["gpu"] or made["device"]),
        ("platform", made["platform"]),
        ("Python", made["python"]),
        *made["packages"].items(),
        ("git commit", made["git"] or "unknown"),
        ("detector", f"{record['detector']['name'] or 'none'} {record['detector']['fingerprint'][:12]}"),
        *((e["label"], f"{_spec(e['spec'])}  {e['fingerprint'][:12]}") for e in record["enhancers"]),
    ]
    return tuple((str(key), str(value)) for key, value in rows)


def _spec(spec: Any) -> str:
    if isinstance(spec, Mapping):
        rest = ", ".join(f"{key}={value!r}" for key, value in spec.items() if key != "type")
        return f"{spec['type']}({rest})"
    return str(spec)


def _failures(results: Sequence[EnhancerResult]) -> list[Failure]:
    failures = []
    for result in results:
        if result.error:
            failures.append(Failure(result.label, "all", _short(result.error)))
        failures += [Failure(result.label, image, _short(reason)) for image, reason in result.failures.items()]
        for reason, count in result.niqe_reasons.items():
            failures.append(Failure(result.label, f"{count} images", f"no NIQE: {reason}"))
    return failures


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _REASON_LENGTH else flat[: _REASON_LENGTH - 1] + "…"
