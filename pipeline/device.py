"""The one check that a torch device can be computed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duskbench.data_tools.errors import ConfigError

if TYPE_CHECKING:
    import torch


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
