"""PASCAL VOC trees: Annotations, ImageSets/Main and JPEGImages, read and written.

Source: the VOC development kit (2007, 2012); the annotation files themselves are `voc_xml`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from duskbench.data_tools.classes import SPLITS
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.data_tools.files import write_text
from duskbench.data_tools.ids import resolve, resolve_all, stem
from duskbench.data_tools.images import is_image_file
from duskbench.data_tools.records import ImageRecord, ObjectAnnotation
from duskbench.data_tools.voc_xml import VOCAnnotation, read_annotation

# Main (detection) image sets. Source: host.robots.ox.ac.uk/pascal/VOC/voc2007/dbstats.html, voc2012/dbstats.html.
OFFICIAL_IMAGES: dict[str, dict[str, int]] = {
    "VOC2007": {"train": 2501, "val": 2510, "trainval": 5011, "test": 4952},
    "VOC2012": {"train": 5717, "val": 5823, "trainval": 11540, "test": 10991},
}

IMAGE_SETS = "ImageSets/Main"
# The order in which `all` puts image sets together.
_UNION: tuple[str, ...] = ("trainval", "train", "val", "test")


class VOC:
    """A VOC tree; an annotation file is read when its image is asked for.

    Args:
        root: `VOCdevkit`, `VOCdevkit/VOC2007`, the folder above `VOCdevkit`, or any folder with Annotations,
            ImageSets/Main and JPEGImages.
        year: Which `VOC<year>` to take where `root` holds several.
        split: `test`, `val`, `train`, `trainval`, `all` (the union of these, or of all annotations where there are no
            image sets), any other file of ImageSets/Main (`car_test`: the images it does not mark -1), or the image
            ids themselves.

    Raises:
        DataError: No VOC tree there, or its image set is missing, empty or names an image twice.
        UnknownNameError: No such image set, year or id.
    """

    def __init__(self, root: str | Path, year: int | str | None = None, split: str | Sequence[str] = "test") -> None:
        self.root = find_voc_tree(Path(root), year)
        self.name = self.root.resolve().name
        self.split = split if isinstance(split, str) else None
        self.ids = self._select(split)
        self._known = frozenset(self.ids)

    def _select(self, split: str | Sequence[str]) -> list[str]:
        sets = self._image_sets()
        if not isinstance(split, str):
            # Ids given by hand need be in no image set, only in the tree.
            return resolve_all(split, frozenset(self._annotated()) | frozenset(self._all()), where=self.root)
        if split == "all":
            return self._all()
        if split not in sets:
            usual = [name for name in _UNION if name in sets] or sorted(sets)
            raise UnknownNameError(f"image set of {self.name}", split, [*usual, "all"], where=self.root / IMAGE_SETS)
        ids = read_image_set(sets[split])
        return resolve_all(ids, frozenset(ids), where=sets[split])

    def _image_sets(self) -> dict[str, Path]:
        return {path.stem: path for path in sorted((self.root / IMAGE_SETS).glob("*.txt"))}

    def _annotated(self) -> list[str]:
        return sorted(path.stem for path in (self.root / "Annotations").glob("*.xml"))

    def _all(self) -> list[str]:
        sets = self._image_sets()
        union: dict[str, None] = {}
        for name in _UNION:
            if name in sets:
                union.update(dict.fromkeys(read_image_set(sets[name])))
        return list(union) or self._annotated()

    @cached_property
    def _membership(self) -> dict[str, str]:
        sets = self._image_sets()
        return {image_id: name for name in SPLITS if name in sets for image_id in read_image_set(sets[name])}

    @cached_property
    def _image_names(self) -> dict[str, str]:
        """Image file of every id, from one look at the folder: jpg before other endings."""
        names = [path.name for path in _entries(self.root / "JPEGImages") if is_image_file(path)]
        ranked = sorted(names, key=lambda name: (not name.endswith(".jpg"), name), reverse=True)
        return {stem(name): name for name in ranked}

    def image_path(self, image_id: str) -> Path:
        """The image's file, of whatever ending is there; `<id>.jpg` where there is none."""
        found = resolve(image_id, self._known, where=self.root)
        return self.root / "JPEGImages" / self._image_names.get(found, f"{found}.jpg")

    def annotation_path(self, image_id: str) -> Path:
        """The image's annotation file."""
        return self.root / "Annotations" / f"{resolve(image_id, self._known, where=self.root)}.xml"

    def annotation(self, image_id: str) -> VOCAnnotation:
        """All that the image's annotation file says.

        Raises:
            UnknownIdError: The id is not in this image set.
            DataError: The annotation is missing or broken.
        """
        return read_annotation(self.annotation_path(image_id))

    def record(self, image_id: str) -> ImageRecord:
        """Parse one image's annotation.

        Raises:
            UnknownIdError: The id is not in this image set.
            DataError: The annotation is missing or broken.
        """
        found = resolve(image_id, self._known, where=self.root)
        said = self.annotation(found)
        split = self.split if self.split in SPLITS else self._membership.get(found)
        return ImageRecord(found, self.image_path(found), said.objects, split, said.lighting, said.indoor)


