"""Where in a user's folder ExDark and PASCAL VOC are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.exdark import (
    ANNOTATION_FOLDERS,
    CLASS_LISTS,
    IMAGE_FOLDERS,
    ExDark,
    find_class_list,
    find_folder,
)
from duskbench.data_tools.file_states import states_sha256, time_of_change
from duskbench.data_tools.image_sets import IMAGE_SETS
from duskbench.data_tools.voc import OFFICIAL_IMAGES, VOC, voc_trees

# Images that VOC gives for training; the detector of Table 2 is trained on the same.
_TRAINING_SETS = ("trainval", "train")


@dataclass(frozen=True)
class ReleasedExDark:
    """ExDark's folder."""

    root: Path
    name: ClassVar[str] = "ExDark"
    layout: ClassVar[str] = "exdark"

    @cached_property
    def dataset(self) -> ExDark:
        """All its images, of every split."""
        return ExDark(self.root, "all")

    @cached_property
    def images(self) -> list[Path]:
        """The image files that are there."""
        return _present(self.dataset)

    @cached_property
    def listing(self) -> str:
        """Fingerprint of names, sizes and times of its files."""
        folders = [find_folder(self.root, names) for names in (IMAGE_FOLDERS, ANNOTATION_FOLDERS)]
        return states_sha256([*folders, find_class_list(self.root)], mark=time_of_change)


@dataclass(frozen=True)
class ReleasedVOC:
    """One year of VOC: its folder, and the image set that is normal-light training data."""

    root: Path
    split: str
    layout: ClassVar[str] = "voc"

    @property
    def name(self) -> str:
        """`VOC2007` or the like."""
        return self.root.resolve().name

    @cached_property
    def dataset(self) -> VOC:
        """The training images."""
        return VOC(self.root, split=self.split)

    @cached_property
    def images(self) -> list[Path]:
        """The image files of the training images that are there."""
        return _present(self.dataset)

    @cached_property
    def listing(self) -> str:
        """Fingerprint of names, sizes and times of what is read of it."""
        paths = [self.root / part for part in ("Annotations", IMAGE_SETS, "JPEGImages")]
        return states_sha256(paths, mark=time_of_change)


@dataclass(frozen=True)
class ReleasedData:
    """The data sets of Table 2 as released."""

    exdark: ReleasedExDark
    voc: tuple[ReleasedVOC, ...]


def _present(dataset: ExDark | VOC) -> list[Path]:
    return [path for image_id in dataset.ids if (path := dataset.image_path(image_id)).is_file()]


def find_released_data(
    data: str | Path | None,
    exdark: str | Path | None = None,
    voc: Sequence[str | Path] = (),
    *,
    with_voc: bool = True,
) -> ReleasedData:
    """Find ExDark and VOC.

    Args:
        data: A folder that has both: ExDark as released in `data/exdark`, `data/ExDark` or `data` itself; VOC2007,
            VOC2012 or both, in `data`, `data/VOCdevkit`, or the same in `data/voc*`.
        exdark: ExDark's folder, where it is not below `data`.
        voc: VOCdevkit or one year's folder, where it is not below `data`; several are taken together.
        with_voc: False where nothing is trained: VOC is not looked for.

    Raises:
        DataError: One of them is not there; says where it was looked for.
    """
    if data is not None and not Path(data).is_dir():
        raise DataError("No such data folder.", where=data, todo="name the folder that has ExDark and VOC: --data DIR")
    return ReleasedData(ReleasedExDark(_find_exdark(data, exdark)), _find_voc(data, voc) if with_voc else ())


def _find_exdark(data: str | Path | None, given: str | Path | None) -> Path:
    if given is not None:
        places = [Path(given)]
    else:
        places = [] if data is None else [Path(data, "exdark"), Path(data, "ExDark"), Path(data)]
    listed = [place for place in places if any((place / name).is_file() for name in CLASS_LISTS)]
    if not listed:
        raise DataError(
            "ExDark is not there.",
            where=", ".join(map(str, places)) or "--data is not given",
            expected=f"{CLASS_LISTS[0]} beside ExDark/ and {ANNOTATION_FOLDERS[0]}/, as released",
            got=f"no {' and no '.join(CLASS_LISTS)}",
            todo="say where it is: --exdark DIR; or get it: `duskbench data fetch exdark`",
        )
    root = listed[0]
    folders = [find_folder(root, names) for names in (IMAGE_FOLDERS, ANNOTATION_FOLDERS)]
    lacking = [folder.name for folder in folders if not folder.is_dir()]
    if lacking:
        raise DataError(
            "Part of ExDark is missing.",
            where=root,
            expected=f"{CLASS_LISTS[0]} beside ExDark/ and {ANNOTATION_FOLDERS[0]}/",
            got=f"no folder {' and no folder '.join(lacking)}",
            todo="complete it, or say where it is: --exdark DIR",
        )
    return root


def _find_voc(data: str | Path | None, given: Sequence[str | Path]) -> tuple[ReleasedVOC, ...]:
    found: dict[Path, ReleasedVOC] = {}
    places = [Path(place) for place in given]
    if not given and data is not None:
        below = [folder for folder in sorted(Path(data).iterdir()) if folder.name.lower().startswith("voc")]
        places = [Path(data), *(folder for folder in below if folder.is_dir())]
    for place in places:
        for name, tree in voc_trees(place).items():
            # Of what merely lies below --data, years that repeat another one's images are not meant.
            if given or name in OFFICIAL_IMAGES:
                split = next((one for one in _TRAINING_SETS if (tree / IMAGE_SETS / f"{one}.txt").is_file()), None)
                if split is not None:
                    found.setdefault(tree.resolve(), ReleasedVOC(tree, split))
    names = [tree.name for tree in found.values()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            "The same year of VOC is there twice.",
            where=", ".join(str(tree.root) for tree in found.values() if tree.name in twice),
            got=", ".join(twice),
            todo="say which is meant: --voc DIR",
        )
    if not found:
        raise DataError(
            "PASCAL VOC's training images are not there.",
            where=", ".join(map(str, places)) or "--data is not given",
            expected=f"VOCdevkit/VOC2007 or VOCdevkit/VOC2012 with {IMAGE_SETS}/trainval.txt; of either year or both",
            got="no such tree",
            todo="say where it is: --voc DIR; or get it: `duskbench data fetch voc2007-trainval`",
        )
    return tuple(sorted(found.values(), key=lambda tree: tree.name))
