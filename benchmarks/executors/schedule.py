"""Hand work to processes that may die: no row is lost, none is there twice, none is blamed for another's crash."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from duskbench.benchmarks.executors.base import chunks
from duskbench.benchmarks.measure import MeasureOptions
from duskbench.benchmarks.rows import Row
from duskbench.benchmarks.units import Unit
from duskbench.data_tools.errors import ConfigError

DIED = "The worker process died while measuring this image (out of memory, or a crash in native code)."

# Chunks that a worker holds: the one it measures, and the one it begins with when that is done.
_HELD = 2
# So often a unit is measured alone before the death of its process counts as its own fault: any process may be killed
# by chance, and a machine may be lost.
_DEATHS_ALONE = 2
_FAILED_STARTS = 5

Worker = TypeVar("Worker", bound=Hashable)


@dataclass(frozen=True)
class Ready:
    """A worker has loaded what it needs and takes work."""


@dataclass(frozen=True)
class Gone:
    """A worker is no more, and with it all that it held."""

    reason: str


class Crew(Protocol[Worker]):
    """Worker processes, wherever they are. Each measures the chunks it is sent one after the other."""

    def wanted(self) -> int:
        """How many workers there should be now."""
        ...

    def start(self) -> Worker:
        """Start a worker; it is sent nothing before it was `Ready`."""
        ...

    def send(self, worker: Worker, units: list[Unit]) -> None:
        """Send a chunk; does not wait until it is measured."""
        ...

    def wait(self) -> Iterable[tuple[Worker, Ready | Gone | list[Row]]]:
        """What workers have to say, or nothing after a while; rows are of the oldest chunk that the worker holds."""
        ...

    def stop(self, workers: Iterable[Worker]) -> None:
        """End workers, whatever they are doing."""
        ...


def measure_by(crew: Crew[Worker], units: Sequence[Unit], options: MeasureOptions) -> Generator[Row]:
    """Measure by a crew, rows in order of completion.

    What a worker was measuring when it died is put off; the rest of what it held goes to another. What was put off is
    measured at the end, one unit at a time and nothing beside it; the unit whose process dies each time gets a row
    that says so.

    Raises:
        ConfigError: Workers die as soon as they are started.
    """
    schedule = _Schedule(crew, chunks(units, options))
    try:
        yield from schedule.measure()
    finally:
        schedule.stop()


class _Schedule(Generic[Worker]):
    """Who holds what."""

    def __init__(self, crew: Crew[Worker], work: Iterable[list[Unit]]) -> None:
        self._crew = crew
        self._waiting = deque(work)
        self._put_off: list[Unit] = []
        self._held: dict[Worker, deque[list[Unit]]] = {}
        self._starting: set[Worker] = set()
        self._failed_starts = 0

    def measure(self) -> Iterator[Row]:
        yield from self._measure_waiting(self._crew.wanted, self._put_off.extend)
        for unit in self._put_off:
            yield from self._measure_alone(unit)

    def stop(self) -> None:
        self._crew.stop([*self._held, *self._starting])
        self._held.clear()
        self._starting.clear()

    def _measure_alone(self, unit: Unit) -> Iterator[Row]:
        # Idle workers keep their memory, which may be what this unit lacked.
        spare = [*self._held, *self._starting][1:]
        self._crew.stop(spare)
        self._held = {worker: held for worker, held in self._held.items() if worker not in spare}
        self._starting -= set(spare)
        for _ in range(_DEATHS_ALONE):
            killed: list[Unit] = []
            self._waiting.append([unit])
            yield from self._measure_waiting(lambda: 1, killed.extend)
            if not killed:
                return
        yield from (Row(task.key, error=DIED) for task in unit.tasks)

    def _measure_waiting(self, wanted: Callable[[], int], killed: Callable[[list[Unit]], None]) -> Iterator[Row]:
        """Measure all that waits; `killed` is called with what a worker was measuring when it died."""
        while left := len(self._waiting) + sum(map(len, self._held.values())):
            for _ in range(min(wanted(), left) - len(self._held) - len(self._starting)):
                self._starting.add(self._crew.start())
            # In rounds, so that none holds two chunks while another has nothing to do.
            for depth in range(_HELD):
                for worker, held in self._held.items():
                    if self._waiting and len(held) == depth:
                        held.append(self._waiting.popleft())
                        self._crew.send(worker, held[-1])
            for worker, answer in self._crew.wait():
                if isinstance(answer, Gone):
                    self._bury(worker, answer, killed)
                elif isinstance(answer, Ready):
                    self._starting.remove(worker)
                    self._held[worker] = deque()
                    self._failed_starts = 0
                else:
                    self._held[worker].popleft()
                    yield from answer

    def _bury(self, worker: Worker, gone: Gone, killed: Callable[[list[Unit]], None]) -> None:
        if worker in self._starting:
            self._starting.remove(worker)
            self._failed_starts += 1
            if self._failed_starts >= _FAILED_STARTS:
                raise ConfigError(
                    "Workers die while they start.",
                    where="--workers",
                    got=f"{self._failed_starts} one after the other, the last: {gone.reason}",
                    todo="start fewer at a time (--workers 1): each loads all enhancers and detectors",
                )
            return
        held = self._held.pop(worker)
        if held:
            killed(held.popleft())
        # What it had not begun is nobody's fault.
        self._waiting.extendleft(reversed(held))
