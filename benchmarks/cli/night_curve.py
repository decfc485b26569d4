"""`duskbench night-curve`: how mAP falls with the light, with each enhancer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from duskbench.benchmarks.cli.console import err_console, out_console
from duskbench.benchmarks.cli.options import (
    EXIT_IMAGES_FAILED,
    BatchSize,
    CfgOptions,
    Checkpoint,
    Detector,
    Device,
    Limit,
    Out,
    Split,
    Weights,
    Workers,
    given_settings,
    use_weights,
)
from duskbench.benchmarks.cli.table import print_as
from duskbench.data_tools.errors import ConfigError


def night_curve(
    config: Annotated[str, typer.Argument(help="Configuration file, or night_curve, which ships.")] = "night_curve",
    data: Annotated[Path | None, typer.Option(help="VOC tree of lit photos.")] = None,
    split: Split = None,
    exposures: Annotated[str, typer.Option(help="Stops, with commas between them.")] = "0,-1,-2,-3,-4,-5,-6",
    noise: Annotated[list[str] | None, typer.Option(help="none, low or high; repeatable, a curve each.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise.")] = 0,
    enhancer: Annotated[list[str] | None, typer.Option(help="Run these instead of the configuration's.")] = None,
    detector: Detector = None,
    checkpoint: Checkpoint = None,
    weights: Weights = None,
    out: Out = None,
    device: Device = "auto",
    batch_size: BatchSize = None,
    workers: Workers = 0,
    limit: Limit = None,
    cfg_options: CfgOptions = None,
) -> None:
    """Photograph lit photos again in less and less light, and say how many stops each enhancer gains.

    Every exposure is a run of its own below OUT/runs; an interrupted curve is resumed by the same command.
    """
    from duskbench.benchmarks.config import load_benchmark_config
    from duskbench.benchmarks.night_curve_table import write_night_curves
    from duskbench.benchmarks.night_ladder import Ladder, measure_ladder
    from duskbench.benchmarks.progress import RichProgress
    from duskbench.benchmarks.run_plan import RunOptions

    use_weights(weights)
    ladder = Ladder(_stops(exposures), tuple(dict.fromkeys(noise or ["low"])), seed)
    overrides = given_settings(data, None, split, enhancers=enhancer, detectors=detector)
    benchmark = load_benchmark_config(config, cfg_options=cfg_options or (), overrides=overrides)
    options = RunOptions(
        out or Path("runs") / benchmark.name, device, checkpoint, batch_size, workers=workers, limit=limit
    )
    with RichProgress(err_console) as progress:
        summaries = measure_ladder(benchmark, options, ladder, progress)
    # First: where a level has no result there is no curve, and these say why.
    for folder, summary in summaries:
        for line in summary.shortfalls():
            err_console.print(Text(f"{folder}: {line}", style="red"))
    print_as("terminal", write_night_curves(options.out, ladder, benchmark.title))
    written = f"Written: {options.out}/curve.md, .csv, .tex; `duskbench report {options.out}` draws it"
    out_console.print(Text(written), soft_wrap=True)
    if not all(summary.ok for _, summary in summaries):
        raise typer.Exit(EXIT_IMAGES_FAILED)


def _stops(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(each) for each in text.split(","))
    except ValueError as error:
        raise ConfigError("Cannot read the exposures.", where="--exposures", expected="0,-1,-2", got=text) from error
