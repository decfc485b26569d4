"""Training of the paper's method: an attention-guided generator against multi-scale discriminators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.optim import OptimWrapperDict
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.networks.guided import AttentionGuided
from duskbench.pipeline.training.degradations import add_noise, checked_noise
from duskbench.pipeline.training.losses import (
    chromaticity_loss,
    lsgan_discriminator_loss,
    lsgan_generator_loss,
    normalised_feature_distance,
)
from duskbench.pipeline.training.reconstruction import reconstruction_of
from duskbench.pipeline.training.shared_scores import SharedScores
from duskbench.pipeline.training.trainable import Batch, TrainableEnhancer


@MODELS.register_module()
class GuidedGAN(TrainableEnhancer):
    """Loss adv + alpha * per (eq. 5): least-squares GAN over all scales (eq. 1, 2), perceptual consistency (eq. 4).

    Eq. 2 as printed would have the discriminator push the squares of real scores up without bound; the least-squares
    form it comes from is what is computed: real to 1, fake to 0, and for the generator fake to 1.

    Args:
        generator: Configuration of an `AttentionGuided`.
        discriminator: Configuration of a `MultiscaleDiscriminator`.
        alpha: Weight of the perceptual loss; 1 in the paper, whose VGG-16 has larger maps than smaller extractors.
        identity: Weight of the mean absolute change to a normal-light picture. Not in the paper, where it is 0.
        chromaticity: Weight of `chromaticity_loss`. Not in the paper, where it is 0.
        noise: `read` and `shot` of the noise that the generator's input gets, and what its result is compared with does
            not (`add_noise`). None in the paper.
        reconstruction: Arguments of a `Reconstruction`, whose losses are added. None in the paper.
        perceptual: Configuration of its extractor; None takes the attention's own, whose map of the input is then
            computed once for both.
        normalised: Compare maps whose channels have mean 0 and variance 1, as EnlightenGAN does; eq. 4 does not.

    Raises:
        ConfigError: alpha is positive and there is no extractor.

    Source: the paper, sections 3 and 4.1.
    """

    generator: AttentionGuided
    compiled = ("generator.guide",)

    def __init__(
        self,
        generator: Mapping[str, Any],
        discriminator: Mapping[str, Any],
        alpha: float = 1.0,
        identity: float = 0.0,
        perceptual: Mapping[str, Any] | None = None,
        *,
        normalised: bool = False,
        chromaticity: float = 0.0,
        noise: tuple[float, float] | None = None,
        reconstruction: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(generator)
        self.generator = MODELS.build(dict(generator))
        self.discriminator = MODELS.build(dict(discriminator))
        self.alpha, self.identity, self.normalised = alpha, identity, normalised
        self.chromaticity, self.noise = chromaticity, checked_noise(noise)
        self.reconstruction = reconstruction_of(reconstruction)
        self.perceptual = None if perceptual is None else MODELS.build(dict(perceptual))
        if self._extractor is None and (alpha or (self.reconstruction and self.reconstruction.features)):
            raise ConfigError(
                "The perceptual loss has no feature extractor.",
                where="GuidedGAN",
                expected="perceptual=dict(type=...) where the attention has no features, or alpha=0 and no weight of "
                "reconstructed features",
                got=f"perceptual=None, alpha={alpha}, reconstruction={reconstruction}",
            )

    @property
    def _extractor(self) -> nn.Module | None:
        attention = self.generator.attention
        return self.perceptual or (None if attention is None else attention.features)

    def step(self, batch: Batch, optimizers: OptimWrapperDict) -> dict[str, Tensor]:
        """One step of the generator, then one of the discriminators on what it made."""
        low, normal = batch["low"], batch["normal"]
        seeds = batch["seed"].tolist()
        seen = low if self.noise is None else add_noise(low, seeds, *self.noise)
        with optimizers["generator"].optim_context(self):
            enhanced, maps = self.generator.guide(seen)
        with optimizers["discriminator"].optim_context(self):
            scores = SharedScores(self.discriminator, enhanced * 2 - 1)
        with optimizers["generator"].optim_context(self):
            adversarial = lsgan_generator_loss(scores.of_generator())
            own_maps = maps.features if maps is not None and seen is low and self.perceptual is None else None
            perceptual = self._feature_distance(enhanced, low, own_maps) if self.alpha else enhanced.new_zeros(())
            loss = adversarial + self.alpha * perceptual
            additions: dict[str, Tensor] = {}
            if self.chromaticity:
                additions["loss_chromaticity"] = self.chromaticity * chromaticity_loss(enhanced, low)
            if self.identity:
                additions["loss_identity"] = self.identity * F.l1_loss(self.generator(normal), normal)
            if self.reconstruction:
                restored = self.reconstruction.losses(self.generator, normal, seeds, self._feature_distance)
                additions |= {f"loss_{name}": value for name, value in restored.items()}
            loss = sum(additions.values(), start=loss)
        self.descend(optimizers["generator"], loss)

        with optimizers["discriminator"].optim_context(self):
            loss_discriminator = lsgan_discriminator_loss(self.discriminator(normal * 2 - 1), scores.own)
        self.descend(optimizers["discriminator"], loss_discriminator)
        return {
            "loss": loss,
            "loss_adversarial": adversarial,
            "loss_perceptual": perceptual,
            **additions,
            "loss_discriminator": loss_discriminator,
        }

    def _feature_distance(self, picture: Tensor, reference: Tensor, features: Tensor | None = None) -> Tensor:
        """Distance of their features; `features` are the reference's where they are known."""
        extractor = self._extractor
        assert extractor is not None  # noqa: S101 - the constructor has seen to it
        if features is None:
            features = extractor(reference).detach()
        distance = normalised_feature_distance if self.normalised else F.mse_loss
        return distance(extractor(picture), features)

    def enhance(self, low: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same."""
        return self.generator(low).clamp(0, 1)
