"""A night's verdict as workflow commands, which GitHub shows as annotations of the run.

Source: GitHub's documentation, "Workflow commands for GitHub Actions" (`::error title={title}::{message}`); the
characters that are escaped are those of `escapeData` and `escapeProperty` in actions/toolkit.
"""

from __future__ import annotations

from collections.abc import Sequence

from duskbench.benchmarks.nightly.night import Night
from duskbench.benchmarks.nightly.summary import headline


def github_annotations(night: Night) -> list[str]:
    """The lines to print: an error where the night is not green, a warning for what was seen and decides nothing.

    One of each, a line of its message for each gate: of several GitHub shows the first ten of a step.
    """
    lines = []
    if night.verdict != "green":
        gates = [f"{finding.subject}, {finding.gate}: {finding.message}" for finding in night.failed]
        lines.append(_command("error", headline(night), [*night.differences, *gates]))
    if night.notes:
        lines.append(_command("warning", f"{night.config}: shown, not gated", night.notes))
    return lines


def _command(name: str, title: str, message: Sequence[str]) -> str:
    escaped = _escape(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{name} title={escaped}::{_escape(chr(10).join(message))}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
