"""Conjugate gradients for weighted grids, preconditioned by a multigrid cycle."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from duskbench.pipeline.enhancers.grid_operator import GridOperator, Interpolation, coarsen
from duskbench.pipeline.enhancers.line_solver import ColumnSolver

# A sweep goes most of the way to the exact solution of its lines: the whole way would leave checkerboards as they are.
_DAMPING = 0.85
_DENSE_NODES = 400
_WORKING = torch.float32
# Further down the residual that single precision carries along no longer is that of the solution.
_SMALLEST_REDUCTION = 1e-5


class _Coarsest:
    """The bottom of the cycle, solved by a dense inverse."""

    def __init__(self, operator: GridOperator) -> None:
        self.operator = operator.to(_WORKING)
        self._inverse = torch.cholesky_inverse(torch.linalg.cholesky(operator.dense())).to(_WORKING)
        self.right_side, self.x = (torch.zeros_like(self.operator.mass) for _ in range(2))

    def cycle(self) -> None:
        """Solve for `right_side` into `x`."""
        torch.mv(self._inverse, self.right_side.view(-1), out=self.x.view(-1))


class Multigrid:
    """A V-cycle from zero: an approximate inverse, symmetric and positive definite.

    Every level is smoothed by lines, columns then rows before the coarse correction and in reverse after it: in a
    picture the couplings along an edge are up to a million times those across, which no point-wise smoother survives.

    Args:
        operator: The operator, double precision. Its coarse versions are computed in double precision too, as they are
            small differences of large couplings; the cycle itself works in single precision.

    Attributes:
        operator: The operator in single precision.
        right_side: (H, W) float32, where the caller writes what the inverse is applied to.
        x: (H, W) float32, where `cycle` leaves the result.

    Source: Alcouffe et al. 1981 and Dendy 1982 (see `Interpolation`) with damped line Jacobi for their zebra sweeps.
    """

    def __init__(self, operator: GridOperator) -> None:
        interpolation = Interpolation(operator)
        coarse = coarsen(operator, interpolation)
        self.operator = operator = operator.to(_WORKING)
        interpolation = interpolation.to(_WORKING)
        self._coarse = multigrid(coarse)
        self.right_side, self.x, residual = (torch.zeros_like(operator.mass) for _ in range(3))
        # Lines of the operator divided by the damping have the damped correction as their solution.
        excess = operator.row_excess(operator.down)
        self._columns = ColumnSolver(operator.down / _DAMPING, excess.div_(_DAMPING))
        excess = operator.row_excess(operator.right).t().contiguous()
        self._rows = ColumnSolver(operator.right.t().contiguous().div_(_DAMPING), excess.div_(_DAMPING))
        self._residual = residual
        self._update_residual = operator.bind(self.x, residual, self.right_side)
        self._restrict = interpolation.bind_restrict(residual, self._coarse.right_side)
        self._prolong = interpolation.bind_prolong(self._coarse.x, self.x)

    def cycle(self) -> None:
        """Apply the approximate inverse to `right_side` and leave the result in `x`."""
        self.x.copy_(self._columns.solve(self.right_side))
        self._relax_rows()
        self._update_residual()
        self._restrict()
        self._coarse.cycle()
        self._prolong()
        self._relax_rows()
        self._update_residual()
        self.x.add_(self._columns.solve(self._residual))

    def _relax_rows(self) -> None:
        self._update_residual()
        self.x.add_(self._rows.solve(self._residual.t()).t())


def multigrid(operator: GridOperator) -> Multigrid | _Coarsest:
    """The V-cycle for an operator, or a dense inverse where the grid is small."""
    return _Coarsest(operator) if operator.mass.numel() <= _DENSE_NODES else Multigrid(operator)


@dataclass(frozen=True)
class Solution:
    """What an iteration came to.

    Attributes:
        x: (H, W), double precision.
        residual: Norm of `right_side - operator x` over the norm of `right_side`, computed afresh in double precision.
        iterations: How many times the preconditioner was applied.
    """

    x: torch.Tensor
    residual: float
    iterations: int


def solve(
    operator: GridOperator,
    right_side: torch.Tensor,
    *,
    start: torch.Tensor,
    tolerance: float,
    max_iterations: int = 200,
) -> Solution:
    """Solve `operator x = right_side` by conjugate gradients with a multigrid preconditioner.

    Directions and the running residual are kept in single precision, the solution in double precision. That costs no
    accuracy: products go through differences, so their rounding is relative to the fluxes and not to the couplings;
    and the residual that ends the iteration is computed afresh.

    Args:
        operator: Double precision, on any device.
        right_side: (H, W), double precision.
        start: (H, W), double precision; not changed.
        tolerance: Bound on the relative residual.
        max_iterations: Where to give up; the residual of the result then says so.
    """
    x, iterations = start.clone(), 0
    scale = float(torch.linalg.vector_norm(right_side))
    if scale == 0:
        return Solution(torch.zeros_like(x), 0.0, 0)
    iteration: _ConjugateGradients | None = None
    while True:
        left_over = right_side - operator.apply(x)
        residual = float(torch.linalg.vector_norm(left_over)) / scale
        if residual <= tolerance or iterations >= max_iterations:
            return Solution(x, residual, iterations)
        iteration = iteration or _ConjugateGradients(operator)
        # A little below the bound, so that the residual computed afresh is not found just above it.
        steps = iteration.run(left_over, x, 0.98 * tolerance / residual, max_iterations - iterations)
        if steps == 0:
            return Solution(x, residual, iterations)
        iterations += steps


class _ConjugateGradients:
    """The iteration with its memory: `run` can be called again, from a residual computed afresh."""

    def __init__(self, operator: GridOperator) -> None:
        self._inverse = multigrid(operator)
        self._direction, self._image = (torch.zeros_like(self._inverse.x) for _ in range(2))
        self._multiply = self._inverse.operator.bind(self._direction, self._image)

    def run(self, left_over: torch.Tensor, x: torch.Tensor, reduction: float, max_iterations: int) -> int:
        """Improve `x` in place until the norm of the residual is `reduction` times that of `left_over`.

        Returns the number of steps; 0 where single precision cannot improve `x` at all.
        """
        scale = float(torch.linalg.vector_norm(left_over))
        residual, correction = self._inverse.right_side.copy_(left_over.div_(scale)), self._inverse.x
        direction = self._direction.zero_()
        previous, goal = 1.0, max(reduction, _SMALLEST_REDUCTION)
        for step in range(1, max_iterations + 1):
            self._inverse.cycle()
            product = _dot(residual, correction)
            if not product > 0:
                return step - 1
            direction.mul_(product / previous).add_(correction)
            previous = product
            self._multiply()
            length = product / _dot(direction, self._image)
            x.add_(direction, alpha=length * scale)
            residual.sub_(self._image, alpha=length)
            if _dot(residual, residual) <= goal * goal:
                return step
        return max_iterations


def _dot(a: torch.Tensor, b: torch.Tensor) -> float:
    # Row by row: torch.dot splits its sum among the threads, and a pixel in a million would depend on their number.
    return float((a * b).sum(dim=-1).sum())
