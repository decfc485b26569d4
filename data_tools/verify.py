"""What is wrong with a data set, before a run wastes hours on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from duskbench.data_tools import exdark, voc
from duskbench.data_tools.boxes import Box, BoxError
from duskbench.data_tools.classes import EXDARK_CLASSES, OUTSIDE_VOC, SPLITS, VOC_CLASSES
from duskbench.data_tools.dataset import LAYOUTS, detect_layout
from duskbench.data_tools.errors import DataError, UnknownNameError
from duskbench.data_tools.findings import Collector, Report, Severity
from duskbench.data_tools.folder import ImageFolder
from duskbench.data_tools.ids import stem
from duskbench.data_tools.images import is_image_file
from duskbench.data_tools.ordered_map import Progress, ordered_map
from duskbench.data_tools.verify_image import ImageCheck, check_image
from duskbench.data_tools.voc_xml import read_annotation


@dataclass(frozen=True)
class Expectation:
    """An image that should be there: its file, the size its annotation states, and its boxes with their names."""

    id: str
    path: Path
    size: tuple[int, int] | None = None
    boxes: tuple[tuple[str, Box], ...] = ()


def verify(
    root: str | Path,
    layout: str = "auto",
    *,
    year: int | str | None = None,
    box_origin: int = 1,
    decode: bool = True,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Look for everything that is wrong with a data set.

    Counts against the official ones, missing and orphan files, images that do not decode to their last row, EXIF
    orientation, image sizes against those the annotation states, boxes outside the image, unknown classes, ids listed
    twice, images without boxes, and files of the same bytes.

    Args:
        root: The folder.
        layout: `exdark`, `voc`, `folder`, or `auto`.
        year: Which VOC year, where the folder holds several.
        box_origin: See `exdark.ExDark`.
        decode: Decode every image to its last row; False reads headers and bytes only.
        workers: Threads; as many as there are cores by default.
        progress: Called with images done and images in all.

    Returns:
        The report; what is wrong inside the data set is a finding, not an exception.

    Raises:
        DataError: No such folder, or not of this layout.
        UnknownNameError: No such layout.
    """
    root = Path(root)
    if layout not in LAYOUTS:
        raise UnknownNameError("layout", layout, LAYOUTS)
    if not root.is_dir():
        raise DataError("No such data set folder.", where=root)
    chosen = detect_layout(root) if layout == "auto" else layout
    root = voc.find_voc_tree(root, year) if chosen == "voc" else root
    report = Report(str(root), chosen)
    found = Collector(report, root)
    expectations = {
        "exdark": partial(_exdark, root, found, box_origin),
        "voc": partial(_voc, root, found),
        "folder": partial(_folder, root, found),
    }[chosen]()
    _check_images(expectations, found, decode, workers, progress)
    return report


def _check_images(
    expected: list[Expectation], found: Collector, decode: bool, workers: int | None, progress: Progress | None
) -> None:
    first_of: dict[str, Path] = {}
    checks: Callable[[Expectation], ImageCheck | None] = partial(_check_one, decode=decode)
    for done, (one, check) in enumerate(zip(expected, ordered_map(checks, expected, workers), strict=True), start=1):
        if check is not None:
            found.count("images present")
            for severity, code, message in check.problems:
                found.add(severity, code, one.path, message)
            if check.size:
                _compare_sizes(one, check.size, found)
            if check.sha256 and first_of.setdefault(check.sha256, one.path) is not one.path:
                found.add("warning", "duplicate-image", one.path, f"same bytes as {first_of[check.sha256].name}")
        if progress:
            progress(done, len(expected))


def _check_one(one: Expectation, *, decode: bool) -> ImageCheck | None:
    return check_image(one.path, decode=decode) if one.path.is_file() else None


def _compare_sizes(one: Expectation, size: tuple[int, int], found: Collector) -> None:
    width, height = size
    if one.size and one.size != size:
        stated = f"{one.size[0]} x {one.size[1]}"
        found.add("error", "size-mismatch", one.path, f"the image is {width} x {height}, its annotation says {stated}")
    for name, (x1, y1, x2, y2) in one.boxes:
        shown = f"{name} box {x1:g}, {y1:g}, {x2:g}, {y2:g} (0-based x1, y1, x2, y2), image {width} x {height}"
        if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
            found.add("error", "box-off-image", one.path, f"{shown}: nothing of it is inside")
        elif x1 < 0 or y1 < 0 or x2 > width or y2 > height:
            found.add("warning", "box-outside", one.path, f"{shown}: reaches outside")


