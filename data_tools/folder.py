"""A plain folder of images as a data set without annotation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.ids import resolve, stem
from duskbench.data_tools.image_files import ImageFiles, find_images
from duskbench.data_tools.images import IMAGE_SUFFIXES
from duskbench.data_tools.records import Dataset, ImageRecord

# A line of YOLO's, KITTI's or WIDER FACE's labels, of BBox-Label-Tool's (the class stands behind the box), or bbGt's
# header; captions and notes beside pictures are no boxes.
_LABEL_LINE = re.compile(r"(% bbGt version=.*)|(\S+\s+)?(-?\d[\d.eE+-]*[\s,]*){4,}([\s,]\S+)?|\d+")
_ANNOTATION_FOLDERS = frozenset(
    {"annotation", "annotations", "exdark", "exdark_annno", "exdark_anno", "label", "labels"}
)
_ANNOTATION_WORDS = re.compile(r"annot|label|bbox|boxes|coco|instances|(^|[_-])(via|gt)([_.-]|$)", re.IGNORECASE)


class ImageFolder(Dataset):
    """The images of a folder and the folders in it, sorted by path; see `image_files.find_images` for what counts.

    Ids are file names without extension. Where two files share one, all ids are paths relative to the folder without
    extension, and with it where even those meet (`a.jpg` beside `a.png`).

    Args:
        root: The folder.
        tolerant: See `Dataset`.

    Raises:
        DataError: The folder does not exist or holds no image, or a file name is not valid UTF-8.
    """

    def __init__(self, root: str | Path, *, tolerant: bool = False) -> None:
        if not Path(root).is_dir():
            raise DataError("No such folder of images.", where=root, got="no folder")
        found = find_images(root)
        if not found.files:
            raise DataError(
                "The folder holds no image.",
                where=root,
                expected=f"files ending in {', '.join(sorted(IMAGE_SUFFIXES))}, in any case",
                got="; ".join(found.notes) or None,
            )
        self._files = dict(zip(_unique_ids(found.files), found.files, strict=True))
        super().__init__(root, self._files, tolerant=tolerant)
        self.left_out = found.notes

    def image_path(self, image_id: str) -> Path:
        """The image's file."""
        return self.root / self._files[resolve(image_id, self._files, where=self.root)]

    def annotation(self, image_id: str) -> ImageRecord:
        """One image, its `objects` None."""
        first, slash, _ = self._files[image_id].partition("/")
        return ImageRecord(image_id, self.image_path(image_id), group=first if slash else None)


def _unique_ids(files: list[str]) -> list[str]:
    for ids in ([stem(PurePosixPath(file).name) for file in files], [stem(file) for file in files]):
        if len(set(ids)) == len(ids):
            return ids
    return files


def annotation_traces(root: Path) -> list[str]:
    """What in a folder looks like annotations, in words; empty for a plain folder of images."""
    found = find_images(root)
    return [*_files_like_annotations(found), *_folders_like_annotations(root, found)]


def _files_like_annotations(found: ImageFiles) -> Iterator[str]:
    images = {name for file in found.files for name in (PurePosixPath(file).name, PurePosixPath(file).stem)}
    by_kind: dict[str, list[str]] = {}
    for file in found.others:
        path = PurePosixPath(file)
        kind = path.suffix.lower()
        is_twin = path.stem in images
        if kind == ".xml":
            by_kind.setdefault("XML files", []).append(file)
        elif kind == ".txt" and is_twin:
            by_kind.setdefault("text files named after the images (YOLO labels?)", []).append(file)
        elif kind == ".json" and is_twin:
            by_kind.setdefault("JSON files named after the images (LabelMe?)", []).append(file)
        elif kind in (".json", ".csv") and _ANNOTATION_WORDS.search(path.stem):
            by_kind.setdefault(f"{kind[1:].upper()} files named like annotations", []).append(file)
    for kind, files in by_kind.items():
        if not kind.startswith("text") or _has_labels(found.root, files):
            where = {PurePosixPath(file).parent for file in files} & {
                PurePosixPath(file).parent for file in found.files
            }
            beside = " beside the images" if where and kind == "XML files" else ""
            yield f"{len(files)} {kind}{beside}, as {files[0]}"


def _has_labels(root: Path, files: list[str]) -> bool:
    """Whether the first of these files that says anything holds boxes."""
    for file in files[:50]:
        text = (root / file).read_text(encoding="utf-8-sig", errors="replace")
        for line in filter(None, map(str.strip, text.splitlines())):
            return _LABEL_LINE.fullmatch(line) is not None
    # Empty ones are the labels of images without objects; captions are not empty.
    return True


def _folders_like_annotations(root: Path, found: ImageFiles) -> Iterator[str]:
    for path in sorted(root.iterdir()):
        if path.name.lower() in _ANNOTATION_FOLDERS and path.is_dir():
            files = [file for file in found.others if file.startswith(f"{path.name}/")]
            if files or not any(file.startswith(f"{path.name}/") for file in found.files):
                yield f"a folder {path.name}"
            elif path.name == "ExDark":
                yield "a folder ExDark without imageclasslist.txt"
