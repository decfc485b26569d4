"""The manifest of an unpaired training set: settings, and one row for every image taken or rejected."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from duskbench.data_tools.errors import DataError

MANIFEST = "manifest.json"
FOLDERS: dict[str, str] = {"A": "trainA", "B": "trainB"}


@contextmanager
def open_manifest(path: Path, settings: dict[str, Any]) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Write the manifest row by row, so that memory does not grow with it, and name it when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(f'{{"settings": {json.dumps(settings, sort_keys=True)},\n"images": [')
            yield _RowWriter(file).write
            file.write("\n]}\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
    try:
        manifest = json.loads(Path(path).read_text(encoding="utf-8"))
        for row in manifest["images"]:
            if row["domain"] not in FOLDERS or Path(row["file"]).name != row["file"]:
                raise ValueError(f"not a row of an unpaired set: {row}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError("Not the manifest of an unpaired set.", where=path, got=str(error)) from error
    return manifest
