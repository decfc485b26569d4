"""UNIT, with weights trained here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from duskbench.pipeline.enhancers.generator import GeneratorEnhancer
from duskbench.pipeline.networks.unit import UNITGenerator


class UNIT(GeneratorEnhancer):
    """UNIT's translation from low to normal light, through the shared code without noise; no weights ship.

    `weights` may be a generator that the authors' code of 2017 saved. See `GeneratorEnhancer` for the arguments. The
    network normalises by statistics of the whole picture, so there are no tiles.

    Source: Liu, Breuel, Kautz, "Unsupervised Image-to-Image Translation Networks", NIPS 2017.
    """

    name = "unit"
    paper = "Liu, Breuel, Kautz: Unsupervised Image-to-Image Translation Networks, NIPS 2017"
    default_weights = "unit"
    published_network: ClassVar[Mapping[str, Any] | None] = {"type": "UNITGenerator"}
    stride: ClassVar[int] = UNITGenerator.stride

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same; H and W multiples of 4."""
        height, width = batch.shape[2:]
        missing = [max(UNITGenerator.least_size - size, 0) for size in (width, height)]
        if any(missing):
            batch = F.pad(batch, (0, missing[0], 0, missing[1]), mode="replicate")
        return self.network(batch * 2 - 1)[:, :, :height, :width] * 0.5 + 0.5
