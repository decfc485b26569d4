"""`duskbench run`: run a benchmark and print its table."""

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
    Cluster,
    Coco,
    Data,
    Detector,
    Device,
    GpusPerWorker,
    Layout,
    Limit,
    Metric,
    Out,
    SendImages,
    Split,
    TimeLimit,
    Tracker,
    Weights,
    Workers,
    cluster_options,
    given_settings,
    use_time_limit,
    use_weights,
)
from duskbench.benchmarks.cli.table import print_run


def run(
    config: Annotated[
        str, typer.Argument(help="Configuration file, or the name of one that ships: miniature, zoo, table1, table2.")
    ],
    data: Data = None,
    layout: Layout = None,
    split: Split = None,
    enhancer: Annotated[
        list[str] | None,
        typer.Option(
            help="Run these instead of the configuration's: a name, name(key=value), file.py:callable, dir:FOLDER."
        ),
    ] = None,
    detector: Detector = None,
    metric: Metric = None,
    checkpoint: Checkpoint = None,
    weights: Weights = None,
    out: Out = None,
    device: Device = "auto",
    batch_size: BatchSize = None,
    workers: Workers = 0,
    cluster: Cluster = None,
    gpus_per_worker: GpusPerWorker = None,
    send_images: SendImages = False,
    limit: Limit = None,
    time_limit: TimeLimit = None,
    save_images: Annotated[
        bool, typer.Option("--save-images", help="Keep the enhanced images under OUT/images.")
    ] = False,
    allow_missing: AllowMissing = False,
    coco: Coco = False,
    tracker: Tracker = None,
    cfg_options: CfgOptions = None,
) -> None:
    """Run a benchmark and print its table.

    Enhance, detect and measure in one pass over the images. An interrupted run is resumed by the same command.
    """
    from duskbench.benchmarks.config import load_benchmark_config
    from duskbench.benchmarks.progress import RichProgress, RunProgress
    from duskbench.benchmarks.run_plan import RunOptions
    from duskbench.benchmarks.runner import run as run_benchmark

    use_weights(weights)
    use_time_limit(time_limit)
    overrides = given_settings(data, layout, split, allow_missing, enhancer, detector)
    benchmark = load_benchmark_config(
        config, cfg_options=cfg_options or (), overrides=overrides, more_metrics=metric or ()
    )
    options = RunOptions(
        out=out or Path("runs") / benchmark.name,
        device=device,
        checkpoint=checkpoint,
        batch_size=batch_size,
        workers=workers,
        cluster=cluster_options(cluster, gpus_per_worker, send_images=send_images),
        limit=limit,
        save_images=save_images,
    )
    with RichProgress(err_console) as progress:
        summary = run_benchmark(benchmark, options, RunProgress(progress))
    made = print_run(summary, options.out, coco=coco)
    if tracker is not None:
        from duskbench.benchmarks.tracking import track_run

        track_run(tracker, options.out, made, summary.record)
    if not summary.ok:
        raise typer.Exit(EXIT_IMAGES_FAILED)
