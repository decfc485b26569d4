"""CLIP-LIT with its authors' weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

from duskbench.pipeline.enhancers.published import PublishedEnhancer
from duskbench.pipeline.networks.resizing import pad_after
from duskbench.pipeline.weight_catalogue import WeightFile, from_github

CHANNELS = 32
BINS = (1, 2, 3, 6)
SLOPE = 0.2
# A reflected border needs two pixels.
LEAST_SIZE = 2


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions without biases between reflected borders, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _reflected(channels, channels, bias=False)
        self.conv2 = _reflected(channels, channels, bias=False)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        return F.leaky_relu(self.conv2(F.leaky_relu(self.conv1(batch), SLOPE)) + batch, SLOPE)


class PyramidPooling(nn.Module):
    """The features beside their means over 1x1, 2x2, 3x3 and 6x6 parts of the picture, fused; zeros round the border.

    Source: Zhao et al. 2017, "Pyramid Scene Parsing Network".
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        part = channels // len(BINS)
        # The first place is that of the pooling, which is `adaptive_mean`.
        self.features = nn.ModuleList(
            nn.Sequential(nn.Identity(), nn.Conv2d(channels, part, 1, bias=False), nn.PReLU()) for _ in BINS
        )
        self.fuse = nn.Sequential(nn.Conv2d(2 * channels, channels, 3, padding=1, bias=False), nn.PReLU())

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        size = batch.shape[2:]
        parts = [
            F.interpolate(layers(adaptive_mean(batch, bins)), size=size, mode="bilinear", align_corners=True)
            for bins, layers in zip(BINS, self.features, strict=True)
        ]
        return self.fuse(torch.cat((batch, *parts), dim=1))


class CLIPLITNet(nn.Module):
    """Estimates a light map of one channel at full size.

    State-dict keys are the official ones without `module.`. In training the authors pad with zeros, here they reflect.

    Source: Liang et al. 2023; ZhexinLiang/CLIP-LIT @ 25ed5be, model_small.py.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cond1 = _reflected(3, CHANNELS)
        self.ResidualBlock1 = ResidualBlock(CHANNELS)
        self.ResidualBlock2 = ResidualBlock(CHANNELS)
        self.PPM1 = PyramidPooling(CHANNELS)
        self.condx = _reflected(CHANNELS, 2 * CHANNELS)
        self.ResidualBlock3 = ResidualBlock(2 * CHANNELS)
        self.ResidualBlock4 = ResidualBlock(2 * CHANNELS)
        self.condy = _reflected(2 * CHANNELS, CHANNELS)
        self.ResidualBlock5 = ResidualBlock(CHANNELS)
        self.ResidualBlock6 = ResidualBlock(CHANNELS)
        self.cond_add1 = _reflected(CHANNELS, 1)

    def light(self, batch: Tensor) -> Tensor:
        """(N, 3, H, W) float RGB in [0, 1], both sides at least 2, to (N, 1, H, W) of at least 0."""
        features = F.leaky_relu(self.cond1(batch), SLOPE)
        features = self.condx(self.PPM1(self.ResidualBlock2(self.ResidualBlock1(features))))
        features = self.condy(self.ResidualBlock4(self.ResidualBlock3(features)))
        return torch.relu(self.cond_add1(self.ResidualBlock6(self.ResidualBlock5(features))))

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float RGB in [0, 1] to the same; black stays black where there is no light."""
        height, width = batch.shape[2:]
        batch = pad_after(batch, least=LEAST_SIZE)
        # The map may be zero: authors' code returns NaN for a black pixel there.
        return torch.nan_to_num(batch / self.light(batch), nan=0.0).clamp(0, 1)[:, :, :height, :width]


def adaptive_mean(batch: Tensor, bins: int) -> Tensor:
    """Means over bins x bins parts that cover the picture, as `F.adaptive_avg_pool2d`, which ONNX has not.

    Args:
        batch: (N, C, H, W) float.
        bins: Parts along each side. Part i reaches from floor(i size / bins) to ceil((i + 1) size / bins).

    Returns:
        (N, C, bins, bins).
    """
    rows, columns = (_shares(size, bins, batch) for size in batch.shape[2:])
    return rows @ batch @ columns.mT


def _shares(size: int, bins: int, like: Tensor) -> Tensor:
    """What each pixel of a side counts in each part's mean, (bins, size)."""
    places, part = torch.arange(size, device=like.device), torch.arange(bins, device=like.device)[:, None]
    inside = (places >= part * size // bins) & (places < ((part + 1) * size + bins - 1) // bins)
    return (inside / inside.sum(dim=1, keepdim=True)).to(like.dtype)


def _reflected(inputs: int, outputs: int, *, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect", bias=bias)


class CLIPLIT(PublishedEnhancer):
    """Iterative prompt learning for backlit images, inference only: the picture divided by its light map.

    Made for photos against the light, not for night. It sees means of the whole picture, so it is never tiled. Where
    its light map is zero the authors' script gives NaN for a black pixel; here that stays black.

    Args:
        variant: See `PublishedEnhancer`.
        weights: See `PublishedEnhancer`.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.
        tile_pixels: Of no effect.

    Source: Liang et al., "Iterative Prompt Learning for Unsupervised Backlit Image Enhancement", ICCV 2023;
    ZhexinLiang/CLIP-LIT @ 25ed5be, test.py.
    """

    name = "clip_lit"
    paper = "Liang et al.: Iterative Prompt Learning for Unsupervised Backlit Image Enhancement, ICCV 2023"
    network_class: ClassVar[type[nn.Module]] = CLIPLITNet
    files: ClassVar[Mapping[str, WeightFile]] = {
        "official": from_github(
            "clip_lit/enhancement_model.pth",
            "ZhexinLiang/CLIP-LIT",
            "25ed5be6086cd34d2bc1020c6088ac3f9d3a9522",
            "pretrained_models/enhancement_model.pth",
            sha256="67aa1bdbac345842670e494b02953f299e5088bcb3f98a18bd60b06fef48b5c9",
            licence="no licence file; the S-Lab licence (non-commercial) is named in a comment",
            note="Takes RGB in [0, 1].",
        )
    }
