"""The files a night is looked at by."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from duskbench.benchmarks.metrics.base import Better
from duskbench.benchmarks.nightly.dashboards import to_bencher, to_github_benchmark, tracked_numbers
from duskbench.benchmarks.nightly.history import read_history
from duskbench.benchmarks.nightly.junit import to_junit
from duskbench.benchmarks.nightly.night import Night
from duskbench.benchmarks.nightly.summary import to_markdown
from duskbench.benchmarks.results import write_tables
from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.files import check_place, is_device, write_text


@dataclass(frozen=True)
class Outputs:
    """What is written of a night, beside the table in its folder; None for what is not wanted.

    Attributes:
        history: The file of all nights, for curves.
        accept: The command that accepts the night.
        junit: JUnit XML.
        summary: Markdown.
        report: One HTML file.
        json: For dashboards: Bencher's format, and beside it `STEM.smaller.json` and `STEM.bigger.json` for
            github-action-benchmark.
        tracker: One of `benchmarks.tracking.TRACKERS`; nights of a configuration make one curve, its files lie beside
            their folders.
    """

    history: Path
    accept: str
    junit: Path | None = None
    summary: Path | None = None
    report: Path | None = None
    json: Path | None = None
    tracker: str | None = None

    def check(self) -> None:
        """See before the night that they can be written over the last night's, each to a place of its own."""
        wanted = [path for path in (self.junit, self.summary, self.report, self.json) if path is not None]
        for path in wanted:
            check_place(path, overwrite=True)
        places = [path.resolve() for path in (self.history, *wanted, *(self._by_direction().values()))]
        shared = [path for path in wanted if places.count(path.resolve()) > 1 and not is_device(path)]
        if shared:
            raise ConfigError(
                "Two files of the night have one name.",
                where=shared[0],
                expected="a name for the history and each of --junit, --summary, --report and --json",
                todo="give another one",
            )

    def write(self, night: Night, folder: Path) -> None:
        """Write them all; what a CI reads first is written first."""
        if self.junit is not None:
            write_text(self.junit, to_junit(night))
        if self.summary is not None:
            write_text(self.summary, to_markdown(night, self.accept, self._links(night)))
        if self.json is not None:
            write_text(self.json, to_bencher(night))
            for better, path in self._by_direction().items():
                write_text(path, to_github_benchmark(night, better))
        if any(enhancer.n_images for enhancer in night.enhancers):
            write_tables(folder)
        if self.report is not None:
            from duskbench.benchmarks.report.write import write_report

            write_report(
                folder, self.report, history=read_history(self.history), device=night.record.environment.device
            )
        if self.tracker is not None:
            from duskbench.benchmarks.tracking import track

            before = [each.id for each in read_history(self.history) if each.config == night.config]
            track(
                self.tracker,
                folder.parent,
                night.record,
                tracked_numbers(night),
                run=night.id,
                n_images=night.n_images,
                step=before.index(night.id),
            )

    def _by_direction(self) -> dict[Better, Path]:
        """Where the numbers that are better lower, and those that are better higher, go for github-action-benchmark."""
        names: dict[Better, str] = {"lower": ".smaller.json", "higher": ".bigger.json"}
        return {} if self.json is None else {better: self.json.with_suffix(end) for better, end in names.items()}

    def _links(self, night: Night) -> dict[str, str]:
        """The report beside the summary, and the page of the CI run, which has it among its files."""
        links = {}
        if self.report is not None and self.summary is not None:
            links["report"] = os.path.relpath(self.report, self.summary.parent)
        server, repository, run = (os.environ.get(f"GITHUB_{key}") for key in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
        if server and repository and run:
            links = {"run, with the report among its artefacts": f"{server}/{repository}/actions/runs/{run}"}
            if night.record.environment.git:
                commit = night.record.environment.git.removesuffix("-dirty")
                links["commit"] = f"{server}/{repository}/commit/{commit}"
        return links
