"""The table of a run folder, made from its stored rows."""

from __future__ import annotations

from pathlib import Path

from duskbench.benchmarks.evaluate import evaluate_run
from duskbench.benchmarks.record import RunRecord
from duskbench.benchmarks.stored_run import open_run
from duskbench.benchmarks.table import Table, build_table
from duskbench.benchmarks.table_formats import to_csv, to_latex, to_markdown
from duskbench.data_tools.files import write_text


def read_table(
    run_dir: Path, *, record: RunRecord | None = None, coco: bool = False, baseline: str | None = None
) -> Table:
    """Compute the table of a run.

    Args:
        run_dir: Folder of the run.
        record: What it measured; None for the newest record of the folder.
        coco: Whether to add COCO AP.
        baseline: Label of the row that differences are taken to besides Input.

    Raises:
        DataError: There are no results in the folder.
        UnknownNameError: There is no such row.
    """
    with open_run(run_dir, record, coco=coco) as (store, run):
        table = build_table(run.record, evaluate_run(store, run, baseline=baseline))
    return table.with_cautions(run.cautions)


def write_tables(run_dir: Path, *, record: RunRecord | None = None, coco: bool = False) -> Table:
    """Compute the table and write table.md, table.csv and table.tex beside the results; all else as in `read_table`."""
    table = read_table(run_dir, record=record, coco=coco)
    write_forms(table, run_dir, "table")
    return table


def write_forms(table: Table, folder: Path, name: str) -> None:
    """Write a table as name.csv, name.tex and name.md, this last: who finds it finds the others too."""
    for suffix, form in (("csv", to_csv), ("tex", to_latex), ("md", to_markdown)):
        write_text(folder / f"{name}.{suffix}", form(table))
