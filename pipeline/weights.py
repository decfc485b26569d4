"""Where weights come from, by name, path or search path; and loading them without running code from the file."""

from __future__ import annotations

import json
import logging
import os
import pickle
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duskbench.data_tools.download import download
from duskbench.data_tools.errors import DataError, UnknownNameError, WeightsError
from duskbench.data_tools.file_kinds import kind_of_file, remedy
from duskbench.data_tools.files import file_sha256, user_cache
from duskbench.data_tools.hub import hub_file, is_hub_address
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.pipeline.weight_catalogue import CATALOGUE, WeightFile

if TYPE_CHECKING:
    from torch import Tensor, nn

logger = logging.getLogger(__name__)

__all__ = [
    "CATALOGUE", "PRETRAINED", "SEARCH_VARIABLE", "WeightFile", "bundled", "cache_folder", "find_trained",
    "find_weights", "load_described", "load_into", "load_state_dict", "metadata", "safetensors_bytes",
    "search_folders", "unreadable",
]  # fmt: skip

SEARCH_VARIABLE = "DUSKBENCH_WEIGHTS"
# What torch and numpy pack weights into.
_WEIGHT_KINDS = frozenset({"a zip archive", "a tar archive", "a gzip file"})
# The largest file of the catalogue has 528 MB.
_MOST_BYTES = 4 << 30
# Where training scripts keep the state dict: most, BasicSR's (params), with a running mean (ema).
_WRAPPERS = ("state_dict", "model_state_dict", "model", "params_ema", "params", "net")
PRETRAINED = Path(__file__).resolve().parent / "pretrained"


def cache_folder() -> Path:
    """Where downloaded weights are kept: `weights` of `user_cache`."""
    return user_cache() / "weights"


def search_folders() -> list[Path]:
    """The folders of `$DUSKBENCH_WEIGHTS`, in order."""
    return [Path(folder).expanduser() for folder in os.environ.get(SEARCH_VARIABLE, "").split(os.pathsep) if folder]


def find_weights(name: str | WeightFile, path: str | Path | None = None, *, progress: Progress = SILENT) -> Path:
    """Find a weight file: the path given, the search path, the cache, and last a download into the cache.

    Args:
        name: A name of `CATALOGUE`, or of any file below a folder of `$DUSKBENCH_WEIGHTS`; or a published file itself.
        path: A file to use instead, or its address on the Hugging Face Hub (`hf://owner/repository/file`), whatever its
            hash: the fingerprint of a result has the hash of the file in use.
        progress: Where a download is reported.

    Returns:
        An existing file. One that was found in `$DUSKBENCH_WEIGHTS` and differs from the published one is used, with
        a warning in the log; one from the cache or a download has the published hash.

    Raises:
        WeightsError: The file cannot be had; says where it was looked for, its licence and what to do.
        UnknownNameError: The name is neither in the catalogue nor in `$DUSKBENCH_WEIGHTS`.
        DataError, ConfigError: The address on the Hub is wrong, or it does not give the file; see `hub_file`.
    """
    published = name if isinstance(name, WeightFile) else CATALOGUE.get(name)
    name = name.name if isinstance(name, WeightFile) else name
    if is_hub_address(path):
        return hub_file(str(path), progress=progress, max_bytes=_MOST_BYTES)
    if path is not None:
        chosen = Path(path).expanduser()
        if not chosen.is_file():
            raise WeightsError("The weight file is not there.", where=chosen, expected=f"weights for {name}")
        return chosen
    for folder in search_folders():
        candidate = folder / name
        if candidate.is_file():
            _warn_if_changed(candidate, published)
            return candidate
    if published is None:
        raise UnknownNameError("weights", name, CATALOGUE, where=_where_looked(name))
    try:
        return download(
            published.urls, cache_folder() / name, sha256=published.sha256, progress=progress, max_bytes=_MOST_BYTES
        )
    except (DataError, OSError) as error:
        raise _not_had(published, error) from error


def _warn_if_changed(path: Path, published: WeightFile | None) -> None:
    if published is None or published.sha256 is None:
        return
    got = file_sha256(path)
    if not got.startswith(published.sha256):
        logger.warning(
            "%s is not the published file (sha256 %s, published %s); it is used all the same, because %s has it",
            path,
            got,
            published.sha256,
            SEARCH_VARIABLE,
        )


