"""All differences of a run at once, and what its images can settle.

Where eight enhancers are no better than Input, three runs in ten find one whose own 95 % interval says otherwise.
Simultaneous intervals hold all eight true differences at once in 95 % of runs: each is the difference and so many of
its standard errors to either side, the same number for all, and that number is read off the resamples, whose
differences move together as the enhancers do (single-step max-t). Two findings are possible: better or worse, where the
interval lies on one side of 0; and the same within a margin, where it lies inside that margin.

A standard error here is half the width of the percentile interval of the difference, in units of a normal
distribution's: finite where several trainings bring in Student's t, and then longer than that for one difference alone.

Source: Westfall and Young, Resampling-Based Multiple Testing (1993), section 2.5 (single-step max-t); Romano and Wolf,
"Exact and approximate stepdown methods for multiple hypothesis testing", JASA 2005.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from duskbench.benchmarks.statistics import Interval

if TYPE_CHECKING:
    from duskbench.benchmarks.evaluate import EnhancerResult
    from duskbench.benchmarks.record import RunRecord, ScoreColumn


@dataclass(frozen=True)
class Family:
    """Differences to one baseline, taken together.

    Attributes:
        intervals: Label -> difference with its simultaneous interval; one that is the same in every resample, as of two
            equal enhancers, is its own interval.
        standard_errors: Label -> of the difference.
        critical: Standard errors to either side.
        alone: The same for one difference alone.
    """

    intervals: dict[str, Interval]
    standard_errors: dict[str, float]
    critical: float
    alone: float


def simultaneous(draws: Mapping[str, np.ndarray], level: float) -> Family | None:
    """Simultaneous intervals of several differences.

    Args:
        draws: Label -> (1 + R,) float64 difference, on the images as they are and in each resample; see `Draws.total`.
        level: Share of the runs in which all of the intervals hold their difference.

    Returns:
        None where there is no difference or no resample.
    """
    if not draws:
        return None
    values = {label: float(each[0]) for label, each in draws.items()}
    resampled = np.stack([each[1:] for each in draws.values()])
    # A resample in which a number cannot be made says nothing of how the numbers move together.
    resampled = resampled[:, ~np.isnan(resampled).any(axis=0)]
    if not resampled.shape[1]:
        return None
    tail = (1 - level) / 2
    alone = NormalDist().inv_cdf(1 - tail)
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=1)
    errors = dict(zip(draws, ((high - low) / (2 * alone)).tolist(), strict=True))
    moved = [
        np.abs(each - values[label]) / errors[label]
        for label, each in zip(draws, resampled, strict=True)
        if errors[label] > 0
    ]
    critical = float(np.quantile(np.max(moved, axis=0), level)) if moved else alone
    intervals = {
        label: Interval(value, value - critical * errors[label], value + critical * errors[label])
        for label, value in values.items()
    }
    return Family(intervals, errors, critical, alone)


def family_of(record: RunRecord, results: Sequence[EnhancerResult], score: ScoreColumn, baseline: str) -> Family | None:
    """The differences to a baseline of all rows that compete; None where there is none with an interval."""
    against = {r.label: r.against[baseline] for r in results if r.label not in record.bounds and baseline in r.against}
    draws = {label: each.draws[score.key].total for label, each in against.items() if score.key in each.draws}
    # Over a single image there is no resample.
    resampled = {label: each for label, each in draws.items() if not np.isnan(each[1:]).all()}
    return simultaneous(resampled, record.bootstrap.level)


def is_the_same(interval: Interval, margin: float) -> bool:
    """Whether an interval lies inside the margin to both sides of 0."""
    return interval.low is not None and interval.high is not None and -margin < interval.low and interval.high < margin
