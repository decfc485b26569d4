"""What an enhancer won and lost against a baseline, object by object, and the precision-recall curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from duskbench.benchmarks.evaluate import baseline_labels
from duskbench.benchmarks.matched import Matched
from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.benchmarks.record import DetectorEntry
from duskbench.benchmarks.samples import detectable
from duskbench.benchmarks.stored_run import RunImages
from duskbench.data_tools.errors import DataError


@dataclass(frozen=True)
class Curve:
    """Precision against recall of one class, at the ranks where recall rises; between them precision only falls.

    Attributes:
        recall: (K,) float64, rising, 0 to 1.
        precision: (K,) float64, 0 to 1.
        scores: (K,) float64, the score of the detection at that rank: the threshold that stops there.
        ap: The class's AP.
        n_objects: Objects to find.
    """

    recall: np.ndarray
    precision: np.ndarray
    scores: np.ndarray
    ap: float
    n_objects: int


@dataclass(frozen=True)
class Counted:
    """What an enhancer's detections are compared by: those of a score and above, and no others.

    Attributes:
        threshold: The score.
        mask: (images,) bool: which have a result.
        asked: (objects of the run,) bool: to be found in these, see `Matched`.
        found: (objects of the run,) bool.
        false_alarms: Detections that find nothing.
    """

    threshold: float
    mask: np.ndarray
    asked: np.ndarray
    found: np.ndarray
    false_alarms: Boxes


@dataclass(frozen=True, slots=True)
class Tally:
    """Objects and false alarms, counted on the images that both have.

    Attributes:
        gained: Objects that the enhancer's image lets the detector find and the baseline's does not.
        lost: The other way round.
        kept: Found in both.
        missed: Found in neither.
        false_alarms: Detections on the enhanced image that find nothing.
        false_alarms_baseline: Likewise of the baseline.
    """

    gained: int = 0
    lost: int = 0
    kept: int = 0
    missed: int = 0
    false_alarms: int = 0
    false_alarms_baseline: int = 0

    @property
    def net(self) -> int:
        """Objects won, less false alarms added."""
        return self.gained - self.lost - (self.false_alarms - self.false_alarms_baseline)


@dataclass(frozen=True, slots=True)
class ImageChange:
    """What changed in one image.

    Attributes:
        image_id: The image.
        tally: Counts.
        gained: Positions in the objects of the image's record.
        lost: Likewise.
        false_alarms: Positions in the detections of the enhancer's row.
        false_alarms_baseline: Positions in the detections of the baseline's row.
    """

    image_id: str
    tally: Tally
    gained: tuple[int, ...]
    lost: tuple[int, ...]
    false_alarms: tuple[int, ...]
    false_alarms_baseline: tuple[int, ...]


@dataclass(frozen=True)
class Changes:
    """What one enhancer changed against a baseline.

    Attributes:
        label: The enhancer.
        baseline: The baseline.
        threshold: Detections count from this score on, for both.
        n_images: Images that both have.
        total: Over all classes.
        by_class: Class -> counts.
        images: The images in which anything changed, the highest `tally.net` first; ties by what was gained, then id.
    """

    label: str
    baseline: str
    threshold: float
    n_images: int
    total: Tally
    by_class: dict[str, Tally]
    images: tuple[ImageChange, ...]

    def best(self, n: int) -> tuple[ImageChange, ...]:
        """Up to `n` images that got better, best first."""
        return tuple(image for image in self.images if image.tally.net > 0)[:n]

    def worst(self, n: int) -> tuple[ImageChange, ...]:
        """Up to `n` images that got worse, worst first."""
        return tuple(image for image in reversed(self.images) if image.tally.net < 0)[:n]


def count(one: Matched, run: RunImages) -> Counted:
    """What counts of an enhancer's detections from their threshold on."""
    matches = one.result.matches
    enough = one.found.scores >= one.threshold
    asked, found = (np.zeros(len(run.truth.labels), bool) for _ in range(2))
    asked[one.objects] = one.asked
    found[one.objects[matches.gt_index[matches.tp & enough]]] = True
    return Counted(one.threshold, one.mask, asked, found, one.found.take(matches.fp & enough))


def changes(run: RunImages, counted: Mapping[str, Counted], *, baseline: str | None = None) -> list[Changes]:
    """Compare every enhancer's detections with a baseline's, object by object.

    Args:
        run: The run's images.
        counted: Label of each enhancer with detections -> what counts of them, from one score on.
        baseline: Label to compare with; None for Input.

    Returns:
        One per enhancer with detections, without the baseline, in the run's order.

    Raises:
        UnknownNameError: There is no such baseline.
        DataError: The baseline has no detections.
    """
    chosen, base, others = _baseline_and_others(run, counted, baseline)
    return [_compare(label, one, chosen, base, run) for label, one in others.items()]


