"""ForkGAN, with weights trained here."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from duskbench.pipeline.enhancers.generator import GeneratorEnhancer
from duskbench.pipeline.networks.forkgan import ForkGenerator


class ForkGAN(GeneratorEnhancer):
    """ForkGAN's translation from night to day; no weights ship, and its authors published none.

    See `GeneratorEnhancer` for the arguments. This is the translation; the authors' pictures are a second pass of it
    through the other generator's noisy reconstruction, which is different each time. The network normalises by
    statistics of the whole picture, so there are no tiles.

    Source: Zheng, Wu, Han, Shi, "ForkGAN: Seeing into the Rainy Night", ECCV 2020.
    """

    name = "forkgan"
    paper = "Zheng, Wu, Han, Shi: ForkGAN: Seeing into the Rainy Night, ECCV 2020"
    default_weights = "forkgan"
    stride: ClassVar[int] = ForkGenerator.stride

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same; H and W multiples of 4."""
        height, width = batch.shape[2:]
        missing = [max(ForkGenerator.least_size - size, 0) for size in (width, height)]
        if any(missing):
            batch = F.pad(batch, (0, missing[0], 0, missing[1]), mode="replicate")
        return self.network(batch * 2 - 1)[:, :, :height, :width] * 0.5 + 0.5
