"""Training of an enhancer by mmengine's Runner, and the export of the network that enhances."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.registry import (
    DATASETS,
    HOOKS,
    MODEL_WRAPPERS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
)
from torch import nn

from duskbench.data_tools.errors import ConfigError, WeightsError
from duskbench.data_tools.files import write_bytes
from duskbench.data_tools.settings import is_number, is_whole
from duskbench.pipeline.allocator import keep_freed_memory
from duskbench.pipeline.checkpoint import RECORD, safe_load, safetensors_bytes, trained_network
from duskbench.pipeline.config_settings import runner_settings
from duskbench.pipeline.networks.features import frozen_features
from duskbench.pipeline.registered import import_named
from duskbench.pipeline.training.launch import join_launcher, read_config, run
from duskbench.pipeline.training.trainable import SharedGradients, TrainableEnhancer, unwrapped

KEYS = ("model", "train_dataloader", "schedule", "optim_wrapper")
# Top-level settings of our own, and those of the Runner that follow from them.
_READ_HERE = {"channels_last", "data_root", "ema", "schedule"}
_HOOKS = ("RaiseDataErrors", "ExportRecord", "BatchStatisticsCheck")
_SET_HERE = {"model_wrapper_cfg", "param_scheduler", "train_cfg"}


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
    join_launcher(loaded)
    _apply_schedule(loaded)
    return run(loaded, work_dir, resume=resume)


def prepare(config: str | Path | Config, cfg_options: Mapping[str, Any] | None = None) -> Config:
    """Read a training configuration, complete it, and import what it names.

    Raises:
        ConfigError: It cannot be read, or is not one of an enhancer's training.
    """
    loaded = read_config(config, cfg_options, KEYS, runner_settings() - _SET_HERE | _READ_HERE)
    dataset = loaded.train_dataloader.dataset
    if "data_root" in (cfg_options or {}) and "root" in dataset:
        raise ConfigError(
            "The training set is named twice: data_root has no effect where train_dataloader.dataset.root is set.",
            where=loaded.filename,
            expected="one of the two",
            got=f"data_root={loaded.data_root!r}, train_dataloader.dataset.root={dataset.root!r}",
            todo="name the folder by --cfg-options train_dataloader.dataset.root=DIR",
        )
    dataset.setdefault("root", loaded.get("data_root"))
    _check_settings(loaded)
    dataset.setdefault("seed", (loaded.get("randomness") or {}).get("seed") or 0)
    loaded.optim_wrapper.setdefault("constructor", "PerNetworkOptimizers")
    # The Runner takes no notice of it where there is one process.
    loaded.model_wrapper_cfg = {"type": "SharedGradients"}
    loaded.train_dataloader.collate_fn = {"type": "collate_samples"}
    loaded.custom_hooks = [*loaded.get("custom_hooks", []), *({"type": name} for name in _HOOKS)]
    # Under this name mmengine's Runner would compile the step as a whole, with its optimisers and its log.
    if loaded.pop("compile", False):
        loaded.custom_hooks.append({"type": "CompileNetworks"})
    if loaded.get("ema"):
        loaded.custom_hooks.append({"type": "EMAHook", "momentum": 1 - loaded.ema, "update_buffers": True})
    import_named(loaded.to_dict())
    return loaded


def _check_settings(config: Config) -> None:
    """Check the kinds of our own settings."""
    roots, ema = config.train_dataloader.dataset.root, config.get("ema")
    listed = roots if isinstance(roots, list | tuple) and roots else [roots]
    for name, got, right, expected in (
        (
            "data_root",
            roots,
            all(isinstance(each, str | Path) and each for each in listed),
            "a folder, or a list of them",
        ),
        ("ema", ema, ema is None or (is_number(ema) and 0 < ema < 1), "above 0 and below 1, or None"),
        *(
            (name, config.get(name), isinstance(config.get(name, False), bool), "True or False")
            for name in ("channels_last", "compile")
        ),
    ):
        if not right:
            raise ConfigError(
                f"The training cannot be set so: {name}.", where=config.filename, expected=expected, got=repr(got)
            )


def _apply_schedule(config: Config) -> None:
    """Turn epochs into iterations of the global batch, and both into the Runner's loop and learning rates."""
    schedule = {"unit": None, "constant": None, "decay": 0, "milestones": (), "factor": 0.5, **config.schedule}
    units = {"epochs": _epoch, "steps": lambda _: 1}
    milestones, factor = schedule["milestones"], schedule["factor"]
    right = schedule["unit"] in units and len(schedule) == 5 and isinstance(milestones, list | tuple)
    right = right and all(is_whole(n, 0) for n in (schedule["constant"], schedule["decay"], *milestones))
    if not right or schedule["constant"] + schedule["decay"] < 1 or not is_number(factor) or factor <= 0:
        raise ConfigError(
            "The schedule is not clear.",
            where=config.filename,
            expected="schedule=dict(unit='epochs' or 'steps', constant=N, decay=N), N + N of at least 1, and if wanted "
            "milestones=[N, ...], factor=0.5",
            got=str(dict(config.schedule)),
        )
    unit = units[schedule["unit"]](config)
    constant, decay, *milestones = (n * unit for n in (schedule["constant"], schedule["decay"], *milestones))
    config.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": constant + decay, "val_interval": 10**9}
    # Zero is reached one step after the last, so that no step is without effect.
    span = {"begin": constant, "end": constant + decay + 1}
    linear = {"type": "LinearLR", "start_factor": 1.0, "end_factor": 0.0, "by_epoch": False, **span}
    steps = {"type": "MultiStepLR", "milestones": milestones, "gamma": factor, "by_epoch": False}
    config.param_scheduler = [*([linear] if decay else []), *([steps] if milestones else [])]


