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
    Cluster,
    Detector,
    Device,
    GpusPerWorker,
    Limit,
    SendImages,
    Tracker,
    Workers,
    check_weights,
    cluster_options,
)
from duskbench.benchmarks.cli.table import print_table

if TYPE_CHECKING:
    from duskbench.benchmarks.reproduce.table2 import Table2Plan
    from duskbench.data_tools.progress import Progress

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
    detector: Detector = None,
    checkpoint: Checkpoint = None,
    weights: Annotated[
        Path | None, typer.Option(help="Folder of weight files; a method with NAME.safetensors there is not trained.")
    ] = None,
    device: Device = "auto",
    batch_size: BatchSize = None,
    workers: Workers = 0,
    cluster: Cluster = None,
    gpus_per_worker: GpusPerWorker = None,
    send_images: SendImages = False,
    limit: Limit = None,
    allow_missing: AllowMissing = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan with estimates of time and disk; touch nothing.")
    ] = False,
    config: Annotated[str, typer.Option(help="Another benchmark configuration.")] = "table2",
    tracker: Tracker = None,
    cfg_options: CfgOptions = None,
) -> None:
    """Verify, train, run and print: Table 2 from ExDark and VOC.

    Steps that are done are not done again; an interrupted one is resumed. Training takes a GPU if there is one,
    whatever --device says.
    """
    from duskbench.benchmarks.progress import RichProgress
    from duskbench.benchmarks.reproduce.steps import run_steps
    from duskbench.benchmarks.reproduce.table2 import METHODS, Table2Options, plan_table2
    from duskbench.benchmarks.reproduce.training import Training, parse_training_options
    from duskbench.benchmarks.results import read_table
    from duskbench.benchmarks.run_plan import RunOptions

    if weights is not None:
        check_weights(weights)
    chosen = METHODS if methods is None else tuple(name.strip() for name in methods.split(",") if name.strip())
    training = None if skip_training else Training(train, parse_training_options(cfg_options or ()))
    plan = plan_table2(
        Table2Options(
            work=work,
            run=RunOptions(
                out=work / "results",
                device=device,
                checkpoint=checkpoint,
                batch_size=batch_size,
                workers=workers,
                cluster=cluster_options(cluster, gpus_per_worker, send_images=send_images),
                limit=limit,
            ),
            data=data,
            exdark=exdark,
            voc=voc or (),
            methods=chosen,
            training=training,
            weights=weights,
            allow_missing=allow_missing,
            config=config,
            detectors=detector or (),
        )
    )
    with RichProgress(err_console) as progress:
        if dry_run:
            _print_plan(plan, work, progress)
            return
        for note in plan.notes:
            progress.message(note, warning=True)
        complete = run_steps(plan.steps, work, progress)
    made = read_table(plan.results)
    print_table(made, plan.results)
    if tracker is not None:
        from duskbench.benchmarks.tracking import track_run

        track_run(tracker, plan.results, made)
    if not complete:
        raise typer.Exit(EXIT_IMAGES_FAILED)


def _print_plan(plan: Table2Plan, work: Path, progress: Progress) -> None:
    from duskbench.benchmarks.progress import duration
    from duskbench.benchmarks.reproduce.estimates import nearest_folder
    from duskbench.benchmarks.reproduce.steps import Estimate, State, states

    listing = Table("", "step", "what it does", "state", "time", "disk", title="The plan", title_justify="left")
    estimates = []
    steps = list(zip(plan.steps, states(plan.steps, work), strict=True))
    for number, (step, state) in enumerate(progress.track("Timing a few images and training steps", steps), start=1):
        estimate = Estimate() if state is State.DONE else step.estimate()
        time = "unknown" if estimate.seconds is None else duration(estimate.seconds)
        listing.add_row(
            *(str(number), Text(step.name), Text(step.what), str(state)),
            *(time if estimate.seconds != 0 else "", size(estimate.disk_bytes)),
            style="dim" if state is State.DONE else "",
        )
        estimates.append(estimate)
    seconds, disk = sum(one.seconds or 0 for one in estimates), sum(one.disk_bytes for one in estimates)
    listing.add_section()
    listing.add_row("", "", "all that is to do", "", duration(seconds) if seconds else "", size(disk), style="bold")
    out_console.print(listing)
    for note in plan.notes:
        out_console.print(Text(note))
    free = shutil.disk_usage(nearest_folder(work)).free
    out_console.print(
        "Time and disk are estimates, each step from its beginning, from a few images and training steps that were "
        f"timed on this machine, without downloads. {size(free)} are free."
    )
    if any(one.seconds is None for one in estimates):
        out_console.print("Unknown: the detector's weights are not here yet, so no image could be measured.")
    if disk > free:
        out_console.print(Text(f"The disk of {work} has too little room.", style="red"))


def size(number: float) -> str:
    """Bytes for people, in powers of 1000; empty for none."""
    if not number:
        return ""
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= length:
            return f"{number / length:.3g} {unit}"
    return f"{number / 1e3:.0f} kB"
