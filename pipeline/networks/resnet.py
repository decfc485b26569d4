"""The residual generator of CycleGAN."""

from __future__ import annotations

from typing import ClassVar

from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.networks.initialisation import initialise_gan
from duskbench.pipeline.networks.instance_norm import InstanceNorm2d


class ResnetBlock(nn.Module):
    """Two 3x3 convolutions between reflected borders, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            InstanceNorm2d(channels),
        )

    def forward(self, batch: Tensor) -> Tensor:
        """(N, C, H, W) float to the same, both sides at least 2."""
        return self.conv_block(batch).add_(batch)


@MODELS.register_module()
class ResnetGenerator(nn.Module):
    """Two halvings, residual blocks, two doublings by transposed convolutions, all with instance normalisation.

    State-dict keys are the official ones, `model.1`, `model.4`, ... Its statistics are those of the whole picture.

    Args:
        in_channels: Channels of the pictures; results have 3.
        width: Channels at full size; twice and four times as many at the smaller ones.
        blocks: Residual blocks, at a quarter of the size.
        tanh: End with tanh; False leaves the values as the last convolution gives them.

    Raises:
        ConfigError: `in_channels` or `width` is below 1, or `blocks` below 0.

    Attributes:
        guided_layers: Submodules whose outputs an attention weighs: one at each change of size. Of the residual blocks
            it is only the last, because weights of below 1 after each of them would multiply up to nothing.

    Source: Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", section
    4 and appendix 7.2; junyanz/pytorch-CycleGAN-and-pix2pix, models/networks.py, ResnetGenerator.
    """

    stride: ClassVar[int] = 4
    # Reflection needs four pixels at full size and two at a quarter.
    least_size: ClassVar[int] = 8

    def __init__(self, in_channels: int = 3, width: int = 64, blocks: int = 9, *, tanh: bool = True) -> None:
        super().__init__()
        if in_channels < 1 or width < 1 or blocks < 0:
            raise ConfigError(
                "The generator is not possible.",
                where="ResnetGenerator",
                expected="in_channels and width of at least 1, blocks of at least 0",
                got=f"in_channels={in_channels}, width={width}, blocks={blocks}",
            )
        self.blocks = blocks
        self.model = nn.Sequential(
            nn.ReflectionPad2d(3),
            *_normalised(nn.Conv2d(in_channels, width, 7)),
            *_normalised(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)),
            *_normalised(nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1)),
            *(ResnetBlock(4 * width) for _ in range(blocks)),
            *_normalised(nn.ConvTranspose2d(4 * width, 2 * width, 3, stride=2, padding=1, output_padding=1)),
            *_normalised(nn.ConvTranspose2d(2 * width, width, 3, stride=2, padding=1, output_padding=1)),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, 3, 7),
            *((nn.Tanh(),) if tanh else ()),
        )
        initialise_gan(self)
        last_block = 9 + blocks
        self.guided_layers = tuple(f"model.{i}" for i in sorted({3, 6, 9, last_block, last_block + 3, last_block + 6}))

    def forward(self, batch: Tensor) -> Tensor:
        """Translate a batch.

        Args:
            batch: (N, in_channels, H, W) float, RGB in [-1, 1]; H and W multiples of 4 and at least 8.

        Returns:
            (N, 3, H, W) float in [-1, 1], or unbounded without tanh.
        """
        return self.model(batch)


def _normalised(convolution: nn.Conv2d | nn.ConvTranspose2d) -> tuple[nn.Module, ...]:
    return convolution, InstanceNorm2d(convolution.out_channels), nn.ReLU(inplace=True)
