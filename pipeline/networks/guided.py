"""Any generator under the paper's attention: a fourth input channel, a weight on every map, a weighted residual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.networks.attention import AttentionMaps
from duskbench.pipeline.networks.pooling import max_pool

POOLINGS = ("max", "mean")


class Guided(NamedTuple):
    """An enhanced batch, (N, 3, H, W), not clipped, and the attention behind it, None without one."""

    enhanced: Tensor
    maps: AttentionMaps | None


@MODELS.register_module()
class AttentionGuided(nn.Module):
    """A generator fed with the picture and its attention map, and multiplied by the map at every scale.

    The generator need not know: its layers' outputs are multiplied by forward hooks. x_a is reduced to each map's
    size, {x_a^1, ..., x_a^i} in the paper.

    Args:
        generator: Configuration of a network from `in_channels=4` (3 without attention) to 3 channels, its latent
            picture.
        attention: Configuration of a `FeatureGuidedAttention`; None for the ablation without attention.
        residual: Enhanced picture x + x_a * latent; without it x_a * latent.
        layers: Names of the generator's submodules whose outputs are multiplied; None takes its `guided_layers`.
        pooling: How x_a is reduced: "max" as EnlightenGAN does, or "mean".

    Shape:
        Input and output (N, 3, H, W) float RGB in [0, 1], the output not clipped; H and W as the generator needs them.

    Raises:
        ConfigError: The generator has no such layers, or does not say which; or there is no such pooling.

    Source: the paper, section 3 and figure 2; VITA-Group/EnlightenGAN @ b034984, models/networks.py, for the pooling.
    """

    def __init__(
        self,
        generator: Mapping[str, Any],
        attention: Mapping[str, Any] | None = None,
        *,
        residual: bool = True,
        layers: Sequence[str] | None = None,
        pooling: str = "max",
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ConfigError("The attention cannot be pooled so.", expected=" or ".join(POOLINGS), got=repr(pooling))
        self.pooling = pooling
        self.generator = MODELS.build(dict(generator))
        self.attention = None if attention is None else MODELS.build(dict(attention))
        self.residual = residual
        self._pyramid: list[Tensor] = []
        chosen = getattr(self.generator, "guided_layers", None) if layers is None else tuple(layers)
        modules = dict(self.generator.named_modules())
        if chosen is None or any(name not in modules for name in chosen):
            raise ConfigError(
                "The generator's layers for the attention are not known.",
                where=type(self.generator).__name__,
                expected="layers=[...], names of its submodules",
                got=repr(chosen),
                todo=f"its submodules are {', '.join(name for name in modules if name)}",
            )
        if self.attention is not None:
            for name in chosen:
                modules[name].register_forward_hook(self._weigh)

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch; see the class."""
        return self.guide(batch).enhanced

    def guide(self, batch: Tensor) -> Guided:
        """Enhance a batch and keep the attention, whose features the perceptual loss takes up."""
        if self.attention is None:
            latent = self.generator(batch)
            return Guided(batch + latent if self.residual else latent, None)
        maps = self.attention(batch)
        self._pyramid = [maps.attention]
        try:
            latent = self.generator(torch.cat([batch, maps.attention], dim=1)) * maps.attention
        finally:
            self._pyramid = []
        return Guided(batch + latent if self.residual else latent, maps)

    def _weigh(self, _module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        size = output.shape[-2:]
        for weight in self._pyramid:
            if weight.shape[-2:] == size:
                return output * weight
        self._pyramid.append(self._reduce(size))
        return output * self._pyramid[-1]

    def _reduce(self, size: torch.Size) -> Tensor:
        if self.pooling == "mean":
            return F.interpolate(self._pyramid[0], size=size, mode="area")
        smallest = self._pyramid[-1]
        if smallest.shape[-2] == 2 * size[0] and smallest.shape[-1] == 2 * size[1]:
            return max_pool(smallest)
        return F.adaptive_max_pool2d(self._pyramid[0], size)
