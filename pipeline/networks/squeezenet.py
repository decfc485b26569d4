"""SqueezeNet 1.1 as a frozen extractor: ImageNet features in three megabytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.network_weights import load_file
from duskbench.pipeline.networks.features import Convention, FrozenFeatures, convention
from duskbench.pipeline.weights import find_weights

CAFFE = Convention("bgr", 255.0, (104.0, 117.0, 124.0))
# Squeezed and expanded channels of the fire modules, by their place among torchvision's layers.
FIRES = {
    3: (64, 16, 64), 4: (128, 16, 64), 6: (128, 32, 128), 7: (256, 32, 128),
    9: (256, 48, 192), 10: (384, 48, 192), 11: (384, 64, 256), 12: (512, 64, 256),
}  # fmt: skip
# Half the stride of fire6 to fire9: with this much of the picture mirrored around it, their map lies on it like a grid.
MARGIN = 8


class _Fire(nn.Module):
    """SqueezeNet's block: squeeze to few channels, expand by 1x1 and 3x3 side by side."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 2 * expanded, H, W)."""
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.expand1x1(x)), torch.relu(self.expand3x3(x))], dim=1)


@MODELS.register_module()
class SqueezeNetFeatures(FrozenFeatures):
    """SqueezeNet 1.1 trained on ImageNet, up to a fire module; its maps are post-ReLU by construction.

    Args:
        layer: `fire2` to `fire9`; fire6 to fire9 are at a stride of 16.
        weights: An `.npz` or torch file whose keys are those of torchvision's `squeezenet1_1().features`.
        form: How the weights want the picture: "caffe", here B, G, R in 0..255 minus (104, 117, 124); "torchvision"; or
            attributes of a `Convention`.
        scale: See `FrozenFeatures`.
        aligned: Mirror the picture by `MARGIN` pixels around it first. The network pads neither its first convolution
            nor its poolings, so its map is otherwise smaller than the picture and shifted against it.

    Raises:
        ConfigError: No such layer or convention.
        WeightsError: The weights are missing or do not fit.

    Source: Iandola et al. 2016, SqueezeNet 1.1; keys of torchvision.
    """

    def __init__(
        self,
        layer: str = "fire9",
        *,
        weights: str | Path,
        form: str | Mapping[str, Any] = "caffe",
        scale: float = 1.0,
        aligned: bool = False,
    ) -> None:
        names = {f"fire{number}": place for number, place in zip(range(2, 10), FIRES, strict=True)}
        if layer not in names:
            raise ConfigError("SqueezeNet has no such layer.", expected=", ".join(names), got=repr(layer))
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(inplace=True)]
        for place in range(2, names[layer] + 1):
            ceil = form == "torchvision"
            layers.append(_Fire(*FIRES[place]) if place in FIRES else nn.MaxPool2d(3, 2, ceil_mode=ceil))
        network = nn.Sequential(*layers)
        path = find_weights("squeezenet1_1", weights)
        wanted = network.state_dict()
        load_file(network, path, adapt=lambda state: {key: value for key, value in state.items() if key in wanted})
        super().__init__(network, relu=False, form=CAFFE if form == "caffe" else convention(form), scale=scale)
        self.aligned = aligned

    def forward(self, batch: Tensor) -> Tensor:
        """Extract features; see `FrozenFeatures.forward`."""
        return super().forward(F.pad(batch, (MARGIN,) * 4, mode="reflect") if self.aligned else batch)
