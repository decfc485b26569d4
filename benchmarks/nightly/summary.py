"""A night in Markdown, for a CI's summary page: the verdict, what got worse, the table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from duskbench.benchmarks.nightly.night import GateFinding, Night, NightEnhancer
from duskbench.benchmarks.notes import training_note
from duskbench.benchmarks.statistics import Interval
from duskbench.benchmarks.table import ABSENT, Column, cell_of, score_column

_SIGNS = {"green": "🟢 green", "red": "🔴 red", "not comparable": "🟠 not comparable"}
# GitHub truncates a step's summary at 1 MiB; a message may hold a whole traceback.
_MESSAGE = 600


def headline(night: Night) -> str:
    """The verdict in one sentence, as it stands first everywhere."""
    if night.verdict == "not comparable":
        return f"{night.config}: not comparable with the baseline"
    failed = night.failed
    if failed:
        subjects = ", ".join(dict.fromkeys(finding.subject for finding in failed))
        return f"{night.config}: red, {len(failed)} {'gate' if len(failed) == 1 else 'gates'} failed ({subjects})"
    if not night.baseline:
        return f"{night.config}: green, the first night; it is the baseline now"
    return f"{night.config}: green, nothing got worse than {', '.join(night.baseline)}"


def to_do(night: Night, accept: str) -> str | None:
    """What comes next where a night is not green; `accept` is the command that accepts it."""
    if night.verdict == "green":
        return None
    what = "makes it the new baseline" if night.baseline else "makes it the baseline as it is"
    return f"If this is meant, `{accept}` {what}; nothing is measured again."


def to_markdown(night: Night, accept: str, links: Mapping[str, str] | None = None) -> str:
    """The page.

    Args:
        night: The night.
        accept: The command that accepts the night.
        links: Text -> address of the report and other files.
    """
    lines = [f"## {_SIGNS[night.verdict]} · {escape(night.record.title)}", "", escape(headline(night)) + ".", ""]
    if night.differences:
        lines += ["The baseline was made otherwise:", "", *(f"- {escape(each)}" for each in night.differences), ""]
    if night.failed:
        lines += ["### What got worse", "", *(_failed_line(finding) for finding in night.failed), ""]
    if (todo := to_do(night, accept)) is not None:
        lines += [todo, ""]
    lines += [*_table(night), ""]
    # In a first night everything is new, which the headline says.
    shown = [f for f in night.findings if night.baseline or f.gate != "presence"]
    not_gated = [finding for finding in shown if finding.outcome == "not gated" and finding.change is None]
    notes = [
        *(escape(note) for note in night.notes),
        *(f"{escape(finding.subject)}, {finding.gate}: {escape(finding.message)}" for finding in not_gated),
    ]
    if notes:
        lines += ["### Shown, not gated", "", *(f"- {note}" for note in notes), ""]
    lines += [f"- {line}" for line in _footer(night, links or {})]
    return "\n".join([*lines, ""])


def _failed_line(finding: GateFinding) -> str:
    return f"- **{escape(finding.subject)}, {finding.gate}**: {escape(finding.message)}"


def _table(night: Night) -> list[str]:
    scores = night.record.columns()
    headings = [
        "Enhancer",
        *(h for score in scores for h in (score_column(score).title, "change")),
        "throughput",
        "failed",
        "",
    ]
    lines = [_line(map(escape, headings)), _line(["---", *["---:"] * (len(headings) - 2), "---"])]
    changes = {(finding.subject, finding.score or finding.gate): finding.change for finding in night.findings}
    for enhancer in night.enhancers:
        cells = [escape(enhancer.label)]
        for score in scores:
            cells += [
                _number(score_column(score), enhancer.scores.get(score.key)),
                _number(score_column(score, signed=True), changes.get((enhancer.label, score.key))),
            ]
        ratio = changes.get((enhancer.label, "throughput"))
        failed = "not built" if enhancer.error is not None else str(enhancer.n_failed)
        cells += [ABSENT if ratio is None else f"×{ratio.value:.2f}", failed, _mark(night, enhancer)]
        lines.append(_line(cells))
    return lines


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(column: Column, interval: Interval | None) -> str:
    if interval is not None and column.signed and interval.value == interval.low == interval.high == 0:
        return "="
    return column.cell(cell_of(interval))


def _mark(night: Night, enhancer: NightEnhancer) -> str:
    """Green only for a row with numbers: that the same images fail, or none has a score, is no good news."""
    outcomes = {finding.outcome for finding in night.findings if finding.subject == enhancer.label}
    if "failed" in outcomes:
        return "🔴"
    return "🟢" if "passed" in outcomes and enhancer.scores and not night.differences else "⚪"


def _footer(night: Night, links: Mapping[str, str]) -> list[str]:
    record, reused = night.record, night.rows.get("reused", 0)
    earlier = f", {reused} of them before it was interrupted" if reused else ""
    calibration = f"{night.calibration.ms:.1f} ms" if night.calibration.ms is not None else "not timed often enough"
    detectors = ", ".join(detector.label for detector in record.detectors) or "none"
    free = dict.fromkeys(f.gate for f in night.findings if f.outcome == "not gated" and f.change is not None)
    lines = [
        f"Night {night.id}, baseline {', '.join(night.baseline) or 'none'}; {night.rows['total']} rows{earlier}.",
        f"Data: {escape(record.data.name)}, {night.n_images} images; detector: {escape(detectors)}.",
        f"Changes are tonight minus the baseline over the same images, with {100 * record.bootstrap.level:g} % "
        "bootstrap intervals; throughput is tonight's over the baseline's, each relative to the calibration workload "
        f"of its night (tonight {calibration}).",
        f"Commit {record.environment.git or 'unknown'} on {escape(record.environment.processor)}.",
    ]
    for one in night.enhancers:
        if one.trainings:
            lines.append(escape(training_note(one.label, record, one.trainings)))
    if free:
        lines.append(f"Without a tolerance, so they decide nothing: {escape(', '.join(free))}.")
    if links:
        lines.append(" · ".join(f"[{escape(text)}]({address})" for text, address in links.items()))
    return lines


def escape(text: str) -> str:
    """One line of Markdown that shows `text` as it is: no markup, no table cells, no HTML."""
    line = " ".join(text.split())
    line = line if len(line) <= _MESSAGE else f"{line[:_MESSAGE]} ..."
    return re.sub(r"([\\`*_\[\]|<>#~])", r"\\\1", line)
