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
