"""`duskbench compare`: two runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from duskbench.benchmarks.cli.options import Format
from duskbench.benchmarks.cli.table import print_as


def compare(
    before: Annotated[Path, typer.Argument(help="Folder of the first run.")],
    after: Annotated[Path, typer.Argument(help="Folder of the second run.")],
    form: Format = "terminal",
) -> None:
    """Say what changed between two runs of the same protocol, data and detector.

    Differences come with their paired bootstrap interval; runs that answer different questions are refused.
    """
    from duskbench.benchmarks.compare import build_comparison_table, compare_runs, title_of

    compared = compare_runs(before, after)
    titles = title_of(before, compared.before), title_of(after, compared.after)
    print_as(form, build_comparison_table(compared, titles))
