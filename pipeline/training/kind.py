"""Training of KinD in its three stages: decomposition first, then restoration and adjustment in either order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.optim import OptimWrapperDict
from mmengine.registry import MODELS
from torch import Tensor

from duskbench.pipeline.kind_weights import load_kind
from duskbench.pipeline.networks.kind import KinDDecomposition, KinDNetwork, stretch
from duskbench.pipeline.training.kind_losses import (
    gradient_loss,
    grey,
    mutual_consistency_loss,
    smoothness_loss,
    ssim,
)
from duskbench.pipeline.training.trainable import Batch, TrainableEnhancer

# What the darker picture's illumination is multiplied by where a sample grid shows the adjustment.
SHOWN_RATIO = 5.0


class KinDStage(TrainableEnhancer):
    """One network of KinD, trained on its own.

    Args:
        generator: Configuration of the network.
        decomposition: Weights of the frozen decomposition, see `load_kind`; "random" leaves it as it is drawn, for
            tests. Of no use to the first stage, which trains it.
    """

    generator: KinDNetwork

    def __init__(self, generator: Mapping[str, Any], decomposition: str | Path | None = None) -> None:
        super().__init__(generator)
        self.generator = MODELS.build(dict(generator))
        self.generator.initialise()
        self.decompose: KinDDecomposition | None = None
        if not isinstance(self.generator, KinDDecomposition):
            self.decompose = KinDDecomposition()
            if decomposition != "random":
                load_kind(self.decompose, decomposition)
            self.decompose.requires_grad_(False).eval()

    def step(self, batch: Batch, optimizers: OptimWrapperDict) -> dict[str, Tensor]:
        """Optimise the network once; see `TrainableEnhancer.step`. Pictures are stretched already."""
        optimizer = optimizers["generator"]
        with optimizer.optim_context(self):
            losses = self.losses(batch)
        total = torch.stack(list(losses.values())).sum()
        self.descend(optimizer, total)
        return {"loss": total, **losses}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss, each times its weight."""
        raise NotImplementedError

    @torch.no_grad()
    def parts(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Reflectance and illumination by the frozen decomposition."""
        assert self.decompose is not None  # noqa: S101 - asked for by the later stages only
        return self.decompose(picture)


@MODELS.register_module("KinDDecompositionModel")
class DecompositionStage(KinDStage):
    """Stage one: both pictures of a pair share a reflectance.

    Source: Zhang, Zhang, Guo 2019, section 3.2; zhangyhuaee/KinD @ b7d7fcc, decomposition_net_train.py. The paper
    squares the difference of the reflectances; the code, and this, take its absolute value.
    """

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """See `KinDStage.losses`."""
        low, normal = batch["low"], batch["normal"]
        reflectance_low, light_low = (each.float() for each in self.generator(low))
        reflectance_normal, light_normal = (each.float() for each in self.generator(normal))
        return {
            "loss_reconstruction_low": F.l1_loss(reflectance_low * light_low, low),
            "loss_reconstruction_normal": F.l1_loss(reflectance_normal * light_normal, normal),
            "loss_reflectance": 0.01 * F.l1_loss(reflectance_low, reflectance_normal),
            "loss_mutual": 0.2 * mutual_consistency_loss(light_low, light_normal),
            "loss_smoothness_normal": 0.15 * smoothness_loss(light_normal, normal),
            "loss_smoothness_low": 0.15 * smoothness_loss(light_low, low),
        }

    def enhance(self, low: Tensor) -> Tensor:
        """The reflectance, for sample grids."""
        return self.generator(stretch(low))[0]


def restoration_losses(result: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Square, structure and gradient of a restored reflectance (N, 3, H, W) against its target.

    Source: Zhang, Zhang, Guo 2019, section 3.3; zhangyhuaee/KinD, reflectance_restoration_net_train.py.
    """
    return {
        "loss_square": F.mse_loss(result, target),
        "loss_ssim": 1 - ssim(result, target),
        "loss_gradient": gradient_loss(grey(result), grey(target)),
    }


@MODELS.register_module("KinDRestorationModel")
class RestorationStage(KinDStage):
    """Stage two: the reflectance of the low-light picture becomes that of the other, a little darkened.

    Source: Zhang, Zhang, Guo 2019, section 3.3; zhangyhuaee/KinD, reflectance_restoration_net_train.py; the exponent
    1.2 of the target is in the code alone.
    """

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """See `KinDStage.losses`."""
        reflectance, light = self.parts(batch["low"])
        target, _ = self.parts(batch["normal"])
        return restoration_losses(self.generator(reflectance, light).float(), target.float() ** 1.2)

    def enhance(self, low: Tensor) -> Tensor:
        """The restored reflectance, for sample grids."""
        return self.generator(*self.parts(stretch(low)))


def adjustment_losses(result: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Square and gradient of an adjusted illumination (N, 1, H, W) against its target.

    Source: Zhang, Zhang, Guo 2019, section 3.4; zhangyhuaee/KinD, adjustment_net_train.py.
    """
    return {"loss_square": F.mse_loss(result, target), "loss_gradient": gradient_loss(result, target)}


@MODELS.register_module("KinDAdjustmentModel")
class AdjustmentStage(KinDStage):
    """Stage three: from either illumination of a pair to the other, by the ratio of their means.

    Source: Zhang, Zhang, Guo 2019, section 3.4; zhangyhuaee/KinD, adjustment_net_train.py.
    """

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """See `KinDStage.losses`."""
        low, normal = self.parts(batch["low"])[1], self.parts(batch["normal"])[1]
        ratio = (low / (normal + 1e-4)).mean((1, 2, 3))
        brighten = torch.tensor(_tosses(batch["seed"]), device=low.device)
        choose = brighten.view(-1, 1, 1, 1)
        source, target = torch.where(choose, low, normal), torch.where(choose, normal, low)
        result = self.generator(source, torch.where(brighten, 1 / ratio + 1e-4, ratio))
        return adjustment_losses(result.float(), target.float())

    def enhance(self, low: Tensor) -> Tensor:
        """Reflectance times adjusted illumination, for sample grids."""
        reflectance, light = self.parts(stretch(low))
        return reflectance * self.generator(light, light.new_tensor([SHOWN_RATIO]))


def _tosses(seeds: Tensor) -> list[bool]:
    """Each sample's own coin."""
    return [bool(np.random.default_rng(seed).random() < 0.5) for seed in seeds.tolist()]
