"""The kinds of error of each enhancer's detections, laid out: what each costs, and how many there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from duskbench.benchmarks.error_kinds import KINDS, costs, errors_above, find_errors
from duskbench.benchmarks.evaluate import baseline_labels
from duskbench.benchmarks.matched import (
    Matched,
    choose_detector,
    label_of_matched,
    other_detectors,
    read_each_matched,
)
from duskbench.benchmarks.record import DetectorEntry, RunRecord
from duskbench.benchmarks.samples import detectable
from duskbench.benchmarks.stored_run import RunImages, gaps, lacking, open_run
from duskbench.benchmarks.table import Column, Table, mean_rows
from duskbench.data_tools.errors import DataError


def read_errors_table(run_dir: Path, *, detector: str | None = None, baseline: str | None = None) -> Table:
    """The kinds of error of one detector in a run's newest record.

    Args:
        run_dir: Folder of the run.
        detector: Its label; None for the first.
        baseline: Label of the enhancer on which the score is chosen from which errors are counted; None for Input.

    Raises:
        DataError: There are no results in the folder, or no detections.
        UnknownNameError: There is no such detector or baseline.
    """
    with open_run(run_dir) as (store, run):
        chosen = choose_detector(run.record, detector)

        def numbers(one: Matched) -> tuple[float, dict[str, float], np.ndarray]:
            return one.threshold, error_numbers(one, run, chosen), one.mask

        made = read_each_matched(store, run, numbers, detector=chosen, baseline=baseline)
    if not made:
        raise DataError("The run has no detections whose errors could be classified.", where=run.path)
    [threshold] = {threshold for threshold, *_ in made.values()}
    by_label = {label: each for label, (_, each, _) in made.items()}
    masks = {label: mask for label, (*_, mask) in made.items()}
    table = build_errors_table(run.record, chosen, by_label, threshold, baseline).lacking(lacking(run, masks))
    return replace(table, notes=(*table.notes, *gaps(run, masks), *other_detectors(run.record, chosen)))


def build_errors_table(
    record: RunRecord,
    detector: DetectorEntry,
    numbers: Mapping[str, Mapping[str, float]],
    threshold: float,
    baseline: str | None = None,
) -> Table:
    """Lay out the kinds of error.

    Args:
        record: The run's.
        detector: One of its detectors.
        numbers: Label of each enhancer that has detections, at least one, -> from `error_numbers`.
        threshold: Score from which errors were counted.
        baseline: As in `read_errors_table`.
    """
    chosen = baseline_labels(record, baseline)
    labels = [e.label for e in record.rows[chosen[-1]]] if chosen else []
    base = next(label for label in [*labels, *numbers] if label in numbers)
    cost, count = f"mAP that each kind of error costs, {label_of_matched(detector)}, %", "How many"
    columns = [
        Column("label", "Enhancer"),
        *(Column(f"cost {kind}", kind, "lower", 2, 100.0, cost) for kind in KINDS),
        *(Column(f"n {kind}", kind, "lower", 0, part=count) for kind in KINDS),
        Column("n found", "found", "higher", 0, part=count),
    ]
    title = f"{record.title}: kinds of error"
    return Table(title, tuple(columns), mean_rows(record, numbers), tuple(_notes(base, threshold)))


def error_numbers(one: Matched, run: RunImages, detector: DetectorEntry) -> dict[str, float]:
    """What each kind of error costs an enhancer, over all detections, and how many there are from its threshold on."""
    protocol = run.protocol
    classes = detectable(dict.fromkeys(protocol.classes), detector, protocol)
    errors = find_errors(one, protocol)
    counted, cost = errors_above(one, errors, one.threshold), costs(one, errors, protocol, classes)
    found = int((counted.found & ~one.truth.difficult).sum())
    missed = int((counted.missed & one.asked).sum())
    counts = {f"n {kind}": n for kind, n in counted.counts().items()} | {"n missed": missed}
    return {f"cost {kind}": points for kind, points in cost.items()} | counts | {"n found": found}


def _notes(base: str, threshold: float) -> Iterator[str]:
    yield (
        "class: an object is found under another class; place: its class is right and its box overlaps the object too "
        "little; both: class and place; duplicate: the object was found already; background: there is no object; "
        "missed: nothing found an object nor nearly did (TIDE, Bolya et al. 2020)."
    )
    yield (
        "What a kind costs: the mAP that would be won if it were corrected and the other kinds stayed; over all "
        "detections, as mAP is."
    )
    yield f"How many: detections of score {threshold:.2f} and more, where F1 is best for {base}, and objects."
