"""`duskbench nightly`: run, compare with the baseline, append to the history, decide."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from duskbench.benchmarks.cli.console import err_console, out_console
from duskbench.benchmarks.cli.options import (
    EXIT_REGRESSION,
    EXIT_USAGE,
    AllowMissing,
    BatchSize,
    CfgOptions,
    Checkpoint,
    Cluster,
    Data,
    Detector,
    Device,
    GpusPerWorker,
    Layout,
    Limit,
    Metric,
    SendImages,
    TimeLimit,
    Tracker,
    Weights,
    Workers,
    cluster_options,
    given_settings,
    use_time_limit,
    use_weights,
)
from duskbench.data_tools.errors import ConfigError

if TYPE_CHECKING:
    from duskbench.benchmarks.nightly.night import Night

_STYLES = {"green": "bold green", "red": "bold red", "not comparable": "bold yellow"}


def nightly(
    config: Annotated[str, typer.Argument(help="Configuration file, or the name of one that ships: nightly, table2.")],
    history: Annotated[Path, typer.Option(help="File of all nights; the first night creates it.")],
    accept: Annotated[
        bool, typer.Option("--accept", help="Make the newest night the baseline; nothing is measured.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="JUnit XML to write: a test case per enhancer and gate.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Markdown to write, as for $GITHUB_STEP_SUMMARY.")] = None,
    report: Annotated[Path | None, typer.Option(help="HTML report to write, with the curves of all nights.")] = None,
    json: Annotated[
        Path | None,
        typer.Option(
            help="JSON to write for dashboards: FILE for Bencher; beside it, for github-action-benchmark, "
            "STEM.smaller.json and STEM.bigger.json (one direction a file)."
        ),
    ] = None,
    tracker: Tracker = None,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="By how much a metric may get worse, in the unit in which it is shown; repeatable. By default each "
            "metric's own tolerance.",
        ),
    ] = None,
    throughput_ratio: Annotated[
        float, typer.Option(help="Least share of the baseline's throughput, relative to the calibration workload.")
    ] = 0.7,
    data: Data = None,
    layout: Layout = None,
    detector: Detector = None,
    metric: Metric = None,
    checkpoint: Checkpoint = None,
    weights: Weights = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the nights' results; by default runs/<configuration>-nights.")
    ] = None,
    device: Device = "auto",
    batch_size: BatchSize = None,
    workers: Workers = 0,
    cluster: Cluster = None,
    gpus_per_worker: GpusPerWorker = None,
    send_images: SendImages = False,
    limit: Limit = None,
    time_limit: TimeLimit = None,
    allow_missing: AllowMissing = False,
    cfg_options: CfgOptions = None,
) -> None:
    """Run a benchmark every night and say whether something got worse.

    Exit code 0 is green, 3 red, 2 an error or a baseline that cannot be compared with. An interrupted night is resumed
    by the same command.
    """
    from duskbench.benchmarks.config import find_config, load_benchmark_config
    from duskbench.benchmarks.nightly.gate import Limits
    from duskbench.benchmarks.nightly.outputs import Outputs
    from duskbench.benchmarks.nightly.run import NightOptions, accept_newest, run_night
    from duskbench.benchmarks.progress import RichProgress
    from duskbench.benchmarks.run_plan import RunOptions

    limits = Limits(_tolerances(tolerance or ()), throughput_ratio)
    if accept:
        night = accept_newest(find_config(config).stem, history)
        out_console.print(Text(f"Night {night.id} ({night.verdict}) is the baseline of {night.config} now."))
        return
    use_weights(weights)
    use_time_limit(time_limit)
    overrides = given_settings(data, layout, allow_missing=allow_missing, detectors=detector)
    benchmark = load_benchmark_config(
        config, cfg_options=cfg_options or (), overrides=overrides, more_metrics=metric or ()
    )
    run = RunOptions(
        out=out or Path("runs") / f"{benchmark.name}-nights",
        device=device,
        checkpoint=checkpoint,
        batch_size=batch_size,
        workers=workers,
        cluster=cluster_options(cluster, gpus_per_worker, send_images=send_images),
        limit=limit,
    )
    command = shlex.join(["duskbench", "nightly", config, "--history", str(history), "--accept"])
    outputs = Outputs(history, command, junit, summary, report, json, tracker)
    outputs.check()
    with RichProgress(err_console) as progress:
        night = run_night(benchmark, NightOptions(history, run, limits), outputs.write, progress)
    _print(night, command)
    if night.verdict != "green":
        raise typer.Exit(EXIT_REGRESSION if night.verdict == "red" else EXIT_USAGE)


def _tolerances(given: Sequence[str]) -> dict[str, float]:
    tolerances = {}
    for each in given:
        key, _, value = each.partition("=")
        try:
            tolerances[key] = float(value)
        except ValueError as error:
            raise ConfigError(
                "A tolerance is not of the form.", where="--tolerance", expected="KEY=VALUE, as in niqe=0.1", got=each
            ) from error
    return tolerances


def _print(night: Night, accept: str) -> None:
    from duskbench.benchmarks.nightly.annotations import github_annotations
    from duskbench.benchmarks.nightly.summary import headline, to_do

    out_console.print(Text(headline(night), style=_STYLES[night.verdict]))
    for line in night.differences:
        out_console.print(Text(f"  {line}"))
    for finding in night.failed:
        out_console.print(Text(f"  {finding.subject}, {finding.gate}: {finding.message}"))
    for note in night.notes:
        out_console.print(Text(f"  {note}", style="dim"))
    if (todo := to_do(night, accept)) is not None:
        out_console.print(Text(todo.replace("`", "")))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in github_annotations(night):
            # Not by the console, which breaks lines at its width: a workflow command is one line.
            typer.echo(line)
