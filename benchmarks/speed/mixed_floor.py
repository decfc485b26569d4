"""The convolutions of a training step, each timed alone: forward, data gradient and weight gradient at its own rate."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import conv_flop_count

aten = torch.ops.aten
KINDS = ("forward", "data", "weight")
Layout = tuple[tuple[int, ...], torch.dtype, bool]


class Piece(NamedTuple):
    """One kind of call of one convolution; equal ones take equal time.

    Attributes:
        kind: Of `KINDS`.
        picture: Its input: shape, type, and whether it lies channels last.
        weight: Its weight, likewise.
        gradient: Gradient of its output, likewise; in the forward pass None.
        bias: Whether it has one.
        geometry: Stride, padding, dilation, transposed, output padding and groups, as aten takes them.
    """

    kind: str
    picture: Layout
    weight: Layout
    gradient: Layout | None
    bias: bool
    geometry: tuple[Any, ...]

    def call(self, device: str) -> Callable[[], object]:
        """Make tensors as large as those of the step, and a call that computes the piece alone."""
        picture, weight = _tensor(self.picture, device), _tensor(self.weight, device)
        channels = weight.shape[1] * self.geometry[5] if self.geometry[3] else weight.shape[0]
        if self.gradient is None:
            bias = torch.zeros(channels, dtype=weight.dtype, device=device) if self.bias else None
            return lambda: aten.convolution(picture, weight, bias, *self.geometry)
        gradient, sizes = _tensor(self.gradient, device), [channels] if self.bias else None
        wanted = [True, False, False] if self.kind == "data" else [False, True, self.bias]
        return lambda: aten.convolution_backward(gradient, picture, weight, sizes, *self.geometry, wanted)

    def gflop(self, output: tuple[int, ...]) -> float:
        """Billions of operations, a multiply-add as two; as many for each kind."""
        return conv_flop_count(list(self.picture[0]), list(self.weight[0]), list(output), self.geometry[3]) / 1e9


class Convolutions(TorchDispatchMode):
    """Counts the convolutions of what runs inside it, and times each alone.

    Args:
        device: Where they are timed.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device
        self.counts: Counter[Piece] = Counter()
        self.gflop: dict[Piece, float] = {}
        self.seconds: dict[Piece, list[float]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Count a call and let it through."""
        result = func(*args, **(kwargs or {}))
        if func is aten.convolution.default:
            picture, weight, bias, *geometry = args
            self._count("forward", picture, weight, None, bias is not None, geometry, tuple(result.shape))
        elif func is aten.convolution_backward.default:
            gradient, picture, weight, sizes, *geometry, wanted = args
            for kind, is_wanted in zip(("data", "weight"), wanted, strict=False):
                if is_wanted:
                    self._count(kind, picture, weight, gradient, bool(sizes), geometry, tuple(gradient.shape))
        return result

    def _count(
        self,
        kind: str,
        picture: Tensor,
        weight: Tensor,
        gradient: Tensor | None,
        bias: bool,
        geometry: list[Any],
        output: tuple[int, ...],
    ) -> None:
        frozen = tuple(tuple(each) if isinstance(each, list) else each for each in geometry)
        layout = None if gradient is None else _layout(gradient)
        piece = Piece(kind, _layout(picture), _layout(weight), layout, bias, frozen)
        self.counts[piece] += 1
        self.gflop[piece] = piece.gflop(output)

    @cached_property
    def _calls(self) -> dict[Piece, Callable[[], object]]:
        return {piece: piece.call(self.device) for piece in self.counts}

    def measure(self, timed: Callable[[Callable[[], object]], float]) -> None:
        """Time every piece once more; `timed` gives the seconds of a call."""
        for piece, call in self._calls.items():
            self.seconds.setdefault(piece, []).append(timed(call))

    def floor(self, kind: str | None = None) -> float:
        """Seconds of all convolutions of a kind, or of all: the sum of the medians."""
        chosen = (piece for piece in self.counts if kind in (None, piece.kind))
        return sum(self.counts[piece] * statistics.median(self.seconds[piece]) for piece in chosen)

    def operations(self, kind: str | None = None) -> float:
        """Billions of operations of all convolutions of a kind, or of all."""
        return sum(self.counts[piece] * self.gflop[piece] for piece in self.counts if kind in (None, piece.kind))


def _layout(tensor: Tensor) -> Layout:
    # Where both layouts are one, as with a single channel, the usual one counts.
    last = not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)
    return tuple(tensor.shape), tensor.dtype, last


def _tensor(layout: Layout, device: str) -> Tensor:
    shape, dtype, last = layout
    memory_format = torch.channels_last if last else torch.contiguous_format
    return torch.rand(shape, device=device).to(dtype).contiguous(memory_format=memory_format)