def _where_looked(name: str) -> str:
    folders = [str(folder / name) for folder in search_folders()] or [f"${SEARCH_VARIABLE} (not set)"]
    return ", ".join([*folders, str(cache_folder() / name)])


def _not_had(published: WeightFile, error: DataError | OSError) -> WeightsError:
    reason = f"{error.what} {error.got or ''}".strip() if isinstance(error, DataError) else str(error)
    note = f" {published.note}" if published.note else ""
    return WeightsError(
        f"The weights {published.name} cannot be had.",
        where=_where_looked(published.name),
        expected=f"the file of {published.origin} (licence: {published.licence}).{note}",
        got=reason,
        todo=f"get it from {' or '.join(published.urls) or published.origin} and put it at DIR/{published.name}, then "
        f"pass `--weights DIR` (which sets {SEARCH_VARIABLE}); or pass the path of the file",
    )


def bundled(name: str) -> Path:
    """Path of weights that are shipped with the package: `pipeline/pretrained/<name>.safetensors`.

    Raises:
        WeightsError: There are none of that name; lists those there are.
    """
    there = sorted(path.stem for path in PRETRAINED.glob("*.safetensors"))
    if name not in there:
        raise WeightsError(
            f"No weights named {name!r} are shipped with duskbench.",
            where=PRETRAINED,
            expected=f"one of {', '.join(there)}" if there else "any; this installation has none",
            got=repr(name),
            todo=_how_to_train(name),
        )
    return PRETRAINED / f"{name}.safetensors"


def _how_to_train(name: str) -> str | None:
    config = f"configs/training/{name}.py"
    if not (PRETRAINED.parent.parent / config).is_file():
        return None
    return (
        f"train them: duskbench train {config} --export DIR/{name}.safetensors (its first lines say on what), "
        f"then pass `--weights DIR` or the file's path"
    )


def find_trained(name: str, path: str | Path | None = None) -> Path:
    """Find the weights of an enhancer that this project trains: the path given, `$DUSKBENCH_WEIGHTS`, those shipped.

    Args:
        name: The enhancer's; its file is `<name>.safetensors`.
        path: A file to use instead.

    Raises:
        WeightsError: There are none.
    """
    file = f"{name}.safetensors"
    if path is not None or any((folder / file).is_file() for folder in search_folders()):
        return find_weights(file, path)
    return bundled(name)


def metadata(path: str | Path) -> dict[str, str]:
    """What a safetensors file says about itself; empty for files of another kind.

    Raises:
        WeightsError: The file is missing or damaged.
    """
    path = Path(path)
    if path.suffix != ".safetensors" or not path.is_file():
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise unreadable(path, "a complete safetensors file", error) from error


