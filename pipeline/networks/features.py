"""Frozen feature extractors: what the attention is guided by, and what perceptual losses compare.

An extractor is its weights, the form of picture they were trained on, and a scale. The scale matters because the
attention puts a sigmoid over the features: the same map times ten is another attention. Each takes (N, 3, H, W) float
RGB in [0, 1] and returns one layer's map. The gradient passes through to the picture, never into the weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.network_weights import load_file
from duskbench.pipeline.networks.vgg_base import STAGE_CHANNELS, STAGE_DEPTHS, vgg_base
from duskbench.pipeline.weights import find_weights


@dataclass(frozen=True)
class Convention:
    """The form in which a network's weights want the picture.

    Attributes:
        order: "rgb" or "bgr".
        top: Value of white.
        mean: Subtracted per channel, in the network's order and scale.
        std: Divides what is left, likewise.
    """

    order: str = "rgb"
    top: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)


# By name; a source for each is in the extractor that uses it.
CONVENTIONS = {
    "caffe": Convention("bgr", 255.0, (103.939, 116.779, 123.68)),
    "torchvision": Convention("rgb", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def convention(value: str | Mapping[str, Any] | Convention) -> Convention:
    """Make a convention of its name or of its attributes.

    Raises:
        ConfigError: There is none of that name, or the attributes are not those of a convention.
    """
    if isinstance(value, Convention):
        return value
    try:
        chosen = CONVENTIONS[value] if isinstance(value, str) else Convention(**value)
    except (KeyError, TypeError):
        chosen = None
    if chosen is None or chosen.order not in ("rgb", "bgr") or len(chosen.mean) != 3 or len(chosen.std) != 3:
        raise ConfigError(
            "The extractor's input convention is not known.",
            expected=f"{' or '.join(CONVENTIONS)}, or dict(order='rgb' or 'bgr', top=..., mean=(3), std=(3))",
            got=repr(value),
        )
    return Convention(chosen.order, float(chosen.top), tuple(chosen.mean), tuple(chosen.std))  # type: ignore[arg-type]


class FrozenFeatures(nn.Module):
    """A prefix of a trained network, without gradients for its weights.

    Args:
        layers: The network up to and with the convolution (and normalisation) of the chosen layer, without its ReLU.
        relu: Apply the ReLU after it ("post-ReLU"); False returns the map before it.
        form: The input convention.
        scale: Multiplied to the map.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Sequential, *, relu: bool, form: Convention, scale: float = 1.0) -> None:
        super().__init__()
        self.layers, self.relu, self.form, self.scale = layers, relu, form, float(scale)
        self.register_buffer("mean", torch.tensor(form.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(form.std).view(3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> FrozenFeatures:
        """Stay in evaluation mode: the statistics are frozen too."""
        return super().train(False)

    def forward(self, batch: Tensor) -> Tensor:
        """Extract features, (N, 3, H, W) float RGB in [0, 1] to (N, C, H / stride, W / stride)."""
        picture = batch.flip(1) if self.form.order == "bgr" else batch
        features = self.layers((picture * self.form.top - self.mean) / self.std)
        features = torch.relu(features) if self.relu else features
        return features if self.scale == 1 else features * self.scale

    def sha256(self) -> str:
        """Hash of weights, convention and scale, by which a generator finds the features it was trained with."""
        digest = hashlib.sha256(repr((sorted(asdict(self.form).items()), self.relu, self.scale)).encode())
        for key, value in sorted(self.layers.state_dict().items()):
            digest.update(key.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def frozen_features(network: nn.Module) -> dict[str, str]:
    """The frozen extractors inside a network, name -> sha256; their files are not the network's."""
    modules = network.named_modules()
    return {name: module.sha256() for name, module in modules if isinstance(module, FrozenFeatures)}


@MODELS.register_module()
class VGG16Features(FrozenFeatures):
    """VGG-16 trained on ImageNet.

    Args:
        layer: `convS_I`, convolution I of stage S. The paper's is conv5_1, the first one after the fourth pooling.
        relu: See `FrozenFeatures`.
        weights: A file with the keys of torchvision's `vgg16().features`, alone or below `features.`; None takes the
            published one of the convention and downloads it. "random" leaves the initialisation, for tests of speed.
        form: "caffe" for the weights of VGG's authors: B, G, R in 0..255 minus the mean. "torchvision" for those of
            torchvision. Or attributes of a `Convention`, for a file of one's own or as EnlightenGAN feeds its
            perceptual loss: dict(order="bgr", top=255.0), no mean. All but "torchvision" take the authors' weights.
        poolings: How many of the poolings before the layer are kept, from the first; None keeps all. EnlightenGAN's
            perceptual loss has three before its conv5_1.
        scale: See `FrozenFeatures`; at 1 the map is what the authors' network gives.

    Raises:
        ConfigError: No such layer, convention or number of poolings.
        WeightsError: The weights cannot be had.

    Source: Simonyan and Zisserman 2015, and the mean of their release; torchvision VGG16_Weights.IMAGENET1K_V1 and its
    normalisation; VITA-Group/EnlightenGAN @ b034984, models/networks.py, Vgg16 and vgg_preprocess.
    """

    def __init__(
        self,
        layer: str = "conv5_1",
        *,
        relu: bool = True,
        weights: str | Path | None = None,
        form: str | Mapping[str, Any] = "caffe",
        poolings: int | None = None,
        scale: float = 1.0,
    ) -> None:
        chosen = convention(form)
        layers = _vgg16_until(layer, poolings)
        if weights != "random":
            published = (
                "torchvision/vgg16-397923af.pth" if form == "torchvision" else "openmmlab/vgg16_caffe-292e1171.pth"
            )
            path = find_weights(published, weights)
            wanted = layers.state_dict()

            def convolutions(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
                named = {key.removeprefix("features."): value for key, value in state.items()}
                return {key: value for key, value in named.items() if key in wanted}

            load_file(layers, path, adapt=convolutions)
        super().__init__(layers, relu=relu, form=chosen, scale=scale)


def _vgg16_until(layer: str, poolings: int | None) -> nn.Sequential:
    """VGG-16 up to and with a convolution, without its ReLU."""
    places = {f"conv{s}_{i}": (s, i) for s, depth in enumerate(STAGE_DEPTHS, 1) for i in range(1, depth + 1)}
    if layer not in places:
        raise ConfigError("VGG-16 has no such layer.", expected="conv1_1 to conv5_3", got=repr(layer))
    stage, place = places[layer]
    if poolings is not None and not 0 <= poolings < stage:
        raise ConfigError(
            "The layer has not as many poolings before it.", expected=f"0 to {stage - 1}", got=f"{poolings}"
        )
    layers = before_last_relu(vgg_base(STAGE_CHANNELS[:stage], (*STAGE_DEPTHS[: stage - 1], place), ssd=False))
    pools = [number for number, each in enumerate(layers) if isinstance(each, nn.MaxPool2d)]
    for number in [] if poolings is None else pools[poolings:]:
        # In its place, so that the keys of what follows stay those of the file.
        layers[number] = nn.Identity()
    return layers


def before_last_relu(stages: Sequence[Sequence[nn.Module]]) -> nn.Sequential:
    """The stages of `vgg_base` as one network that ends before its last ReLU and pooling."""
    return nn.Sequential(*list(chain.from_iterable(stages))[:-2])
