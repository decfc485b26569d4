"""`duskbench table2`: the paper's Table 2 from the data sets as released."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from duskbench.benchmarks.cli.console import err_console, out_console
from duskbench.benchmarks.cli.options import (
    EXIT_IMAGES_FAILED,
    AllowMissing,
    BatchSize,
    CfgOptions,
    Checkpoint,
    Limit,
    Workers,
    check_weights,
)
from duskbench.benchmarks.cli.table import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duskbench.benchmarks.reproduce.steps import Estimate
    from duskbench.benchmarks.reproduce.table2 import Table2Plan

Schedule = Literal["paper", "small"]


def table2(
    data: Annotated[
        Path | None, typer.Option(help="Folder with ExDark (exdark/ or itself) and VOC (VOCdevkit/, voc2007/, ...).")
    ] = None,
    exdark: Annotated[Path | None, typer.Option(help="ExDark, where it is not below --data.")] = None,
    voc: Annotated[
        list[Path] | None, typer.Option(help="VOCdevkit or one year, where it is not below --data; repeatable.")
    ] = None,
    work: Annotated[Path, typer.Option(help="Folder of all that is made.")] = Path("runs/table2"),
    train: Annotated[
        Schedule, typer.Option(help="Training configurations: the paper's, or small ones for two cores.")
    ] = "paper",
    skip_training: Annotated[
        bool, typer.Option("--skip-training", help="Train nothing; take the weights that ship.")
    ] = False,
    methods: Annotated[
        str | None, typer.Option(help="Trained rows of the table, of guided,enlightengan,cyclegan,zero_dce.")
    ] = None,
    detector: Annotated[str | None, typer.Option(help="Another detector than RFBNet300; see `run`.")] = None,
    checkpoint: Checkpoint = None,
    weights: Annotated[
        Path | None, typer.Option(help="Folder of weight files; a method with NAME.safetensors there is not trained.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="Torch device of the benchmark; training takes a GPU if there is one.")
    ] = "cpu",
    batch_size: BatchSize = 1,
    workers: Workers = 0,
    limit: Limit = None,
    allow_missing: AllowMissing = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan with estimates of time and disk; touch nothing.")
    ] = False,
    config: Annotated[str, typer.Option(help="Another benchmark configuration.")] = "table2",
    cfg_options: CfgOptions = None,
) -> None:
    """Verify, convert, train, run and print: Table 2 from ExDark and VOC.

    What is done already is passed over, what was cut is taken up again.
    """
    from duskbench.benchmarks.reproduce.bars import BarReporter
    from duskbench.benchmarks.reproduce.steps import work_through
    from duskbench.benchmarks.reproduce.table2 import METHODS, Table2Options, plan_table2
    from duskbench.benchmarks.reproduce.training_steps import Training, parse_training_options
    from duskbench.benchmarks.results import read_table

    if weights is not None:
        check_weights(weights)
    chosen = METHODS if methods is None else tuple(name.strip() for name in methods.split(",") if name.strip())
    training = None if skip_training else Training(train, parse_training_options(cfg_options or ()))
    plan = plan_table2(
        Table2Options(
            work=work,
            data=data,
            exdark=exdark,
            voc=voc or (),
            methods=chosen,
            training=training,
            weights=weights,
            allow_missing=allow_missing,
            config=config,
            detector=detector,
            checkpoint=checkpoint,
            device=device,
            limit=limit,
            batch_size=batch_size,
            workers=workers,
        )
    )
    if dry_run:
        _print_plan(plan, work)
        return
    for note in plan.notes:
        err_console.print(Text(note, style="yellow"))
    with BarReporter(err_console) as reporter:
        complete = work_through(plan.steps, work, reporter)
    print_table(read_table(plan.results), plan.results)
    if not complete:
        raise typer.Exit(EXIT_IMAGES_FAILED)


def _print_plan(plan: Table2Plan, work: Path) -> None:
    from duskbench.benchmarks.reproduce.machine import nearest_folder
    from duskbench.benchmarks.reproduce.steps import Estimate, State, survey

    looks = survey(plan.steps, work)
    todo = [
        Estimate() if look.state is State.DONE else step.estimate()
        for step, look in zip(plan.steps, looks, strict=True)
    ]
    listing = Table("", "step", "what it does", "state", "time", "disk", title="The plan", title_justify="left")
    for number, (step, look, estimate) in enumerate(zip(plan.steps, looks, todo, strict=True), start=1):
        state = f"{look.state}: {look.there}" if look.there else str(look.state)
        style = "dim" if look.state is State.DONE else ""
        cells = (str(number), step.name, step.what, state, duration(estimate.seconds), size(estimate.disk_bytes))
        listing.add_row(*map(Text, cells), style=style)
    seconds, disk = _sum(todo)
    listing.add_section()
    listing.add_row("", "", "all that is to do", "", duration(seconds), size(disk), style="bold")
    out_console.print(listing)
    for note in plan.notes:
        out_console.print(Text(note))
    free = shutil.disk_usage(nearest_folder(work)).free
    out_console.print(Text(_basis(free)))
    if disk > free:
        out_console.print(Text(f"The disk of {work} has too little room.", style="red"))


def _sum(estimates: Sequence[Estimate]) -> tuple[float, float]:
    return sum(one.seconds or 0 for one in estimates), sum(one.disk_bytes or 0 for one in estimates)


def _basis(free: float) -> str:
    import torch

    from duskbench.benchmarks.reproduce.machine import convolution_gflops

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return (
        f"Time and disk are estimates, each step from its beginning. Training: operations counted for a step, at the "
        f"{convolution_gflops(device):.0f} GFLOP/s that a 3x3 convolution reaches on this machine's {device}, so a "
        f"lower bound. The rest: a few images measured. Downloads are not in it. {size(free)} are free."
    )


def duration(seconds: float | None) -> str:
    """Seconds for people, with two figures."""
    if seconds is None:
        return ""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else "under 1 s"


def size(number: float | None) -> str:
    """Bytes for people, in powers of 1000."""
    if number is None:
        return ""
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= length:
            return f"{number / length:.3g} {unit}"
    return f"{number / 1e3:.0f} kB"
