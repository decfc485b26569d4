"""`duskbench train`: a detector or an enhancer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from duskbench.benchmarks.cli.console import out_console
from duskbench.benchmarks.cli.options import CfgOptions, Overwrite, Weights, use_weights
from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.files import check_place


def train(
    config: Annotated[Path, typer.Argument(help="A training configuration: configs/training/guided.py.")],
    work_dir: Annotated[
        Path | None, typer.Option(help="Checkpoints and logs; by default work_dirs/<configuration>.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint.")] = False,
    export: Annotated[Path | None, typer.Option(help="Write the trained weights to this .safetensors file.")] = None,
    weights: Weights = None,
    cfg_options: CfgOptions = None,
    overwrite: Overwrite = False,
) -> None:
    """Train a detector or an enhancer on mmengine's Runner.

    Started by torchrun or Slurm, it trains on all their processes.
    """
    from mmengine.dist import is_main_process

    from duskbench.benchmarks.cfg_options import parse_cfg_options
    from duskbench.pipeline.config_settings import runner_settings
    from duskbench.pipeline.mmdet_config import load_config

    use_weights(weights)
    if export is not None:
        # What is there may be this training's: the same command once more ends as it ended before.
        _check_export(export, overwrite=overwrite or resume)
    loaded = load_config(config)
    if loaded.get("schedule"):
        from duskbench.pipeline.training import enhancer as training
    else:
        from duskbench.pipeline.training import detector as training  # type: ignore[no-redef]
    checkpoint = training.train(
        loaded,
        work_dir=work_dir or Path("work_dirs") / config.stem,
        resume=resume,
        cfg_options=parse_cfg_options(
            cfg_options or (), {**dict.fromkeys(runner_settings()), **loaded.to_dict()}, config
        ),
    )
    if not is_main_process():
        return
    out_console.print(f"Trained: {checkpoint}", soft_wrap=True)
    if export is not None:
        out_console.print(f"Written: {training.export(checkpoint, export)}", soft_wrap=True)


def _check_export(path: Path, *, overwrite: bool) -> None:
    """Refuse before a training what could not be written, or not be read as weights, after it."""
    if path.suffix != ".safetensors" or path.is_dir():
        got = f"{path}, a folder" if path.is_dir() else repr(str(path))
        raise ConfigError("Weights are not exported there.", where="--export", expected="FILE.safetensors", got=got)
    check_place(path, overwrite=overwrite)
