"""Which images a report shows, and what was found in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from duskbench.benchmarks.changes import Changes
from duskbench.benchmarks.images import evenly
from duskbench.benchmarks.matched import Matched, read_matched
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.stored_run import EnhancerRows, RunImages
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
        detections: Of each of the run's detectors, best first; none where an image has no ground truth.
        reason: Why the run has no result here; None where it has one.
    """

    detections: tuple[tuple[Drawn, ...], ...] = ()
    reason: str | None = None


@dataclass(frozen=True)
class Shown:
    """An image of the report.

    Attributes:
        record: The image with its objects.
        sha256: Of its file when it was measured.
        views: Label of the enhancer -> what was found, in the run's order; an enhancer that was not built is absent.
        content: Of the rows that were made of it, see `StoredImage.content`.
    """

    record: ImageRecord
    sha256: str | None
    views: dict[str, View] = field(default_factory=dict)
    content: str | None = None


def choose_images(changes: Sequence[Changes], labels: Sequence[str], image_ids: Sequence[str], n: int) -> list[str]:
    """Choose the images that changed most against the baseline, every enhancer's best and worst in turn.

    Args:
        changes: Of every enhancer; none without a detector or a baseline.
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
    for image_id in [*evenly(image_ids, n), *image_ids]:
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
    store: ResultStore,
    run: RunImages,
    matched: Mapping[str, Collection[str]],
    *,
    lowest: float = LOWEST_SCORE,
) -> list[Shown]:
    """What a report shows of some images, with what became of every detection in them.

    Args:
        store: The results.
        run: The images to show, see `RunImages.only`.
        matched: Label of the enhancer -> labels of the detectors that an AP can be made of, over all images.
        lowest: Detections of a lower score are left out.
    """

    def views(rows: EnhancerRows, found: Mapping[str, Matched]) -> list[View]:
        drawn = [_drawn(one, run, lowest) for label, one in found.items() if label in matched[rows.label]]
        return [
            View(tuple(tuple(of[number]) for of in drawn))
            if number in rows.rows
            else View(reason=rows.failures.get(image.record.id, "This image has no result."))
            for number, image in enumerate(run.images)
        ]

    # Nothing is counted here, so the threshold does not matter.
    by_enhancer = read_matched(store, run, views, detectors=run.record.detectors, threshold=0.0)
    built = [entry.label for entry in run.record.enhancers if entry.error is None]
    return [
        Shown(
            image.record,
            image.sha256,
            {label: by_enhancer[label][number] for label in built},
            image.content(run.record.decoder),
        )
        for number, image in enumerate(run.images)
    ]


def _drawn(one: Matched, run: RunImages, lowest: float) -> list[list[Drawn]]:
    """Of each image its detections, best first."""
    found, matches = one.found, one.result.matches
    drawn: list[list[Drawn]] = [[] for _ in run.images]
    wanted = np.flatnonzero(found.scores >= lowest)
    for i in wanted[np.argsort(-found.scores[wanted], kind="stable")]:
        kind: Kind = "found" if matches.tp[i] else "false_alarm" if matches.fp[i] else "ignored"
        hit = int(run.truth.ordinals[one.objects[matches.gt_index[i]]]) if matches.tp[i] else None
        x1, y1, x2, y2 = (round(float(v), 1) for v in found.boxes_xyxy[i])
        name = run.protocol.classes[found.labels[i]]
        detection = Drawn(name, (x1, y1, x2, y2), round(float(found.scores[i]), 4), kind, hit)
        drawn[int(found.images[i])].append(detection)
    return drawn
