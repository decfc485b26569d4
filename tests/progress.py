"""Progress that a test looks at, and that can interrupt what reports to it."""

from __future__ import annotations

from collections.abc import Callable

from duskbench.data_tools.progress import Progress


class Seen(Progress):
    """Remembers what is reported; raises `error` once `done` fulfils `stop`."""

    def __init__(
        self, stop: Callable[[int], bool] = lambda done: False, error: type[BaseException] = KeyboardInterrupt
    ) -> None:
        self.updates: list[tuple[str, int, int | None]] = []
        self.messages: list[str] = []
        self._stop, self._error = stop, error

    def update(self, what: str, done: int, total: int | None, note: str = "") -> None:
        """Remember."""
        self.updates.append((what, done, total))
        if self._stop(done):
            raise self._error

    def message(self, text: str, *, warning: bool = False) -> None:
        """Remember."""
        self.messages.append(text)

    @property
    def counts(self) -> list[tuple[int, int | None]]:
        """(done, total) of each report."""
        return [(done, total) for _, done, total in self.updates]