def _epoch(config: Config) -> int:
    """Steps in which the global batch sees every image of the larger domain once."""
    samples = len(DATASETS.build(config.train_dataloader.dataset))
    return -(-samples // (config.train_dataloader.batch_size * get_world_size()))


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class PerNetworkOptimizers:
    """One optimizer for each trained network, by the network's attribute name in the model.

    Raises:
        ConfigError: The model has no such network, or nothing of it is to be trained; or a setting of mmengine's would
            have no effect here, or another one.
    """

    def __init__(self, optim_wrapper_cfg: Mapping[str, Any], paramwise_cfg: Any = None) -> None:
        self.configs = dict(optim_wrapper_cfg)
        if paramwise_cfg:
            raise ConfigError(
                "An enhancer's training has no settings for single weights.",
                where="optim_wrapper.paramwise_cfg",
                expected=f"none; the settings of whole networks: {', '.join(self.configs)}",
                got=str(dict(paramwise_cfg)),
            )
        for name, config in self.configs.items():
            # `TrainableEnhancer.descend` makes a step of every batch.
            counts = config.get("accumulative_counts", 1) if isinstance(config, Mapping) else 1
            if counts != 1:
                raise ConfigError(
                    "An enhancer's training does not sum up the gradients of several batches.",
                    where=f"optim_wrapper.{name}.accumulative_counts",
                    expected="1",
                    got=repr(counts),
                    todo="set train_dataloader.batch_size, or train in several processes, which share a batch",
                )

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Build the optimizers of a model."""
        model = unwrapped(model)
        wrappers = {}
        for name, config in self.configs.items():
            network = getattr(model, name, None)
            parameters = [p for p in network.parameters() if p.requires_grad] if isinstance(network, nn.Module) else []
            if not parameters:
                raise ConfigError(
                    "There is nothing to optimise.",
                    where=f"optim_wrapper.{name}",
                    expected=f"a network of {type(model).__name__}: {', '.join(n for n, _ in model.named_children())}",
                    got=repr(name),
                )
            # An update in one pass over the weights: the same but for roundings, in a quarter of the time on a CPU.
            fused = {"fused": True} if config["optimizer"].get("type") in ("Adam", "AdamW") else {}
            optimizer = OPTIMIZERS.build({**fused, **config["optimizer"], "params": parameters})
            wrappers[name] = OPTIM_WRAPPERS.build({"type": "OptimWrapper", **config, "optimizer": optimizer})
        return OptimWrapperDict(**wrappers)


MODEL_WRAPPERS.register_module(module=SharedGradients, force=True)


@HOOKS.register_module()
class ExportRecord(Hook):
    """Write into each checkpoint how its generator is rebuilt, so that it can be exported without the configuration."""

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Add the record to the checkpoint's meta."""
        checkpoint["meta"][RECORD] = json.dumps(_record(unwrapped(runner.model)))


def _record(model: TrainableEnhancer) -> dict[str, Any]:
    network, config = model.exported
    return {"network": config, "prefix": model.exported_prefix, "features": frozen_features(network)}


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
    found = trained_network(safe_load(Path(checkpoint)))
    if found is None:
        raise WeightsError(
            "The file is not a checkpoint of an enhancer's training.",
            where=checkpoint,
            expected="a file that `duskbench train configs/training/...` wrote",
            got="no record of its network",
        )
    tensors = {key: value.contiguous().clone() for key, value in found[0].items()}
    metadata = {"format": "pt", **found[1]}
    write_bytes(path, safetensors_bytes(tensors, metadata))
    return Path(path)
