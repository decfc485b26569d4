"""A break-down laid out: enhancers in rows, lighting types, places, classes or sizes in columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duskbench.benchmarks.breakdown import Breakdown, Part, break_down, sized_samples
from duskbench.benchmarks.notes import mark_note
from duskbench.benchmarks.record import RunRecord, ScoreColumn
from duskbench.benchmarks.samples import sample_of
from duskbench.benchmarks.statistics import BootstrapOptions, Sample
from duskbench.benchmarks.stored_run import EnhancerRows, gaps, lacking, open_run, read_enhancers
from duskbench.benchmarks.table import Cell, Column, ColumnKey, Table, TableRow, cell_of, score_column
from duskbench.benchmarks.trainings import Trainings

if TYPE_CHECKING:
    import pandas as pd

_BY = {"lighting": "lighting", "indoor": "place", "class": "class", "size": "object size"}


def read_breakdown(
    run_dir: Path, by: str, *, coco: bool = False, baseline: str | None = None
) -> tuple[Table, Breakdown, RunRecord]:
    """Break a run's newest record down.

    Args:
        run_dir: Folder of the run.
        by: `lighting`, `indoor`, `class` or `size`.
        coco: Whether to add COCO AP.
        baseline: Label that differences are taken to; None for Input.

    Returns:
        The table for people, then the break-down and the record for `breakdown_to_csv`.

    Raises:
        UnknownNameError: There is no such break-down or baseline.
        DataError: There are no results in the folder, or nothing to break down by.
    """
    with open_run(run_dir, coco=coco) as (store, run):
        record = run.record

        def samples(rows: EnhancerRows) -> tuple[dict[str, Sample | Trainings], Sample | Trainings | None]:
            # By size first: then the matching of one serves the other.
            return sized_samples(rows, run) if by == "size" else {}, sample_of(rows, run) if rows.rows else None

        each = list(map(samples, read_enhancers(store, run)))
    breakdown = break_down(
        run,
        [sample for _, sample in each if sample is not None],
        by,
        sized=[sized for sized, _ in each if sized],
        baseline=baseline,
    )
    masks = {sample.label: sample.measured for _, sample in each if sample is not None}
    breakdown = replace(breakdown, notes=(*breakdown.notes, *gaps(run, masks)))
    table = build_breakdown_table(record, breakdown).lacking(lacking(run, masks))
    return table.with_cautions(run.cautions), breakdown, record


def build_breakdown_table(record: RunRecord, breakdown: Breakdown) -> Table:
    """Lay a break-down out.

    Args:
        record: The run's record.
        breakdown: From `benchmarks.breakdown.break_down`.

    Returns:
        Each score of every part, those of detections first. The ends of the intervals are in the CSV.
    """
    columns = [Column("label", "Enhancer")]
    scores = _scores(record, breakdown)
    for score in scores:
        heading = heading_of(score, breakdown.by)
        block = f"{heading} by {_BY[breakdown.by]}" + (", %" if score.metric.factor == 100 else "")
        columns += [
            score_column(
                score,
                key=(score.key, part.name),
                heading=f"{heading} {part.name}",
                # A digit less: there are many numbers, and each stands on fewer images.
                digits=score.metric.digits - 1,
                part=block,
                bounds="kept",
                short=short,
            )
            for part, short in zip(breakdown.parts, _short_names(breakdown), strict=True)
        ]
    rows = []
    for label in breakdown.labels:
        cells = {key: cell for part in breakdown.parts for key, cell in _cells(part, label, scores).items()}
        rows.append(TableRow(label, cells, bound=label in record.bounds))
    title = f"{record.title}, by {_BY[breakdown.by]}"
    return Table(title, tuple(columns), tuple(rows), tuple(_notes(breakdown, record.bootstrap)))


def _scores(record: RunRecord, breakdown: Breakdown) -> list[ScoreColumn]:
    """The scores that some part has; those of detections first."""
    spreads = [spread for part in breakdown.parts for spread in part.spreads.values()]
    return [score for score in record.headline_first() if any(score.key in spread.scores for spread in spreads)]


def heading_of(score: ScoreColumn, by: str) -> str:
    """What a score is called in a break-down: of one class there is no mean."""
    return score.heading.replace("mAP", "AP") if by == "class" else score.heading


def _short_names(breakdown: Breakdown) -> list[str]:
    """Headings with which all parts fit a terminal of 100 columns."""
    n = len(breakdown.parts)
    room = 5 if n > 10 else 6 if n > 6 else 12
    return [part.name[:room] for part in breakdown.parts]


def _cells(part: Part, label: str, scores: list[ScoreColumn]) -> dict[ColumnKey, Cell]:
    spread, difference = part.spreads.get(label), part.differences.get(label)
    return {
        (score.key, part.name): cell_of(
            None if spread is None else spread.scores.get(score.key),
            None if difference is None else difference.scores.get(score.key),
        )
        for score in scores
    }


def _notes(breakdown: Breakdown, bootstrap: BootstrapOptions) -> list[str]:
    counts = ", ".join(f"{part.name} {part.n_images} ({part.n_objects})" for part in breakdown.parts)
    notes = [f"Images (objects to find): {counts}.", *breakdown.notes]
    if breakdown.baseline is not None and bootstrap.resamples:
        notes.append(mark_note(f"the difference to {breakdown.baseline} on that part"))
        notes.append(
            f"Intervals ({100 * bootstrap.level:g} %, bootstrap over {bootstrap.drawn}, {bootstrap.resamples} "
            f"resamples, seed {bootstrap.seed}) are in the CSV. Of {len(breakdown.parts)} parts for every enhancer "
            "some are settled by chance alone, and an interval from a few dozen images is itself rough."
        )
    return notes


def breakdown_frame(breakdown: Breakdown, record: RunRecord) -> pd.DataFrame:
    """A row for every part and enhancer, in full precision; mAP from 0 to 1.

    Columns: part, images, objects, enhancer, then each score and its difference to the baseline, with low and high.
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
            for score in record.headline_first():
                for source, prefix in ((spread, ""), (difference, "Δ ")):
                    interval = None if source is None else source.scores.get(score.key)
                    for suffix, field in (("", "value"), (" low", "low"), (" high", "high")):
                        row[f"{prefix}{score.heading}{suffix}"] = getattr(interval, field, None)
            rows.append(row)
    return pd.DataFrame(rows)


def breakdown_to_csv(breakdown: Breakdown, record: RunRecord) -> str:
    """CSV of `breakdown_frame`; an absent number is an empty cell."""
    text: str = breakdown_frame(breakdown, record).to_csv(index=False, lineterminator="\n")
    return text
