"""Frozen feature extractors: what the attention is guided by, and what perceptual losses compare.

Each takes (N, 3, H, W) float RGB in [0, 1], brings it into the form its weights were trained on, and returns one
layer's map. The gradient passes through to the picture, never into the weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.networks.vgg_base import STAGE_CHANNELS, STAGE_DEPTHS, vgg_base
from duskbench.pipeline.weights import bundled, find_weights, load_into, load_state_dict

# Caffe's channel means, B, G, R in 0..255, as published with SSD, RFBNet and SqueezeNet's Keras files.
_CAFFE_MEAN = (104.0, 117.0, 123.0)


class FrozenFeatures(nn.Module):
    """A prefix of a trained network, without gradients for its weights.

    Args:
        layers: The network up to and with the convolution (and normalisation) of the chosen layer, without its ReLU.
        relu: Apply the ReLU after it ("post-ReLU"); False returns the map before it.
        mean: Subtracted per channel, in the network's own order and scale.
        scale: Multiplied to the picture before the mean is subtracted, in the network's own order.
        bgr: Whether the network takes B, G, R.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        layers: nn.Sequential,
        *,
        relu: bool,
        mean: tuple[float, ...],
        scale: tuple[float, ...] = (255.0, 255.0, 255.0),
        bgr: bool,
    ) -> None:
        super().__init__()
        self.layers, self.relu, self.bgr = layers, relu, bgr
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(scale).view(3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> FrozenFeatures:
        """Stay in evaluation mode: the statistics are frozen too."""
        return super().train(False)

    def forward(self, batch: Tensor) -> Tensor:
        """Extract features, (N, 3, H, W) float RGB in [0, 1] to (N, C, H / stride, W / stride)."""
        picture = batch.flip(1) if self.bgr else batch
        features = self.layers(picture * self.scale - self.mean)
        return torch.relu(features) if self.relu else features

    def sha256(self) -> str:
        """Hash of the weights, by which a generator finds that it got the features it was trained with."""
        digest = hashlib.sha256()
        for key, value in sorted(self.layers.state_dict().items()):
            digest.update(key.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def frozen_features(network: nn.Module) -> dict[str, str]:
    """The frozen extractors inside a network, name -> sha256 of the weights; their files are not the network's."""
    modules = network.named_modules()
    return {name: module.sha256() for name, module in modules if isinstance(module, FrozenFeatures)}


@MODELS.register_module()
class VGG16Features(FrozenFeatures):
    """VGG-16 trained on ImageNet.

    Args:
        layer: `convS_I`, convolution I of stage S. The paper's is conv5_1, the first one after the fourth pooling.
        relu: See `FrozenFeatures`.
        weights: torchvision's VGG-16 file, or one with its `features.*` keys; None looks it up and downloads it
            (528 MB). "random" leaves the initialisation, for tests of speed.

    Raises:
        ConfigError: No such layer.
        WeightsError: The weights cannot be had.

    Source: Simonyan and Zisserman 2015; torchvision VGG16_Weights.IMAGENET1K_V1 and its normalisation.
    """

    def __init__(self, layer: str = "conv5_1", *, relu: bool = True, weights: str | Path | None = None) -> None:
        layers = _vgg16_until(layer)
        if weights != "random":
            path = find_weights("torchvision/vgg16-397923af.pth", weights)
            state = {key: value for key, value in load_state_dict(path).items() if key.startswith("features.")}
            wanted = {f"features.{key}" for key in layers.state_dict()}
            load_into(nn.ModuleDict({"features": layers}), {k: v for k, v in state.items() if k in wanted}, where=path)
        deviation = (0.229, 0.224, 0.225)
        mean = tuple(m / d for m, d in zip((0.485, 0.456, 0.406), deviation, strict=True))
        super().__init__(layers, relu=relu, mean=mean, scale=tuple(1 / d for d in deviation), bgr=False)


def _vgg16_until(layer: str) -> nn.Sequential:
    """VGG-16 up to and with a convolution, without its ReLU."""
    places = {f"conv{s}_{i}": (s, i) for s, depth in enumerate(STAGE_DEPTHS, 1) for i in range(1, depth + 1)}
    if layer not in places:
        raise ConfigError("VGG-16 has no such layer.", expected="conv1_1 to conv5_3", got=repr(layer))
    stage, place = places[layer]
    return _before_last_relu(vgg_base(STAGE_CHANNELS[:stage], (*STAGE_DEPTHS[: stage - 1], place), ssd=False))


def _before_last_relu(stages: Sequence[Sequence[nn.Module]]) -> nn.Sequential:
    # The last layer is a pooling, the one before it the ReLU.
    return nn.Sequential(*list(chain.from_iterable(stages))[:-2])


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
        convention: How the weights want the picture: "caffe", B, G, R in 0..255 minus (104, 117, 124), or
            "torchvision".

    Raises:
        ConfigError: No such layer or convention.
        WeightsError: The weights are missing or do not fit.

    Source: Iandola et al. 2016, SqueezeNet 1.1; keys of torchvision.
    """

    def __init__(self, layer: str = "fire9", *, weights: str | Path, convention: str = "caffe") -> None:
        fires = {3: (64, 16, 64), 4: (128, 16, 64), 6: (128, 32, 128), 7: (256, 32, 128)}
        fires |= {9: (256, 48, 192), 10: (384, 48, 192), 11: (384, 64, 256), 12: (512, 64, 256)}
        names = {f"fire{number}": place for number, place in zip(range(2, 10), fires, strict=True)}
        if layer not in names or convention not in ("caffe", "torchvision"):
            raise ConfigError(
                "SqueezeNet has no such layer or convention.",
                expected=f"layer {', '.join(names)}; convention caffe or torchvision",
                got=f"layer={layer!r}, convention={convention!r}",
            )
        ceil = convention == "torchvision"
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(inplace=True)]
        for place in range(2, names[layer] + 1):
            layers.append(_Fire(*fires[place]) if place in fires else nn.MaxPool2d(3, 2, ceil_mode=ceil))
        network = nn.Sequential(*layers)
        path = find_weights("squeezenet1_1", weights)
        state = {key: value for key, value in load_state_dict(path).items() if key in network.state_dict()}
        load_into(network, state, where=path)
        if convention == "caffe":
            super().__init__(network, relu=False, mean=(104.0, 117.0, 124.0), bgr=True)
        else:
            deviation = (0.229, 0.224, 0.225)
            mean = tuple(m / d for m, d in zip((0.485, 0.456, 0.406), deviation, strict=True))
            super().__init__(network, relu=False, mean=mean, scale=tuple(1 / d for d in deviation), bgr=False)


@MODELS.register_module()
class DetectorFeatures(FrozenFeatures):
    """The VGG-like base of one of this project's detectors, up to the first convolution of its fifth stage.

    That is the layer of the paper's conv5_1, after the fourth halving. The default needs no download.

    Args:
        backbone: Arguments of `RFBVGG`: `stage_channels`, `stage_depths`, `stem_stride`; those of the bundled detector
            by default.
        relu: See `FrozenFeatures`.
        weights: A safetensors file of the detector; None takes the bundled `rfb_miniature`.

    Raises:
        WeightsError: The weights are missing or do not fit.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any] | None = None,
        *,
        relu: bool = True,
        weights: str | Path | None = None,
    ) -> None:
        shape = {"stage_channels": (16, 16, 32, 64, 96), "stage_depths": (1, 0, 2, 2, 1), "stem_stride": 2}
        layers = _detector_base(**{**shape, **(backbone or {})})
        path = bundled("rfb_miniature") if weights is None else find_weights("detector", weights)
        prefix = "backbone.features."
        state = {k.removeprefix(prefix): v for k, v in load_state_dict(path).items() if k.startswith(prefix)}
        own = layers.state_dict()
        load_into(layers, {key: value for key, value in state.items() if key in own}, where=path)
        super().__init__(layers, relu=relu, mean=_CAFFE_MEAN, bgr=True)


def _detector_base(stage_channels: Sequence[int], stage_depths: Sequence[int], stem_stride: int) -> nn.Sequential:
    if len(stage_depths) < 5 or not stage_depths[4]:
        raise ConfigError("The detector's base has no fifth stage.", got=f"stage_depths={tuple(stage_depths)}")
    return _before_last_relu(
        vgg_base(stage_channels[:5], (*stage_depths[:4], 1), stem_stride, norm=nn.BatchNorm2d),
    )
