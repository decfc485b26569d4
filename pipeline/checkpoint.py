"""Reading of checkpoints without running code from them."""

from __future__ import annotations

import argparse
import importlib
import json
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from duskbench.data_tools.errors import WeightsError

# Under this key of a checkpoint's meta, `duskbench train` says how its generator is rebuilt.
RECORD = "duskbench_export"
# What torch.load raises of a file that is damaged or of another kind.
UNREADABLE = (
    pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, TypeError, LookupError, AttributeError,
)  # fmt: skip


def trained_network(content: Any) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """The network that enhances of what `duskbench train` wrote as a checkpoint.

    Args:
        content: What `safe_load` read.

    Returns:
        Its tensors, without frozen extractors, which have files of their own; and under `network` and `features` its
        configuration and the extractors' hashes, as JSON. None if the content is of another kind.
    """
    meta = content.get("meta") if isinstance(content, Mapping) else None
    record = meta.get(RECORD) if isinstance(meta, Mapping) else None
    if record is None:
        return None
    described = json.loads(record)
    prefix, frozen = described["prefix"], tuple(f"{name}." for name in described["features"])
    own = {k.removeprefix(prefix): value for k, value in content["state_dict"].items() if k.startswith(prefix)}
    tensors = {key: value for key, value in own.items() if not key.startswith(frozen)}
    return tensors, {key: json.dumps(described[key]) for key in ("network", "features")}


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], tuple[str, ...] | None]:
    """Read a checkpoint without running code from it.

    Args:
        path: `.safetensors`, or a file saved by torch: a state dict, or mmdet's dict of one and `meta`.

    Returns:
        State dict without `module.` prefixes, and the class names it was trained on if it says so.

    Raises:
        WeightsError: The file is not a checkpoint, or holds objects other than tensors and mmengine's records.
    """
    if path.suffix == ".safetensors":
        from duskbench.pipeline.weights import load_described

        tensors, described = load_described(path)
        classes = described.get("classes")
        return tensors, tuple(classes.split(",")) if classes else None
    content = safe_load(path)
    state_dict = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state_dict, Mapping) or not all(isinstance(value, Tensor) for value in state_dict.values()):
        raise WeightsError(
            "The file is not a checkpoint.",
            where=path,
            expected="a state dict, or a dict with one under `state_dict`",
            got=f"{type(content).__name__} of {', '.join(map(str, list(content)[:5]))}"
            if isinstance(content, Mapping)
            else type(content).__name__,
        )
    meta = content.get("meta") or {} if state_dict is not content else {}
    saved = {str(key).lower(): value for key, value in (meta.get("dataset_meta") or meta).items()}
    classes = saved.get("classes")
    return (
        {key.removeprefix("module."): value for key, value in state_dict.items()},
        tuple(map(str, classes)) if classes else None,
    )


def safe_load(path: Path, *, mapped: bool = False) -> Any:
    """Read a torch file of tensors, plain values and mmengine's loss curves, and nothing that would run code.

    Args:
        path: The file.
        mapped: Leave tensors on disk until they are used.

    Raises:
        WeightsError: It cannot be read, or holds something else.
    """
    try:
        return load_plain_values(path, mapped=mapped)
    except UNREADABLE as error:
        from duskbench.pipeline.weights import unreadable

        expected = "a checkpoint of tensors and plain values"
        raise unreadable(path, expected, error, what="Cannot read the checkpoint.") from error


def load_plain_values(path: Path, *, mapped: bool = False) -> Any:
    """As `safe_load`, with the errors that torch raises."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError:
        with torch.serialization.safe_globals([*_loss_curves(), *_options()]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)


def explain(error: Exception) -> tuple[str, str]:
    """What torch says of a file in a line, and what to do, without its advice to load the file unsafely."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    code = re.search(r"GLOBAL ([\w.]+)", text)
    if code is not None:
        todo = "a file that holds code is not loaded: where you trust it, save its state dict alone, as safetensors"
        return f"it holds {code[1]}, which is code", todo
    unpickler = re.search(r"WeightsUnpickler error:\s+(.+)", text)
    said = unpickler[1] if unpickler is not None else next(iter(text.splitlines()), "no reason given")
    return f"{type(error).__name__}: {said[:300]}", "fetch it again and compare its sha256"


class _Ignored:
    """Stands for a class whose objects are no weights and are never used."""


def _options() -> list[Any]:
    """What training scripts and Lightning keep beside the weights: options, and a class that is only a key."""
    return [argparse.Namespace, (_Ignored, "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint")]


def _loss_curves() -> list[Any]:
    """What mmengine's runner adds to its checkpoints: loss curves, as NumPy arrays, under the names of either NumPy."""
    from mmengine.logging.history_buffer import HistoryBuffer

    def attribute(owner: object, name: str) -> object:
        # Loss curves name their class's methods through getattr, which at large would reach anything.
        if owner is not HistoryBuffer:
            raise pickle.UnpicklingError(f"getattr of {owner!r}")
        return getattr(HistoryBuffer, name)

    multiarray = importlib.import_module("numpy._core.multiarray")
    allowed: list[Any] = [HistoryBuffer, (attribute, "builtins.getattr"), np.ndarray, np.dtype]
    for name in ("_reconstruct", "scalar"):
        allowed += [(getattr(multiarray, name), f"numpy.{core}.multiarray.{name}") for core in ("_core", "core")]
    return allowed + [
        type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.uint32, np.bool_)
    ]
