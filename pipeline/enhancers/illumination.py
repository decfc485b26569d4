"""LIME's illumination map: the brightest channel, smoothed within structures and kept apart across them."""

from __future__ import annotations

import numpy as np
import torch

from duskbench.pipeline.enhancers.grid_operator import GridOperator
from duskbench.pipeline.enhancers.multigrid import Solution, solve


def initial_illumination(image_rgb: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """The largest of the three channels of every pixel.

    Args:
        image_rgb: (H, W, 3) uint8.
        device: Where the result lies.

    Returns:
        (H, W) float64 in [0, 1].

    Source: Guo, Li, Ling, "LIME", TIP 2017, eq. 3.
    """
    return torch.from_numpy(image_rgb.max(axis=2)).to(device).double().div_(255)


def refine_illumination(
    initial: torch.Tensor,
    *,
    alpha: float = 0.15,
    strategy: int = 3,
    sigma: float = 2.0,
    eps: float = 1e-3,
    tolerance: float = 0.01,
    max_iterations: int = 200,
) -> Solution:
    """Refine an illumination map by LIME's sped-up problem.

    Solves `(I + alpha * sum_d D_d^T diag(W_d / (|D_d t0| + eps)) D_d) t = t0` with forward differences D_d along
    rows and columns and no flux across the border.

    Args:
        initial: (H, W) float64, the map t0.
        alpha: Weight of smoothness against fidelity.
        strategy: Which weights W to use, see `structure_weights`.
        sigma: Standard deviation of strategy 3's Gaussian in pixels.
        eps: What keeps denominators from zero.
        tolerance: Bound on `||A t - t0|| / ||t0||`.
        max_iterations: Where to give up.

    Returns:
        The map and how well it solves the problem.

    Source: LIME, eq. 19 (the quadratic problem that stands in for the L1 norm of eq. 8) and 20 (its linear system).
    """
    operator = illumination_operator(initial, alpha=alpha, strategy=strategy, sigma=sigma, eps=eps)
    return solve(operator, initial, start=initial, tolerance=tolerance, max_iterations=max_iterations)


def illumination_operator(
    initial: torch.Tensor, *, alpha: float, strategy: int, sigma: float, eps: float
) -> GridOperator:
    """The matrix of `refine_illumination` as couplings of a grid."""
    mass = torch.ones_like(initial)
    right = _couplings(initial, alpha, strategy, sigma, eps)
    down = _couplings(initial.t().contiguous(), alpha, strategy, sigma, eps).t().contiguous()
    return GridOperator(mass, right, down)


def _couplings(initial: torch.Tensor, alpha: float, strategy: int, sigma: float, eps: float) -> torch.Tensor:
    """Couplings (H, W - 1) between the neighbours of each row."""
    difference = initial[:, 1:] - initial[:, :-1]
    coupling = structure_weights(difference, strategy=strategy, sigma=sigma, eps=eps)
    return coupling.mul_(alpha).div_(difference.abs_().add_(eps))


def structure_weights(difference: torch.Tensor, *, strategy: int, sigma: float, eps: float) -> torch.Tensor:
    """Weights of the smoothness term: small where the map has structure that must stay.

    Strategy 1 is one everywhere; 2 is `1 / (|d| + eps)`; 3 is the same of the Gaussian mean of d, so that texture,
    whose differences cancel in the mean, is smoothed away while an edge is kept.

    Args:
        difference: (H, W - 1) float64 forward differences along the rows.
        strategy: 1, 2 or 3.
        sigma: Standard deviation of the Gaussian in pixels; the window is 5 sigma wide.
        eps: What keeps denominators from zero.

    Returns:
        (H, W - 1) float64.

    Source: LIME, section III-C, eq. 21 to 23. The window is that of the authors' relative total variation code
    (Xu et al. 2012), from which strategy III is taken; it is cut at the border, numerator and denominator alike.
    """
    if strategy == 1:
        return torch.ones_like(difference)
    if strategy == 2:
        return difference.abs().add_(eps).reciprocal_()
    offsets = torch.arange(-_radius(sigma), _radius(sigma) + 1, dtype=difference.dtype, device=difference.device)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    taps = kernel.tolist()
    mean = _smooth_rows(_smooth_rows(difference, taps).t(), taps).t()
    # The differences end one short of the last column, where the map's border has none: it counts as a zero.
    height, width = difference.shape
    ones = [torch.ones(1, size, dtype=difference.dtype, device=difference.device) for size in (height, width + 1)]
    down, along = (_smooth_rows(one, taps).view(-1) for one in ones)
    total = torch.outer(down, along[:width])
    return total.div_(mean.abs_().add_(eps))


def _radius(sigma: float) -> int:
    return max(1, round(5 * sigma) // 2)


def _smooth_rows(grid: torch.Tensor, taps: list[float]) -> torch.Tensor:
    """Correlate rows with a symmetric kernel, zeros beyond the border; contiguous."""
    radius, width = len(taps) // 2, grid.shape[1]
    grid = grid.contiguous()
    result = grid * taps[radius]
    for offset in range(1, min(radius, width - 1) + 1):
        weight = taps[radius + offset]
        result[:, offset:].add_(grid[:, :-offset], alpha=weight)
        result[:, :-offset].add_(grid[:, offset:], alpha=weight)
    return result
