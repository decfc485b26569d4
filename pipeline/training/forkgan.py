"""Training of ForkGAN: translate, reconstruct and refine, with codes that do not tell the domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.optim import OptimWrapperDict
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.pipeline.networks.forkgan import ForkGenerator, initialise_forkgan
from duskbench.pipeline.training.image_pool import ImagePool
from duskbench.pipeline.training.trainable import Batch, TrainableEnhancer

DOMAINS = ("low", "normal")
KINDS = ("translation", "reconstruction", "refinement")


@MODELS.register_module("ForkGANModel")
class ForkGAN(TrainableEnhancer):
    """Two forked generators, six kinds of discriminators, and a classifier of codes.

    Networks and codes are those of the official graph; its losses were not run for comparison.

    Args:
        generator: Configuration of both `ForkGenerator`s.
        discriminator: Configuration of a `ForkDiscriminator`.
        classifier: Configuration of a `ForkClassifier`.
        image_size: Height and width of the crops, for the image pools.
        copies: Discriminators of each kind and domain.
        weight: Of the absolute differences after a way there and back, and of the reconstructions.
        pool_size: Earlier pictures that a discriminator may meet again; 0 shows it new ones only.

    Source: Zheng, Wu, Han, Shi, "ForkGAN: Seeing into the Rainy Night", ECCV 2020; zhengziqiang/ForkGAN @ 8b0f66c,
    model.py.
    """

    def __init__(
        self,
        generator: Mapping[str, Any],
        discriminator: Mapping[str, Any],
        classifier: Mapping[str, Any],
        *,
        image_size: int | tuple[int, int] = (256, 512),
        copies: int = 2,
        weight: float = 10.0,
        pool_size: int = 50,
    ) -> None:
        super().__init__(generator)
        self.generators = nn.ModuleDict({name: MODELS.build(dict(generator)) for name in ("brighten", "darken")})
        names = [f"{kind}_{domain}" for kind in KINDS for domain in DOMAINS]
        self.discriminators = nn.ModuleDict(
            {name: nn.ModuleList(MODELS.build(dict(discriminator)) for _ in range(copies)) for name in names}
        )
        self.classifier = MODELS.build(dict(classifier))
        self.pools = nn.ModuleDict({name: ImagePool(pool_size, image_size, i) for i, name in enumerate(names)})
        self.weight = weight
        initialise_forkgan(self)

    @property
    def brighten(self) -> ForkGenerator:
        """From low to normal light."""
        return cast(ForkGenerator, self.generators["brighten"])

    @property
    def darken(self) -> ForkGenerator:
        """From normal to low light."""
        return cast(ForkGenerator, self.generators["darken"])

    def step(self, batch: Batch, optimizers: OptimWrapperDict) -> dict[str, Tensor]:
        """One step of the generators, then one of the discriminators, then one of the classifier."""
        real = {"low": batch["low"] * 2 - 1, "normal": batch["normal"] * 2 - 1}
        for stream, network in enumerate((self.brighten, self.darken)):
            network.draws.begin([seed + stream for seed in batch["seed"].tolist()])
        for part in (self.discriminators, self.classifier):
            part.requires_grad_(False)
        with optimizers["generators"].optim_context(self):
            losses, fakes, codes = self.generator_losses(real)
            total = torch.stack(list(losses.values())).sum()
        self.descend(optimizers["generators"], total)

        self.discriminators.requires_grad_(True)
        with optimizers["discriminators"].optim_context(self):
            shown = {name: self.pools[name](fake.float(), batch["seed"]) for name, fake in fakes.items()}
            discriminator_losses = self.discriminator_losses(real, shown)
            loss_discriminators = torch.stack(list(discriminator_losses.values())).sum()
        self.descend(optimizers["discriminators"], loss_discriminators)

        self.classifier.requires_grad_(True)
        with optimizers["classifier"].optim_context(self):
            loss_classifier = self.classifier_loss({name: code.detach() for name, code in codes.items()})
        self.descend(optimizers["classifier"], loss_classifier)
        return {
            "loss": total,
            **losses,
            "loss_discriminators": loss_discriminators,
            **discriminator_losses,
            "loss_classifier": loss_classifier,
        }

    def generator_losses(
        self, real: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """Weighted losses of both generators, what they made by discriminator, and the noisy codes.

        Codes are named `low`, `normal`, `fake_low` and `fake_normal` by what was encoded.
        """
        fakes: dict[str, Tensor] = {}
        codes: dict[str, Tensor] = {}
        back: dict[str, Tensor] = {}
        # From a domain to the other by its own generator, and back by the other one.
        ways = (("low", "normal", self.brighten, self.darken), ("normal", "low", self.darken, self.brighten))
        for here, there, own, other in ways:
            code = own.encode(real[here])
            fake = own.translate(code)
            fakes[f"translation_{there}"] = fake
            fakes[f"reconstruction_{here}"], codes[here] = own.reconstruct(code)
            code = other.encode(fake)
            back[here] = other.translate(code)
            fakes[f"refinement_{there}"], codes[f"fake_{there}"] = other.reconstruct(code)
        losses = {}
        for kind in KINDS:
            losses[f"adversarial_{kind}"] = (
                0.5
                * torch.stack(
                    [self._adversarial(f"{kind}_{domain}", fakes[f"{kind}_{domain}"], 1) for domain in DOMAINS]
                ).sum()
            )
        for domain in DOMAINS:
            losses[f"cycle_{domain}"] = self.weight * F.l1_loss(back[domain].float(), real[domain])
            again = fakes[f"reconstruction_{domain}"].float()
            losses[f"reconstruction_{domain}"] = self.weight * F.l1_loss(again, real[domain])
        pairs = (("low", "fake_normal"), ("normal", "fake_low"))
        losses["perceptual"] = torch.stack(
            [(codes[a].float().mean(1) - codes[b].float().mean(1)).abs().mean() for a, b in pairs]
        ).sum()
        # A fake's code should pass for one of the domain that it pretends to be of.
        losses["classification"] = 0.5 * (
            self._classified(codes["fake_low"], "low") + self._classified(codes["fake_normal"], "normal")
        )
        return losses, fakes, codes

    def discriminator_losses(self, real: Mapping[str, Tensor], shown: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Losses of the discriminators, by name, on real and shown pictures."""
        losses = {}
        for name, fake in shown.items():
            domain = name.rpartition("_")[2]
            losses[f"discriminator_{name}"] = 0.5 * (
                self._adversarial(name, real[domain], 1) + self._adversarial(name, fake, 0)
            )
        return losses

    def classifier_loss(self, codes: Mapping[str, Tensor]) -> Tensor:
        """Loss of the classifier: a fake's code is of the domain that it came from."""
        truth = {"low": "low", "normal": "normal", "fake_normal": "low", "fake_low": "normal"}
        return 0.25 * torch.stack([self._classified(codes[name], domain) for name, domain in truth.items()]).sum()

    def _adversarial(self, name: str, picture: Tensor, target: float) -> Tensor:
        """Least squares, the mean over scales, the sum over copies."""
        losses = [
            torch.stack([(scores.float() - target).square().mean() for scores in discriminator(picture)]).mean()
            for discriminator in cast(nn.ModuleList, self.discriminators[name])
        ]
        return torch.stack(losses).sum()

    def _classified(self, code: Tensor, domain: str) -> Tensor:
        logits = self.classifier(code).float().flatten()
        label = logits.new_tensor([float(domain == "low"), float(domain == "normal")])
        return F.binary_cross_entropy_with_logits(logits, label)

    def enhance(self, low: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same; H and W multiples of 4."""
        return self.brighten(low * 2 - 1) * 0.5 + 0.5

    @property
    def exported(self) -> tuple[nn.Module, Mapping[str, Any]]:
        """The generator from low to normal light."""
        return self.brighten, self.generator_config
