"""Image ids, and lists of them as files have it: one rule for what a name may be, one reader of "a list of names"."""

from __future__ import annotations

import difflib
import json
import os
import re
import unicodedata
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from pathlib import Path, PurePosixPath

from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.data_tools.file_states import folded
from duskbench.data_tools.files import open_file
from duskbench.data_tools.images import IMAGE_SUFFIXES

# Most ids by far: one part, nothing in it that a path could be made of.
_PLAIN = re.compile(r"[^/\\:\x00-\x1f\x7f\ud800-\udfff]{1,60}")
_COMMENT = re.compile(r"(?:^|\s)#.*")


class UnknownIdError(UnknownNameError):
    """An image id that a data set does not list; names the nearest ids and the range instead of thousands of ids."""

    def __init__(self, image_id: str, known: Collection[str], *, where: str | Path | None = None) -> None:
        near = [one for one in known if folded(one) == folded(image_id)]
        near = near or difflib.get_close_matches(image_id, known, n=3, cutoff=0.6)
        if not known:
            expected = "an image id; none is listed"
        elif len(known) <= 20:
            expected = f"one of {', '.join(sorted(known))}"
        else:
            expected = f"one of {len(known)} ids from {min(known)!r} to {max(known)!r}"
        ConfigError.__init__(
            self,
            f"Unknown image id {image_id[:200]!r}.",
            where=where,
            expected=expected,
            got=repr(image_id[:200]),
            todo=f"did you mean {' or '.join(near)}?" if near else None,
        )


def path_parts(name: str) -> tuple[str, ...] | None:
    """Split a relative path, or return None if it could lead out of the folder it is meant for.

    Backslashes separate too, as on Windows. None for an absolute path, a drive letter, `..`, a control character, a
    name that is not valid UTF-8, and a part of more than 255 bytes.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    parts = tuple(part for part in path.parts if part != ".")
    has_drive = bool(parts) and len(parts[0]) >= 2 and parts[0][1] == ":"
    unsafe = (
        path.is_absolute()
        or has_drive
        or ".." in parts
        or any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 or ord(character) == 127 for character in name)
        or any(len(os.fsencode(part)) > 255 for part in parts)
    )
    return None if unsafe else parts


def check_id(image_id: str, *, where: str | Path) -> str:
    """Return an image id, refusing what is no name of a file in the data set's folder or below it.

    Raises:
        DataError: It could lead out of the folder, or is not valid UTF-8.
    """
    if (_PLAIN.fullmatch(image_id) and image_id not in (".", "..")) or path_parts(image_id):
        return image_id
    raise DataError(
        "An image id is not a safe file name.",
        where=where,
        expected="a name, or a relative path without `..`, of valid UTF-8 without control characters",
        got=printable(repr(image_id[:300])),
        todo="rename the file, or correct the list that names it",
    )


def printable(text: str) -> str:
    """Text that any output takes: bytes of a file name that are not UTF-8 are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def shown(names: Iterable[object], most: int = 5) -> str:
    """Names with commas between them, as an error has them: of more than so many the first, and how many more."""
    each = list(map(str, names))
    return ", ".join(each[:most]) + (f" and {len(each) - most} more" if len(each) > most else "")


def stem(file_name: str) -> str:
    """Remove an image file's extension, and nothing else: `2015_00001.png` -> `2015_00001`, `a.v2` stays."""
    path = PurePosixPath(file_name)
    return str(path.with_suffix("")) if path.suffix.lower() in IMAGE_SUFFIXES else file_name


def bare_id(name: str) -> str:
    """What an image id is without quotes, with `/` between folders, and without an extension of image or annotation."""
    bare = name.strip().strip("\"'").replace("\\", "/").removeprefix("./")
    return bare[:-4] if bare.lower().endswith(".xml") else stem(bare)


def _spellings(name: str) -> Iterator[str]:
    r"""What a name may stand for, from the most to the least literal: as it is, as a bare id, without folders.

    A list from elsewhere names `a.jpg`, `a.xml`, `JPEGImages/a.jpg`, `/data/VOC2007/JPEGImages/a.jpg`,
    `C:\data\a.jpg` or `"a.jpg"`.
    """
    yield name
    parts = PurePosixPath(bare_id(name)).parts
    if ".." not in parts:
        yield from ("/".join(parts[first:]) for first in range(len(parts)))


