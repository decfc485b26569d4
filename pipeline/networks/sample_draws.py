"""Randomness inside a network that is a function of each sample's own seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn


class SampleDraws:
    """What noise and dropout layers of a network draw from, set anew for every training step.

    A sample's draws depend on its seed and on how many were made before, not on the other samples, so several processes
    draw what one draws for the same global batch.
    """

    def __init__(self) -> None:
        self.begin([0])

    def begin(self, seeds: Sequence[int]) -> None:
        """Start a step with the seeds of a batch's samples."""
        self.seeds, self.calls = list(seeds), 0

    def normal(self, like: Tensor) -> Tensor:
        """Standard normal values, in the shape of a batch (or of several batches of the same samples in a row)."""
        return self._stacked(like, lambda draw, shape: torch.randn(shape, generator=draw))

    def keep(self, like: Tensor, share: float) -> Tensor:
        """1 for the share of values that are kept, 0 for the others; likewise."""
        return self._stacked(like, lambda draw, shape: (torch.rand(shape, generator=draw) < share).float())

    def _stacked(self, like: Tensor, draw_of: object) -> Tensor:
        drawn = [draw_of(draw, like.shape[1:]) for draw in self._generators(len(like))]  # type: ignore[operator]
        return torch.stack(drawn).to(like)

    def _generators(self, count: int) -> Iterator[torch.Generator]:
        self.calls += 1
        for i in range(count):
            entropy = [self.seeds[i % len(self.seeds)], self.calls, i // len(self.seeds)]
            state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
            yield torch.Generator().manual_seed(int(state >> 1))


class SampleDropout(nn.Module):
    """Dropout whose choice comes from `SampleDraws`.

    Args:
        rate: Share of the values that become 0 while training; the others grow by 1 / (1 - rate).
        draws: Where it draws.
    """

    def __init__(self, rate: float, draws: SampleDraws) -> None:
        super().__init__()
        self.rate, self.draws = rate, draws

    def forward(self, features: Tensor) -> Tensor:
        """Drop values while training."""
        if not self.training or not self.rate:
            return features
        return features * self.draws.keep(features, 1 - self.rate) / (1 - self.rate)
