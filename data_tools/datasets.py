"""One way to open any data set: the readers by name, how a layout is recognised, which images of it to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from duskbench.data_tools.classes import SPLITS
from duskbench.data_tools.errors import DataError, UnknownNameError
from duskbench.data_tools.folder import annotation_traces
from duskbench.data_tools.hosted_readers import HostedDataset, recognises
from duskbench.data_tools.ids import read_names
from duskbench.data_tools.readers import build_reader
from duskbench.data_tools.records import Dataset
from duskbench.data_tools.registry import Entry, Registry
from duskbench.data_tools.specs import parse_spec

_AUTO = "auto"
_FOLDER = "folder"
# Asked in this order; a plain folder is what is left.
DATASETS = Registry(
    "data set",
    {
        "exdark": Entry("duskbench.data_tools.exdark:ExDark", "ExDark"),
        "voc": Entry("duskbench.data_tools.voc:VOC", "PASCAL VOC"),
        "nod": Entry("duskbench.data_tools.nod:NOD", "NOD"),
        "coco": Entry("duskbench.data_tools.coco:COCO", "COCO JSON"),
        "darkface": Entry("duskbench.data_tools.darkface:DarkFace", "DARK FACE"),
        _FOLDER: Entry("duskbench.data_tools.folder:ImageFolder", "Folder of images"),
    },
)


def open_dataset(
    root: str | Path, *, layout: str = _AUTO, split: str | Path | Sequence[str] = "test", **options: Any
) -> Dataset:
    """Open a data set.

    Args:
        root: Its folder.
        layout: How it is laid out: a name of `DATASETS`, a name that an installed package brings (entry point group
            `duskbench.datasets`), `file.py:Class`, `package.module:Class`, each with `(option=value)` if wanted; or
            `auto`, to recognise it by what the folder holds.
        split: `test`, `val`, `train`, `all`, or whatever else the layout has; a text file of image ids, one a line (see
            `ids.numbered_names`); or the ids themselves. A layout without splits is taken whole for `test` and `all`.
        options: Further arguments of the reader: `year`, `box_origin`, ...

    Returns:
        The images, in order; annotations are read when they are asked for. A reader that is not duskbench's own runs in
        a process of its own; see `duskbench.data_tools.host`.

    Raises:
        DataError: No such folder, not what a data set of this layout needs, or annotations of no known layout.
        UnknownNameError: No such layout, split, id or option; with the nearest names and the list.
        ConfigError: What `layout` names is no reader of data sets.
    """
    return _open(Path(root), layout, split, options)[1]


def open_for_checking(root: str | Path, layout: str = _AUTO, **options: Any) -> tuple[str, Dataset]:
    """Open a whole data set and keep what is wrong with its lists in `faults`, where its reader can.

    Returns:
        The layout, and the data set; see `open_dataset`.
    """
    return _open(Path(root), layout, "all", options, tolerant=True)


def _open(
    root: Path, layout: str, split: str | Path | Sequence[str], options: Mapping[str, Any], **offered: Any
) -> tuple[str, Dataset]:
    if not root.is_dir():
        raise DataError(
            "No such data set folder.",
            where=root,
            expected="a folder",
            got="a file" if root.exists() else "nothing",
            todo="name another; `duskbench data fetch` downloads real sets, `duskbench data miniature` renders one",
        )
    spec, given = parse_spec(layout)
    chosen = detect_layout(root) if spec == _AUTO else spec
    wanted = _wanted(split)
    name, options = (wanted if isinstance(wanted, str) else None), {**given, **options}
    if _is_foreign(chosen):
        dataset: Dataset = HostedDataset(chosen, root, name, options, **offered)
    else:
        dataset = build_reader(DATASETS.load(chosen), chosen, root, name, options, **offered)
    if isinstance(wanted, Path):
        dataset.select(read_names(wanted, dataset.selectable))
    elif not isinstance(wanted, str):
        dataset.select(wanted)
    return chosen, dataset


def recognised_layout(root: Path) -> str | None:
    """The name of the first reader that recognises a folder."""
    for name in (each for each in DATASETS if each != _FOLDER):
        if DATASETS.load(name).detects(root):
            return name
    installed = (each.name for each in DATASETS.installed() if each.clash is None)
    return next((name for name in installed if recognises(name, root)), None)


def detect_layout(root: Path) -> str:
    """The name of the first reader that recognises a folder; `folder` for images without annotations.

    Raises:
        DataError: The folder holds annotations, and no reader knows them.
    """
    recognised = recognised_layout(root)
    if recognised is not None:
        return recognised
    traces = annotation_traces(root)
    if traces:
        # Read as a plain folder, it would run without its annotations and say nothing.
        raise DataError(
            "The folder holds annotations of no layout that is known.",
            where=root,
            expected="Annotations beside JPEGImages (VOC); imageclasslist.txt beside ExDark and ExDark_Annno; "
            f"or another of {', '.join(DATASETS)}, as docs/data-sets.md has them",
            got="; ".join(traces),
            todo="complete or rearrange it, name its reader (--layout file.py:Class), "
            "or take it as images without boxes: --layout folder (layout='folder')",
        )
    return _FOLDER


def _is_foreign(layout: str) -> bool:
    names = [*DATASETS, *(each.name for each in DATASETS.installed())]
    if ":" not in layout and layout not in names:
        raise UnknownNameError("layout", layout, [_AUTO, *names])
    return DATASETS.is_foreign(layout)


def _wanted(split: str | Path | Sequence[str]) -> str | Path | Sequence[str]:
    """The name of a split, a file of ids, or ids."""
    if isinstance(split, str) and split in (*SPLITS, "trainval", "all"):
        return split
    if isinstance(split, str | Path):
        return Path(split) if Path(split).is_file() else str(split)
    return split


def reader_options(layout: str = _AUTO) -> list[str] | None:
    """The options that the reader of a layout takes; for `auto`, those of all registered ones.

    Returns:
        Their names; None for a reader that is not duskbench's own, whose code is not asked before it is opened.

    Raises:
        UnknownNameError: There is no such layout.
    """
    spec, _ = parse_spec(layout)
    if spec != _AUTO and _is_foreign(spec):
        return None
    taken = {
        key for name in (DATASETS if spec == _AUTO else [spec]) for key in signature(DATASETS.load(name)).parameters
    }
    return sorted(taken - {"root", "tolerant"})


def missing(dataset: Dataset) -> list[str]:
    """List the ids whose image file is absent, in the data set's order; no annotation is read."""
    return [image_id for image_id in dataset.ids if not dataset.image_path(image_id).is_file()]
