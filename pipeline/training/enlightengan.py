"""Training of EnlightenGAN: global and local discriminators, and features that must survive the enhancement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.optim import OptimWrapperDict
from mmengine.registry import MODELS
from torch import Tensor

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.training.degradations import add_noise, checked_noise, darken
from duskbench.pipeline.training.losses import (
    chromaticity_loss,
    lsgan_discriminator_loss,
    lsgan_generator_loss,
    normalised_feature_distance,
    relativistic_discriminator_loss,
    relativistic_generator_loss,
)
from duskbench.pipeline.training.random_patches import draw_patches, random_patches
from duskbench.pipeline.training.reconstruction import reconstruction_of
from duskbench.pipeline.training.shared_scores import SharedScores
from duskbench.pipeline.training.trainable import Batch, TrainableEnhancer


@MODELS.register_module()
class EnlightenGAN(TrainableEnhancer):
    """A generator against a relativistic discriminator of whole pictures and a least-squares one of patches.

    The loss of the generator is, each term with weight 1, both adversarial terms and the self feature preserving loss
    of whole pictures and of patches.

    Args:
        generator: Configuration of an `EnlightenGANGenerator`.
        discriminator: Configuration of the discriminator of whole pictures.
        patch_discriminator: Configuration of the discriminator of patches.
        features: Configuration of the frozen extractor whose maps of input and result are compared; takes [0, 1].
        patches: Patches of each picture; 1 + 5 in the official script.
        patch_size: Their side in pixels.
        feature_weight: Weight of the self feature preserving loss; 0 leaves it out.
        darken_probability: How many of the inputs are darkened further; what they are compared with is not.
        darken_range: By which factor, drawn evenly.
        chromaticity: Weight of `chromaticity_loss`; 0 in the official code.
        noise: `read` and `shot` of the noise that the inputs get last (`add_noise`); None in the official code.
        reconstruction: Arguments of a `Reconstruction`, whose losses are added; its features are compared as the self
            feature preserving loss compares them. None in the official code.

    Source: Jiang et al. 2021, section III; VITA-Group/EnlightenGAN @ b034984, models/single_model.py, with the options
    of scripts/script.py (--patchD_3 5 --patchSize 32 --n_layers_D 5 --n_layers_patchD 4 --use_ragan --hybrid_loss
    --vgg 1 --vgg_choose relu5_1 --patch_vgg) and options/base_options.py (--vary 1, by 200 to 400 hundredths).
    """

    compiled = ("generator",)

    def __init__(
        self,
        generator: Mapping[str, Any],
        discriminator: Mapping[str, Any],
        patch_discriminator: Mapping[str, Any],
        features: Mapping[str, Any],
        *,
        patches: int = 6,
        patch_size: int = 32,
        feature_weight: float = 1.0,
        darken_probability: float = 0.5,
        darken_range: tuple[float, float] = (2.0, 4.0),
        chromaticity: float = 0.0,
        noise: tuple[float, float] | None = None,
        reconstruction: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(generator)
        if patches < 1 or patch_size < 1 or not 1 <= darken_range[0] <= darken_range[1]:
            raise ConfigError(
                "EnlightenGAN's training is not possible.",
                expected="patches and patch_size of at least 1, 1 <= darken_range[0] <= darken_range[1]",
                got=f"patches={patches}, patch_size={patch_size}, darken_range={tuple(darken_range)}",
            )
        self.generator = MODELS.build(dict(generator))
        self.discriminator = MODELS.build(dict(discriminator))
        self.patch_discriminator = MODELS.build(dict(patch_discriminator))
        self.features = MODELS.build(dict(features)).requires_grad_(False)
        self.patches, self.patch_size, self.feature_weight = patches, patch_size, feature_weight
        self.darken_probability, self.darken_range = darken_probability, darken_range
        self.chromaticity, self.noise = chromaticity, checked_noise(noise)
        self.reconstruction = reconstruction_of(reconstruction)

    def step(self, batch: Batch, optimizers: OptimWrapperDict) -> dict[str, Tensor]:
        """One step of the generator, then one of each discriminator on what it made; see `TrainableEnhancer.step`."""
        low, real = batch["low"], batch["normal"] * 2 - 1
        seeds = batch["seed"].tolist()
        corners = draw_patches(seeds, self.patches, self.patch_size, (low.shape[2], low.shape[3]))
        seen = darken(low, seeds, self.darken_probability, self.darken_range)
        if self.noise is not None:
            seen = add_noise(seen, seeds, *self.noise)
        with optimizers["generator"].optim_context(self):
            enhanced = self.generator(seen * 2 - 1)
            enhanced_patches = random_patches(enhanced, corners, self.patch_size)
        with optimizers["discriminator"].optim_context(self):
            real_scores, scores = self.discriminator(real), SharedScores(self.discriminator, enhanced)
        with optimizers["patch_discriminator"].optim_context(self):
            patch_scores = SharedScores(self.patch_discriminator, enhanced_patches)
        with optimizers["generator"].optim_context(self):
            losses = {
                "adversarial": relativistic_generator_loss(real_scores.detach(), scores.of_generator()),
                "patch_adversarial": lsgan_generator_loss(patch_scores.of_generator()),
            }
            low_patches = random_patches(low, corners, self.patch_size)
            pairs = {"features": (enhanced, low), "patch_features": (enhanced_patches, low_patches)}
            losses |= self._feature_losses(pairs)
            if self.chromaticity:
                losses["chromaticity"] = self.chromaticity * chromaticity_loss(enhanced * 0.5 + 0.5, low)
            if self.reconstruction:
                losses |= self.reconstruction.losses(self._enhance, batch["normal"], seeds, self._feature_distance)
            total = torch.stack(list(losses.values())).sum()
        self.descend(optimizers["generator"], total)

        with optimizers["discriminator"].optim_context(self):
            loss_discriminator = relativistic_discriminator_loss(real_scores, scores.own)
        self.descend(optimizers["discriminator"], loss_discriminator)
        with optimizers["patch_discriminator"].optim_context(self):
            real_patch_scores = self.patch_discriminator(random_patches(real, corners, self.patch_size))
            loss_patch_discriminator = lsgan_discriminator_loss(real_patch_scores, patch_scores.own)
        self.descend(optimizers["patch_discriminator"], loss_patch_discriminator)
        return {
            "loss": total,
            **losses,
            "loss_discriminator": loss_discriminator,
            "loss_patch_discriminator": loss_patch_discriminator,
        }

    def _feature_losses(self, pairs: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """Self feature preserving losses of pairs (result in [-1, 1], input in [0, 1])."""
        losses: dict[str, Tensor] = {}
        for name, (enhanced, low) in pairs.items() if self.feature_weight else ():
            losses[name] = self.feature_weight * self._feature_distance(enhanced * 0.5 + 0.5, low)
        return losses

    def _feature_distance(self, picture: Tensor, reference: Tensor) -> Tensor:
        with torch.no_grad():
            expected = self.features(reference)
        return normalised_feature_distance(self.features(picture), expected)

    def _enhance(self, low: Tensor) -> Tensor:
        result: Tensor = self.generator(low * 2 - 1) * 0.5 + 0.5
        return result

    def enhance(self, low: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same; H and W multiples of 16."""
        return self._enhance(low).clamp(0, 1)
