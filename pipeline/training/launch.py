"""What every training run shares: mmengine's Runner, one process or several, and the checkpoints of a folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch
from mmengine.config import Config

from data_tools.errors import WeightsError


def unformatted(config: Config) -> Config:
    """The same config without formatting of its text, which takes seconds for each checkpoint it is put into."""
    return Config(
        config.to_dict(),
        cfg_text=config.text,
        filename=config.filename,
        env_variables=config.env_variables,
        format_python_code=False,
    )


def join_launcher(config: Config, cpu_wrapper: dict[str, object]) -> None:
    """Set `config.launcher` by what started this process (torchrun, Slurm or nothing), and join the others.

    Args:
        config: Changed in place.
        cpu_wrapper: `model_wrapper_cfg` for several processes without GPUs, joined through gloo here because
            mmengine's own start-up asks each of them for a GPU.
    """
    if "LOCAL_RANK" in os.environ:
        config.launcher = "pytorch"
    else:
        slurm = "SLURM_PROCID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1
        config.launcher = "slurm" if slurm else "none"
    if config.launcher == "none" or torch.cuda.is_available():
        return
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo")
    config.model_wrapper_cfg = cpu_wrapper


def wait_for_all() -> None:
    """Wait until every process is here; of no effect where there is one."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()


def checkpoints(work_dir: str | Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    found = {
        int(match[1]): path
        for path in Path(work_dir).glob("*.pth")
        if (match := re.fullmatch(r"(?:iter|epoch)_(\d+)\.pth", path.name))
    }
    return [found[number] for number in sorted(found)]


def last_checkpoint(work_dir: str | Path) -> Path:
    """The newest checkpoint of a run.

    Raises:
        WeightsError: There is none.
    """
    found = checkpoints(work_dir)
    if not found:
        raise WeightsError(
            "The training run has no checkpoint.", where=work_dir, expected="iter_N.pth or epoch_N.pth", got="none"
        )
    return found[-1]
