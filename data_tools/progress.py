"""How far long work is, for whoever shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Progress:
    """What long work reports to; this one is silent, `duskbench.benchmarks.progress.RichProgress` shows it."""

    def update(self, what: str, done: int, total: int | None, note: str = "") -> None:
        """Report that `done` of `total` are done; `what` names the work, None stands for a total that is not known."""

    def message(self, text: str, *, warning: bool = False) -> None:
        """Report something that the user should read."""

    def track(self, what: str, items: Sequence[Item]) -> Iterator[Item]:
        """Pass items through, and report each once the next is asked for."""
        for number, item in enumerate(items):
            yield item
            self.update(what, number + 1, len(items))


SILENT = Progress()
