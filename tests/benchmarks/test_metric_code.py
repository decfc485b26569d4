"""A run whose metric's code was edited, or has gone, since it was measured: no number without a word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from duskbench.benchmarks.breakdown_table import read_breakdown
from duskbench.benchmarks.compare import build_comparison_table, compare_runs
from duskbench.benchmarks.metrics.registry import load_metric, metric_entry
from duskbench.benchmarks.power_table import read_power_table
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.results import read_table
from duskbench.benchmarks.table_formats import to_csv, to_markdown
from tests.benchmarks.fabricate import CLASSES, make_images, make_run, metric

# Every detection finds something, or none does; the sum of all images, or the largest of them.
METRICS = """
import numpy as np
from duskbench import DetectionMetric, ImageMetric
from duskbench.benchmarks.metrics.base import Ranked, Ranking
from duskbench.benchmarks.metrics.voc_ap import VocAPMetric


class Mine(VocAPMetric):
    key, heading = "mine", "Mine"

    def rank(self, truth, found, classes):
        ranked = super().rank(truth, found, classes).by_class
        return Ranked({c: tuple(Ranking(r.images, r.tp & HITS) for r in of) for c, of in ranked.items()}, "11point")


class Whole(ImageMetric):
    key, heading, better = "whole", "Whole", "lower"

    def measure(self, image_rgb, **given):
        return 1.0

    def aggregate(self, numbers):
        return float(numbers.AGGREGATE())
"""


def write(file: Path, hits: bool, aggregate: str) -> Path:
    file.write_text(METRICS.replace("HITS", str(hits)).replace("AGGREGATE", aggregate))
    return file


def make(folder: Path, file: Path) -> Path:
    specs = [f"{file}:{name}" for name in ("Whole", "Mine")]
    entries = [metric_entry(load_metric(spec, Protocol(classes=CLASSES)), spec) for spec in specs]
    make_run(folder, make_images(20), {"Input": 0.4, "Ours": 0.7}, metrics=(metric("niqe"), *entries))
    return folder


@pytest.fixture
def edited(tmp_path: Path) -> tuple[Path, Path]:
    """A run of the code before it was edited, and one after."""
    file = write(tmp_path / "theirs.py", hits=True, aggregate="sum")
    before = make(tmp_path / "before", file)
    assert not read_table(before).cautions and read_table(before).rows[0]["mine",].value > 0.1
    return before, make(tmp_path / "after", write(file, hits=False, aggregate="max"))


def test_other_code_than_the_runs_is_named_with_its_numbers(edited: tuple[Path, Path]) -> None:
    before, after = edited
    table = read_table(before)
    # Today's code made them, and the table says so.
    assert table.rows[0]["mine",].value == 0 and table.rows[0]["whole",].value < 10
    assert [note[: note.index(" (")] for note in table.notes[:2]] == [
        "Whole: computed by today's code, which is not the run's",
        "Mine: computed by today's code, which is not the run's",
    ]
    assert not read_table(after).cautions
    lighting, *_ = read_breakdown(before, "lighting")
    comparison = build_comparison_table(compare_runs(before, after), ("a", "b"))
    assert lighting.notes[:2] == read_power_table(before).notes[:2] == table.cautions
    assert comparison.notes[:2] == tuple(f"1st run: {said}" for said in table.cautions)


def test_two_runs_are_put_together_by_one_code_and_the_comparison_says_so(tmp_path: Path) -> None:
    """The first run's sum became a largest number beside the second's, unsaid."""
    before = make(tmp_path / "before", write(tmp_path / "one.py", hits=True, aggregate="sum"))
    after = make(tmp_path / "after", write(tmp_path / "two.py", hits=True, aggregate="max"))
    table = build_comparison_table(compare_runs(before, after), ("a", "b"))
    assert table.rows[0]["whole", "before"].value == table.rows[0]["whole", "after"].value < 10
    assert read_table(before).rows[0]["whole",].value > 50
    (caution,) = table.cautions
    assert caution.startswith("Whole: of both runs computed by the 2nd one's code, which is not the 1st one's")
    assert not build_comparison_table(compare_runs(after, after), ("a", "b")).cautions


def test_a_csv_has_no_notes_so_standard_error_says_it(
    edited: tuple[Path, Path], duskbench: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, err = duskbench("table", edited[0], "--format", "csv")
    assert code == 0 and "today's code" not in out
    assert err.count("Warning: ") == 2 and "Mine: computed by today's code" in " ".join(err.split())
    assert duskbench("table", edited[1], "--format", "csv")[2] == ""


def test_without_the_code_the_other_columns_are_there(edited: tuple[Path, Path], tmp_path: Path) -> None:
    before, after = edited
    (tmp_path / "theirs.py").unlink()
    table = read_table(before)
    assert [row[key,].value for row in table.rows for key in ("mine", "whole")] == [None] * 4
    assert all(row["niqe",].value > 0 for row in table.rows)
    heading = to_csv(table).splitlines()[0]
    assert "Mine" in heading and "Whole" in heading
    text = to_markdown(table)
    assert "- Mine: not computed, for its code cannot be had: The plug-in's file does not exist." in text
    assert "- Whole: not computed" in text
    assert "Mine: not computed" in to_markdown(read_breakdown(before, "lighting")[0])
    assert "2nd run: Mine: not computed" in to_markdown(build_comparison_table(compare_runs(before, after), ("a", "b")))


def test_the_code_of_another_metric_under_the_name_is_none(tmp_path: Path) -> None:
    file = write(tmp_path / "theirs.py", hits=True, aggregate="sum")
    folder = make(tmp_path / "run", file)
    file.write_text(file.read_text().replace('key, heading = "mine"', 'key, heading = "other"'))
    table = read_table(folder)
    assert table.rows[0]["mine",].value is None
    assert any("Mine: not computed" in note and "'other'" in note for note in table.cautions)
