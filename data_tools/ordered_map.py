"""Many small tasks on threads, results in order, no more of them in memory than are under way."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None
) -> Iterator[Result]:
    """Apply a function to every item on threads and yield the results in the items' order.

    Threads, for decoding, hashing and file access all release the interpreter lock. At most four results a worker
    wait to be taken, so memory does not grow with the number of items.

    Args:
        function: What to do; its exception is raised when its result's turn comes.
        items: What to do it to.
        workers: Number of threads; as many as there are cores by default, 1 for none beside the caller's.
    """
    workers = max(1, workers or os.cpu_count() or 1)
    if workers == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
