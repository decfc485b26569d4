"""A night from start to verdict: run, compare with the baseline, append to the history."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from duskbench.benchmarks.config import BenchmarkConfig
from duskbench.benchmarks.nightly.folder import NightFolder, open_night, prune
from duskbench.benchmarks.nightly.gate import Limits
from duskbench.benchmarks.nightly.history import History
from duskbench.benchmarks.nightly.kept import IMAGES, pack, pack_images
from duskbench.benchmarks.nightly.measuring import measure
from duskbench.benchmarks.nightly.night import Night
from duskbench.benchmarks.nightly.verdict import judge
from duskbench.benchmarks.progress import RunProgress
from duskbench.benchmarks.provenance import environment
from duskbench.benchmarks.runner import RunOptions
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.files import only_one


@dataclass(frozen=True)
class NightOptions:
    """How a night is run and judged.

    Attributes:
        history: The file of all nights.
        run: How to measure; `out` is the folder of the nights' results, each has one of its own there.
        limits: What is tolerated.
    """

    history: Path
    run: RunOptions
    limits: Limits = field(default_factory=Limits)


def run_night(
    config: BenchmarkConfig,
    options: NightOptions,
    write: Callable[[Night, Path], None],
    progress: RunProgress | None = None,
) -> Night:
    """Run a night, append it to the history, and write what is to be written of it; a cut night is taken up again.

    Killed while it measures, the same call measures the rest; killed behind that, it measures nothing, appends nothing
    and only writes.

    Args:
        config: What to measure.
        options: How, and what is tolerated.
        write: Writes reports of the night (it is in the history already), given its folder of results.
        progress: Told how far it is.

    Returns:
        The night as it is in the history.

    Raises:
        DuskbenchError: Nothing could be measured (no data set, no detector), the history is damaged, another night is
            running on it, or a file could not be written. The history is as it was.
    """
    out = options.run.out
    with _naming_what_failed(out), only_one(options.history, "history"), only_one(out / "nights", "folder"):
        history = History(options.history)
        nights = {night.id: night for night in history.nights(config.name)}
        folder = open_night(out, config.name, _made_with(options.run), nights)
        if folder.id not in nights:
            _measure_and_append(config, options, folder, history, progress)
            nights = {night.id: night for night in history.nights(config.name)}
        night = nights[folder.id]
        write(night, folder.path)
        folder.finish()
        prune(out, config.name, {night.id, *history.baseline(config.name).values()})
        return night


def _measure_and_append(
    config: BenchmarkConfig,
    options: NightOptions,
    folder: NightFolder,
    history: History,
    progress: RunProgress | None,
) -> None:
    measured = measure(config, replace(options.run, out=folder.path), progress)
    night, joins = judge(config, options.limits, folder, measured, history)
    evidence = {f"enhancer:{label}": pack(kept) for label, kept in measured.kept.items()}
    history.put(night, {IMAGES: pack_images(measured.images), **evidence}, joins=joins)


def accept_newest(config: str, path: Path) -> Night:
    """Make the newest night of a configuration its baseline; nothing is measured.

    Raises:
        ConfigError: There is no night, or another is running.
        DataError: There is no history, it is damaged, or cannot be written.
    """
    with _naming_what_failed(path), only_one(path, "history"):
        history = History(path, must_exist=True)
        nights = history.nights(config)
        if not nights:
            known = sorted({night.config for night in history.nights()})
            raise ConfigError(
                "There is no night to accept.",
                where=path,
                expected=f"a night of the configuration {config}",
                got=f"nights of {', '.join(known)}" if known else "an empty history",
                todo="run one first, look at it, then accept it",
            )
        history.accept(nights[-1])
        return nights[-1]


def _made_with(options: RunOptions) -> dict[str, Any]:
    """What the rows of a cut night must share with the rest of it."""
    made = environment(options.device)
    kept = {key: made[key] for key in ("packages", "python", "git", "device", "gpu")}
    return {**kept, "checkpoint": options.checkpoint}


@contextmanager
def _naming_what_failed(where: Path) -> Iterator[None]:
    """A full disk, a folder that cannot be written: an error of ours with what to do, and nothing earlier lost."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise DataError(
            "A file of the night could not be written or read.",
            where=getattr(error, "filename", None) or where,
            got=str(error),
            todo="make room on the disk or mend its permissions, then start the same command again: rows that were "
            "measured are not measured again, and the history is whole",
        ) from error
