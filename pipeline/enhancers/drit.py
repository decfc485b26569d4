"""DRIT, with weights trained here."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from duskbench.pipeline.enhancers.generator import GeneratorEnhancer
from duskbench.pipeline.networks.drit import DRITGenerator


class DRIT(GeneratorEnhancer):
    """DRIT's translation from low to normal light with attributes 0, the middle of the prior; no weights ship.

    See `GeneratorEnhancer` for the arguments. The network normalises by statistics of the whole picture, so there are
    no tiles; the authors' script reduces every picture to 256x256 first, this takes it as it is.

    Source: Lee, Tseng, Huang, Singh, Yang, "Diverse Image-to-Image Translation via Disentangled Representations", ECCV
    2018.
    """

    name = "drit"
    paper = "Lee et al.: Diverse Image-to-Image Translation via Disentangled Representations, ECCV 2018"
    default_weights = "drit"
    stride: ClassVar[int] = DRITGenerator.stride

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same; H and W multiples of 4."""
        height, width = batch.shape[2:]
        missing = [max(DRITGenerator.least_size - size, 0) for size in (width, height)]
        if any(missing):
            batch = F.pad(batch, (0, missing[0], 0, missing[1]), mode="replicate")
        return self.network(batch * 2 - 1)[:, :, :height, :width] * 0.5 + 0.5
