"""The report of a data set's check: findings and counts, as objects and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from duskbench.data_tools.file_states import names_by_stem, other_than_file, others_like
from duskbench.data_tools.ids import printable

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or worth knowing.

    Attributes:
        severity: `error` makes a run fail or its numbers wrong; `warning` is a known trap that the readers handle;
            `info` is a fact.
        code: Its kind, for programs: `missing-image`, `orphan-annotation`, `box-outside`, ...
        file: The file; in a report its path is relative to the data set's root.
        message: What is wrong, for people.
    """

    severity: Severity
    code: str
    file: str | Path
    message: str


def compare_counts(got: Mapping[str, int], official: Mapping[str, int], file: Path) -> Iterator[Finding]:
    """Compare how many images each split lists with the release's numbers.

    The layout says nothing of whose images these are: other numbers are another set's, or those of a part.
    """
    other = [
        f"{split} {got[split]} ({number})" for split, number in official.items() if got.get(split, number) != number
    ]
    if other:
        message = f"images listed (official number): {', '.join(other)}; not comparable with published numbers"
        yield Finding("warning", "count", file, message)
    if not any(got.get(split) for split in official):
        yield Finding("error", "count", file, f"lists no image; the official sets are {dict(official)}")


@dataclass
class Report:
    """What `verify` found.

    Attributes:
        root: The data set.
        layout: Name of the reader: `exdark`, `voc`, `folder`, ...
        findings: In the order of the data set, errors not first.
        counts: Images, boxes, splits and so on, as found.
    """

    root: str
    layout: str
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """No finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    @property
    def by_code(self) -> dict[tuple[Severity, str], int]:
        """Number of findings by severity and code, errors first."""
        found = Counter((finding.severity, finding.code) for finding in self.findings)
        return {key: found[key] for key in sorted(found, key=lambda key: (SEVERITIES.index(key[0]), key[1]))}

    def to_json(self) -> dict[str, Any]:
        """The report as plain lists, dicts, strings and numbers, for `json.dumps`."""
        summary = [
            {"severity": severity, "code": code, "count": count} for (severity, code), count in self.by_code.items()
        ]
        return {**asdict(self), "ok": self.ok, "summary": summary}


class Collector:
    """Adds findings to a report, with file names relative to the data set."""

    def __init__(self, report: Report, root: Path) -> None:
        self.report, self.root = report, root
        self._listed = cache(names_by_stem)

    def add(self, severity: Severity, code: str, file: Path | str, message: str) -> None:
        """Add a finding about a file."""
        self.report.findings.append(Finding(severity, code, self.shown(file), printable(message)))

    def shown(self, file: Path | str) -> str:
        """A file's path relative to the data set, if it lies in it."""
        path = Path(file)
        return printable((path.relative_to(self.root) if path.is_relative_to(self.root) else path).as_posix())

    def count(self, name: str, number: int = 1) -> None:
        """Add to a count."""
        self.report.counts[name] = self.report.counts.get(name, 0) + number

    def not_there(self, path: Path) -> str:
        """What to say of a file that is not there: what is in its place, or has its name but for case or extension."""
        kind = other_than_file(path)
        if kind is not None:
            return f"{kind}, not a file"
        others = others_like(path, self._listed)
        return f"not there, but {others} is" if others else "not there"
