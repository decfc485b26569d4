"""PSENet with its authors' weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, cat, nn

from duskbench.pipeline.enhancers.published import PublishedEnhancer
from duskbench.pipeline.networks.resizing import pad_after
from duskbench.pipeline.weight_catalogue import WeightFile, from_github

SLOPE = 0.01
# At a quarter of the size there must be two pixels to reflect.
LEAST_SIZE = 5


class SqueezeExcite(nn.Module):
    """Channels weighed by what two layers make of their means; the weights are not limited by a sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.ReLU(), nn.Conv2d(channels, channels, 1))

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        return batch * self.fc(batch.mean(dim=(2, 3), keepdim=True))


class InvertedBottleneck(nn.Module):
    """1x1 to more channels, 3x3 of each with a reflected border, 1x1 back; the input is added where it has the shape.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        expanded: Channels between.
        stride: Of the 3x3 convolution.
        squeeze: Whether the channels are weighed before the last convolution.
    """

    def __init__(self, inputs: int, outputs: int, expanded: int, stride: int = 1, *, squeeze: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, expanded, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(expanded, expanded, 3, stride=stride, padding=1, groups=expanded, padding_mode="reflect"),
            SqueezeExcite(expanded) if squeeze else nn.Identity(),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(expanded, outputs, 1),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, batch: Tensor) -> Tensor:
        """(N, inputs, H, W) float to (N, outputs, ceil(H / stride), ceil(W / stride)); both sides at least 2."""
        return batch + self.conv(batch) if self.residual else self.conv(batch)


class PSENetwork(nn.Module):
    """Estimates an exponent for each pixel and colour: two levels down, two up.

    State-dict keys are the official ones without `model.`.

    Source: Nguyen et al. 2023; VinAIResearch/PSENet-Image-Enhancement @ d863217, source/model.py.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first_conv = InvertedBottleneck(3, 3, 6, squeeze=True)
        self.conv1 = InvertedBottleneck(3, 16, 24, stride=2)
        self.conv2 = InvertedBottleneck(16, 16, 24)
        self.conv3 = InvertedBottleneck(16, 32, 48, stride=2)
        self.conv5 = InvertedBottleneck(32, 32, 48)
        self.conv6 = InvertedBottleneck(32, 16, 48)
        self.conv7 = InvertedBottleneck(32, 16, 48)
        self.conv8 = InvertedBottleneck(16, 3, 24)
        self.last_conv = InvertedBottleneck(6, 3, 9, squeeze=True)

    def exponents(self, batch: Tensor) -> Tensor:
        """(N, 3, H, W) float RGB in [0, 1], both sides at least 5, to exponents of at least 0 in that shape."""
        full = self.first_conv(batch)
        half = self.conv2(self.conv1(full))
        quarter = self.conv6(self.conv5(self.conv3(half)))
        half = self.conv8(self.conv7(_join(half, quarter)))
        return (self.last_conv(_join(full, half)) + 1).abs()

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float RGB in [0, 1] to the same; the edge of a tiny one is repeated first."""
        height, width = batch.shape[2:]
        batch = pad_after(batch, least=LEAST_SIZE)
        return (1 - (1 - batch) ** self.exponents(batch))[:, :, :height, :width]


def _join(large: Tensor, small: Tensor) -> Tensor:
    return cat((large, F.interpolate(small, size=large.shape[2:], mode="bilinear", align_corners=True)), dim=1)


class PSENet(PublishedEnhancer):
    """Progressive Self-Enhancement Network, inference only.

    It weighs channels by their means over the picture, so it is never tiled.

    Args:
        variant: "sice", which the authors use for dark pictures, or "afifi" for wrongly exposed ones.
        weights: See `PublishedEnhancer`.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.
        tile_pixels: Of no effect.

    Source: Nguyen et al., "PSENet: Progressive Self-Enhancement Network for Unsupervised Extreme-Light Image
    Enhancement", WACV 2023; VinAIResearch/PSENet-Image-Enhancement @ d863217.
    """

    name = "psenet"
    paper: ClassVar[str | None] = (
        "Nguyen et al.: PSENet: Progressive Self-Enhancement Network for Unsupervised Extreme-Light Image Enhancement, "
        "WACV 2023"
    )
    network_class: ClassVar[type[nn.Module]] = PSENetwork
    files: ClassVar[Mapping[str, WeightFile]] = {
        variant: from_github(
            f"psenet/{variant}.pth",
            "VinAIResearch/PSENet-Image-Enhancement",
            "d86321702e6b35b61c963cacc4cba5b84448c767",
            f"pretrained/{variant}.pth",
            sha256=sha256,
            licence="BSD-3-Clause",
            note="A Lightning checkpoint; takes RGB in [0, 1].",
        )
        for variant, sha256 in (
            ("sice", "d273ab7d9473af2012ddcc46e64288595ae3f91fe6de4d7b1e5ff07dfe1cce1a"),
            ("afifi", "9be55fdb2350694d4b980e3cc158df74a931110503bd9c1aac96939371a76b36"),
        )
    }

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Without the name that the network has in the training model."""
        return {key.removeprefix("model."): value for key, value in state.items()}