def find_id(name: str, known: Container[str]) -> str | None:
    """The known id that a name from a list means, given with or without extension, folders and quotes; else None."""
    return next((form for spelling in _spellings(name) for form in forms(spelling) if form in known), None)


def forms(name: str) -> tuple[str, ...]:
    """A name as it is, and in both forms of Unicode: macOS and what was unpacked there write é as two characters."""
    if name.isascii():
        return (name,)
    return tuple(dict.fromkeys((name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))))


def as_known(name: str, known: Container[str]) -> str:
    """The name in the form of Unicode in which it is known; as it is where it is in none."""
    return next((form for form in forms(name) if form in known), name)


def resolve(image_id: str, known: Collection[str], *, where: str | Path | None = None) -> str:
    """Return the known id that a name means; see `find_id`.

    Raises:
        UnknownIdError: There is no such id.
    """
    found = find_id(image_id, known)
    if found is None:
        raise UnknownIdError(image_id, known, where=where)
    return found


def resolve_all(image_ids: Iterable[str], known: Collection[str], *, where: str | Path | None = None) -> list[str]:
    """Resolve many ids, in the order given; an id given twice is an error, for it would be counted twice.

    A name without folders means the one id of that name, whatever its folders.

    Raises:
        UnknownIdError: There is no such id.
        DataError: An id occurs twice.
    """
    seen: dict[str, None] = {}
    by_name: dict[str, list[str]] = {}
    for one in known:
        by_name.setdefault(one.rpartition("/")[2], []).append(one)
    for image_id in image_ids:
        found = find_id(image_id, known)
        if found is None:
            named = by_name.get(as_known(bare_id(image_id), by_name), [])
            if len(named) != 1:
                raise UnknownIdError(image_id, known, where=where)
            [found] = named
        if found in seen:
            raise DataError("An image id is given twice.", where=where, got=image_id)
        seen[found] = None
    return list(seen)


def numbered_names(path: str | Path, known: Callable[[], Container[str]] = frozenset) -> list[tuple[int, str]]:
    """Read a text file of names, one a line, with their line numbers from 1.

    A byte order mark, any line ends, blanks around a name, quotes around it, blank lines, and comments (`#` at the
    start of a line or behind a blank) are passed over. Blanks inside a name belong to it, and so does a `#` where the
    whole line is a known name.

    Args:
        path: The file.
        known: Gives the names that are known; asked only where a line has a comment.

    Raises:
        DataError: The file cannot be read as UTF-8 text.
    """
    names = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        name = _COMMENT.sub("", line).strip()
        if name != line.strip() and _is_name(line.strip(), known()):
            name = line.strip()
        if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'":
            name = name[1:-1].strip()
        if name:
            names.append((number, name))
    return names


def _is_name(line: str, known: Container[str]) -> bool:
    """Whether a line is a known name with every `#` of it, not a path at the end of a comment."""
    found = find_id(line, known)
    return found is not None and found.count("#") == line.count("#")


def read_names(path: str | Path, known: Callable[[], Container[str]] = frozenset) -> list[str]:
    """Read a text file of names, such as image ids or classes; see `numbered_names`.

    Raises:
        DataError: The file cannot be read as UTF-8 text, or holds no name.
    """
    names = [name for _, name in numbered_names(path, known)]
    if not names:
        raise DataError("The list holds no name.", where=path, expected="one name a line")
    return names


def read_text(path: str | Path) -> str:
    """Read a UTF-8 text file, with or without a byte order mark; or a UTF-16 one, as PowerShell writes lists.

    Raises:
        DataError: It cannot be read, or is neither.
    """
    try:
        with open_file(path) as file:
            data = file.read()
        return data.decode(json.detect_encoding(data))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("Cannot read the text file.", where=path, expected="UTF-8 text", got=str(error)) from error
