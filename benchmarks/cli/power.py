"""`duskbench power`: what the images of a run can settle."""

from __future__ import annotations

from typing import Annotated

import typer

from duskbench.benchmarks.cli.options import Baseline, Format, RunFolder
from duskbench.benchmarks.cli.table import print_as


def power(
    run_dir: RunFolder,
    form: Format = "terminal",
    score: Annotated[
        str | None, typer.Option(help="A column of the run's table, such as mAP or NIQE; by default its mAP.")
    ] = None,
    baseline: Baseline = None,
    power: Annotated[float, typer.Option(help="Share of runs that should settle a difference.")] = 0.8,
    within: Annotated[
        float | None,
        typer.Option(
            help="Call differences below this the same, in the column's unit; by default the metric's tolerance."
        ),
    ] = None,
    difference: Annotated[
        float | None, typer.Option(help="Say how many images a true difference of this needs, in the column's unit.")
    ] = None,
    images: Annotated[
        int | None, typer.Option(help="Say how small a difference so many images like these settle.")
    ] = None,
) -> None:
    """Say what a run's images can settle: all differences at once, the smallest one, the images one needs."""
    from duskbench.benchmarks.power_table import PowerOptions, read_power_table

    options = PowerOptions(score, baseline, power, within, difference, images)
    print_as(form, read_power_table(run_dir, options))
