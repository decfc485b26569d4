"""`duskbench table`: the table of a run again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from benchmarks.cli.console import out_console
from benchmarks.cli.options import Coco
from data_tools.errors import UnknownNameError

if TYPE_CHECKING:
    from benchmarks.table import Table


def table(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a run (its --out).")],
    form: Annotated[str, typer.Option("--format", help="terminal, markdown, csv or latex.")] = "terminal",
    coco: Coco = False,
) -> None:
    """Print the table of a run again, from its stored rows."""
    from benchmarks import table as tables
    from benchmarks.results import read_table

    printers = {"markdown": tables.to_markdown, "csv": tables.to_csv, "latex": tables.to_latex}
    if form != "terminal" and form not in printers:
        raise UnknownNameError("table format", form, ["terminal", *printers])
    made = read_table(run_dir, coco=coco)
    if form == "terminal":
        out_console.print(tables.to_terminal(made))
    else:
        typer.echo(printers[form](made), nl=False)


def print_table(table: Table, run_dir: Path) -> None:
    """Print a table that was just written into a run's folder."""
    from benchmarks.table import to_terminal

    out_console.print(to_terminal(table))
    out_console.print(Text(f"Written: {run_dir}/table.md, table.csv, table.tex; results: {run_dir}/results.sqlite"))
