"""`duskbench finetune`: detectors trained further on each enhancer's images, beside the frozen ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from duskbench.benchmarks.cli.console import err_console
from duskbench.benchmarks.cli.options import (
    EXIT_IMAGES_FAILED,
    AllowMissing,
    BatchSize,
    CfgOptions,
    Checkpoint,
    Data,
    Detector,
    Device,
    Layout,
    Out,
    Split,
    Weights,
    Workers,
    given_settings,
    use_weights,
)
from duskbench.benchmarks.cli.table import print_run


def finetune(
    config: Annotated[str, typer.Argument(help="Configuration file, or the name of one that ships, as for run.")],
    data: Data = None,
    layout: Layout = None,
    split: Split = None,
    train_split: Annotated[str, typer.Option(help="What to train on: a split, or a file of image ids.")] = "train",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each enhancer, of the seeds 0, 1, 2, ...")] = 3,
    epochs: Annotated[int, typer.Option(min=2, help="How often each training sees every image.")] = 12,
    rate: Annotated[float, typer.Option(help="Share of the learning rate of the detector's configuration.")] = 0.1,
    enhancer: Annotated[list[str] | None, typer.Option(help="These instead of the configuration's.")] = None,
    detector: Detector = None,
    checkpoint: Checkpoint = None,
    weights: Weights = None,
    out: Out = None,
    device: Device = "auto",
    batch_size: BatchSize = None,
    workers: Workers = 0,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="At most this many training images and this many test images, spread evenly."),
    ] = None,
    allow_missing: AllowMissing = False,
    cfg_options: CfgOptions = None,
) -> None:
    """Train the detector further on each enhancer's images, and print frozen and fine-tuned in one table.

    Each is measured on the test images of the same enhancer. An interrupted call is resumed by the same command.
    """
    from duskbench.benchmarks.config import load_benchmark_config
    from duskbench.benchmarks.fine_tuning import FineTuningOptions, fine_tune
    from duskbench.benchmarks.progress import RichProgress
    from duskbench.benchmarks.run_plan import RunOptions
    from duskbench.pipeline.training.fine_tuning import Schedule

    use_weights(weights)
    overrides = given_settings(data, layout, split, allow_missing, enhancer, detector)
    benchmark = load_benchmark_config(config, cfg_options=cfg_options or (), overrides=overrides)
    folder = out or Path("runs") / f"{benchmark.name}_finetune"
    options = RunOptions(folder, device, checkpoint, batch_size, workers=workers, limit=limit)
    asked = FineTuningOptions(Schedule(epochs, rate), seeds, train_split)
    with RichProgress(err_console) as progress:
        summary = fine_tune(benchmark, options, asked, progress)
    print_run(summary, folder)
    if not summary.ok:
        raise typer.Exit(EXIT_IMAGES_FAILED)
