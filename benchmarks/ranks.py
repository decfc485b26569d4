"""Whether the order of enhancers is the same under several detectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from duskbench.benchmarks.evaluate import EnhancerResult
from duskbench.benchmarks.record import RunRecord, ScoreColumn
from duskbench.benchmarks.statistics import BootstrapOptions, Interval
from duskbench.benchmarks.stored_run import fewest_lacking

# Two rows have no order to speak of: their agreement is 1 or -1.
_FEWEST = 3


@dataclass(frozen=True)
class RankAgreement:
    """How far two scores order enhancers alike; 1 is the same order, 0 none in common, -1 the reverse.

    Attributes:
        one: A score.
        other: The other.
        n_enhancers: Rows that compete and have both.
        kendall: Kendall's tau-b. Its interval holds the agreement in that share of the resamples, the same draw of
            images for all rows and both scores; resampling adds noise to the order, so it tends to lie low.
        spearman: Spearman's rho, likewise.
    """

    one: ScoreColumn
    other: ScoreColumn
    n_enhancers: int
    kendall: Interval
    spearman: Interval


def rank_agreements(record: RunRecord, results: Sequence[EnhancerResult]) -> tuple[RankAgreement, ...]:
    """Agreement of each pair of detectors on the run's first metric of detections.

    Args:
        record: The run's record.
        results: From `benchmarks.evaluate.evaluate`.

    Returns:
        One for each pair; none with fewer than two detectors, or than three rows that compete, which are over the same
        images. A pair is left out where a detector's numbers are all equal.
    """
    scores = [score for score in record.columns() if score.detector is not None]
    scores = [score for score in scores if score.metric == scores[0].metric]
    rows = [result for result in results if result.label not in record.bounds and result.spread.draws]
    lacks = fewest_lacking(row.lacks for row in rows)
    return tuple(_agreements(scores, [row for row in rows if row.lacks == lacks], record.bootstrap.level))


def _agreements(
    scores: Sequence[ScoreColumn], results: Sequence[EnhancerResult], level: float
) -> Iterator[RankAgreement]:
    for one, other in combinations(scores, 2):
        draws = [result.spread.draws for result in results]
        draws = [each for each in draws if one.key in each and other.key in each]
        if len(draws) >= _FEWEST:
            pair = [np.stack([each[score.key].total for each in draws]) for score in (one, other)]
            kendall, spearman = (_interval(values, level) for values in _correlations(*pair))
            if kendall is not None and spearman is not None:
                yield RankAgreement(one, other, len(draws), kendall, spearman)


def _correlations(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tau-b and rho of (K, R) numbers of K rows, for each of R resamples; NaN where a number is, or all are equal.

    Source: Kendall, "The treatment of ties in ranking problems", Biometrika 1945; rho is the correlation of mid-ranks.
    """
    signs = [np.sign(values[:, None] - values[None]) for values in (one, other)]
    # A row's mid-rank but for a constant: how many it is above less how many it is below.
    ranks = [each.sum(axis=1) for each in signs]
    with np.errstate(invalid="ignore"):
        return _cosine(*signs), _cosine(*ranks)


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of all but the last axis; signs and centred ranks have mean 0."""
    axes = tuple(range(a.ndim - 1))
    cosine: np.ndarray = (a * b).sum(axis=axes) / np.sqrt((a * a).sum(axis=axes) * (b * b).sum(axis=axes))
    return cosine


def _interval(values: np.ndarray, level: float) -> Interval | None:
    if np.isnan(values[0]):
        return None
    resampled = values[1:][~np.isnan(values[1:])]
    if not len(resampled):
        return Interval(float(values[0]))
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values[0]), float(low), float(high))


def agreement_notes(agreements: Sequence[RankAgreement], options: BootstrapOptions) -> list[str]:
    """A line for each pair of detectors, for under a table."""
    return [
        f"Order of the {each.n_enhancers} enhancers by {each.one.heading} and by {each.other.heading}: Kendall's tau-b "
        f"{_text(each.kendall)}, Spearman's rho {_text(each.spearman)} (1: the same order, 0: no relation; in brackets "
        f"{100 * options.level:g} % of the same resamples, percentile)."
        for each in agreements
    ]


def _text(interval: Interval) -> str:
    ends = "" if interval.low is None else f" [{interval.low:.2f}, {interval.high:.2f}]"
    return f"{interval.value:.2f}{ends}"
