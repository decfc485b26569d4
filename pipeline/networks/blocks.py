"""Blocks of layers under the name that several authors' files have for them."""

from __future__ import annotations

from torch import Tensor, nn


class Block(nn.Module):
    """Layers under the official name `model`."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Run the layers."""
        return self.model(features)


class ResidualBlock(Block):
    """Layers whose result is added to their input; nothing after the sum."""

    def forward(self, features: Tensor) -> Tensor:
        """Run the layers and add."""
        return features + self.model(features)
