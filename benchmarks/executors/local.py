"""Measure on this machine: in this process, or in several."""

from __future__ import annotations

import os
import queue
import threading
import traceback
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from duskbench.benchmarks.executors.base import MakeMeasurer
from duskbench.benchmarks.executors.fork_server import CONTEXT, start
from duskbench.benchmarks.executors.schedule import Gone, Ready, measure_by
from duskbench.benchmarks.measure import MeasureOptions, Measurer
from duskbench.benchmarks.rows import Row
from duskbench.benchmarks.units import Unit


class InProcess:
    """Measures in this process, rows as they come."""

    def measure(self, units: Sequence[Unit], options: MeasureOptions) -> Generator[Row]:
        """See `Executor.measure`."""
        yield from Measurer(options).measure(units)


class Processes:
    """Measures in several processes of this machine, each with its own enhancers and detectors.

    Args:
        workers: How many.
        devices: Torch devices; worker i gets the i-th, or begins again with the first. None for the options' device.
        measurer: What measures in them.
    """

    def __init__(self, workers: int, devices: Sequence[str] = (), measurer: MakeMeasurer = Measurer) -> None:
        self._workers, self._devices, self._measurer = workers, tuple(devices), measurer

    def measure(self, units: Sequence[Unit], options: MeasureOptions) -> Generator[Row]:
        """See `Executor.measure`."""
        each = [replace(options, device=device) for device in self._devices] or [options]
        slots = [each[number % len(each)] for number in range(self._workers)]
        yield from measure_by(_Crew(slots, self._measurer), units, options)


@dataclass(frozen=True, eq=False)
class _Worker:
    slot: int
    process: BaseProcess
    connection: Connection[Any, Any]


class _Crew:
    """Processes with a pipe to each; the end of its pipe says that a process is gone."""

    def __init__(self, slots: Sequence[MeasureOptions], measurer: MakeMeasurer) -> None:
        self._slots, self._measurer = slots, measurer
        self._workers: list[_Worker] = []

    def wanted(self) -> int:
        return len(self._slots)

    def start(self) -> _Worker:
        slot = min(set(range(len(self._slots))) - {worker.slot for worker in self._workers})
        ours, theirs = CONTEXT.Pipe()
        process = start(_work, theirs, self._slots[slot], self._measurer)
        theirs.close()
        worker = _Worker(slot, process, ours)
        self._workers.append(worker)
        return worker

    def send(self, worker: _Worker, units: list[Unit]) -> None:
        try:
            worker.connection.send(units)
        except OSError:
            # It died just now, and `wait` says so.
            return

    def wait(self) -> Iterator[tuple[_Worker, Ready | Gone | list[Row]]]:
        heard = wait([worker.connection for worker in self._workers])
        for worker in [each for each in self._workers if each.connection in heard]:
            try:
                answer = worker.connection.recv()
            except (EOFError, OSError):
                self.stop([worker])
                answer = Gone(f"exit code {worker.process.exitcode}")
            if isinstance(answer, BaseException):
                raise answer
            yield worker, answer

    def stop(self, workers: Iterable[_Worker]) -> None:
        # Not gently: on Ctrl-C they are in the middle of an image that nobody wants any more.
        workers = list(workers)
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join(timeout=5)
            worker.connection.close()
            self._workers.remove(worker)


def _work(connection: Connection[Any, Any], options: MeasureOptions, make: MakeMeasurer) -> None:
    inbox: queue.SimpleQueue[list[Unit]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, inbox), daemon=True).start()
    measurer = make(options)
    connection.send(Ready())
    while True:
        units = inbox.get()
        try:
            connection.send(list(measurer.measure(units)))
        except Exception:  # noqa: BLE001 - a fault of ours, which the parent raises; it may not be picklable itself
            connection.send(RuntimeError(f"A worker failed:\n{traceback.format_exc()}"))


def _receive(connection: Connection[Any, Any], inbox: queue.SimpleQueue[list[Unit]]) -> None:
    """Take what is sent at once, so that the parent never waits; and die with it, which `kill -9` would not tell."""
    try:
        while True:
            inbox.put(connection.recv())
    except (EOFError, OSError):
        os._exit(1)
