"""Training of a small feature extractor that ships, taught by a large one that does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.optim import OptimWrapperDict
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.pipeline.training.trainable import Batch, TrainableEnhancer


@MODELS.register_module()
class FeatureDistillation(TrainableEnhancer):
    """A student whose map says what the teacher's says, on pictures of low and of normal light alike.

    Three terms, each a mean squared difference over the variance of what is wanted, so 1 is what a constant reaches:
    the teacher's channels, as a linear function of the student's; the mean over the channels; and its sigmoid, which is
    what the attention sees of it (U of eq. 3).

    Args:
        generator: Configuration of the student, a `FeatureBase`.
        teacher: Configuration of a frozen extractor of the same stride.
        channels: Of the student's and the teacher's map.

    Source: Hinton et al. 2015 and Romero et al. 2015 (FitNets) for the idea.
    """

    def __init__(self, generator: Mapping[str, Any], teacher: Mapping[str, Any], channels: tuple[int, int]) -> None:
        super().__init__(generator)
        self.generator = MODELS.build(dict(generator))
        self.regressor = nn.Conv2d(*channels, 1)
        self.teacher = MODELS.build(dict(teacher))

    def step(self, batch: Batch, optimizers: OptimWrapperDict) -> dict[str, Tensor]:
        """Optimise student and regressor once; see `TrainableEnhancer.step`."""
        pictures = torch.cat([batch["low"], batch["normal"]])
        with torch.no_grad():
            wanted = self.teacher(pictures)
        with optimizers["generator"].optim_context(self):
            features = self.generator(pictures)
            mean, wanted_mean = features.mean(1), wanted.mean(1)
            losses = {
                "loss_features": _relative(self.regressor(features), wanted),
                "loss_mean": _relative(mean, wanted_mean),
                "loss_lifted": _relative(mean.sigmoid(), wanted_mean.sigmoid()),
            }
        total = torch.stack(list(losses.values())).sum()
        self.descend(optimizers["generator"], total, optimizers["regressor"])
        return {"loss": total, **losses}

    def enhance(self, low: Tensor) -> Tensor:
        """U(phi) as a grey picture, (N, 3, H, W) in [0, 1]; for sample grids."""
        lifted = F.interpolate(self.generator(low).mean(1, keepdim=True), low.shape[-2:], mode="bilinear").sigmoid()
        return lifted.expand(-1, 3, -1, -1)


def _relative(found: Tensor, wanted: Tensor) -> Tensor:
    return F.mse_loss(found, wanted) / wanted.var()
