"""Laplacians of weighted grids, and how they are carried to a grid of half the resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

# Keeps the weights of a node that nothing is coupled to defined; far below any coupling that matters.
_TINY = 1e-20
# Numbers of a band of rows: half a dozen such bands stay in the second cache of a core.
_IN_CACHE = 1 << 16


@dataclass(frozen=True)
class GridOperator:
    """A symmetric positive definite operator on a grid: `mass * x` plus, over neighbours, `coupling * (x - neighbour)`.

    Attributes:
        mass: (H, W) row sums, greater than 0.
        right: (H, W - 1) coupling of (i, j) and (i, j + 1).
        down: (H - 1, W) coupling of (i, j) and (i + 1, j).
        falling: (H - 1, W - 1) coupling of (i, j) and (i + 1, j + 1); None in a 5-point operator.
        rising: (H - 1, W - 1) coupling of (i + 1, j) and (i, j + 1); None likewise.
    """

    mass: torch.Tensor
    right: torch.Tensor
    down: torch.Tensor
    falling: torch.Tensor | None = None
    rising: torch.Tensor | None = None

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply grids (..., H, W) by the operator."""
        out = torch.empty_like(x)
        self.bind(x, out)()
        return out

    def bind(self, x: torch.Tensor, out: torch.Tensor, minuend: torch.Tensor | None = None) -> Callable[[], None]:
        """A function that writes `operator x`, or `minuend - operator x`, to `out` whenever it is called.

        An iteration calls it hundreds of times on the same memory: slicing the views once is what makes small grids
        cheap. Large ones go band by band of rows, so that what one step reads is still in the cache for the next.

        Args:
            x: (..., H, W), contiguous.
            out: Shaped as `x`.
            minuend: Shaped as `x`.
        """
        sign = 1 if minuend is None else -1
        height, row = x.shape[-2], x.numel() // x.shape[-2]
        rows = max(1, _IN_CACHE // row) if x.device.type == "cpu" else height
        scratch = x.new_empty((min(rows, height) + 1) * row)
        bands = []
        for top in range(0, height, rows):
            band = slice(top, min(top + rows, height))
            mass, values, result = (part[..., band, :] for part in (self.mass, x, out))
            whole = None if minuend is None else minuend[..., band, :]
            steps = [step for edge in self._edges() for step in _in_band(band, *edge, x, out, scratch)]
            bands.append((mass, values, result, whole, steps))

        def product() -> None:
            for mass, values, result, whole, steps in bands:
                if whole is None:
                    torch.mul(mass, values, out=result)
                else:
                    torch.addcmul(whole, mass, values, value=-1, out=result)
                # Differences before products: couplings of 1e5 would cancel to noise in single precision.
                for (left, right, difference), to_left, to_right in steps:
                    torch.sub(left, right, out=difference)
                    for (target, coupling, change), value in ((to_left, sign), (to_right, -sign)):
                        target.addcmul_(coupling, change, value=value)

        return product

    def row_excess(self, within: torch.Tensor) -> torch.Tensor:
        """What the diagonal holds, (H, W), beyond one kind of coupling, `right` or `down`."""
        excess = self.mass.clone()
        for coupling, first, second in self._edges():
            if coupling is not within:
                excess[first] += coupling
                excess[second] += coupling
        return excess

    def dense(self) -> torch.Tensor:
        """The operator as a matrix (H * W, H * W)."""
        units = torch.eye(self.mass.numel(), dtype=self.mass.dtype, device=self.mass.device)
        return self.apply(units.view(-1, *self.mass.shape)).view_as(units)

    def to(self, dtype: torch.dtype) -> GridOperator:
        """The same operator in another precision."""
        diagonals = [None if part is None else part.to(dtype) for part in (self.falling, self.rising)]
        return GridOperator(self.mass.to(dtype), self.right.to(dtype), self.down.to(dtype), *diagonals)

    def _edges(self) -> list[tuple[torch.Tensor, tuple[slice, slice], tuple[slice, slice]]]:
        every, start, end = slice(None), slice(None, -1), slice(1, None)
        edges = [(self.right, (every, start), (every, end)), (self.down, (start, every), (end, every))]
        if self.falling is not None and self.rising is not None:
            edges += [(self.falling, (start, start), (end, end)), (self.rising, (end, start), (start, end))]
        return edges


def _in_band(
    band: slice,
    coupling: torch.Tensor,
    first: tuple[slice, slice],
    second: tuple[slice, slice],
    x: torch.Tensor,
    out: torch.Tensor,
    scratch: torch.Tensor,
) -> Iterator[tuple[tuple[torch.Tensor, ...], ...]]:
    """One kind of coupling within a band of rows, as `GridOperator.bind` goes through it; none where there is none.

    Yields:
        The values at either end and where their difference goes; of either end where it is added, times what.
    """
    ends = [(rows.start or 0, columns) for rows, columns in (first, second)]
    # Rows of the coupling; those of the band's first row lead to it from the row above too.
    begin, end = max(band.start - max(down for down, _ in ends), 0), min(band.stop, coupling.shape[0])
    if begin >= end:
        return
    values = [x[..., begin + down : end + down, columns] for down, columns in ends]
    difference = scratch[: values[0].numel()].view(values[0].shape)
    targets = []
    for down, columns in ends:
        here = slice(max(band.start - down, begin), min(band.stop - down, end))
        change = difference[..., here.start - begin : here.stop - begin, :]
        targets.append((out[..., here.start + down : here.stop + down, columns], coupling[here], change))
    yield (*values, difference), *targets


class Interpolation:
    """Carries a grid of half the resolution to the full one, with weights that follow the operator's couplings.

    The coarse nodes are the fine ones of even row and column. A node between two of them takes their average weighted
    by how strongly it is coupled to either side, so that no value leaks across an edge of the picture; a node amid four
    takes the value that its eight neighbours ask for. Weights of a node sum to one: a constant stays constant.

    Source: Alcouffe, Brandt, Dendy, Painter, "The multi-grid method for the diffusion equation with strongly
    discontinuous coefficients", SIAM J. Sci. Stat. Comput. 1981; Dendy, "Black box multigrid", J. Comput. Phys. 1982.
    """

    def __init__(self, operator: GridOperator) -> None:
        self.fine_shape = operator.mass.shape
        self._left, self._right = _shares(operator.right, operator.falling, operator.rising)
        transposed = [None if part is None else part.t() for part in (operator.falling, operator.rising)]
        up, below = _shares(operator.down.t(), *transposed)
        self._up, self._down = up.t().contiguous(), below.t().contiguous()
        self._corners = self._corner_shares(operator)

    @property
    def coarse_shape(self) -> tuple[int, int]:
        """Height and width of the coarse grid."""
        return (self.fine_shape[0] + 1) // 2, (self.fine_shape[1] + 1) // 2

    def to(self, dtype: torch.dtype) -> Interpolation:
        """The same interpolation in another precision."""
        other = object.__new__(Interpolation)
        other.fine_shape = self.fine_shape
        for name in ("_left", "_right", "_up", "_down"):
            setattr(other, name, getattr(self, name).to(dtype))
        other._corners = [corner.to(dtype) for corner in self._corners]
        return other

    def bind_prolong(self, coarse: torch.Tensor, fine: torch.Tensor) -> Callable[[], None]:
        """A function that carries `coarse` to the fine grid and adds it to `fine` whenever it is called."""
        same = fine[0::2, 0::2]
        steps = [
            (fine[points][: weight.shape[0], : weight.shape[1]], weight, coarse[nodes])
            for weight, points, nodes in self._terms()
        ]

        def prolong() -> None:
            same.add_(coarse)
            for target, weight, source in steps:
                target.addcmul_(weight, source)

        return prolong

    def bind_restrict(self, fine: torch.Tensor, coarse: torch.Tensor) -> Callable[[], None]:
        """A function that gathers `fine` in `coarse` whenever it is called: the transpose of prolonging."""
        same = fine[0::2, 0::2]
        steps = [
            (coarse[nodes], weight, fine[points][: weight.shape[0], : weight.shape[1]])
            for weight, points, nodes in self._terms()
        ]

        def restrict() -> None:
            coarse.copy_(same)
            for target, weight, source in steps:
                target.addcmul_(weight, source)

        return restrict

    def _corner_shares(self, operator: GridOperator) -> list[torch.Tensor]:
        """How nodes of odd row and odd column divide among the coarse nodes north-west, north-east and so on."""
        right, down, falling, rising = operator.right, operator.down, operator.falling, operator.rising
        north, south, west, east = down[0::2, 1::2], down[1::2, 1::2], right[1::2, 0::2], right[1::2, 1::2]
        (rows, columns), (last_row, last_column) = (north.shape[0], west.shape[1]), (south.shape[0], east.shape[1])
        shares = [
            north * self._left[:rows] + west * self._up[:, :columns],
            north[:, :last_column] * self._right[:rows] + east * self._up[:, 1:],
            south * self._left[1:] + west[:last_row] * self._down[:, :columns],
            south[:, :last_column] * self._right[1:] + east[:last_row] * self._down[:, 1:],
        ]
        if falling is not None and rising is not None:
            direct = falling[0::2, 0::2], rising[0::2, 1::2], rising[1::2, 0::2], falling[1::2, 1::2]
            shares = [share + coupling for share, coupling in zip(shares, direct, strict=True)]
        shares = [share.clamp_(min=_TINY) for share in shares]
        total = torch.zeros_like(shares[0])
        for share in shares:
            total[: share.shape[0], : share.shape[1]] += share
        return [share / total[: share.shape[0], : share.shape[1]] for share in shares]

    def _terms(self) -> list[tuple[torch.Tensor, tuple[slice, slice], tuple[slice, slice]]]:
        """Each weight with its fine nodes (the first so many of them) and the coarse nodes it ties them to."""
        rows, columns = self.fine_shape[0] // 2, self.fine_shape[1] // 2
        every, after, even, odd = slice(None), slice(1, None), slice(0, None, 2), slice(1, None, 2)
        near_row, near_column = slice(rows), slice(columns)
        nw, ne, sw, se = self._corners
        return [
            (self._left, (even, odd), (every, near_column)),
            (self._right, (even, odd), (every, after)),
            (self._up, (odd, even), (near_row, every)),
            (self._down, (odd, even), (after, every)),
            (nw, (odd, odd), (near_row, near_column)),
            (ne, (odd, odd), (near_row, after)),
            (sw, (odd, odd), (after, near_column)),
            (se, (odd, odd), (after, after)),
        ]


def _shares(
    right: torch.Tensor, falling: torch.Tensor | None, rising: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """How nodes of even row and odd column divide between the coarse nodes left and right of them."""
    to_left, to_right = right[0::2, 0::2].clone(), right[0::2, 1::2].clone()
    if falling is not None and rising is not None:
        odd_rows = falling[0::2].shape[0]
        to_left[1:] += falling[1::2, 0::2]
        to_left[:odd_rows] += rising[0::2, 0::2]
        to_right[1:] += rising[1::2, 1::2]
        to_right[:odd_rows] += falling[0::2, 1::2]
    to_left.clamp_(min=_TINY)
    to_right.clamp_(min=_TINY)
    # In a grid of even width the last odd column has no coarse node at its right.
    total = to_left.clone()
    total[:, : to_right.shape[1]] += to_right
    return to_left / total, to_right / total[:, : to_right.shape[1]]


def coarsen(operator: GridOperator, interpolation: Interpolation) -> GridOperator:
    """The operator that the fine one is on the coarse grid (restrict, apply, prolong: Galerkin), 9-point.

    Couplings are read off by applying it to grids of ones three nodes apart, whose answers do not overlap.
    """
    height, width = interpolation.coarse_shape
    empty = operator.mass.new_empty
    right, down = empty(height, width - 1), empty(height - 1, width)
    falling, rising = (empty(height - 1, width - 1) for _ in range(2))
    fine, applied = (torch.empty_like(operator.mass) for _ in range(2))
    unit, answer, mass = (empty(height, width) for _ in range(3))
    prolong, apply = interpolation.bind_prolong(unit, fine), operator.bind(fine, applied)
    restrict = interpolation.bind_restrict(applied, answer)
    for row in range(min(3, height)):
        for column in range(min(3, width)):
            unit.zero_()[row::3, column::3] = 1
            fine.zero_()
            prolong()
            apply()
            restrict()
            left, above = (column - 1) % 3, (row - 1) % 3
            right[row::3, left::3] = answer[row::3, left:-1:3]
            down[above::3, column::3] = answer[above:-1:3, column::3]
            falling[above::3, left::3] = answer[above:-1:3, left:-1:3]
            rising[above::3, column::3] = answer[above:-1:3, column + 1 :: 3]
    interpolation.bind_restrict(operator.mass, mass)()
    return GridOperator(mass, right.neg_(), down.neg_(), falling.neg_(), rising.neg_())
