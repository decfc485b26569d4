"""PASCAL VOC trees: Annotations, ImageSets/Main and JPEGImages, read and written.

Source: the VOC development kit (2007, 2012); the annotation files themselves are `voc_xml`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from duskbench.data_tools.classes import SPLITS
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.data_tools.exdark import KNOWN_WITHOUT_BOX
from duskbench.data_tools.findings import Finding, compare_counts
from duskbench.data_tools.ids import as_known, forms, printable, resolve, shown, stem
from duskbench.data_tools.image_files import find_images
from duskbench.data_tools.image_sets import IMAGE_SETS, read_image_set
from duskbench.data_tools.records import Dataset, ImageRecord, MissingAnnotationError
from duskbench.data_tools.voc_xml import read_annotation

# Main (detection) image sets. Source: host.robots.ox.ac.uk/pascal/VOC/voc2007/dbstats.html, voc2012/dbstats.html.
OFFICIAL_IMAGES: dict[str, dict[str, int]] = {
    "VOC2007": {"train": 2501, "val": 2510, "trainval": 5011, "test": 4952},
    "VOC2012": {"train": 5717, "val": 5823, "trainval": 11540, "test": 10991},
}

# The order in which `all` puts image sets together.
_UNION: tuple[str, ...] = ("trainval", "train", "val", "test")


class VOC(Dataset):
    """A VOC tree; an annotation file is read when its image is asked for.

    Images and annotations may lie in folders below JPEGImages and Annotations: the ids then have these folders.

    Args:
        root: `VOCdevkit`, `VOCdevkit/VOC2007`, the folder above `VOCdevkit`, or any folder with Annotations,
            ImageSets/Main and JPEGImages.
        split: `test`, `val`, `train`, `trainval`, `all` (the union of these, or of all annotations where there are no
            image sets), or any other file of ImageSets/Main (`car_test`: the images it does not mark -1).
        year: Which `VOC<year>` to take where `root` holds several.
        tolerant: See `Dataset`.

    Raises:
        DataError: No VOC tree there, or its image set is missing, empty or names an image twice.
        UnknownNameError: No such image set or year.
    """

    known_without_box = KNOWN_WITHOUT_BOX

    def __init__(
        self, root: str | Path, split: str = "test", *, year: int | str | None = None, tolerant: bool = False
    ) -> None:
        self.root = find_voc_tree(Path(root), year)
        self.split = split
        self._images = find_images(self.root / "JPEGImages") if (self.root / "JPEGImages").is_dir() else None
        self._tolerant, self._list_faults = tolerant, list[Finding]()
        marked_out: list[str] = []
        ids, listed_in = self._select(split, marked_out)
        super().__init__(self.root, ids, listed_in=listed_in, tolerant=tolerant)
        self.left_out = self._images.notes_by_id if self._images else ()
        if marked_out:
            names = ", ".join(map(printable, marked_out[:3]))
            self.left_out += (f"{len(marked_out)} left out, marked -1 in {listed_in.name}: {names}",)
        self.faults += self._list_faults
        self.counts = {f"listed {name}": len(ids) for name, ids in self._main.items()}

    @classmethod
    def detects(cls, root: Path) -> bool:
        """See `is_voc_tree`."""
        return bool(voc_trees(root))

    def _select(self, split: str, marked_out: list[str]) -> tuple[list[str], Path]:
        if split == "all":
            return _union(self._main) or sorted(self._annotations), self.root
        if not self._set_files:
            # Not taken whole: what a detector learned from would be measured too.
            raise DataError(
                "The tree has no image sets.", where=self.root / IMAGE_SETS, expected=f"{split}.txt", got="none",
                todo="write it, an image id a line, or take all images: --split all (split='all')",
            )  # fmt: skip
        if split not in self._set_files:
            usual = [name for name in _UNION if name in self._set_files] or sorted(self._set_files)
            raise UnknownNameError(
                f"image set of {self.root.resolve().name}", split, [*usual, "all"], where=self.root / IMAGE_SETS
            )
        return read_image_set(self._set_files[split], self._in_tree, marked_out), self._set_files[split]

    @property
    def image_sets(self) -> Mapping[str, Sequence[str]]:
        """The ids of each image set of the usual names that there is."""
        return self._main

    def selectable(self) -> Collection[str]:
        """The ids that `select` can take: they need be in no image set, only in the tree."""
        return dict.fromkeys([*self._known, *self._annotations, *_union(self._main)])

    @cached_property
    def _set_files(self) -> dict[str, Path]:
        files = sorted((self.root / IMAGE_SETS).glob("*.[tT][xX][tT]"))
        return {path.stem: path for path in files if not path.name.startswith(".")}

    @cached_property
    def _main(self) -> dict[str, list[str]]:
        """The usual image sets that there are."""
        sets = {}
        for name in (one for one in _UNION if one in self._set_files):
            try:
                sets[name] = read_image_set(self._set_files[name], self._in_tree)
            except DataError as error:
                if not self._tolerant:
                    raise
                self._list_faults.append(Finding("error", "broken-list", self._set_files[name], error.one_line))
        return sets

    @cached_property
    def _annotations(self) -> dict[str, str]:
        """Id -> annotation file, relative to Annotations."""
        return xml_files(self.root / "Annotations")

    @cached_property
    def _image_files(self) -> dict[str, list[str]]:
        """Id -> image files, relative to JPEGImages, the one that is read first."""
        return self._images.by_id() if self._images else {}

    def _in_tree(self) -> Container[str]:
        return self._image_files.keys() | self._annotations.keys()

    @cached_property
    def _membership(self) -> dict[str, str]:
        return {image_id: name for name in SPLITS for image_id in self._main.get(name, ())}

    def image_path(self, image_id: str) -> Path:
        """The image's file, of whatever extension is there; `<id>.jpg` where there is none."""
        found = resolve(image_id, self._known, where=self.root)
        return self.root / "JPEGImages" / self._image_files.get(as_known(found, self._image_files), [f"{found}.jpg"])[0]

    def annotation_path(self, image_id: str) -> Path:
        """The image's annotation file."""
        found = resolve(image_id, self._known, where=self.root)
        return self.root / "Annotations" / self._annotations.get(as_known(found, self._annotations), f"{found}.xml")

    def annotation(self, image_id: str) -> ImageRecord:
        """Parse one image's annotation file.

        Raises:
            MissingAnnotationError: There is no such file.
            DataError: It is broken.
        """
        split = self.split if self.split in SPLITS else self._membership.get(image_id)
        image = self.image_path(image_id)
        if as_known(image_id, self._annotations) not in self._annotations:
            if self._tolerant and image_id in self._unpublished:
                return ImageRecord(image_id, image, None, split)
            raise MissingAnnotationError(
                "The annotation is missing.", where=self.annotation_path(image_id), got="listed in ImageSets/Main"
            )
        said = read_annotation(self.annotation_path(image_id))
        return ImageRecord(image_id, image, said.objects, split, said.lighting, said.indoor, size=said.size)

    @cached_property
    def _unpublished(self) -> frozenset[str]:
        # The test annotations of VOC2012 were never published.
        return frozenset(self._main.get("test", ()) if self.name == "VOC2012" else ())

    def check(self) -> Iterator[Finding]:
        """What is wrong with image sets, files that belong to nothing, and what XML files say of themselves."""
        yield from self._check_sets()
        yield from self._check_files()
        for image_id in (one for one in self.ids if as_known(one, self._annotations) in self._annotations):
            path = self.annotation_path(image_id)
            try:
                said = read_annotation(path)
            except DataError:
                continue  # `verify` reports it with the image
            if said.file and image_id.rpartition("/")[2] not in forms(stem(said.file)):
                yield Finding("warning", "other-filename", path, f"its <filename> is {said.file}")
            for oddity in said.oddities:
                yield Finding("warning", "odd-value", path, oddity)

    def _check_sets(self) -> Iterator[Finding]:
        folder = self.root / IMAGE_SETS
        if not self._main:
            # Those of classes (`car_test`) come last.
            others = sorted(self._set_files, key=lambda name: ("_" in name, name))
            ways = f"`--split NAME` takes {shown(others)}" if others else "only `--split all` works"
            message = f"none of train, val, trainval, test: {ways}"
            yield Finding("warning" if self._set_files else "error", "no-image-sets", folder, message)
        for name, ids in self._main.items():
            for image_id, times in Counter(ids).items():
                if times > 1:
                    message = f"{image_id} is listed {times} times"
                    yield Finding("error", "duplicate-id", self._set_files[name], message)
            both = sorted(set(ids) & set(self._main.get("test", ())))
            if name != "test" and both:
                message = f"{len(both)} ids are in test as well: {', '.join(both[:5])}"
                yield Finding("error", "leak", self._set_files[name], message)
        official = OFFICIAL_IMAGES.get(self.name)
        if official:
            yield from compare_counts({name: len(ids) for name, ids in self._main.items()}, official, folder)

    def _check_files(self) -> Iterator[Finding]:
        images, annotations = self._image_files, self._annotations
        for image_id in sorted(_without(_without(images, annotations), self._known)):
            path = self.root / "JPEGImages" / images[image_id][0]
            yield Finding("warning", "orphan-image", path, "no annotation and in no image set")
        for image_id in sorted(_without(annotations, images)):
            path = self.root / "Annotations" / annotations[image_id]
            yield Finding("warning", "orphan-annotation", path, "there is no image of this id")
        for file in find_images(self.root / "Annotations").others:
            if annotations.get(file[:-4], file) != file:
                path = self.root / "Annotations" / file
                yield Finding("error", "several-annotations", path, f"{annotations[file[:-4]]} is read in its place")


