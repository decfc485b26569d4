"""ExDark as released: imageclasslist.txt, bbGt version 3 annotations, official splits, lighting types.

Source: https://github.com/cs-chan/Exclusively-Dark-Image-Dataset, Groundtruth/README.md and imageclasslist.txt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from duskbench.data_tools.bbgt import read_bbgt
from duskbench.data_tools.classes import EXDARK_CLASSES, EXDARK_TO_VOC, INDOOR_OUTDOOR, LIGHTING_TYPES, SPLITS
from duskbench.data_tools.errors import DataError, UnknownNameError
from duskbench.data_tools.file_states import folded
from duskbench.data_tools.findings import Finding, compare_counts
from duskbench.data_tools.ids import check_id, read_text, resolve, stem
from duskbench.data_tools.image_files import find_images
from duskbench.data_tools.images import is_image_file
from duskbench.data_tools.records import Dataset, ImageRecord, MissingAnnotationError, ObjectAnnotation

OFFICIAL_IMAGES: dict[str, int] = {"train": 3000, "val": 1800, "test": 2563}
OFFICIAL_BOXES = 23710
# Its annotation file has a header and nothing else (issue 17 of the data set's repository, open since 2020).
KNOWN_WITHOUT_BOX: frozenset[str] = frozenset({"2015_05894"})

IMAGE_FOLDERS: tuple[str, ...] = ("ExDark",)
# The odd spelling is the release's own.
ANNOTATION_FOLDERS: tuple[str, ...] = ("ExDark_Annno", "ExDark_Anno")
CLASS_LISTS: tuple[str, ...] = ("imageclasslist.txt", "Groundtruth/imageclasslist.txt")


class DuplicateIdError(DataError):
    """A list names an image twice."""


@dataclass(frozen=True, slots=True)
class ListedImage:
    """One row of imageclasslist.txt.

    Attributes:
        file: File name with the extension in its real case.
        class_folder: ExDark's name of the class the image is filed under; it may hold objects of other classes.
        lighting: One of `classes.LIGHTING_TYPES`.
        indoor: True indoors, False outdoors.
        split: `train`, `val` or `test`.
        line: Line number in the file, from 1.
    """

    file: str
    class_folder: str
    lighting: str
    indoor: bool
    split: str
    line: int

    @property
    def id(self) -> str:
        """File name without extension; unique in ExDark."""
        return stem(self.file)


class ExDark(Dataset):
    """ExDark's images with their annotations; a bbGt file is read when its image is asked for.

    Boxes come 0-based and end-exclusive, (l-1, t-1, l-1+w, t-1+h), in a record clipped to the image.

    Args:
        root: Folder with `ExDark/`, `ExDark_Annno/` (or `ExDark_Anno/`) and `imageclasslist.txt`, each there or in its
            `Groundtruth/`. Files of which none lies as released, as in folders of other names, are found by their own.
        split: `test`, `val`, `train` or `all`.
        box_origin: 1 if `l, t` count from 1, which the numbers of the release say; 0 for those who read them as
            0-based.
        tolerant: See `Dataset`.

    Raises:
        DataError: The list is missing or broken, or has an id twice.
        UnknownNameError: No such split.

    Source: Groundtruth/README.md of the release; its MATLAB tool (Piotr's toolbox, bbGt) counts pixels from 1.
    """

    known_without_box = KNOWN_WITHOUT_BOX

    def __init__(self, root: str | Path, split: str = "test", *, box_origin: int = 1, tolerant: bool = False) -> None:
        if box_origin not in (0, 1):
            raise DataError("Boxes cannot start there.", where="box_origin", expected="0 or 1", got=repr(box_origin))
        if split not in (*SPLITS, "all"):
            raise UnknownNameError("split of ExDark", split, [*SPLITS, "all"], where=root)
        root = Path(root)
        self.box_origin = box_origin
        self.class_list = find_class_list(root)
        self.image_folder = find_folder(root, IMAGE_FOLDERS)
        self.annotation_folder = find_folder(root, ANNOTATION_FOLDERS)
        self.listed, faults = _read_listed(self.class_list, tolerant=tolerant)
        placed = [f"{row.class_folder}/{row.file}" for row in self.listed.values()]
        self._images = _sorted_otherwise(self.image_folder, "files", placed)
        self._annotations = _sorted_otherwise(self.annotation_folder, "others", [f"{file}.txt" for file in placed])
        chosen = [image_id for image_id, row in self.listed.items() if split in ("all", row.split)]
        super().__init__(root, chosen, name="ExDark", listed_in=self.class_list, tolerant=tolerant)
        self.faults += faults
        by_split = Counter(row.split for row in self.listed.values())
        self.counts = {f"listed {name}": by_split[name] for name in SPLITS}

    @classmethod
    def detects(cls, root: Path) -> bool:
        """By imageclasslist.txt."""
        return any((root / name).is_file() for name in CLASS_LISTS)

    def image_path(self, image_id: str) -> Path:
        """Where the image lies, or should lie by what imageclasslist.txt says."""
        row = self.listed[resolve(image_id, self.listed, where=self.class_list)]
        return self._images.get(row.file, self.image_folder / row.class_folder / row.file)

    def annotation_path(self, image_id: str) -> Path:
        """Where the image's bbGt file lies: named after the image file including its extension."""
        row = self.listed[resolve(image_id, self.listed, where=self.class_list)]
        name = f"{row.file}.txt"
        return self._annotations.get(name, self.annotation_folder / row.class_folder / name)

    def annotation(self, image_id: str) -> ImageRecord:
        """Parse one image's bbGt file; class names are VOC's already.

        Raises:
            MissingAnnotationError: There is no such file.
            DataError: It is broken; says which line.
        """
        row, path = self.listed[image_id], self.annotation_path(image_id)
        if not path.is_file():
            raise MissingAnnotationError("The annotation is missing.", where=path, got="listed in imageclasslist.txt")
        objects = tuple(
            ObjectAnnotation(EXDARK_TO_VOC[one.name], one.box_xyxy(self.box_origin)) for one in read_bbgt(path)
        )
        image = self.image_path(image_id)
        return ImageRecord(image_id, image, objects, row.split, row.lighting, row.indoor, group=row.class_folder)

    def check(self) -> Iterator[Finding]:
        """Numbers other than the release's, files that the list does not name, images without their folder's class."""
        listed = {name: self.counts[f"listed {name}"] for name in SPLITS}
        yield from compare_counts(listed, OFFICIAL_IMAGES, self.class_list)
        boxes, annotated = 0, 0
        for image_id, row in self.listed.items():
            path = self.annotation_path(image_id)
            try:
                names = [one.name for one in read_bbgt(path)] if path.is_file() else None
            except DataError:
                continue  # `verify` reports it with the image
            annotated += names is not None
            boxes += len(names or ())
            if names and row.class_folder not in names:
                message = f"no box of {row.class_folder}, the class of its folder"
                yield Finding("info", "no-own-class", path, message)
        if annotated == sum(OFFICIAL_IMAGES.values()) and boxes != OFFICIAL_BOXES:
            message = f"{boxes} boxes; the release has {OFFICIAL_BOXES}"
            yield Finding("error", "count", self.annotation_folder, message)
        known = {place(one) for one in self.listed for place in (self.image_path, self.annotation_path)}
        images = [("image", path) for path in _paths_below(self.image_folder, "files")]
        texts = [("annotation", path) for path in _paths_below(self.annotation_folder, "others")]
        for kind, path in (*images, *texts):
            if path not in known and (kind == "image" or path.suffix == ".txt"):
                yield Finding("warning", f"orphan-{kind}", path, "imageclasslist.txt does not list it here")


def _sorted_otherwise(folder: Path, kind: str, placed: Iterable[str]) -> dict[str, Path]:
    """The files below one of the release's folders by their names, where people have sorted them into other folders.

    None where any lies as released: there, one that lies elsewhere is a copy, perhaps a changed one.

    Args:
        folder: The folder.
        kind: See `_paths_below`.
        placed: Where in it the release has its files.
    """
    if any((folder / file).is_file() for file in placed):
        return {}
    paths = _paths_below(folder, kind)
    times = Counter(path.name for path in paths)
    return {path.name: path for path in paths if times[path.name] == 1}


def _paths_below(folder: Path, kind: str) -> list[Path]:
    """The images (`files`) below a folder, or what is none (`others`)."""
    return [folder / file for file in getattr(find_images(folder), kind)] if folder.is_dir() else []


def _read_listed(path: Path, *, tolerant: bool) -> tuple[dict[str, ListedImage], list[Finding]]:
    """Rows of imageclasslist.txt by id, and what is wrong with the others; without `tolerant`, the first is raised."""
    listed: dict[str, ListedImage] = {}
    faults = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        try:
            row = _parse_row(line, f"{path}:{number}", number)
            if row is not None and row.id in listed:
                earlier = listed[row.id]
                raise DuplicateIdError(
                    "An image id is listed twice.",
                    where=f"{path}:{number}",
                    got=f"{row.file}, already on line {earlier.line} as {earlier.file}",
                )
        except DataError as error:
            if not tolerant:
                raise
            code = "duplicate-id" if isinstance(error, DuplicateIdError) else "broken-list"
            faults.append(Finding("error", code, path, error.one_line))
        else:
            if row is not None:
                listed[row.id] = row
    return listed, faults


def find_class_list(root: Path) -> Path:
    """Find imageclasslist.txt in an ExDark tree.

    Raises:
        DataError: There is none.
    """
    for candidate in CLASS_LISTS:
        if (root / candidate).is_file():
            return root / candidate
    raise DataError(
        "No imageclasslist.txt in the ExDark folder.",
        where=root,
        expected=" or ".join(CLASS_LISTS),
        got="neither" if root.is_dir() else "no such folder",
        todo="it is in the folder Groundtruth of github.com/cs-chan/Exclusively-Dark-Image-Dataset",
    )


def find_folder(root: Path, names: Sequence[str]) -> Path:
    """Find a folder of the release in any case, in an ExDark tree or its Groundtruth; as released where there is none.

    Args:
        root: The tree.
        names: `IMAGE_FOLDERS` or `ANNOTATION_FOLDERS`.
    """
    wanted = {folded(name) for name in names}
    places = [place for place in (root, root / "Groundtruth") if place.is_dir()]
    there = (path for place in places for path in sorted(place.iterdir()) if folded(path.name) in wanted)
    return next((path for path in there if path.is_dir()), root / names[0])


def _parse_row(line: str, where: str, number: int) -> ListedImage | None:
    """One row; None for a blank line and the header. A file name may have blanks: the four codes come last."""
    file, *fields = line.strip().rsplit(maxsplit=4) or [""]
    if not line.strip() or (number == 1 and line.split(maxsplit=1)[0] == "Name"):
        return None
    names = (EXDARK_CLASSES, LIGHTING_TYPES, INDOOR_OUTDOOR, SPLITS)
    codes = [int(field) if field.isascii() and field.isdigit() else 0 for field in fields]
    whole = len(fields) == 4 and is_image_file(Path(file))
    if not whole or any(not 1 <= code <= len(known) for code, known in zip(codes, names, strict=True)):
        raise DataError(
            "Broken line in imageclasslist.txt.",
            where=where,
            expected="file name, class 1-12, light 1-10, indoor 1 or outdoor 2, split 1-3",
            got=line.strip(),
        )
    if PurePosixPath(check_id(file, where=where)).name != file:
        raise DataError("A file name of imageclasslist.txt is a path.", where=where, expected="a name", got=file)
    class_folder, lighting, place, split = (known[code - 1] for code, known in zip(codes, names, strict=True))
    return ListedImage(file, class_folder, lighting, place == "Indoor", split, number)


def format_class_list(images: Iterable[ListedImage]) -> str:
    """Format imageclasslist.txt as the release has it, with its header and CR LF."""
    rows = ["Name | Class | Light | In/Out | Train/Val/Test"]
    for image in images:
        place = INDOOR_OUTDOOR[0 if image.indoor else 1]
        named = ((EXDARK_CLASSES, image.class_folder), (LIGHTING_TYPES, image.lighting), (INDOOR_OUTDOOR, place))
        codes = [known.index(name) + 1 for known, name in (*named, (SPLITS, image.split))]
        rows.append(f"{image.file} {' '.join(map(str, codes))}")
    return "".join(f"{row}\r\n" for row in rows)
