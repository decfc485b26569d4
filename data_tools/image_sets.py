"""VOC's image sets: the lists in ImageSets/Main, read as other tools write them too, and written.

Source: VOC development kit documentation, section 4.1 (ground truth of the image sets).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from pathlib import Path

from duskbench.data_tools.files import write_text
from duskbench.data_tools.ids import bare_id, check_id, find_id, numbered_names
from duskbench.data_tools.records import ObjectAnnotation

IMAGE_SETS = "ImageSets/Main"


def read_image_set(
    path: str | Path, in_tree: Callable[[], Container[str]] = frozenset, marked_out: list[str] | None = None
) -> list[str]:
    """Read a file of ImageSets/Main: one id a line; of a class's file, the ids not marked -1.

    An id is the whole line unless its last word is a mark: 1, 0 or -1, in a file where every line has one or behind an
    id that the tree has. It may be given as a file name or a path, also a Windows one.

    Args:
        path: The file.
        in_tree: Gives the ids that the tree has files for; asked once, and only where a line needs it.
        marked_out: Gets the ids that are marked -1.

    Raises:
        DataError: The file cannot be read, or an id could lead out of the tree; says which line.
    """
    names = numbered_names(path, lambda: _Marked(in_tree()))
    marks = [_mark(name) for _, name in names]
    all_marked = None not in marks
    known: Container[str] | None = None
    ids = []
    for (number, name), mark in zip(names, marks, strict=True):
        if mark is None and _is_bare(name):
            ids.append(name)
            continue
        known = in_tree() if known is None else known
        found = find_id(name, known)
        if found is None and mark is not None:
            head = name.rsplit(maxsplit=1)[0]
            at = find_id(head, known)
            if mark == "-1" and (at is not None or all_marked):
                if marked_out is not None:
                    marked_out.append(at or head)
                continue
            found = at or (bare_id(head) if all_marked else None)
        ids.append(check_id(bare_id(name) if found is None else found, where=f"{path}:{number}"))
    return ids


class _Marked:
    """The ids of a tree, with or without a mark behind them."""

    def __init__(self, known: Container[str]) -> None:
        self.known = known

    def __contains__(self, name: object) -> bool:
        return name in self.known or (_mark(str(name)) is not None and str(name).rsplit(maxsplit=1)[0] in self.known)


def _mark(name: str) -> str | None:
    *head, last = name.rsplit(maxsplit=1)
    return last if head and last in ("1", "0", "-1") else None


def _is_bare(name: str) -> bool:
    return bare_id(name) == name and "/" not in name and name not in (".", "..")


def write_image_sets(
    root: str | Path,
    splits: Mapping[str, Sequence[str]],
    objects: Mapping[str, Iterable[ObjectAnnotation]],
    classes: Sequence[str],
) -> None:
    """Write ImageSets/Main: `<split>.txt` with the ids, and `<class>_<split>.txt` with each id's mark for every class.

    Args:
        root: The VOC tree.
        splits: Ids of each image set, in the order to write them.
        objects: Objects of each id.
        classes: Class names to write files for. The mark is 1 (there is one), 0 (only difficult ones) or -1 (none).

    Source: VOC development kit documentation, section 4.1 (ground truth of the image sets).
    """
    marks = {image_id: _class_marks(found) for image_id, found in objects.items()}
    for split, ids in splits.items():
        write_text(Path(root) / IMAGE_SETS / f"{split}.txt", "".join(f"{image_id}\n" for image_id in ids))
        for name in classes:
            rows = (f"{image_id} {marks.get(image_id, {}).get(name, -1):2d}\n" for image_id in ids)
            write_text(Path(root) / IMAGE_SETS / f"{name}_{split}.txt", "".join(rows))


def _class_marks(objects: Iterable[ObjectAnnotation]) -> dict[str, int]:
    marks: dict[str, int] = {}
    for found in objects:
        marks[found.name] = max(marks.get(found.name, 0), 0 if found.difficult else 1)
    return marks
