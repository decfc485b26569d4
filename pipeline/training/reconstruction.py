"""Lit pictures made dark and brought back: what an unpaired training can know of the light that a picture lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.registry import MODELS
from torch import Tensor

from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.settings import is_number
from duskbench.pipeline.training.degradations import underexpose
from duskbench.pipeline.training.samples import is_range


@MODELS.register_module()
class Reconstruction:
    """The losses of normal-light pictures that are underexposed and enhanced again, as an argument of a training.

    It is a cycle consistency whose way into the dark is a camera model (`underexpose`) and not a network. No dark
    picture has to have a lit twin.

    Args:
        pixels: Weight of the mean absolute difference.
        features: Weight of the distance of features, by the extractor and the distance of the training.
        stops: Least and greatest loss of light in stops.
        spread: By how many stops it changes over a picture; None for anywhere within `stops`.

    Raises:
        ConfigError: A weight or the spread is no number of at least 0, or `stops` is no range from 0 up.

    Source: cycle consistency, Zhu et al. 2017, eq. 2, one way; restoring what a camera model has degraded as in MAET
    (Cui et al. 2021), there for a detector; the losses are ours.
    """

    def __init__(
        self,
        pixels: float = 0.0,
        features: float = 0.0,
        stops: tuple[float, float] = (1.0, 6.5),
        spread: float | None = None,
    ) -> None:
        sizes = pixels, features, 0.0 if spread is None else spread
        if not (all(is_number(size) and size >= 0 for size in sizes) and is_range(stops, 0)):
            raise ConfigError(
                "The reconstruction cannot be set so.",
                expected="pixels, features and spread of at least 0; stops=(least, most) from 0 up, the lower first",
                got=f"pixels={pixels!r}, features={features!r}, stops={stops!r}, spread={spread!r}",
            )
        self.pixels, self.features, self.stops, self.spread = pixels, features, stops, spread

    def losses(
        self,
        enhance: Callable[[Tensor], Tensor],
        normal: Tensor,
        seeds: Sequence[int],
        distance: Callable[[Tensor, Tensor], Tensor],
    ) -> dict[str, Tensor]:
        """The losses of one batch, by name.

        Args:
            enhance: From pictures to enhanced ones, as the two below.
            normal: (N, 3, H, W) float, RGB in [0, 1]: pictures in normal light.
            seeds: One for each picture.
            distance: Of the features of two such batches, a scalar; not called where their weight is 0.

        Returns:
            `reconstruction`, and `reconstruction_features` unless its weight is 0: scalars, weighted.
        """
        restored = enhance(underexpose(normal, seeds, self.stops, self.spread))
        losses = {"reconstruction": self.pixels * F.l1_loss(restored, normal)}
        if self.features:
            losses["reconstruction_features"] = self.features * distance(restored, normal)
        return losses


def reconstruction_of(arguments: Mapping[str, Any] | None) -> Reconstruction | None:
    """The setting `reconstruction` of a training; None leaves its losses out."""
    if arguments is None:
        return None
    made: Reconstruction = MODELS.build({"type": "Reconstruction", **arguments})
    return made
