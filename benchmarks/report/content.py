"""Everything a report shows, read and computed from a run folder by the modules that compute it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from duskbench.benchmarks.breakdown import Breakdown, break_down
from duskbench.benchmarks.changes import Changes, Curve, changes, precision_recall_curves
from duskbench.benchmarks.evaluate import EnhancerResult, bootstrap_options, evaluate, input_label
from duskbench.benchmarks.judge import JudgedRun, read_judged
from duskbench.benchmarks.nightly.night import Night
from duskbench.benchmarks.report.gallery import LOWEST_SCORE, Shown, choose_images, read_shown
from duskbench.benchmarks.report.pictures import PictureMaker, PictureSet, make_pictures
from duskbench.benchmarks.statistics import BootstrapOptions
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.table import Table, build_table
from duskbench.data_tools.errors import DataError

Track = Callable[[list[Shown]], Iterable[Shown]]


@dataclass(frozen=True)
class ReportContent:
    """What a report is rendered from.

    Attributes:
        record: The run's record.
        results: A result per enhancer, in the run's order.
        table: The run's table, for its columns and notes.
        options: How intervals were made.
        breakdowns: Those that the data set has labels for.
        curves: Label -> class -> curve; empty without a detector.
        changes: Of every enhancer against Input; empty without either.
        shown: The images with what was found in them.
        pictures: Their pictures, in the same order.
        remade: Labels of enhancers whose pictures come from other code, arguments or weights than were measured.
        history: Earlier nights and this one, oldest first; empty outside a nightly.
    """

    record: Mapping[str, Any]
    results: tuple[EnhancerResult, ...]
    table: Table
    options: BootstrapOptions
    breakdowns: tuple[Breakdown, ...] = ()
    curves: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    changes: tuple[Changes, ...] = ()
    shown: tuple[Shown, ...] = ()
    pictures: tuple[PictureSet, ...] = ()
    remade: tuple[str, ...] = ()
    history: tuple[Night, ...] = ()

    @property
    def reference(self) -> str | None:
        """Label of the row that is not enhanced at all; None where the run has none, or it has no result."""
        label = input_label(self.record)
        return next((r.label for r in self.results if r.label == label and r.n_images), None)

    @property
    def bounds(self) -> frozenset[str]:
        """Labels of rows that stand for a limit and do not compete."""
        return frozenset(e["label"] for e in self.record["enhancers"] if e["upper_bound"])


def read_content(
    run_dir: Path,
    *,
    images: int = 12,
    history: Sequence[Night] = (),
    device: str = "cpu",
    bootstrap: BootstrapOptions | None = None,
    track: Track = iter,
) -> ReportContent:
    """Read a run's newest record and compute what its report shows.

    Args:
        run_dir: Folder of the run.
        images: How many images to show; 0 for none.
        history: Nights for the history curves.
        device: Torch device for making the pictures again.
        bootstrap: How to resample; None for the record's options.
        track: Wraps the list of images while pictures are made, for progress.

    Raises:
        DataError: There are no results in the folder.
    """
    with ResultStore(run_dir / "results.sqlite", must_exist=True) as store:
        record = store.last_run()
        options = bootstrap or bootstrap_options(record)
        results = evaluate(store, record, bootstrap=options)
        judged = read_judged(store, record)
        changed = _changes(judged, record)
        ranked = sorted((r for r in results if r.map is not None), key=lambda r: -(r.map or 0.0))
        chosen = choose_images(changed, [r.label for r in ranked], record["image_ids"], images)
        lowest = min([LOWEST_SCORE, *(change.threshold for change in changed)])
        shown = read_shown(store, record, chosen, lowest=lowest)
        breakdowns = _breakdowns(judged, record, options)
        curves = precision_recall_curves(judged)
    maker = PictureMaker(record, run_dir / "images", device)
    pictures = make_pictures(shown, maker, track=track)
    return ReportContent(
        record=record,
        results=tuple(results),
        table=build_table(record, results, options),
        options=options,
        breakdowns=tuple(breakdowns),
        curves=curves,
        changes=tuple(changed),
        shown=tuple(shown),
        pictures=tuple(pictures),
        remade=tuple(label for label in (r.label for r in results) if label in maker.remade),
        history=tuple(night for night in history if night.config == record["name"]),
    )


def _changes(judged: JudgedRun, record: Mapping[str, Any]) -> list[Changes]:
    """None where nothing was detected or there is no Input to compare with."""
    try:
        return changes(judged, record)
    except DataError:
        return []


def _breakdowns(judged: JudgedRun, record: Mapping[str, Any], options: BootstrapOptions) -> list[Breakdown]:
    """Those that the run has labels and detections for."""
    made = []
    for by in ("class", "lighting", "indoor", "size"):
        try:
            made.append(break_down(judged, record, by, bootstrap=options))
        except DataError:
            continue
    return made
