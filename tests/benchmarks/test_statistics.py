"""Intervals: width and coverage where the truth is known, pairing, and what is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from duskbench.benchmarks.statistics import Bootstrap, BootstrapOptions, Interval, Ranking, Sample
from duskbench.data_tools.errors import ConfigError


def niqe_sample(label: str, values: np.ndarray) -> Sample:
    return Sample(label, ~np.isnan(values), values)


def everywhere(n: int) -> np.ndarray:
    return np.ones(n, bool)


def ap_sample(label: str, found: np.ndarray, scores: np.ndarray, alarms: np.ndarray) -> Sample:
    """One object of class `car` in every image: found or not with a score, and false alarms with theirs; NaN: none."""
    n = len(found)
    kept = np.concatenate([np.where(found, scores, np.nan), alarms])
    order = np.argsort(-kept[~np.isnan(kept)], kind="stable")
    images = np.tile(np.arange(n), 2)[~np.isnan(kept)][order]
    tp = np.repeat([True, False], n)[~np.isnan(kept)][order]
    return Sample(label, everywhere(n), np.full(n, np.nan), {"car": Ranking(images, tp)})


def draw_ap_sample(rng: np.random.Generator, n: int, label: str, hardness: np.ndarray) -> Sample:
    """An image that is hard is hard for every enhancer; what else happens is each one's own luck."""
    alarms = np.where(rng.random(n) < 0.5, rng.random(n) * 0.8, np.nan)
    return ap_sample(label, rng.random(n) > hardness, rng.random(n), alarms)


def bootstrap(n: int, resamples: int = 2000, seed: int = 0, level: float = 0.95) -> Bootstrap:
    return Bootstrap(
        {"car": np.ones(n, int)}, BootstrapOptions(resamples, seed, level), "11point", within=everywhere(n)
    )


def test_niqe_interval_is_the_closed_form() -> None:
    values = np.random.default_rng(0).normal(4, 1.5, 400)
    got = bootstrap(400, resamples=8000).spread(niqe_sample("a", values)).niqe
    assert got is not None and got.low is not None and got.high is not None
    half = 1.959964 * values.std() / np.sqrt(400)
    assert got.value == pytest.approx(values.mean())
    assert got.low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert got.high == pytest.approx(values.mean() + half, abs=0.05 * half)


def test_level_sets_the_width() -> None:
    values = np.random.default_rng(1).normal(4, 1, 200)
    got = bootstrap(200, 8000, level=0.5).spread(niqe_sample("a", values)).niqe
    assert got is not None and got.low is not None and got.high is not None
    assert got.high - got.low == pytest.approx(2 * 0.6745 * values.std() / np.sqrt(200), rel=0.06)


def test_paired_niqe_difference_is_the_closed_form() -> None:
    rng = np.random.default_rng(2)
    one = rng.normal(4, 2, 300)
    two = one - 0.1 + rng.normal(0, 0.3, 300)
    got = bootstrap(300, 8000).difference(niqe_sample("b", two), niqe_sample("a", one)).niqe
    assert got is not None and got.low is not None and got.high is not None
    half = 1.959964 * (two - one).std() / np.sqrt(300)
    assert (got.low, got.high) == pytest.approx(((two - one).mean() - half, (two - one).mean() + half), abs=0.05 * half)
    # Unpaired it would be six times as wide and settle nothing.
    assert got.settled and not got.unsettled


def test_map_intervals_cover_the_truth_as_often_as_they_say() -> None:
    n, trials = 80, 150
    rng = np.random.default_rng(3)

    def draw(size: int) -> tuple[Sample, Sample]:
        hardness = rng.beta(1, 1, size)
        return draw_ap_sample(rng, size, "a", hardness), draw_ap_sample(rng, size, "b", hardness)

    large = bootstrap(40_000, resamples=0).spread(draw(40_000)[0]).map
    assert large is not None
    covered = differences = 0
    for _ in range(trials):
        one, two = draw(n)
        made = bootstrap(n, resamples=200)
        own, difference = made.spread(one).map, made.difference(one, two).map
        assert own is not None and own.low is not None and own.high is not None and difference is not None
        covered += own.low <= large.value <= own.high
        # Both are drawn from one distribution: a settled difference is a false one.
        differences += not difference.settled
    # Three standard deviations of a binomial around 95 %, and a little for so few images.
    assert 0.88 <= covered / trials <= 0.995
    assert 0.90 <= differences / trials <= 0.995