def found_and_lost(
    run: RunImages, counted: Mapping[str, Counted], parts: Mapping[str, np.ndarray], *, baseline: str | None = None
) -> tuple[float, dict[str, dict[str, Tally]]]:
    """Objects that each enhancer gained and lost against a baseline, by parts of the objects.

    Args:
        run: The run's images.
        counted: As in `changes`, like `baseline` and the errors.
        parts: Name -> (objects of the run,) bool.
        baseline: Label.

    Returns:
        The score from which a detection counts, and label -> part -> counts of objects; false alarms are of no object
        and not counted.
    """
    _, base, others = _baseline_and_others(run, counted, baseline)
    tallies = {}
    for label, one in others.items():
        kinds = _kinds(one, base)
        tallies[label] = {
            name: Tally(**{kind: int((mask & part).sum()) for kind, mask in kinds.items()})
            for name, part in parts.items()
        }
    return base.threshold, tallies


def _baseline_and_others(
    run: RunImages, counted: Mapping[str, Counted], baseline: str | None
) -> tuple[str, Counted, dict[str, Counted]]:
    baselines = baseline_labels(run.record, baseline)
    others = dict(counted)
    chosen = baselines[-1] if baselines else None
    if chosen is None or chosen not in others:
        raise DataError(
            "There are no detections to compare with.",
            where=run.path,
            expected=f"those of {chosen}" if chosen else "an enhancer `input` in the run",
            got=f"detections of {', '.join(others) or 'none'}",
            todo="choose another baseline",
        )
    return chosen, others.pop(chosen), others


def precision_recall_curves(one: Matched, run: RunImages, detector: DetectorEntry) -> dict[str, Curve]:
    """Class -> curve of an enhancer's detections; a class without an object is absent."""
    result = one.result
    curves = {}
    for label, name in enumerate(run.protocol.classes):
        ap = result.ap[label]
        if ap is None:
            continue
        ranked = result.matches.ranked[label]
        rises = np.flatnonzero(result.matches.tp[ranked])
        curves[name] = Curve(
            recall=result.recall[label][rises],
            precision=result.precision[label][rises],
            scores=one.found.scores[ranked[rises]],
            ap=ap,
            n_objects=result.n_gt[label],
        )
    return detectable(curves, detector, run.protocol)


def _kinds(one: Counted, base: Counted) -> dict[str, np.ndarray]:
    """Field of a tally -> (objects of the run,) bool, of the images that both have; only what was asked for."""
    easy = one.asked & base.asked
    return {
        "gained": easy & one.found & ~base.found,
        "lost": easy & ~one.found & base.found,
        "kept": easy & one.found & base.found,
        "missed": easy & ~one.found & ~base.found,
    }


def _compare(label: str, one: Counted, baseline: str, base: Counted, run: RunImages) -> Changes:
    both = one.mask & base.mask
    kinds = _kinds(one, base)
    alarms = {
        "false_alarms": one.false_alarms.take(both[one.false_alarms.images]),
        "false_alarms_baseline": base.false_alarms.take(both[base.false_alarms.images]),
    }
    by_class = {
        name: Tally(
            **{kind: int((mask & (run.truth.labels == number)).sum()) for kind, mask in kinds.items()},
            **{kind: int((boxes.labels == number).sum()) for kind, boxes in alarms.items()},
        )
        for number, name in enumerate(run.protocol.classes)
    }
    n = len(run.images)
    counts = {
        **{kind: np.bincount(run.truth.images[mask], minlength=n) for kind, mask in kinds.items()},
        **{kind: np.bincount(boxes.images, minlength=n) for kind, boxes in alarms.items()},
    }
    shown = {
        kind: _by_image(boxes, counts[kind])
        for kind, boxes in ({kind: run.truth.take(kinds[kind]) for kind in ("gained", "lost")} | alarms).items()
    }
    changed = np.flatnonzero(
        counts["gained"] + counts["lost"] + (counts["false_alarms"] != counts["false_alarms_baseline"])
    )
    images = [
        ImageChange(
            run.images[number].record.id,
            Tally(**{kind: int(count[number]) for kind, count in counts.items()}),
            **{kind: tuple(ordinals[number].tolist()) for kind, ordinals in shown.items()},
        )
        for number in changed
    ]
    images.sort(key=lambda image: (-image.tally.net, -image.tally.gained, image.image_id))
    total = Tally(**{kind: int(count.sum()) for kind, count in counts.items()})
    return Changes(label, baseline, base.threshold, int(both.sum()), total, by_class, tuple(images))


def _by_image(boxes: Boxes, counts: np.ndarray) -> list[np.ndarray]:
    """The ordinals of each image's boxes, of which there are so many."""
    return np.split(boxes.ordinals[np.argsort(boxes.images, kind="stable")], np.cumsum(counts)[:-1])
