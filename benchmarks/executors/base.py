"""What an executor is, and what the processes of all of them have in common."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from duskbench.benchmarks.measure import MeasureOptions
from duskbench.benchmarks.rows import Row
from duskbench.benchmarks.units import Unit


class Executor(Protocol):
    """Turns units of work into rows, wherever that happens; the caller is the only writer of the results."""

    def measure(self, units: Sequence[Unit], options: MeasureOptions) -> Generator[Row]:
        """Measure units; each of their tasks gets one row, in any order. Closing the iterator stops all work."""
        ...


class Measures(Protocol):
    """What measures inside a worker: `Measurer`, or what a test puts in its place."""

    def load(self) -> None:
        """See `Measurer.load`."""
        ...

    def measure(self, units: Sequence[Unit]) -> Iterator[Row]:
        """See `Measurer.measure`."""
        ...


# Picklable, as every worker makes its own.
MakeMeasurer = Callable[[MeasureOptions], Measures]


def chunks(units: Sequence[Unit], options: MeasureOptions) -> Iterator[list[Unit]]:
    """Enough images to fill a batch, and no more: what is under way is lost when the run is killed.

    Enhancers that want several images at once get chunks of their own, so that the others need not wait for those.
    """
    sizes = [enhancer.batch_size for enhancer in options.enhancers]
    for size in sorted(set(sizes)):
        chunk: list[Unit] = []
        for unit in units:
            tasks = tuple(task for task in unit.tasks if sizes[task.index] == size)
            if not tasks:
                continue
            chunk.append(replace(unit, tasks=tasks))
            if len(chunk) >= size and sum(len(u.tasks) for u in chunk) >= options.together:
                yield chunk
                chunk = []
        if chunk:
            yield chunk
