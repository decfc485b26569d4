"""Training of UNIT: reconstruct, translate, and come back, through one shared code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.optim import OptimWrapperDict
from mmengine.registry import MODELS
from torch import Tensor

from duskbench.pipeline.networks.initialisation import initialise_gan
from duskbench.pipeline.networks.unit import UNITDiscriminators, UNITGenerator
from duskbench.pipeline.training.losses import cross_entropy_to, squared_mean
from duskbench.pipeline.training.trainable import Batch, TrainableEnhancer


@MODELS.register_module("UNITModel")
class UNITModel(TrainableEnhancer):
    """UNIT with shared weights, from low light (A) to normal light (B) and back.

    Args:
        generator: Configuration of a `UNITGenerator`.
        discriminators: Configuration of `UNITDiscriminators`.
        adversarial_weight: Of the adversarial losses.
        reconstruction_weight: Of the absolute differences to the pictures, each through its own decoder.
        cycle_weight: Of those after a way there and back.
        code_weight: Of the mean squares of codes.

    Source: Liu, Breuel, Kautz, "Unsupervised Image-to-Image Translation Networks", NIPS 2017; mingyuliutw/UNIT, branch
    version_02 @ 96def6b, src/trainers/cocogan_trainer.py, with the weights of exps/unit/day2night.yaml.
    """

    generator: UNITGenerator

    def __init__(
        self,
        generator: Mapping[str, Any],
        discriminators: Mapping[str, Any],
        *,
        adversarial_weight: float = 10.0,
        reconstruction_weight: float = 100.0,
        cycle_weight: float = 100.0,
        code_weight: float = 0.1,
    ) -> None:
        super().__init__(generator)
        self.generator = MODELS.build(dict(generator))
        self.discriminators: UNITDiscriminators = MODELS.build(dict(discriminators))
        initialise_gan(self)
        self.adversarial_weight, self.reconstruction_weight = adversarial_weight, reconstruction_weight
        self.cycle_weight, self.code_weight = cycle_weight, code_weight

    def step(self, batch: Batch, optimizers: OptimWrapperDict) -> dict[str, Tensor]:
        """One step of the discriminators, then one of the generator, each with its own forward pass."""
        low, normal = batch["low"] * 2 - 1, batch["normal"] * 2 - 1
        self.generator.draws.begin(batch["seed"].tolist())
        self.discriminators.requires_grad_(True)
        with optimizers["discriminators"].optim_context(self):
            discriminator_losses = self.discriminator_losses(low, normal)
            loss_discriminators = torch.stack(list(discriminator_losses.values())).sum()
        self.descend(optimizers["discriminators"], loss_discriminators)

        self.discriminators.requires_grad_(False)
        with optimizers["generator"].optim_context(self):
            losses = self.generator_losses(low, normal)
        total = torch.stack(list(losses.values())).sum()
        self.descend(optimizers["generator"], total)
        return {"loss": total, **losses, "loss_discriminators": loss_discriminators, **discriminator_losses}

    def _codes(self, low: Tensor, normal: Tensor) -> Tensor:
        features = torch.cat((self.generator.encode_A(low), self.generator.encode_B(normal)))
        return self.generator.code(features)

    def discriminator_losses(self, low: Tensor, normal: Tensor) -> dict[str, Tensor]:
        """Weighted losses of the discriminators; pictures (N, 3, H, W) in [-1, 1]."""
        with torch.no_grad():
            code_low, code_normal = self._codes(low, normal).chunk(2)
            fakes = {"A": self.generator.decode(code_normal, "A"), "B": self.generator.decode(code_low, "B")}
        return {
            f"discriminator_{name}": self.adversarial_weight
            * (
                cross_entropy_to(1, self.discriminators(real, domain))
                + cross_entropy_to(0, self.discriminators(fakes[domain], domain))
            )
            for name, domain, real in (("low", "A", low), ("normal", "B", normal))
        }

    def generator_losses(self, low: Tensor, normal: Tensor) -> dict[str, Tensor]:
        """Weighted losses of the generator; pictures (N, 3, H, W) in [-1, 1]."""
        generator = self.generator
        codes = self._codes(low, normal)
        shared = generator.dec_shared(codes)
        # Each decoder renders the codes of both domains.
        low_again, fake_low = generator.decode_A(shared).chunk(2)
        fake_normal, normal_again = generator.decode_B(shared).chunk(2)
        code_fake_low, code_fake_normal = generator.encode(fake_low, "A"), generator.encode(fake_normal, "B")
        normal_back, low_back = generator.decode(code_fake_low, "B"), generator.decode(code_fake_normal, "A")
        own, back = self.reconstruction_weight, self.cycle_weight
        return {
            "adversarial_low": self.adversarial_weight * cross_entropy_to(1, self.discriminators(fake_low, "A")),
            "adversarial_normal": self.adversarial_weight * cross_entropy_to(1, self.discriminators(fake_normal, "B")),
            "reconstruction_low": own * F.l1_loss(low_again.float(), low),
            "reconstruction_normal": own * F.l1_loss(normal_again.float(), normal),
            "cycle_low": back * F.l1_loss(low_back.float(), low),
            "cycle_normal": back * F.l1_loss(normal_back.float(), normal),
            # The code of both domains together counts twice, as in the official code.
            "code": 2 * self.code_weight * squared_mean(codes),
            "code_fake_low": self.code_weight * squared_mean(code_fake_low),
            "code_fake_normal": self.code_weight * squared_mean(code_fake_normal),
        }

    def enhance(self, low: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same; H and W multiples of 4."""
        return self.generator(low * 2 - 1) * 0.5 + 0.5
