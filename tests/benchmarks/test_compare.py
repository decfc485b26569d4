"""Two runs: what may be compared, what moved, and what is said of the rest."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from duskbench.benchmarks import cli
from duskbench.benchmarks.cli.compare import compare
from duskbench.benchmarks.compare import IncomparableError, RunComparison, build_comparison_table, compare_runs
from duskbench.benchmarks.evaluate import evaluate
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import DetectorEntry, EnhancerEntry
from duskbench.benchmarks.run_differences import Change
from duskbench.benchmarks.statistics import Interval
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.table_formats import to_markdown
from duskbench.data_tools.records import ObjectAnnotation
from tests.benchmarks.fabricate import CLASSES, DETECTOR, ENVIRONMENT, make_images, make_run, metric

SKILLS = {"Input": 0.4, "Ours": 0.7}
METRICS = tuple(map(metric, ("niqe", "ssim", "voc_ap")))
TITLES = "a", "b"


def text_of(comparison: RunComparison) -> str:
    return to_markdown(build_comparison_table(comparison, TITLES))


def runs(tmp_path: Path, *, failing: Any = None, skills: Any = None, **changes: Any) -> tuple[Path, Path]:
    shared = {"metrics": changes["metrics"]} if "metrics" in changes else {}
    make_run(tmp_path / "a", make_images(20), SKILLS, **shared)
    make_run(tmp_path / "b", make_images(20), skills or SKILLS, failing=failing, seed=2, **changes)
    return tmp_path / "a", tmp_path / "b"


def test_differences_are_those_of_one_table(tmp_path: Path) -> None:
    """The rows of both runs in one store, the second's under other names, must give the same intervals."""
    one, two = runs(tmp_path, failing={"Ours": ["0003"]}, metrics=METRICS)
    with (
        ResultStore(one / "results.sqlite") as first,
        ResultStore(two / "results.sqlite") as second,
        ResultStore(tmp_path / "both/results.sqlite") as both,
    ):
        record = first.last_run()
        both.put_images(first.images().values())
        entries = []
        for store, suffix in ((first, " 1"), (second, " 2")):
            for entry in record.enhancers:
                name = entry.label + suffix
                entries.append(EnhancerEntry(name, name, name))
                for row in store.rows(record, entry):
                    both.put(replace(row, key=replace(row.key, enhancer=name)))
        both.put_run(replace(record, enhancers=tuple(entries)))
        together = {
            label: {r.label: r for r in evaluate(both, both.last_run(), baseline=f"{label} 1")} for label in SKILLS
        }
    got = compare_runs(one, two)
    assert [e.label for e in got.enhancers] == ["Input", "Ours"]
    for each in got.enhancers:
        expected = together[each.label][f"{each.label} 2"]
        assert each.difference == replace(expected.against[f"{each.label} 1"], baseline=each.label)
        assert set(each.difference.scores) == {"niqe", "ssim", "map"}
        assert each.spread_after == expected.spread
        assert each.spread_before == together[each.label][f"{each.label} 1"].spread
        assert not each.same
    assert got.enhancers[1].difference.n_left_out == 1


def test_a_run_and_itself(tmp_path: Path) -> None:
    one, _ = runs(tmp_path)
    got = compare_runs(one, one)
    assert got.changes == ()
    for each in got.enhancers:
        assert each.same
        assert each.difference.scores == {"niqe": Interval(0.0, 0.0, 0.0), "map": Interval(0.0, 0.0, 0.0)}
    text = text_of(got)
    assert "+0.00 [+0.0, +0.0]" in text and "commit and machine are the same" in text


def test_what_changed_besides_the_numbers(tmp_path: Path) -> None:
    environment = replace(ENVIRONMENT, packages={"torch": "3", "numpy": "2"}, started="later")
    one, two = runs(tmp_path, skills={**SKILLS, "New": 0.5}, environment=environment)
    got = compare_runs(one, two)
    assert got.changes == (
        Change("environment.packages.torch", "2", "3"),
        Change("environment.packages.numpy", "None", "2"),
    )
    assert (got.only(got.before), got.only(got.after)) == ((), ("New",))
    text = text_of(got)
    assert "environment.packages.torch: 2 -> 3" in text and "New: only in the 2nd run." in text


def test_a_detector_whose_code_alone_changed_is_compared(tmp_path: Path) -> None:
    make_run(tmp_path / "a", make_images(20), SKILLS)
    make_run(tmp_path / "b", make_images(20), SKILLS, detectors=(replace(DETECTOR, fingerprint="e" * 64),))
    got = compare_runs(tmp_path / "a", tmp_path / "b")
    assert got.changes == (Change("detector.made.fingerprint", "d" * 12, "e" * 12),)
    assert [e.label for e in got.enhancers] == list(SKILLS)


def test_a_metric_whose_code_alone_changed_is_compared(tmp_path: Path) -> None:
    changed = replace(METRICS[0], fingerprint="e" * 64)
    make_run(tmp_path / "a", make_images(20), SKILLS)
    make_run(tmp_path / "b", make_images(20), SKILLS, metrics=(changed, METRICS[2]))
    got = compare_runs(tmp_path / "a", tmp_path / "b")
    assert [(c.field, c.after) for c in got.changes] == [("metrics.niqe.fingerprint", "e" * 12)]
    assert [score.key for score in got.scores] == ["niqe", "map"]


def test_what_only_one_run_measured_is_named_and_the_rest_compared(tmp_path: Path) -> None:
    other = DetectorEntry("other", "other", "o" * 64, "i" * 64, CLASSES)
    make_run(tmp_path / "a", make_images(20), SKILLS)
    make_run(tmp_path / "b", make_images(20), SKILLS, metrics=METRICS, detectors=(DETECTOR, other))
    got = compare_runs(tmp_path / "a", tmp_path / "b")
    assert [score.key for score in got.scores] == ["niqe", "map made"]
    for each in got.enhancers:
        assert set(each.difference.scores) == {"niqe", "map made"}
    assert "SSIM, other: only in the 2nd run." in text_of(got)