def load_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a weight file; see `load_described`."""
    return load_described(path)[0]


def load_described(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors of a weight file on the CPU, without running code from it, and what it says about itself.

    Takes a dictionary out of `state_dict`, `params` and the like, where training scripts wrap it, the running mean
    where BasicSR keeps both; of a checkpoint of `duskbench train` the network that enhances; joins the dictionaries of
    several networks as `network.key`; and drops the prefix `module.` of DataParallel if all keys have it.

    Args:
        path: `.safetensors`, `.npz`, `.h5` (Keras), or any torch file (`.pth`, `.pt`, `.tar`), which is read with
            `weights_only=True`. Keras' tensors keep their names and layout.

    Returns:
        Key -> tensor, in the file's order; and the metadata of a safetensors file, or of what a checkpoint of
        `duskbench train` would be exported to.

    Raises:
        WeightsError: The file is missing, damaged, holds something other than named tensors, or would need pickled
            code to run.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError("The weight file is not there.", where=path, expected="a .safetensors, .npz or torch file")
    if path.suffix == ".safetensors":
        return _named_tensors(_read_safetensors(path), path), metadata(path)
    content = {".npz": _read_npz, ".h5": _read_keras}.get(path.suffix, _read_torch)(path)
    from duskbench.pipeline.checkpoint import trained_network

    trained = trained_network(content)
    if trained is not None:
        return trained
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    return _named_tensors(_flat(content), path), {}


def _flat(content: Any) -> Any:
    """State dicts of several networks in one file as one of them all: `network.key`."""
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Mapping) for v in content.values()):
        return content
    return {f"{name}.{key}": value for name, state in content.items() for key, value in state.items()}


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise unreadable(path, "a complete safetensors file", error) from error


def _read_npz(path: Path) -> Mapping[str, Any]:
    import zipfile

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
    from duskbench.pipeline.checkpoint import UNREADABLE, load_plain_values

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
    from duskbench.pipeline.checkpoint import explain

    got, todo = explain(error)
    return WeightsError(what, where=path, expected=expected, got=got, todo=todo)


def _named_tensors(content: Any, path: Path) -> dict[str, Tensor]:
    import torch

    if not isinstance(content, Mapping) or not content:
        raise WeightsError(
            "The file does not hold named tensors.",
            where=path,
            expected=f"a dictionary of tensors, as itself or under {', '.join(_WRAPPERS)}",
            got="an empty one" if isinstance(content, Mapping) else type(content).__name__,
        )
    others = [key for key, value in content.items() if not (isinstance(key, str) and isinstance(value, torch.Tensor))]
    if others:
        raise WeightsError(
            "The file holds something besides named tensors.",
            where=path,
            expected="a tensor under each key",
            got=f"{_some(map(repr, others))} of {len(content)} keys",
            todo="if one of them is the state_dict, save that one alone",
        )
    prefix = "module."
    strip = len(prefix) if all(key.startswith(prefix) for key in content) else 0
    return {key[strip:]: value for key, value in content.items()}


def load_into(
    module: nn.Module, state_dict: Mapping[str, Tensor], *, where: str | Path, ignore: Sequence[str] = ()
) -> None:
    """Load weights into a module, strictly: every key on both sides, every shape, real numbers where they belong.

    Args:
        module: Changed in place, and only if everything fits.
        state_dict: Key -> tensor.
        where: The file they come from, for the error.
        ignore: Prefixes of keys that may be missing from the file or be in it without a place in the module.

    Raises:
        WeightsError: See `check_fit`.
    """
    check_fit(module, state_dict, where=where, ignore=ignore)
    own = module.state_dict()
    module.load_state_dict({key: state_dict[key] for key in own if key in state_dict}, strict=False)


def check_fit(
    module: nn.Module, state_dict: Mapping[str, Tensor], *, where: str | Path, ignore: Sequence[str] = ()
) -> None:
    """Refuse weights that `load_into` could not load; the arguments are the same.

    Raises:
        WeightsError: Keys are missing or too many, shapes differ, or numbers are whole or complex where real ones
            belong; the first five of each and how many.
    """
    own = module.state_dict()
    prefixes = tuple(ignore)
    missing = [key for key in own if key not in state_dict and not key.startswith(prefixes)]
    unexpected = [key for key in state_dict if key not in own and not key.startswith(prefixes)]
    shapes = [
        f"{key} {tuple(state_dict[key].shape)} instead of {tuple(value.shape)}"
        for key, value in own.items()
        if key in state_dict and state_dict[key].shape != value.shape
    ]
    # Torch would cast them: whole numbers are quantised weights without their scales, and nothing says so later.
    kinds = [
        f"{key} {state_dict[key].dtype} instead of {value.dtype}"
        for key, value in own.items()
        if key in state_dict and value.is_floating_point() and not state_dict[key].is_floating_point()
    ]
    found = (
        ("missing", missing), ("unexpected", unexpected), ("of another shape", shapes), ("of another kind", kinds),
    )  # fmt: skip
    if any(items for _, items in found):
        raise WeightsError(
            f"The weights do not fit {type(module).__name__}.",
            where=where,
            expected=f"its {len(own)} keys",
            got="; ".join(f"{len(items)} {kind}: {_some(items)}" for kind, items in found if items),
            todo="check that this is the file for this network and this version of it",
        )


def _some(items: Iterable[str]) -> str:
    items = list(items)
    return ", ".join(items[:5]) + (f" and {len(items) - 5} more" if len(items) > 5 else "")


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
