"""What unpaired and paired training sets share: the manifest, with a row for every image, and how sources are named."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.written_whole import written_whole

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


class Labels:
    """Names of sources, with numbers where two have the same, so that none overwrites another's files."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()

    def label(self, name: str) -> str:
        """The label of the next source of this name."""
        self._count[name] += 1
        return name if self._count[name] == 1 else f"{name}-{self._count[name]}"


def folder_and_part(source: str | Path) -> tuple[Path, str | None]:
    """`FOLDER@PART` as both; a folder that is there, whatever its name, is meant as a whole."""
    folder, at, part = str(source).rpartition("@")
    return (Path(folder), part) if at and not Path(source).exists() else (Path(source), None)
