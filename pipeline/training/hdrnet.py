"""Training of HDRNet on pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.optim import OptimWrapperDict
from mmengine.registry import MODELS
from torch import Tensor

from duskbench.pipeline.networks.hdrnet import HDRNet
from duskbench.pipeline.training.trainable import Batch, TrainableEnhancer


@MODELS.register_module("HDRNetModel")
class HDRNetModel(TrainableEnhancer):
    """HDRNet against the picture in normal light, by the mean squared error at full size.

    Args:
        generator: Configuration of an `HDRNet`.

    Source: Gharbi et al. 2017, section 4; google/hdrnet @ e9a5bf5, hdrnet/bin/train.py.
    """

    generator: HDRNet

    def __init__(self, generator: Mapping[str, Any]) -> None:
        super().__init__(generator)
        self.generator = MODELS.build(dict(generator))

    def step(self, batch: Batch, optimizers: OptimWrapperDict) -> dict[str, Tensor]:
        """Optimise the network once; see `TrainableEnhancer.step`."""
        with optimizers["generator"].optim_context(self):
            loss = F.mse_loss(self.generator(batch["low"]).float(), batch["normal"])
        self.descend(optimizers["generator"], loss)
        return {"loss": loss}

    def enhance(self, low: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same."""
        return self.generator(low)
