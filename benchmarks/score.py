"""A detector's results file, scored on the annotations of a VOC tree: `duskbench score`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from duskbench.benchmarks.metrics.coco_ap import coco_ap
from duskbench.benchmarks.metrics.voc_ap import Mode, voc_ap
from duskbench.benchmarks.protocol import IouMatch, Protocol
from duskbench.data_tools.classes import EXDARK_TO_VOC, VOC_CLASSES
from duskbench.data_tools.dataset import open_dataset
from duskbench.data_tools.errors import DataError, UnknownNameError
from duskbench.data_tools.ids import UnknownIdError, stem
from duskbench.data_tools.records import ObjectAnnotation
from duskbench.data_tools.voc import is_voc_tree
from duskbench.data_tools.voc_xml import normalise_class, read_annotation

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Score:
    """What a results file scores.

    Attributes:
        ap: Class -> AP in [0, 1], None for a class with no object but difficult ones; excluded classes are absent.
        map: Mean over the classes that have a value; None if none has.
        n_gt: Class -> objects that are not difficult.
        n_det: Class -> detections.
        n_images: Images of the annotations; those without a detection count too.
        excluded: Classes dropped before matching.
        protocol: The rules.
        coco: `AP50:95`, `AP50`, `AP75`; empty unless asked for.
    """

    ap: dict[str, float | None]
    map: float | None
    n_gt: dict[str, int]
    n_det: dict[str, int]
    n_images: int
    excluded: tuple[str, ...]
    protocol: Protocol
    coco: dict[str, float | None]

    def to_json(self) -> str:
        """Strict JSON with sorted keys, in full precision."""
        rules = {key: getattr(self.protocol, key) for key in ("ap", "iou_match", "iou_threshold", "plus_one")}
        content = {
            "AP": self.ap,
            "mAP": self.map,
            "COCO": self.coco,
            "n_gt": self.n_gt,
            "n_detections": self.n_det,
            "n_images": self.n_images,
            "excluded": list(self.excluded),
            "protocol": rules,
        }
        return json.dumps(content, indent=2, sort_keys=True, allow_nan=False)


def score(
    annotations: str | Path,
    detections: str | Path,
    *,
    classes: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    split: str = "test",
    mode: str = "11point",
    iou_threshold: float = 0.5,
    iou_match: str = ">",
    plus_one: bool = False,
    coco: bool = False,
) -> Score:
    """Score a COCO-style results file on a VOC tree, or on another data set that `open_dataset` knows.

    Args:
        annotations: A VOC tree, its Annotations folder, or a lone folder of VOC XML files, which is then taken whole.
        detections: JSON. A list of `{"image_id", "category_id", "bbox": [x, y, width, height], "score"}` in 0-based
            continuous pixels, or a dict with such a list under `annotations` or `detections`, and with COCO's
            `categories` and `images`, either of which may be missing. An `image_id` is a file name with or without
            ending, or its number (`12` for `000012`). A `category_id` is a number as in `categories`, by default the
            1-based position in `classes`; or a class name, which may also stand under `category`.
        classes: Classes to score; default: those of `categories` or else VOC's, and those of the annotations.
        exclude: Classes to leave out: their objects and detections are dropped before matching.
        split: Which images: `test`, `val`, `train`, `trainval`, `all`, or a file of image ids.
        mode: `11point` or `area`.
        iou_threshold: Overlap from which a detection finds an object.
        iou_match: `>` or `>=`.
        plus_one: See `Protocol.plus_one`.
        coco: Compute COCO AP as well.

    Raises:
        DataError: A file that is missing, is no such JSON, or has an unusable entry, which is named by its position.
        UnknownNameError: A class in `exclude` or in the results, or an image, that is not known.
        ConfigError: A rule that does not exist.
    """
    truth = _read_truth(Path(annotations), split)
    results = _Results.read(Path(detections))
    names = tuple(dict.fromkeys(classes)) if classes else tuple(results.categories.values()) or VOC_CLASSES
    numbered = results.categories or dict(enumerate(names, start=1))
    if not classes:
        # A class that is annotated and that the detector does not know counts against it, unless it is excluded.
        annotated = {found.name for objects in truth.values() for found in objects}
        names = (*names, *sorted(annotated.difference(names)))
    excluded = tuple(dict.fromkeys(_class_name(name, names, where="--exclude") for name in exclude))
    kept = tuple(name for name in names if name not in excluded)
    # Protocol refuses what is none of its literals.
    protocol = Protocol(kept, iou_threshold, cast(IouMatch, iou_match), plus_one, cast(Mode, mode))

    gt_boxes, gt_columns = _truth_arrays(truth, kept)
    det_boxes, det_columns = results.arrays(truth, names, numbered, kept)
    gt_labels, gt_images, difficult = gt_columns
    det_labels, det_images, scores = det_columns
    result = voc_ap(
        gt_boxes - (np.array([0.0, 0.0, 1.0, 1.0]) if plus_one else 0.0), gt_labels, gt_images, difficult,
        det_boxes, scores, det_labels, det_images, len(kept),
        iou_threshold=iou_threshold, mode=protocol.ap, strict=protocol.iou_match == ">", plus_one=plus_one,
    )  # fmt: skip
    extra: dict[str, float | None] = {}
    if coco:
        # COCO's boxes are continuous whatever the VOC rules say.
        columns = gt_boxes, gt_labels, gt_images, difficult, det_boxes, scores, det_labels, det_images
        found = coco_ap(*columns, len(kept))
        extra = {"AP50:95": found.ap, "AP50": found.ap50, "AP75": found.ap75}
    return Score(
        ap=dict(zip(kept, result.ap, strict=True)),
        map=result.mean(),
        n_gt=dict(zip(kept, result.n_gt, strict=True)),
        n_det=dict(zip(kept, result.n_det, strict=True)),
        n_images=len(truth),
        excluded=excluded,
        protocol=protocol,
        coco=extra,
    )


def to_terminal(result: Score) -> RenderableType:
    """Lay a score out for the terminal; AP in percent, classes without objects last."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"VOC AP on {result.n_images} images")
    for heading in ("class", "AP", "objects", "detections"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for name, ap in sorted(result.ap.items(), key=lambda item: item[1] is None):
        table.add_row(name, _percent(ap), str(result.n_gt[name]), str(result.n_det[name]))
    table.add_section()
    n_classes = sum(ap is not None for ap in result.ap.values())
    table.add_row(f"mAP over {n_classes} classes", _percent(result.map), *map(str, _totals(result)), style="bold")
    for name, value in result.coco.items():
        table.add_row(f"COCO {name}", _percent(value))
    left_out = f" Left out: {', '.join(result.excluded)}." if result.excluded else ""
    return Group(table, Text(f"{result.protocol.ap_rules()}.{left_out}"))


def _totals(result: Score) -> tuple[int, int]:
    return sum(result.n_gt.values()), sum(result.n_det.values())


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _class_name(name: str, known: Iterable[str], *, where: str | Path) -> str:
    """Bring a class name, VOC's or ExDark's in any usual spelling, to the known one."""
    known = tuple(known)
    for candidate in (name, normalise_class(name), EXDARK_TO_VOC.get(name, name)):
        if candidate in known:
            return candidate
    raise UnknownNameError("class", name, known, where=where)


def _read_truth(annotations: Path, split: str) -> dict[str, tuple[ObjectAnnotation, ...]]:
    """Objects of every image, in the data set's order."""
    if annotations.is_dir() and any(annotations.glob("*.xml")):
        if annotations.name != "Annotations" or not is_voc_tree(annotations.parent):
            return {path.stem: read_annotation(path).objects for path in sorted(annotations.glob("*.xml"))}
        annotations = annotations.parent
    dataset = open_dataset(annotations, split=split)
    truth = {}
    for image_id in dataset.ids:
        objects = dataset.record(image_id).objects
        if objects is None:
            raise DataError("The data set has no annotation to score on.", where=annotations, expected="a VOC tree")
        truth[image_id] = objects
    return truth


def _truth_arrays(
    truth: Mapping[str, tuple[ObjectAnnotation, ...]], kept: Sequence[str]
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    index = {name: i for i, name in enumerate(kept)}
    rows = [(number, o) for number, objects in enumerate(truth.values()) for o in objects if o.name in index]
    boxes = np.array([o.box_xyxy for _, o in rows], dtype=np.float64).reshape(-1, 4)
    labels = np.array([index[o.name] for _, o in rows], dtype=np.int64)
    images = np.array([number for number, _ in rows], dtype=np.int64)
    return boxes, (labels, images, np.array([o.difficult for _, o in rows], dtype=bool))


@dataclass(frozen=True)
class _Results:
    """A results file as read: entries, and what `categories` and `images` say, empty where the file lacks them."""

    path: Path
    entries: list[Any]
    categories: dict[Any, str]
    images: dict[Any, str]

    @classmethod
    def read(cls, path: Path) -> _Results:
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise DataError("Cannot read the results file.", where=path, expected="JSON", got=str(error)) from error
        if isinstance(content, list):
            return cls(path, content, {}, {})
        entries = None
        if isinstance(content, dict):
            entries = content.get("annotations", content.get("detections"))
        if not isinstance(entries, list):
            raise DataError(
                "The file holds no list of detections.",
                where=path,
                expected="a list, or a dict with a list under `annotations` or `detections`",
                got=type(content).__name__ if not isinstance(content, dict) else f"keys {', '.join(sorted(content))}",
            )
        try:
            categories = {c["id"]: _voc_name(c["name"]) for c in content.get("categories", ())}
            images = {i["id"]: str(i["file_name"]) for i in content.get("images", ())}
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                "`categories` or `images` is not as in COCO.",
                where=path,
                expected="`id` and `name` of each category, `id` and `file_name` of each image",
                got=f"{type(error).__name__}: {error}",
            ) from error
        return cls(path, entries, categories, images)

    def arrays(
        self, truth: Mapping[str, Any], names: Sequence[str], numbered: Mapping[Any, str], kept: Sequence[str]
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Boxes x1 y1 x2 y2, and labels, image numbers and scores of the detections of the kept classes."""
        find_image = _ImageNumbers(truth, self.images)
        index = {name: i for i, name in enumerate(kept)}
        label_of: dict[Any, int] = {}
        rows: list[tuple[float, ...]] = []
        for position, entry in enumerate(self.entries):
            try:
                category = entry["category_id"] if "category_id" in entry else entry["category"]
                image, (x, y, width, height), value = entry["image_id"], entry["bbox"], float(entry["score"])
                row = (float(x), float(y), float(x) + float(width), float(y) + float(height), value)
                usable = all(map(math.isfinite, row)) and width >= 0 and height >= 0
                if category not in label_of:
                    label_of[category] = index.get(self._name(category, names, numbered, position), -1)
                number = find_image(image, f"{self.path}, entry {position}")
            except (KeyError, TypeError, ValueError) as error:
                raise self._unusable(position, entry) from error
            if not usable:
                raise self._unusable(position, entry)
            if label_of[category] >= 0:
                rows.append((*row, label_of[category], number))
        table = np.array(rows, dtype=np.float64).reshape(-1, 7)
        return table[:, :4], (table[:, 5].astype(np.int64), table[:, 6].astype(np.int64), table[:, 4])

    def _name(self, category: Any, names: Sequence[str], numbered: Mapping[Any, str], position: int) -> str:
        where = f"{self.path}, entry {position}"
        if category in numbered:
            return numbered[category]
        if isinstance(category, str):
            return _class_name(category, names, where=where)
        raise DataError(
            "A category_id names no class.",
            where=where,
            expected=", ".join(f"{number} {name}" for number, name in numbered.items()),
            got=repr(category),
            todo=None if self.categories else "numbers start at 1; a `categories` list in the file can say otherwise",
        )

    def _unusable(self, position: int, entry: Any) -> DataError:
        return DataError(
            "An entry of the results file is not usable.",
            where=f"{self.path}, entry {position}",
            expected="image_id, category_id, bbox [x, y, width, height] and score, all numbers finite",
            got=repr(entry)[:200],
        )


def _voc_name(name: str) -> str:
    """VOC's spelling of a class name, where VOC or ExDark has the class."""
    return EXDARK_TO_VOC.get(name, normalise_class(name))


class _ImageNumbers:
    """Position, in the data set, of the image that an `image_id` means."""

    def __init__(self, ids: Iterable[str], file_names: Mapping[Any, str]) -> None:
        self._positions = {image_id: i for i, image_id in enumerate(ids)}
        self._file_names = file_names
        self._found: dict[Any, int] = {}
        self._numbers: dict[int, list[str]] = {}
        for image_id in self._positions:
            # `000012` loses its zeros where an id is stored as a number, `2008_000012` its underscore too.
            digits = image_id.replace("_", "")
            if digits.isdecimal():
                self._numbers.setdefault(int(digits), []).append(image_id)

    def __call__(self, image_id: Any, where: str) -> int:
        if image_id not in self._found:
            self._found[image_id] = self._find(image_id, where)
        return self._found[image_id]

    def _find(self, image_id: Any, where: str) -> int:
        name = self._file_names.get(image_id, image_id)
        text = Path(name).name if isinstance(name, str) else str(name)
        for candidate in (text, stem(text)):
            if candidate in self._positions:
                return self._positions[candidate]
        meant = self._numbers.get(int(text), []) if text.isdecimal() else []
        if len(meant) != 1:
            # Built only now: finding the nearest of thousands of ids takes a tenth of a second.
            raise UnknownIdError(text, self._positions, where=where)
        return self._positions[meant[0]]
