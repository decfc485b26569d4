"""Where the weights of KinD's networks come from: trained here, or the authors' TensorFlow files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Size, Tensor

from duskbench.data_tools.errors import WeightsError
from duskbench.data_tools.files import file_sha256
from duskbench.pipeline.network_weights import load_described, load_file, load_into
from duskbench.pipeline.networks.kind import KinDNetwork, KinDRestoration
from duskbench.pipeline.weights import find_trained, find_weights, search_folders

# The authors' two small networks in torch's layout, as a file that may lie in $DUSKBENCH_WEIGHTS.
CONVERTED = "kind/kind_decom_adjust.npz"


def restoration_of(path: str | Path | None) -> tuple[KinDRestoration, tuple[str, str]]:
    """The restoration network of a file, of the width that the file has, with its weights; else as `load_kind`."""
    file = _find(KinDRestoration, path)
    first = load_described(file)[0].get("de_conv1_1.bias")
    network = KinDRestoration() if first is None else KinDRestoration(len(first))
    return network, load_kind(network, file)


def load_kind(network: KinDNetwork, path: str | Path | None = None) -> tuple[str, str]:
    """Load the weights of one of KinD's networks.

    Args:
        network: Changed in place.
        path: A file that `duskbench train --export` wrote, a checkpoint of `duskbench train`, or the `.data` file of a
            TensorFlow checkpoint of the authors. None takes `kind_<part>.safetensors` of `$DUSKBENCH_WEIGHTS`, else
            the authors' weights, found by name or downloaded.

    Returns:
        The file's name and its sha256.

    Raises:
        WeightsError: The file cannot be had, or does not fit.
    """
    file = _find(network, path)
    if ".data" in file.name:
        shapes = {key: value.shape for key, value in network.state_dict().items()}
        load_into(network, read_tensorflow_data(file, shapes), where=file)
    else:
        load_file(network, file, adapt=lambda state: _below(f"{network.scope}.", state))
    return file.name, file_sha256(file)


def _below(scope: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What a file of several networks has of one, or all of a file of one."""
    if not any(key.startswith(scope) for key in state):
        return state
    return {key.removeprefix(scope): value for key, value in state.items() if key.startswith(scope)}


def _find(network: KinDNetwork | type[KinDNetwork], path: str | Path | None) -> Path:
    trained = f"kind_{network.part}"
    if network.published is None or path is not None:
        return find_trained(trained, path)
    for name in (f"{trained}.safetensors", CONVERTED):
        for folder in search_folders():
            if (folder / name).is_file():
                return find_weights(name)
    return find_weights(network.published)


def read_tensorflow_data(path: str | Path, shapes: Mapping[str, Size]) -> dict[str, Tensor]:
    """Read the `.data` file of a TensorFlow checkpoint: its variables, float32, one after the other, sorted by name.

    Args:
        path: The file, `model.ckpt.data-00000-of-00001` in TensorFlow's naming.
        shapes: Key -> shape in torch's layout, of every variable; `.weight` and `.bias` stand for TF-slim's `/weights`
            and `/biases`.

    Returns:
        Key -> tensor in torch's layout.

    Raises:
        WeightsError: The file cannot be read, or is not as large as the variables.
    """
    try:
        values = np.fromfile(path, dtype="<f4")
        size = Path(path).stat().st_size
    except OSError as error:
        raise WeightsError("Cannot read the weight file.", where=path, got=str(error)) from error
    total = sum(shape.numel() for shape in shapes.values())
    if size != 4 * total:
        raise WeightsError(
            "The file is not the data of these TensorFlow variables.",
            where=path,
            expected=f"{4 * total} bytes",
            got=f"{size} bytes",
            todo="check that this is the file for this network",
        )
    state, start = {}, 0
    for key in sorted(shapes, key=lambda key: key.replace(".weight", "/weights").replace(".bias", "/biases")):
        shape = shapes[key]
        piece = values[start : start + shape.numel()]
        start += len(piece)
        # Kernels are (height, width, in, out), those of transposed convolutions (height, width, out, in).
        order = (3, 2, 0, 1) if len(shape) == 4 else (0,)
        stored = [shape[order.index(axis)] for axis in range(len(shape))]
        state[key] = torch.from_numpy(piece.reshape(stored).transpose(order).copy())
    return state
