"""Whether detectors order enhancers alike, against SciPy and one resample at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from duskbench.benchmarks.evaluate import EnhancerResult, evaluate
from duskbench.benchmarks.ranks import RankAgreement, agreement_notes, rank_agreements
from duskbench.benchmarks.record import DetectorEntry, RunRecord
from duskbench.benchmarks.statistics import BootstrapOptions, Draws, Spread
from duskbench.benchmarks.store import ResultStore
from tests.benchmarks.fabricate import CLASSES, DETECTOR, make_images, make_record, make_run

OTHER = DetectorEntry("other", "other", "o" * 64, "i" * 64, CLASSES)
THIRD = DetectorEntry("third", "third", "t" * 64, "i" * 64, CLASSES)
OPTIONS = BootstrapOptions(30, 4, 0.8)


def run_of(draws: dict[str, np.ndarray], bound: str | None = None) -> tuple[RunRecord, list[EnhancerResult]]:
    """A run with these numbers, label of a detector -> (enhancers, 1 + resamples)."""
    labels = [f"e{number}" for number in range(len(next(iter(draws.values()))))]
    record = make_record((), labels, detectors=tuple(d for d in (DETECTOR, OTHER, THIRD) if d.label in draws))
    enhancers = tuple(replace(entry, upper_bound=entry.label == bound) for entry in record.enhancers)
    results = [
        EnhancerResult(
            label, 3, 3, spread=Spread(draws={f"map {name}": Draws(each[number]) for name, each in draws.items()})
        )
        for number, label in enumerate(labels)
    ]
    return replace(record, enhancers=enhancers, bootstrap=OPTIONS), results


@pytest.mark.parametrize("seed", range(6))
def test_value_and_interval_are_scipys_resample_by_resample(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Few values, so that there are ties.
    one, other = rng.integers(0, 5, (2, 6, 41)).astype(float)
    [got] = rank_agreements(*run_of({"made": one, "other": other}))
    for interval, oracle in ((got.kendall, kendalltau), (got.spearman, spearmanr)):
        value, *resampled = (oracle(one[:, i], other[:, i]).statistic for i in range(41))
        low, high = np.quantile(resampled, [0.1, 0.9])
        assert (interval.value, interval.low, interval.high) == pytest.approx((value, low, high), abs=1e-12)


def test_a_bound_does_not_count_and_two_rows_have_no_order() -> None:
    one, other = np.array([[1.0], [2.0], [3.0], [9.0]]), np.array([[3.0], [2.0], [1.0], [9.0]])
    [got] = rank_agreements(*run_of({"made": one, "other": other}, bound="e3"))
    assert (got.kendall.value, got.spearman.value, got.n_enhancers) == (-1.0, -1.0, 3)
    assert got.kendall.low is None
    assert rank_agreements(*run_of({"made": one[:3], "other": other[:3]}, bound="e0")) == ()


def test_a_row_over_other_images_has_no_place_in_the_order() -> None:
    one, other = np.array([[1.0], [2.0], [3.0], [9.0]]), np.array([[3.0], [2.0], [1.0], [9.0]])
    record, results = run_of({"made": one, "other": other})
    results[3] = replace(results[3], lacks=frozenset({0}))
    [got] = rank_agreements(record, results)
    assert (got.kendall.value, got.n_enhancers) == (-1.0, 3)


def test_a_resample_without_a_number_is_left_out_and_equal_numbers_have_no_order() -> None:
    one = np.array([[1.0, 1.0, np.nan], [2.0, 2.0, 2.0], [3.0, 3.0, 3.0]])
    [got] = rank_agreements(*run_of({"made": one, "other": one}))
    assert (got.kendall.value, got.kendall.low, got.kendall.high) == (1.0, 1.0, 1.0)
    assert rank_agreements(*run_of({"made": one, "other": np.ones((3, 3))})) == ()


def test_every_pair_of_a_run(tmp_path: Path) -> None:
    skills = {"Input": 0.2, "A": 0.4, "BB": 0.6, "CCC": 0.9}
    record = make_run(tmp_path, make_images(60), skills, detectors=(DETECTOR, OTHER, THIRD), bootstrap=OPTIONS)
    with ResultStore(tmp_path / "results.sqlite", reading=True) as store:
        results = evaluate(store, record)
    got = rank_agreements(record, results)
    assert [(each.one.heading, each.other.heading) for each in got] == [
        ("mAP made", "mAP other"),
        ("mAP made", "mAP third"),
        ("mAP other", "mAP third"),
    ]
    for each in got:
        numbers = [[result.number(score.key) for result in results] for score in (each.one, each.other)]
        assert each.kendall.value == pytest.approx(kendalltau(*numbers).statistic)
        assert each.kendall.low is not None and each.kendall.high is not None
        # All three detect by the skill, and skills are far apart.
        assert 0.5 < each.kendall.low <= each.kendall.high <= 1
    assert rank_agreements(replace(record, detectors=(DETECTOR,)), results) == ()
    assert rank_agreements(replace(record, detectors=()), results) == ()


def test_the_note_says_what_the_numbers_mean() -> None:
    one = np.arange(6.0).reshape(3, 2)
    agreement: RankAgreement
    [agreement] = rank_agreements(*run_of({"made": one, "other": -one}))
    assert agreement_notes([agreement], OPTIONS) == [
        "Order of the 3 enhancers by mAP made and by mAP other: Kendall's tau-b -1.00 [-1.00, -1.00], Spearman's rho "
        "-1.00 [-1.00, -1.00] (1: the same order, 0: no relation; in brackets 80 % of the same resamples, percentile)."
    ]
