"""Several trainings of one method as one row, and what their luck adds to an interval.

A method's number is the mean over its trainings. Other trainings and other photos would have given another: the
interval holds both. Images are resampled, the same draw for every training. Trainings are few, three or five, and
drawing them with replacement misses 1 / K of their variance and knows no tails: it holds the truth in as few as 80 of
100 trials. So the variance of a mean over trainings is added to that of the images, which half the width of the images'
interval stands for, and the interval is as wide as Student's t makes it, with the degrees of freedom of Welch and
Satterthwaite, round the middle of the images' interval; never narrower than trainings alone would make it. The images'
interval is that of any other row, bias-corrected where it is of one number and not of a difference.

Some numbers are made resample by resample: simultaneous intervals, the order of enhancers, stops gained. For these a
resample adds to the mean the trainings' deviations from it, weighed at random so that their error is Student's t with
K - 1 degrees of freedom. One draw of weights serves all scores of a method, so that what a training wins on one and
loses on another stays together; two methods have draws of their own. Percentiles of these are wider than they need be,
above all of differences, whose error is a sum of two such tails.

What image and training only do together (a training that happens to suit these images) is in both parts, so where
trainings differ by nothing else the interval is a little too wide.
`python -m duskbench.benchmarks.studies.training_coverage` measures all this.

Source: Student, "The probable error of a mean", Biometrika 1908; Welch, "The generalization of Student's problem when
several different population variances are involved", Biometrika 1947; Satterthwaite, "An approximate distribution of
estimates of variance components", Biometrics 1946.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from duskbench.benchmarks.statistics import Draws

if TYPE_CHECKING:
    from duskbench.benchmarks.metrics.base import Ranked
    from duskbench.benchmarks.statistics import Sample


@dataclass(frozen=True)
class Trainings:
    """Several trainings of one method; takes the place of a `Sample`, with the mean over them as its numbers.

    Attributes:
        label: Of the method.
        samples: Of each training, at least one; all with the same scores.
        luck: Name of the draw of their luck, see `training_luck`; empty for the label's. None: these trainings and no
            others are meant, so there is none.
    """

    label: str
    samples: tuple[Sample, ...]
    luck: str | None = ""

    @cached_property
    def measured(self) -> np.ndarray:
        """(N,) bool: which images have a result of every training."""
        return np.all([sample.measured for sample in self.samples], axis=0)

    @cached_property
    def values(self) -> Mapping[str, np.ndarray]:
        """Key of a score of images -> (N,) float64 mean over the trainings, NaN where one of them has none."""
        return {key: np.mean([sample.values[key] for sample in self.samples], axis=0) for key in self.samples[0].values}

    def of(self, key: str) -> tuple[Sample, ...]:
        """The samples with a number of their own of a score; one where all share it, as a frozen detector's."""
        different = {id(one.ranked[key] if key in one.ranked else one.values[key]): one for one in self.samples}
        return tuple(different.values())

    @property
    def ranked(self) -> Mapping[str, Ranked]:
        """Key of a score of detections -> the first training's, for what all have in common."""
        return self.samples[0].ranked


def training_luck(name: str, trainings: int, resamples: int, seed: int) -> np.ndarray:
    """Random weights of the trainings' deviations from their mean, in every resample.

    Args:
        name: Of the draw, the method's label: another one has other weights.
        trainings: K, at least 2.
        resamples: R.
        seed: Of the bootstrap.

    Returns:
        (1 + R, K) float64; times K deviations it is the error of their mean, by Student's t with K - 1 degrees of
        freedom. Row 0, the images as they are, is 0.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    weights = rng.standard_normal((resamples, trainings)) / np.sqrt(trainings)
    weights /= np.sqrt(rng.chisquare(trainings - 1, (resamples, 1)))
    return np.concatenate([np.zeros((1, trainings)), weights])


def mean_with_luck(drawn: Sequence[np.ndarray], name: str, luck: np.ndarray | None) -> Draws:
    """The mean over trainings in every resample, with their luck.

    Args:
        drawn: Of each of K trainings (1 + R,) float64, the images as they are first.
        name: Of the draw of luck, see `training_luck`.
        luck: From there; None where there is none, as for K = 1.
    """
    mean: np.ndarray = np.mean(drawn, axis=0)
    if luck is None:
        return Draws(mean)
    deviations = np.array([each[0] for each in drawn]) - mean[0]
    return Draws(mean, {(name, len(drawn)): deviations}, luck @ deviations)
