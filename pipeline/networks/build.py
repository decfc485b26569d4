"""From a network's configuration to the network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.registry import MODELS
from torch import nn

from duskbench.data_tools.errors import ConfigError, UnknownNameError
from duskbench.pipeline.lazy_imports import import_when_used
from duskbench.pipeline.registered import import_named, registered


def build_network(config: Mapping[str, Any], *, where: str | Path | None = None) -> nn.Module:
    """Build a network from `dict(type=..., **arguments)`, and the networks inside it likewise.

    Args:
        config: The configuration.
        where: The file it stands in, for the error.

    Raises:
        UnknownNameError: No network of that name.
        ConfigError: The arguments are not the network's.
    """
    kind = str(config.get("type"))
    import_named(config)
    if kind not in MODELS:
        raise UnknownNameError("network", kind, registered("networks"), where=where)
    # MODELS imports it to build anything, and it imports torch's sharded training, which takes nearly as long as torch.
    with import_when_used("torch.distributed.fsdp", "torch.distributed.optim"):
        import mmengine.model  # noqa: F401
    try:
        return MODELS.build(dict(config))
    except TypeError as error:
        raise ConfigError("Cannot build the network with these arguments.", where=where, got=str(error)) from error
