"""One night at a time on one history."""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from duskbench.data_tools.errors import ConfigError


@contextmanager
def only_one(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file; the system lets go of it whenever and however this process ends.

    A second night is refused and does not wait: nights that measure at the same time disturb each other's times, and
    nights that queue up behind one that hangs are never looked at.

    Args:
        path: The file that is protected; the lock is `<name>.lock` beside it and stays there, empty of meaning.
        what: What is protected, in words.

    Raises:
        ConfigError: Another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f"{path.name}.lock")
    with file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise ConfigError(
                f"Another night is running on this {what}.",
                where=path,
                got=lock.read().strip() or "it does not say which",
                todo="wait until it ends, or give this one another --history and --out",
            ) from error
        lock.truncate(0)
        lock.write(
            f"process {os.getpid()} on {platform.node()}, since {datetime.now(UTC).isoformat(timespec='seconds')}\n"
        )
        lock.flush()
        yield
