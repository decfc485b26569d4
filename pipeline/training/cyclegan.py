"""Training of CycleGAN: there and back again must be where it started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.optim import OptimWrapperDict
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.pipeline.training.image_pool import ImagePool
from duskbench.pipeline.training.losses import lsgan_discriminator_loss, lsgan_generator_loss
from duskbench.pipeline.training.trainable import Batch, TrainableEnhancer


@MODELS.register_module()
class CycleGAN(TrainableEnhancer):
    """Two generators, from low to normal light and back, each against a discriminator of its results.

    The generators share one optimizer, `generators`, and so do the discriminators, `discriminators`. In the official
    names `brighten` is G_A, `darken` G_B, the discriminator of `normal` D_A and that of `low` D_B.

    Args:
        generator: Configuration of both generators.
        discriminator: Configuration of both discriminators.
        image_size: Side of the crops, for the image pools.
        cycle_weight: Weight of both cycle losses.
        identity_weight: Weight of the identity losses, as a share of `cycle_weight`; 0 leaves them out.
        pool_size: Earlier pictures that a discriminator may meet again; 0 shows it new ones only.

    Source: Zhu et al. 2017, eq. 1 to 3, sections 4 and 5.2; junyanz/pytorch-CycleGAN-and-pix2pix @ 00d5574,
    models/cycle_gan_model.py.
    """

    compiled = ("generators.brighten", "generators.darken")

    def __init__(
        self,
        generator: Mapping[str, Any],
        discriminator: Mapping[str, Any],
        *,
        image_size: int = 256,
        cycle_weight: float = 10.0,
        identity_weight: float = 0.5,
        pool_size: int = 50,
    ) -> None:
        super().__init__(generator)
        self.generators = nn.ModuleDict({name: MODELS.build(dict(generator)) for name in ("brighten", "darken")})
        self.discriminators = nn.ModuleDict({name: MODELS.build(dict(discriminator)) for name in ("normal", "low")})
        self.pools = nn.ModuleDict(
            {name: ImagePool(pool_size, image_size, stream) for stream, name in enumerate(("normal", "low"))}
        )
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        for layer in self.modules():
            # models/networks.py, init_weights: other methods keep torch's draw.
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def step(self, batch: Batch, optimizers: OptimWrapperDict) -> dict[str, Tensor]:
        """One step of both generators, then one of both discriminators; see `TrainableEnhancer.step`."""
        real = {"low": batch["low"] * 2 - 1, "normal": batch["normal"] * 2 - 1}
        with optimizers["generators"].optim_context(self):
            losses, fakes = self._generator_losses(real)
            total = torch.stack(list(losses.values())).sum()
        self.descend(optimizers["generators"], total)

        with optimizers["discriminators"].optim_context(self):
            discriminator_losses = {
                f"discriminator_{name}": lsgan_discriminator_loss(
                    discriminator(real[name]), discriminator(self.pools[name](fakes[name].float(), batch["seed"]))
                )
                for name, discriminator in self.discriminators.items()
            }
            loss_discriminators = torch.stack(list(discriminator_losses.values())).sum()
        self.descend(optimizers["discriminators"], loss_discriminators)
        return {"loss": total, **losses, "loss_discriminators": loss_discriminators, **discriminator_losses}

    def _generator_losses(self, real: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weighted losses of both generators, and what they made: domain -> pictures."""
        brighten, darken = self.generators["brighten"], self.generators["darken"]
        fakes, same = {}, {}
        for name, generator, source in (("normal", brighten, "low"), ("low", darken, "normal")):
            if self.identity_weight:
                # What is in normal light already needs no brightening, and the other way round.
                fakes[name], same[name] = self._both(generator, real[source], real[name])
            else:
                fakes[name] = generator(real[source])
        returned = {"low": darken(fakes["normal"]), "normal": brighten(fakes["low"])}
        losses = {}
        for name, fake in fakes.items():
            losses[f"adversarial_{name}"] = lsgan_generator_loss(self.discriminators[name](fake))
        for name, cycled in returned.items():
            losses[f"cycle_{name}"] = self.cycle_weight * F.l1_loss(cycled, real[name])
        for name, kept in same.items():
            losses[f"identity_{name}"] = self.cycle_weight * self.identity_weight * F.l1_loss(kept, real[name])
        return losses, fakes

    def _both(self, generator: nn.Module, *pictures: Tensor) -> tuple[Tensor, ...]:
        """What a generator makes of two batches, in one pass unless its normalisation would see both at once."""
        if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in generator.modules()):
            return tuple(generator(each) for each in pictures)
        return generator(torch.cat(pictures)).chunk(2)

    def enhance(self, low: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same; H and W multiples of 4."""
        return self.generators["brighten"](low * 2 - 1) * 0.5 + 0.5

    @property
    def exported(self) -> tuple[nn.Module, Mapping[str, Any]]:
        """The generator from low to normal light."""
        return self.generators["brighten"], self.generator_config
