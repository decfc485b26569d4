"""A reader of one's own data set: photos in `photos`, for each a text file in `boxes`.

A text file's first line is the number of objects, each further line `class x1 y1 x2 y2` in pixels. Use:

    duskbench run miniature --data DIR --layout examples/my_dataset.py:PhotosAndBoxes
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duskbench


class PhotosAndBoxes(duskbench.Dataset):
    """The photos of a folder, by name.

    Args:
        root: Folder with `photos` and `boxes`.
        offset: What the files' first pixel is called: 0, or 1 as in MATLAB. An option: `data.offset=1`.
    """

    def __init__(self, root: str | Path, offset: int = 0) -> None:
        self.offset = offset
        self.photos = {path.stem: path for path in sorted(Path(root, "photos").glob("*.png"))}
        super().__init__(root, ids=self.photos)

    @classmethod
    def detects(cls, root: Path) -> bool:
        """Asked where the reader is installed and no layout is named."""
        return (root / "photos").is_dir() and (root / "boxes").is_dir()

    def image_path(self, image_id: str) -> Path:
        """Where the photo lies."""
        return self.photos[image_id]

    def annotation_path(self, image_id: str) -> Path:
        """The photo's text file; messages name it."""
        return self.root / "boxes" / f"{image_id}.txt"

    def annotation(self, image_id: str) -> duskbench.ImageRecord:
        """The photo's objects; whatever goes wrong here becomes an error that names file, line and photo."""
        count, *lines = self.annotation_path(image_id).read_text().splitlines()
        if len(lines) != int(count):
            raise ValueError(f"{count} objects are promised and {len(lines)} are there")
        return duskbench.ImageRecord(image_id, self.image_path(image_id), tuple(map(self._object, lines)))

    def check(self) -> Iterator[duskbench.Finding]:
        """What `duskbench data verify` reports besides what it finds in every data set."""
        for path in sorted((self.root / "boxes").glob("*.txt")):
            if path.stem not in self.photos:
                yield duskbench.Finding("warning", "orphan-annotation", path, "there is no such photo")

    def _object(self, line: str) -> duskbench.ObjectAnnotation:
        name, *edges = line.split()
        x1, y1, x2, y2 = (float(edge) - self.offset for edge in edges)
        return duskbench.ObjectAnnotation(name, (x1, y1, x2, y2))
