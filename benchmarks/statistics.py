"""Paired bootstrap over images: how far a number would move with another draw of photos.

Images are drawn with replacement, the same draw for every enhancer, class and metric, so that what is hard about an
image cancels in a difference. Matching is not repeated: whether a detection found an object does not depend on the
other images; drawing an image twice only counts its objects and detections twice.

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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from duskbench.benchmarks.metrics.base import Ranked
from duskbench.benchmarks.resampling import draw_weights, in_blocks, resampled_ap, resampled_mean
from duskbench.benchmarks.trainings import Trainings, mean_with_luck, training_luck
from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.settings import is_whole

Aggregate = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class BootstrapOptions:
    """How to resample.

    Attributes:
        resamples: Number of draws; 0 for none, and so no intervals.
        seed: Of `np.random.default_rng`.
        level: Share of the resamples inside the interval.
    """

    resamples: int = 2000
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        if not is_whole(self.resamples, 0) or not 0 < self.level < 1:
            raise ConfigError(
                "Cannot resample like this.",
                where="bootstrap",
                expected="resamples >= 0 and 0 < level < 1",
                got=f"resamples={self.resamples}, level={self.level}",
            )


@dataclass(frozen=True)
class Interval:
    """A number and its interval.

    Attributes:
        value: On the images as they are, not the mean of the resamples.
        low: Lower end; None where there is no interval: fewer than two images, or no resampling.
        high: Upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def settled(self) -> bool:
        """Of a difference: whether the interval says which side of 0 it is on."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def unsettled(self) -> bool:
        """Of a difference: whether there is one, and the interval does not say which side of 0 it is on."""
        return self.low is not None and not self.settled and self.low != self.high


@dataclass(frozen=True)
class Spread:
    """The numbers of one enhancer with their intervals.

    Attributes:
        scores: Key of a score -> its number; one that no image has is absent.
        classes: Key of a score of detections -> class -> AP; a class without an object is absent.
        draws: Key of a score -> (1 + resamples,) float64: its number on the images as they are, then in each resample,
            NaN where that has none. The same place of two enhancers, or of two scores, is the same draw of images.
        trainings: Key of a score -> the number of each of several trainings, whose mean the score is; no key where an
            enhancer stands for itself.
    """

    scores: dict[str, Interval] = field(default_factory=dict)
    classes: dict[str, dict[str, Interval]] = field(default_factory=dict)
    draws: dict[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False, kw_only=True)
    trainings: dict[str, tuple[float, ...]] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class Difference(Spread):
    """One enhancer minus a baseline, over the images that both have.

    Attributes:
        baseline: Label of the baseline.
        n_images: Images with a result of both: the pairing is over these.
        n_left_out: Images that only one of the two has; where it is not 0 the values are not the differences of the two
            table cells, which stand on different images.
    """

    baseline: str = ""
    n_images: int = 0
    n_left_out: int = 0


@dataclass(frozen=True)
class Sample:
    """What resampling needs to know of one enhancer; N are the images of the run.

    Attributes:
        label: Of the enhancer.
        measured: (N,) bool: which images have a result.
        values: Key of a score of images -> (N,) float64, NaN where an image has none.
        ranked: Key of a score of detections -> the detections by class.
    """

    label: str
    measured: np.ndarray
    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    ranked: Mapping[str, Ranked] = field(default_factory=dict)

    def same_numbers(self, other: Sample) -> bool:
        """Whether two samples are equal to the last digit in all scores that both have."""
        return (
            np.array_equal(self.measured, other.measured)
            and all(
                np.array_equal(v, other.values[k], equal_nan=True) for k, v in self.values.items() if k in other.values
            )
            and all(_same_ranked(v, other.ranked[k]) for k, v in self.ranked.items() if k in other.ranked)
        )


def _same_ranked(a: Ranked, b: Ranked) -> bool:
    return list(a.by_class) == list(b.by_class) and all(
        np.array_equal(one.images, other.images) and np.array_equal(one.tp, other.tp)
        for name in a.by_class
        for one, other in zip(a.by_class[name], b.by_class[name], strict=True)
    )


class Bootstrap:
    """Resamples of a set of images, asked for the interval of one enhancer or of a difference.

    Args:
        objects: Class -> (N,) how many objects to find (difficult ones left out) each image has.
        options: Number of resamples, seed, level.
        within: (N,) bool, draw from these images only: those that were measured, or one part of a break-down.
        aggregates: Key of a score -> how it is made of its images' numbers, where that is not their mean.
    """

    def __init__(
        self,
        objects: Mapping[str, np.ndarray],
        options: BootstrapOptions,
        *,
        within: np.ndarray,
        aggregates: Mapping[str, Aggregate] | None = None,
    ) -> None:
        self.objects = objects
        self.options = options
        self.within = within
        self.aggregates = aggregates or {}
        # Of these images alone, a row each.
        self._weights = draw_weights(int(np.count_nonzero(within)), options.resamples, options.seed)
        self._row = np.cumsum(within) - 1
        self._kept: dict[tuple[int, str, bytes], tuple[Sample, _Numbers]] = {}

    def spread(self, sample: Sample | Trainings) -> Spread:
        """Intervals of one enhancer, or of the mean over trainings, over its own images."""
        where = _where(sample.measured & self.within, sample)
        drawn = {key: self._drawn(sample, key, there) for key, there in where.items()}
        return Spread(**self._intervals(drawn, correct=True))

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
        luck = None
        if len(each) > 1 and sample.luck is not None:
            name = sample.luck or sample.label
            luck = training_luck(name, len(each), self.options.resamples, self.options.seed)
        means = [one.mean for one in each if one.mean is not None]
        return _Numbers(
            _shared_means([one.ap for one in each if one.ap is not None], luck),
            mean_with_luck(means, luck) if means else None,
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
            # Student's tails are wide enough for the bias, and correcting would stretch them: see `trainings`.
            corrected = correct and len(numbers.trainings) < 2
            interval = self._interval(numbers.mean, numbers.there, corrected=corrected)
            if interval is not None:
                made["scores"][key], made["draws"][key] = interval, numbers.mean
                if numbers.trainings:
                    made["trainings"][key] = numbers.trainings
            if numbers.ap is not None:
                of_classes = {
                    name: self._interval(ap, numbers.there, corrected=corrected) for name, ap in numbers.ap.items()
                }
                made["classes"][key] = {name: each for name, each in of_classes.items() if each is not None}
        return made

    def _resample(self, sample: Sample, key: str, mask: np.ndarray) -> _Numbers:
        if key not in sample.ranked:
            return _Numbers(None, self._aggregate(key, sample.values[key], mask), mask)
        ranked = sample.ranked[key]
        asked: dict[str, tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]] = {}
        for name, rankings in ranked.by_class.items():
            objects = np.where(mask, self.objects[name], 0)[self.within]
            if objects.any():
                kept = [(ranking, mask[ranking.images]) for ranking in rankings]
                asked[name] = objects, [(self._row[ranking.images[here]], ranking.tp[here]) for ranking, here in kept]
        ap = {name: np.empty(1 + self.options.resamples) for name in asked}
        for columns, weights in in_blocks(self._weights):
            for name, (objects, kept_rankings) in asked.items():
                made = [resampled_ap(images, tp, objects, weights, ranked.mode) for images, tp in kept_rankings]
                ap[name][columns] = made[0] if len(made) == 1 else np.mean(made, axis=0)
        if not ap:
            return _Numbers({}, None, mask)
        stacked = np.stack(list(ap.values()))
        there = ~np.isnan(stacked)
        count = there.sum(axis=0)
        total = np.where(there, stacked, 0.0).sum(axis=0)
        mean = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
        return _Numbers(ap, mean, mask)

    def _aggregate(self, key: str, values: np.ndarray, there: np.ndarray) -> np.ndarray | None:
        if not there.any():
            return None
        values, there = values[self.within], there[self.within]
        if key in self.aggregates:
            aggregate, numbers = self.aggregates[key], values[there]
            drawn = (np.repeat(numbers, counts) for counts in self._weights[there].T)
            return np.array([aggregate(each) if len(each) else np.nan for each in drawn])
        known = np.where(there, values, 0.0)
        return np.concatenate([resampled_mean(known, there, weights) for _, weights in in_blocks(self._weights)])

    def _interval(self, values: np.ndarray | None, there: np.ndarray, *, corrected: bool = False) -> Interval | None:
        """The first value is that of the images as they are; a resample without a value is left out."""
        if values is None or np.isnan(values[0]):
            return None
        if int(there.sum()) < 2:
            return Interval(float(values[0]))
        return interval_of(values, self.options.level, corrected=corrected)


def interval_of(values: np.ndarray, level: float, *, corrected: bool = False) -> Interval:
    """The interval of a number from its resamples.

    Args:
        values: (1 + R,) float64, the number on the images as they are first; a resample that is NaN is left out.
        level: Share of the resamples inside.
        corrected: Whether quantiles are bias-corrected; see `corrected_tails`.
    """
    resampled = values[1:][~np.isnan(values[1:])]
    if not len(resampled):
        return Interval(float(values[0]))
    tail = (1 - level) / 2
    tails = corrected_tails(resampled, values[0], tail) if corrected else (tail, 1 - tail)
    low, high = np.quantile(resampled, tails)
    return Interval(float(values[0]), float(low), float(high))


def corrected_tails(resampled: np.ndarray, value: float, tail: float) -> tuple[float, float]:
    """The quantiles that stand for `tail` and `1 - tail` where the resamples' median is not the value.

    Source: Efron and Tibshirani 1993, equation 14.9 with acceleration 0.
    """
    normal = NormalDist()
    below = (np.count_nonzero(resampled < value) + np.count_nonzero(resampled <= value)) / (2 * len(resampled))
    # None of them below says "fewer than one", not "infinitely far".
    least = 1 / (2 * len(resampled))
    bias = normal.inv_cdf(min(max(below, least), 1 - least))
    return normal.cdf(2 * bias + normal.inv_cdf(tail)), normal.cdf(2 * bias - normal.inv_cdf(tail))


@dataclass(frozen=True)
class _Numbers:
    """A score in every resample, (1 + resamples,), the images as they are first.

    Attributes:
        ap: Class -> AP; None of a score of images.
        mean: The score; None where no image has it.
        there: (N,) bool: the images that count.
        trainings: On the images as they are, of each training.
    """

    ap: dict[str, np.ndarray] | None
    mean: np.ndarray | None
    there: np.ndarray
    trainings: tuple[float, ...] = ()


def _shared_means(each: Sequence[dict[str, np.ndarray]], luck: np.ndarray | None) -> dict[str, np.ndarray] | None:
    return {name: mean_with_luck([ap[name] for ap in each], luck) for name in each[0]} if each else None


def _minus(a: _Numbers, b: _Numbers) -> _Numbers:
    if a.mean is None or b.mean is None:
        return _Numbers(None if a.ap is None else {}, None, a.there)
    ap = None if a.ap is None or b.ap is None else {name: a.ap[name] - b.ap[name] for name in a.ap if name in b.ap}
    return _Numbers(ap, a.mean - b.mean, a.there, tuple(one - float(b.mean[0]) for one in a.trainings))


def _where(mask: np.ndarray, *samples: Sample | Trainings) -> dict[str, np.ndarray]:
    """Key of a score that all of these have -> which of the images have it."""
    first = samples[0]
    where = {
        key: np.logical_and.reduce([mask, *(~np.isnan(one.values[key]) for one in samples)])
        for key in first.values
        if all(key in one.values for one in samples)
    }
    return where | {key: mask for key in first.ranked if all(key in one.ranked for one in samples)}
