"""Batch normalisation over the batches of all processes, on CPUs too, where torch's own asks for a GPU."""

from __future__ import annotations

import torch
import torch.distributed as torch_dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class SyncBatchNorm2d(nn.BatchNorm2d):
    """`BatchNorm2d` whose training statistics are those of the global batch; same keys, same evaluation.

    Every process must hold a batch of the same shape.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        if not (self.training and torch_dist.is_initialized() and torch_dist.get_world_size() > 1):
            return super().forward(input)
        world = torch_dist.get_world_size()
        sums = torch.cat([input.mean((0, 2, 3)), input.square().mean((0, 2, 3))])
        mean, square = (all_reduce(sums) / world).chunk(2)
        variance = (square - mean.square()).clamp_min(0)
        self._track(mean.detach(), variance.detach(), input.numel() // input.shape[1] * world)
        scale = torch.rsqrt(variance + self.eps) * self.weight
        shift = self.bias - mean * scale
        return input * scale[:, None, None] + shift[:, None, None]

    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        # The unbiased variance, as torch keeps it.
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), momentum)


def synchronise_batch_norm(module: nn.Module) -> nn.Module:
    """Turn every `BatchNorm2d` below a module into a `SyncBatchNorm2d`, in place; returns the module."""
    for each in module.modules():
        if type(each) is nn.BatchNorm2d:
            each.__class__ = SyncBatchNorm2d
    return module
