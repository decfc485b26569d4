"""Which torch device to compute on, and the one check that it can be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from duskbench.data_tools.errors import ConfigError

if TYPE_CHECKING:
    import torch


# Where Linux shows a GPU: NVIDIA's driver, ROCm's, and that of Windows below it.
_GPU_FILES = ("nvidia[0-9]*", "kfd", "dxg")


def chosen_device(device: str) -> str:
    """The device that `auto` stands for: a GPU that torch can use if there is one, else the CPU; others are checked.

    Raises:
        ConfigError: The device does not exist or cannot be used.
    """
    if device == "auto":
        # Torch takes seconds to import, and where there is no GPU nothing need ask it.
        if not gpu_files():
            return "cpu"
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"
    if device != "cpu":
        torch_device(device)
    return device


def gpu_files() -> list[Path]:
    """The files by which Linux shows GPUs; none where it shows none."""
    return [file for pattern in _GPU_FILES for file in sorted(Path("/dev").glob(pattern))]


def torch_device(device: str | torch.device, *, double: bool = False) -> torch.device:
    """Turn a name into a device that works in this build and on this machine.

    Args:
        device: `cpu`, `cuda`, `cuda:1`, ...
        double: Whether it must have double precision.

    Raises:
        ConfigError: The device does not exist, holds no data, or lacks the precision.
    """
    import torch

    try:
        checked = torch.device(device)
        # Some kinds are known by name and absent from this build or machine; `meta` holds no data.
        torch.empty(1, device=checked, dtype=torch.float64 if double else torch.float32).cpu()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ConfigError(
            "The device cannot be used.",
            where="device",
            expected=f"cpu, or cuda where torch finds a GPU{'; with double precision' if double else ''}",
            got=f"{str(device)!r}: {str(error).splitlines()[0]}",
            todo="use cpu, or install a torch build that fits the GPU's driver",
        ) from error
    return checked