def test_equal_enhancers_differ_by_nothing() -> None:
    sample = draw_ap_sample(np.random.default_rng(4), 50, "a", np.full(50, 0.3))
    got = bootstrap(50).difference(replace(sample, label="b"), sample).map
    assert got == Interval(0.0, 0.0, 0.0)
    assert not got.settled and not got.unsettled


def test_pairing_is_over_the_images_that_both_have() -> None:
    values = np.random.default_rng(5).normal(4, 1, (2, 60))
    values[0, :5] = np.nan
    values[1, 3:8] = np.nan  # images 3 and 4 are nobody's
    made = bootstrap(60)
    got = made.difference(niqe_sample("a", values[0]), niqe_sample("b", values[1]))
    assert (got.reference, got.n_images, got.n_left_out) == ("b", 52, 6)
    assert got.niqe is not None
    assert got.niqe.value == pytest.approx((values[0, 8:] - values[1, 8:]).mean())
    assert made.spread(niqe_sample("a", values[0])).niqe.value == pytest.approx(values[0, 5:].mean())  # type: ignore[union-attr]


def test_ap_of_a_difference_is_over_the_images_that_both_have() -> None:
    rng = np.random.default_rng(6)
    one, two = (draw_ap_sample(rng, 40, label, np.full(40, 0.3)) for label in "ab")
    some = everywhere(40)
    some[30:] = False
    got = bootstrap(40).difference(one, replace(two, measured=some)).map
    cut = Bootstrap({"car": np.ones(40, int)}, BootstrapOptions(0), "11point", within=some)
    assert got is not None
    assert got.value == pytest.approx(cut.spread(one).map.value - cut.spread(two).map.value)  # type: ignore[union-attr]


def test_a_class_that_a_resample_lacks_leaves_its_mean() -> None:
    # `car` is in every image and always found; `dog` is in one image alone and never found.
    n = 3
    rankings = {
        "car": Ranking(np.arange(n), np.ones(n, bool)),
        "dog": Ranking(np.zeros(0, int), np.zeros(0, bool)),
    }
    objects = {"car": np.ones(n, int), "dog": np.array([1, 0, 0]), "cat": np.zeros(n, int)}
    rankings["cat"] = Ranking(np.array([1]), np.array([False]))
    sample = Sample("a", everywhere(n), np.full(n, np.nan), rankings)
    got = Bootstrap(objects, BootstrapOptions(500), "11point", within=everywhere(n)).spread(sample)
    # With a dog among the images the mean is 1/2, without one it is 1; cats never enter.
    assert got.map == Interval(0.5, 0.5, 1.0)
    assert got.ap == {"car": Interval(1.0, 1.0, 1.0), "dog": Interval(0.0, 0.0, 0.0)}


def test_too_little_for_an_interval() -> None:
    one_image = np.array([4.0, np.nan, np.nan])
    assert bootstrap(3).spread(niqe_sample("a", one_image)).niqe == Interval(4.0)
    assert bootstrap(3).spread(niqe_sample("a", np.full(3, np.nan))).niqe is None
    assert bootstrap(3, resamples=0).spread(niqe_sample("a", np.array([1.0, 2.0, 6.0]))).niqe == Interval(3.0)
    assert not Interval(4.0).settled and not Interval(4.0).unsettled


def test_the_seed_alone_decides() -> None:
    sample = niqe_sample("a", np.random.default_rng(7).normal(4, 1, 50))
    first, again, other = (bootstrap(50, 100, seed).spread(sample).niqe for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("options", [{"resamples": -1}, {"level": 1.0}, {"level": 0.0}])
def test_options_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="0 < level < 1"):
        BootstrapOptions(**options)  # type: ignore[arg-type]
