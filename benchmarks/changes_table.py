"""Objects that enhancers found and lost, by their size, the image's lighting, or the light inside their box."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from duskbench.benchmarks.breakdown import SIZES, in_range
from duskbench.benchmarks.changes import Counted, Tally, count, found_and_lost
from duskbench.benchmarks.matched import choose_detector, other_detectors, read_each_matched
from duskbench.benchmarks.stored_run import RunImages, gaps, lacking, open_run
from duskbench.benchmarks.table import Column, ColumnKey, Table, mean_rows
from duskbench.data_tools.classes import LIGHTING_TYPES
from duskbench.data_tools.errors import DataError, UnknownNameError
from duskbench.data_tools.images import read_image

AXES = ("size", "lighting", "luminance")
# Mean luma inside the box, of 255: a band is a doubling.
LUMINANCES: dict[str, tuple[float, float]] = {
    "below 8": (0.0, 8.0),
    "8 to 16": (8.0, 16.0),
    "16 to 32": (16.0, 32.0),
    "32 to 64": (32.0, 64.0),
    "64 and more": (64.0, 256.0),
}
# Rec. 601, as PSNR's and SSIM's grey.
_LUMA = np.array([0.299, 0.587, 0.114])


def read_found_table(run_dir: Path, by: str, *, detector: str | None = None, baseline: str | None = None) -> Table:
    """Objects that each enhancer of a run's newest record gained and lost against a baseline.

    Args:
        run_dir: Folder of the run.
        by: `size`, `lighting` or `luminance`; the last reads the images again.
        detector: Label of the one whose detections are meant; None for the first.
        baseline: Label to compare with; None for Input.

    Raises:
        UnknownNameError: There is no such axis, detector or baseline.
        DataError: There are no detections, no lighting types, or an image is not there.
    """
    if by not in AXES:
        raise UnknownNameError("axis of objects", by, AXES)
    with open_run(run_dir) as (store, run):
        chosen = choose_detector(run.record, detector)
        counted = read_each_matched(store, run, partial(count, run=run), detector=chosen, baseline=baseline)
    table = build_found_table(run, counted, by, baseline)
    return replace(table, notes=(*table.notes, *other_detectors(run.record, chosen)))


def build_found_table(run: RunImages, counted: Mapping[str, Counted], by: str, baseline: str | None = None) -> Table:
    """Lay out objects gained and lost.

    Args:
        run: The run's images.
        counted: Label of each enhancer with detections -> what counts of them.
        by: As in `read_found_table`, like `baseline` and the errors.
        baseline: Label.
    """
    record = run.record
    asked = np.any([one.asked for one in counted.values()] or [~run.truth.difficult], axis=0)
    parts = {name: part for name, part in object_parts(run, by).items() if (part & asked).any()}
    if not parts:
        raise DataError(f"There are no objects to tell apart by {by}.", where=run.path)
    threshold, tallies = found_and_lost(run, counted, parts, baseline=baseline)
    base = baseline or record.input_label
    columns = [Column("label", "Enhancer")]
    for name in parts:
        part = f"{by}: {name}"
        columns += [
            Column(f"{name} gained", "gained", "higher", 0, part=part),
            Column(f"{name} lost", "lost", "lower", 0, part=part),
            Column(f"{name} found in both", "found in both", None, 0, part=part),
            Column(f"{name} in neither", "in neither", None, 0, part=part),
        ]
    rows = mean_rows(record, {label: _numbers(of) for label, of in tallies.items()})
    notes = [
        f"gained: objects that a detection of score {threshold:.2f} or more (where F1 is best for {base}) finds on the "
        f"enhanced image and none finds on {base}'s; lost: the other way round."
    ]
    if by == "luminance":
        notes.append("luminance: mean luma (Rec. 601, 0 to 255) inside the object's box, before enhancement.")
    masks = {label: one.mask for label, one in counted.items()}
    if missing := gaps(run, masks):
        notes += [*missing, f"Objects are counted on the images that both {base} and the enhancer have."]
    table = Table(f"{record.title}: objects found and lost by {by}", tuple(columns), rows, tuple(notes))
    return table.lacking(lacking(run, masks))


def _numbers(by_part: Mapping[str, Tally]) -> dict[ColumnKey, int]:
    kinds = {"gained": "gained", "lost": "lost", "found in both": "kept", "in neither": "missed"}
    return {f"{name} {shown}": getattr(of, kind) for name, of in by_part.items() for shown, kind in kinds.items()}


def object_parts(run: RunImages, by: str) -> dict[str, np.ndarray]:
    """Name of a part -> (objects,) bool; parts without an object to find are left out."""
    truth = run.truth
    if by == "size":
        parts = {name: in_range(truth, limits) for name, limits in SIZES.items()}
    elif by == "lighting":
        lighting = np.array([str(image.record.lighting) for image in run.images], object)
        parts = {name: lighting[truth.images] == name for name in LIGHTING_TYPES}
    else:
        light = luminances(run)
        parts = {name: (light >= low) & (light < high) for name, (low, high) in LUMINANCES.items()}
    return {name: part for name, part in parts.items() if (part & ~truth.difficult).any()}


def luminances(run: RunImages) -> np.ndarray:
    """(objects,) float64: mean luma inside each object's box, of the images as they are stored, 0 to 255."""
    light = np.full(len(run.truth.labels), np.nan)
    for number in np.unique(run.truth.images):
        luma = read_image(run.images[number].record.path) @ _LUMA
        for i in np.flatnonzero(run.truth.images == number):
            x1, y1, x2, y2 = run.truth.boxes_xyxy[i]
            rows = slice(max(int(y1), 0), max(int(np.ceil(y2)), int(y1) + 1))
            columns = slice(max(int(x1), 0), max(int(np.ceil(x2)), int(x1) + 1))
            inside = luma[rows, columns]
            light[i] = inside.mean() if inside.size else np.nan
    return light
