"""The report of a data set's check: findings and counts, as objects and as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or worth knowing.

    Attributes:
        severity: `error` makes a run fail or its numbers wrong; `warning` is a known trap that the readers handle;
            `info` is a fact.
        code: Its kind, for programs: `missing-image`, `orphan-annotation`, `box-outside`, ...
        file: The file, relative to the data set's root.
        message: What is wrong, for people.
    """

    severity: Severity
    code: str
    file: str
    message: str


@dataclass
class Report:
    """What `verify` found.

    Attributes:
        root: The data set.
        layout: `exdark`, `voc` or `folder`.
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
        self._folders: dict[Path, dict[str, list[str]]] = {}

    def add(self, severity: Severity, code: str, file: Path | str, message: str) -> None:
        """Add a finding about a file."""
        path = Path(file)
        shown = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        self.report.findings.append(Finding(severity, code, shown.as_posix(), message))

    def count(self, name: str, number: int = 1) -> None:
        """Add to a count."""
        self.report.counts[name] = self.report.counts.get(name, 0) + number

    def of_same_stem(self, path: Path) -> list[str]:
        """Names in the file's folder that differ from its own in the ending; each folder is listed once."""
        folder = path.parent
        if folder not in self._folders:
            by_stem: dict[str, list[str]] = {}
            for other in sorted(folder.iterdir()) if folder.is_dir() else ():
                by_stem.setdefault(other.stem, []).append(other.name)
            self._folders[folder] = by_stem
        return self._folders[folder].get(path.stem, [])
