"""A plain folder of images as a data set without annotation."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.ids import resolve, resolve_all, stem
from duskbench.data_tools.images import IMAGE_SUFFIXES, is_image_file
from duskbench.data_tools.records import ImageRecord


class ImageFolder:
    """The images of a folder and the folders in it, sorted by path; hidden files and folders are passed over.

    Ids are file names without ending. Where two files share one, all ids are paths relative to the folder without
    ending, and with it where even those meet (`a.jpg` beside `a.png`).

    Args:
        root: The folder.
        ids: The image ids to take, in this order, with or without endings; all of them by default.

    Raises:
        DataError: The folder does not exist or holds no image.
        UnknownIdError: An id names no image.
    """

    def __init__(self, root: str | Path, ids: Sequence[str] | None = None) -> None:
        self.root = Path(root)
        self.name = self.root.resolve().name
        if not self.root.is_dir():
            raise DataError("No such folder of images.", where=self.root, got="no folder")
        files = sorted(_relative_image_paths(self.root))
        if not files:
            raise DataError(
                "The folder holds no image.",
                where=self.root,
                expected=f"files ending in {', '.join(sorted(IMAGE_SUFFIXES))}, in any case",
            )
        self._files = dict(zip(_unique_ids(files), files, strict=True))
        self.ids = list(self._files) if ids is None else resolve_all(ids, self._files, where=self.root)

    def image_path(self, image_id: str) -> Path:
        """The image's file."""
        return self.root / self._files[resolve(image_id, self._files, where=self.root)]

    def record(self, image_id: str) -> ImageRecord:
        """One image, its `objects` None.

        Raises:
            UnknownIdError: The id names no image.
        """
        found = resolve(image_id, self._files, where=self.root)
        first, slash, _ = self._files[found].partition("/")
        return ImageRecord(found, self.root / self._files[found], group=first if slash else None)


def _relative_image_paths(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(folder, name)
            if not name.startswith(".") and is_image_file(path):
                yield path.relative_to(root).as_posix()


def _unique_ids(files: list[str]) -> list[str]:
    for ids in ([stem(Path(file).name) for file in files], [stem(file) for file in files]):
        if len(set(ids)) == len(ids):
            return ids
    return files
