"""The numbers of a night for dashboards, and its verdict as annotations of GitHub."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from duskbench.benchmarks.cli.nightly import _print
from duskbench.benchmarks.nightly.annotations import github_annotations
from duskbench.benchmarks.nightly.dashboards import to_bencher, to_github_benchmark
from duskbench.benchmarks.nightly.night import GateFinding, Night
from duskbench.benchmarks.nightly.outputs import Outputs
from duskbench.benchmarks.record import DetectorEntry
from duskbench.benchmarks.statistics import Interval
from tests.benchmarks.test_nightly_history import night


def timed() -> Night:
    """LIME with mAP 0.5 [0.4, 0.6], NIQE 4 without an interval and times; Ours could not be built."""
    [lime, ours] = night(3).enhancers
    return replace(night(3), enhancers=(replace(lime, n_failed=2, ms_enhance=12.5, relative_cost=6.25), ours))


def test_benchers_format() -> None:
    assert json.loads(to_bencher(timed())) == {
        "table2/LIME": {
            "NIQE": {"value": 4.0},
            "mAP": {"value": 50.0, "lower_value": 40.0, "upper_value": 60.0},
            "ms/image": {"value": 12.5},
            "relative cost": {"value": 6.25},
            "failed": {"value": 2},
        }
    }


def test_github_benchmarks_format_has_a_direction_for_each_file() -> None:
    extra = "night 2026-11-03T03-00-00Z, 10 images"
    assert json.loads(to_github_benchmark(timed(), "higher")) == [
        {"name": "table2/LIME/mAP", "unit": "%", "value": 50.0, "range": "[40, 60]", "extra": extra}
    ]
    assert json.loads(to_github_benchmark(timed(), "lower")) == [
        {"name": "table2/LIME/NIQE", "unit": "NIQE", "value": 4.0, "extra": extra},
        {"name": "table2/LIME/ms/image", "unit": "ms", "value": 12.5, "extra": extra},
        {"name": "table2/LIME/relative cost", "unit": "calibration workloads", "value": 6.25, "extra": extra},
        {"name": "table2/LIME/failed", "unit": "images", "value": 2, "extra": extra},
    ]


def test_names_keep_to_benchers_limits_and_stay_distinct() -> None:
    detectors = tuple(DetectorEntry("a" * 80 + end, "made", "d", "i", ("car",)) for end in "xy")
    [lime, _] = timed().enhancers
    scores = {f"map {detector.label}": Interval(0.1 * n) for n, detector in enumerate(detectors)}
    labels = ["l" * 1100 + end for end in "xy"]
    made = replace(
        timed(),
        record=replace(timed().record, detectors=detectors),
        enhancers=tuple(replace(lime, label=label, scores=scores) for label in labels),
    )
    report = json.loads(to_bencher(made))
    assert len(report) == 2 and all(len(name) == 1024 for name in report)
    for measures in report.values():
        assert len(measures) == 5 and max(map(len, measures)) == 64
        assert sorted(measures[name]["value"] for name in measures if name.startswith("mAP")) == [0.0, 10.0]


def test_the_three_files_are_written_anew_each_night(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "h", "accept", json=tmp_path / "new" / "night.json")
    nothing = replace(timed(), enhancers=timed().enhancers[1:])
    for made, want in ((timed(), (1, 1, 4)), (nothing, (0, 0, 0))):
        # Without images: the tables of the night's folder are none of this.
        enhancers = tuple(replace(each, n_images=0) for each in made.enhancers)
        outputs.write(replace(made, enhancers=enhancers), tmp_path)
        names = ("night.json", "night.bigger.json", "night.smaller.json")
        assert tuple(len(json.loads((tmp_path / "new" / name).read_text())) for name in names) == want


NASTY = "50 % of 1,000: \r\n::error::x ü"


def read_command(line: str) -> tuple[str, str, str]:
    """Command, title and message as the runner reads them (ActionCommand.TryParseV2 of actions/runner)."""
    match = re.fullmatch(r"::(\w+) title=([^:,\r\n]*)::([^\r\n]*)", line)
    assert match is not None, line
    command, title, message = match.groups()
    for escaped, plain in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        title = title.replace(escaped, plain)
        if plain not in ":,":
            message = message.replace(escaped, plain)
    return command, title, message


@pytest.mark.parametrize(
    ("changes", "want"),
    [
        ({"findings": (), "notes": ()}, []),
        ({"findings": ()}, [("warning", "table2: shown, not gated", "a note\nünïcode")]),
        (
            {
                "verdict": "red",
                "notes": (),
                "findings": (
                    GateFinding("A, B", "mAP", "failed", NASTY),
                    GateFinding("C", "NIQE", "passed", "fine"),
                    GateFinding("C", "failures", "failed", "%0A"),
                ),
            },
            [("error", "table2: red, 2 gates failed (A, B, C)", f"A, B, mAP: {NASTY}\nC, failures: %0A")],
        ),
        (
            {"verdict": "not comparable", "notes": (), "findings": (), "differences": ("protocol", "data")},
            [("error", "table2: not comparable with the baseline", "protocol\ndata")],
        ),
    ],
)
def test_annotations_say_what_github_reads_back(changes: dict[str, object], want: list[tuple[str, str, str]]) -> None:
    made = replace(night(3), **changes)  # type: ignore[arg-type]
    assert [read_command(line) for line in github_annotations(made)] == want


@pytest.mark.parametrize(("value", "printed"), [(None, 0), ("false", 0), ("true", 2)])
def test_they_are_printed_on_github_only(
    value: str | None, printed: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    if value is not None:
        monkeypatch.setenv("GITHUB_ACTIONS", value)
    finding = GateFinding("LIME", "mAP", "failed", "long " * 200)
    _print(replace(night(3), verdict="red", findings=(finding,)), "accept")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("::")]
    assert len(lines) == printed
    assert all(len(line) > 1000 for line in lines[:1])
