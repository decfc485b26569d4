"""`duskbench list` and `duskbench version`: what is there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from duskbench.benchmarks.cli.console import out_console


def list_names(
    long: Annotated[
        bool, typer.Option("--long", help="Of enhancers also paper, parameters, weights and their licence.")
    ] = False,
) -> None:
    """List enhancers, detectors, metrics and configurations, those of installed packages too."""
    from duskbench.benchmarks.metrics.registry import METRICS
    from duskbench.data_tools.entry_points import installed
    from duskbench.pipeline.registry import DETECTORS, ENHANCERS, config_root, detector_configs

    configs = sorted(file.stem for file in config_root().glob("*.py") if not file.stem.startswith("_"))
    detectors = detector_configs()
    if long:
        _print_enhancers()
    else:
        _print("Enhancers", ENHANCERS)
    _print("Detectors", sorted(detectors))
    _print("Metrics", METRICS)
    _print("Benchmarks (duskbench run)", configs)
    found = ENHANCERS.installed() + installed("detector", {**DETECTORS, **detectors}) + METRICS.installed()
    if found:
        _print("Brought by packages", [f"{i.name} ({i.package}{'; ' + i.clash if i.clash else ''})" for i in found])


def _print_enhancers() -> None:
    from duskbench.pipeline.registry import describe_enhancers

    listing = Table("name", "paper", "parameters", "weights", "their licence", title="Enhancers", title_justify="left")
    for each in describe_enhancers():
        parameters = "" if each.parameters is None else f"{each.parameters:,}"
        listing.add_row(*map(Text, (each.name, each.paper, parameters, each.weights, each.licence)))
    out_console.print(listing)


def _print(heading: str, names: Iterable[str]) -> None:
    out_console.print(Text(heading, style="bold"), Text("  " + "  ".join(names)), sep="\n")


def version() -> None:
    """Print versions, as an issue report needs them."""
    from duskbench.benchmarks.provenance import git_commit, package_versions

    for name, number in package_versions().items():
        typer.echo(f"{name} {number}")
    typer.echo(f"commit {git_commit() or 'unknown'}")
