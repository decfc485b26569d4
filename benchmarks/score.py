"""A detector's results file, scored on the annotations of a data set: `duskbench score`."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from duskbench.benchmarks.doubts import doubts
from duskbench.benchmarks.evaluate import evaluate
from duskbench.benchmarks.found import Found
from duskbench.benchmarks.metric_code import with_coco
from duskbench.benchmarks.metrics.registry import load_metric, metric_entry
from duskbench.benchmarks.protocol import ApMode, IouMatch, Protocol
from duskbench.benchmarks.provenance import annotations_sha256, environment, images_sha256
from duskbench.benchmarks.record import DataEntry, DetectorEntry, EnhancerEntry, RunRecord
from duskbench.benchmarks.rows import Detected, Key, Row, StoredImage
from duskbench.benchmarks.statistics import BootstrapOptions, Interval
from duskbench.benchmarks.store import RESULTS, ResultStore
from duskbench.benchmarks.stored_run import ground_truth
from duskbench.data_tools.classes import class_key
from duskbench.data_tools.datasets import open_dataset
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.ids import read_names
from duskbench.data_tools.records import ImageRecord
from duskbench.data_tools.voc import VOCAnnotations, is_voc_tree, voc_trees
from duskbench.pipeline.detectors.results_file import ResultsFile, known_class

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Score:
    """What a results file scores.

    Attributes:
        ap: Class -> AP in [0, 1] with its interval, None for a class with no object but difficult ones; excluded
            classes are absent.
        map: Mean over the classes that have a value; None if none has.
        n_gt: Class -> objects that are not difficult.
        n_det: Class -> detections.
        n_images: Images of the annotations; those without a detection count too.
        excluded: Classes dropped before matching.
        protocol: The rules.
        coco: `AP50:95`, `AP50`, `AP75`; empty unless asked for.
        doubts: What looks as if it was not meant so, a sentence each.
    """

    ap: dict[str, Interval | None]
    map: Interval | None
    n_gt: dict[str, int]
    n_det: dict[str, int]
    n_images: int
    excluded: tuple[str, ...]
    protocol: Protocol
    coco: dict[str, Interval | None]
    doubts: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Strict JSON with sorted keys, in full precision."""
        rules = {key: getattr(self.protocol, key) for key in ("ap", "iou_match", "iou_threshold", "plus_one")}
        with_ends = {**self.ap, "mAP": self.map, **{f"COCO {name}": value for name, value in self.coco.items()}}
        content = {
            "AP": {name: _value(interval) for name, interval in self.ap.items()},
            "mAP": _value(self.map),
            "COCO": {name: _value(interval) for name, interval in self.coco.items()},
            "intervals": {
                name: [interval.low, interval.high]
                for name, interval in with_ends.items()
                if interval is not None and interval.low is not None
            },
            "n_gt": self.n_gt,
            "n_detections": self.n_det,
            "n_images": self.n_images,
            "excluded": list(self.excluded),
            "protocol": rules,
            "warnings": list(self.doubts),
        }
        return json.dumps(content, indent=2, sort_keys=True, allow_nan=False)


def score(
    annotations: str | Path,
    detections_file: str | Path,
    *,
    classes: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    split: str = "test",
    mode: str = "11point",
    iou_threshold: float = 0.5,
    iou_match: str = ">",
    plus_one: bool = False,
    coco: bool = False,
    cluster: str | None = None,
    out: Path | None = None,
) -> Score:
    """Score a COCO-style results file on a VOC tree, or on another data set that `open_dataset` knows.

    Args:
        annotations: A data set; a VOC tree's Annotations folder, or a lone folder of VOC XML files, which is then taken
            whole, or as far as a file of image ids says. The images need not be there.
        detections_file: See `ResultsFile`.
        classes: Classes to score; default: those of the file's `categories` or else VOC's, and the annotated ones.
        exclude: Classes to leave out: their objects and detections are dropped before matching.
        split: Which images: `test`, `val`, `train`, `trainval`, `all`, or a file of image ids.
        mode: `11point` or `area`.
        iou_threshold: Overlap from which a detection finds an object.
        iou_match: `>` or `>=`.
        plus_one: See `Protocol.plus_one`.
        coco: Compute COCO AP as well.
        cluster: Which images are drawn together for the intervals; see `BootstrapOptions`.
        out: Folder for the results, as of a run, so that `table --by`, `compare` and `report` go on from there; None
            keeps nothing.

    Raises:
        DataError: A file that is missing, is no such JSON, or has an unusable entry, which is named by its position.
        UnknownNameError: A class in `exclude` or in the results, or an image, that is not known.
        ConfigError: A rule or a split that does not exist, or an id that `cluster` does not fit.
    """
    records, coco_files = _read_truth(Path(annotations), split)
    annotated = sorted({found.name for record in records for found in record.objects or ()})
    results = ResultsFile(detections_file, classes, coco_files, annotated)
    results.check_images(record.id for record in records)
    names = results.classes
    if not classes:
        # A class that is annotated and that the detector does not know is shown, and leaves the mean.
        by_key = {class_key(name): name for name in (*reversed(annotated), *names)}
        names = (*names, *sorted(set(by_key.values()).difference(names)))
    excluded = tuple(dict.fromkeys(known_class(name, names, where="--exclude") for name in exclude))
    kept = tuple(name for name in names if name not in excluded)
    # Protocol refuses what is none of its literals.
    protocol = Protocol(kept, iou_threshold, cast(IouMatch, iou_match), plus_one, cast(ApMode, mode))
    images = [_stored(record) for record in records]
    record = _record(protocol, results, Path(annotations), split, images)
    record = replace(record, bootstrap=BootstrapOptions(cluster=cluster))
    # An expression that does not fit is found out before anything is stored.
    record.bootstrap.clusters(record.image_ids)
    asked = with_coco(record) if coco else record
    with ExitStack() as stack:
        folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="duskbench-")))
        store = stack.enter_context(ResultStore(folder / RESULTS))
        found = _stored_detections(store, record, results, images)
        [result] = evaluate(store, asked)
    truth, boxes = ground_truth(images, protocol), Found.of(dict(enumerate(found))).boxes(results.classes, protocol)
    counted = truth.labels[~truth.difficult].tolist()
    aps = result.spread.classes.get("map", {})
    return Score(
        ap={name: aps.get(name) for name in kept},
        map=result.score("map"),
        n_gt={name: counted.count(label) for label, name in enumerate(kept)},
        n_det={name: int((boxes.labels == label).sum()) for label, name in enumerate(kept)},
        n_images=len(images),
        excluded=excluded,
        protocol=protocol,
        coco={c.heading.removeprefix("COCO "): result.score(c.key) for c in asked.columns() if c.key != "map"},
        doubts=tuple(doubts(truth, boxes)),
    )


