"""From a network's configuration to the network."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.registry import MODELS
from torch import nn

from duskbench.data_tools.errors import ConfigError, UnknownNameError

# Networks that a configuration can name register themselves when their module is imported.
NETWORKS = {
    "AttentionGuided": "guided",
    "DCENet": "zero_dce",
    "DetectorFeatures": "own_features",
    "DRITContentDiscriminator": "drit",
    "DRITDiscriminator": "drit",
    "DRITGenerator": "drit",
    "DistilledFeatures": "own_features",
    "EnlightenGANDiscriminator": "discriminators",
    "EnlightenGANGenerator": "enlightengan",
    "FeatureBase": "own_features",
    "FeatureGuidedAttention": "attention",
    "ForkClassifier": "forkgan",
    "ForkDiscriminator": "forkgan",
    "ForkGenerator": "forkgan",
    "HDRNet": "hdrnet",
    "KinDAdjustment": "kind",
    "KinDDecomposition": "kind",
    "KinDRestoration": "kind",
    "LLNet": "llnet",
    "MultiscaleDiscriminator": "discriminators",
    "PatchDiscriminator": "discriminators",
    "ResnetGenerator": "resnet",
    "SqueezeNetFeatures": "squeezenet",
    "UNITDiscriminators": "unit",
    "UNITGenerator": "unit",
    "UNet": "unet",
    "VGG16Features": "features",
}


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
    _import(config)
    if kind not in MODELS:
        raise UnknownNameError("network", kind, NETWORKS, where=where)
    try:
        return MODELS.build(dict(config))
    except TypeError as error:
        raise ConfigError("Cannot build the network with these arguments.", where=where, got=str(error)) from error


def _import(config: Mapping[str, Any]) -> None:
    """Import what a configuration names, at any depth, and nothing else."""
    if config.get("type") in NETWORKS:
        importlib.import_module(f"duskbench.pipeline.networks.{NETWORKS[config['type']]}")
    for value in config.values():
        if isinstance(value, Mapping):
            _import(value)


def register_all() -> None:
    """Fill mmengine's registry with every network."""
    for module in sorted(set(NETWORKS.values())):
        importlib.import_module(f"duskbench.pipeline.networks.{module}")
