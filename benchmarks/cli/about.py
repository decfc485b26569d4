"""`duskbench list` and `duskbench version`: what is there."""

from __future__ import annotations

import typer
from rich.text import Text

from benchmarks.cli.console import out_console


def list_names() -> None:
    """List enhancers, detectors and configurations."""
    from pipeline.registry import ENHANCERS, config_root

    files = {
        "Detectors": (config_root() / "detectors").glob("*.py"),
        "Benchmarks (duskbench run)": config_root().glob("*.py"),
    }
    out_console.print(Text("Enhancers", style="bold"), Text("  " + "  ".join(ENHANCERS)), sep="\n")
    for heading, found in files.items():
        names = sorted(file.stem for file in found if not file.stem.startswith("_"))
        out_console.print(Text(heading, style="bold"), Text("  " + "  ".join(names)), sep="\n")


def version() -> None:
    """Print versions, as an issue report needs them."""
    from benchmarks.provenance import git_commit, package_versions

    for name, number in package_versions().items():
        typer.echo(f"{name} {number}")
    typer.echo(f"commit {git_commit() or 'unknown'}")