def _stored_detections(
    store: ResultStore, record: RunRecord, results: ResultsFile, images: list[StoredImage]
) -> list[Detected]:
    """What the file says of each image, which becomes a run of the store."""
    found = [_detected(results, image) for image in images]
    store.put_images(images)
    for image, each in zip(images, found, strict=True):
        key = Key(image.record.id, str(image.content(None)), record.enhancers[0].fingerprint)
        store.put(Row(key, detections={results.fingerprint: each}))
    store.put_run(record)
    return found


def _detected(results: ResultsFile, image: StoredImage) -> Detected:
    [found] = results.detect_by_id([image.record.id])
    return Detected(found.boxes_xyxy, found.scores, found.labels)


def _stored(record: ImageRecord) -> StoredImage:
    """An image by its file, or by its annotation where there is no file."""
    if record.path.is_file():
        return StoredImage(record, sha256=file_sha256(record.path))
    content = json.dumps(asdict(replace(record, path=Path())), default=str, sort_keys=True)
    return StoredImage(record, sha256=hashlib.sha256(content.encode()).hexdigest())


def _record(
    protocol: Protocol, results: ResultsFile, annotations: Path, split: str, images: list[StoredImage]
) -> RunRecord:
    detector = DetectorEntry(
        results.name, str(results.path), results.fingerprint, results.identity, results.classes, results.weights
    )
    return RunRecord(
        name="score",
        title=f"{results.name} on {annotations}",
        data=DataEntry(annotations.resolve().name, str(annotations), split),
        detectors=(detector,),
        enhancers=(EnhancerEntry("Input", "input", "as detected"),),
        metrics=(metric_entry(load_metric("voc_ap", protocol), "voc_ap"),),
        protocol=protocol,
        environment=environment("cpu"),
        image_ids=tuple(image.record.id for image in images),
        images_sha256=images_sha256(images),
        annotations_sha256=annotations_sha256(images),
    )


def to_terminal(result: Score) -> RenderableType:
    """Lay a score out for the terminal; AP in percent, classes without objects last."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"VOC AP on {result.n_images} images")
    for heading in ("class", "AP", "95 % interval", "objects", "detections"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for name, ap in sorted(result.ap.items(), key=lambda item: item[1] is None):
        table.add_row(name, *_percent(ap), str(result.n_gt[name]), str(result.n_det[name]))
    table.add_section()
    n_classes = sum(ap is not None for ap in result.ap.values())
    totals = str(sum(result.n_gt.values())), str(sum(result.n_det.values()))
    table.add_row(f"mAP over {n_classes} classes", *_percent(result.map), *totals, style="bold")
    for name, value in result.coco.items():
        table.add_row(f"COCO {name}", *_percent(value))
    left_out = f" Left out: {', '.join(result.excluded)}." if result.excluded else ""
    return Group(table, Text(f"{result.protocol.ap_rules()}.{left_out}"))


def _value(interval: Interval | None) -> float | None:
    return None if interval is None else interval.value


def _percent(interval: Interval | None) -> tuple[str, str]:
    if interval is None:
        return "-", ""
    low, high = (None if end is None else f"{100 * end:.1f}" for end in (interval.low, interval.high))
    ends = "" if low is None or high is None else f"{low} to {high}"
    return f"{100 * interval.value:.2f}", ends


def _is_lone(folder: Path) -> bool:
    """Whether a folder holds XML files and is no tree, which may have a stray one."""
    if not folder.is_dir() or voc_trees(folder):
        return False
    return any(file.suffix.lower() == ".xml" and not file.name.startswith(".") for file in folder.iterdir())


def _lone_folder(folder: Path, split: str) -> VOCAnnotations:
    dataset = VOCAnnotations(folder)
    if Path(split).is_file():
        dataset.select(read_names(split))
    elif split not in ("test", "all"):
        raise ConfigError(
            "A folder of annotations alone has no splits.",
            where=folder,
            expected="test or all, which take it whole, or a file of image ids",
            got=repr(split),
        )
    return dataset


def _read_truth(annotations: Path, split: str) -> tuple[list[ImageRecord], list[str]]:
    """Every image with its objects, in the data set's order, and the annotation files in COCO's format."""
    if annotations.name == "Annotations" and is_voc_tree(annotations.parent):
        annotations = annotations.parent
    dataset = _lone_folder(annotations, split) if _is_lone(annotations) else open_dataset(annotations, split=split)
    records = [dataset.record(image_id) for image_id in dataset.ids]
    if any(record.objects is None for record in records):
        raise DataError("The data set has no annotation to score on.", where=annotations, expected="a VOC tree")
    return records, list(map(str, dataset.coco_files))
