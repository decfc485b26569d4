"""Training of DRIT: a content that both domains share, and attributes that are each domain's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.optim import OptimWrapperDict
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.networks.drit import DRITContentDiscriminator, DRITGenerator
from duskbench.pipeline.networks.initialisation import initialise_gan
from duskbench.pipeline.training.losses import cross_entropy_to, squared_mean
from duskbench.pipeline.training.trainable import Batch, TrainableEnhancer

# Of the absolute differences, and of what keeps codes near a normal distribution.
ABSOLUTE, NEAR_NORMAL = 10.0, 0.01


@dataclass
class Pass:
    """What a forward pass makes of two domains, each under `low` and `normal`: the domain that it is of or looks like.

    Attributes:
        content: Of the pictures.
        means: Of their attributes.
        log_variances: Likewise.
        random: (N, 8), attributes drawn for both domains.
        fakes: The other domain's content with a picture's own attributes.
        random_fakes: The other domain's content with the drawn attributes.
        again: Own content with own attributes.
        back: What becomes of the fakes when content and attributes are exchanged once more.
    """

    content: dict[str, Tensor]
    means: dict[str, Tensor]
    log_variances: dict[str, Tensor]
    random: Tensor
    fakes: dict[str, Tensor]
    random_fakes: dict[str, Tensor]
    again: dict[str, Tensor]
    back: dict[str, Tensor]


@MODELS.register_module("DRITModel")
class DRIT(TrainableEnhancer):
    """DRIT with the paper's losses, from low light (A) to normal light (B) and back.

    A batch is dealt in two: the first half is encoded, the second is what pictures of drawn attributes are compared
    with. The official code takes one optimizer step for the losses of encoded attributes and one for those of drawn
    ones, through a graph that the first has changed; here both gradients go into one step.

    Args:
        generator: Configuration of a `DRITGenerator`.
        discriminator: Configuration of each of the four `DRITDiscriminator`s.
        content_discriminator: Configuration of a `DRITContentDiscriminator`.
        interval: Every so many steps everything is optimised, and the content's discriminator alone in those between.

    Source: Lee, Tseng, Huang, Singh, Yang, "Diverse Image-to-Image Translation via Disentangled Representations", ECCV
    2018; HsinYingLee/DRIT @ f19f50a, src/model.py, without mode seeking, which came later.
    """

    generator: DRITGenerator
    done: Tensor

    def __init__(
        self,
        generator: Mapping[str, Any],
        discriminator: Mapping[str, Any],
        content_discriminator: Mapping[str, Any],
        *,
        interval: int = 3,
    ) -> None:
        super().__init__(generator)
        self.generator = MODELS.build(dict(generator))
        names = [f"{kind}_{domain}" for kind in ("encoded", "random") for domain in ("low", "normal")]
        self.discriminators = nn.ModuleDict({name: MODELS.build(dict(discriminator)) for name in names})
        self.content_discriminator: DRITContentDiscriminator = MODELS.build(dict(content_discriminator))
        self.interval = interval
        self.register_buffer("done", torch.zeros((), dtype=torch.int64))
        initialise_gan(self)

    def step(self, batch: Batch, optimizers: OptimWrapperDict) -> dict[str, Tensor]:
        """One step of every network, or of the content's discriminator alone; see `TrainableEnhancer.step`."""
        half = len(batch["low"]) // 2
        if len(batch["low"]) != 2 * half or not half:
            raise ConfigError(
                "DRIT deals a batch in two.",
                where="train_dataloader.batch_size",
                expected="an even number",
                got=str(len(batch["low"])),
            )
        pictures = {name: batch[name] * 2 - 1 for name in ("low", "normal")}
        real = {name: each[:half] for name, each in pictures.items()}
        others = {name: each[half:] for name, each in pictures.items()}
        self.generator.draws.begin(batch["seed"].tolist()[:half])
        number = int(self.done)
        self.done += 1
        if (number + 1) % self.interval:
            return self._content_step(real, optimizers)

        with optimizers["generator"].optim_context(self):
            made = self.render(real)
        logged = self._discriminator_steps(made, real, others, optimizers)
        for network in (self.discriminators, self.content_discriminator):
            network.requires_grad_(False)
        with optimizers["generator"].optim_context(self):
            losses = {**self.encoded_losses(made, real), **self.random_losses(made)}
        total = torch.stack(list(losses.values())).sum()
        self.descend(optimizers["generator"], total)
        return {"loss": total, **losses, **logged}

    def _content_step(self, real: Mapping[str, Tensor], optimizers: OptimWrapperDict) -> dict[str, Tensor]:
        self.content_discriminator.requires_grad_(True)
        with optimizers["content_discriminator"].optim_context(self):
            with torch.no_grad():
                content = {"low": self.generator.enc_c(real["low"], "A")}
                content["normal"] = self.generator.enc_c(real["normal"], "B")
            loss = self.content_loss(content)
        self.descend(optimizers["content_discriminator"], loss)
        return {"loss_content": loss}

    def _discriminator_steps(
        self, made: Pass, real: Mapping[str, Tensor], others: Mapping[str, Tensor], optimizers: OptimWrapperDict
    ) -> dict[str, Tensor]:
        for network in (self.discriminators, self.content_discriminator):
            network.requires_grad_(True)
        with optimizers["discriminators"].optim_context(self):
            losses = self.discriminator_losses(made, real, others)
            loss = torch.stack(list(losses.values())).sum()
        self.descend(optimizers["discriminators"], loss)
        with optimizers["content_discriminator"].optim_context(self):
            content_loss = self.content_loss({name: each.detach() for name, each in made.content.items()})
        self.descend(optimizers["content_discriminator"], content_loss)
        return {"loss_discriminators": loss, **losses, "loss_content": content_loss}

    def render(self, real: Mapping[str, Tensor]) -> Pass:
        """The forward pass; pictures (N, 3, H, W) in [-1, 1]."""
        network = self.generator
        draw = network.draws.normal
        content = {"low": network.enc_c(real["low"], "A"), "normal": network.enc_c(real["normal"], "B")}
        means, log_variances, attributes = {}, {}, {}
        for name, domain in (("low", "A"), ("normal", "B")):
            means[name], log_variances[name] = network.enc_a(real[name], domain)
            attributes[name] = means[name] + draw(means[name]) * torch.exp(log_variances[name] / 2)
        random = draw(means["low"])
        decode = network.gen
        fakes = {
            "low": decode(content["normal"], attributes["low"], "A"),
            "normal": decode(content["low"], attributes["normal"], "B"),
        }
        random_fakes = {
            "low": decode(content["normal"], random, "A"),
            "normal": decode(content["low"], random, "B"),
        }
        again = {
            "low": decode(content["low"], attributes["low"], "A"),
            "normal": decode(content["normal"], attributes["normal"], "B"),
        }
        returned = {"normal": network.enc_c(fakes["low"], "A"), "low": network.enc_c(fakes["normal"], "B")}
        back = {}
        for name, domain in (("low", "A"), ("normal", "B")):
            mean, log_variance = network.enc_a(fakes[name], domain)
            encoded = mean + draw(mean) * torch.exp(log_variance / 2)
            back[name] = decode(returned[name], encoded, domain)
        return Pass(content, means, log_variances, random, fakes, random_fakes, again, back)

    def discriminator_losses(
        self, made: Pass, real: Mapping[str, Tensor], others: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Losses of the four discriminators of pictures."""
        losses = {}
        for kind, fakes, compared in (("encoded", made.fakes, real), ("random", made.random_fakes, others)):
            for domain, fake in fakes.items():
                name = f"{kind}_{domain}"
                of_fake, of_real = map(self.discriminators[name], (fake.detach(), compared[domain]))
                losses[f"discriminator_{name}"] = cross_entropy_to(0, of_fake) + cross_entropy_to(1, of_real)
        return losses

    def content_loss(self, content: Mapping[str, Tensor]) -> Tensor:
        """Loss of the content's discriminator: low light is 0, normal light 1."""
        low, normal = (self.content_discriminator(content[name]) for name in ("low", "normal"))
        return cross_entropy_to(0, low) + cross_entropy_to(1, normal)

    def encoded_losses(self, made: Pass, real: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weighted losses of what encoded attributes gave."""
        losses = {}
        for name, picture in real.items():
            losses[f"adversarial_{name}"] = cross_entropy_to(
                1, self.discriminators[f"encoded_{name}"](made.fakes[name])
            )
            content = made.content[name]
            # Neither domain: it is not to be told from the content.
            losses[f"content_{name}"] = cross_entropy_to(0.5, self.content_discriminator(content))
            losses[f"cycle_{name}"] = ABSOLUTE * F.l1_loss(made.back[name].float(), picture)
            losses[f"reconstruction_{name}"] = ABSOLUTE * F.l1_loss(made.again[name].float(), picture)
            losses[f"code_{name}"] = NEAR_NORMAL * squared_mean(content)
            mean, log_variance = made.means[name].float(), made.log_variances[name].float()
            divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
            losses[f"attributes_{name}"] = NEAR_NORMAL * divergence
        return losses

    def random_losses(self, made: Pass) -> dict[str, Tensor]:
        """Weighted losses of what drawn attributes gave; the attribute encoder does not learn from them."""
        losses = {}
        self.generator.enc_a.requires_grad_(False)
        for name, domain in (("low", "A"), ("normal", "B")):
            fake = made.random_fakes[name]
            losses[f"random_adversarial_{name}"] = cross_entropy_to(1, self.discriminators[f"random_{name}"](fake))
            found = self.generator.enc_a(fake, domain)[0].float()
            losses[f"random_attributes_{name}"] = ABSOLUTE * F.l1_loss(found, made.random)
        self.generator.enc_a.requires_grad_(True)
        return losses

    def enhance(self, low: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same; H and W multiples of 4."""
        return self.generator(low * 2 - 1) * 0.5 + 0.5
