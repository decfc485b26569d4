"""Progress on the terminal: a bar with an estimate, or a line now and then where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from duskbench.benchmarks.runner import RunSummary

_T = TypeVar("_T")
_SECONDS_BETWEEN_LINES = 15.0


class Bar:
    """One bar of `total` steps; off a terminal, a line every fifteen seconds instead."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="red"),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, tuple[float, int]] = {}
        self._last_line = time.monotonic()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def show(self, what: str, done: int, total: int, note: str = "") -> None:
        """Move the bar named `what` to `done` of `total`."""
        if what not in self._tasks:
            # Not before there is something to show: a question cannot be answered under a moving bar.
            self._bar.start()
            self._tasks[what] = self._bar.add_task(what, total=total, note=note)
            self._started[what] = (time.monotonic(), done)
        self._bar.update(self._tasks[what], completed=done, total=total, note=note)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._last_line > _SECONDS_BETWEEN_LINES:
            self._last_line = now
            start, first = self._started[what]
            left = (now - start) / max(1, done - first) * (total - done)
            self._console.print(f"{what}: {done}/{total}, about {left:.0f} s left {note}".rstrip())


class RunProgress:
    """What a run reports while it goes on; this one is silent, the command line's draws a bar."""

    def reading(self, done: int, total: int) -> None:
        """`done` of `total` images are parsed and hashed."""

    def planned(self, summary: RunSummary) -> None:
        """The plan stands: how many rows there will be and how many are there already."""

    def measured(self, summary: RunSummary) -> None:
        """One more row is stored."""


class RichProgress(RunProgress):
    """A benchmark run's progress."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Bar(console)

    def __enter__(self) -> RichProgress:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__()

    def reading(self, done: int, total: int) -> None:
        """Show how many annotations are read."""
        self._bar.show("Reading the data set", done, total)

    def planned(self, summary: RunSummary) -> None:
        """Say what is there already and what cannot be had."""
        if summary.reused:
            self._console.print(f"{summary.reused} of {summary.total} rows are there already.")
        if summary.missing:
            self._console.print(f"{len(summary.missing)} images of the split are not in the tree.", style="yellow")
        for enhancer in summary.broken:
            self._console.print(f"{enhancer.label} cannot be built and is left out: {enhancer.error}", style="yellow")

    def measured(self, summary: RunSummary) -> None:
        """Move the bar."""
        note = f"{len(summary.failures)} failed" if summary.failures else ""
        self._bar.show("Measuring", summary.reused + summary.measured, summary.total, note)


def track(console: Console, what: str) -> Callable[[list[_T]], Iterable[_T]]:
    """A function that passes a list's elements through and shows how far they are."""

    def through(items: list[_T]) -> Iterator[_T]:
        with Bar(console) as bar:
            for number, item in enumerate(items):
                yield item
                bar.show(what, number + 1, len(items))

    return through
