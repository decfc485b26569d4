"""What unpaired and paired training sets share: the manifest, with a row for every image, names, and placing files."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import IO, Any

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.files import CopyMode, place_file, written_whole
from duskbench.data_tools.ids import shown
from duskbench.data_tools.image_files import find_images

MANIFEST = "manifest.json"
FOLDERS: dict[str, str] = {"A": "trainA", "B": "trainB"}


@contextmanager
def open_manifest(path: Path, settings: dict[str, Any]) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Write the manifest row by row, so that memory does not grow with it, and name it when it is complete."""
    with written_whole(path) as file:
        file.write(f'{{"settings": {json.dumps(settings, sort_keys=True)},\n"images": [')
        yield _RowWriter(file).write
        file.write("\n]}\n")


class _RowWriter:
    def __init__(self, file: IO[str]) -> None:
        self.file, self.separator = file, "\n"

    def write(self, row: dict[str, Any]) -> None:
        self.file.write(self.separator + json.dumps(row, sort_keys=True, allow_nan=False))
        self.separator = ",\n"


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Read a manifest: `settings`, and `images` with `rejected` None for those in the set.

    Raises:
        DataError: The file is missing or no such manifest.
    """
    return read_rows(path, "an unpaired set", lambda row: row["domain"] in FOLDERS and is_name(row["file"]))


def read_rows(path: str | Path, of: str, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Read a manifest whose rows all fit; `of` says what it is of.

    Raises:
        DataError: The file is missing or no such manifest.
    """
    try:
        manifest: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        for row in manifest["images"]:
            if not fits(row):
                raise ValueError(f"not a row of {of}: {row}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"Not the manifest of {of}.", where=path, got=str(error)) from error
    return manifest


def is_name(file: str) -> bool:
    """Whether it names a file in a folder, and leads nowhere else."""
    return Path(file).name == file


class Names:
    """Names of sources or files, with numbers where two would have the same, so that none overwrites another's file."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, name: str, suffix: str = "") -> str:
        """The name with its suffix, numbered between them if it is taken; it is taken from now on."""
        numbered = (f"{name}-{number}{suffix}" for number in count(2))
        free = next(one for one in chain([f"{name}{suffix}"], numbered) if one not in self._taken)
        self._taken.add(free)
        return free


def place_files(out: Path, files: Mapping[str, Path], earlier: Collection[str], copy: CopyMode) -> None:
    """Put the files of a training set, once it is known to be whole, into the folders that a training reads.

    Args:
        out: The set's folder.
        files: Path in it -> the file to place there.
        earlier: Paths in it of the set that was there before.
        copy: See `files.place_file`.

    Raises:
        DataError: A folder holds an image of neither set, which the training would read too; nothing is placed.
    """
    folders = [folder for folder in dict.fromkeys(file.partition("/")[0] for file in files) if (out / folder).is_dir()]
    there = [f"{folder}/{file}" for folder in folders for file in find_images(out / folder).files]
    foreign = [file for file in there if file not in files and file not in earlier]
    if foreign:
        raise DataError(
            "The folder of the training set holds images that are not of it.",
            where=out,
            expected="none: a training reads all that are there",
            got=f"{len(foreign)}: {shown(foreign)}",
            todo="remove them, or choose another folder",
        )
    for file, source in files.items():
        place_file(source, out / file, copy)


def folder_and_part(source: str | Path) -> tuple[Path, str | None]:
    """`FOLDER@PART` as both; a folder that is there, whatever its name, is meant as a whole."""
    folder, at, part = str(source).rpartition("@")
    return (Path(folder), part) if at and not Path(source).exists() else (Path(source), None)
