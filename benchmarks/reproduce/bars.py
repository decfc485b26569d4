"""A plan's progress on the terminal: a line for each step, a bar while it runs."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.text import Text

from duskbench.benchmarks.progress import Bar, RichProgress, RunProgress
from duskbench.benchmarks.reproduce.steps import Reporter, State, Step


class BarReporter(Reporter):
    """Announces steps on a console; used as a context, so that no bar outlives an error or Ctrl-C."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Bar | None = None
        self._run: RichProgress | None = None

    def __enter__(self) -> BarReporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    @property
    def run_progress(self) -> RunProgress:
        """The benchmark's own bars."""
        if self._run is None:
            self._run = RichProgress(self._console)
        return self._run

    def begin(self, step: Step, number: int, total: int, state: State) -> None:
        """Announce a step."""
        self._clear()
        style = "dim" if state is State.DONE else "bold"
        said = "" if state is State.TODO else f" ({state})"
        self._console.print(Text(f"[{number}/{total}] {step.name}{said}: {step.what}", style=style))

    def note(self, text: str) -> None:
        """Print a line."""
        self._clear()
        self._console.print(Text(f"  {text}"))

    def progress(self, what: str, done: int, total: int) -> None:
        """Move the bar."""
        if self._bar is None:
            self._bar = Bar(self._console)
        self._bar.show(what, done, total)

    def end(self, step: Step, seconds: float) -> None:
        """Take the bar away."""
        self._clear()

    def _clear(self) -> None:
        for bar in (self._bar, self._run):
            if bar is not None:
                bar.__exit__(None, None, None)
        self._bar = self._run = None
