"""Training of an enhancer by mmengine's Runner, and the export of the network that enhances."""

from __future__ import annotations

import importlib
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.registry import (
    DATASETS,
    HOOKS,
    MODEL_WRAPPERS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
)
from mmengine.runner import Runner
from torch import nn

from data_tools.errors import ConfigError, WeightsError
from data_tools.images import write_bytes
from pipeline.allocator import keep_freed_memory
from pipeline.detectors.mmdet import load_config, safe_load
from pipeline.networks.build import register_all
from pipeline.networks.features import FrozenFeatures
from pipeline.training.launch import checkpoints, join_launcher, last_checkpoint, unformatted, wait_for_all
from pipeline.training.trainable import SharedGradients, TrainableEnhancer

# Filled by importing them: what a configuration can name.
METHODS = (
    "pipeline.training.cyclegan",
    "pipeline.training.enlightengan",
    "pipeline.training.guided",
    "pipeline.training.hooks",
    "pipeline.training.unpaired",
    "pipeline.training.zero_dce",
)
KEYS = ("model", "train_dataloader", "schedule", "optim_wrapper")
RECORD = "duskbench_export"
_RUNS = itertools.count()


def train(
    config: str | Path | Config,
    *,
    work_dir: str | Path,
    resume: bool = False,
    cfg_options: Mapping[str, Any] | None = None,
) -> Path:
    """Train an enhancer.

    Runs on the GPU if there is one, and on several processes where `torchrun` or Slurm started them.

    Args:
        config: A training configuration (`configs/training`).
        work_dir: Where checkpoints, samples and the log go; made.
        resume: Go on from the newest checkpoint in `work_dir`, if there is one; on a CPU the losses are then those of
            an uninterrupted run, bit for bit.
        cfg_options: Values to put into the configuration, dotted key -> value.

    Returns:
        The last checkpoint.

    Raises:
        ConfigError: The configuration cannot be read, or says nothing about the training of an enhancer.
        DataError: The training set is not there.
        TrainingError: The loss ran away.
        WeightsError: Weights of a feature extractor cannot be had.
    """
    keep_freed_memory()
    loaded = prepare(config, cfg_options)
    loaded.work_dir = str(work_dir)
    # mmengine keeps loggers by this name and the second: two runs in one process would write into the first's files.
    loaded.experiment_name = f"{Path(loaded.filename or 'enhancer').stem}_{next(_RUNS)}"
    join_launcher(loaded, cpu_wrapper={"type": "SharedGradients"})
    if loaded.launcher != "none":
        loaded.model_wrapper_cfg = {"type": "SharedGradients"}
    _apply_schedule(loaded)
    earlier = checkpoints(work_dir) if resume else []
    if earlier:
        loaded.resume, loaded.load_from = True, str(earlier[-1])
    runner = Runner.from_cfg(loaded)
    if loaded.get("channels_last"):
        model = getattr(runner.model, "module", runner.model)
        model.to(memory_format=torch.channels_last)
        model.data_preprocessor.memory_format = torch.channels_last
    runner.train()
    wait_for_all()
    return last_checkpoint(work_dir)


def prepare(config: str | Path | Config, cfg_options: Mapping[str, Any] | None = None) -> Config:
    """Read a training configuration, complete it, and fill the registries it names things of.

    Raises:
        ConfigError: It cannot be read, or is not one of an enhancer's training.
    """
    register_all()
    for module in METHODS:
        importlib.import_module(module)
    loaded = unformatted(load_config(config, cfg_options))
    missing = [key for key in KEYS if not loaded.get(key)]
    if missing:
        raise ConfigError(
            "The configuration is not one of an enhancer's training.",
            where=loaded.filename,
            expected=", ".join(KEYS),
            got=f"no {', '.join(missing)}",
        )
    dataset = loaded.train_dataloader.dataset
    dataset.setdefault("root", loaded.get("data_root"))
    dataset.setdefault("seed", (loaded.get("randomness") or {}).get("seed") or 0)
    loaded.optim_wrapper.setdefault("constructor", "PerNetworkOptimizers")
    loaded.custom_hooks = [*loaded.get("custom_hooks", []), {"type": "ExportRecord"}]
    if loaded.get("ema"):
        loaded.custom_hooks.append({"type": "EMAHook", "momentum": 1 - loaded.ema})
    return loaded


