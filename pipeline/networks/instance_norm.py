"""Instance normalisation that keeps the layout of a picture and does without copies in the backward pass."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn


class InstanceNorm2d(nn.InstanceNorm2d):
    """torch's without weights, computed as batch normalisation of one picture, as torch does: the same numbers.

    torch's own brings a picture in channels last into the other layout first, and the convolution after it back. It
    also returns a view, and autograd copies the whole gradient twice for whatever changes a view in place.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each channel of each picture over its pixels, (N, C, H, W) float to the same."""
        if len(input) == 1:
            return F.batch_norm(input, None, None, training=True, eps=self.eps)
        channels = input.reshape(1, -1, *input.shape[2:])
        normalised = F.batch_norm(channels, None, None, training=True, eps=self.eps)
        return torch.ops.aten._unsafe_view(normalised, input.shape)


class AffineInstanceNorm2d(nn.InstanceNorm2d):
    """torch's with weights, for maps of one place too, which are their mean: what is left of them is the bias.

    torch refuses such a map, which the lowest level of a U-Net has of a picture no larger than its stride.

    Args:
        channels: Channels of the maps.
    """

    bias: nn.Parameter
    weight: nn.Parameter

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each channel of each picture over its pixels, (N, C, H, W) float to the same."""
        if not torch.compiler.is_compiling() and input.shape[2:].numel() == 1:
            return self.bias[:, None, None].expand_as(input).contiguous()
        # What `F.instance_norm` calls after a look at the size, which a graph of free sizes cannot take.
        cudnn = torch.backends.cudnn.enabled
        return torch.instance_norm(input, self.weight, self.bias, None, None, True, 0.0, self.eps, cudnn)