def is_voc_tree(folder: Path) -> bool:
    """Tell whether a folder is itself a VOC tree: Annotations beside ImageSets/Main or JPEGImages."""
    has_images = (folder / IMAGE_SETS).is_dir() or (folder / "JPEGImages").is_dir()
    return (folder / "Annotations").is_dir() and has_images


def voc_trees(root: Path) -> dict[str, Path]:
    """VOC trees at or below `root`, by folder name: the folder itself, `VOC<year>`, or `VOCdevkit/VOC<year>`."""
    if is_voc_tree(root):
        return {root.resolve().name: root}
    below = [*root.glob("VOC[0-9]*"), *root.glob("VOCdevkit/VOC[0-9]*")]
    return {folder.name: folder for folder in sorted(below) if is_voc_tree(folder)}


def find_voc_tree(root: Path, year: int | str | None = None) -> Path:
    """Find the one VOC tree meant by `root` and `year`.

    Raises:
        DataError: There is none.
        ConfigError: There are several and no year, or not that year.
    """
    trees = voc_trees(root)
    if not trees:
        raise DataError(
            "No VOC tree in the folder.",
            where=root,
            expected="Annotations, ImageSets/Main and JPEGImages, in it or in VOCdevkit/VOC<year>",
            got="a folder without them" if root.is_dir() else "no such folder",
        )
    if is_voc_tree(root):
        return root
    if year is not None:
        if f"VOC{year}" not in trees:
            raise UnknownNameError("VOC year", str(year), [name[3:] for name in trees], where=root)
        return trees[f"VOC{year}"]
    if len(trees) > 1:
        names = ", ".join(trees)
        raise ConfigError(
            "More than one VOC tree.", where=root, expected="one, or a year", got=names, todo="give the year"
        )
    return next(iter(trees.values()))


def read_image_set(path: str | Path) -> list[str]:
    """Read a file of ImageSets/Main: one id a line; of a class's file, the ids not marked -1.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("Cannot read the image set.", where=path, got=str(error)) from error
    rows = [line.split() for line in lines]
    return [row[0] for row in rows if row and row[1:2] != ["-1"]]


def write_image_sets(
    root: str | Path,
    splits: Mapping[str, Sequence[str]],
    objects: Mapping[str, Iterable[ObjectAnnotation]],
    classes: Sequence[str],
) -> None:
    """Write ImageSets/Main: `<split>.txt` with the ids, and `<class>_<split>.txt` with each id's mark for every class.

    Args:
        root: The VOC tree.
        splits: Ids of each image set, in the order to write them.
        objects: Objects of each id.
        classes: Class names to write files for. The mark is 1 (there is one), 0 (only difficult ones) or -1 (none).

    Source: VOC development kit documentation, section 4.1 (ground truth of the image sets).
    """
    marks = {image_id: _class_marks(found) for image_id, found in objects.items()}
    for split, ids in splits.items():
        write_text(Path(root) / IMAGE_SETS / f"{split}.txt", "".join(f"{image_id}\n" for image_id in ids))
        for name in classes:
            rows = (f"{image_id} {marks.get(image_id, {}).get(name, -1):2d}\n" for image_id in ids)
            write_text(Path(root) / IMAGE_SETS / f"{name}_{split}.txt", "".join(rows))


def _class_marks(objects: Iterable[ObjectAnnotation]) -> dict[str, int]:
    marks: dict[str, int] = {}
    for found in objects:
        marks[found.name] = max(marks.get(found.name, 0), 0 if found.difficult else 1)
    return marks


def _entries(folder: Path) -> Iterator[Path]:
    return folder.iterdir() if folder.is_dir() else iter(())
