"""Training of a detector by mmengine's Runner, from an mmdet config, and the export of what came out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from data_tools.errors import ConfigError, DataError
from pipeline.detectors.mmcv_ops import provide_mmcv_ops
from pipeline.detectors.mmdet import load_config, read_checkpoint
from pipeline.training.launch import join_launcher, last_checkpoint, unformatted, wait_for_all


def train(
    config: str | Path | Config,
    *,
    work_dir: str | Path,
    resume: bool = False,
    cfg_options: Mapping[str, Any] | None = None,
) -> Path:
    """Train a detector.

    Runs on the GPU if there is one, and on several processes where `torchrun` or Slurm started them.

    Args:
        config: An mmdet config with `train_dataloader`, `train_cfg` and `optim_wrapper`.
        work_dir: Where checkpoints and the log go; made.
        resume: Go on from the last checkpoint in `work_dir`, if there is one.
        cfg_options: Values to put into the config, dotted key -> value.

    Returns:
        The last checkpoint.

    Raises:
        ConfigError: The config cannot be read, or says nothing about training.
        DataError: The data set is not where the config says.
        WeightsError: The run left no checkpoint.
    """
    loaded = unformatted(load_config(config, cfg_options))
    missing = [key for key in ("train_dataloader", "train_cfg", "optim_wrapper") if not loaded.get(key)]
    if missing:
        raise ConfigError(
            "The config says nothing about training.", where=loaded.filename, expected=", ".join(missing), got="none"
        )
    _check_data(loaded)
    loaded.work_dir = str(work_dir)
    loaded.resume = resume
    join_launcher(loaded, cpu_wrapper={"type": "MMDistributedDataParallel", "device_ids": None})
    runner = _runner(loaded)
    # Convolutions of this size are a fifth faster on CPUs in this layout, and no slower on GPUs.
    runner.model.to(memory_format=torch.channels_last)
    runner.train()
    wait_for_all()
    return last_checkpoint(work_dir)


def _runner(config: Config) -> Any:
    provide_mmcv_ops()
    import mmdet.datasets
    import mmdet.engine
    import mmdet.evaluation
    import mmdet.models
    import mmdet.visualization  # noqa: F401 - these imports fill the registries
    from mmengine.runner import Runner

    return Runner.from_cfg(config)


def _check_data(config: Config) -> None:
    """Data sets raise a bare FileNotFoundError deep inside a registry; say what is missing instead."""
    pending = [config.train_dataloader.dataset]
    while pending:
        dataset = pending.pop()
        pending += [dataset["dataset"]] if "dataset" in dataset else list(dataset.get("datasets", []))
        if "ann_file" in dataset:
            listing = Path(dataset.get("data_root") or "") / dataset["ann_file"]
            if not listing.is_file():
                raise DataError(
                    "The training data is not there.",
                    where=listing,
                    expected="a list of image ids",
                    todo="make it (`duskbench data miniature`) or fetch it (`duskbench data fetch`), or name its "
                    "folder: --cfg-options train_dataloader.dataset.data_root=DIR",
                )


def export(checkpoint: str | Path, path: str | Path) -> Path:
    """Write a checkpoint's weights as safetensors, without optimizer state and logs.

    Args:
        checkpoint: A file of the Runner.
        path: Destination, `.safetensors`; written atomically.

    Returns:
        The destination.

    Raises:
        WeightsError: The checkpoint cannot be read.
    """
    from safetensors.torch import save

    from data_tools.images import write_bytes

    state_dict, classes = read_checkpoint(Path(checkpoint))
    metadata = {"format": "pt", **({"classes": ",".join(classes)} if classes else {})}
    tensors = {key: value.contiguous() for key, value in state_dict.items() if not key.startswith("data_preprocessor.")}
    write_bytes(path, save(tensors, metadata=metadata))
    return Path(path)
