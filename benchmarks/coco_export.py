"""A run's detections as COCO results, beside the ground truth that `write_coco_truth` wrote."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

from duskbench.benchmarks.kept_pictures import folder_name
from duskbench.benchmarks.record import RunRecord
from duskbench.benchmarks.store import RESULTS, ResultStore
from duskbench.benchmarks.stored_run import EnhancerRows, RunImages, read_enhancers, read_run_images
from duskbench.data_tools.coco_json import CocoResults, write_coco_part, write_coco_results
from duskbench.data_tools.errors import ConfigError


def images_of_run(run_dir: Path) -> tuple[str, ...]:
    """The images whose detections `write_run_detections` writes, in the run's order.

    Raises:
        ConfigError: The run has no detector.
        DataError: There are no results in the folder.
    """
    with ResultStore(run_dir / RESULTS, reading=True) as store:
        return _last_with_detector(store, run_dir).image_ids


def write_run_detections(run_dir: Path, truth: Path) -> Iterator[CocoResults]:
    """Write what each detector of a run found in each enhancer's images, `truth.ENHANCER.DETECTOR.json` each.

    An enhancer without a result of some image also has a ground truth of the others, `truth.ENHANCER.json`; one without
    any has no files.

    Args:
        run_dir: Folder of the run.
        truth: The ground-truth file; the names of the others begin with its.

    Raises:
        ConfigError: The run has no detector.
        DataError: There are no results in the folder, or `truth` is no such file.
        UnknownIdError: An image of the run is not in the ground truth.
    """
    with ResultStore(run_dir / RESULTS, reading=True) as store:
        run = read_run_images(store, _last_with_detector(store, run_dir))
        for rows in (each for each in read_enhancers(store, run) if each.rows):
            own_truth = _own_truth(rows, run, truth)
            for detector in run.record.asked_of(rows.entry):
                parts = rows.found.get(detector.fingerprint, ())
                found = sorted((one for part in parts for one in part.each()), key=itemgetter(0))
                name = f"{truth.stem}.{folder_name(rows.label)}.{folder_name(detector.label)}.json"
                yield write_coco_results(
                    truth.with_name(name),
                    own_truth,
                    [run.images[number].record.id for number, _ in found],
                    [each.boxes_xyxy for _, each in found],
                    [each.scores for _, each in found],
                    [[detector.classes[label] for label in each.labels] for _, each in found],
                )


def _own_truth(rows: EnhancerRows, run: RunImages, truth: Path) -> Path:
    """The ground truth of an enhancer: images that failed would count as those in which it found nothing."""
    if len(rows.rows) == len(run.images):
        return truth
    path = truth.with_name(f"{truth.stem}.{folder_name(rows.label)}.json")
    write_coco_part(path, truth, {run.images[number].record.id for number in rows.rows})
    return path


def _last_with_detector(store: ResultStore, run_dir: Path) -> RunRecord:
    record = store.last_run()
    if not record.detectors:
        raise ConfigError("The run has no detector, and so no detections.", where=run_dir)
    return record
