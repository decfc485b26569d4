"""A break-down laid out: enhancers in rows, lighting types, places, classes or sizes in columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from duskbench.benchmarks.breakdown import Breakdown, Part, break_down
from duskbench.benchmarks.evaluate import bootstrap_options
from duskbench.benchmarks.judge import read_judged
from duskbench.benchmarks.notes import mark_note
from duskbench.benchmarks.statistics import BootstrapOptions
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.table import Column, Table, ends

if TYPE_CHECKING:
    import pandas as pd

_METRICS: tuple[tuple[str, str, Literal["lower", "higher"], int, float], ...] = (
    ("map", "mAP", "higher", 1, 100.0),
    ("niqe", "NIQE", "lower", 2, 1.0),
)
_BY = {"lighting": "lighting", "indoor": "place", "class": "class", "size": "object size"}


def read_breakdown(run_dir: Path, by: str, *, reference: str | None = None) -> tuple[Table, Breakdown]:
    """Break a run's newest record down: the table for people, and the break-down itself for `breakdown_to_csv`.

    Args:
        run_dir: Folder of the run.
        by: `lighting`, `indoor`, `class` or `size`.
        reference: Label that differences are taken to; None for Input.

    Raises:
        UnknownNameError: There is no such break-down or reference.
        DataError: There are no results in the folder, or nothing to break down by.
    """
    with ResultStore(run_dir / "results.sqlite", must_exist=True) as store:
        record = store.last_run()
        breakdown = break_down(read_judged(store, record), record, by, reference=reference)
    return build_breakdown_table(record, breakdown), breakdown


def build_breakdown_table(
    record: Mapping[str, Any], breakdown: Breakdown, bootstrap: BootstrapOptions | None = None
) -> Table:
    """Lay a break-down out.

    Args:
        record: The run's record.
        breakdown: From `duskbench.benchmarks.breakdown.break_down`.
        bootstrap: How its intervals were made; None for the record's options.

    Returns:
        mAP (by class: AP) of every part, then NIQE where images have one. The ends of the intervals are in the CSV.
    """
    bounds = {e["label"] for e in record["enhancers"] if e["upper_bound"]}
    columns = [Column("label", "Enhancer")]
    for key, name, better, digits, factor in _METRICS:
        # Of one class there is no mean.
        heading = "AP" if (key, breakdown.by) == ("map", "class") else name
        if any(getattr(spread, key) is not None for part in breakdown.parts for spread in part.spreads.values()):
            block = f"{heading} by {_BY[breakdown.by]}" + (", %" if key == "map" else "")
            columns += [
                Column(f"{key} {p.name}", f"{heading} {p.name}", better, digits, factor, block, "kept", short=short)
                for p, short in zip(breakdown.parts, _short_names(breakdown), strict=True)
            ]
    rows = []
    for label in breakdown.labels:
        row: dict[str, Any] = {"label": label, "bound": label in bounds}
        for part in breakdown.parts:
            row |= _cells(part, label)
        rows.append(row)
    title = f"{record['title']}, by {_BY[breakdown.by]}"
    return Table(title, tuple(columns), tuple(rows), tuple(_notes(breakdown, bootstrap or bootstrap_options(record))))


def _short_names(breakdown: Breakdown) -> list[str]:
    """Headings with which all parts fit a terminal of 100 columns."""
    n = len(breakdown.parts)
    room = 5 if n > 10 else 6 if n > 6 else 12
    return [part.name[:room] for part in breakdown.parts]


def _cells(part: Part, label: str) -> dict[str, Any]:
    spread, difference = part.spreads.get(label), part.differences.get(label)
    cells: dict[str, Any] = {}
    for key in ("map", "niqe"):
        cells |= ends(f"{key} {part.name}", getattr(spread, key, None))
        moved = getattr(difference, key, None)
        if moved is not None:
            cells[f"{key} {part.name} unsettled"] = moved.unsettled
    return cells


def _notes(breakdown: Breakdown, bootstrap: BootstrapOptions) -> list[str]:
    counts = ", ".join(f"{part.name} {part.n_images} ({part.n_objects})" for part in breakdown.parts)
    notes = [f"Images (objects to find): {counts}.", *breakdown.notes]
    if breakdown.reference is not None and bootstrap.resamples:
        notes.append(mark_note(f"the difference to {breakdown.reference} on that part"))
        notes.append(
            f"Intervals ({100 * bootstrap.level:g} %, bootstrap over images, {bootstrap.resamples} resamples, "
            f"seed {bootstrap.seed}) are in the CSV. Of {len(breakdown.parts)} parts for every enhancer "
            "some are settled by chance alone, and an interval from a few dozen images is itself rough."
        )
    return notes


def breakdown_frame(breakdown: Breakdown) -> pd.DataFrame:
    """A row for every part and enhancer, in full precision; mAP from 0 to 1.

    Columns: part, images, objects, enhancer, then mAP, NIQE and their differences to the reference, each with low and
    high.
    """
    import pandas as pd

    rows = []
    for part in breakdown.parts:
        for label in breakdown.labels:
            spread, difference = part.spreads.get(label), part.differences.get(label)
            row: dict[str, Any] = {
                "part": part.name,
                "images": part.n_images,
                "objects": part.n_objects,
                "enhancer": label,
            }
            for key, heading in (("map", "mAP"), ("niqe", "NIQE")):
                for source, prefix in ((spread, ""), (difference, "Δ ")):
                    interval = getattr(source, key, None)
                    for suffix, field in (("", "value"), (" low", "low"), (" high", "high")):
                        row[f"{prefix}{heading}{suffix}"] = getattr(interval, field, None)
            rows.append(row)
    return pd.DataFrame(rows)


def breakdown_to_csv(breakdown: Breakdown) -> str:
    """CSV of `breakdown_frame`; an absent number is an empty cell."""
    text: str = breakdown_frame(breakdown).to_csv(index=False, lineterminator="\n")
    return text
