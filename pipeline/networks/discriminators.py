"""Patch discriminators: a map of scores, each for the patch of the picture that it sees."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F  # noqa: N812
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError, UnknownNameError
from duskbench.pipeline.networks.initialisation import initialise_gan
from duskbench.pipeline.networks.instance_norm import InstanceNorm2d

NORMS = ("instance", "batch", "none")
MOST_WIDTHS = 8
MOST_CHANNELS = 512


@MODELS.register_module()
class PatchDiscriminator(nn.Module):
    """PatchGAN of pix2pix and CycleGAN; with 3 layers each score sees 70x70 pixels.

    State-dict keys are the official ones, `model.0`, `model.2`, `model.5`, ...

    Args:
        in_channels: Channels of the pictures.
        width: Channels of the first layer; they double with each layer, up to eight times.
        layers: Convolutions with stride 2.
        norm: "instance" (no parameters), "batch" or "none", after all but the first and last convolution.

    Raises:
        UnknownNameError: There is no such `norm`.
        ConfigError: `layers` is below 1.

    Source: Isola et al. 2017, section 3.2.2; junyanz/pytorch-CycleGAN-and-pix2pix, models/networks.py,
    NLayerDiscriminator.
    """

    padding: ClassVar[int] = 1
    empty_norm: ClassVar[bool] = True

    def __init__(self, in_channels: int = 3, width: int = 64, layers: int = 3, norm: str = "instance") -> None:
        super().__init__()
        widths = _widths(width, layers, MOST_WIDTHS * width)
        bias = norm != "batch"
        self.model = nn.Sequential(
            *_convolutions(
                in_channels, widths, norm, padding=self.padding, middle_bias=bias, empty_norm=self.empty_norm
            )
        )
        initialise_gan(self)

    def forward(self, batch: Tensor) -> Tensor:
        """Score a batch, (N, in_channels, H, W) float in [-1, 1], as (N, 1, h, w); no sigmoid."""
        return self.model(batch)


@MODELS.register_module()
class MultiscaleDiscriminator(nn.Module):
    """The same PatchGAN several times, each on the picture at half the size of the one before.

    State-dict keys are the official ones: `layer1` sees the full size and `layer0` the half, where `scales` is 2.

    Args:
        in_channels: Channels of the pictures.
        width: Channels of the first layer; they double with each layer, up to 512.
        layers: Convolutions with stride 2, at each scale.
        scales: Discriminators, K of the paper.
        norm: "instance" (no parameters), "batch" or "none", after all but the first and last convolution.

    Raises:
        UnknownNameError: There is no such `norm`.
        ConfigError: `layers` or `scales` is below 1.

    Source: Guo et al., section 3.1, K = 2; NVIDIA/pix2pixHD, models/networks.py, MultiscaleDiscriminator.
    """

    def __init__(
        self, in_channels: int = 3, width: int = 64, layers: int = 3, scales: int = 2, norm: str = "instance"
    ) -> None:
        super().__init__()
        if scales < 1:
            raise ConfigError(
                "A discriminator needs a scale.",
                where="MultiscaleDiscriminator",
                expected="at least 1",
                got=str(scales),
            )
        self.scales = scales
        widths = _widths(width, layers, MOST_CHANNELS)
        for scale in range(scales):
            convolutions = _convolutions(in_channels, widths, norm, padding=2, middle_bias=True, empty_norm=False)
            self.add_module(f"layer{scale}", nn.Sequential(*convolutions))
        initialise_gan(self)

    def forward(self, batch: Tensor) -> list[Tensor]:
        """Score a batch.

        Args:
            batch: (N, in_channels, H, W) float in [-1, 1].

        Returns:
            One (N, 1, h, w) for each scale, the full scale first; no sigmoid.
        """
        scores = []
        for scale in reversed(range(self.scales)):
            scores.append(self.get_submodule(f"layer{scale}")(batch))
            if scale:
                batch = F.avg_pool2d(batch, 3, stride=2, padding=1, count_include_pad=False)
        return scores


@MODELS.register_module()
class EnlightenGANDiscriminator(PatchDiscriminator):
    """PatchGAN without normalisation, EnlightenGAN's for the whole picture (5 layers) and for patches (4).

    State-dict keys are the official ones, `model.0`, `model.2`, `model.4`, ...

    Args:
        in_channels: Channels of the pictures.
        width: Channels of the first layer; they double with each layer, up to eight times.
        layers: Convolutions with stride 2.

    Raises:
        ConfigError: `layers` is below 1.

    Source: Jiang et al. 2021, section III-A; VITA-Group/EnlightenGAN, models/networks.py, NoNormDiscriminator.
    """

    padding: ClassVar[int] = 2
    empty_norm: ClassVar[bool] = False

    def __init__(self, in_channels: int = 3, width: int = 64, layers: int = 5) -> None:
        super().__init__(in_channels, width, layers, norm="none")


def _widths(width: int, layers: int, most: int) -> list[int]:
    """Output channels of the convolutions before the last: `layers` with stride 2, then one with stride 1."""
    if layers < 1:
        raise ConfigError(
            "A patch discriminator needs a layer.", where="layers", expected="at least 1", got=str(layers)
        )
    return [min(width * 2**layer, most) for layer in range(layers + 1)]


def _convolutions(
    in_channels: int, widths: list[int], norm: str, *, padding: int, middle_bias: bool, empty_norm: bool
) -> list[nn.Module]:
    """The layers in their official order; `empty_norm` gives a missing normalisation a place in the numbering."""
    if norm not in NORMS:
        raise UnknownNameError("normalisation", norm, NORMS, where="norm")
    modules: list[nn.Module] = []
    for i, (before, after) in enumerate(zip([in_channels, *widths], widths, strict=False)):
        last = i == len(widths) - 1
        bias = middle_bias or i == 0
        modules.append(nn.Conv2d(before, after, 4, stride=1 if last else 2, padding=padding, bias=bias))
        if i and (norm != "none" or empty_norm):
            modules.append(_norm(norm, after))
        modules.append(nn.LeakyReLU(0.2, inplace=True))
    return [*modules, nn.Conv2d(widths[-1], 1, 4, padding=padding)]


def _norm(name: str, channels: int) -> nn.Module:
    if name == "instance":
        return InstanceNorm2d(channels)
    return nn.BatchNorm2d(channels) if name == "batch" else nn.Identity()
