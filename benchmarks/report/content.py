"""Everything a report shows, read and computed from a run folder by the modules that compute it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from duskbench.benchmarks.bootstrap import Bootstrap
from duskbench.benchmarks.breakdown import Breakdown, break_down, sized_samples
from duskbench.benchmarks.changes import Changes, Counted, Curve, changes, count, precision_recall_curves
from duskbench.benchmarks.error_kinds_table import build_errors_table, error_numbers
from duskbench.benchmarks.evaluate import EnhancerResult, baseline_labels, bootstrap_of, counts_of, results_of
from duskbench.benchmarks.matched import Matched, label_of_matched, read_matched
from duskbench.benchmarks.night_curve import NightCurves
from duskbench.benchmarks.night_curve_table import measured_night_curves
from duskbench.benchmarks.nightly.night import Night
from duskbench.benchmarks.power_table import PowerOptions, build_power_table
from duskbench.benchmarks.record import DetectorEntry, RunRecord, ScoreColumn
from duskbench.benchmarks.report.gallery import LOWEST_SCORE, Shown, choose_images, read_shown
from duskbench.benchmarks.report.pictures import PictureMaker, PictureSet, make_pictures
from duskbench.benchmarks.samples import sample_of
from duskbench.benchmarks.statistics import Sample
from duskbench.benchmarks.store import RESULTS
from duskbench.benchmarks.stored_run import EnhancerRows, RunImages, open_run
from duskbench.benchmarks.table import Table, build_table
from duskbench.benchmarks.trainings import Trainings
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.progress import SILENT, Progress


@dataclass(frozen=True)
class DetectorContent:
    """What one detector found.

    Attributes:
        label: Of the detector.
        curves: Label of the enhancer -> class -> curve; empty where nothing was detected.
        changes: Of every enhancer against Input; empty without either.
    """

    label: str
    curves: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    changes: tuple[Changes, ...] = ()

    @property
    def threshold(self) -> float | None:
        """Score from which a detection counts among the changes; None where there are none."""
        return self.changes[0].threshold if self.changes else None


@dataclass(frozen=True)
class ReportContent:
    """What a report is rendered from.

    Attributes:
        record: The run's record.
        results: A result per enhancer, in the run's order.
        table: The run's table, for its columns and notes.
        breakdowns: Those that the data set has labels for.
        detectors: What each of the run's detectors found.
        shown: The images with what was found in them.
        pictures: Their pictures, in the same order.
        remade: Labels of enhancers whose pictures come from other code, arguments or weights than were measured.
        more: Further tables: what the images can settle, and the kinds of error.
        night: Noise -> curves of what `duskbench night-curve` measured in the same folder.
        history: Earlier nights and this one, oldest first; empty outside a nightly.
    """

    record: RunRecord
    results: tuple[EnhancerResult, ...]
    table: Table
    breakdowns: tuple[Breakdown, ...] = ()
    detectors: tuple[DetectorContent, ...] = ()
    shown: tuple[Shown, ...] = ()
    pictures: tuple[PictureSet, ...] = ()
    remade: tuple[str, ...] = ()
    more: tuple[Table, ...] = ()
    night: Mapping[str, NightCurves] = field(default_factory=dict)
    history: tuple[Night, ...] = ()

    @property
    def baseline(self) -> str | None:
        """Label of the row that is not enhanced at all; None where the run has none, or it has no result."""
        label = self.record.input_label
        return next((r.label for r in self.results if r.label == label and r.n_images), None)


def best_first(record: RunRecord, results: Iterable[EnhancerResult], score: ScoreColumn | None) -> list[EnhancerResult]:
    """The results that compete and have a score, the best first."""
    if score is None:
        return []
    known = [(r, v) for r in results if (v := r.number(score.key)) is not None and r.label not in record.bounds]
    sign = -1 if score.metric.better == "higher" else 1
    return [result for result, value in sorted(known, key=lambda pair: sign * pair[1])]


def read_content(
    run_dir: Path,
    *,
    images: int = 12,
    history: Sequence[Night] = (),
    device: str = "cpu",
    progress: Progress = SILENT,
) -> ReportContent:
    """Read a run's newest record and compute what its report shows.

    Args:
        run_dir: Folder of the run; of a night curve alone, whose run on the lit photos is the report's.
        images: How many images to show; 0 for none.
        history: Nights for the history curves.
        device: Torch device for making the pictures again.
        progress: Where pictures made are reported.

    Raises:
        DataError: There are no results in the folder.
    """
    lit = run_dir / "runs" / "lit"
    is_curve = (lit / RESULTS).is_file() and not (run_dir / RESULTS).exists()
    folder = lit if is_curve else run_dir
    with open_run(folder) as (store, run):
        record = run.record
        kept = read_matched(store, run, partial(_keep, run=run), detectors=record.detectors)
        samples = {label: one.sample for label, one in kept.items() if one.sample is not None}
        drawn = bootstrap_of(run, samples.values())
        results = results_of(run, [one.counts for one in kept.values()], samples, drawn, baseline_labels(record))
        found = tuple(_detector_content(run, detector, kept) for detector in record.detectors)
        ranked = best_first(record, results, record.headline)
        choosing = [entry.label for result in ranked for entry in record.rows[result.label]]
        chosen = choose_images(found[0].changes if found else (), choosing, record.image_ids, images)
        lowest = min([LOWEST_SCORE, *(each.threshold for each in found if each.threshold is not None)])
        found_by = {label: one.found for label, one in kept.items()}
        shown = read_shown(store, run.only(chosen), found_by, lowest=lowest)
    maker = PictureMaker(record, folder / "images", device)
    pictures = make_pictures(shown, maker, progress=progress)
    night, left_out = measured_night_curves(run_dir)
    return ReportContent(
        record=record,
        results=tuple(results),
        table=build_table(record, results).with_cautions((*run.cautions, *left_out)),
        breakdowns=tuple(_breakdowns(run, kept.values(), drawn)),
        detectors=found,
        shown=tuple(shown),
        pictures=tuple(pictures),
        remade=tuple(entry.label for entry in record.enhancers if entry.label in maker.remade),
        more=tuple(_more_tables(record, results, kept)),
        night=night,
        history=tuple(night for night in history if night.config == record.name),
    )


@dataclass(frozen=True)
class _Found:
    """What is kept of a detector's detections on one enhancer's images."""

    curves: Mapping[str, Curve]
    counted: Counted
    errors: Mapping[str, float]


@dataclass(frozen=True)
class _Kept:
    """What is kept of one enhancer; `found` by the label of the detector."""

    counts: EnhancerResult
    sample: Sample | Trainings | None
    sized: Mapping[str, Sample | Trainings]
    found: Mapping[str, _Found]


def _keep(rows: EnhancerRows, matched: Mapping[str, Matched], run: RunImages) -> _Kept:
    found = {
        detector.label: _Found(
            precision_recall_curves(one, run, detector), count(one, run), error_numbers(one, run, detector)
        )
        for detector in run.record.detectors
        if (one := matched.get(detector.label)) is not None
    }
    return _Kept(counts_of(rows, run), sample_of(rows, run) if rows.rows else None, sized_samples(rows, run), found)


def _found_by(detector: DetectorEntry, kept: Mapping[str, _Kept]) -> dict[str, _Found]:
    """Label of each enhancer that a detector has detections of -> what is kept of them."""
    return {label: one.found[detector.label] for label, one in kept.items() if detector.label in one.found}


def _detector_content(run: RunImages, detector: DetectorEntry, kept: Mapping[str, _Kept]) -> DetectorContent:
    found = _found_by(detector, kept)
    try:
        changed = tuple(changes(run, {label: one.counted for label, one in found.items()}))
    except DataError:
        # Nothing was detected, or there is no Input to compare with.
        changed = ()
    return DetectorContent(label_of_matched(detector), {label: one.curves for label, one in found.items()}, changed)


def _more_tables(record: RunRecord, results: Sequence[EnhancerResult], kept: Mapping[str, _Kept]) -> Iterator[Table]:
    score, baseline = record.headline, record.input_label
    power = build_power_table(record, results, score, baseline, PowerOptions()) if score and baseline else None
    if power is not None:
        yield power
    for detector in record.detectors:
        found = _found_by(detector, kept)
        if found:
            [threshold] = {one.counted.threshold for one in found.values()}
            table = build_errors_table(record, detector, {label: one.errors for label, one in found.items()}, threshold)
            several = len(record.detectors) > 1
            yield replace(table, title=f"{table.title}, {label_of_matched(detector)}") if several else table


def _breakdowns(run: RunImages, kept: Collection[_Kept], drawn: Bootstrap) -> list[Breakdown]:
    """Those that the run has labels and detections for."""
    samples = [one.sample for one in kept if one.sample is not None]
    sized = [one.sized for one in kept if one.sized]
    made = []
    for by in ("class", "lighting", "indoor", "size"):
        try:
            made.append(break_down(run, samples, by, sized=sized, bootstrap=drawn))
        except DataError:
            continue
    return made
