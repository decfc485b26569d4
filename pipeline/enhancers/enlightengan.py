"""EnlightenGAN, with weights trained here or its authors'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from duskbench.pipeline.enhancers.generator import GeneratorEnhancer
from duskbench.pipeline.networks.enlightengan import EnlightenGANGenerator


class EnlightenGAN(GeneratorEnhancer):
    """EnlightenGAN's U-Net with attention to dark places; see `GeneratorEnhancer` for the arguments.

    `weights` may be the authors' `200_net_G_A.pth`, whose keys start with `module.`. Unlike their script this one
    returns every size as it came, wide pictures too, and rounds where that truncates.

    Source: Jiang et al. 2021, "EnlightenGAN: Deep Light Enhancement without Paired Supervision";
    VITA-Group/EnlightenGAN @ b034984, predict.py and models/networks.py.
    """

    name = "enlightengan"
    paper = "Jiang et al.: EnlightenGAN: Deep Light Enhancement without Paired Supervision, TIP 2021"
    default_weights = "enlightengan"
    published_network: ClassVar[Mapping[str, Any] | None] = {"type": "EnlightenGANGenerator"}
    stride: ClassVar[int] = EnlightenGANGenerator.stride
    # Two 3x3 convolutions at each of nine levels, one after each enlargement, the enlargements and the poolings.
    overlap: ClassVar[int | None] = 137
    # A small window would be mostly overlap; this one takes about 2 GB.
    cpu_tile_pixels: ClassVar[int] = 2**21

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Add the batch counters, which the torch of 2018 did not write; evaluation does not read them."""
        counters = {
            key.removesuffix("running_mean") + "num_batches_tracked": torch.tensor(0)
            for key in state
            if key.endswith(".running_mean")
        }
        return {**counters, **state}

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same; H and W multiples of 16."""
        return self.network(batch * 2 - 1).mul_(0.5).add_(0.5)