def _exdark(root: Path, found: Collector, box_origin: int) -> list[Expectation]:
    class_list = exdark.find_class_list(root)
    listed: dict[str, exdark.ListedImage] = {}
    try:
        for row in exdark.read_class_list(class_list):
            if row.id in listed:
                found.add(
                    "error",
                    "duplicate-id",
                    class_list,
                    f"line {row.line}: {row.file} again, after {listed[row.id].file}",
                )
            else:
                listed[row.id] = row
    except DataError as error:
        found.add("error", "broken-list", class_list, _one_line(error))
    found.count("images listed", len(listed))
    by_split = Counter(row.split for row in listed.values())
    for split in SPLITS:
        found.count(f"listed {split}", by_split[split])
    _compare_counts(dict(by_split), exdark.OFFICIAL_IMAGES, class_list, found)

    image_folder, annotation_folder = root / "ExDark", exdark.find_annotation_folder(root)
    expected = []
    for row in listed.values():
        path = image_folder / row.class_folder / row.file
        annotation = annotation_folder / row.class_folder / f"{row.file}.txt"
        _report_missing(path, found)
        expected.append(Expectation(row.id, path, boxes=_exdark_boxes(row, annotation, box_origin, found)))
    boxes = found.report.counts.get("boxes", 0)
    has_all = found.report.counts.get("annotations present", 0) == sum(exdark.OFFICIAL_IMAGES.values())
    if has_all and boxes != exdark.OFFICIAL_BOXES:
        found.add("error", "count", annotation_folder, f"{boxes} boxes; the release has {exdark.OFFICIAL_BOXES}")
    _report_orphans(image_folder, {one.path for one in expected}, "image", found)
    annotations = {annotation_folder / row.class_folder / f"{row.file}.txt" for row in listed.values()}
    _report_orphans(annotation_folder, annotations, "annotation", found)
    return expected


def _exdark_boxes(
    row: exdark.ListedImage, annotation: Path, box_origin: int, found: Collector
) -> tuple[tuple[str, Box], ...]:
    if not annotation.is_file():
        found.add("error", "missing-annotation", annotation, "listed in imageclasslist.txt, not there")
        return ()
    found.count("annotations present")
    try:
        objects = exdark.read_bbgt(annotation)
    except DataError as error:
        found.add("error", _code(error), annotation, _one_line(error))
        return ()
    found.count("boxes", len(objects))
    if not objects and row.id in exdark.KNOWN_WITHOUT_BOX:
        found.add("info", "no-boxes-known", annotation, "the release itself has no box for this image")
    elif not objects:
        found.add("warning", "no-boxes", annotation, "no box in the file")
    elif row.class_folder not in {one.name for one in objects}:
        found.add("info", "no-own-class", annotation, f"no box of {row.class_folder}, the class of its folder")
    return tuple((one.name, one.box_xyxy(box_origin)) for one in objects)


def _voc(root: Path, found: Collector) -> list[Expectation]:
    main = _read_image_sets(root, found)
    for name, ids in main.items():
        file = root / voc.IMAGE_SETS / f"{name}.txt"
        found.count(f"listed {name}", len(ids))
        for image_id, times in Counter(ids).items():
            if times > 1:
                found.add("error", "duplicate-id", file, f"{image_id} is listed {times} times")
    if not main:
        found.add("error", "no-image-sets", root / voc.IMAGE_SETS, "none of train, val, trainval, test")
    _report_leaks(root, main, found)
    official = voc.OFFICIAL_IMAGES.get(root.resolve().name)
    if official:
        _compare_counts({name: len(ids) for name, ids in main.items()}, official, root / voc.IMAGE_SETS, found)

    images = {stem(path.name): path for path in sorted(root.glob("JPEGImages/*")) if is_image_file(path)}
    annotations = {path.stem: path for path in sorted(root.glob("Annotations/*.xml"))}
    listed = list(dict.fromkeys(image_id for ids in main.values() for image_id in ids)) or list(annotations)
    found.count("images listed", len(listed))
    for image_id in sorted(images.keys() - annotations.keys() - set(listed)):
        found.add("warning", "orphan-image", images[image_id], "no annotation and in no image set")
    for image_id in sorted(annotations.keys() - images.keys()):
        found.add("warning", "orphan-annotation", annotations[image_id], "there is no image of this id")
    # The test annotations of VOC2012 were never published.
    unannotated = set(main.get("test", ())) if root.resolve().name == "VOC2012" else set()
    expected = []
    for image_id in listed:
        path = images.get(image_id, root / "JPEGImages" / f"{image_id}.jpg")
        _report_missing(path, found)
        expected.append(_voc_expectation(image_id, path, annotations.get(image_id), image_id in unannotated, found))
    return expected


