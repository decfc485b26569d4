"""What a detector found in the images of a run, in few bytes; of many images some at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from duskbench.benchmarks.metrics.base import DetectionMetric, Ranked, Ranking
from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.rows import Detected
from duskbench.data_tools.classes import match_classes


@dataclass(frozen=True)
class Found:
    """What a detector found in some images, image by image.

    Attributes:
        images: (n,) int64 positions of the images in the run, rising.
        sizes: (n,) int64 number of detections in each.
        boxes_xyxy: (D, 4) float32 as in `Detected`, like the rest.
        scores: (D,) float32.
        labels: (D,) int16 or int64 into the detector's classes.
    """

    images: np.ndarray
    sizes: np.ndarray
    boxes_xyxy: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, each: Mapping[int, Detected]) -> Found:
        """Of position of an image -> what was found there."""
        images = sorted(each)
        found = [each[image] for image in images] or [Detected()]
        labels = np.concatenate([one.labels for one in found])
        small = labels.astype(np.int16)
        return cls(
            images=np.array(images, np.int64),
            sizes=np.array([len(each[image].scores) for image in images], np.int64),
            boxes_xyxy=np.concatenate([one.boxes_xyxy for one in found]),
            scores=np.concatenate([one.scores for one in found]),
            labels=small if np.array_equal(small, labels) else labels,
        )

    def each(self) -> Iterator[tuple[int, Detected]]:
        """Position of an image, and what was found there."""
        ends = np.cumsum(self.sizes)[:-1]
        columns = [np.split(column, ends) for column in (self.boxes_xyxy, self.scores, self.labels)]
        for image, boxes, scores, labels in zip(self.images.tolist(), *columns, strict=True):
            yield image, Detected(boxes, scores, labels)

    def boxes(self, classes: Sequence[str], protocol: Protocol) -> Boxes:
        """Those of the protocol's classes, as many of an image as it wants; those of other classes are dropped.

        Args:
            classes: What labels index.
            protocol: Its classes and its `max_detections`.
        """
        places = match_classes(classes, protocol.classes).to_protocol
        labels = np.array([-1 if place is None else place for place in places], np.int64)[self.labels]
        ordinals = np.arange(len(labels)) - np.repeat(np.cumsum(self.sizes) - self.sizes, self.sizes)
        kept = labels >= 0
        if protocol.max_detections is not None:
            kept &= ordinals < protocol.max_detections
        return Boxes(
            boxes_xyxy=self.boxes_xyxy[kept].astype(np.float64),
            labels=labels[kept],
            images=np.repeat(self.images, self.sizes)[kept],
            scores=self.scores[kept].astype(np.float64),
            difficult=np.zeros(int(kept.sum()), bool),
            ordinals=ordinals[kept],
        )


def in_one(parts: Sequence[Boxes]) -> Boxes:
    """Boxes of different images as one, by image."""
    if len(parts) == 1:
        return parts[0]
    whole = Boxes(*(np.concatenate(columns) for columns in zip(*(vars(part).values() for part in parts), strict=True)))
    rising = np.all(whole.images[1:] >= whole.images[:-1])
    return whole if rising else whole.take(np.argsort(whole.images, kind="stable"))


def rank_in_parts(
    metrics: Mapping[str, DetectionMetric], parts: Iterable[tuple[Boxes, Boxes]], classes: Sequence[str]
) -> dict[str, Ranked]:
    """What metrics make of all detections, without `Ranking.positions`.

    All enhancers' rankings are held at once: of a detection five bytes, once for all metrics and overlaps that rank it
    alike.

    Args:
        metrics: Key -> metric; where there are several parts, each `by_image`.
        parts: Objects and detections of different images.
        classes: Names.

    Returns:
        Key -> what that metric makes of them.
    """
    made: dict[str, list[dict[str, tuple[Ranking, ...]]]] = {key: [] for key in metrics}
    first: dict[str, Ranked] = {}
    scores: list[np.ndarray] = []
    for truth, found in parts:
        small = _Small(sum(map(len, scores)))
        for key, metric in metrics.items():
            ranked = metric.rank(truth, found, classes)
            made[key].append({name: tuple(map(small, of)) for name, of in ranked.by_class.items()})
            first.setdefault(key, replace(ranked, by_class={}))
        scores.append(found.scores.astype(np.float32))
    all_scores = np.concatenate(scores)
    merged: dict[str, dict[str, tuple[Ranking, ...]]] = {key: dict.fromkeys(each[0], ()) for key, each in made.items()}
    # Class by class, each of which is dropped from the parts: rankings share only what is of one class.
    for name in dict.fromkeys(name for by_class in merged.values() for name in by_class):
        merge = _Merge(all_scores)
        for key, each in made.items():
            if name in merged[key]:
                merged[key][name] = tuple(map(merge, *(part.pop(name) for part in each)))
    return {key: replace(first[key], by_class=by_class) for key, by_class in merged.items()}


class _Small:
    """Rankings of one part with smaller arrays; those that share an array share it still.

    Args:
        before: How many detections are in the parts before; positions become those among all.
    """

    def __init__(self, before: int) -> None:
        self._before = before
        # Each beside what it was made of, so that no other arrays are given their ids.
        self._known: dict[tuple[int, int], tuple[Ranking, Ranking]] = {}

    def __call__(self, ranking: Ranking) -> Ranking:
        ids = id(ranking.images), id(ranking.positions)
        if ids not in self._known:
            positions = None if ranking.positions is None else (ranking.positions + self._before).astype(np.uint32)
            self._known[ids] = ranking, Ranking(ranking.images.astype(np.int32), ranking.tp, positions)
        return replace(self._known[ids][1], tp=ranking.tp)


class _Merge:
    """One ranking of those of several parts; where it counts the same detections as another it shares their array.

    Args:
        scores: (D,) of the detections of all parts.
    """

    def __init__(self, scores: np.ndarray) -> None:
        self._scores = scores
        self._known: dict[bytes, list[_Counted]] = {}

    def __call__(self, *parts: Ranking) -> Ranking:
        images, tp = (np.concatenate(column) for column in zip(*((p.images, p.tp) for p in parts), strict=True))
        positions = np.concatenate([images if part.positions is None else part.positions for part in parts])
        alike = self._known.setdefault(positions[:8].tobytes(), [])
        counted = next((one for one in alike if np.array_equal(one.positions, positions)), None)
        if counted is None:
            # Ties by image, then by position, as in one part.
            order = slice(None) if len(parts) == 1 else np.lexsort((images, -self._scores[positions]))
            counted = _Counted(positions, order, images[order])
            alike.append(counted)
        tp = tp[counted.order]
        known = next((one for one in counted.rankings if np.array_equal(one.tp, tp)), None)
        if known is None:
            known = Ranking(counted.images, tp)
            counted.rankings.append(known)
        return known


@dataclass(frozen=True)
class _Counted:
    """The same detections, as several rankings count them.

    Attributes:
        positions: Of each, as the parts have them.
        order: Which of them is first, second, ... of all parts.
        images: Of each in that order.
        rankings: They with what became of them.
    """

    positions: np.ndarray
    order: np.ndarray | slice
    images: np.ndarray
    rankings: list[Ranking] = field(default_factory=list)
