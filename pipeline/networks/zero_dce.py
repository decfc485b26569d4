"""DCE-Net: the curve estimator of Zero-DCE."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

CURVE_ITERATIONS = 8


class CurveEstimator(nn.Module):
    """Seven layers, of which layer i + 4 sees the output of layer 4 - i beside its own input.

    State-dict keys are the official ones, `e_conv1` to `e_conv7`.

    Args:
        layer: Makes a layer from its input and output channels.
        width: Channels of the inner layers.
        outputs: Channels of the last layer.

    Source: Guo et al. 2020, section 3.1; Li, Guo, Loy 2021 takes other layers.
    """

    def __init__(self, layer: Callable[[int, int], nn.Module], width: int, outputs: int) -> None:
        super().__init__()
        self.e_conv1 = layer(3, width)
        self.e_conv2 = layer(width, width)
        self.e_conv3 = layer(width, width)
        self.e_conv4 = layer(width, width)
        self.e_conv5 = layer(2 * width, width)
        self.e_conv6 = layer(2 * width, width)
        self.e_conv7 = layer(2 * width, outputs)

    def estimate(self, batch: Tensor) -> Tensor:
        """(N, 3, H, W) float RGB in [0, 1] to (N, outputs, H, W) float in [-1, 1]."""
        x1 = torch.relu_(self.e_conv1(batch))
        x2 = torch.relu_(self.e_conv2(x1))
        x3 = torch.relu_(self.e_conv3(x2))
        x4 = torch.relu_(self.e_conv4(x3))
        x5 = torch.relu_(self.e_conv5(torch.cat((x3, x4), dim=1)))
        x6 = torch.relu_(self.e_conv6(torch.cat((x2, x5), dim=1)))
        return torch.tanh(self.e_conv7(torch.cat((x1, x6), dim=1)))


@MODELS.register_module()
class DCENet(CurveEstimator):
    """Seven 3x3 convolutions that estimate eight light-enhancement curves per pixel and colour.

    Every layer is padded with zeros, so a pixel depends on the 15x15 pixels around it.

    Args:
        width: Channels of the inner layers; 32 is the published network.

    Source: Guo et al. 2020, section 3.1, eq. 2 to 3; Li-Chongyi/Zero-DCE, Zero-DCE_code/model.py.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__(partial(nn.Conv2d, kernel_size=3, padding=1), width, 3 * CURVE_ITERATIONS)

    def curves(self, batch: Tensor) -> Tensor:
        """Estimate the curve parameters.

        Args:
            batch: (N, 3, H, W) float, RGB in [0, 1].

        Returns:
            (N, 24, H, W) float in [-1, 1]: three channels for each of the eight iterations, in their order.
        """
        return self.estimate(batch)

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float RGB in [0, 1] to the same."""
        return apply_curves(batch, self.curves(batch))


def apply_curves(batch: Tensor, curves: Tensor) -> Tensor:
    """Apply quadratic curves in turn, x + a (x^2 - x).

    Args:
        batch: (N, 3, H, W) float, RGB in [0, 1].
        curves: (N, 3 n, H, W) float in [-1, 1], for n iterations.

    Returns:
        (N, 3, H, W) float in [0, 1].

    Source: Guo et al. 2020, eq. 3; the sign of `a` is that of the official code, where brightening curves are negative.
    """
    if torch.is_grad_enabled() and curves.requires_grad:
        return _Curves.apply(batch, curves)
    for alpha in curves.split(3, dim=1):
        batch = torch.addcmul(batch, alpha, batch * batch - batch)
    return batch


class _Curves(torch.autograd.Function):
    """`apply_curves` with its gradient written out: the same numbers in half the passes over the picture."""

    @staticmethod
    def forward(ctx: Any, batch: Tensor, curves: Tensor) -> Tensor:
        pictures, changes = [batch], []
        for alpha in curves.split(3, dim=1):
            changes.append(pictures[-1] * pictures[-1] - pictures[-1])
            pictures.append(torch.addcmul(pictures[-1], alpha, changes[-1]))
        ctx.save_for_backward(curves, *pictures[:-1], *changes)
        return pictures[-1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor]:
        curves, *saved = ctx.saved_tensors
        count = len(saved) // 2
        of_curves = torch.empty_like(curves)
        alphas, results = curves.split(3, dim=1), of_curves.split(3, dim=1)
        for i in reversed(range(count)):
            torch.mul(gradient, saved[count + i], out=results[i])
            if i or ctx.needs_input_grad[0]:
                # g (1 + a (2 x - 1)), term by term in the order in which torch adds them.
                change = gradient * alphas[i]
                square = change * saved[i]
                gradient = (gradient - change).add_(square).add_(square)
        return gradient if ctx.needs_input_grad[0] else None, of_curves
