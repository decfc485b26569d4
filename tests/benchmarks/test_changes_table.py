"""Objects found and lost, by size, lighting and the light inside the box."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from duskbench.benchmarks.breakdown_table import read_breakdown
from duskbench.benchmarks.changes import changes, count
from duskbench.benchmarks.changes_table import luminances, object_parts, read_found_table
from duskbench.benchmarks.cli import app
from duskbench.benchmarks.error_kinds_table import read_errors_table
from duskbench.benchmarks.matched import read_each_matched
from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.benchmarks.rows import StoredImage
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.stored_run import RunImages, read_run_images
from duskbench.data_tools.errors import DataError, UnknownNameError
from duskbench.data_tools.images import write_image
from duskbench.data_tools.records import ImageRecord
from tests.benchmarks.fabricate import CLASSES, DETECTOR, make_images, make_record, make_run

SKILLS = {"Input": 0.4, "Better": 0.8, "Other": 0.45}


@pytest.mark.parametrize("by", ["size", "lighting"])
def test_parts_add_up_to_all_objects(tmp_path: Path, by: str) -> None:
    record = make_run(tmp_path, make_images(60), SKILLS)
    table = read_found_table(tmp_path, by)
    with ResultStore(tmp_path / "results.sqlite", reading=True) as store:
        run = read_run_images(store, record)
        counted = read_each_matched(store, run, partial(count, run=run))
    whole = {one.label: one.total for one in changes(run, counted)}
    assert [row.label for row in table.rows] == list(whole)
    for row in table.rows:
        total = whole[row.label]
        for shown, expected in (
            ("gained", total.gained), ("lost", total.lost), ("found in both", total.kept), ("in neither", total.missed),
        ):  # fmt: skip
            assert sum(cell.value for key, cell in row.cells.items() if str(key).endswith(f" {shown}")) == expected
    assert table.rows[0].label == "Better" and whole["Better"].gained > whole["Better"].lost


def test_any_of_several_detectors(tmp_path: Path) -> None:
    """The same boxes, of one that calls nothing a person; a table says whose it is."""
    other = replace(DETECTOR, label="no people", classes=("car", "dog", "zebra"))
    images = make_images(20)
    make_run(tmp_path, images, SKILLS, detectors=(DETECTOR, other))
    persons = sum(o.name == "person" and not o.difficult for i in images for o in i.record.objects or ())
    assert persons > 0
    totals = {}
    for label in (DETECTOR.label, other.label):
        table = read_found_table(tmp_path, "size", detector=label)
        assert any(note.startswith(f"Of {label}. ") for note in table.notes)
        totals[label] = sum(cell.value for cell in table.rows[0].cells.values())
        assert read_errors_table(tmp_path, detector=label).columns[1].part.endswith(f"{label}, %")
    assert totals[DETECTOR.label] - totals["no people"] == persons
    assert read_found_table(tmp_path, "size") == read_found_table(tmp_path, "size", detector=DETECTOR.label)
    with pytest.raises(UnknownNameError, match="no people"):
        read_errors_table(tmp_path, detector="nobody")
    assert CliRunner().invoke(app, ["table", str(tmp_path), "--errors", "--detector", "no people"]).exit_code == 0
    assert CliRunner().invoke(app, ["table", str(tmp_path), "--detector", "no people"]).exit_code == 2


def test_what_the_detector_was_never_asked_for_is_not_missed(tmp_path: Path) -> None:
    """The same boxes, but one detector calls nothing a person."""
    images, kinds = make_images(60), ("gained", "lost", "found in both", "in neither")
    objects = [o for i in images for o in i.record.objects or () if not o.difficult]
    for classes in (CLASSES, ("car", "dog", "zebra")):
        folder = tmp_path / classes[-1]
        make_run(folder, images, SKILLS, failing={"Other": ["0001"]}, detectors=(replace(DETECTOR, classes=classes),))
        asked = [o for o in objects if o.name in classes]
        [better, other] = read_found_table(folder, "size").rows
        assert sum(cell.value for key, cell in better.cells.items() if str(key).endswith(kinds)) == len(asked)
        gone = sum(not o.difficult and o.name in classes for o in images[1].record.objects or ())
        assert sum(cell.value for key, cell in other.cells.items() if str(key).endswith(kinds)) == len(asked) - gone
        errors = read_errors_table(folder).rows[0]
        assert errors["n found"].value + errors["n missed"].value <= len(asked)
        for table in (read_found_table(folder, "size"), read_errors_table(folder), read_breakdown(folder, "class")[0]):
            assert "Other: over 59 of 60 images." in table.notes
            assert [len(row.lacks) for row in table.rows if row.label in ("Better", "Other")] == [0, 1]


def test_light_is_measured_inside_the_box(tmp_path: Path) -> None:
    picture = np.full((60, 80, 3), 200, np.uint8)
    picture[10:30, 5:25] = 3
    picture[30:50, 40:60] = (0, 100, 0)
    write_image(tmp_path / "a.png", picture)
    images = (StoredImage(ImageRecord("a", tmp_path / "a.png", ()), 1, 1, "a"),)
    # Exactly the dark square, the green one, both halves of an edge, and one that reaches outside.
    boxes = np.array([[5, 10, 25, 30], [40, 30, 60, 50], [0, 10, 10, 30], [-5, -5, 4, 4]], float)
    n = len(boxes)
    truth = Boxes(boxes, np.zeros(n, int), np.zeros(n, int), np.ones(n), np.zeros(n, bool), np.arange(n))
    run = RunImages(make_record(images, ["Input"]), images, truth)
    assert luminances(run) == pytest.approx([3.0, 58.7, (200 + 3) / 2, 200.0])
    assert {name: part.tolist() for name, part in object_parts(run, "luminance").items()} == {
        "below 8": [True, False, False, False],
        "32 to 64": [False, True, False, False],
        "64 and more": [False, False, True, True],
    }
    hidden = RunImages(run.record, images, replace(truth, difficult=np.array([True, False, True, True])))
    assert list(object_parts(hidden, "luminance")) == ["32 to 64"]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    images = [replace(i, record=replace(i.record, lighting=None)) for i in make_images(8)]
    make_run(tmp_path, images, SKILLS)
    with pytest.raises(UnknownNameError, match="luminance"):
        read_found_table(tmp_path, "light")
    with pytest.raises(DataError, match="by lighting"):
        read_found_table(tmp_path, "lighting")
    with pytest.raises(DataError, match="nowhere"):
        read_found_table(tmp_path, "luminance")
    result = CliRunner().invoke(app, ["table", str(tmp_path), "--found", "size"])
    assert result.exit_code == 0 and "gained" in result.output
    # In forms without titles above the columns each heading says what it is of.
    for form, first in (
        ("markdown", "| Enhancer | gained ↑ (size: small) | lost ↓ (size: small) |"),
        ("latex", r"Enhancer & gained (size: small) $\uparrow$ &"),
        ("csv", "Enhancer,gained (size: small),lost (size: small),"),
    ):
        shown = CliRunner().invoke(app, ["table", str(tmp_path), "--found", "size", "--format", form])
        assert first in shown.output
    assert CliRunner().invoke(app, ["table", str(tmp_path), "--found", "size", "--errors"]).exit_code == 2
    assert CliRunner().invoke(app, ["table", str(tmp_path), "--found", "size", "--coco"]).exit_code == 2
