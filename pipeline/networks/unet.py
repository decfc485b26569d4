"""The paper's generator: a U-Net of eight blocks whose up-sampling is resize and convolution."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.networks.instance_norm import AffineInstanceNorm2d
from duskbench.pipeline.networks.pooling import max_pool

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "instance": AffineInstanceNorm2d,
    "none": lambda _: nn.Identity(),
}


def _block(channels: tuple[int, int], norm: str) -> nn.Sequential:
    """Two 3x3 convolutions, each followed by LeakyReLU and normalisation."""
    layers: list[nn.Module] = []
    for before, after in (channels, (channels[1], channels[1])):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.LeakyReLU(0.2), NORMS[norm](after)]
    return nn.Sequential(*layers)


class _Resize(nn.Module):
    """Bilinear enlargement to twice the size, then a 3x3 convolution: no checkerboard as deconvolution leaves."""

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(*channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) to (N, C_out, 2 H, 2 W)."""
        return self.conv(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))


@MODELS.register_module()
class UNet(nn.Module):
    """Blocks on the way down, each followed by 2x2 max pooling, and as many on the way up, with skip connections.

    Args:
        in_channels: Channels of the input: 3, or 4 with the attention map beside the picture.
        width: Channels of the first block; each step down doubles them up to eight times.
        blocks: All blocks; half go down. 8 in the paper, so that the stride is 16.
        norm: "batch" as in the paper, "instance" or "none".

    Shape:
        Input (N, in_channels, H, W) float, H and W multiples of `stride`; output (N, 3, H, W), the latent picture.

    Raises:
        ConfigError: An odd number of blocks, or an unknown norm.

    Source: the paper, section 4.1. It leaves the width open; EnlightenGAN's is 32.
    """

    def __init__(self, in_channels: int = 4, width: int = 32, blocks: int = 8, norm: str = "batch") -> None:
        super().__init__()
        if blocks < 2 or blocks % 2 or norm not in NORMS:
            raise ConfigError(
                "The U-Net is not possible.",
                expected=f"an even number of blocks, norm of {', '.join(NORMS)}",
                got=f"blocks={blocks}, norm={norm!r}",
            )
        depth = blocks // 2
        widths = [width * min(2**level, 8) for level in range(depth)]
        below = [*widths[1:], widths[-1]]
        self.stride = 2**depth
        self.down = nn.ModuleList(_block(pair, norm) for pair in zip([in_channels, *widths], widths, strict=False))
        self.resize = nn.ModuleList(_Resize(pair) for pair in zip(below, widths, strict=True))
        self.up = nn.ModuleList(_block((2 * channels, channels), norm) for channels in widths)
        self.out = nn.Conv2d(width, 3, 1)
        # A residual generator starts from the picture as it is, instead of from a random cast.
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)
        # What the attention multiplies: the map that each block makes.
        self.guided_layers = tuple(f"{way}.{level}" for way in ("down", "up") for level in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, 3, H, W)."""
        skips: list[Tensor] = []
        for block in self.down:
            skips.append(block(x))
            x = max_pool(skips[-1])
        for level in reversed(range(len(self.up))):
            x = self.up[level](torch.cat([self.resize[level](x), skips[level]], dim=1))
        return self.out(x)
