"""What an enhancer won and lost against a baseline, object by object, and the precision-recall curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from duskbench.benchmarks.evaluate import baseline_labels
from duskbench.benchmarks.matching import Matched, MatchedRun, RunImages, detectable
from duskbench.benchmarks.metrics.boxes import Boxes
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


@dataclass(frozen=True)
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


def precision_recall_curves(matched: MatchedRun) -> dict[str, dict[str, Curve]]:
    """Curves of a run: label of the enhancer -> class -> curve; a class without an object is absent."""
    if matched.detector is None:
        return {}
    return {
        label: detectable(_curves(one, matched.run), matched.detector, matched.run.protocol)
        for label, one in matched.by_label.items()
    }


def changes(
    matched: MatchedRun,
    *,
    baseline: str | None = None,
    threshold: float | None = None,
) -> list[Changes]:
    """Compare every enhancer's detections with a baseline's, object by object.

    Args:
        matched: From `benchmarks.matching.match_run`.
        baseline: Label to compare with; None for Input.
        threshold: Score from which a detection counts; None for the one with the best F1 on the baseline, over all
            classes together. It is the same for every enhancer, because the detector is: a user sets it once.

    Returns:
        One per enhancer with detections, without the baseline, in the run's order.

    Raises:
        UnknownNameError: There is no such baseline.
        DataError: The baseline has no detections.
    """
    chosen, base, others = _baseline_and_others(matched, baseline)
    limit = best_f1_threshold(base, matched.run) if threshold is None else threshold
    return [_compare(label, one, chosen, base, matched.run, limit) for label, one in others.items()]


def found_and_lost(
    matched: MatchedRun, parts: Mapping[str, np.ndarray], *, baseline: str | None = None
) -> tuple[float, dict[str, dict[str, Tally]]]:
    """Objects that each enhancer gained and lost against a baseline, by parts of the objects.

    Args:
        matched: From `benchmarks.matching.match_run`.
        parts: Name -> (objects of the run,) bool.
        baseline: As in `changes`, like the score from which a detection counts, and the errors.

    Returns:
        That score, and label -> part -> counts of objects; false alarms are of no object and not counted.
    """
    _, base, others = _baseline_and_others(matched, baseline)
    run, limit = matched.run, best_f1_threshold(base, matched.run)
    before = _found_objects(base, run, limit)
    tallies = {}
    for label, one in others.items():
        found = _found_objects(one, run, limit)
        easy = ~run.truth.difficult & (one.mask & base.mask)[run.truth.images]
        tallies[label] = {
            name: Tally(
                *(
                    int((easy & part & now & then).sum())
                    for now, then in ((found, ~before), (~found, before), (found, before), (~found, ~before))
                )
            )
            for name, part in parts.items()
        }
    return limit, tallies


def _baseline_and_others(matched: MatchedRun, baseline: str | None) -> tuple[str, Matched, dict[str, Matched]]:
    baselines = baseline_labels(matched.run.record, baseline)
    others = dict(matched.by_label)
    chosen = baselines[-1] if baselines else None
    if chosen is None or chosen not in others:
        raise DataError(
            "There are no detections to compare with.",
            where=matched.path,
            expected=f"those of {chosen}" if chosen else "an enhancer `input` in the run",
            got=f"detections of {', '.join(others) or 'none'}",
            todo="choose another baseline",
        )
    return chosen, others.pop(chosen), others


def best_f1_threshold(one: Matched, run: RunImages) -> float:
    """The score at which F1 over all classes together is best; 0 where nothing is found at any.

    Of equal ones the highest. F1 = 2 TP / (detections + objects).
    """
    matches = one.result.matches
    counted = np.flatnonzero(matches.tp | matches.fp)
    order = counted[np.argsort(-one.found.scores[counted], kind="stable")]
    if not matches.tp.any():
        return 0.0
    scores = one.found.scores[order]
    found = np.cumsum(matches.tp[order])
    f1 = 2 * found / (np.arange(1, len(order) + 1) + sum(one.result.n_gt))
    # A threshold takes all detections of its score or none.
    last_of_score = np.append(scores[1:] < scores[:-1], True)
    return float(scores[np.argmax(np.where(last_of_score, f1, -1.0))])


def _curves(one: Matched, run: RunImages) -> dict[str, Curve]:
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
    return curves


def _compare(label: str, one: Matched, baseline: str, base: Matched, run: RunImages, threshold: float) -> Changes:
    both = one.mask & base.mask
    found, found_before = _found_objects(one, run, threshold), _found_objects(base, run, threshold)
    easy = ~run.truth.difficult & both[run.truth.images]
    kinds = {
        "gained": easy & found & ~found_before,
        "lost": easy & ~found & found_before,
        "kept": easy & found & found_before,
        "missed": easy & ~found & ~found_before,
    }
    alarms = {
        "false_alarms": _false_alarms(one, both, threshold),
        "false_alarms_baseline": _false_alarms(base, both, threshold),
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
    shown = {kind: run.truth.take(kinds[kind]) for kind in ("gained", "lost")} | alarms
    changed = np.flatnonzero(
        counts["gained"] + counts["lost"] + (counts["false_alarms"] != counts["false_alarms_baseline"])
    )
    images = [
        ImageChange(
            run.images[number].record.id,
            Tally(**{kind: int(count[number]) for kind, count in counts.items()}),
            **{kind: tuple(boxes.ordinals[boxes.images == number].tolist()) for kind, boxes in shown.items()},
        )
        for number in changed
    ]
    images.sort(key=lambda image: (-image.tally.net, -image.tally.gained, image.image_id))
    total = Tally(**{kind: int(count.sum()) for kind, count in counts.items()})
    return Changes(label, baseline, threshold, int(both.sum()), total, by_class, tuple(images))


def _found_objects(one: Matched, run: RunImages, threshold: float) -> np.ndarray:
    """(objects of the run,) bool: found by a detection of that score or above."""
    matches = one.result.matches
    hits = np.flatnonzero(matches.tp & (one.found.scores >= threshold))
    found = np.zeros(len(run.truth.labels), bool)
    found[one.objects[matches.gt_index[hits]]] = True
    return found


def _false_alarms(one: Matched, within: np.ndarray, threshold: float) -> Boxes:
    alarms = one.result.matches.fp & (one.found.scores >= threshold)
    return one.found.take(alarms & within[one.found.images])