def _apply_schedule(config: Config) -> None:
    """Turn epochs into iterations of the global batch, and both into the Runner's loop and learning rates."""
    schedule = {"unit": None, "constant": None, "decay": None, **config.schedule}
    units = {"epochs": _epoch, "steps": lambda _: 1}
    lengths = [schedule["constant"], schedule["decay"]]
    if schedule["unit"] not in units or len(schedule) > 3 or not all(isinstance(n, int) and n >= 0 for n in lengths):
        raise ConfigError(
            "The schedule is not clear.",
            where=config.filename,
            expected="schedule=dict(unit='epochs' or 'steps', constant=N, decay=N)",
            got=str(dict(config.schedule)),
        )
    unit = units[schedule["unit"]](config)
    constant, decay = (length * unit for length in lengths)
    config.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": constant + decay, "val_interval": 10**9}
    # Zero is reached one step after the last, so that no step is without effect.
    span = {"begin": constant, "end": constant + decay + 1}
    linear = {"type": "LinearLR", "start_factor": 1.0, "end_factor": 0.0, "by_epoch": False, **span}
    config.param_scheduler = [linear] if decay else []


def _epoch(config: Config) -> int:
    """Steps in which the global batch sees every image of the larger domain once."""
    world = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    samples = len(DATASETS.build(config.train_dataloader.dataset))
    return -(-samples // (config.train_dataloader.batch_size * world))


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class PerNetworkOptimizers:
    """One optimizer for each trained network, by the network's attribute name in the model.

    Raises:
        ConfigError: The model has no such network, or nothing of it is to be trained.
    """

    def __init__(self, optim_wrapper_cfg: Mapping[str, Any], paramwise_cfg: Any = None) -> None:
        self.configs = dict(optim_wrapper_cfg)

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Build the optimizers of a model."""
        model = getattr(model, "module", model)
        wrappers = {}
        for name, config in self.configs.items():
            network = getattr(model, name, None)
            parameters = [p for p in network.parameters() if p.requires_grad] if network is not None else []
            if not parameters:
                raise ConfigError(
                    "There is nothing to optimise.",
                    where=f"optim_wrapper.{name}",
                    expected=f"a network of {type(model).__name__}: {', '.join(n for n, _ in model.named_children())}",
                    got=repr(name),
                )
            optimizer = OPTIMIZERS.build({**config["optimizer"], "params": parameters})
            wrappers[name] = OPTIM_WRAPPERS.build({"type": "OptimWrapper", **config, "optimizer": optimizer})
        return OptimWrapperDict(**wrappers)


MODEL_WRAPPERS.register_module(module=SharedGradients, force=True)


@HOOKS.register_module()
class ExportRecord(Hook):
    """Write into each checkpoint how its generator is rebuilt, so that it can be exported without the configuration."""

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Add the record to the checkpoint's meta."""
        model = getattr(runner.model, "module", runner.model)
        checkpoint["meta"][RECORD] = json.dumps(_record(model))


def _record(model: TrainableEnhancer) -> dict[str, Any]:
    network, config = model.exported
    prefix = next(name for name, module in model.named_modules() if module is network)
    frozen = {name: module for name, module in network.named_modules() if isinstance(module, FrozenFeatures)}
    return {
        "network": config,
        "prefix": f"{prefix}.",
        "features": {name: module.sha256() for name, module in frozen.items()},
    }


def export(checkpoint: str | Path, path: str | Path) -> Path:
    """Write the enhancing network of a checkpoint as safetensors.

    Its configuration goes into the file's metadata. Frozen extractors stay outside, as hashes: they have files of
    their own.

    Args:
        checkpoint: A file of the Runner.
        path: Destination, `.safetensors`; written atomically.

    Returns:
        The destination.

    Raises:
        WeightsError: The checkpoint cannot be read, or is not one of an enhancer's training.
    """
    from safetensors.torch import save

    content = safe_load(Path(checkpoint))
    record = (content.get("meta") or {}).get(RECORD) if isinstance(content, Mapping) else None
    if record is None:
        raise WeightsError(
            "The file is not a checkpoint of an enhancer's training.",
            where=checkpoint,
            expected="a file that `duskbench train configs/training/...` wrote",
            got="no record of its network",
        )
    described = json.loads(record)
    prefix, frozen = described["prefix"], tuple(f"{name}." for name in described["features"])
    state = {key.removeprefix("module."): value for key, value in content["state_dict"].items()}
    own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    tensors = {key: value.contiguous().clone() for key, value in own.items() if not key.startswith(frozen)}
    metadata = {
        "format": "pt",
        "network": json.dumps(described["network"]),
        "features": json.dumps(described["features"]),
    }
    write_bytes(path, save(tensors, metadata=metadata))
    return Path(path)


def build_model(config: str | Path | Config, cfg_options: Mapping[str, Any] | None = None) -> TrainableEnhancer:
    """Build the model of a training configuration, untrained; for benchmarks and tests."""
    return MODELS.build(prepare(config, cfg_options).model)
