"""Retinexformer, for its authors' weights, which duskbench cannot fetch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

from duskbench.pipeline.enhancers.published import PublishedEnhancer
from duskbench.pipeline.networks.resizing import pad_after
from duskbench.pipeline.weight_catalogue import WeightFile

WIDTH = 40
# Blocks at full size, at half, and at a quarter; the decoder mirrors the first two.
BLOCKS = (1, 2, 2)
STRIDE = 4


class Illumination(nn.Module):
    """Features of the light, and by how much each pixel of each channel is lifted."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(4, width, 1)
        self.depth_conv = nn.Conv2d(width, width, 5, padding=2, groups=4)
        self.conv2 = nn.Conv2d(width, 3, 1)

    def forward(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) float to features (N, width, H, W) and the map (N, 3, H, W)."""
        features = self.depth_conv(self.conv1(torch.cat([batch, batch.mean(1, keepdim=True)], dim=1)))
        return features, self.conv2(features)


class GuidedAttention(nn.Module):
    """Attention among the channels of each head, whose values are multiplied by the features of the light."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels, bias=False) for _ in "qkv")
        self.rescale = nn.Parameter(torch.ones(heads, 1, 1))
        self.proj = nn.Linear(channels, channels)
        self.pos_emb = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False, groups=channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False, groups=channels),
        )

    def forward(self, batch: Tensor, light: Tensor) -> Tensor:
        """(N, channels, H, W) float, and as much of the light, to the same."""
        size, heads = batch.shape[2:], len(self.rescale)
        tokens = batch.flatten(2).transpose(1, 2)
        queries, keys, values = (layer(tokens).transpose(1, 2) for layer in (self.to_q, self.to_k, self.to_v))
        q, k, lit = (each.unflatten(1, (heads, -1)) for each in (queries, keys, values * light.flatten(2)))
        attention = (F.normalize(k, dim=-1) @ F.normalize(q, dim=-1).transpose(2, 3) * self.rescale).softmax(dim=-1)
        mixed = self.proj((attention @ lit).flatten(1, 2).transpose(1, 2)).transpose(1, 2)
        return mixed.unflatten(2, size) + self.pos_emb(values.unflatten(2, size))


class FeedForward(nn.Module):
    """A normalisation over the channels and three convolutions, four times as wide inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 4 * channels
        layers = nn.Sequential(
            nn.Conv2d(channels, wide, 1, bias=False),
            nn.GELU(),
            nn.Conv2d(wide, wide, 3, padding=1, bias=False, groups=wide),
            nn.GELU(),
            nn.Conv2d(wide, channels, 1, bias=False),
        )
        self.fn = nn.ModuleDict({"net": layers})
        self.norm = nn.LayerNorm(channels)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        return self.fn["net"](self.norm(batch.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


class GuidedBlocks(nn.Module):
    """Attention and feed-forward layers by turns, each added to what it is given."""

    def __init__(self, channels: int, heads: int, count: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.ModuleList([GuidedAttention(channels, heads), FeedForward(channels)]) for _ in range(count)
        )

    def forward(self, batch: Tensor, light: Tensor) -> Tensor:
        """(N, channels, H, W) float, and as much of the light, to the same."""
        for attention, feed_forward in map(list, cast(list[nn.ModuleList], self.blocks)):
            batch = batch + attention(batch, light)
            batch = batch + feed_forward(batch)
        return batch


class Denoiser(nn.Module):
    """A U of two levels below the first, guided by the light at each."""

    def __init__(self, width: int, blocks: tuple[int, int, int]) -> None:
        super().__init__()

        def halving(channels: int) -> nn.Conv2d:
            return nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1, bias=False)

        self.embedding = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.encoder_layers = nn.ModuleList(
            nn.ModuleList([GuidedBlocks(k * width, k, count), halving(k * width), halving(k * width)])
            for k, count in zip((1, 2), blocks, strict=False)
        )
        self.bottleneck = GuidedBlocks(4 * width, 4, blocks[2])
        self.decoder_layers = nn.ModuleList(
            nn.ModuleList(
                [
                    nn.ConvTranspose2d(2 * k * width, k * width, 2, stride=2),
                    nn.Conv2d(2 * k * width, k * width, 1, bias=False),
                    GuidedBlocks(k * width, k, blocks[k - 1]),
                ]
            )
            for k in (2, 1)
        )
        self.mapping = nn.Conv2d(width, 3, 3, padding=1, bias=False)

    def forward(self, batch: Tensor, light: Tensor) -> Tensor:
        """(N, 3, H, W) float and features of the light to (N, 3, H, W); H and W multiples of 4."""
        features, kept = self.embedding(batch), []
        for blocks, halve, halve_light in map(list, cast(list[nn.ModuleList], self.encoder_layers)):
            features = blocks(features, light)
            kept.append((features, light))
            features, light = halve(features), halve_light(light)
        features = self.bottleneck(features, light)
        for enlarge, join, blocks in map(list, cast(list[nn.ModuleList], self.decoder_layers)):
            across, light = kept.pop()
            features = blocks(join(torch.cat([enlarge(features), across], dim=1)), light)
        return self.mapping(features) + batch


class RetinexformerNet(nn.Module):
    """Lifts a picture by its estimated light, and cleans what comes up. State-dict keys are the official ones.

    Source: Cai et al. 2023; caiyuanhao1998/Retinexformer @ 9410f29, basicsr/models/archs/RetinexFormer_arch.py, one
    stage of width 40 with 1, 2 and 2 blocks.
    """

    def __init__(self) -> None:
        super().__init__()
        stage = nn.ModuleDict({"estimator": Illumination(WIDTH), "denoiser": Denoiser(WIDTH, BLOCKS)})
        self.body = nn.ModuleList([stage])

    def forward(self, batch: Tensor) -> Tensor:
        """(N, 3, H, W) float RGB in [0, 1] to the same, not clipped."""
        height, width = batch.shape[2:]
        # The authors' script mirrors at the bottom and right.
        padded = pad_after(batch, multiple=STRIDE, mode="reflect")
        stage = cast(nn.ModuleDict, self.body[0])
        light, gain = stage["estimator"](padded)
        return stage["denoiser"](padded * gain + padded, light)[:, :, :height, :width]


class Retinexformer(PublishedEnhancer):
    """A transformer guided by an estimate of the light, inference only; its weights were not at hand here.

    The network gives what the authors' code gives, with weights made up for the comparison; their own were never run.
    For the arguments see `PublishedEnhancer`; `weights` takes any of the authors' `.pth` files.

    Source: Cai et al., "Retinexformer: One-stage Retinex-based Transformer for Low-light Image Enhancement", ICCV 2023.
    """

    name = "retinexformer"
    paper = "Cai et al.: Retinexformer: One-stage Retinex-based Transformer for Low-light Image Enhancement, ICCV 2023"
    network_class: ClassVar[type[nn.Module]] = RetinexformerNet
    files: ClassVar[Mapping[str, WeightFile]] = {
        "lol_v1": WeightFile(
            "retinexformer/LOL_v1.pth",
            "caiyuanhao1998/Retinexformer, a folder on Google Drive",
            urls=(),
            sha256=None,
            licence="MIT (repository)",
            note="Not seen here.",
        )
    }
    # Attention is among channels, over the whole picture.
    overlap: ClassVar[int | None] = None
