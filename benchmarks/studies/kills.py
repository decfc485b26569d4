"""Whether a run on a cluster survives: workers and machines are killed at random, and every row is accounted for.

    python -m duskbench.benchmarks.studies.kills --kills 200
    python -m duskbench.benchmarks.studies.kills --kills 0

Machines are raylets of one cluster on this machine, a worker each. Among the images are some that kill their worker
whenever they are measured; these alone may have an error. Without kills it says what a row costs beside measuring it,
on the cluster and in processes of this machine, in CPU time.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from duskbench.benchmarks.executors.base import Executor
from duskbench.benchmarks.executors.cluster import SETTINGS, Cluster
from duskbench.benchmarks.executors.local import Processes
from duskbench.benchmarks.measure import MeasureOptions
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import EnhancerEntry
from duskbench.benchmarks.rows import Key, Measured, Row
from duskbench.benchmarks.units import ImageFile, Task, Unit

_OPTIONS = MeasureOptions((EnhancerEntry("Input", "input", "input"),), (), (), Protocol(), "", "cpu", batch_size=1)
_POISONOUS = 5
_TRIES = 5


class Light:
    """Measures nothing, in two milliseconds, and says which process did."""

    def __init__(self, options: MeasureOptions) -> None:
        self.options = options

    def load(self) -> None:
        """There is nothing to load."""

    def measure(self, units: Sequence[Unit]) -> Iterator[Row]:
        """One row for each unit."""
        for unit in units:
            time.sleep(0.002)
            if unit.image_id.startswith("kills"):
                os.kill(os.getpid(), signal.SIGKILL)
            said = {"pid": Measured(os.getpid()), "cpu": Measured(time.process_time())}
            yield from (Row(task.key, values=said) for task in unit.tasks)


def _units(n: int, rng: random.Random) -> list[Unit]:
    names = [f"{number:06d}" for number in range(n)]
    for number in rng.sample(range(n), _POISONOUS):
        names[number] = f"kills {number:06d}"
    return [Unit(name, ImageFile(Path(name), ""), (Task(0, Key(name, "", "input"), frozenset()),)) for name in names]


def _add_machine(machines: Any) -> None:
    """Ray gives a machine 30 seconds to start, which a busy computer may not have."""
    for attempt in range(_TRIES):
        try:
            machines.add_node(num_cpus=1, include_dashboard=False)
        except Exception:
            if attempt == _TRIES - 1:
                raise
        else:
            return


class Killer:
    """Kills a worker or a machine every so many rows, and replaces the machine."""

    def __init__(self, machines: Any, rng: random.Random, kills: int, rows: int, share: float) -> None:
        self._machines, self._rng, self._share = machines, rng, share
        self._left, self._step = kills, max(1, rows // (kills + 1))
        self.killed: Counter[str] = Counter()

    def saw(self, row: Row, number: int) -> None:
        """A row came; kill who made it, or a machine, if it is time."""
        if not self._left or number % self._step:
            return
        self._left -= 1
        time.sleep(self._rng.uniform(0, 0.01))
        if self._rng.random() < self._share:
            # The first machine holds the cluster's own books; without it there is no cluster.
            victim = self._rng.choice(sorted(self._machines.worker_nodes, key=lambda node: node.node_id))
            self._machines.remove_node(victim, allow_graceful=False)
            _add_machine(self._machines)
            self.killed["machines"] += 1
            return
        try:
            os.kill(int(row.values["pid"].number or 0), signal.SIGKILL)
            self.killed["workers"] += 1
        except ProcessLookupError:
            self.killed["workers that were gone already"] += 1


def _account(units: Sequence[Unit], rows: Sequence[Row]) -> dict[str, int]:
    seen = Counter(row.key for row in rows)
    failed = {row.key.image_id for row in rows if row.error is not None}
    poisonous = {unit.image_id for unit in units if unit.image_id.startswith("kills")}
    return {
        "rows": len(rows),
        "lost": len({unit.tasks[0].key for unit in units} - set(seen)),
        "doubled": sum(n > 1 for n in seen.values()),
        "blamed on the wrong image": len(failed - poisonous),
        "poisonous images that were found": len(failed & poisonous),
        "poisonous images": len(poisonous),
    }


def _cost(name: str, executor: Executor, units: Sequence[Unit]) -> None:
    """CPU of this process and of the workers for each row, from the first row of each worker to its last."""
    first: dict[float | None, float] = {}
    last: dict[float | None, float] = {}
    rows, start = 0, 0.0
    for row in executor.measure(units, _OPTIONS):
        pid, cpu = row.values["pid"].number, float(row.values["cpu"].number or 0)
        start = start or time.process_time()
        first.setdefault(pid, cpu)
        last[pid] = cpu
        rows += 1
    here = time.process_time() - start
    there = sum(last[pid] - first[pid] for pid in last)
    print(f"{name}: {1000 * here / rows:.2f} ms here and {1000 * there / rows:.2f} ms in the worker for each row, CPU")


def main() -> None:
    """Run it and print the account."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--machines", type=int, default=2)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--share", type=float, default=0.1, help="Share of the kills that take a whole machine.")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    os.environ.update(SETTINGS)
    import ray
    from ray.cluster_utils import Cluster as Machines

    machines = Machines()
    for _ in range(asked.machines):
        _add_machine(machines)
    ray.init(machines.address, log_to_driver=False, logging_level=logging.ERROR)
    executor = Cluster(machines.address, measurer=Light)
    rng = random.Random(asked.seed)  # noqa: S311 - nothing secret
    if not asked.kills:
        units = [unit for unit in _units(asked.rows, rng) if not unit.image_id.startswith("kills")]
        _cost(f"cluster, {asked.machines} workers", executor, units)
        _cost(f"processes, {asked.machines} workers", Processes(asked.machines, measurer=Light), units)
        return
    units = _units(asked.rows, rng)
    killer, rows, start = Killer(machines, rng, asked.kills, asked.rows, asked.share), [], time.monotonic()
    for row in executor.measure(units, _OPTIONS):
        rows.append(row)
        killer.saw(row, len(rows))
    print("killed:", ", ".join(f"{n} {what}" for what, n in sorted(killer.killed.items())))
    for what, number in _account(units, rows).items():
        print(f"{what}: {number}")
    print(f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
