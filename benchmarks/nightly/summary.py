"""A night in Markdown, for a CI's summary page: the verdict, what got worse, the table."""

from __future__ import annotations

import re
from collections.abc import Mapping

from duskbench.benchmarks.nightly.night import Finding, Night, NightEnhancer
from duskbench.benchmarks.statistics import Interval

_SIGNS = {"green": "🟢 green", "red": "🔴 red", "not comparable": "🟠 not comparable"}
_ABSENT = "–"
# GitHub cuts a step's summary at 1 MiB; a message may hold a whole traceback.
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
    lines = [f"## {_SIGNS[night.verdict]} · {escape(night.title)}", "", escape(headline(night)) + ".", ""]
    if night.differences:
        lines += ["The baseline was made otherwise:", "", *(f"- {escape(each)}" for each in night.differences), ""]
    if night.failed:
        lines += ["### What got worse", "", *(_failed_line(finding) for finding in night.failed), ""]
    if (todo := to_do(night, accept)) is not None:
        lines += [todo, ""]
    lines += [*_table(night), ""]
    # In a first night everything is new, which the headline says.
    told = [f for f in night.findings if night.baseline or f.gate != "presence"]
    judged_not = [finding for finding in told if finding.outcome == "not judged"]
    notes = [
        *(escape(note) for note in night.notes),
        *(f"{escape(finding.subject)}, {finding.gate}: {escape(finding.message)}" for finding in judged_not),
    ]
    if notes:
        lines += ["### Said, not judged", "", *(f"- {note}" for note in notes), ""]
    lines += [f"- {line}" for line in _footer(night, links or {})]
    return "\n".join([*lines, ""])


def _failed_line(finding: Finding) -> str:
    return f"- **{escape(finding.subject)}, {finding.gate}**: {escape(finding.message)}"


def _table(night: Night) -> list[str]:
    lines = [
        "| Enhancer | mAP ↑ | change | NIQE ↓ | change | throughput | failed | |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    found = {(finding.subject, finding.gate): finding for finding in night.findings}
    for enhancer in night.enhancers:
        of = {gate: found.get((enhancer.label, gate)) for gate in ("mAP", "NIQE", "throughput")}
        cells = [
            escape(enhancer.label),
            _number(enhancer.map, 2, 100),
            _change(of["mAP"], 2, 100),
            _number(enhancer.niqe, 3),
            _change(of["NIQE"], 3),
            _ratio(of["throughput"]),
            _failed(enhancer),
            _mark(night, enhancer.label),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _number(interval: Interval | None, digits: int, factor: float = 1.0) -> str:
    if interval is None:
        return _ABSENT
    if interval.low is None or interval.high is None:
        return f"{interval.value * factor:.{digits}f}"
    low, value, high = (f"{each * factor:.{digits}f}" for each in (interval.low, interval.value, interval.high))
    return f"{value} [{low}, {high}]"


def _change(finding: Finding | None, digits: int, factor: float = 1.0) -> str:
    change = finding.change if finding is not None else None
    if change is None:
        return _ABSENT
    if change.value == change.low == change.high == 0:
        return "="
    ends = ""
    if change.low is not None and change.high is not None:
        ends = f" [{change.low * factor:+.{digits}f}, {change.high * factor:+.{digits}f}]"
    return f"{change.value * factor:+.{digits}f}{ends}"


def _ratio(finding: Finding | None) -> str:
    return _ABSENT if finding is None or finding.change is None else f"×{finding.change.value:.2f}"


def _failed(enhancer: NightEnhancer) -> str:
    return "not built" if enhancer.error is not None else str(enhancer.n_failed)


def _mark(night: Night, label: str) -> str:
    outcomes = {finding.outcome for finding in night.findings if finding.subject == label}
    if "failed" in outcomes:
        return "🔴"
    return "🟢" if "passed" in outcomes and not night.differences else "⚪"


def _footer(night: Night, links: Mapping[str, str]) -> list[str]:
    data, detector = night.context["data"], night.context["detector"]
    reused = night.rows.get("reused", 0)
    taken_up = f", {reused} of them before it was cut and taken up again" if reused else ""
    reference = f"{night.reference.ms:.1f} ms" if night.reference.ms is not None else "not timed often enough"
    rows = f"{night.rows.get('total', 0)} rows{taken_up}"
    lines = [
        f"Night {night.id}, baseline {', '.join(night.baseline) or 'none'}; {rows}.",
        f"Data: {escape(str(data['name']))}, {data['images']} images; detector: {escape(str(detector['name']))}.",
        "Changes are tonight minus the baseline over the same images, with 95 % bootstrap intervals; throughput is "
        f"tonight's over the baseline's, each relative to the reference workload of its night (tonight {reference}).",
        f"Commit {night.environment['git'] or 'unknown'} on {escape(str(night.environment['processor']))}.",
    ]
    if links:
        lines.append(" · ".join(f"[{escape(text)}]({address})" for text, address in links.items()))
    return lines


def escape(text: str) -> str:
    """One line of Markdown that shows `text` as it is: no markup, no table cells, no HTML."""
    line = " ".join(text.split())
    line = line if len(line) <= _MESSAGE else f"{line[:_MESSAGE]} ..."
    return re.sub(r"([\\`*_\[\]|<>#~])", r"\\\1", line)
