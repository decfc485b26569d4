"""Paired bootstrap over images, or clusters of them: how far a number would move with another draw of photos.

Images are drawn with replacement, the same draw for every enhancer, class and metric, so that what is hard about an
image cancels in a difference. Matching is not repeated: whether a detection found an object does not depend on the
other images; drawing an image twice only counts its objects and detections twice. Images that were not taken by
themselves, as the frames of a video, are drawn together (`BootstrapOptions.cluster`).

A resample in which a class has no object has no AP of that class: the class leaves the mean of that resample, as it
leaves the mean of a data set that lacks it. Counting it as 0 would say that the detector failed where nothing was
asked; throwing the resample away would tie the interval of every class to the rarest. Both sides of a difference lack
the class in the same resamples, so the pairing holds.

An AP is larger on fewer different images (its envelope takes maxima), so resamples of a single mAP lie above it, and
plain percentiles miss the truth below far too often: single numbers get the bias-corrected interval. In a paired
difference the bias is on both sides and percentiles hold the truth; correcting there only adds noise.
`python -m duskbench.benchmarks.studies.interval_coverage` measures both. What several trainings of one method add is in
`benchmarks.trainings`.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 6, 13 (percentile interval) and 14.3
(bias correction, acceleration 0).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from duskbench.benchmarks.metrics.base import Ranked, Ranking
from duskbench.benchmarks.resampling import draw_weights, in_blocks, resampled_aps, resampled_mean
from duskbench.benchmarks.statistics import (
    Aggregate,
    BootstrapOptions,
    Difference,
    Draws,
    Interval,
    Sample,
    Spread,
    interval_of,
)
from duskbench.benchmarks.trainings import Trainings, mean_with_luck, training_luck
from duskbench.pipeline.allocator import give_back_freed_memory


class Bootstrap:
    """Resamples of a set of images, asked for the interval of one enhancer or of a difference.

    Args:
        objects: Class -> (N,) how many objects to find (difficult ones left out) each image has.
        options: Number of resamples, seed, level.
        within: (N,) bool, draw from these images only: those that were measured, or one part of a break-down.
        aggregates: Key of a score -> how it is made of its images' numbers, where that is not their mean.
        clusters: (N,) integers, from `BootstrapOptions.clusters`: images with the same number are drawn together. None:
            each by itself.
    """

    def __init__(
        self,
        objects: Mapping[str, np.ndarray],
        options: BootstrapOptions,
        *,
        within: np.ndarray,
        aggregates: Mapping[str, Aggregate] | None = None,
        clusters: np.ndarray | None = None,
    ) -> None:
        self.objects = objects
        self.options = options
        self.within = within
        self.aggregates = aggregates or {}
        # What samples were made from is free by now, in blocks that these large arrays do not fit.
        give_back_freed_memory()
        self._clusters = np.arange(len(within)) if clusters is None else clusters
        # Of these images alone, a row each.
        names, of_images = np.unique(self._clusters[within], return_inverse=True)
        weights = draw_weights(len(names), options.resamples, options.seed)
        self._weights = weights if len(names) == len(of_images) else weights[of_images]
        self._row = np.cumsum(within, dtype=np.int32) - 1
        self._kept: dict[tuple[int, str, bytes], tuple[Sample, _Numbers]] = {}
        # Of a ranking in a kept sample; scores may share one.
        self._drawn_aps: dict[tuple[int, str, bytes], np.ndarray] = {}

    def spread(self, sample: Sample | Trainings) -> Spread:
        """Intervals of one enhancer, or of the mean over trainings, over its own images."""
        mask = sample.measured & self.within
        drawn = {key: self._drawn(sample, key, there) for key, there in _where(mask, sample).items()}
        made = self._intervals(drawn, correct=True)
        there = {name: int(self.objects[name][mask].sum()) for of in made["classes"].values() for name in of}
        return Spread(**made, objects=there)

    def difference(self, sample: Sample | Trainings, baseline: Sample | Trainings) -> Difference:
        """One enhancer minus another, over the images that both have."""
        both = sample.measured & baseline.measured & self.within
        either = (sample.measured | baseline.measured) & self.within
        drawn = {
            key: _minus(self._drawn(sample, key, there), self._drawn(baseline, key, there))
            for key, there in _where(both, sample, baseline).items()
        }
        n_left_out = int(either.sum() - both.sum())
        return Difference(
            **self._intervals(drawn), baseline=baseline.label, n_images=int(both.sum()), n_left_out=n_left_out
        )

    def between(self, sample: Sample | Trainings, key: str, other: str) -> Interval | None:
        """One score of an enhancer minus another of its scores, over the images that have both; None without one."""
        where = _where(sample.measured & self.within, sample)
        if key not in where or other not in where:
            return None
        there = where[key] & where[other]
        drawn = _minus(self._drawn(sample, key, there), self._drawn(sample, other, there))
        return self._interval(drawn.mean, there)

    def _drawn(self, sample: Sample | Trainings, key: str, there: np.ndarray) -> _Numbers:
        if isinstance(sample, Sample):
            return self._numbers(sample, key, there)
        own = sample.of(key)
        if len(own) == 1 < len(sample.samples):
            return self._numbers(own[0], key, there)
        each = [self._numbers(one, key, there) for one in own]
        name, luck = sample.luck or sample.label, None
        if len(each) > 1 and sample.luck is not None:
            luck = training_luck(name, len(each), self.options.resamples, self.options.seed)
        means = [one.mean.images for one in each if one.mean is not None]
        return _Numbers(
            _shared_means([one.ap for one in each if one.ap is not None], name, luck),
            mean_with_luck(means, name, luck) if means else None,
            there,
            tuple(float(mean[0]) for mean in means),
        )

    def _numbers(self, sample: Sample, key: str, there: np.ndarray) -> _Numbers:
        # The sample is kept beside its numbers, so that its id is not given to another.
        place = (id(sample), key, there.tobytes())
        if place not in self._kept:
            self._kept[place] = sample, self._resample(sample, key, there)
        return self._kept[place][1]

    def _intervals(self, drawn: Mapping[str, _Numbers], *, correct: bool = False) -> dict[str, Any]:
        """The fields of a `Spread`; a score that no image has is left out."""
        made: dict[str, Any] = {"scores": {}, "classes": {}, "draws": {}, "trainings": {}}
        for key, numbers in drawn.items():
            interval = self._interval(numbers.mean, numbers.there, corrected=correct)
            if numbers.mean is not None and interval is not None:
                made["scores"][key], made["draws"][key] = interval, numbers.mean
                if interval.low is None:
                    made["draws"][key] = Draws(np.append(interval.value, np.full(self.options.resamples, np.nan)))
                if numbers.trainings:
                    made["trainings"][key] = numbers.trainings
            if numbers.ap is not None:
                of_classes = {
                    name: self._interval(ap, numbers.there, corrected=correct) for name, ap in numbers.ap.items()
                }
                made["classes"][key] = {name: each for name, each in of_classes.items() if each is not None}
        return made

    def _resample(self, sample: Sample, key: str, mask: np.ndarray) -> _Numbers:
        if key not in sample.ranked:
            drawn = self._aggregate(key, sample.values[key], mask)
            return _Numbers(None, None if drawn is None else Draws(drawn), mask)
        ranked = sample.ranked[key]
        asked = {name: np.where(mask, ranked.to_find(name, self.objects), 0)[self.within] for name in ranked.by_class}
        asked = {name: objects for name, objects in asked.items() if objects.any()}
        if not asked:
            return _Numbers({}, None, mask)
        ap = {name: np.mean(each, axis=0) for name, each in self._aps(ranked, asked, mask)}
        stacked = np.stack(list(ap.values()))
        there = ~np.isnan(stacked)
        count = there.sum(axis=0)
        total = np.where(there, stacked, 0.0).sum(axis=0)
        mean = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
        of_classes = {name: Draws(each) for name, each in ap.items() if name not in ranked.pools}
        return _Numbers(of_classes, Draws(mean), mask)

    def _aps(
        self, ranked: Ranked, asked: Mapping[str, np.ndarray], mask: np.ndarray
    ) -> Iterator[tuple[str, list[np.ndarray]]]:
        """The AP of each of these classes or pools in all resamples, at each overlap.

        Args:
            ranked: The detections.
            asked: Key of `by_class` -> objects to find.
            mask: (N,) bool: the images that count.
        """
        asked_of = ranked.mode, mask.tobytes()
        new: list[tuple[np.ndarray, list[Ranking], list[np.ndarray]]] = []
        for name, objects in asked.items():
            lacking = [one for one in ranked.by_class[name] if (id(one), *asked_of) not in self._drawn_aps]
            # At several overlaps the same detections are counted, but where some are ignored at one of them.
            for _, same in groupby(lacking, key=lambda one: id(one.images)):
                each = list(same)
                aps = [np.empty(1 + self.options.resamples) for _ in each]
                new.append((objects, each, aps))
                self._drawn_aps |= {(id(one), *asked_of): ap for one, ap in zip(each, aps, strict=True)}
        for columns, weights in in_blocks(self._weights) if new else ():
            for objects, each, aps in new:
                # For each block again: held of all rankings at once these would take as much memory as they do.
                here = mask[each[0].images]
                images, tps = self._row[each[0].images[here]], [one.tp[here] for one in each]
                for ap, drawn in zip(aps, resampled_aps(images, tps, objects, weights, ranked.mode), strict=True):
                    ap[columns] = drawn
        for name in asked:
            yield name, [self._drawn_aps[id(one), *asked_of] for one in ranked.by_class[name]]

    def _aggregate(self, key: str, values: np.ndarray, there: np.ndarray) -> np.ndarray | None:
        if not there.any():
            return None
        values, there = values[self.within], there[self.within]
        if key in self.aggregates:
            aggregate, numbers = self.aggregates[key], values[there]
            drawn = (np.repeat(numbers, counts) for counts in self._weights[there].T)
            return np.array([aggregate(each) if len(each) else np.nan for each in drawn])
        known = np.where(there, values, 0.0)
        blocks = in_blocks(self._weights, np.float64)
        return np.concatenate([resampled_mean(known, there, weights) for _, weights in blocks])

    def _interval(self, draws: Draws | None, there: np.ndarray, *, corrected: bool = False) -> Interval | None:
        if draws is None or np.isnan(draws.images[0]):
            return None
        found = self._clusters[there]
        if not (found != found[:1]).any():
            return Interval(float(draws.images[0]))
        return interval_of(draws, self.options.level, corrected=corrected)


@dataclass(frozen=True)
class _Numbers:
    """A score in every resample.

    Attributes:
        ap: Class -> AP; None of a score of images.
        mean: The score; None where no image has it.
        there: (N,) bool: the images that count.
        trainings: On the images as they are, of each training.
    """

    ap: dict[str, Draws] | None
    mean: Draws | None
    there: np.ndarray
    trainings: tuple[float, ...] = ()


def _shared_means(each: Sequence[dict[str, Draws]], name: str, luck: np.ndarray | None) -> dict[str, Draws] | None:
    if not each:
        return None
    return {label: mean_with_luck([ap[label].images for ap in each], name, luck) for label in each[0]}


def _minus(a: _Numbers, b: _Numbers) -> _Numbers:
    if a.mean is None or b.mean is None:
        return _Numbers(None if a.ap is None else {}, None, a.there)
    ap = None if a.ap is None or b.ap is None else {name: a.ap[name] - b.ap[name] for name in a.ap if name in b.ap}
    return _Numbers(ap, a.mean - b.mean, a.there, tuple(one - float(b.mean.images[0]) for one in a.trainings))


def _where(mask: np.ndarray, *samples: Sample | Trainings) -> dict[str, np.ndarray]:
    """Key of a score that all of these have -> which of the images have it."""
    first = samples[0]
    where = {
        key: np.logical_and.reduce([mask, *(~np.isnan(one.values[key]) for one in samples)])
        for key in first.values
        if all(key in one.values for one in samples)
    }
    return where | {key: mask for key in first.ranked if all(key in one.ranked for one in samples)}
