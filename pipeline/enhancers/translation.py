"""The base of enhancers that translate a whole picture from low to normal light."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from duskbench.pipeline.enhancers.generator import GeneratorEnhancer


class TranslationEnhancer(GeneratorEnhancer):
    """A generator from and to pictures in [-1, 1]; see `GeneratorEnhancer` for the arguments.

    Attributes:
        least_size: Pixels that the network needs on each side; smaller pictures get their border repeated.
    """

    least_size: ClassVar[int]

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same; H and W multiples of `stride`."""
        height, width = batch.shape[2:]
        right, bottom = (max(self.least_size - size, 0) for size in (width, height))
        if right or bottom:
            batch = F.pad(batch, (0, right, 0, bottom), mode="replicate")
        return self.translate(batch * 2 - 1)[:, :, :height, :width] * 0.5 + 0.5

    def translate(self, batch: Tensor) -> Tensor:
        """Run the network on a batch, (N, 3, H, W) float32 RGB in [-1, 1] to the same."""
        return self.network(batch)
