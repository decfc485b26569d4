"""Arrays in memory that two processes see."""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

_ALIGNMENT = 64
_GROWTH = 2**20

Layout = dict[str, Any]


def memory_file() -> int:
    """A file without a name that lies in memory; it is gone when the last process that has it open is."""
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())
    descriptor = os.memfd_create("duskbench", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    # A process that shrinks it would crash the one that reads it.
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    return descriptor


class SharedArrays:
    """One direction of traffic: one process puts arrays in, the other takes copies of them.

    Args:
        descriptor: A `memory_file`; it grows to what it must hold.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._memory: mmap.mmap | None = None

    def put(self, arrays: Sequence[np.ndarray]) -> list[Layout]:
        """Write arrays over those of the last call; returns what `take` needs to find them."""
        layouts: list[Layout] = []
        end = 0
        for array in arrays:
            layouts.append({"shape": array.shape, "dtype": array.dtype.str, "offset": end})
            end += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        if end > os.fstat(self._descriptor).st_size:
            os.ftruncate(self._descriptor, -(-end // _GROWTH) * _GROWTH)
        for array, layout in zip(arrays, layouts, strict=True):
            self._view(layout)[...] = array
        return layouts

    def take(self, layouts: Sequence[Layout]) -> list[np.ndarray]:
        """Copies of the arrays that the other process put."""
        return [self._view(layout).copy() for layout in layouts]

    def _view(self, layout: Layout) -> np.ndarray:
        size = os.fstat(self._descriptor).st_size
        if size == 0:
            return np.empty(layout["shape"], layout["dtype"])
        if self._memory is None or len(self._memory) < size:
            self._memory = mmap.mmap(self._descriptor, size)
        return np.ndarray(layout["shape"], layout["dtype"], buffer=self._memory, offset=layout["offset"])
