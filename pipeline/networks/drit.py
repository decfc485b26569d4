"""DRIT's networks: content and attribute encoders, a generator for each domain, and the discriminators."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.pipeline.networks.blocks import Block, ResidualBlock
from duskbench.pipeline.networks.instance_norm import InstanceNorm2d
from duskbench.pipeline.networks.sample_draws import SampleDraws

ATTRIBUTES = 8
SCALES = 3


def _leaky(inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> Block:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride)
    return Block(nn.ReflectionPad2d(padding), convolution, nn.LeakyReLU(inplace=True))


def _normalised(inputs: int, outputs: int) -> Block:
    convolution = nn.Conv2d(inputs, outputs, 3, 2)
    return Block(nn.ReflectionPad2d(1), convolution, InstanceNorm2d(outputs), nn.ReLU(inplace=True))


class _Residual(ResidualBlock):
    """Two convolutions with instance normalisation, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__(
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            InstanceNorm2d(width),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            InstanceNorm2d(width),
        )


class _LayerNorm(nn.Module):
    """Normalise each sample over channels and places; a scale and an offset for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Normalise."""
        return F.layer_norm(features, features.shape[1:]) * self.weight + self.bias


def _up(inputs: int, outputs: int) -> nn.Sequential:
    transposed = nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1)
    return nn.Sequential(Block(transposed, _LayerNorm(outputs), nn.ReLU(inplace=True)))


class ContentEncoder(nn.Module):
    """From pictures of domain "A" or "B" to a content that both share; noisy while training."""

    def __init__(self, width: int, draws: SampleDraws) -> None:
        super().__init__()
        self.draws = draws
        for domain in "AB":
            layers = [_leaky(3, width, 7, 1, 3), _normalised(width, 2 * width), _normalised(2 * width, 4 * width)]
            layers += [_Residual(4 * width) for _ in range(3)]
            self.add_module(f"conv{domain}", nn.Sequential(*layers))
        self.conv_share = nn.Sequential(_Residual(4 * width))

    def forward(self, picture: Tensor, domain: str) -> Tensor:
        """(N, 3, H, W) in [-1, 1] to (N, 4 width, H / 4, W / 4)."""
        content = self.conv_share(getattr(self, f"conv{domain}")(picture))
        return content + self.draws.normal(content) if self.training else content


class _Shrinking(nn.Module):
    """A residual block that halves the size by averaging."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        after = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3), nn.AvgPool2d(2))
        self.conv = nn.Sequential(
            nn.LeakyReLU(0.2), nn.ReflectionPad2d(1), nn.Conv2d(inputs, inputs, 3), nn.LeakyReLU(0.2), after
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1))

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, D, H / 2, W / 2)."""
        return self.conv(features) + self.shortcut(features)


class AttributeEncoder(nn.Module):
    """From pictures of domain "A" or "B" to mean and log variance of their attributes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [width * level for level in (1, 2, 3, 4)]
        for domain in "AB":
            blocks = [_Shrinking(a, b) for a, b in itertools.pairwise(channels)]
            first = (nn.ReflectionPad2d(1), nn.Conv2d(3, width, 4, 2))
            layers = nn.Sequential(*first, *blocks, nn.LeakyReLU(0.2), nn.AdaptiveAvgPool2d(1))
            self.add_module(f"conv_{domain}", layers)
            for head in ("fc", "fcVar"):
                self.add_module(f"{head}_{domain}", nn.Sequential(nn.Linear(channels[-1], ATTRIBUTES)))

    def forward(self, picture: Tensor, domain: str) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) in [-1, 1] to two (N, 8)."""
        features = getattr(self, f"conv_{domain}")(picture).flatten(1)
        return getattr(self, f"fc_{domain}")(features), getattr(self, f"fcVar_{domain}")(features)


