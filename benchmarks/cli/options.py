"""What several commands share: options, exit codes, and the folder of weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from duskbench.data_tools.errors import ConfigError, UnknownNameError
from duskbench.pipeline.device import chosen_device

if TYPE_CHECKING:
    from duskbench.benchmarks.executors.choice import ClusterOptions

EXIT_IMAGES_FAILED = 1
EXIT_USAGE = 2
EXIT_REGRESSION = 3
EXIT_INTERRUPTED = 130

FORMATS = ("terminal", "markdown", "csv", "latex")


def _known_format(form: str) -> str:
    if form not in FORMATS:
        raise UnknownNameError("table format", form, FORMATS)
    return form


def _known_tracker(tracker: str | None) -> str | None:
    if tracker is not None:
        from duskbench.benchmarks.tracking import check_tracker

        check_tracker(tracker)
    return tracker


CfgOptions = Annotated[
    list[str] | None,
    typer.Option("--cfg-options", metavar="A.B=C ...", help="Settings over the configuration, as in mmdet's tools."),
]
Device = Annotated[
    str, typer.Option(callback=chosen_device, help="Torch device: auto (a GPU if there is one), cpu, cuda, cuda:1.")
]
Weights = Annotated[
    Path | None, typer.Option(help="Folder of weight files, searched before the cache; also $DUSKBENCH_WEIGHTS.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file that is there.")]
Checkpoint = Annotated[str | None, typer.Option(help="Weights of the detector.")]
BatchSize = Annotated[
    int | None, typer.Option(min=1, help="Images a detector is given at a time; by default as many as suits it.")
]
Workers = Annotated[
    int, typer.Option(min=0, help="Processes; 0 is one per core, one per GPU, or as many as a cluster has room for.")
]
Cluster = Annotated[
    str | None,
    typer.Option(help="Measure on a Ray cluster: auto (the one this machine belongs to), local, or HOST:PORT."),
]
GpusPerWorker = Annotated[
    float | None, typer.Option(min=0.0, help="With --cluster: GPUs of each worker; 1 if --device is a GPU, else 0.")
]
SendImages = Annotated[
    bool, typer.Option("--send-images", help="With --cluster: send the images; the machines need no common folder.")
]
TimeLimit = Annotated[
    float | None,
    typer.Option(min=0.001, help="Seconds a plug-in may take for an image; 600, or $DUSKBENCH_TIME_LIMIT."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="At most this many images, spread evenly over the set.")]
AllowMissing = Annotated[bool, typer.Option("--allow-missing", help="Images listed but absent are no failure.")]
Format = Annotated[str, typer.Option("--format", callback=_known_format, help="terminal, markdown, csv or latex.")]
Detector = Annotated[
    list[str] | None,
    typer.Option(help="A name, an mmdet config, an .onnx file, a results .json, file.py:Class, or none; repeatable."),
]
Metric = Annotated[
    list[str] | None,
    typer.Option(help="Measure this too: a name (`duskbench list`), file.py:Class, package.module:Class; repeatable."),
]
Tracker = Annotated[
    str | None,
    typer.Option(
        "--tracker", callback=_known_tracker, help="Give the numbers to a tracker too: tensorboard, wandb or mlflow."
    ),
]
Baseline = Annotated[str | None, typer.Option(help="Label of the row that differences are taken to; by default Input.")]
Layout = Annotated[
    str | None,
    typer.Option(help="Layout of the data set: exdark, voc, coco, ..., file.py:Class; recognised by default."),
]
Data = Annotated[Path | None, typer.Option(help="Root of the data set; the layout is detected.")]
_SPLIT = typer.Option(help="test, val, train, trainval, all, or a file of image ids.")
Split = Annotated[str | None, _SPLIT]
# Where no configuration says which.
OneSplit = Annotated[str, _SPLIT]
Out = Annotated[Path | None, typer.Option(help="Folder of the results; by default runs/<configuration>.")]
RunFolder = Annotated[Path, typer.Argument(help="Folder of a run (its --out).")]
Coco = Annotated[bool, typer.Option("--coco", help="Add COCO AP columns.")]


def given_settings(
    data: Path | None,
    layout: str | None,
    split: str | None = None,
    allow_missing: bool = False,
    enhancers: list[str] | None = None,
    detectors: list[str] | None = None,
) -> dict[str, Any]:
    """What the options of a run say over its configuration; None where an option was not given."""
    return {
        "data.root": str(data) if data else None,
        # Another tree need not have the layout of the configured one.
        "data.layout": layout or ("auto" if data else None),
        "data.split": split,
        "data.allow_missing": allow_missing or None,
        "enhancers": list(enhancers) if enhancers else None,
        "detector": list(detectors) if detectors else None,
    }


def use_weights(folder: Path | None) -> None:
    """Search a folder for weights before all others; worker processes inherit the environment, so it reaches them too.

    Raises:
        ConfigError: There is no such folder.
    """
    if folder is not None:
        check_weights(folder)
        earlier = os.environ.get("DUSKBENCH_WEIGHTS")
        os.environ["DUSKBENCH_WEIGHTS"] = os.pathsep.join(filter(None, [str(folder.resolve()), earlier]))


def use_time_limit(seconds: float | None) -> None:
    """Limit the time of plug-ins, in worker processes too."""
    if seconds is not None:
        os.environ["DUSKBENCH_TIME_LIMIT"] = str(seconds)


def cluster_options(address: str | None, gpus_per_worker: float | None, *, send_images: bool) -> ClusterOptions | None:
    """What `--cluster` and the options beside it ask for.

    Raises:
        ConfigError: One of those stands without it.
    """
    from duskbench.benchmarks.executors.choice import ClusterOptions

    if address is not None:
        return ClusterOptions(address, gpus_per_worker, send_images)
    for name, given in (("--gpus-per-worker", gpus_per_worker is not None), ("--send-images", send_images)):
        if given:
            raise ConfigError(f"{name} needs a cluster.", where=name, todo="add --cluster auto, or leave it out")
    return None


def check_weights(folder: Path) -> None:
    """Raise ConfigError unless `--weights` names a folder."""
    if not folder.is_dir():
        raise ConfigError("The folder of weights does not exist.", where="--weights", got=str(folder))
