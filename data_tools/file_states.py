"""What is known of files without reading them: whether they are there, and whether they are what they were."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

# What can be opened like a file, and may never come to an end.
NEVER_ENDING = ("a pipe", "a socket", "a device")


def is_there(path: str | Path) -> bool:
    """Whether there is such a file or folder. Any text may be asked about, also one that none can be called by."""
    try:
        return Path(path).exists()
    except OSError:
        # Too long for a name.
        return False


def is_file(path: str | Path) -> bool:
    """Whether there is such a file; of any text, as `is_there`."""
    return is_there(path) and Path(path).is_file()


def other_than_file(path: Path) -> str | None:
    """What lies under a name that is no file, in words; None for a file, and where there is nothing at all."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return "a link that leads nowhere" if path.is_symlink() else None
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return None if stat.S_ISREG(mode) else next((kind for is_kind, kind in kinds if is_kind(mode)), "a device")


def folded(name: str) -> str:
    """What names that differ in case or Unicode form only have in common."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def names_by_stem(folder: Path) -> dict[str, list[str]]:
    """Folded stem -> the names in a folder that have it; none where it cannot be listed."""
    by_stem: dict[str, list[str]] = {}
    with contextlib.suppress(OSError):
        for each in sorted(folder.iterdir()):
            by_stem.setdefault(folded(each.stem), []).append(each.name)
    return by_stem


def others_like(path: Path, listed: Callable[[Path], Mapping[str, Sequence[str]]] = names_by_stem) -> str:
    """The names in a file's folder that are its own but for case, Unicode form or extension, with commas between."""
    return ", ".join(name for name in listed(path.parent).get(folded(path.stem), ()) if name != path.name)


def hint_at_others(path: str | Path) -> str | None:
    """What to do where others are in place of a file that is not there, see `others_like`."""
    others = others_like(Path(path))
    return f"{others} is there: rename it, or correct what names it" if others else None


def files_below(folder: Path, *, without: str | None = None) -> Iterator[Path]:
    """All files below a folder, also behind links; hidden ones and compiled code aside, which do not count.

    Args:
        folder: Where to look.
        without: Leave out folders that hold a file of this name.
    """
    entered: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in entered or without in files:
            # A link may lead in a circle.
            folders.clear()
            continue
        entered.add(real)
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        yield from (path for name in files if not name.startswith(".") and is_file(path := Path(place, name)))


def stamp(state: os.stat_result) -> int:
    """A number that changes whenever a file is written or replaced.

    Not its time of change alone: copies and archives keep that (`cp -p`, `rsync -t`, `tar`). The time that the system
    notes by itself is another one then, or the file is another one on its disk.

    Returns:
        63 bits.
    """
    noted = f"{state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}"
    return int.from_bytes(hashlib.sha256(noted.encode()).digest()[:8]) >> 1


def time_of_change(state: os.stat_result) -> int:
    """When what a file holds was changed, in nanoseconds; copies and hard links keep that, unlike its `stamp`."""
    return state.st_mtime_ns


def states_sha256(paths: Sequence[Path], *, mark: Callable[[os.stat_result], int] | None = None) -> str:
    """Hash the names, sizes and stamps of all files below some folders; nothing is opened.

    A path that is a file counts as itself, one that does not exist as empty. Hidden files, which half-written ones are,
    do not count, nor does compiled code.

    Args:
        paths: The folders and files.
        mark: What counts besides name and size, such as `time_of_change`; None for `stamp`.

    Returns:
        64 hexadecimal digits.
    """
    rows = []
    for number, path in enumerate(paths):
        files = {path.name: path} if path.is_file() else {f.relative_to(path).as_posix(): f for f in files_below(path)}
        states = {name: file.stat() for name, file in files.items()}
        rows += [[number, name, states[name].st_size, (mark or stamp)(states[name])] for name in sorted(states)]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
