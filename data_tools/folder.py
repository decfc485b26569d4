"""A plain folder of images as a data set without annotation."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Iterator
from pathlib import Path, PurePosixPath

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.files import open_file
from duskbench.data_tools.ids import UnknownIdError, bare_id, resolve, stem
from duskbench.data_tools.image_files import ImageFiles, find_images
from duskbench.data_tools.images import IMAGE_SUFFIXES
from duskbench.data_tools.records import Dataset, ImageRecord

_NUMBER = re.compile(r"-?\.?\d[\d.eE+-]*", re.ASCII)
_BETWEEN = re.compile(r"""[\s,;:"'(){}\[\]]+""")
# The beginning of a line that names an image.
_IMAGE_NAME = re.compile(
    rf"""["']?(.+?(?:{"|".join(map(re.escape, sorted(IMAGE_SUFFIXES)))}))(?=["'\s,;:]|$)""", re.IGNORECASE
)
# `rectanglelabels` is Label Studio's, `shape_attributes` VIA's, `topX` Azure's, `gtboxes` and `fbox` CrowdHuman's.
_BOX_WORD = (
    r"(?:(?:b|bnd|bounding_?|gt_?|[fhv])?box(?:es)?|box_?2d|x_?min|x_?1|xtl|top_?x|polygons?"
    r"|(?:rectangle|polygon)labels|shape_attributes)"
)
_BOX_COLUMN = re.compile(
    rf"(?<![a-z])(?:{_BOX_WORD}|left)(?![a-z])|\bx\W+y\W+w(?:idth)?\W+h(?:eight)?\b", re.IGNORECASE
)
# The left one of two photos has a name, and a place on earth has other coordinates than CreateML's.
_BOX_KEY = re.compile(
    rf'"(?:{_BOX_WORD}"\s*:|left"\s*:\s*"?-?[\d.]|coordinates"\s*:\s*{{\s*"(?:x|y|width|height)")', re.IGNORECASE
)
_TABLES = frozenset({".csv", ".idl", ".json", ".jsonl", ".manifest", ".ndjson", ".odgt", ".tsv", ".txt"})
# Files of these kinds are annotations where their name says so, whatever is in them; a text may hold class names.
_DATA = frozenset({
    ".7z", ".csv", ".gz", ".h5", ".json", ".mat", ".npy", ".npz", ".parquet", ".pickle", ".pkl", ".rar", ".tar", ".xls",
    ".xlsx", ".yaml", ".yml", ".zip",
})  # fmt: skip
_TFRECORD = re.compile(r"\.tfrecords?(-\d+-of-\d+)?$", re.IGNORECASE)
# Boxes are looked for in so many files of a kind, and so many bytes of each.
_MOST_FILES, _MOST_BYTES = 50, 2**16
# Above the first box of an image's own file: DOTA has two.
_HEADER_LINES = 4
_TWIN, _TABLE = "text files named after the images (YOLO labels?)", "tables"
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

    def select(self, image_ids: Iterable[str]) -> None:
        """See `Dataset.select`; `day/a.jpg` is not the image a of `night`, where both folders are there."""
        given = list(image_ids)
        super().select(given)
        folders = {folder for file in self._files.values() for folder in PurePosixPath(file).parts[:-1]}
        for name, image_id in zip(given, self.ids, strict=True):
            folder = PurePosixPath(bare_id(name)).parent.name
            if folder in folders.difference(PurePosixPath(self._files[image_id]).parts[:-1]):
                raise UnknownIdError(name, self._files.values(), where=self.root)


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
        by_kind.setdefault(_kind_by_name(PurePosixPath(file), images), []).append(file)
    by_kind.pop("", None)
    # Those of the whole set lie at its top.
    tables = sorted(by_kind.pop(_TABLE, []), key=lambda file: (file.count("/"), file))[:_MOST_FILES]
    with_boxes = [file for file in tables if _lists_boxes(file, _first_lines(found.root / file), images)]
    if with_boxes:
        by_kind["files with boxes of images"] = with_boxes
    if not _have_labels(found.root, by_kind.get(_TWIN, [])):
        by_kind.pop(_TWIN, None)
    for kind, files in by_kind.items():
        where = {PurePosixPath(file).parent for file in files} & {PurePosixPath(file).parent for file in found.files}
        beside = " beside the images" if where and kind == "XML files" else ""
        yield f"{len(files)} {kind}{beside}, as {files[0]}"


