"""Decode images ahead of the work on them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from duskbench.benchmarks.units import Unit
from duskbench.data_tools.errors import DuskbenchError


@dataclass(frozen=True)
class Decoded:
    """A unit's image, (H, W, 3) uint8 RGB, or why there is none, and the milliseconds that it took."""

    unit: Unit
    image: np.ndarray | DuskbenchError
    ms: float


def decode_ahead(units: Iterable[Unit]) -> Generator[Decoded]:
    """Decode each unit's image, in order; while one is worked on, a thread decodes the next, and no more than that."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        under_way: deque[Future[Decoded]] = deque()
        for unit in units:
            under_way.append(thread.submit(_decode, unit))
            if len(under_way) > 1:
                yield under_way.popleft().result()
        if under_way:
            yield under_way.popleft().result()


def _decode(unit: Unit) -> Decoded:
    start = time.perf_counter()
    image: np.ndarray | DuskbenchError
    try:
        image = unit.file.image()
    except DuskbenchError as error:
        image = error
    return Decoded(unit, image, (time.perf_counter() - start) * 1000)
