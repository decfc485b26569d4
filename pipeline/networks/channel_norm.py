"""Layer normalisation over the channels of each pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn


class ChannelNorm(nn.Module):
    """Normalises each pixel over its channels, with a scale and a shift of each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        normal = F.layer_norm(batch.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, eps=1e-6)
        return normal.permute(0, 3, 1, 2)
