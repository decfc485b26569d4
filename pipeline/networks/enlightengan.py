"""EnlightenGAN's generator: a U-Net that is told where the picture is dark."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.networks.attention import luma
from duskbench.pipeline.networks.initialisation import initialise_gan
from duskbench.pipeline.networks.pooling import max_pool
from duskbench.pipeline.networks.unet import NORMS

ATTENTIONS = ("gray", "none")
DEPTH = 5
SLOPE = 0.2


@MODELS.register_module()
class EnlightenGANGenerator(nn.Module):
    """Five levels of two 3x3 convolutions down, four up; LeakyReLU, then BatchNorm; resize + convolution upwards.

    State-dict keys are the official ones: `conv1_1` to `conv9_2` with `bn1_1` to `bn9_1`, `deconv5` to `deconv8` (which
    are convolutions after a bilinear enlargement), `conv10`.

    With attention "gray" the network computes the map 1 - luma itself, in [0, 1], takes it as a further channel,
    multiplies the skip connections and the lowest level by its max-pooled pyramid, and returns picture + latent * map.
    With "none" there is no map and the latent picture is returned, for a wrapper that brings an attention of its own.

    Args:
        in_channels: Channels of the input; 3 for "gray".
        width: Channels of the first level; they double with each level down.
        attention: "gray" or "none".
        norm: "batch" as in the official network and the paper, "instance", or "none". Without it the initial weights
            are those of He et al. 2015, which keep a map's size; the official ones need the normalisation for that.
        zero_output: Start with a last convolution of zeros: the latent picture is empty, and a residual starts from the
            picture as it is instead of from a random cast.

    Raises:
        ConfigError: Another attention or norm, or "gray" with `in_channels` other than 3.

    Attributes:
        stride: Height and width must be multiples of it.
        guided_layers: Submodules whose outputs are the map of each level, for an attention that multiplies them. The
            last one's is before its LeakyReLU, with which a positive factor commutes.

    Source: Jiang et al. 2021, section III-C; VITA-Group/EnlightenGAN @ b034984, models/networks.py, Unet_resize_conv as
    scripts/script.py builds it (self_attention, times_residual, use_norm 1, skip 1). The official network halves
    pictures wider than 2200 pixels, of which an odd size does not come back; this one does not.
    """

    stride: ClassVar[int] = 2 ** (DEPTH - 1)
    guided_layers: ClassVar[tuple[str, ...]] = (*(f"bn{level}_2" for level in range(1, 9)), "conv9_2")

    def __init__(
        self,
        in_channels: int = 3,
        width: int = 32,
        attention: str = "gray",
        *,
        norm: str = "batch",
        zero_output: bool = False,
    ) -> None:
        super().__init__()
        if attention not in ATTENTIONS or (attention == "gray" and in_channels != 3) or norm not in NORMS:
            raise ConfigError(
                "EnlightenGAN's generator is not possible.",
                expected=f"attention 'gray' with in_channels=3, or attention 'none'; norm of {', '.join(NORMS)}",
                got=f"attention={attention!r}, in_channels={in_channels}, norm={norm!r}",
            )
        self.attention, self.norm = attention, norm
        first = in_channels + (attention == "gray")
        down = [width * 2**level for level in range(DEPTH)]
        for level, (before, after) in enumerate(zip([first, *down], down, strict=False), start=1):
            self._add_level(level, before, after)
        for level, after in enumerate(reversed(down[:-1]), start=DEPTH + 1):
            # What comes from below has twice the channels; beside the skip connection it is twice again.
            self.add_module(f"deconv{level - 1}", nn.Conv2d(2 * after, after, 3, padding=1))
            self._add_level(level, 2 * after, after, last=level == 2 * DEPTH - 1)
        self.conv10 = nn.Conv2d(width, 3, 1)
        initialise_gan(self)
        for layer in self.modules() if norm == "none" else ():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, SLOPE)
        if zero_output:
            for parameter in self.conv10.parameters():
                nn.init.zeros_(parameter)

    def _add_level(self, level: int, before: int, after: int, *, last: bool = False) -> None:
        for place, channels in ((1, before), (2, after)):
            self.add_module(f"conv{level}_{place}", nn.Conv2d(channels, after, 3, padding=1))
            if not (last and place == 2):
                self.add_module(f"bn{level}_{place}", NORMS[self.norm](after))

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch.

        Args:
            batch: (N, in_channels, H, W) float, RGB in [-1, 1] for "gray"; H and W multiples of 16.

        Returns:
            (N, 3, H, W) float: the enhanced picture, about [-1, 1] and not clipped, or the latent one.

        Raises:
            ConfigError: H or W is no multiple of 16.
        """
        if batch.shape[2] % self.stride or batch.shape[3] % self.stride:
            raise ConfigError(
                "EnlightenGAN's generator cannot take this size.",
                expected=f"height and width multiples of {self.stride}",
                got=f"{batch.shape[2]} x {batch.shape[3]}",
                todo="pad first, as TorchEnhancer does, or choose such a crop",
            )
        if self.attention == "none":
            return self._latent(batch, None)
        darkness = gray_attention(batch)
        latent = self._latent(torch.cat((batch, darkness), dim=1), darkness)
        return torch.addcmul(batch, latent, darkness)

    def _latent(self, x: Tensor, darkness: Tensor | None) -> Tensor:
        skips: list[Tensor] = []
        for level in range(1, DEPTH):
            skip = self._block(x, level)
            x = max_pool(skip)
            skips.append(skip if darkness is None else skip * darkness)
            darkness = None if darkness is None else max_pool(darkness)
        x = self._half(x, DEPTH, 1)
        x = self._half(x if darkness is None else x * darkness, DEPTH, 2)
        for level in range(DEPTH + 1, 2 * DEPTH):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = self.get_submodule(f"deconv{level - 1}")(x)
            x = self._block(torch.cat((x, skips.pop()), dim=1), level)
        return self.conv10(x)

    def _block(self, x: Tensor, level: int) -> Tensor:
        return self._half(self._half(x, level, 1), level, 2)

    def _half(self, x: Tensor, level: int, place: int) -> Tensor:
        x = F.leaky_relu(self.get_submodule(f"conv{level}_{place}")(x), SLOPE, inplace=True)
        name = f"bn{level}_{place}"
        return self.get_submodule(name)(x) if name in self._modules else x


def gray_attention(batch: Tensor) -> Tensor:
    """How dark each pixel is, (N, 3, H, W) RGB in [-1, 1] to (N, 1, H, W), 1 for black and 0 for white.

    Source: VITA-Group/EnlightenGAN, data/unaligned_dataset.py, A_gray.
    """
    return 1 - luma(batch + 1) / 2
