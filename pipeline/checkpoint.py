"""Reading of checkpoints without running code from them."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from duskbench.data_tools.errors import WeightsError


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
        from duskbench.pipeline.weights import load_state_dict

        return load_state_dict(path), None
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


def safe_load(path: Path) -> Any:
    """Read a torch file of tensors, plain values and mmengine's loss curves, and nothing that would run code.

    Raises:
        WeightsError: It cannot be read, or holds something else.
    """
    from mmengine.logging.history_buffer import HistoryBuffer

    def attribute(owner: object, name: str) -> object:
        # Loss curves name their class's methods through getattr, which at large would reach anything.
        if owner is not HistoryBuffer:
            raise pickle.UnpicklingError(f"getattr of {owner!r}")
        return getattr(HistoryBuffer, name)

    # What mmengine's runner adds to its checkpoints: loss curves, as NumPy arrays, under the names of either NumPy.
    multiarray = importlib.import_module("numpy._core.multiarray")
    allowed: list[Any] = [HistoryBuffer, (attribute, "builtins.getattr"), np.ndarray, np.dtype]
    for name in ("_reconstruct", "scalar"):
        allowed += [(getattr(multiarray, name), f"numpy.{core}.multiarray.{name}") for core in ("_core", "core")]
    allowed += [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.uint32, np.bool_)]
    try:
        with torch.serialization.safe_globals(allowed):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(
            "Cannot read the checkpoint.",
            where=path,
            expected="a checkpoint of tensors and plain values",
            got=str(error).splitlines()[0] if str(error) else type(error).__name__,
            todo="if you trust the file, keep its state dict alone: "
            "torch.save(torch.load(file, weights_only=False)['state_dict'], 'weights.pth')",
        ) from error
