"""Numbers with their intervals, what a number is resampled from, and how an interval is read off the resamples.

The resampling itself, with its reasons, is `benchmarks.bootstrap`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from duskbench.benchmarks.metrics.base import Better, Ranked
from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.settings import check_keys, is_number, is_whole

Aggregate = Callable[[np.ndarray], float]
Verdict = Literal["better", "worse", "not settled"]


@dataclass(frozen=True)
class BootstrapOptions:
    r"""How to resample.

    Attributes:
        resamples: Number of draws; 0 for none, and so no intervals.
        seed: Of `np.random.default_rng`.
        level: Share of the resamples inside the interval.
        cluster: A regular expression that fits every image's id as a whole and whose first group names what the image
            was taken of: `(.+)_frame\d+` where frames belong to videos. Images of one cluster tell less than as many
            independent ones, so clusters are drawn, and their images with them. None: each image is its own.

    Source: Field and Welsh, Bootstrapping clustered data (2007), the cluster bootstrap.
    """

    resamples: int = 2000
    seed: int = 0
    level: float = 0.95
    cluster: str | None = None

    def __post_init__(self) -> None:
        if not is_whole(self.resamples, 0) or not is_whole(self.seed, 0):
            raise _no_such("resamples and seed = whole numbers, 0 or more", f"{self.resamples!r} and {self.seed!r}")
        if not is_number(self.level) or not 0 < self.level < 1:
            raise _no_such("0 < level < 1", repr(self.level))
        if self.cluster is not None and not _has_group(self.cluster):
            raise _no_such(
                "cluster = a regular expression with a group in parentheses, as in (.+)_frame\\d+", repr(self.cluster)
            )

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> BootstrapOptions:
        """Build from a configuration's dict; an unknown key is an error with the nearest ones."""
        check_keys(values, {field.name for field in fields(cls)}, "setting of bootstrap")
        return cls(**values)

    @property
    def drawn(self) -> str:
        """What is drawn, in words."""
        return "images" if self.cluster is None else f"clusters of images by {self.cluster}"

    def clusters(self, ids: Sequence[str]) -> np.ndarray:
        """(N,) int64: the number of each image's cluster.

        Args:
            ids: Of the images, N of them.

        Raises:
            ConfigError: An id does not fit the expression.
        """
        if self.cluster is None:
            return np.arange(len(ids))
        fits = [re.fullmatch(self.cluster, each) for each in ids]
        if lacking := [each for each, fit in zip(ids, fits, strict=True) if fit is None or fit[1] is None]:
            # It brings the reader of images, which `duskbench list` does without.
            from duskbench.data_tools.ids import shown

            raise ConfigError(
                "Ids of images do not fit the expression that says which belong together.",
                where="bootstrap.cluster",
                expected=f"ids that {self.cluster} fits as a whole, with its first group",
                got=f"{len(lacking)} of {len(ids)} that it does not fit: {shown(lacking, 3)}",
                todo="make a part that some ids lack optional, as in (.+?)(?:_frame\\d+)?",
            )
        numbers: dict[str, int] = {}
        return np.array([numbers.setdefault(fit[1], len(numbers)) for fit in fits if fit is not None], np.int64)


def _has_group(expression: object) -> bool:
    try:
        return isinstance(expression, str) and re.compile(expression).groups > 0
    except re.error:
        return False


def _no_such(expected: str, got: str) -> ConfigError:
    return ConfigError("Cannot resample like this.", where="bootstrap", expected=expected, got=got)


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

    def verdict(self, better: Better) -> Verdict:
        """What a difference says of the number that it is a difference of; without an interval nothing is settled."""
        if not self.settled:
            return "not settled"
        return "better" if (self.value > 0) == (better == "higher") else "worse"


@dataclass(frozen=True)
class Draws:
    """A number on the images as they are, then in each resample.

    Attributes:
        images: (1 + R,) float64 with other images and the trainings as they are; NaN where a resample has no number,
            and in all of them on a single image.
        deviations: Name of a method and K, its trainings -> (K,) float64, what each is above their mean.
        luck: (1 + R,) float64 that other trainings add, 0 first; 0 of an enhancer that stands for itself.
    """

    images: np.ndarray
    deviations: Mapping[tuple[str, int], np.ndarray] = field(default_factory=dict)
    luck: np.ndarray | float = 0.0

    def __sub__(self, other: Draws) -> Draws:
        zero = np.zeros(())
        keys = {**self.deviations, **other.deviations}
        apart = {key: self.deviations.get(key, zero) - other.deviations.get(key, zero) for key in keys}
        return Draws(self.images - other.images, apart, self.luck - other.luck)

    @property
    def total(self) -> np.ndarray:
        """(1 + R,) float64 with other images and other trainings."""
        return self.images + self.luck


@dataclass(frozen=True)
class Spread:
    """The numbers of one enhancer with their intervals.

    Attributes:
        scores: Key of a score -> its number; one that no image has is absent.
        classes: Key of a score of detections -> class -> AP; a class without an object is absent.
        draws: Key of a score -> its number in every resample. The same place of two enhancers, or of two scores, is the
            same draw of images.
        trainings: Key of a score -> the number of each of several trainings, whose mean the score is; no key where an
            enhancer stands for itself.
        objects: Class -> objects to find in these images; empty without detections.
    """

    scores: dict[str, Interval] = field(default_factory=dict)
    classes: dict[str, dict[str, Interval]] = field(default_factory=dict)
    draws: dict[str, Draws] = field(default_factory=dict, repr=False, compare=False, kw_only=True)
    trainings: dict[str, tuple[float, ...]] = field(default_factory=dict, kw_only=True)
    objects: dict[str, int] = field(default_factory=dict, kw_only=True)


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


def interval_of(draws: Draws, level: float, *, corrected: bool = False) -> Interval:
    """The interval of a number from its resamples; one without a number is left out.

    Args:
        draws: The resamples, and the trainings if there are several.
        level: Share of cases in which the interval should hold the truth.
        corrected: Whether quantiles are bias-corrected; see `corrected_tails`.
    """
    value, there = float(draws.images[0]), ~np.isnan(draws.images[1:])
    if not there.any():
        return Interval(value)
    resampled, tail = draws.images[1:][there], (1 - level) / 2
    tails = corrected_tails(resampled, value, tail) if corrected else (tail, 1 - tail)
    low, high = np.quantile(resampled, tails)
    return Interval(value, *_with_trainings(float(low), float(high), list(draws.deviations.values()), level))


def _with_trainings(low: float, high: float, deviations: Sequence[np.ndarray], level: float) -> tuple[float, float]:
    """The interval of images, wide enough for other trainings too; see `benchmarks.trainings`."""
    of_means = [float(each @ each) / len(each) / (len(each) - 1) for each in deviations]
    if not any(of_means):
        return low, high
    from scipy.special import stdtrit

    share = (1 + level) / 2
    squares = sum(one**2 / (len(each) - 1) for one, each in zip(of_means, deviations, strict=True))

    def half_width(of_images: float) -> float:
        variance = of_images + sum(of_means)
        return float(stdtrit(variance**2 / squares, share)) * variance**0.5

    # More degrees of freedom may outweigh more variance.
    of_images = ((high - low) / 2 / NormalDist().inv_cdf(share)) ** 2
    middle, half = (low + high) / 2, max(half_width(of_images), half_width(0.0))
    return middle - half, middle + half


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
