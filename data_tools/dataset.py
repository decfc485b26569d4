"""One way to open any data set: what layout a folder has, which images of it to take, which of them are missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from duskbench.data_tools.classes import SPLITS
from duskbench.data_tools.errors import DataError, UnknownNameError
from duskbench.data_tools.exdark import ANNOTATION_FOLDERS, CLASS_LISTS, ExDark
from duskbench.data_tools.folder import ImageFolder
from duskbench.data_tools.ids import read_id_list
from duskbench.data_tools.records import Dataset
from duskbench.data_tools.voc import VOC, voc_trees

Layout = Literal["exdark", "voc", "folder"]
LAYOUTS: tuple[str, ...] = ("auto", "exdark", "voc", "folder")
_SPLIT_NAMES: frozenset[str] = frozenset({*SPLITS, "trainval", "all"})


@runtime_checkable
class HasImagePath(Protocol):
    """A data set that knows an image's path without parsing its annotation."""

    def image_path(self, image_id: str) -> Path:
        """Where the image lies, present or not."""
        ...


def open_dataset(
    root: str | Path,
    *,
    layout: str = "auto",
    split: str | Path | Sequence[str] = "test",
    year: int | str | None = None,
    box_origin: int = 1,
) -> Dataset:
    """Open an ExDark tree, a VOC tree or a folder of images.

    Args:
        root: The folder.
        layout: `exdark`, `voc`, `folder`, or `auto` to tell it from what the folder holds.
        split: `test`, `val`, `train`, `trainval` (VOC) or `all`; a text file of image ids, one a line, with or
            without endings, `#` for comments; or the ids themselves. A plain folder has no splits: `test` and `all`
            both mean all of it.
        year: Which VOC year, where the folder holds several.
        box_origin: First pixel of ExDark's boxes; see `exdark.ExDark`.

    Returns:
        An ordered set of images whose annotations are parsed when asked for.

    Raises:
        DataError: No such folder, or not what a data set of this layout needs.
        UnknownNameError: No such layout, split or id; with the nearest names and the list.
    """
    root = Path(root)
    if layout not in LAYOUTS:
        raise UnknownNameError("layout", layout, LAYOUTS)
    if not root.is_dir():
        raise DataError(
            "No such data set folder.",
            where=root,
            expected="a folder",
            got="a file" if root.exists() else "nothing",
            todo="name another; `duskbench data fetch` downloads real sets, `duskbench data miniature` renders one",
        )
    chosen = detect_layout(root) if layout == "auto" else layout
    wanted = _wanted(split)
    if chosen == "exdark":
        return ExDark(root, wanted, box_origin=box_origin)
    if chosen == "voc":
        return VOC(root, year, wanted)
    if not isinstance(wanted, str):
        return ImageFolder(root, wanted)
    if wanted not in ("test", "all"):
        raise UnknownNameError("split of a plain folder", wanted, ["all", "test"], where=root)
    return ImageFolder(root)


def detect_layout(root: Path) -> Layout:
    """Tell a folder's layout: ExDark by imageclasslist.txt, VOC by Annotations, else plain images.

    Raises:
        DataError: Looks like ExDark or VOC, but lacks what makes it readable as such; or holds no image at all.
    """
    if any((root / name).is_file() for name in CLASS_LISTS):
        return "exdark"
    if voc_trees(root):
        return "voc"
    # Read as a plain folder, such a tree would run without its annotation and say nothing.
    halves = [name for name in ("ExDark", *ANNOTATION_FOLDERS, "Annotations") if (root / name).is_dir()]
    if halves:
        raise DataError(
            "Part of a data set is missing.",
            where=root,
            expected="imageclasslist.txt beside ExDark and ExDark_Annno; JPEGImages beside Annotations",
            got=f"{' and '.join(halves)} without them",
            todo="complete the folder, or say `layout='folder'` to take it as plain images",
        )
    return "folder"


def _wanted(split: str | Path | Sequence[str]) -> str | Sequence[str]:
    if isinstance(split, str) and split in _SPLIT_NAMES:
        return split
    if isinstance(split, str | Path):
        path = Path(split)
        return read_id_list(path) if path.is_file() else str(split)
    return split


def missing(dataset: Dataset) -> list[str]:
    """List the ids whose image file is absent, in the data set's order; annotations are read only if they must."""
    if isinstance(dataset, HasImagePath):
        return [image_id for image_id in dataset.ids if not dataset.image_path(image_id).is_file()]
    return [image_id for image_id in dataset.ids if not dataset.record(image_id).path.is_file()]
