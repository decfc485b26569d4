"""Measure in this process or in several, with one writer."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing.connection import wait as wait_for_sentinel

from duskbench.benchmarks.measure import MeasureOptions, Measurer
from duskbench.benchmarks.plan import Unit
from duskbench.benchmarks.store import Row

_measurer: Measurer | None = None


def measure_here(units: Sequence[Unit], options: MeasureOptions) -> Iterator[Row]:
    """Measure in this process, rows as they come."""
    _pin_threads()
    yield from Measurer(options).measure(units)


def measure_in_processes(units: Sequence[Unit], options: MeasureOptions, workers: int) -> Iterator[Row]:
    """Measure in `workers` processes, each with its own enhancers and detector; rows in order of completion.

    A worker that dies (out of memory, a crash in native code) takes its pool with it: the units that were under way
    are then measured one at a time in a process of their own, and the one that kills it again gets a row that says so.
    """
    chunks = deque(_chunks(units, options))
    while chunks:
        under_way: dict[Future[list[Row]], list[Unit]] = {}
        pool = _pool(options, workers)
        try:
            while chunks or under_way:
                while chunks and len(under_way) < 2 * workers:
                    chunk = chunks.popleft()
                    under_way[pool.submit(_measure_chunk, chunk)] = chunk
                finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in finished:
                    rows = future.result()
                    del under_way[future]
                    yield from rows
        except BrokenProcessPool:
            yield from _measure_alone([unit for chunk in under_way.values() for unit in chunk], options)
        finally:
            # Not waiting: on Ctrl-C the workers are in the middle of an image nobody wants any more.
            _stop(pool)


def _measure_alone(units: Sequence[Unit], options: MeasureOptions) -> Iterator[Row]:
    """One unit at a time, so that it is plain which of them kills its process."""
    remaining = deque(units)
    while remaining:
        pool = _pool(options, 1)
        try:
            while remaining:
                yield from pool.submit(_measure_chunk, [remaining[0]]).result()
                remaining.popleft()
        except BrokenProcessPool:
            reason = "The worker process died while measuring this image (out of memory, or a crash in native code)."
            yield from (Row(task.key, error=reason) for task in remaining.popleft().tasks)
        finally:
            _stop(pool)


def _chunks(units: Sequence[Unit], options: MeasureOptions) -> Iterator[list[Unit]]:
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
            if len(chunk) >= size and sum(len(u.tasks) for u in chunk) >= options.batch_size:
                yield chunk
                chunk = []
        if chunk:
            yield chunk


def _pool(options: MeasureOptions, workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(options,))
    # Ctrl-C goes to the whole process group. Workers that start while it is ignored here ignore it from their first
    # line on; the first submission starts them all.
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main_thread else None
    try:
        pool.submit(int)
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, before)
    return pool


def _stop(pool: ProcessPoolExecutor) -> None:
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(timeout=5)


def _start_worker(options: MeasureOptions) -> None:
    global _measurer  # noqa: PLW0603 - a pool's initializer has no other place to leave it
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _pin_threads()
    _measurer = Measurer(options)


def _die_with_parent() -> None:
    """After `kill -9` of the parent nothing else would end this process."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for_sentinel([parent.sentinel])
        os._exit(1)


def _measure_chunk(units: list[Unit]) -> list[Row]:
    assert _measurer is not None  # noqa: S101 - the initializer ran
    return list(_measurer.measure(units))


def _pin_threads() -> None:
    """One thread for each process: sums over several are rounded otherwise, and rows must not depend on the machine."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
