"""A measurer without models: what happens to an image is written in its id."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from duskbench.benchmarks.measure import MeasureOptions
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import EnhancerEntry
from duskbench.benchmarks.rows import Key, Measured, Row
from duskbench.benchmarks.units import ImageFile, Task, Unit
from duskbench.data_tools.errors import ConfigError

OPTIONS = MeasureOptions(
    enhancers=(EnhancerEntry("Input", "input", "i"), EnhancerEntry("Gamma", "gamma", "g", batch_size=4)),
    detectors=(),
    metrics=(),
    protocol=Protocol(),
    decoder="planned",
    device="cpu",
    batch_size=1,
)


def units(*ids: str, folder: Path = Path("data")) -> list[Unit]:
    """Units of two rows each; `once` in an id kills one worker, `kills` every one, `fails` is a fault of duskbench."""
    return [
        Unit(i, ImageFile(folder / i, ""), tuple(Task(n, Key(i, "c", e), frozenset()) for n, e in enumerate("ig")))
        for i in ids
    ]


class FakeMeasurer:
    """Rows hold the process and the machine that measured them."""

    def __init__(self, options: MeasureOptions) -> None:
        self.options = options

    def load(self) -> None:
        """As the real one, with something to compare."""
        if self.options.decoder != "planned":
            raise ConfigError("Not what was planned.", expected=self.options.decoder, got="planned")

    def measure(self, units: Sequence[Unit]) -> Iterator[Row]:
        """Take two milliseconds for each image."""
        for unit in units:
            time.sleep(0.002)
            if "kills" in unit.image_id or ("once" in unit.image_id and _is_first(unit.file.path)):
                os.kill(os.getpid(), signal.SIGKILL)
            if "fails" in unit.image_id:
                raise ZeroDivisionError("a fault of ours")
            made = {
                "pid": Measured(os.getpid()),
                "machine": Measured(reason=_machine()),
                "device": Measured(reason=self.options.device),
                "bytes": Measured(None if unit.file.data is None else len(unit.file.data)),
            }
            yield from (Row(task.key, values=made) for task in unit.tasks)


class DiesAtOnce(FakeMeasurer):
    """As where memory is too little for the models."""

    def __init__(self, options: MeasureOptions) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def _is_first(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _machine() -> str:
    """The machine's id in the cluster."""
    ray = sys.modules.get("ray")
    return str(ray.get_runtime_context().get_node_id()) if ray is not None and ray.is_initialized() else "this one"


# More than any test waits for.
ENDLESS = units(*map(str, range(20_000)))


def pid(row: Row) -> int:
    """The process that measured it."""
    return int(row.values["pid"].number or 0)


def until_all_work(measured: Iterator[Row], workers: int) -> list[Row]:
    """Rows until so many processes have made one: on a busy machine the first may be far ahead of the second."""
    rows: list[Row] = []
    while len({pid(row) for row in rows}) < workers:
        rows.append(next(measured))
    return rows
