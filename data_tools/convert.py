"""ExDark as a VOC tree: annotations as VOC's XML, splits as image sets, images byte for byte, and a manifest."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from duskbench.data_tools.bbgt import read_bbgt
from duskbench.data_tools.boxes import clip_box
from duskbench.data_tools.classes import EXDARK_TO_VOC, SPLITS
from duskbench.data_tools.datasets import missing as missing_images
from duskbench.data_tools.datasets import open_dataset
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.exdark import ExDark
from duskbench.data_tools.files import CopyMode, file_sha256, place_file, write_text, written_whole
from duskbench.data_tools.ids import shown
from duskbench.data_tools.image_sets import IMAGE_SETS, write_image_sets
from duskbench.data_tools.images import image_size
from duskbench.data_tools.leftovers import remove_leftovers
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.data_tools.records import ObjectAnnotation
from duskbench.data_tools.voc_xml import VOCAnnotation, format_annotation

MANIFEST = "manifest.csv"
MissingMode = Literal["error", "skip", "annotate"]


@dataclass(frozen=True)
class ManifestRow:
    """One line of manifest.csv; for an image that is absent `sha256` is empty and bytes, width and height are 0."""

    id: str
    file: str
    sha256: str
    bytes: int
    width: int
    height: int
    split: str
    class_folder: str
    lighting: str
    indoor: int
    boxes: int
    boxes_clipped: int


@dataclass(frozen=True)
class Conversion:
    """What `exdark_to_voc` did.

    Attributes:
        out: The VOC tree.
        images: Images in it, by split.
        boxes: Boxes written.
        boxes_clipped: Boxes that left their image and were clipped.
        written: Files written or linked this time; 0 when all was done already.
        missing: Ids whose image file is absent; in the tree without image if `missing='annotate'`, not in it if
            `'skip'`.
    """

    out: Path
    images: dict[str, int]
    boxes: int
    boxes_clipped: int
    written: int
    missing: tuple[str, ...]

    def __str__(self) -> str:
        images = ", ".join(f"{count} {split}" for split, count in self.images.items())
        absent = f"; {len(self.missing)} images are absent" if self.missing else ""
        return f"{images}; {self.boxes} boxes, {self.boxes_clipped} clipped; {self.written} files written{absent}"


def exdark_to_voc(
    exdark_root: str | Path,
    out: str | Path,
    *,
    split: str | Path | Sequence[str] = "all",
    copy: CopyMode = "hardlink",
    missing: MissingMode = "error",
    box_origin: int = 1,
    progress: Progress = SILENT,
) -> Conversion:
    """Convert an ExDark tree to a VOC tree.

    Writes `Annotations/<id>.xml`, `JPEGImages/<original file name>`, `ImageSets/Main/` (train, val, trainval, test,
    and one file a class and split) and `manifest.csv`. Class names are VOC's; Cup stays as `cup` with
    `<protocol>outside</protocol>` in its object, for VOC has no such class and the protocol leaves it out. `pose` is
    Unspecified and `truncated` 0 because parsers insist on them, not because ExDark says so. Lighting type and
    indoor/outdoor are kept in the XML and in the manifest.

    Every file appears whole or not at all; image sets and manifest come last. Run again, it leaves what is right and
    writes the rest; another split is added.

    Args:
        exdark_root: ExDark tree as released.
        out: Folder of the VOC tree.
        split: Which images; see `datasets.open_dataset`.
        copy: `hardlink` where the file system allows it, `copy` for files of their own.
        missing: What to do where an image file is absent: `error`, leave it out (`skip`), or write its annotation
            alone (`annotate`), with size 0 and boxes clipped at the left and top edges only.
        box_origin: See `exdark.ExDark`.
        progress: Where images done are reported.

    Raises:
        ConfigError: An argument is none of its choices.
        DataError: The tree is broken, the split is empty, an image is absent and `missing` is `error`, or `out` is
            another VOC tree.
    """
    for option, value, known in (
        ("copy", copy, ("hardlink", "copy")),
        ("missing", missing, ("error", "skip", "annotate")),
    ):
        if value not in known:
            raise ConfigError("Unknown choice.", where=option, expected=" or ".join(known), got=repr(value))
    dataset, out = open_dataset(exdark_root, layout="exdark", split=split, box_origin=box_origin), Path(out)
    assert isinstance(dataset, ExDark)  # noqa: S101 - what layout="exdark" opens
    dataset.ids = list(dict.fromkeys((*dataset.ids, *_converted_earlier(out, dataset))))
    if not dataset.ids:
        raise DataError("The split has no image.", where=dataset.class_list, got=f"split {split}: 0 images")
    absent = missing_images(dataset)
    if absent and missing == "error":
        raise _missing_error(dataset, absent)
    remove_leftovers(out)
    left_out = set(absent) if missing == "skip" else set()
    ids = [image_id for image_id in dataset.ids if image_id not in left_out]

    counts: Counter[str] = Counter()
    objects: dict[str, tuple[ObjectAnnotation, ...]] = {}
    image_sets: dict[str, list[str]] = {name: [] for name in ("train", "val", "trainval", "test")}
    with _manifest_rows(out / MANIFEST) as write_row:
        for done, image_id in enumerate(ids, start=1):
            row, annotation, written = _convert_image(dataset, image_id, out, copy)
            write_row(asdict(row))
            counts.update(boxes=row.boxes, boxes_clipped=row.boxes_clipped, written=written)
            objects[image_id] = _without_boxes(annotation.objects)
            for name in (row.split, *(["trainval"] if row.split != "test" else [])):
                image_sets[name].append(image_id)
            progress.update("Converting", done, len(ids))
    write_image_sets(out, image_sets, objects, tuple(EXDARK_TO_VOC.values()))
    images = {name: len(image_sets[name]) for name in SPLITS}
    return Conversion(out, images, counts["boxes"], counts["boxes_clipped"], counts["written"], tuple(absent))


def _converted_earlier(out: Path, dataset: ExDark) -> list[str]:
    """The ids that a VOC tree holds already, as of another split.

    Raises:
        DataError: It was not converted from this ExDark.
    """
    ids = []
    if (out / MANIFEST).is_file():
        with (out / MANIFEST).open(encoding="utf-8", newline="") as file:
            ids = [str(row.get("id")) for row in csv.DictReader(file)]
    strange = [image_id for image_id in ids if image_id not in dataset.listed]
    # Image sets and manifest are written last: what was interrupted has neither.
    if strange or (not ids and (out / IMAGE_SETS).exists()):
        raise DataError(
            "The folder is a VOC tree that was not converted from this ExDark; its lists would be overwritten.",
            where=out,
            expected="an empty folder",
            got=f"image {strange[0]}" if strange else f"{IMAGE_SETS} without {MANIFEST}",
            todo="choose another folder",
        )
    return ids


def _missing_error(dataset: ExDark, absent: list[str]) -> DataError:
    return DataError(
        "Image files are absent.",
        where=dataset.image_folder,
        expected=f"{len(dataset.ids)} images",
        got=f"{len(absent)} absent: {shown(absent)}",
        todo="complete the images, or say missing='skip' to leave them out, 'annotate' to convert annotations alone",
    )


def _convert_image(dataset: ExDark, image_id: str, out: Path, copy: CopyMode) -> tuple[ManifestRow, VOCAnnotation, int]:
    listed, source = dataset.listed[image_id], dataset.image_path(image_id)
    present = source.is_file()
    size = image_size(source) if present else None
    boxes, clipped = _clipped_objects(dataset, image_id, size)
    annotation = VOCAnnotation(
        file=listed.file,
        size=size,
        depth=3,
        objects=boxes,
        folder=out.resolve().name,
        lighting=listed.lighting,
        indoor=listed.indoor,
    )
    written = _write_if_other(out / "Annotations" / f"{image_id}.xml", format_annotation(annotation))
    if present:
        written += place_file(source, out / "JPEGImages" / listed.file, copy)
    width, height = size or (0, 0)
    row = ManifestRow(
        id=image_id,
        file=listed.file,
        sha256=file_sha256(source) if present else "",
        bytes=source.stat().st_size if present else 0,
        width=width,
        height=height,
        split=listed.split,
        class_folder=listed.class_folder,
        lighting=listed.lighting,
        indoor=int(listed.indoor),
        boxes=len(boxes),
        boxes_clipped=clipped,
    )
    return row, annotation, written


def _clipped_objects(
    dataset: ExDark, image_id: str, size: tuple[int, int] | None
) -> tuple[tuple[ObjectAnnotation, ...], int]:
    path = dataset.annotation_path(image_id)
    found, clipped = [], 0
    for line in read_bbgt(path):
        box = line.box_xyxy(dataset.box_origin)
        inside = clip_box(box, size, where=f"{path}:{line.line}")
        clipped += inside != box
        found.append(ObjectAnnotation(EXDARK_TO_VOC[line.name], inside, truncated=False, pose="Unspecified"))
    return tuple(found), clipped


def _without_boxes(objects: tuple[ObjectAnnotation, ...]) -> tuple[ObjectAnnotation, ...]:
    # The image sets need only which classes an image holds; this keeps a few shared objects instead of every box.
    return tuple(_MARKERS[name] for name in dict.fromkeys(found.name for found in objects))


_MARKERS = {name: ObjectAnnotation(name, (0.0, 0.0, 1.0, 1.0)) for name in EXDARK_TO_VOC.values()}


def _write_if_other(path: Path, text: str) -> int:
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return 0
    write_text(path, text)
    return 1


@contextmanager
def _manifest_rows(path: Path) -> Iterator[Any]:
    with written_whole(path) as file:
        writer = csv.DictWriter(file, [field.name for field in fields(ManifestRow)], lineterminator="\n")
        writer.writeheader()
        yield writer.writerow