def _kind_by_name(path: PurePosixPath, images: Container[str]) -> str:
    """What a file's name says that it is; empty for what is no annotation."""
    suffix = path.suffix.lower()
    is_twin = path.stem in images
    if suffix == ".xml":
        return "XML files"
    if _TFRECORD.search(path.name):
        return "TFRecord files"
    if suffix == ".txt" and is_twin:
        return _TWIN
    if suffix == ".json" and is_twin:
        return "JSON files named after the images (LabelMe?)"
    if suffix in _DATA and _ANNOTATION_WORDS.search(path.stem):
        return f"{suffix[1:].upper()} files named like annotations"
    return _TABLE if suffix in _TABLES else ""


def _first_lines(file: Path) -> list[str]:
    """The lines at the beginning of a text that say anything; none of what cannot be read."""
    try:
        with open_file(file) as opened:
            data = opened.read(_MOST_BYTES)
    except OSError:
        return []
    text = data.decode(json.detect_encoding(data), errors="replace")
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]


def _have_labels(root: Path, files: list[str]) -> bool:
    """Whether one of these files holds boxes, or none says anything: the labels of images without objects are empty."""
    texts = [lines for lines in (_first_lines(root / file) for file in files[:_MOST_FILES]) if lines]
    return not texts or any(
        # bbGt's header, a number of boxes (DARK FACE, BBox-Label-Tool), or a box; captions and notes are none of these.
        lines[0].startswith("% bbGt version=") or lines[0].isdecimal() or any(map(_is_box, lines[:_HEADER_LINES]))
        for lines in texts
    )


def _lists_boxes(file: str, lines: list[str], images: Container[str]) -> bool:
    """Whether JSON or a table has boxes among its keys, or a list has boxes behind the names of these images.

    A list that is called annotations, as MOT's `gt.txt`, may name images by their numbers, or in its own name.
    """
    if not lines or lines[0].startswith(("{", "[")):
        return any(map(_BOX_KEY.search, lines))
    if _ANNOTATION_WORDS.search(PurePosixPath(file).stem) and any(map(_is_box, lines[:_HEADER_LINES])):
        return True
    if not _IMAGE_NAME.match(lines[0]) and not lines[0].isdecimal():
        # The names of columns; or prose, which has no table below it.
        return bool(_BOX_COLUMN.search(lines[0])) and sum(map(_is_number, _BETWEEN.split("".join(lines[1:2])))) >= 4
    for number, line in enumerate(lines):
        named = _IMAGE_NAME.match(line)
        if named and PurePosixPath(named[1].replace("\\", "/")).name in images:
            behind = line[named.end() :]
            # WIDER FACE has them in lines of their own, below their number.
            if any(map(_is_box, [behind] if _BETWEEN.sub("", behind) else lines[number + 1 : number + 3])):
                return True
    return False


def _is_box(line: str) -> bool:
    """Whether a line is four numbers or more, with no more than a word in front of them and two behind."""
    words = [_is_number(word) for word in _BETWEEN.split(line) if word]
    first = words.index(True) if True in words else len(words)
    end = words.index(False, first) if False in words[first:] else len(words)
    return first <= 1 and end - first >= 4 and len(words) - end <= 2


def _is_number(word: str) -> bool:
    return _NUMBER.fullmatch(word) is not None


def _folders_like_annotations(root: Path, found: ImageFiles) -> Iterator[str]:
    for path in sorted(root.iterdir()):
        if path.name.lower() in _ANNOTATION_FOLDERS and path.is_dir():
            files = [file for file in found.others if file.startswith(f"{path.name}/")]
            if files or not any(file.startswith(f"{path.name}/") for file in found.files):
                yield f"a folder {path.name}"
            elif path.name == "ExDark":
                yield "a folder ExDark without imageclasslist.txt"
