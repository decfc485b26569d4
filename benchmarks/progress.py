"""Progress on a console: bars with an estimate of the time left, or a line now and then where there is no terminal."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from duskbench.data_tools.progress import SILENT, Progress

if TYPE_CHECKING:
    from duskbench.benchmarks.runner import RunSummary

_SECONDS_BETWEEN_LINES = 15.0


@dataclass
class _Stage:
    """Since when something goes on and from where, out of how many, and how far it is."""

    start: float
    first: int
    total: int | None
    done: int


class RichProgress(Progress):
    """Shows progress on a console; used as a context, so that no bar outlives an error or Ctrl-C.

    Args:
        console: Where to; where it is no terminal, a line every `seconds_between_lines` stands for the bars.
        seconds_between_lines: See `console`.
    """

    def __init__(self, console: Console, *, seconds_between_lines: float = _SECONDS_BETWEEN_LINES) -> None:
        self._console, self._interval = console, seconds_between_lines
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._stages: dict[str, _Stage] = {}
        self._last_line = time.monotonic()

    def __enter__(self) -> RichProgress:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop()

    def update(self, what: str, done: int, total: int | None, note: str = "") -> None:
        """Move the bar of `what`, or print a line if the last one is long enough ago."""
        if self._console.is_terminal:
            self._move_bar(what, done, total, note)
            return
        now = time.monotonic()
        stage = self._stages.get(what)
        if stage is None or total != stage.total or done < stage.done:
            # Something else of the same name: what was done before does not count for the speed.
            stage = self._stages[what] = _Stage(now, done, total, done)
        stage.done = done
        if now - self._last_line >= self._interval:
            self._last_line = now
            self._console.print(Text(_line(what, done, total, note, (now - stage.start) / max(1, done - stage.first))))

    def message(self, text: str, *, warning: bool = False) -> None:
        """Print a line, above the bars."""
        self._console.print(Text(text, style="yellow" if warning else ""))

    def _move_bar(self, what: str, done: int, total: int | None, note: str) -> None:
        if self._bars is None:
            # Not before there is something to show: a question cannot be answered under a moving bar.
            self._bars = _bars(self._console)
            self._bars.start()
        if what not in self._tasks:
            # What was done before does not count for the speed.
            self._tasks[what] = self._bars.add_task(what, total=total, completed=done, note=note)
        self._bars.update(self._tasks[what], completed=done, total=total, note=note)
        if self._bars.finished:
            self._stop()

    def _stop(self) -> None:
        """Leave the bars as they are; what comes next gets new ones."""
        if self._bars is not None:
            self._bars.stop()
        self._bars = None
        self._tasks.clear()


def _bars(console: Console) -> Bars:
    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="red", markup=False),
        console=console,
    )


def _line(what: str, done: int, total: int | None, note: str, seconds_each: float) -> str:
    if total is None:
        return f"{what}: {done} {note}".rstrip()
    left = seconds_each * (total - done)
    return f"{what}: {done} of {total}, {'about ' if left >= 1 else ''}{duration(left)} left {note}".rstrip()


def duration(seconds: float) -> str:
    """Seconds for people, as in `44 s`, `2.5 h`, `231 days`."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else "under 1 s"


class RunProgress:
    """What a benchmark run reports while it goes on, in terms of a run.

    Args:
        progress: Where it is shown.
    """

    def __init__(self, progress: Progress = SILENT) -> None:
        self._progress = progress

    def reading(self, done: int, total: int) -> None:
        """`done` of `total` images are parsed and hashed."""
        self._progress.update("Reading the data set", done, total)

    def costs(self, done: int, total: int) -> None:
        """The costs of `done` of `total` enhancers are measured."""
        self._progress.update("Measuring costs", done, total)

    def planned(self, summary: RunSummary) -> None:
        """The plan stands: how many rows there will be and how many are there already."""
        self._progress.message(_where(summary))
        if summary.reused:
            self._progress.message(f"{summary.reused} of {summary.total} rows are there already.")
        for remark in summary.remarks:
            self._progress.message(remark, warning=True)
        if summary.missing:
            self._progress.message(f"{len(summary.missing)} images of the split are not in the tree.", warning=True)
        for enhancer in summary.broken:
            self._progress.message(f"{enhancer.label} cannot be built and is left out: {enhancer.error}", warning=True)

    def warn(self, text: str) -> None:
        """Something that the user should know while it goes on."""
        self._progress.message(text, warning=True)

    def measured(self, summary: RunSummary) -> None:
        """One more row is stored."""
        note = f"{len(summary.failures)} failed" if summary.failures else ""
        self._progress.update("Measuring", summary.reused + summary.measured, summary.total, note)


def _where(summary: RunSummary) -> str:
    if summary.cluster is not None:
        workers = f"{summary.workers or 'as many workers as it has room for'}"
        return f"On the cluster {summary.cluster}, {summary.device}, {workers}{' workers' if summary.workers else ''}."
    return f"On {summary.device}, {'1 process' if summary.workers == 1 else f'{summary.workers} processes'}."
