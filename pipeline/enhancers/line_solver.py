"""Tridiagonal systems along the columns of a grid, all at once, by cyclic reduction."""

from __future__ import annotations

import torch


class ColumnSolver:
    """Solves one symmetric tridiagonal system per column of a grid.

    Row `i` of a column reads `(excess[i] + c[i - 1] + c[i]) x[i] - c[i - 1] x[i - 1] - c[i] x[i + 1] = b[i]`. Writing
    the diagonal as couplings plus excess keeps single precision exact enough: eliminating a row then only adds
    positive numbers, where the usual diagonal would lose its small excess to cancellation.

    Cyclic reduction eliminates every second row in one go. It needs log2(rows) steps, each over whole rows of the grid,
    where the textbook recursion needs as many steps as there are rows and would be slow on a GPU.

    Args:
        coupling: (H - 1, W) couplings between vertical neighbours, at least 0.
        excess: (H, W) what the diagonal holds beyond the couplings, greater than 0.

    Source: Hockney, "A fast direct solution of Poisson's equation using Fourier analysis", JACM 1965 (reduction);
    Grassmann, Taksar, Heyman, "Regenerative analysis and steady state distributions", Oper. Res. 1985 (no subtraction).
    """

    def __init__(self, coupling: torch.Tensor, excess: torch.Tensor) -> None:
        self._work = torch.empty_like(excess)
        self._steps: list[tuple[torch.Tensor, ...]] = []
        rows = self._work
        while rows.shape[0] > 1:
            above, below = coupling[0::2], coupling[1::2]
            count = below.shape[0]
            diagonal = excess[1::2] + above
            diagonal[:count] += below
            inverse = diagonal.reciprocal_()
            to_above, to_below = above * inverse, below * inverse[:count]
            eliminated = excess[1::2]
            excess = excess[0::2].clone()
            excess[: to_above.shape[0]].addcmul_(to_above, eliminated)
            excess[1 : count + 1].addcmul_(to_below, eliminated[:count])
            coupling = to_above[:count] * below
            kept, odd = rows[0::2], rows[1::2]
            self._steps.append(
                (
                    to_above,
                    to_below,
                    inverse,
                    odd,
                    odd[:count],
                    kept[: odd.shape[0]],
                    kept[1 : count + 1],
                )
            )
            rows = kept
        self._last, self._last_inverse = rows, excess.reciprocal()

    def solve(self, right_side: torch.Tensor) -> torch.Tensor:
        """Solve for one right side, (H, W). The result is a buffer that the next call overwrites."""
        self._work.copy_(right_side)
        for to_above, to_below, _, odd, odd_inner, above, below in self._steps:
            above.addcmul_(to_above, odd)
            below.addcmul_(to_below, odd_inner)
        self._last.mul_(self._last_inverse)
        for to_above, to_below, inverse, odd, odd_inner, above, below in reversed(self._steps):
            odd.mul_(inverse).addcmul_(to_above, above)
            odd_inner.addcmul_(to_below, below)
        return self._work
