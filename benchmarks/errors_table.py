"""The kinds of error of each enhancer's detections, laid out: what each costs, and how many there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.benchmarks.changes import best_f1_threshold
from duskbench.benchmarks.error_kinds import KINDS, costs, errors_above, find_errors
from duskbench.benchmarks.evaluate import baseline_labels
from duskbench.benchmarks.matching import MatchedRun, detectable, match_run
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.table import Column, Table
from duskbench.data_tools.errors import DataError


def read_errors_table(run_dir: Path, *, baseline: str | None = None) -> Table:
    """The kinds of error of a run's newest record, for its first detector.

    Args:
        run_dir: Folder of the run.
        baseline: Label of the enhancer on which the score is chosen from which errors are counted; None for Input.

    Raises:
        DataError: There are no results in the folder, or no detections.
        UnknownNameError: There is no such baseline.
    """
    with ResultStore(run_dir / "results.sqlite", reading=True) as store:
        matched = match_run(store, store.last_run())
    return build_errors_table(matched, baseline)


def build_errors_table(matched: MatchedRun, baseline: str | None = None) -> Table:
    """Lay out the kinds of error; arguments and errors as in `read_errors_table`."""
    record = matched.run.record
    if matched.detector is None or not matched.by_label:
        raise DataError("The run has no detections whose errors could be told.", where=matched.path)
    chosen = baseline_labels(record, baseline)
    labels = [e.label for e in record.rows[chosen[-1]]] if chosen else []
    base = next(label for label in [*labels, *matched.by_label] if label in matched.by_label)
    threshold = best_f1_threshold(matched.by_label[base], matched.run)
    cost, count = f"mAP that each kind of error costs, {matched.detector.label}, %", "How many"
    columns = [
        Column("label", "Enhancer"),
        *(Column(f"cost {kind}", kind, "lower", 2, 100.0, cost) for kind in KINDS),
        *(Column(f"n {kind}", kind, "lower", 0, part=count) for kind in KINDS),
        Column("n found", "found", "higher", 0, part=count),
    ]
    rows = []
    for label, entries in record.rows.items():
        each = [_numbers(matched, e.label, threshold) for e in entries if e.label in matched.by_label]
        if each:
            # Of several trainings the mean.
            means = {key: float(np.mean([one[key] for one in each])) for key in each[0]}
            rows.append({"label": label, "bound": label in record.bounds, **means})
    title = f"{record.title}: kinds of error"
    return Table(title, tuple(columns), tuple(rows), tuple(_notes(base, threshold)))


def _numbers(matched: MatchedRun, label: str, threshold: float) -> dict[str, Any]:
    one, protocol, detector = matched.by_label[label], matched.run.protocol, matched.detector
    assert detector is not None  # noqa: S101 - its detections were matched
    classes = detectable(dict.fromkeys(protocol.classes), detector, protocol)
    errors = find_errors(one, protocol)
    counted, cost = errors_above(one, errors, threshold), costs(one, errors, protocol, classes)
    found = int((counted.found & ~one.truth.difficult).sum())
    counts = {f"n {kind}": n for kind, n in counted.counts().items()}
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