def _read_image_sets(root: Path, found: Collector) -> dict[str, list[str]]:
    main = {}
    for name in ("train", "val", "trainval", "test"):
        file = root / voc.IMAGE_SETS / f"{name}.txt"
        try:
            if file.is_file():
                main[name] = voc.read_image_set(file)
        except DataError as error:
            found.add("error", "broken-list", file, _one_line(error))
    return main


def _report_leaks(root: Path, main: dict[str, list[str]], found: Collector) -> None:
    for training in ("train", "val", "trainval"):
        both = sorted(set(main.get(training, ())) & set(main.get("test", ())))
        if both:
            message = f"{len(both)} ids are in test as well: {', '.join(both[:5])}"
            found.add("error", "leak", root / voc.IMAGE_SETS / f"{training}.txt", message)


def _voc_expectation(
    image_id: str, path: Path, annotation: Path | None, may_lack_it: bool, found: Collector
) -> Expectation:
    if annotation is None:
        if not may_lack_it:
            missing = path.parent.parent / "Annotations" / f"{image_id}.xml"
            found.add("error", "missing-annotation", missing, "listed in ImageSets/Main, not there")
        return Expectation(image_id, path)
    try:
        said = read_annotation(annotation)
    except DataError as error:
        found.add("error", _code(error), annotation, _one_line(error))
        return Expectation(image_id, path)
    found.count("annotations present")
    found.count("boxes", len(said.objects))
    found.count("boxes difficult", sum(one.difficult for one in said.objects))
    if not said.objects:
        severity: Severity = "info" if image_id in exdark.KNOWN_WITHOUT_BOX else "warning"
        found.add(severity, "no-boxes", annotation, "no object in the file")
    if said.file and stem(said.file) != image_id:
        found.add("warning", "other-filename", annotation, f"its <filename> is {said.file}")
    for name in sorted({one.name for one in said.objects}):
        if name not in VOC_CLASSES and name not in OUTSIDE_VOC:
            hint = " (ExDark's name; convert with `duskbench data exdark`)" if name in EXDARK_CLASSES else ""
            found.add("error", "unknown-class", annotation, f"{name!r} is no VOC class{hint}")
    return Expectation(image_id, path, said.size, tuple((one.name, one.box_xyxy) for one in said.objects))


def _folder(root: Path, found: Collector) -> list[Expectation]:
    dataset = ImageFolder(root)
    found.count("images listed", len(dataset.ids))
    return [Expectation(image_id, dataset.image_path(image_id)) for image_id in dataset.ids]


def _compare_counts(got: dict[str, int], official: dict[str, int], file: Path, found: Collector) -> None:
    """The layout says nothing of whose images these are: other counts are another set's, or those of a part."""
    other = [f"{split} {got[split]} ({n})" for split, n in official.items() if split in got and got[split] != n]
    if other:
        message = f"images listed (official number): {', '.join(other)}; not comparable with published numbers"
        found.add("warning", "count", file, message)
    if not got.keys() & official.keys():
        found.add("error", "count", file, f"lists no image; the official sets are {official}")


def _report_missing(path: Path, found: Collector) -> None:
    if path.is_file():
        return
    # A renamed ending is the usual cause: `x.JPG` unpacked as `x.jpg`.
    near = found.of_same_stem(path)
    found.add("error", "missing-image", path, f"not there, but {', '.join(near)} is" if near else "not there")


def _report_orphans(folder: Path, known: set[Path], kind: str, found: Collector) -> None:
    for path in _files(folder):
        if path not in known and (kind == "annotation" or is_image_file(path)):
            found.add("warning", f"orphan-{kind}", path, "imageclasslist.txt does not list it here")


def _files(folder: Path) -> Iterator[Path]:
    paths: Iterable[Path] = sorted(folder.glob("*/*")) if folder.is_dir() else ()
    return (path for path in paths if path.is_file() and not path.name.startswith("."))


def _code(error: DataError) -> str:
    if isinstance(error, BoxError):
        return "degenerate-box"
    return "unknown-class" if isinstance(error, exdark.UnknownClassError) else "broken-annotation"


def _one_line(error: DataError) -> str:
    parts = [error.what, *(f"{name} {text}" for name, text in (("at", error.where), ("got", error.got)) if text)]
    return " ".join(" ".join(str(part) for part in parts).split())
