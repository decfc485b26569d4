"""Training of Zero-DCE on low-light pictures alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.optim import OptimWrapperDict
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.pipeline.networks.zero_dce import DCENet, apply_curves
from duskbench.pipeline.training.trainable import Batch, TrainableEnhancer
from duskbench.pipeline.training.zero_dce_losses import (
    PATCH_SIZE,
    WELL_EXPOSED,
    colour_constancy_loss,
    exposure_loss,
    smoothness_loss,
    spatial_consistency_loss,
)

INITIAL_DEVIATION = 0.02


@MODELS.register_module("ZeroDCEModel")
class ZeroDCE(TrainableEnhancer):
    """Zero-DCE: a curve estimator that learns from four losses on its own output.

    Args:
        generator: Configuration of a `DCENet`.
        spatial_weight: Weight of the spatial consistency loss.
        exposure_weight: Weight of the exposure loss.
        colour_weight: Weight of the colour constancy loss.
        smoothness_weight: Weight of the illumination smoothness loss.
        patch_size: Side of the patches whose exposure counts.
        exposure_level: Mean of a well exposed patch.

    Source: Guo et al., "Zero-Reference Deep Curve Estimation for Low-Light Image Enhancement", CVPR 2020, section 3.3
    and 4; Li-Chongyi/Zero-DCE @ e0f4adc, Zero-DCE_code/lowlight_train.py, for weights and initial values.
    """

    generator: DCENet
    compiled = ("generator.curves",)

    def __init__(
        self,
        generator: Mapping[str, Any],
        *,
        spatial_weight: float = 1.0,
        exposure_weight: float = 10.0,
        colour_weight: float = 5.0,
        smoothness_weight: float = 200.0,
        patch_size: int = PATCH_SIZE,
        exposure_level: float = WELL_EXPOSED,
    ) -> None:
        super().__init__(generator)
        self.generator = MODELS.build(dict(generator))
        for layer in self.generator.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, 0.0, INITIAL_DEVIATION)
        self.spatial_weight, self.exposure_weight = spatial_weight, exposure_weight
        self.colour_weight, self.smoothness_weight = colour_weight, smoothness_weight
        self.patch_size, self.exposure_level = patch_size, exposure_level

    def step(self, batch: Batch, optimizers: OptimWrapperDict) -> dict[str, Tensor]:
        """Optimise the curve estimator once, on `low`; see `TrainableEnhancer.step`."""
        optimizer = optimizers["generator"]
        with optimizer.optim_context(self):
            losses = self.losses(batch["low"])
        total = torch.stack(list(losses.values())).sum()
        self.descend(optimizer, total)
        return {"loss": total, **losses}

    def losses(self, low: Tensor) -> dict[str, Tensor]:
        """The four losses of a batch, (N, 3, H, W) float32 RGB in [0, 1], each times its weight."""
        # Losses are of small differences between neighbours, which half precision would round away.
        curves = self.generator.curves(low).float()
        enhanced = apply_curves(low, curves)
        return {
            "loss_spatial": self.spatial_weight * spatial_consistency_loss(enhanced, low),
            "loss_exposure": self.exposure_weight * exposure_loss(enhanced, self.patch_size, self.exposure_level),
            "loss_colour": self.colour_weight * colour_constancy_loss(enhanced),
            "loss_smoothness": self.smoothness_weight * smoothness_loss(curves),
        }

    def enhance(self, low: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same."""
        return self.generator(low)
