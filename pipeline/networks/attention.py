"""The paper's feature-guided attention (eq. 3), and its pyramid that can be laid over any generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError

REDUCTIONS = ("mean", "max", "norm")
OUTPUTS = ("sigmoid", "rescaled", "none")


class AttentionMaps(NamedTuple):
    """What the attention is made of.

    Attributes:
        grey: x_gray, (N, 1, H, W) in [0, 1].
        features: phi_n(x), (N, C, h, w), or None without features.
        lifted: U(phi_n(x)), (N, 1, H, W) in [0, 1], or None without features.
        attention: x_a, (N, 1, H, W) in [0, 1].
    """

    grey: Tensor
    features: Tensor | None
    lifted: Tensor | None
    attention: Tensor


@MODELS.register_module()
class FeatureGuidedAttention(nn.Module):
    """x_a = sigmoid((1 - x_gray) * U(phi_n(x))^gamma): high where the picture is dark and has something to show.

    How far it tells one place from another hangs on the scale of phi_n, which the inner sigmoid and the power see: U
    should span about 0.58 to 0.99 on a picture, as it does for a network trained on ImageNet that is fed as its authors
    fed it. Below that x_a is nearly constant, above it nearly 1 - x_gray.

    Args:
        features: Configuration of a frozen extractor phi_n (`networks.features`); None for the ablation
            without features, x_a = sigmoid(1 - x_gray).
        grey: False for the ablation without the grey map, x_a = sigmoid(U(phi_n(x))^gamma).
        gamma: Exponent of the lifted features, at least 1; the paper's is 4.
        reduction: How phi_n's many channels become the one that x_gray has: "mean", "max" or "norm" (root mean
            square). The paper does not say.
        output: The outer sigmoid, of an argument in [0, 1]. "rescaled" is eq. 3 with its values, which lie in
            [0.5, 0.73], stretched to the [0, 1] that the paper speaks of: (s - 0.5) / (sigmoid(1) - 0.5). "sigmoid"
            does not stretch. "none" leaves the argument as it is.

    Raises:
        ConfigError: An argument is out of its range, or neither features nor grey are left.

    Source: the paper, section 3, eq. 3 and figure 3.
    """

    def __init__(
        self,
        features: Mapping[str, Any] | None = None,
        *,
        grey: bool = True,
        gamma: float = 4.0,
        reduction: str = "mean",
        output: str = "rescaled",
    ) -> None:
        super().__init__()
        if gamma < 1 or reduction not in REDUCTIONS or output not in OUTPUTS or not (grey or features):
            raise ConfigError(
                "The attention is not possible.",
                expected=f"gamma of at least 1, reduction of {', '.join(REDUCTIONS)}, output of {', '.join(OUTPUTS)}, "
                "and features or grey",
                got=f"gamma={gamma}, reduction={reduction!r}, output={output!r}, features={features}, grey={grey}",
            )
        self.features = None if features is None else MODELS.build(dict(features))
        self.grey, self.gamma, self.reduction, self.output = grey, gamma, reduction, output

    def forward(self, batch: Tensor) -> AttentionMaps:
        """Compute the attention of a batch, (N, 3, H, W) float RGB in [0, 1]; nothing of it carries a gradient."""
        with torch.no_grad():
            grey = luma(batch)
            features = None if self.features is None else self.features(batch)
            lifted = None if features is None else self._lift(features, batch.shape[-2:])
            return AttentionMaps(grey, features, lifted, self.combine(grey, lifted))

    def combine(self, grey: Tensor, lifted: Tensor | None) -> Tensor:
        """x_a of x_gray and U(phi_n(x)), None without features; see `AttentionMaps` for the shapes."""
        weight = torch.ones_like(grey) if lifted is None else lifted**self.gamma
        return self._normalise((1 - grey) * weight if self.grey else weight)

    def _lift(self, features: Tensor, size: torch.Size) -> Tensor:
        """U: up-sampling, then the inner sigmoid.

        The channels meet first, which is cheaper; for the mean it is also the same.
        """
        if self.reduction == "mean":
            one = features.mean(1, keepdim=True)
        elif self.reduction == "max":
            one = features.amax(1, keepdim=True)
        else:
            one = features.square().mean(1, keepdim=True).sqrt()
        return F.interpolate(one, size=size, mode="bilinear", align_corners=False).sigmoid()

    def _normalise(self, values: Tensor) -> Tensor:
        if self.output == "none":
            return values
        squashed = values.sigmoid()
        if self.output == "sigmoid":
            return squashed
        top = torch.tensor(1.0, device=values.device, dtype=values.dtype).sigmoid()
        return (squashed - 0.5) / (top - 0.5)


def luma(batch: Tensor) -> Tensor:
    """Rec. 601 luma, (N, 3, H, W) RGB to (N, 1, H, W)."""
    weights = torch.tensor([0.299, 0.587, 0.114], device=batch.device, dtype=batch.dtype)
    return (batch * weights[:, None, None]).sum(1, keepdim=True)
