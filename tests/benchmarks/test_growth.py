"""The run that `speed.growth` writes is one that every command reads."""

from __future__ import annotations

from pathlib import Path

from duskbench.benchmarks.results import read_table
from duskbench.benchmarks.speed.growth import write_run


def test_the_made_run_has_every_number(tmp_path: Path) -> None:
    write_run(tmp_path, 30, 2, 20)
    plain, rows = read_table(tmp_path).rows, read_table(tmp_path, coco=True).rows
    assert [row.label for row in rows] == ["Input", "Enhancer 1"]
    for row, without in zip(rows, plain, strict=True):
        assert row["n"].value == 30 and row["map",].value > 0.2
        assert row["coco AP50",].value > row["coco AP50:95",].value > 0 and row["coco AP75",].value > 0
        # COCO's numbers stand beside VOC's and in no place of theirs.
        assert {key: row[key] for key in without.cells} == without.cells