class ContentDecoder(nn.Module):
    """From a content and attributes to a picture of domain "A" or "B"; attributes join the features at every level."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dec_share = nn.Sequential(_Residual(4 * width))
        wide = 4 * width + ATTRIBUTES
        half, full = (wide + ATTRIBUTES) // 2, ((wide + ATTRIBUTES) // 2 + ATTRIBUTES) // 2
        for domain in "AB":
            self.add_module(f"dec{domain}1", nn.Sequential(*(_Residual(wide) for _ in range(3))))
            self.add_module(f"dec{domain}2", _up(wide + ATTRIBUTES, half))
            self.add_module(f"dec{domain}3", _up(half + ATTRIBUTES, full))
            self.add_module(f"dec{domain}4", nn.Sequential(nn.ConvTranspose2d(full + ATTRIBUTES, 3, 1), nn.Tanh()))

    def forward(self, content: Tensor, attributes: Tensor, domain: str) -> Tensor:
        """(N, 4 width, H / 4, W / 4) and (N, 8) to (N, 3, H, W) in [-1, 1]."""
        features = self.dec_share(content)
        for level in (1, 2, 3, 4):
            maps = attributes[:, :, None, None].expand(-1, -1, *features.shape[2:])
            features = getattr(self, f"dec{domain}{level}")(torch.cat((features, maps), 1))
        return features


@MODELS.register_module()
class DRITGenerator(nn.Module):
    """The paper's disentangled representation, with attributes that join by concatenation.

    State-dict keys are the official ones under `enc_c.`, `enc_a.` and `gen.`. Domain A is low light, B normal light.

    Args:
        width: Channels of the first layer.

    Source: Lee, Tseng, Huang, Singh, Yang, "Diverse Image-to-Image Translation via Disentangled Representations", ECCV
    2018; HsinYingLee/DRIT @ f19f50a, src/networks.py.
    """

    stride = 4
    # Reflection needs more pixels than it adds, and instance normalisation more than one value.
    least_size = 8

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.draws = SampleDraws()
        self.enc_c = ContentEncoder(width, self.draws)
        self.enc_a = AttributeEncoder(width)
        self.gen = ContentDecoder(width)

    def forward(self, low: Tensor, attributes: Tensor | None = None) -> Tensor:
        """Translate from low to normal light.

        Args:
            low: (N, 3, H, W) in [-1, 1]; H and W multiples of 4.
            attributes: (N, 8); None takes 0, the middle of what they are drawn from.

        Returns:
            The shape of `low`, in [-1, 1].
        """
        if attributes is None:
            attributes = low.new_zeros(len(low), ATTRIBUTES)
        return self.gen(self.enc_c(low, "A"), attributes, "B")


@MODELS.register_module()
class DRITDiscriminator(nn.Module):
    """Three networks that see a picture at full, half and quarter size.

    Args:
        width: Channels of the first layer.

    Source: HsinYingLee/DRIT @ f19f50a, src/networks.py, MultiScaleDis.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        channels = [3, *(width << level for level in range(4))]
        self.Diss = nn.ModuleList(
            nn.Sequential(
                *(_leaky(a, b, 4, 2, 1) for a, b in itertools.pairwise(channels)), nn.Conv2d(channels[-1], 1, 1)
            )
            for _ in range(SCALES)
        )

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Score (N, 3, H, W) in [-1, 1]: logits (N, 1, h, w) of each scale."""
        scores = []
        for network in self.Diss:
            scores.append(network(picture))
            picture = F.avg_pool2d(picture, 3, 2, 1, count_include_pad=False)
        return scores


@MODELS.register_module()
class DRITContentDiscriminator(nn.Module):
    """Says which domain a content is of; its maps must be 53 pixels wide and high, pictures 212.

    Without normalisation, as the authors' trainings are: their code asks for it, but a slip leaves it out.

    Args:
        width: Of the generator.

    Source: HsinYingLee/DRIT @ f19f50a, src/networks.py, Dis_content.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        wide = 4 * width
        layers = [_leaky(wide, wide, 7, 2, 1) for _ in range(3)]
        self.model = nn.Sequential(*layers, _leaky(wide, wide, 4, 1, 0), nn.Conv2d(wide, 1, 1))

    def forward(self, content: Tensor) -> Tensor:
        """(N, C, h, w) to logits, (M,)."""
        return self.model(content).flatten()
