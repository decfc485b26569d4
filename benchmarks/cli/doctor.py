"""`duskbench doctor`: what is there, what is missing and what is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from duskbench.benchmarks.cli.console import out_console
from duskbench.benchmarks.cli.options import EXIT_USAGE

if TYPE_CHECKING:
    from duskbench.benchmarks.doctor.fact import Fact

_STYLES = {"ok": "green", "missing": "yellow", "broken": "bold red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: a list of what was looked at.")] = False,
) -> None:
    """Say what this installation has and lacks, and what a run would use.

    Exit code 0, or 2 where something that a command needs is broken. What is only missing (an extra, a GPU, a data set)
    is said with what it is for, and is no error. Where a package is broken, nothing further is looked at.
    """
    from duskbench.benchmarks.doctor.installation import installation

    facts = list(installation())
    if all(fact.state != "broken" for fact in facts):
        # It needs those packages.
        from duskbench.benchmarks.doctor.surroundings import surroundings

        facts += surroundings()
    if as_json:
        import json
        from dataclasses import asdict

        typer.echo(json.dumps([asdict(fact) for fact in facts], indent=2, ensure_ascii=False))
    else:
        _print(facts)
    if any(fact.state == "broken" for fact in facts):
        raise typer.Exit(EXIT_USAGE)


def _print(facts: list[Fact]) -> None:
    section, width = None, max(len(fact.name) for fact in facts if len(fact.name) <= 24)
    for fact in facts:
        if fact.section != section:
            section = fact.section
            out_console.print(Text(section, style="bold"))
        line = Text.assemble("  ", (f"{fact.state:9}", _STYLES[fact.state]), f"{fact.name:{width}}  {fact.found}")
        out_console.print(line, soft_wrap=True)
        if fact.todo is not None:
            out_console.print(Text(f"  {'':9}{'':{width}}  -> {fact.todo}", style="dim"), soft_wrap=True)
