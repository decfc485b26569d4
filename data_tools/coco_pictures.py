"""Which file below a folder is the picture that an entry of a COCO annotation file names; never one file for two."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from duskbench.data_tools.coco_files import CocoFile, read_json, split_named
from duskbench.data_tools.file_states import folded
from duskbench.data_tools.ids import as_known, forms, printable, shown
from duskbench.data_tools.image_files import ImageFiles


class Pictures:
    """The pictures below a folder, given to the entries of a data set's annotation files.

    Args:
        found: The pictures.
        files: All annotation files of the data set. Another one than that of the entries is read only where a picture
            lies in its split's folder and could be meant by an entry all the same.
    """

    def __init__(self, found: ImageFiles, files: Sequence[CocoFile]) -> None:
        self.root, self._files = found.root, files
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_folded: dict[str, list[str]] = defaultdict(list)
        # A picture of a format that is not read is found too, so that reading it says why.
        for file in (*found.files, *itertools.chain(*found.left_out.values())):
            self._by_name[PurePosixPath(file).name].append(file)
            self._by_folded[folded(PurePosixPath(file).stem)].append(file)
        places = {_folder_of(file) for file in found.files}
        self._folders = {folder for place in places for folder in place.split("/") if folder}
        self._splits = frozenset[str]().union(*map(_splits_in, places))
        self._listed: dict[CocoFile, frozenset[str]] = {}
        self._elsewhere: list[str] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """Which pictures that were located lie elsewhere than their names or those of their folders say."""
        if not self._elsewhere:
            return ()
        first = shown(map(printable, self._elsewhere), most=3)
        return (f"{len(self._elsewhere)} taken from elsewhere than annotated: {first}",)

    def locate(self, source: CocoFile, file_names: Iterable[str]) -> dict[str, list[str]]:
        """The files of an annotation file's entries, relative to the folder.

        A name's file is the one whose path ends in it; of several, with folders, the one whose path it is. A name that
        no path ends in, as one from another machine, takes a file of its last part, unless that is an entry's already,
        two such names could take it, its folder is here without it, or the file's folder is of another split than its
        own. Of several files those count that lie in the split's folder or beside the annotation file; what lies in
        the folder of another split is not taken where that split's annotation file lists it, or the split has a folder
        of its own.

        Returns:
            For each `file_name` its file; none where it is missing, several where it cannot be told which it is.

        Raises:
            DataError: An annotation file of another split, which had to be read, is broken.
        """
        wanted = {name: _path(name) for name in file_names}
        self._listed[source] = frozenset(path.name for path in wanted.values())
        located: dict[str, list[str]] = {}
        taken: dict[str, PurePosixPath] = {}
        # The more folders a name has, the more surely it means its file.
        for name, path in sorted(wanted.items(), key=lambda item: -len(item[1].parts)):
            free = [file for file in self._named(path) if taken.get(file, path) == path]
            ends = [file for file in free if _ends_in(file, path)]
            if len(path.parts) > 1:
                # The whole path names one file, whatever copies lie deeper, as enhanced ones do.
                ends = [file for file in ends if file in forms(str(path))] or ends
            located[name] = self._of_source(ends, source, names_folder=len(path.parts) > 1)
            if len(located[name]) == 1:
                taken[located[name][0]] = path
        for name, path in ((name, path) for name, path in wanted.items() if not located[name]):
            free = [file for file in self._named(path) if file not in taken and not self._contradicts(path, file)]
            located[name] = self._of_source(free, source)
        takers: dict[str, set[PurePosixPath]] = defaultdict(set)
        for name, files in located.items():
            for file in files if len(files) == 1 else ():
                takers[file].add(wanted[name])
        found = {name: [] if any(len(takers[file]) > 1 for file in files) else files for name, files in located.items()}
        self._note_elsewhere(
            {name: (wanted[name], files[0]) for name, files in found.items() if len(files) == 1}, source
        )
        return found

    def missing(self, file_name: str, source: CocoFile) -> Path:
        """Where a picture that is not there should lie: beside one of its name in other case or another format."""
        path = _path(file_name)
        near = [] if self._named(path) else self._by_folded.get(folded(path.stem), [])
        if len(near) == 1:
            return (self.root / near[0]).with_name(path.name)
        beside = source.is_beside_images and source.path.is_relative_to(self.root)
        return (source.path.parent if beside else self.root) / file_name

    def _note_elsewhere(self, found: dict[str, tuple[PurePosixPath, str]], source: CocoFile) -> None:
        closeness = {name: self._closeness(file, source) for name, (_, file) in found.items()}
        has_own_folder = any(closeness.values())
        whole = {name for name, (path, file) in found.items() if len(path.parts) > 1 and file in forms(str(path))}
        for name, (path, file) in found.items():
            if len(path.parts) > 1:
                is_elsewhere = name not in whole if whole else not _ends_in(file, path)
            else:
                in_others_folder = source.split is not None and bool(_splits_in(_folder_of(file)))
                is_elsewhere = not closeness[name] and (has_own_folder or in_others_folder)
            if is_elsewhere:
                self._elsewhere.append(f"{name} ({file})")

    def _named(self, path: PurePosixPath) -> list[str]:
        return self._by_name.get(as_known(path.name, self._by_name), [])

    def _of_source(self, files: list[str], source: CocoFile, *, names_folder: bool = False) -> list[str]:
        """Of the files that a name could mean those that are the annotation file's."""
        own = [file for file in files if names_folder or not self._is_of_another(file, source)]
        if len(own) < 2:
            return own
        closest = max(self._closeness(file, source) for file in own)
        return [file for file in own if self._closeness(file, source) == closest]

    def _contradicts(self, path: PurePosixPath, file: str) -> bool:
        """Whether a name's folders say that a file of its last part is not meant."""
        folder, its_splits = path.parent.name, _splits_in(_folder_of(file))
        is_elsewhere = folder in self._folders and folder not in PurePosixPath(file).parts[:-1]
        # The first folders of a path from another machine may be called anything.
        other_splits = _splits_in("/".join(path.parts[-3:-1])) - its_splits
        return is_elsewhere or bool(its_splits and other_splits)

    def _is_of_another(self, file: str, source: CocoFile) -> bool:
        # Without a split of its own (`trainval`), its images may lie in the folder of any.
        if (source.split is None and not source.is_beside_images) or self._closeness(file, source):
            return False
        if source.split in self._splits and _splits_in(_folder_of(file)):
            return True
        name = PurePosixPath(file).name
        others = (one for one in self._files if one != source and self._closeness(file, one))
        return any(as_known(name, self._names(one)) in self._names(one) for one in others)

    def _closeness(self, file: str, source: CocoFile) -> int:
        """2 in a folder named as the annotation file or its split, or beside it; 1 in one of its split; else 0."""
        return _closeness(self.root, _folder_of(file), source)

    def _names(self, source: CocoFile) -> frozenset[str]:
        """The last part of each name in an annotation file."""
        if source not in self._listed:
            self._listed[source] = frozenset(_path(name).name for name in names_in(read_json(source.path)))
        return self._listed[source]


def names_in(content: dict[str, Any]) -> list[str]:
    """The `file_name` of each entry of an annotation file that has one."""
    return [str(one["file_name"]) for one in content["images"] if isinstance(one, dict) and "file_name" in one]


def _path(file_name: str) -> PurePosixPath:
    return PurePosixPath(file_name.replace("\\", "/").removeprefix("./"))


def _ends_in(file: str, path: PurePosixPath) -> bool:
    return any(f"/{file}".endswith(f"/{form}") for form in forms(str(path)))


def _folder_of(file: str) -> str:
    return file.rpartition("/")[0]


# Of each folder once: a set may have a hundred thousand files in one.
@lru_cache
def _closeness(root: Path, folder: str, source: CocoFile) -> int:
    folders = PurePosixPath(folder).parts
    named = any(each == source.split or source.path.stem.endswith(each) for each in folders)
    if named or root / folder == source.path.parent:
        return 2
    return int(source.split in _splits_in(folder))


@lru_cache
def _splits_in(folder: str) -> frozenset[str]:
    """The splits that the parts of a folder's path name."""
    return frozenset(filter(None, map(split_named, PurePosixPath(folder).parts)))
