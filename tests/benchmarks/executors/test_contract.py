"""What every executor owes a run, whatever happens to its workers."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from duskbench.benchmarks.executors.base import Executor, MakeMeasurer
from duskbench.benchmarks.executors.cluster import Cluster
from duskbench.benchmarks.executors.local import Processes
from duskbench.benchmarks.executors.schedule import DIED
from duskbench.benchmarks.rows import Key, Row
from duskbench.benchmarks.units import Unit
from duskbench.data_tools.errors import ConfigError
from tests.benchmarks.executors.fakes import ENDLESS, OPTIONS, DiesAtOnce, FakeMeasurer, pid, units, until_all_work

Make = Callable[..., Executor]


def _processes(measurer: MakeMeasurer = FakeMeasurer) -> Executor:
    return Processes(2, measurer=measurer)


@pytest.fixture(params=["processes", pytest.param("cluster", marks=pytest.mark.slow)])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes an executor of two workers."""
    if request.param == "processes":
        return _processes
    address = request.getfixturevalue("machines").address
    return lambda measurer=FakeMeasurer: Cluster(address, workers=2, measurer=measurer)


def keys(work: list[Unit]) -> Counter[Key]:
    return Counter(task.key for unit in work for task in unit.tasks)


def faulty(rows: list[Row]) -> set[tuple[str, str | None]]:
    return {(row.key.image_id, row.error) for row in rows if row.error is not None}


def _gone(process: int) -> bool:
    """Whether it has ended; one that nobody waits for has too."""
    try:
        return ") Z " in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return True


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_task_has_one_row(make: Make) -> None:
    work = units(*map(str, range(60)))
    rows = list(make().measure(work, OPTIONS))
    assert Counter(row.key for row in rows) == keys(work) and not faulty(rows)


def test_only_the_image_that_kills_its_process_is_blamed(make: Make) -> None:
    work = units(*map(str, range(7)), "kills", *map(str, range(10, 17)))
    rows = list(make().measure(work, OPTIONS))
    assert Counter(row.key for row in rows) == keys(work)
    assert faulty(rows) == {("kills", DIED)}


def test_nobody_is_blamed_for_a_death_by_chance(make: Make, tmp_path: Path) -> None:
    work = units("once a", *map(str, range(7)), "once b", *map(str, range(10, 17)), folder=tmp_path)
    rows = list(make().measure(work, OPTIONS))
    assert Counter(row.key for row in rows) == keys(work) and not faulty(rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["once a", "once b"]


def test_a_worker_that_is_killed_from_outside_is_replaced(make: Make) -> None:
    work = units(*map(str, range(200)))
    rows = []
    for row in make().measure(work, OPTIONS):
        if len(rows) in (20, 120):
            os.kill(pid(row), signal.SIGKILL)
        rows.append(row)
    assert Counter(row.key for row in rows) == keys(work) and not faulty(rows)
    assert len({pid(row) for row in rows}) >= 3


def test_ctrl_c_is_not_for_the_workers(make: Make) -> None:
    with closing(make().measure(ENDLESS, OPTIONS)) as measured:
        before = {pid(row) for row in until_all_work(measured, 2)}
        for process in before:
            os.kill(process, signal.SIGINT)
        rows = [next(measured) for _ in range(100)]
    assert {pid(row) for row in rows} <= before and not faulty(rows)


def test_closing_ends_all_workers(make: Make) -> None:
    with closing(make().measure(ENDLESS, OPTIONS)) as measured:
        workers = {pid(row) for row in until_all_work(measured, 2)}
    _wait_until(lambda: all(map(_gone, workers)))


def test_a_fault_of_ours_is_raised(make: Make) -> None:
    with pytest.raises((RuntimeError, ZeroDivisionError), match="a fault of ours"):
        list(make().measure(units("1", "fails", "2"), OPTIONS))


def test_workers_that_die_while_they_start_are_an_error(make: Make) -> None:
    with pytest.raises(ConfigError, match="die while they start"):
        list(make(DiesAtOnce).measure(units("1", "2"), OPTIONS))
