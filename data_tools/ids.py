"""Image ids: file names without ending, as every layout and every list of images spells them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath

from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.data_tools.images import IMAGE_SUFFIXES


class UnknownIdError(UnknownNameError):
    """An image id that a data set does not list; names the nearest ids and the range instead of thousands of ids."""

    def __init__(self, image_id: str, known: Collection[str], *, where: str | Path | None = None) -> None:
        near = difflib.get_close_matches(image_id, known, n=3, cutoff=0.6)
        if not known:
            expected = "an image id; none is listed"
        elif len(known) <= 20:
            expected = f"one of {', '.join(sorted(known))}"
        else:
            expected = f"one of {len(known)} ids from {min(known)!r} to {max(known)!r}"
        ConfigError.__init__(
            self,
            f"Unknown image id {image_id!r}.",
            where=where,
            expected=expected,
            got=repr(image_id),
            todo=f"did you mean {' or '.join(near)}?" if near else None,
        )


def stem(file_name: str) -> str:
    """Cut an image file's ending off, and nothing else: `2015_00001.png` -> `2015_00001`, `a.v2` stays."""
    path = PurePosixPath(file_name)
    return str(path.with_suffix("")) if path.suffix.lower() in IMAGE_SUFFIXES else file_name


def resolve(image_id: str, known: Collection[str], *, where: str | Path | None = None) -> str:
    """Return the listed id that `image_id`, given with or without an ending, stands for.

    Raises:
        UnknownIdError: No such id is listed.
    """
    if image_id in known:
        return image_id
    shortened = stem(image_id)
    if shortened in known:
        return shortened
    raise UnknownIdError(image_id, known, where=where)


def resolve_all(image_ids: Iterable[str], known: Collection[str], *, where: str | Path | None = None) -> list[str]:
    """Resolve many ids, in the order given; an id given twice is an error, for it would be counted twice.

    Raises:
        UnknownIdError: An id is not listed.
        DataError: An id occurs twice.
    """
    seen: dict[str, None] = {}
    for image_id in image_ids:
        found = resolve(image_id, known, where=where)
        if found in seen:
            raise DataError("An image id is given twice.", where=where, got=image_id)
        seen[found] = None
    return list(seen)


def read_id_list(path: str | Path) -> list[str]:
    """Read a text file of image ids: one a line, with or without ending; `#` starts a comment, blank lines are skipped.

    Raises:
        DataError: The file cannot be read as UTF-8 text or names no image.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("Cannot read the list of image ids.", where=path, got=str(error)) from error
    found = list(_uncommented(text))
    if not found:
        raise DataError("The list of image ids is empty.", where=path, expected="one image id or file name a line")
    return found


def _uncommented(text: str) -> Iterator[str]:
    for line in text.splitlines():
        content = line.split("#", maxsplit=1)[0].strip()
        if content:
            yield content
