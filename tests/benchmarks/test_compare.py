"""Two runs: what may be compared, what moved, and what is said of the rest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from duskbench.benchmarks import cli
from duskbench.benchmarks.cli.compare import compare
from duskbench.benchmarks.compare import Change, IncomparableError, build_comparison_table, compare_runs
from duskbench.benchmarks.evaluate import evaluate
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.statistics import BootstrapOptions
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.table import to_csv, to_markdown
from duskbench.data_tools.records import ObjectAnnotation
from tests.benchmarks.fabricate import CLASSES, make_images, make_run

SKILLS = {"Input": 0.4, "Ours": 0.7}
ENVIRONMENT = {"device": "cpu", "gpu": None, "packages": {"torch": "2"}, "git": None, "started": "now"}


def runs(tmp_path: Path, *, failing: Any = None, skills: Any = None, **changes: Any) -> tuple[Path, Path]:
    make_run(tmp_path / "a", make_images(20), SKILLS)
    make_run(tmp_path / "b", make_images(20), skills or SKILLS, failing=failing, seed=2, **changes)
    return tmp_path / "a", tmp_path / "b"


def test_differences_are_those_of_one_table(tmp_path: Path) -> None:
    """The rows of both runs in one store, the second's under other names, must give the same intervals."""
    one, two = runs(tmp_path, failing={"Ours": ["0003"]})
    with (
        ResultStore(one / "results.sqlite") as first,
        ResultStore(two / "results.sqlite") as second,
        ResultStore(tmp_path / "both/results.sqlite") as both,
    ):
        record = first.last_run()
        both.put_images(first.images().values())
        both.put_detector(record["detector"]["fingerprint"], "made", CLASSES)
        entries = []
        for store, suffix in ((first, " 1"), (second, " 2")):
            for entry in record["enhancers"]:
                name = entry["label"] + suffix
                entries.append({**entry, "label": name, "fingerprint": name})
                for row in store.rows(
                    enhancer=entry["fingerprint"],
                    detector=record["detector"]["fingerprint"],
                    measure=record["measure"],
                ):
                    both.put(replace(row, key=replace(row.key, enhancer=name)))
        both.put_run({**record, "enhancers": entries})
        together = {
            label: {r.label: r for r in evaluate(both, both.last_run(), reference=f"{label} 1")} for label in SKILLS
        }
    got = compare_runs(one, two)
    assert [e.label for e in got.enhancers] == ["Input", "Ours"]
    for each in got.enhancers:
        expected = together[each.label][f"{each.label} 2"]
        assert each.difference == replace(expected.against[f"{each.label} 1"], reference=each.label)
        assert (each.after.map, each.after.niqe) == (expected.map_interval, expected.niqe_interval)
        assert each.before.map == together[each.label][f"{each.label} 1"].map_interval
    assert got.enhancers[1].difference.n_left_out == 1


def test_a_run_and_itself(tmp_path: Path) -> None:
    one, _ = runs(tmp_path)
    got = compare_runs(one, one)
    assert got.changes == ()
    for each in got.enhancers:
        assert (each.difference.map.value, each.difference.niqe.value) == (0.0, 0.0)  # type: ignore[union-attr]
    text = to_markdown(build_comparison_table(got))
    assert "+0.00 [+0.0, +0.0]" in text and "commit and machine are the same" in text


def test_what_changed_besides_the_numbers(tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "packages": {"torch": "3", "numpy": "2"}, "started": "later"}
    one, two = runs(tmp_path, skills={**SKILLS, "New": 0.5}, environment=environment)
    got = compare_runs(one, two, bootstrap=BootstrapOptions(0))
    assert got.changes == (
        Change("environment.packages.numpy", "None", "2"),
        Change("environment.packages.torch", "2", "3"),
    )
    assert (got.only_before, got.only_after) == ((), ("New",))
    text = to_markdown(build_comparison_table(got))
    assert "environment.packages.torch: 2 -> 3" in text and "New: only in the 2nd run." in text


def test_a_detector_whose_code_alone_changed_is_compared(tmp_path: Path) -> None:
    before, after = ({"name": "made", "fingerprint": code * 64, "identity": "i"} for code in "de")
    make_run(tmp_path / "a", make_images(20), SKILLS, detector=before)
    make_run(tmp_path / "b", make_images(20), SKILLS, detector=after)
    got = compare_runs(tmp_path / "a", tmp_path / "b", bootstrap=BootstrapOptions(0))
    assert got.changes == (Change("detector.fingerprint", "d" * 12, "e" * 12),)
    assert [e.label for e in got.enhancers] == list(SKILLS)


@pytest.mark.parametrize(
    ("changes", "field", "values"),
    [
        ({"protocol": Protocol(classes=CLASSES, ap="area").to_dict()}, "protocol.ap", ("11point", "area")),
        (
            {"protocol": Protocol(classes=CLASSES, iou_threshold=0.75).to_dict()},
            "protocol.iou_threshold",
            ("0.5", "0.75"),
        ),
        ({"measure": "niqe=rgb2gray;more"}, "measure", ("niqe=rgb2gray", "niqe=rgb2gray;more")),
        (
            {"detector": {"name": "made", "fingerprint": "d" * 64, "identity": "e" * 64}},
            "detector.identity",
            ("None", "e" * 12),
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
    for folder, field, before, after in (
        (fewer, "data.images", "20 images, with 0019", "19 images"),
        (changed, "data.images.sha256", "000000000000 of 0019", "ffffffffffff of 0019"),
        (annotated, "data.annotations", f"{len(images[0].record.objects or ())} objects in 0000", "1 objects in 0000"),
    ):
        with pytest.raises(IncomparableError) as caught:
            compare_runs(tmp_path / "a", folder)
        assert (caught.value.expected, caught.value.got) == (f"{field} = {before}", f"{field} = {after}")


def test_every_field_that_differs_is_told(tmp_path: Path) -> None:
    changes = {
        "protocol": Protocol(classes=CLASSES[:2], ap="area").to_dict(),
        "detector": {"name": "x", "fingerprint": "e", "identity": "i"},
    }
    with pytest.raises(
        IncomparableError, match=r"protocol\.ap, protocol\.classes, detector\.name, detector\.identity differ"
    ):
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
    assert got.output == to_csv(build_comparison_table(compare_runs(one, two)))
    assert CliRunner().invoke(app, ["compare", str(one), str(two), "--format", "xml"]).exit_code == 2
    make_run(tmp_path / "c", make_images(20), SKILLS, protocol=Protocol(classes=CLASSES, ap="area").to_dict())
    assert CliRunner().invoke(app, ["compare", str(one), str(tmp_path / "c")]).exit_code == 2
    assert CliRunner().invoke(app, ["compare", str(one), str(tmp_path / "nowhere")]).exit_code == 2
