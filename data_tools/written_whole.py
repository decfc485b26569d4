"""Text files that are written bit by bit and appear under their name once they are complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from duskbench.data_tools.files import temporary_beside


@contextmanager
def written_whole(path: Path) -> Iterator[IO[str]]:
    """A UTF-8 file to write to, line ends as they are written; what is there stays if the writing fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
