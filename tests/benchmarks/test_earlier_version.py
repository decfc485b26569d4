"""Files that duskbench 0.1.0 wrote at commit 25bca5e, in `files/`, are read, compared and brought up to date.

Only what named the machine was taken out of them. `results_v2` is a run of the miniature's first six images by three
enhancers, `results_v2.csv` that version's own table of it; `history_v1` has two nights of four images by two
enhancers, and `night_v1` is the results file of the second one.
"""

from __future__ import annotations

import csv
import math
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks.evidence import RunEvidence, read_evidence
from duskbench.benchmarks.nightly.gate import Limits, gate_night
from duskbench.benchmarks.nightly.history import History, read_history
from duskbench.benchmarks.nightly.night import Calibration
from duskbench.benchmarks.results import read_table
from duskbench.benchmarks.schema import SCHEMA_VERSION
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.table_formats import to_csv

FILES = Path(__file__).with_name("files")
CALIBRATION = Calibration({}, 0, 1, 1)
SECOND = "2026-11-25T21-06-22Z"


def put_there(name: str, folder: Path, to: str) -> Path:
    folder.mkdir(exist_ok=True)
    return Path(shutil.copyfile(FILES / name, folder / to))


def version(path: Path) -> int:
    with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as db:
        found = db.execute("PRAGMA user_version").fetchone()[0]
    db.close()
    return int(found)


def check_table(folder: Path) -> None:
    """All that the version before said, but for the rounding of sums in another order."""
    expected = list(csv.DictReader((FILES / "results_v2.csv").read_text().splitlines()))
    got = list(csv.DictReader(to_csv(read_table(folder)).splitlines()))
    assert [row["Enhancer"] for row in got] == ["Input", "Gamma", "LIME"]
    for row, want in zip(got, expected, strict=True):
        assert {key: row[key] for key in want if not same(row[key], want[key])} == {}


def same(got: str, want: str) -> bool:
    return got == want or math.isclose(float(got), float(want), rel_tol=1e-12)


def test_results_are_read_and_left_as_they_are(tmp_path: Path) -> None:
    path = put_there("results_v2.sqlite", tmp_path / "run", "results.sqlite")
    check_table(path.parent)
    assert path.read_bytes() == (FILES / "results_v2.sqlite").read_bytes()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_results_are_brought_up_to_date_where_they_are_written_to(tmp_path: Path) -> None:
    path = put_there("results_v2.sqlite", tmp_path / "run", "results.sqlite")
    assert version(path) == 2
    with ResultStore(path) as store:
        record = store.last_run()
        done = store.done()
    assert version(path) == SCHEMA_VERSION
    wanted = {d.fingerprint for d in record.detectors} | {m.fingerprint for m in record.metrics if m.kind == "image"}
    assert len(done) == 18 and all(parts == wanted for parts in done.values())
    assert {key.enhancer for key in done} == {enhancer.fingerprint for enhancer in record.enhancers}
    check_table(path.parent)


@pytest.fixture
def tonight() -> RunEvidence:
    """The second night, from its own results."""
    with ResultStore(FILES / "night_v1.sqlite", reading=True) as store:
        return read_evidence(store)


def test_a_history_is_read(tonight: RunEvidence) -> None:
    first, second = read_history(FILES / "history_v1.sqlite")
    assert (first.verdict, first.is_baseline, second.verdict, second.baseline) == ("green", True, "green", (first.id,))
    assert second.id == SECOND and second.is_comparable(first) and second.config == "nightly"
    assert (second.n_images, [d.label for d in second.record.detectors]) == (4, ["rfb_miniature"])
    of_map, of_niqe = (next(c for c in second.record.columns() if c.metric.key == key) for key in ("map", "niqe"))
    assert second.score("Gamma", of_niqe) == second.enhancers[1].scores["niqe"]
    assert second.score("Gamma", of_map).value == 0.6331168831168831  # type: ignore[union-attr]
    # The same in the results that it was made of, by today's code.
    gamma = tonight.enhancers["Gamma"].sample
    assert second.enhancers[1].scores["niqe"].value == np.mean(gamma.values["niqe"])
    outcomes = {(f.subject, f.gate, f.score): f.outcome for f in second.findings}
    assert outcomes["Gamma", "mAP", "map"] == "passed" and outcomes["Gamma", "throughput", None] == "not gated"


def test_tonight_is_compared_with_an_old_baseline(tonight: RunEvidence) -> None:
    baselines = History(FILES / "history_v1.sqlite").baselines("nightly")
    assert [list(each.evidence.enhancers) for each in baselines] == [["Input", "Gamma"]]

    green = gate_night(tonight, CALIBRATION, baselines, Limits())
    assert green.differences == () and not [f for f in green.findings if f.outcome == "failed"]
    messages = {(finding.subject, finding.gate): finding.message for finding in green.findings}
    assert messages["Gamma", "mAP"] == messages["Gamma", "NIQE"] == "equal to the last digit"
    # PSNR was measured, but no baseline had it then.
    assert messages["Gamma", "PSNR"].startswith("not in the baseline yet")

    gamma = tonight.enhancers["Gamma"]
    values = {**gamma.sample.values, "niqe": gamma.sample.values["niqe"] + 1}
    worse = replace(gamma, sample=replace(gamma.sample, values=values))
    red = gate_night(
        replace(tonight, enhancers={**tonight.enhancers, "Gamma": worse}), CALIBRATION, baselines, Limits()
    )
    assert [(f.subject, f.gate) for f in red.findings if f.outcome == "failed"] == [("Gamma", "NIQE")]

    images = (replace(tonight.images[0], sha256="other"), *tonight.images[1:])
    [line] = gate_night(replace(tonight, images=images), CALIBRATION, baselines, Limits()).differences
    assert "1 image with other content" in line


def test_a_history_is_brought_up_to_date_where_it_is_written_to(tmp_path: Path) -> None:
    path = put_there("history_v1.sqlite", tmp_path, "history")
    nights = read_history(path)
    assert path.read_bytes() == (FILES / "history_v1.sqlite").read_bytes() and version(path) == 1
    History(path).accept(nights[1])
    assert version(path) == 2
    assert [night.is_baseline for night in read_history(path)] == [False, True]
    assert [replace(night, is_baseline=True) for night in read_history(path)] == [
        replace(night, is_baseline=True) for night in nights
    ]
    [baseline] = History(path).baselines("nightly")
    assert baseline.night.id == SECOND and not baseline.evidence.enhancers["Gamma"].is_empty
