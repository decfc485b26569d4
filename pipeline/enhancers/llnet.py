"""LLNet, with weights trained here."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from duskbench.pipeline.enhancers.generator import GeneratorEnhancer
from duskbench.pipeline.networks.llnet import PATCH, STEP


class LLNet(GeneratorEnhancer):
    """A stacked denoising auto-encoder on patches; no weights ship: train them on lit pictures.

    Args:
        weights: See `GeneratorEnhancer`.
        stretch: Bring the result to its own minimum and maximum, as the authors' script does by the way it saves; users
            of it find its pictures bleached. Such a one is not tiled.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.
        tile_pixels: See `TorchEnhancer`.

    Source: Lore, Akintayo, Sarkar, "LLNet: A Deep Autoencoder Approach to Natural Low-light Image Enhancement", Pattern
    Recognition 61 (2017); kglore/llnet_color @ 1d45245. The authors resize a picture until patches fit; here its border
    is repeated.
    """

    name = "llnet"
    paper = "Lore et al.: LLNet: A Deep Autoencoder Approach to Natural Low-light Image Enhancement, 2017"
    default_weights = "llnet"
    stride: ClassVar[int] = STEP
    pads_to_stride: ClassVar[bool] = False
    # A pixel is in patches that reach 16 pixels beyond it; the next multiple of the step.
    overlap: ClassVar[int | None] = -(-(PATCH - 1) // STEP) * STEP
    cpu_tile_pixels: ClassVar[int] = 2**17

    def __init__(
        self,
        weights: str | Path | None = None,
        stretch: bool = False,
        device: str | torch.device = "cpu",
        *,
        amp: bool = False,
        tile_pixels: int | None = None,
    ) -> None:
        super().__init__(weights, device, amp=amp, tile_pixels=tile_pixels)
        self.arguments = {**self.arguments, "stretch": stretch}
        self.stretch = stretch
        if stretch:
            self.overlap = None  # type: ignore[misc]

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same."""
        result = self.network(batch)
        if not self.stretch:
            return result
        low, high = result.amin((1, 2, 3), keepdim=True), result.amax((1, 2, 3), keepdim=True)
        return (result - low) / (high - low).clamp(min=1e-6)
