"""The files and folders that arguments name, and what a folder holds, hashed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from duskbench.data_tools.file_states import files_below, is_there
from duskbench.data_tools.files import file_sha256

# Up to so much the content of a folder's files counts, above that their names, sizes and times: it is read by each
# process that a plug-in runs in.
_MOST_FILES, _MOST_BYTES = 1000, 2**30
# Words in the name of an argument whose folder is written to.
_WRITTEN = frozenset(
    {"cache", "debug", "dump", "log", "logs", "out", "output", "outputs", "save", "temp", "tmp", "work"}
)
_RESULTS = "results.sqlite"


def named_paths(arguments: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Every text and path among arguments, in lists and dicts as well, as a path; `~` is the home folder.

    Yields:
        The argument, as in `weights`, `files[0]` or `parts.decoder`, and the path. It need not be there.
    """
    for name, value in arguments.items():
        yield from _paths_in(value, str(name))


def _paths_in(value: Any, key: str) -> Iterator[tuple[str, Path]]:
    if isinstance(value, str | Path) and str(value):
        yield key, _expanded(Path(value))
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _paths_in(each, f"{key}.{name}")
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _paths_in(each, f"{key}[{number}]")


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        # No such user: `~name` is plain text.
        return path


def is_read_folder(argument: str, path: Path, current: Path | None = None) -> bool:
    """Whether an argument names a folder that code may read from.

    The current folder is none, nor what holds it: that is where everything lies, results too. Nor is one whose argument
    says that it is written to, as `out_dir`, `cache` or `log_folder` do: it changes during a run.

    Args:
        argument: Its name.
        path: The folder.
        current: Where the code runs; None for the current folder, which counts in any case.
    """
    if not is_there(path) or not path.is_dir() or _WRITTEN & set(re.findall("[a-z]+", argument.lower())):
        return False
    return not any(each.resolve().is_relative_to(path.resolve()) for each in (Path.cwd(), current or Path()))


def folder_sha256(folder: Path) -> str:
    """Hash what the files below a folder hold, with their names; of many or large ones their sizes and times instead.

    Hidden files, compiled code and folders with the results of a run do not count.

    Returns:
        64 hexadecimal digits.
    """
    files = {path.relative_to(folder).as_posix(): path for path in files_below(folder, without=_RESULTS)}
    states = {name: path.stat() for name, path in files.items()}
    rows: list[list[Any]] = [[name, state.st_size, state.st_mtime_ns] for name, state in states.items()]
    if len(rows) <= _MOST_FILES and sum(state.st_size for state in states.values()) <= _MOST_BYTES:
        # What may not be read counts by the rest of what is known of it.
        with contextlib.suppress(PermissionError):
            rows = [[name, file_sha256(path)] for name, path in files.items()]
    return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()
