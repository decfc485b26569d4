"""`duskbench table`: the table of a run again, or broken down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from duskbench.benchmarks.cli.console import err_console, out_console
from duskbench.benchmarks.cli.options import Baseline, Coco, Format, RunFolder
from duskbench.data_tools.errors import ConfigError

if TYPE_CHECKING:
    from duskbench.benchmarks.runner import RunSummary
    from duskbench.benchmarks.table import Table

_WRITTEN = "table.md, table.csv, table.tex"


def table(
    run_dir: RunFolder,
    form: Format = "terminal",
    by: Annotated[
        str | None, typer.Option(help="Break down by lighting, indoor, class or size; intervals are in the csv.")
    ] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="Kinds of error of the detections instead: class, place, missed, ...")
    ] = False,
    found: Annotated[
        str | None, typer.Option(help="Objects found and lost instead, by size, lighting, or luminance in the box.")
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(help="Label of the detector for --errors and --found; by default the first."),
    ] = None,
    baseline: Baseline = None,
    coco: Coco = False,
) -> None:
    """Print the table of a run again, from its stored rows."""
    from duskbench.benchmarks.breakdown_table import breakdown_to_csv, read_breakdown
    from duskbench.benchmarks.changes_table import read_found_table
    from duskbench.benchmarks.error_kinds_table import read_errors_table
    from duskbench.benchmarks.results import read_table

    if errors + (by is not None) + (found is not None) > 1:
        raise ConfigError("These are different tables.", where="--by, --errors, --found", todo="give one of them")
    if coco and (errors or found is not None):
        raise ConfigError("This table has no AP.", where="--coco", expected="--by beside it, or the table itself")
    if found is not None:
        print_as(form, read_found_table(run_dir, found, detector=detector, baseline=baseline))
        return
    if errors:
        print_as(form, read_errors_table(run_dir, detector=detector, baseline=baseline))
        return
    if detector is not None:
        raise ConfigError("This table has all detectors.", where="--detector", expected="--errors or --found beside it")
    if by is None:
        print_as(form, read_table(run_dir, coco=coco, baseline=baseline))
        return
    made, parts, record = read_breakdown(run_dir, by, coco=coco, baseline=baseline)
    print_as(form, made, csv=breakdown_to_csv(parts, record) if form == "csv" else None)


def print_as(form: str, table: Table, *, csv: str | None = None) -> None:
    """Print a table in one of the forms; `csv` where the table's own columns are not what its csv should hold."""
    from duskbench.benchmarks import table_formats as formats

    if form == "terminal":
        out_console.print(formats.to_terminal(table), crop=False)
        return
    printers = {"markdown": formats.to_markdown, "csv": formats.to_csv, "latex": formats.to_latex}
    typer.echo(csv or printers[form](table), nl=False)
    for caution in table.cautions if form == "csv" else ():
        err_console.print(Text(f"Warning: {caution}", style="yellow"))


def print_run(summary: RunSummary, run_dir: Path, *, coco: bool = False) -> Table:
    """Write, print and return the table of a run, then print what looks wrong in it and what is not there."""
    from duskbench.benchmarks.results import write_tables

    table = write_tables(run_dir, record=summary.record, coco=coco)
    print_table(table, run_dir)
    for warning in summary.warnings:
        err_console.print(Text(f"Warning: {warning}", style="yellow"))
    for line in summary.shortfalls():
        err_console.print(Text(line, style="red"))
    return table


def print_table(table: Table, run_dir: Path) -> None:
    """Print a table that was just written into a run's folder."""
    print_as("terminal", table)
    out_console.print(Text(f"Written: {run_dir}/{_WRITTEN}; results: {run_dir}/results.sqlite"), soft_wrap=True)