class VOCAnnotations(Dataset):
    """A lone folder of VOC's XML files as a data set; the images lie beside them and need not be there.

    Raises:
        DataError: The folder holds no XML file.
    """

    def __init__(self, root: str | Path) -> None:
        found = find_images(root)
        self._images, self._files = found.by_id(), found.others_by_id(".xml")
        if not self._files:
            raise DataError("The folder holds no XML file.", where=root)
        super().__init__(root, sorted(self._files))

    def image_path(self, image_id: str) -> Path:
        """The image beside the XML file; `<id>.jpg` where there is none."""
        return self.root / self._images.get(as_known(image_id, self._images), [f"{image_id}.jpg"])[0]

    def annotation_path(self, image_id: str) -> Path:
        """The XML file."""
        return self.root / self._files[resolve(image_id, self._files, where=self.root)]

    def annotation(self, image_id: str) -> ImageRecord:
        """Parse one XML file."""
        said = read_annotation(self.annotation_path(image_id))
        return ImageRecord(
            image_id, self.image_path(image_id), said.objects, None, said.lighting, said.indoor, size=said.size
        )


def xml_files(folder: Path) -> dict[str, str]:
    """Id -> XML file in a folder or below it, relative to it; `.XML` counts, hidden files do not; `.xml` goes first."""
    return find_images(folder).others_by_id(".xml")


def _without(names: Iterable[str], others: Container[str]) -> list[str]:
    return [name for name in names if as_known(name, others) not in others]


def _union(sets: Mapping[str, list[str]]) -> list[str]:
    return list(dict.fromkeys(image_id for ids in sets.values() for image_id in ids))


def is_voc_tree(folder: Path) -> bool:
    """Tell whether a folder is itself a VOC tree: Annotations beside ImageSets/Main, or with XML beside JPEGImages."""
    if not (folder / "Annotations").is_dir():
        return False
    # Without image sets the XML files say which images there are; others put COCO's JSON into folders of these names.
    has_lists, has_images = (folder / IMAGE_SETS).is_dir(), (folder / "JPEGImages").is_dir()
    return has_lists or (has_images and bool(xml_files(folder / "Annotations")))


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
