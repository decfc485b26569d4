"""Paired bootstrap over images: how far a mAP, an AP or a NIQE would move with another draw of photos.

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

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from duskbench.benchmarks.metrics.voc_ap import Mode
from duskbench.benchmarks.resampling import draw_weights, resampled_ap, resampled_mean
from duskbench.data_tools.errors import ConfigError


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
class Difference:
    """One enhancer minus a reference, over the images that both have.

    Attributes:
        reference: Label of the reference.
        n_images: Images with a result of both: the pairing is over these.
        n_left_out: Images that only one of the two has; where it is not 0 the values below are not the differences of
            the two table cells, which stand on different images.
        map: Of mAP, 0 to 1; above 0 is better. None where either has none.
        niqe: Of the mean NIQE over the images where both have one; below 0 is better.
        ap: Class -> difference of AP; a class without an object is absent.
    """

    reference: str
    n_images: int
    n_left_out: int
    map: Interval | None = None
    niqe: Interval | None = None
    ap: dict[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Ranking:
    """The counted detections of one class, best first; ignored ones are left out.

    Attributes:
        images: (D,) integers into the images of the run.
        tp: (D,) bool: found an object. False: a false alarm.
    """

    images: np.ndarray
    tp: np.ndarray


@dataclass(frozen=True)
class Sample:
    """What resampling needs to know of one enhancer; N are the images of the run.

    Attributes:
        label: Of the enhancer.
        measured: (N,) bool: which images have a result.
        niqe: (N,) float64, NaN where an image has none.
        rankings: Class -> ranking; empty without a detector or ground truth.
    """

    label: str
    measured: np.ndarray
    niqe: np.ndarray
    rankings: Mapping[str, Ranking] = field(default_factory=dict)


@dataclass(frozen=True)
class Spread:
    """The intervals of one enhancer.

    Attributes:
        map: None without detector or ground truth.
        niqe: None where no image has one.
        ap: Class -> interval; a class without an object is absent.
    """

    map: Interval | None = None
    niqe: Interval | None = None
    ap: dict[str, Interval] = field(default_factory=dict)


class Bootstrap:
    """Resamples of a set of images, asked for the interval of one enhancer or of a difference.

    Args:
        objects: Class -> (N,) how many objects to find (difficult ones left out) each image has.
        options: Number of resamples, seed, level.
        mode: How an AP is made.
        within: (N,) bool, draw from these images only: those that were measured, or one part of a break-down.
    """

    def __init__(
        self,
        objects: Mapping[str, np.ndarray],
        options: BootstrapOptions,
        mode: Mode,
        *,
        within: np.ndarray,
    ) -> None:
        self.objects = objects
        self.options = options
        self.mode: Mode = mode
        self.within = within
        self._weights = draw_weights(within, options.resamples, options.seed)
        self._kept: dict[tuple[int, bytes], _Numbers] = {}

    def spread(self, sample: Sample) -> Spread:
        """Intervals of one enhancer over its own images."""
        mask = sample.measured & self.within
        numbers = self._numbers(sample, mask)
        niqe = self._niqe(sample, mask & ~np.isnan(sample.niqe))
        enough = int(mask.sum()) > 1
        return Spread(
            map=self._interval(numbers.map, enough, corrected=True),
            niqe=self._interval(niqe, int((mask & ~np.isnan(sample.niqe)).sum()) > 1, corrected=True),
            ap={
                name: made
                for name, ap in numbers.ap.items()
                if (made := self._interval(ap, enough, corrected=True)) is not None
            },
        )

    def difference(self, sample: Sample, reference: Sample) -> Difference:
        """One enhancer minus another, over the images that both have."""
        both = sample.measured & reference.measured & self.within
        either = (sample.measured | reference.measured) & self.within
        ours, theirs = self._numbers(sample, both), self._numbers(reference, both)
        scored = both & ~np.isnan(sample.niqe) & ~np.isnan(reference.niqe)
        enough = int(both.sum()) > 1
        ap = {
            name: made
            for name in ours.ap
            if name in theirs.ap
            and (made := self._interval(_minus(ours.ap[name], theirs.ap[name]), enough)) is not None
        }
        return Difference(
            reference=reference.label,
            n_images=int(both.sum()),
            n_left_out=int(either.sum() - both.sum()),
            map=self._interval(_minus(ours.map, theirs.map), enough),
            niqe=self._interval(
                _minus(self._niqe(sample, scored), self._niqe(reference, scored)), int(scored.sum()) > 1
            ),
            ap=ap,
        )

    def _numbers(self, sample: Sample, mask: np.ndarray) -> _Numbers:
        # The numbers hold their sample, so its id is not given to another.
        key = (id(sample), mask.tobytes())
        if key not in self._kept:
            self._kept[key] = self._resample(sample, mask)
        return self._kept[key]

    def _resample(self, sample: Sample, mask: np.ndarray) -> _Numbers:
        ap: dict[str, np.ndarray] = {}
        for name, ranking in sample.rankings.items():
            here = mask[ranking.images]
            objects = np.where(mask, self.objects[name], 0)
            if objects.any():
                ap[name] = resampled_ap(ranking.images[here], ranking.tp[here], objects, self._weights, self.mode)
        if not ap:
            return _Numbers(sample, {}, None)
        stacked = np.stack(list(ap.values()))
        there = ~np.isnan(stacked)
        count = there.sum(axis=0)
        total = np.where(there, stacked, 0.0).sum(axis=0)
        return _Numbers(sample, ap, np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0))

    def _niqe(self, sample: Sample, mask: np.ndarray) -> np.ndarray | None:
        return resampled_mean(np.where(mask, sample.niqe, 0.0), mask, self._weights) if mask.any() else None

    def _interval(self, values: np.ndarray | None, enough: bool, *, corrected: bool = False) -> Interval | None:
        """The first value is that of the images as they are; a resample without a value is left out."""
        if values is None or np.isnan(values[0]):
            return None
        resampled = values[1:][~np.isnan(values[1:])]
        if not enough or not len(resampled):
            return Interval(float(values[0]))
        tail = (1 - self.options.level) / 2
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
    """Resampled numbers of a sample on some images, each (1 + resamples,), the images as they are first."""

    sample: Sample
    ap: dict[str, np.ndarray]
    map: np.ndarray | None


def _minus(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
    return None if a is None or b is None else a - b
