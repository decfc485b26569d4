"""DARK FACE as released: faces at night, one text file of boxes an image.

6,000 training images with labels (`DarkFace_Train_2021`: `image/1.png`, `label/1.txt`); the challenge's test images
have no public labels. A label file's first line is the number of faces, each further line `x1 y1 x2 y2` in pixels.
The one class is `face`, which no detector trained on VOC or COCO has.

Licence: research only, by agreement. Source: Yang et al., "Advancing Image Understanding in Poor Visibility
Environments: A Collective Benchmark Study" (IEEE TIP 2020), https://flyywh.github.io/CVPRW2019LowLight/.
"""

from __future__ import annotations

import math
from pathlib import Path

from duskbench.data_tools.boxes import Box, BoxError
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.files import open_file
from duskbench.data_tools.ids import as_known, read_text, resolve
from duskbench.data_tools.image_files import find_images
from duskbench.data_tools.records import Dataset, ImageRecord, MissingAnnotationError, ObjectAnnotation


class DarkFace(Dataset):
    """DARK FACE's images, those of its images and labels, in the order of their numbers; there are no splits.

    Boxes are read as 0-based corners, which the release does not say: a face of `10 20 30 50` is 20 pixels wide.

    Args:
        root: Folder with `image` and `label`, or the folder above (`DarkFace_Train_2021`).

    Raises:
        DataError: There are no such folders.
    """

    def __init__(self, root: str | Path) -> None:
        tree = _find_tree(Path(root))
        if tree is None:
            raise DataError(
                "No DARK FACE in the folder.",
                where=root,
                expected="image/1.png, ... beside label/1.txt, ...",
                got="none",
            )
        found = find_images(tree / "image")
        self._files = found.by_id()
        # Nothing else says which images there should be.
        self._labels = find_images(tree / "label").others_by_id(".txt")
        without = {
            image_id: file
            for image_id, file in self._labels.items()
            if as_known(image_id, self._files) not in self._files
        }
        lone = [image_id for image_id, file in without.items() if _is_label(tree / "label" / file)]
        numbers = sorted([*self._files, *lone], key=lambda image_id: (len(image_id), image_id))
        super().__init__(tree, numbers, name="DARK FACE")
        self.left_out = found.notes_by_id

    @classmethod
    def detects(cls, root: Path) -> bool:
        """By `image` beside a `label` whose files begin with a number of faces."""
        return _find_tree(root) is not None

    def image_path(self, image_id: str) -> Path:
        """The image's file; `<id>.png` where there is none."""
        found = resolve(image_id, self._known, where=self.root)
        return self.root / "image" / self._files.get(found, [f"{found}.png"])[0]

    def annotation_path(self, image_id: str) -> Path:
        """The image's label file."""
        return self.root / "label" / self._labels.get(as_known(image_id, self._labels), f"{image_id}.txt")

    def annotation(self, image_id: str) -> ImageRecord:
        """The image's faces.

        Raises:
            MissingAnnotationError: There is no label file.
            DataError: It is broken; says which line.
        """
        path = self.annotation_path(image_id)
        if not path.is_file():
            raise MissingAnnotationError("The label is missing.", where=path, got="its image is there")
        return ImageRecord(image_id, self.image_path(image_id), parse_label(read_text(path), where=path))


def _find_tree(root: Path) -> Path | None:
    trees = (root, root / "DarkFace_Train_2021")
    return next((tree for tree in trees if (tree / "image").is_dir() and _has_labels(tree / "label")), None)


def _has_labels(folder: Path) -> bool:
    first = min(folder.glob("[!.]*.[tT][xX][tT]"), default=None)
    return first is not None and _is_label(first)


def _is_label(path: Path) -> bool:
    try:
        with open_file(path) as file:
            return file.readline(16).removeprefix(b"\xef\xbb\xbf").strip().isdigit()
    except OSError:
        return False


def parse_label(text: str, *, where: str | Path = "text") -> tuple[ObjectAnnotation, ...]:
    """Parse a label file: the number of faces, then as many lines `x1 y1 x2 y2`.

    Raises:
        DataError: A line is not of that form, or there are more or fewer than the first says; says which line.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    (first, head), *rest = lines or [(1, "")]
    if not head.isdecimal() or int(head) != len(rest):
        raise DataError(
            "The number of faces is not that of the lines.",
            where=f"{where}:{first}",
            expected="the number of faces, then one line for each",
            got=f"{head!r}, then {len(rest)} lines",
        )
    return tuple(ObjectAnnotation("face", _parse_box(line, f"{where}:{number}")) for number, line in rest)


def _parse_box(line: str, where: str) -> Box:
    try:
        x1, y1, x2, y2 = map(float, line.split())
    except ValueError as error:
        raise DataError("Not a box.", where=where, expected="x1 y1 x2 y2", got=line[:120]) from error
    if not all(map(math.isfinite, (x1, y1, x2, y2))) or x1 >= x2 or y1 >= y2:
        raise BoxError("The box has no area.", where=where, expected="x1 < x2, y1 < y2", got=line)
    return x1, y1, x2, y2
