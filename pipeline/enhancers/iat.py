"""IAT with its authors' weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

from duskbench.pipeline.enhancers.published import PublishedEnhancer
from duskbench.pipeline.weight_catalogue import WeightFile, from_github

LOCAL_CHANNELS, GLOBAL_CHANNELS, HEADS = 16, 64, 4
COLOR_QUERIES = 9
# What the power is taken of is at least this.
DARKEST = 1e-8


class ColorNorm(nn.Module):
    """A learned mixture of the channels with a scale and a shift of each: no statistics at all.

    Source: Cui et al. 2022; cuiziteng/Illumination-Adaptive-Transformer @ c764722, IAT_enhance/model/blocks.py.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, 1, channels))
        self.beta = nn.Parameter(torch.zeros(1, 1, channels))
        self.color = nn.Parameter(torch.eye(channels))

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        mixed = F.conv2d(batch, self.color[:, :, None, None])
        return mixed * self.alpha.reshape(-1, 1, 1) + self.beta.reshape(-1, 1, 1)


class Mlp(nn.Module):
    """Two 1x1 convolutions, or two layers on tokens, with a GELU between."""

    def __init__(self, channels: int, *, tokens: bool = False) -> None:
        super().__init__()
        self.fc1: nn.Module = nn.Linear(channels, 4 * channels) if tokens else nn.Conv2d(channels, 4 * channels, 1)
        self.fc2: nn.Module = nn.Linear(4 * channels, channels) if tokens else nn.Conv2d(4 * channels, channels, 1)

    def forward(self, batch: Tensor) -> Tensor:
        """To the same shape."""
        return self.fc2(F.gelu(self.fc1(batch)))


class LocalBlock(nn.Module):
    """Position by a 3x3 convolution, a 5x5 one in the place of attention, and an MLP, each of the last two scaled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma_1 = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.gamma_2 = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.pos_embed = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm1 = ColorNorm(channels)
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.conv2 = nn.Conv2d(channels, channels, 1)
        self.attn = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.norm2 = ColorNorm(channels)
        self.mlp = Mlp(channels)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        batch = batch + self.pos_embed(batch)
        batch = batch + self.gamma_1 * self.conv2(self.attn(self.conv1(self.norm1(batch))))
        return batch + self.gamma_2 * self.mlp(self.norm2(batch))


class LocalNet(nn.Module):
    """What each pixel is multiplied by, and what is added to it; both at full size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, LOCAL_CHANNELS, 3, padding=1)
        self.mul_blocks = nn.Sequential(*(LocalBlock(LOCAL_CHANNELS) for _ in range(3)))
        self.add_blocks = nn.Sequential(*(LocalBlock(LOCAL_CHANNELS) for _ in range(3)))
        self.mul_end = nn.Sequential(nn.Conv2d(LOCAL_CHANNELS, 3, 3, padding=1), nn.ReLU())
        self.add_end = nn.Sequential(nn.Conv2d(LOCAL_CHANNELS, 3, 3, padding=1), nn.Tanh())

    def forward(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) float RGB in [0, 1] to factors of at least 0 and summands in [-1, 1], each of that shape."""
        features = F.leaky_relu(self.conv1(batch), 0.2)
        return self.mul_end(self.mul_blocks(features) + features), self.add_end(self.add_blocks(features) + features)


class QueryAttention(nn.Module):
    """Attention of ten learned queries to all positions of a feature map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.q = nn.Parameter(torch.randn(1, 1 + COLOR_QUERIES, channels))
        self.k = nn.Linear(channels, channels, bias=False)
        self.v = nn.Linear(channels, channels, bias=False)
        self.proj = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, L, channels) float to (N, 10, channels)."""
        count = tokens.shape[0]
        split = [
            each.unflatten(2, (HEADS, -1)).transpose(1, 2)
            for each in (self.q.expand(count, -1, -1), self.k(tokens), self.v(tokens))
        ]
        return self.proj(F.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2))


class QueryBlock(nn.Module):
    """Attention of the queries and an MLP; the attention has no connection past it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pos_embed = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm1 = nn.LayerNorm(channels)
        self.attn = QueryAttention(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels, tokens=True)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to (N, 10, channels)."""
        tokens = (batch + self.pos_embed(batch)).flatten(2).transpose(1, 2)
        found = self.attn(self.norm1(tokens))
        return found + self.mlp(self.norm2(found))


class GlobalNet(nn.Module):
    """The colour matrix and the exponent of a whole picture."""

    def __init__(self) -> None:
        super().__init__()
        half = GLOBAL_CHANNELS // 2
        self.gamma_base = nn.Parameter(torch.ones(1))
        self.color_base = nn.Parameter(torch.eye(3))
        self.conv_large = nn.ModuleDict(
            {
                "proj": nn.Sequential(
                    nn.Conv2d(3, half, 3, stride=2, padding=1),
                    nn.BatchNorm2d(half),
                    nn.GELU(),
                    nn.Conv2d(half, GLOBAL_CHANNELS, 3, stride=2, padding=1),
                    nn.BatchNorm2d(GLOBAL_CHANNELS),
                )
            }
        )
        self.generator = QueryBlock(GLOBAL_CHANNELS)
        self.gamma_linear = nn.Linear(GLOBAL_CHANNELS, 1)
        self.color_linear = nn.Linear(GLOBAL_CHANNELS, 1)

    def forward(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) float RGB in [0, 1] to exponents (N, 1) and matrices (N, 3, 3), row for row an output."""
        tokens = self.generator(self.conv_large["proj"](batch))
        gamma = self.gamma_linear(tokens[:, 0]) + self.gamma_base
        return gamma, self.color_linear(tokens[:, 1:]).reshape(-1, 3, 3) + self.color_base


