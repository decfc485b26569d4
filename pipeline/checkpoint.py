"""Reading and writing of weight files and checkpoints, without running code from them."""

from __future__ import annotations

import argparse
import importlib
import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duskbench.data_tools.errors import WeightsError
from duskbench.data_tools.file_kinds import kind_of_file, remedy

if TYPE_CHECKING:
    from torch import Tensor

# Under this key of a checkpoint's meta, `duskbench train` says how its generator is rebuilt.
RECORD = "duskbench_export"
# What torch and numpy pack weights into.
_WEIGHT_KINDS = frozenset({"a zip archive", "a tar archive", "a gzip file"})
# What torch.load raises of a file that is damaged or of another kind.
UNREADABLE = (
    pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, TypeError, LookupError, AttributeError,
)  # fmt: skip


def read_weights(path: str | Path) -> tuple[Any, dict[str, str]]:
    """Read a weight file on the CPU: what it holds, and what it says about itself.

    Args:
        path: A safetensors file, numpy's `.npz`, Keras' `.h5`, or any torch file (`.pth`, `.pt`, `.tar`), which is read
            with `weights_only=True`. The content decides, whatever the name.

    Returns:
        Tensors by name, or whatever a torch file has, of a checkpoint of `duskbench train` the network that enhances;
        and the metadata of a safetensors file, or of what a checkpoint of `duskbench train` would be exported to.

    Raises:
        WeightsError: The file is missing or damaged, or would need pickled code to run.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError("The weight file is not there.", where=path, expected="a .safetensors, .npz or torch file")
    form = weight_format(path)
    if form == ".safetensors":
        return _read_safetensors(path), metadata(path)
    content = {".npz": _read_npz, ".h5": _read_keras}.get(form, _read_torch)(path)
    return trained_network(content) or (content, {})


def weight_format(path: Path) -> str:
    """The suffix that the content of an existing weight file calls for; where it does not say, the one that it has."""
    try:
        with path.open("rb") as file:
            head = file.read(9)
        if head[8:] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
            return ".safetensors"
        if head.startswith(b"\x89HDF"):
            return ".h5"
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                arrays = all(name.endswith(".npy") for name in archive.namelist())
            return ".npz" if arrays else ".pth"
    except (OSError, zipfile.BadZipFile):
        pass
    return path.suffix


def metadata(path: str | Path) -> dict[str, str]:
    """What a safetensors file says about itself; empty for files of another kind.

    Raises:
        WeightsError: The file is missing or damaged.
    """
    path = Path(path)
    if not path.is_file() or weight_format(path) != ".safetensors":
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise unreadable(path, "a complete safetensors file", error) from error


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise unreadable(path, "a complete safetensors file", error) from error


def _read_npz(path: Path) -> Mapping[str, Any]:
    import numpy as np
    import torch

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise unreadable(path, "numpy arrays without pickled objects", error) from error


def _read_keras(path: Path) -> Mapping[str, Any]:
    import torch

    try:
        import h5py
    except ImportError as error:
        raise WeightsError(
            "The weights of Keras need a package that is not installed.",
            where=path,
            expected="h5py",
            todo='pip install "duskbench[keras]"',
        ) from error
    tensors: dict[str, Tensor] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            tensors[name] = torch.from_numpy(item[()])

    try:
        with h5py.File(path) as file:
            file.visititems(keep)
    except (OSError, ValueError, TypeError) as error:
        raise unreadable(path, "a complete HDF5 file of arrays", error) from error
    return tensors


def _read_torch(path: Path) -> Any:
    try:
        return load_plain_values(path)
    except UNREADABLE as error:
        pickled = isinstance(error, pickle.UnpicklingError)
        expected = "a torch file of tensors and plain values" if pickled else "a complete torch file"
        raise unreadable(path, expected, error) from error


def unreadable(
    path: Path, expected: str, error: Exception, *, what: str = "Cannot read the weight file."
) -> WeightsError:
    """What to raise of a file that cannot be read: what it is where its first bytes say so, else the `error`."""
    kind = kind_of_file(path)
    if kind is not None and kind not in _WEIGHT_KINDS:
        todo = remedy(kind) or "give the file of weights itself"
        return WeightsError("The file holds no weights.", where=path, expected=expected, got=kind, todo=todo)
    got, todo = explain(error)
    return WeightsError(what, where=path, expected=expected, got=got, todo=todo)


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
        path: A safetensors file, or one saved by torch: a state dict, or mmdet's dict of one and `meta`.

    Returns:
        State dict without `module.` prefixes, and the class names it was trained on if it says so.

    Raises:
        WeightsError: The file is not a checkpoint, or holds objects other than tensors and mmengine's records.
    """
    from torch import Tensor

    if path.is_file() and weight_format(path) == ".safetensors":
        classes = metadata(path).get("classes")
        return dict(_read_safetensors(path)), tuple(classes.split(",")) if classes else None
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
        expected = "a checkpoint of tensors and plain values"
        raise unreadable(path, expected, error, what="Cannot read the checkpoint.") from error


def load_plain_values(path: Path, *, mapped: bool = False) -> Any:
    """As `safe_load`, with the errors that torch raises."""
    try:
        return _load(path, mapped)
    except pickle.UnpicklingError:
        import torch

        with torch.serialization.safe_globals([*_loss_curves(), *_options()]):
            return _load(path, mapped)


def _load(path: Path, mapped: bool) -> Any:
    import torch

    if mapped:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    # By its name torch would take a file for safetensors.
    with path.open("rb") as file:
        return torch.load(file, map_location="cpu", weights_only=True)


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
    import numpy as np
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


def safetensors_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file, the same bytes for the same content.

    The library writes metadata in random order; fingerprints hash the file, so the header is written again, sorted.

    Args:
        tensors: Name -> contiguous tensor.
        metadata: Text by name.

    Source: safetensors' format: 8 bytes of header length, little-endian; JSON, padded with blanks; the tensors.
    """
    from safetensors.torch import save

    content = save(dict(tensors), metadata=dict(metadata))
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[end:]
