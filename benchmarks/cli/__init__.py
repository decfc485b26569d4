"""The command line `duskbench`, a file for each command; nothing heavy is imported before a command needs it."""

from __future__ import annotations

import sqlite3
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from duskbench.benchmarks.cli.about import list_names, version
from duskbench.benchmarks.cli.compare import compare
from duskbench.benchmarks.cli.console import err_console
from duskbench.benchmarks.cli.data import data_app
from duskbench.benchmarks.cli.doctor import doctor
from duskbench.benchmarks.cli.enhance import enhance
from duskbench.benchmarks.cli.export import export
from duskbench.benchmarks.cli.figures import attention, sheet
from duskbench.benchmarks.cli.finetune import finetune
from duskbench.benchmarks.cli.night_curve import night_curve
from duskbench.benchmarks.cli.nightly import nightly
from duskbench.benchmarks.cli.options import EXIT_INTERRUPTED, EXIT_USAGE
from duskbench.benchmarks.cli.power import power
from duskbench.benchmarks.cli.push import push
from duskbench.benchmarks.cli.report import report
from duskbench.benchmarks.cli.run import run
from duskbench.benchmarks.cli.score import score
from duskbench.benchmarks.cli.table import table
from duskbench.benchmarks.cli.table2 import table2
from duskbench.benchmarks.cli.train import train
from duskbench.data_tools.errors import DataError, DuskbenchError


class _Commands(TyperGroup):
    """Errors become a message and an exit code, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            _check_working_folder()
            return super().invoke(ctx)
        except DuskbenchError as error:
            err_console.print(Text.assemble(("Error: ", "bold red"), str(error)))
            raise typer.Exit(EXIT_USAGE) from error
        except (OSError, sqlite3.Error, MemoryError, RecursionError, UnicodeError) as error:
            # Of our own work: a full disk, a target that cannot be written, a name that is no text.
            err_console.print(Text.assemble(("Error: ", "bold red"), str(_as_ours(error))))
            raise typer.Exit(EXIT_USAGE) from error
        except KeyboardInterrupt:
            err_console.print("Stopped. What was done is kept: the same command resumes.")
            raise typer.Exit(EXIT_INTERRUPTED) from None


def _check_working_folder() -> None:
    """Without one, libraries that torch loads end the process with a message of their own."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise DataError("The working folder was deleted.", got=str(error), todo="change to another folder") from error


def _as_ours(error: Exception) -> DuskbenchError:
    """What the system says, with where it happened."""
    where = getattr(error, "filename", None)
    said = f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}".removesuffix(": ")
    return DataError(
        "The system refused something that duskbench needs.",
        where=str(where).encode("utf-8", "backslashreplace").decode() if where else None,
        got=said[:500],
        todo="make room, or see that the file or folder can be read and written; what was done is kept",
    )


app = typer.Typer(
    cls=_Commands,
    help="Low-light pre-processing for object detectors, and the benchmark that says whether it helped.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    # Plain help: the rich one imports a Markdown parser and a syntax highlighter, and takes twice as long.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        from duskbench import __version__

        typer.echo(f"duskbench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version; the command version says more.",
        ),
    ] = False,
) -> None:
    pass


app.add_typer(data_app, name="data")
for _command in (
    run, table, compare, power, report, nightly, table2, enhance, score, train, finetune, export, push, sheet,
    attention, version, doctor,
):  # fmt: skip
    app.command()(_command)
app.command("night-curve")(night_curve)
app.command("list")(list_names)


def main() -> None:
    """Entry point."""
    for stream in (sys.stdout, sys.stderr):
        # Where the locale's encoding lacks an arrow, a question mark stands for it; a run must not end on that.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    app(args=_spread_cfg_options(sys.argv[1:]), prog_name="duskbench")


def _spread_cfg_options(arguments: list[str]) -> list[str]:
    """`--cfg-options a=1 b=2`, as mmdet's tools take it, becomes one flag per setting, as Typer takes it."""
    spread: list[str] = []
    inside = False
    for argument in arguments:
        if argument == "--cfg-options":
            inside = True
            continue
        inside = inside and not argument.startswith("-") and "=" in argument
        spread += ["--cfg-options", argument] if inside else [argument]
    return spread
