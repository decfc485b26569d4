"""Extractors whose weights are this project's own, so that they ship with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.checkpoint import metadata
from duskbench.pipeline.network_weights import load_file
from duskbench.pipeline.networks.features import Convention, FrozenFeatures, before_last_relu
from duskbench.pipeline.networks.vgg_base import vgg_base
from duskbench.pipeline.weights import bundled, find_weights

# Caffe's channel means, B, G, R in 0..255, as published with SSD and RFBNet.
SSD_CONVENTION = Convention("bgr", 255.0, (104.0, 117.0, 123.0))


@MODELS.register_module()
class FeatureBase(nn.Module):
    """A narrow VGG with normalisation, up to the first convolution of its fifth stage: what the paper's conv5_1 is.

    Trained by `duskbench.pipeline.training.distillation`, and used frozen as `DistilledFeatures`.

    Args:
        stage_channels: Channels of its five stages.
        stage_depths: Convolutions in each; the last stage has one.
        stem_stride: See `vgg_base`.

    Shape:
        Input (N, 3, H, W) float RGB in [0, 1]; output (N, stage_channels[4], H / 16, W / 16), after the ReLU.
    """

    def __init__(
        self,
        stage_channels: Sequence[int] = (16, 32, 48, 96, 128),
        stage_depths: Sequence[int] = (1, 1, 2, 3, 1),
        stem_stride: int = 2,
    ) -> None:
        super().__init__()
        self.layers = base_until_fifth_stage(stage_channels, stage_depths, stem_stride)
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, batch: Tensor) -> Tensor:
        """See the class; the picture is brought to about [-1, 1] first."""
        return torch.relu(self.layers((batch - 0.5) / 0.5))


# What FeatureBase does with the picture, for the frozen form of it.
BASE_CONVENTION = Convention("rgb", 1.0, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class SurroundedFeatures(FrozenFeatures):
    """An extractor of stride 16 that sees the picture's border repeated around it.

    Convolutions that see zeros there find little near a border, so an attention made of their map has a dark frame: on
    training crops of 128 pixels that is half of the crop.

    Args:
        layers: See `FrozenFeatures`.
        relu: See `FrozenFeatures`.
        form: See `FrozenFeatures`.
        scale: See `FrozenFeatures`.
        cells: How wide the surrounding is, in places of the map, which is cut back to the picture's.
    """

    def __init__(self, layers: nn.Sequential, *, relu: bool, form: Convention, scale: float, cells: int) -> None:
        super().__init__(layers, relu=relu, form=form, scale=scale)
        self.cells = cells

    def forward(self, batch: Tensor) -> Tensor:
        """Extract features; see `FrozenFeatures.forward`."""
        if not self.cells:
            return super().forward(batch)
        features = super().forward(F.pad(batch, (16 * self.cells,) * 4, mode="replicate"))
        return features[..., self.cells : -self.cells, self.cells : -self.cells]

    def sha256(self) -> str:
        """See `FrozenFeatures.sha256`; the surrounding counts too."""
        return (
            hashlib.sha256(f"{super().sha256()} {self.cells}".encode()).hexdigest() if self.cells else super().sha256()
        )


@MODELS.register_module()
class DistilledFeatures(SurroundedFeatures):
    """A trained `FeatureBase`: a small network that was taught the features of one trained on ImageNet.

    Args:
        relu: See `FrozenFeatures`.
        cells: See `SurroundedFeatures`.
        weights: A file of `duskbench train configs/training/features.py --export`; None takes the one that ships.
        scale: See `FrozenFeatures`. The training brings the mean over the channels to that of the teacher, so 1 it is.

    Raises:
        WeightsError: The weights are missing or do not fit.
    """

    def __init__(
        self, *, relu: bool = True, weights: str | Path | None = None, scale: float = 1.0, cells: int = 3
    ) -> None:
        path = bundled("features") if weights is None else find_weights("features", weights)
        shape = {key: value for key, value in json.loads(metadata(path).get("network", "{}")).items() if key != "type"}
        base = FeatureBase(**shape)
        load_file(base, path)
        super().__init__(base.layers, relu=relu, form=BASE_CONVENTION, scale=scale, cells=cells)


@MODELS.register_module()
class DetectorFeatures(SurroundedFeatures):
    """The VGG-like base of one of this project's detectors, up to the first convolution of its fifth stage.

    That is the layer of the paper's conv5_1, after the fourth halving.

    Args:
        backbone: Arguments of `RFBVGG`: `stage_channels`, `stage_depths`, `stem_stride`; those of the bundled detector
            by default.
        relu: See `FrozenFeatures`.
        weights: A safetensors file of the detector; None takes the bundled `rfb_miniature`.
        scale: See `FrozenFeatures`.
        cells: See `SurroundedFeatures`.

    Raises:
        WeightsError: The weights are missing or do not fit.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any] | None = None,
        *,
        relu: bool = True,
        weights: str | Path | None = None,
        scale: float = 1.0,
        cells: int = 0,
    ) -> None:
        shape = {"stage_channels": (16, 16, 32, 64, 96), "stage_depths": (1, 0, 2, 2, 1), "stem_stride": 2}
        layers = base_until_fifth_stage(**{**shape, **(backbone or {})})
        path = bundled("rfb_miniature") if weights is None else find_weights("detector", weights)
        own = {f"backbone.features.{key}": key for key in layers.state_dict()}
        load_file(layers, path, adapt=lambda state: {own[key]: value for key, value in state.items() if key in own})
        super().__init__(layers, relu=relu, form=SSD_CONVENTION, scale=scale, cells=cells)


def base_until_fifth_stage(
    stage_channels: Sequence[int], stage_depths: Sequence[int], stem_stride: int
) -> nn.Sequential:
    """A `vgg_base` with batch normalisation up to the first convolution of its fifth stage, without its ReLU.

    Raises:
        ConfigError: There is no fifth stage.
    """
    if len(stage_depths) < 5 or not stage_depths[4]:
        raise ConfigError("The base has no fifth stage.", got=f"stage_depths={tuple(stage_depths)}")
    return before_last_relu(
        vgg_base(stage_channels[:5], (*stage_depths[:4], 1), stem_stride, norm=nn.BatchNorm2d),
    )