def test_runs_without_a_row_in_common_are_refused(tmp_path: Path) -> None:
    """An empty table with exit code 0 looked as if nothing had moved."""
    make_run(tmp_path / "a", make_images(20), {"Input": 0.5})
    make_run(tmp_path / "b", make_images(20), {"Ours": 0.5})
    with pytest.raises(IncomparableError, match=r"no row(?s:.*)of Input in the first, of Ours in the second"):
        compare_runs(tmp_path / "a", tmp_path / "b")


def test_runs_without_a_metric_in_common_are_refused(tmp_path: Path) -> None:
    for name, folder in (("niqe", "a"), ("ssim", "b")):
        make_run(tmp_path / folder, make_images(20), SKILLS, metrics=(metric(name),), detectors=())
    with pytest.raises(IncomparableError, match=r"metrics differs(?s:.*)metrics = NIQE(?s:.*)metrics = SSIM"):
        compare_runs(tmp_path / "a", tmp_path / "b")


def test_class_names_that_mean_the_same_are_compared(tmp_path: Path) -> None:
    other = replace(DETECTOR, classes=("Car", "dog", "People", "boat"))
    make_run(tmp_path / "a", make_images(20), SKILLS)
    make_run(tmp_path / "b", make_images(20), SKILLS, detectors=(other,))
    assert compare_runs(tmp_path / "a", tmp_path / "b").changes == ()


@pytest.mark.parametrize(
    ("changes", "field", "values"),
    [
        ({"protocol": Protocol(classes=CLASSES, ap="area")}, "protocol.ap", ("11point", "area")),
        ({"protocol": Protocol(classes=CLASSES, iou_threshold=0.75)}, "protocol.iou_threshold", ("0.5", "0.75")),
        (
            {"detectors": (replace(DETECTOR, identity="e" * 64),)},
            "detector.identity",
            ("i" * 12, "e" * 12),
        ),
        ({"detectors": (replace(DETECTOR, label="x"),)}, "detector.name", ("made", "x")),
        # A plug-in says by itself what its identity is.
        (
            {"detectors": (replace(DETECTOR, classes=("car", "dog", "cat")),)},
            "detector.classes",
            ("car, dog, person", "car, dog"),
        ),
    ],
)
def test_other_rules_are_refused(tmp_path: Path, changes: Any, field: str, values: tuple[str, str]) -> None:
    with pytest.raises(IncomparableError) as caught:
        compare_runs(*runs(tmp_path, **changes))
    assert caught.value.what == f"The two runs cannot be compared: {field} differs."
    assert (caught.value.expected, caught.value.got) == (f"{field} = {values[0]}", f"{field} = {values[1]}")


def test_other_data_are_refused(tmp_path: Path) -> None:
    images = make_images(20)
    make_run(tmp_path / "a", images, SKILLS)
    fewer, changed = tmp_path / "fewer", tmp_path / "changed"
    make_run(fewer, images[:-1], SKILLS)
    make_run(changed, [*images[:-1], replace(images[-1], sha256="f" * 64)], SKILLS)
    moved = replace(images[0].record, objects=(ObjectAnnotation("car", (0, 0, 9, 9)),))
    annotated = tmp_path / "annotated"
    make_run(annotated, [replace(images[0], record=moved), *images[1:]], SKILLS)
    for folder, what in (
        (fewer, "19 images, 1 image gone (the first: 0019)"),
        (changed, "20 images, 1 image with other content (the first: 0019)"),
        (annotated, "20 images, 1 image with other ground truth (the first: 0000)"),
    ):
        with pytest.raises(IncomparableError) as caught:
            compare_runs(tmp_path / "a", folder)
        assert (caught.value.expected, caught.value.got) == ("data.images = 20 images", f"data.images = {what}")


def test_every_field_that_differs_is_named(tmp_path: Path) -> None:
    changes = {
        "protocol": Protocol(classes=CLASSES[:2], ap="area"),
        "detectors": (replace(DETECTOR, label="x"),),
    }
    with pytest.raises(IncomparableError, match=r"protocol\.classes, protocol\.ap, detector\.name differ"):
        compare_runs(*runs(tmp_path, **changes))


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer(cls=cli._Commands)
    made.command()(compare)
    made.command("other")(lambda: None)
    return made


def test_command(tmp_path: Path, app: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = runs(tmp_path)
    got = CliRunner().invoke(app, ["compare", str(one), str(two), "--format", "csv"])
    assert got.exit_code == 0
    rows = {row["Enhancer"]: row for row in csv.DictReader(got.output.splitlines())}
    assert list(rows) == list(SKILLS)
    ours = compare_runs(one, two).enhancers[1]
    assert float(rows["Ours"]["Δ mAP"]) == ours.difference.scores["map"].value
    assert float(rows["Ours"]["NIQE 2nd"]) == ours.spread_after.scores["niqe"].value
    shown = CliRunner().invoke(app, ["compare", str(one), str(two)])
    assert "commit and machine are the same" in " ".join(shown.output.split())
    assert CliRunner().invoke(app, ["compare", str(one), str(two), "--format", "xml"]).exit_code == 2
    make_run(tmp_path / "c", make_images(20), SKILLS, protocol=Protocol(classes=CLASSES, ap="area"))
    assert CliRunner().invoke(app, ["compare", str(one), str(tmp_path / "c")]).exit_code == 2
    assert CliRunner().invoke(app, ["compare", str(one), str(tmp_path / "nowhere")]).exit_code == 2