class IATNet(nn.Module):
    """A local branch of factors and summands, then one colour matrix and one exponent for the picture.

    State-dict keys are the official ones.

    Source: Cui et al. 2022; cuiziteng/Illumination-Adaptive-Transformer @ c764722, IAT_enhance/model.
    """

    def __init__(self) -> None:
        super().__init__()
        self.local_net = LocalNet()
        self.global_net = GlobalNet()

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float RGB in [0, 1] to the same; not limited to it."""
        factors, summands = self.local_net(batch)
        gamma, color = self.global_net(batch)
        mixed = torch.einsum("ndc,nchw->ndhw", color, batch * factors + summands)
        return mixed.clamp(DARKEST, 1.0) ** gamma[:, :, None, None]


class IAT(PublishedEnhancer):
    """Illumination-Adaptive Transformer, inference only.

    Colours and exponent are those of the whole picture, so it is never tiled.

    Args:
        variant: "lol_v1" for dark pictures, or "exposure" for wrongly exposed ones.
        weights: See `PublishedEnhancer`.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.
        tile_pixels: Of no effect.

    Source: Cui et al., "You Only Need 90K Parameters to Adapt Light: a Light Weight Transformer for Image Enhancement
    and Exposure Correction", BMVC 2022; cuiziteng/Illumination-Adaptive-Transformer @ c764722, IAT_enhance/img_demo.py.
    """

    name = "iat"
    paper: ClassVar[str | None] = (
        "Cui et al.: You Only Need 90K Parameters to Adapt Light: a Light Weight Transformer for Image Enhancement and "
        "Exposure Correction, BMVC 2022"
    )
    network_class: ClassVar[type[nn.Module]] = IATNet
    files: ClassVar[Mapping[str, WeightFile]] = {
        variant: from_github(
            f"iat/best_Epoch_{variant}.pth",
            "cuiziteng/Illumination-Adaptive-Transformer",
            "c76472265247f47cea57649af28b15018bb64cb1",
            f"IAT_enhance/best_Epoch_{variant}.pth",
            sha256=sha256,
            licence="Apache-2.0",
            note="Takes RGB in [0, 1].",
        )
        for variant, sha256 in (
            ("lol_v1", "6fb32236152283d3f3633ea1b79601c7e819efbf9d87d6b4767e1db0f1f3435b"),
            ("exposure", "15a9494582f028bef996d4af7145860eaa5d67799d2b0625ed93ff8c546ea3ee"),
        )
    }
