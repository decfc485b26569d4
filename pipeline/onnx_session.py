"""ONNX models opened in onnxruntime (extra `onnx`): the one place that knows it."""

from __future__ import annotations

import mmap
import os
import re
import sys
from pathlib import Path
from typing import Any

from duskbench.data_tools.errors import ConfigError, WeightsError
from duskbench.data_tools.files import file_sha256


def open_session(path: Path, device: str) -> Any:
    """Open a model with as many threads as torch has.

    Args:
        path: The `.onnx` file.
        device: `cpu`, `cuda` or `cuda:N`; the latter needs onnxruntime-gpu.

    Returns:
        An `onnxruntime.InferenceSession`. It says nothing of its own on a failing run; the exception does.

    Raises:
        WeightsError: No such file, or not an ONNX model.
        ConfigError: onnxruntime is not installed or lacks the device.
    """
    if not path.is_file():
        raise WeightsError("The ONNX model does not exist.", where=path)
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            "onnxruntime is not installed.", where=path, todo="install the extra: pip install 'duskbench[onnx]'"
        ) from error
    kind, _, index = device.partition(":")
    wanted: list[Any] = ["CPUExecutionProvider"]
    if kind == "cuda":
        wanted = [("CUDAExecutionProvider", {"device_id": int(index or 0)})]
    available = onnxruntime.get_available_providers()
    if kind not in ("cpu", "cuda") or (kind == "cuda" and "CUDAExecutionProvider" not in available):
        raise ConfigError(
            "onnxruntime cannot run on the device.",
            where=path,
            expected=f"a device for one of {', '.join(available)}",
            got=repr(device),
            todo="use --device cpu, or install onnxruntime-gpu" if kind == "cuda" else None,
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=wanted)
    except Exception as error:
        raise WeightsError(
            "The file is not an ONNX model that onnxruntime can run.", where=path, got=str(error)
        ) from error


def _threads() -> int:
    """As many as torch has, which is not imported to find out; 0 leaves it to onnxruntime."""
    if "torch" in sys.modules:
        threads: int = sys.modules["torch"].get_num_threads()
        return threads
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(first) if first.isdecimal() else 0


def model_hashes(path: Path) -> dict[str, str]:
    """Name -> sha256 of a model's file and of the files beside it that hold its external data."""
    return {name: file_sha256(file) for name, file in model_files(path).items()}


def model_files(path: Path) -> dict[str, Path]:
    """Name -> file of a model and of its external data."""
    files = {"model": path}
    if path.stat().st_size:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            # A StringStringEntryProto whose key is `location`; its value's length is a varint of one or two bytes.
            names = re.findall(rb"\x0a\x08location\x12(?:[\x01-\x7f]|[\x80-\xff][\x01-\x7f])([^\x00-\x1f]+)", content)
        for name in sorted({name.decode("utf-8", "replace") for name in names}):
            # The pattern does not know where the value ends, so what follows may cling to it.
            found = next((f for end in range(len(name), 0, -1) if (f := path.parent / name[:end]).is_file()), None)
            if found is not None:
                files[f"data {found.name}"] = found
    return files
