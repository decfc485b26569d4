"""The four losses of Zero-DCE, which need no reference picture."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

REGION_SIZE = 4
PATCH_SIZE = 16
WELL_EXPOSED = 0.6


def spatial_consistency_loss(enhanced: Tensor, low: Tensor) -> Tensor:
    """Penalise that the contrast between neighbouring 4x4 regions is another than in the input.

    Beyond the picture everything counts as black, as in the official code.

    Args:
        enhanced: (N, 3, H, W) float, RGB in [0, 1].
        low: Its input, the same shape.

    Returns:
        Mean over regions of the squared changes, summed over the four neighbours; a scalar.

    Source: Guo et al. 2020, eq. 4; Li-Chongyi/Zero-DCE, Zero-DCE_code/Myloss.py, L_spa.
    """
    # Contrast is linear, so the change of contrast is the contrast of the change.
    change = F.avg_pool2d((enhanced - low).mean(1, keepdim=True), REGION_SIZE)
    padded = F.pad(change, (1, 1, 1, 1))
    across = padded[:, :, 1:-1].diff(dim=3).square()
    down = padded[:, :, :, 1:-1].diff(dim=2).square()
    # An inner step is the right neighbour of one region and the left one of the next; a step at the border is only one.
    total = across.sum() + across[..., 1:-1].sum() + down.sum() + down[:, :, 1:-1].sum()
    return total / change.numel()


def exposure_loss(enhanced: Tensor, patch_size: int = PATCH_SIZE, level: float = WELL_EXPOSED) -> Tensor:
    """Penalise patches whose mean intensity is not the level of good exposure.

    The paper takes the absolute difference; its code, which made the published weights, takes the square.

    Args:
        enhanced: (N, 3, H, W) float, RGB in [0, 1]; no side below `patch_size`.
        patch_size: Side of a patch.
        level: Mean of a well exposed patch, E in the paper.

    Returns:
        Mean over patches of the squared difference; a scalar.

    Source: Guo et al. 2020, eq. 5; Li-Chongyi/Zero-DCE, Zero-DCE_code/Myloss.py, L_exp, and lowlight_train.py for the
    two constants.
    """
    return (F.avg_pool2d(enhanced.mean(1, keepdim=True), patch_size) - level).square().mean()


def colour_constancy_loss(enhanced: Tensor) -> Tensor:
    """Penalise that the means of the three colours differ.

    The paper sums the squared differences; its code takes the root of the sum of their squares.

    Args:
        enhanced: (N, 3, H, W) float, RGB in [0, 1].

    Returns:
        Mean over the batch; a scalar. Its gradient at a grey picture is zero, where the official one is NaN.

    Source: Guo et al. 2020, eq. 6; Li-Chongyi/Zero-DCE, Zero-DCE_code/Myloss.py, L_color.
    """
    means = enhanced.mean((2, 3))
    differences = (means - means.roll(1, dims=1)).square()
    return torch.linalg.vector_norm(differences, dim=1).mean()


def smoothness_loss(curves: Tensor) -> Tensor:
    """Penalise curve parameters that differ between neighbouring pixels.

    Args:
        curves: (N, C, H, W) float, in [-1, 1]; both sides at least 2.

    Returns:
        Twice the sum over channels of the mean squared differences along both axes, mean over the batch; a scalar.

    Source: Guo et al. 2020, eq. 7, with squares instead of the square of sums of absolute values, as
    Li-Chongyi/Zero-DCE, Zero-DCE_code/Myloss.py, L_TV.
    """
    return 2 * curves.shape[1] * _NeighbourSquares.apply(curves)


class _NeighbourSquares(torch.autograd.Function):
    """Mean squared differences along both axes, added; the gradient written out in a third of the passes."""

    @staticmethod
    def forward(ctx: Any, curves: Tensor) -> Tensor:
        down, across = curves.diff(dim=2), curves.diff(dim=3)
        ctx.save_for_backward(down, across)
        return down.square().mean() + across.square().mean()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        down, across = ctx.saved_tensors
        # Each operation rounds as that of torch, and the terms are added in its order: the bits are the same.
        change = across * (gradient / across.numel() * 2)
        of_curves = F.pad(change, (1, 0))
        of_curves[..., :-1].sub_(change)
        change = down * (gradient / down.numel() * 2)
        of_curves[:, :, 1:].add_(change)
        of_curves[:, :, :-1].sub_(change)
        return of_curves
