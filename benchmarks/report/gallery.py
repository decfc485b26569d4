"""Which images a report shows, and what was found in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from duskbench.benchmarks.changes import Changes
from duskbench.benchmarks.evidence import Measured, RunImages, found_by, has_detections, read_measured, read_run_images
from duskbench.benchmarks.judge import score
from duskbench.benchmarks.store import ResultStore
from duskbench.data_tools.records import ImageRecord

Kind = Literal["found", "false_alarm", "ignored"]

# Detections below it are not worth their bytes: no reader lowers the threshold so far.
LOWEST_SCORE = 0.05


@dataclass(frozen=True)
class Drawn:
    """One detection.

    Attributes:
        name: Class.
        box_xyxy: Absolute pixels of the image.
        score: 0 to 1.
        kind: What became of it; `ignored` hit a difficult object.
        object: Position in the image's objects of what it found; None for the other kinds.
    """

    name: str
    box_xyxy: tuple[float, float, float, float]
    score: float
    kind: Kind
    object: int | None = None


@dataclass(frozen=True)
class View:
    """One image as one enhancer shows it.

    Attributes:
        detections: Best first; empty without a detector.
        measured: Whether the run has a result here; `reason` says why not.
        reason: Why there is no result.
    """

    detections: tuple[Drawn, ...] = ()
    measured: bool = True
    reason: str | None = None


@dataclass(frozen=True)
class Shown:
    """An image of the report.

    Attributes:
        record: The image with its objects.
        sha256: Of its file when it was measured.
        views: Label of the enhancer -> what was found, in the run's order; an enhancer that was not built is absent.
    """

    record: ImageRecord
    sha256: str | None
    views: dict[str, View] = field(default_factory=dict)


def choose_images(changes: Sequence[Changes], labels: Sequence[str], image_ids: Sequence[str], n: int) -> list[str]:
    """Choose the images that changed most against the reference, every enhancer's best and worst in turn.

    Args:
        changes: Of every enhancer; none without a detector or a reference.
        labels: Enhancers in the order in which they choose.
        image_ids: The run's images; evenly spread ones fill up what changes do not.
        n: How many; fewer where the run has fewer.
    """
    of = {change.label: change for change in changes}
    wishes = [iter(_best_and_worst(of[label], n)) for label in labels if label in of]
    chosen: dict[str, None] = {}
    while wishes and len(chosen) < n:
        for wish in list(wishes):
            image_id = next((one for one in wish if one not in chosen), None)
            if image_id is None:
                wishes.remove(wish)
            elif len(chosen) < n:
                chosen[image_id] = None
    spread = [image_ids[i * len(image_ids) // n] for i in range(n)] if image_ids and n else []
    for image_id in [*spread, *image_ids]:
        if len(chosen) >= n:
            break
        chosen.setdefault(image_id)
    return list(chosen)


def _best_and_worst(change: Changes, n: int) -> list[str]:
    """Best, worst, second best, second worst, ..."""
    best, worst = change.best(n), change.worst(n)
    turns = [side[rank].image_id for rank in range(n) for side in (best, worst) if rank < len(side)]
    return list(dict.fromkeys(turns))


def read_shown(
    store: ResultStore, record: Mapping[str, Any], image_ids: Sequence[str], *, lowest: float = LOWEST_SCORE
) -> list[Shown]:
    """Read the images that a report shows, with what became of every detection in them.

    A detection's fate depends on its own image alone, so matching these images gives what matching all would.

    Args:
        store: The results.
        record: The run's record.
        image_ids: The images.
        lowest: Detections of a lower score are left out.
    """
    few = {**record, "image_ids": list(image_ids)}
    run = read_run_images(store, few)
    shown = [Shown(image.record, image.sha256) for image in run.images]
    for measured in read_measured(store, few, run):
        if measured.error is not None:
            continue
        views = _views(measured, run, lowest)
        for number, one in enumerate(shown):
            one.views[measured.label] = views[number]
    return shown


def _views(measured: Measured, run: RunImages, lowest: float) -> list[View]:
    drawn: dict[int, list[Drawn]] = {}
    if has_detections(measured, run):
        objects = np.flatnonzero(measured.mask(len(run.images))[run.truth.images])
        found = found_by(measured, run)
        matches = score(run.truth.take(objects), found, run.protocol).matches
        for i in np.argsort(-found.scores, kind="stable"):
            if found.scores[i] < lowest:
                break
            kind: Kind = "found" if matches.tp[i] else "false_alarm" if matches.fp[i] else "ignored"
            hit = int(run.truth.ordinals[objects[matches.gt_index[i]]]) if matches.tp[i] else None
            x1, y1, x2, y2 = (round(float(v), 1) for v in found.boxes_xyxy[i])
            name = run.protocol.classes[found.labels[i]]
            detection = Drawn(name, (x1, y1, x2, y2), round(float(found.scores[i]), 4), kind, hit)
            drawn.setdefault(int(found.images[i]), []).append(detection)
    views = []
    for number, image in enumerate(run.images):
        if number in measured.rows:
            views.append(View(tuple(drawn.get(number, ()))))
        else:
            reason = measured.failures.get(image.record.id, "This image has no result.")
            views.append(View(measured=False, reason=reason))
    return views
