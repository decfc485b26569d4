"""One forward pass of a discriminator for two backward passes: the generator's, then its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class SharedScores:
    """What a discriminator says of generated pictures, for the generator's loss and for the discriminator's own.

    In a step the generator learns first; the discriminator then has the weights it had and sees the same pictures, so
    one forward pass does. Losses and gradients are those of two.

    Args:
        discriminator: From pictures to scores, one tensor or a list of them. Its weights must stay as they are until
            the backward pass of its own loss.
        pictures: (N, C, H, W) float, with the generator's graph behind them.

    Attributes:
        own: The scores; their gradient goes to the discriminator's weights and no further.
    """

    def __init__(self, discriminator: nn.Module, pictures: Tensor) -> None:
        self._pictures = pictures
        self.seen = pictures.detach().requires_grad_()
        self.own: Any = discriminator(self.seen)

    def of_generator(self) -> Any:
        """The same scores; their gradient goes to the pictures and leaves the discriminator's weights alone."""
        scores = _OfGenerator.apply(self._pictures, self)
        return scores[0] if isinstance(self.own, Tensor) else list(scores)


class _OfGenerator(torch.autograd.Function):
    """Scores as a function of the pictures, whose backward pass goes through the discriminator's graph and keeps it."""

    @staticmethod
    def forward(ctx: Any, pictures: Tensor, shared: SharedScores) -> tuple[Tensor, ...]:
        ctx.seen = shared.seen
        ctx.scores = [shared.own] if isinstance(shared.own, Tensor) else shared.own
        return tuple(each.detach() for each in ctx.scores)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        # Asked for the pictures alone, torch leaves out the gradients of the weights.
        [gradient] = torch.autograd.grad(ctx.scores, [ctx.seen], gradients, retain_graph=True)
        return gradient, None
