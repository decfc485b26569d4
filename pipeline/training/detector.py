"""Training of a detector by mmengine's Runner, from an mmdet config, and the export of what came out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.files import write_bytes
from duskbench.pipeline.checkpoint import read_checkpoint, safetensors_bytes
from duskbench.pipeline.config_settings import runner_settings
from duskbench.pipeline.mmcv_ops import provide_mmcv_ops
from duskbench.pipeline.training.batches import without_single_images
from duskbench.pipeline.training.launch import join_launcher, read_config, run
from duskbench.pipeline.training.samples import RaiseDataErrors  # noqa: F401 - registers it

KEYS = ("model", "train_dataloader", "train_cfg", "optim_wrapper")


def train(
    config: str | Path | Config,
    *,
    work_dir: str | Path,
    resume: bool = False,
    cfg_options: Mapping[str, Any] | None = None,
    hooks: Sequence[Hook] = (),
) -> Path:
    """Train a detector.

    Args:
        config: An mmdet config with `train_dataloader`, `train_cfg` and `optim_wrapper`.
        work_dir: See `duskbench.pipeline.training.enhancer.train`, as for what else is not said here.
        resume: See there; the weights are then those of an uninterrupted run, to rounding.
        cfg_options: See there.
        hooks: See `duskbench.pipeline.training.launch.run`.

    Raises:
        ConfigError: The config cannot be read, or says nothing about training.
        DataError: The data set is not where the config says.
        WeightsError: The run left no checkpoint.
    """
    loaded = read_config(config, cfg_options, KEYS, runner_settings() | {"channels_last"})
    _fill_registries()
    for name in ("train_dataloader", "val_dataloader"):
        for dataset in _datasets(loaded.get(name)):
            _check_data(dataset, name)
            _read_by_one_reader(dataset)
        if loaded.get(name):
            loaded[name].setdefault("collate_fn", {"type": "collate_unless_error"})
    loaded.train_dataloader = without_single_images(loaded.train_dataloader)
    loaded.custom_hooks = [*(loaded.get("custom_hooks") or []), {"type": "RaiseDataErrors"}]
    # Convolutions of this size are a fifth faster on CPUs in this layout, and no slower on GPUs.
    loaded.setdefault("channels_last", True)
    if not torch.cuda.is_available():
        # mmengine's default gives each of several processes a GPU.
        loaded.setdefault("model_wrapper_cfg", {"type": "MMDistributedDataParallel", "device_ids": None})
    join_launcher(loaded)
    return run(loaded, work_dir, resume=resume, hooks=hooks)


def _fill_registries() -> None:
    provide_mmcv_ops()
    import mmdet.datasets
    import mmdet.engine
    import mmdet.evaluation
    import mmdet.models
    import mmdet.visualization  # noqa: F401

    import duskbench.pipeline.training.voc_boxes  # noqa: F401


def _datasets(loader: Mapping[str, Any] | None) -> Iterator[Any]:
    """The configurations of a loader's data set and of those in it."""
    pending = [loader["dataset"]] if loader else []
    while pending:
        dataset = pending.pop()
        yield dataset
        pending += [dataset["dataset"]] if "dataset" in dataset else list(dataset.get("datasets", []))


def _check_data(dataset: Mapping[str, Any], loader: str) -> None:
    """Data sets raise a bare FileNotFoundError deep inside a registry; say what is missing instead."""
    listing = Path(dataset.get("data_root") or "") / (dataset.get("ann_file") or "")
    if dataset.get("ann_file") and not listing.is_file():
        raise DataError(
            "The training data is not there.",
            where=listing,
            expected="a list of image ids",
            todo="make it (`duskbench data miniature`) or fetch it (`duskbench data fetch`), or name its folder: "
            f"--cfg-options {loader}.dataset.data_root=DIR",
        )


def _read_by_one_reader(dataset: Mapping[str, Any]) -> None:
    """Have local images in colours read as everywhere here; grey ones and those of a server stay mmcv's."""
    for step in dataset.get("pipeline") or ():
        name = str(getattr(step["type"], "__name__", step["type"])).rpartition(".")[2]
        elsewhere = any(step.get(key) for key in ("backend_args", "file_client_args", "ignore_empty"))
        if name == "LoadImageFromFile" and step.get("color_type", "color") == "color" and not elsewhere:
            step["type"] = "ReadImage"


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
    state_dict, classes = read_checkpoint(Path(checkpoint))
    metadata = {"format": "pt", **({"classes": ",".join(classes)} if classes else {})}
    tensors = {key: value.contiguous() for key, value in state_dict.items() if not key.startswith("data_preprocessor.")}
    write_bytes(path, safetensors_bytes(tensors, metadata))
    return Path(path)
