"""VGG's convolutions in any widths and depths: the base of SSD and RFBNet, and of frozen extractors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from duskbench.pipeline.networks.pooling import MaxPool2d

NormFactory = Callable[[int], nn.Module]

STAGE_CHANNELS = (64, 128, 256, 512, 512)
STAGE_DEPTHS = (2, 2, 3, 3, 3)


def vgg_base(
    stage_channels: Sequence[int] = STAGE_CHANNELS,
    stage_depths: Sequence[int] = STAGE_DEPTHS,
    stem_stride: int = 1,
    *,
    norm: NormFactory | None = None,
    ssd: bool = True,
) -> list[list[nn.Module]]:
    """Build the layers of each stage in VGG's order: convolutions with ReLU, then the pooling that ends the stage.

    Args:
        stage_channels: Channels of each stage.
        stage_depths: Convolutions in each stage.
        stem_stride: 1 as in VGG. 2 strides in the first convolution instead of pooling after the first stage.
        norm: Makes the normalisation of so many channels, between convolution and ReLU; None for none, as in VGG.
        ssd: Pool as SSD does: the third time odd sizes are rounded up, and the fifth pooling keeps the size.

    Source: Simonyan and Zisserman 2015, configuration D; Liu et al. 2016 (SSD), section 3.
    """
    stages: list[list[nn.Module]] = []
    width = 3
    for stage, (channels, depth) in enumerate(zip(stage_channels, stage_depths, strict=True)):
        layers: list[nn.Module] = []
        for i in range(depth):
            layers += convolution(width, channels, 3, norm, padding=1, stride=stem_stride if stage == i == 0 else 1)
            width = channels
        if ssd and stage == 4:
            layers.append(nn.MaxPool2d(3, stride=1, padding=1))
        elif stage > 0 or stem_stride == 1:
            layers.append(MaxPool2d(2, stride=2, ceil_mode=ssd and stage == 2))
        stages.append(layers)
    return stages


def convolution(before: int, after: int, kernel: int, norm: NormFactory | None, **kwargs: Any) -> list[nn.Module]:
    """A convolution, its normalisation if there is one, and ReLU; further arguments are the convolution's."""
    layers: list[nn.Module] = [nn.Conv2d(before, after, kernel, bias=norm is None, **kwargs)]
    return [*layers, *([norm(after)] if norm is not None else []), nn.ReLU(inplace=True)]
