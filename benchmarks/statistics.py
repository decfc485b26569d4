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
`python -m duskbench.benchmarks.studies.interval_coverage` measures both.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 6, 13 (percentile interval) and 14.3
(bias correction, acceleration 0).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from duskbench.benchmarks.metrics.base import Ranked
from duskbench.benchmarks.resampling import draw_weights, resampled_ap, resampled_mean
from duskbench.data_tools.errors import ConfigError

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
        if self.resamples < 0 or not 0 < self.level < 1:
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
    """

    scores: dict[str, Interval] = field(default_factory=dict)
    classes: dict[str, dict[str, Interval]] = field(default_factory=dict)
    draws: dict[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False, kw_only=True)


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
        self._weights = draw_weights(within, options.resamples, options.seed)
        self._kept: dict[tuple[int, str, bytes], _Numbers] = {}

    def spread(self, sample: Sample) -> Spread:
        """Intervals of one enhancer over its own images."""
        mask = sample.measured & self.within
        scores: dict[str, Interval] = {}
        classes: dict[str, dict[str, Interval]] = {}
        draws: dict[str, np.ndarray | None] = {}
        for key, values in sample.values.items():
            there = mask & ~np.isnan(values)
            draws[key] = self._aggregate(key, values, there)
            _put(scores, key, self._interval(draws[key], there, corrected=True))
        for key in sample.ranked:
            numbers = self._numbers(sample, key, mask)
            draws[key] = numbers.mean
            _put(scores, key, self._interval(numbers.mean, mask, corrected=True))
            classes[key] = {}
            for name, ap in numbers.ap.items():
                _put(classes[key], name, self._interval(ap, mask, corrected=True))
        return Spread(scores, classes, draws={key: drawn for key, drawn in draws.items() if drawn is not None})

    def difference(self, sample: Sample, baseline: Sample) -> Difference:
        """One enhancer minus another, over the images that both have."""
        both = sample.measured & baseline.measured & self.within
        either = (sample.measured | baseline.measured) & self.within
        scores: dict[str, Interval] = {}
        classes: dict[str, dict[str, Interval]] = {}
        for key, values in sample.values.items():
            if key in baseline.values:
                there = both & ~np.isnan(values) & ~np.isnan(baseline.values[key])
                sides = (self._aggregate(key, each.values[key], there) for each in (sample, baseline))
                _put(scores, key, self._interval(_minus(*sides), there))
        for key in sample.ranked:
            if key in baseline.ranked:
                ours, theirs = (self._numbers(each, key, both) for each in (sample, baseline))
                _put(scores, key, self._interval(_minus(ours.mean, theirs.mean), both))
                classes[key] = {}
                for name in ours.ap:
                    _put(classes[key], name, self._interval(_minus(ours.ap[name], theirs.ap.get(name)), both))
        return Difference(scores, classes, baseline.label, int(both.sum()), int(either.sum() - both.sum()))

    def _numbers(self, sample: Sample, key: str, mask: np.ndarray) -> _Numbers:
        # The numbers hold their sample, so its id is not given to another.
        place = (id(sample), key, mask.tobytes())
        if place not in self._kept:
            self._kept[place] = self._resample(sample, key, mask)
        return self._kept[place]

    def _resample(self, sample: Sample, key: str, mask: np.ndarray) -> _Numbers:
        ranked = sample.ranked[key]
        ap: dict[str, np.ndarray] = {}
        for name, rankings in ranked.by_class.items():
            objects = np.where(mask, self.objects[name], 0)
            if not objects.any():
                continue
            made = [
                resampled_ap(ranking.images[here], ranking.tp[here], objects, self._weights, ranked.mode)
                for ranking in rankings
                for here in (mask[ranking.images],)
            ]
            ap[name] = made[0] if len(made) == 1 else np.mean(made, axis=0)
        if not ap:
            return _Numbers(sample, {}, None)
        stacked = np.stack(list(ap.values()))
        there = ~np.isnan(stacked)
        count = there.sum(axis=0)
        total = np.where(there, stacked, 0.0).sum(axis=0)
        return _Numbers(sample, ap, np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0))

    def _aggregate(self, key: str, values: np.ndarray, there: np.ndarray) -> np.ndarray | None:
        if not there.any():
            return None
        if key not in self.aggregates:
            return resampled_mean(np.where(there, values, 0.0), there, self._weights)
        numbers, counts = values[there], self._weights[there].astype(np.int64)
        aggregate = self.aggregates[key]
        drawn = (np.repeat(numbers, column) for column in counts.T)
        return np.array([aggregate(each) if len(each) else np.nan for each in drawn])

    def _interval(self, values: np.ndarray | None, there: np.ndarray, *, corrected: bool = False) -> Interval | None:
        """The first value is that of the images as they are; a resample without a value is left out."""
        if values is None or np.isnan(values[0]):
            return None
        resampled = values[1:][~np.isnan(values[1:])]
        if int(there.sum()) < 2 or not len(resampled):
            return Interval(float(values[0]))
        tail = (1 - self.options.level) / 2
        tails = corrected_tails(resampled, values[0], tail) if corrected else (tail, 1 - tail)
        low, high = np.quantile(resampled, tails)
        return Interval(float(values[0]), float(low), float(high))


def _put(into: dict[str, Interval], key: str, interval: Interval | None) -> None:
    if interval is not None:
        into[key] = interval


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
    """Resampled APs of a sample on some images, each (1 + resamples,), the images as they are first."""

    sample: Sample
    ap: dict[str, np.ndarray]
    mean: np.ndarray | None


def _minus(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
    return None if a is None or b is None else a - b
