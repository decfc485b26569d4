"""Intervals: width and coverage where the truth is known, pairing, and what is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from duskbench.benchmarks.bootstrap import Bootstrap
from duskbench.benchmarks.metrics.base import Ranked, Ranking
from duskbench.benchmarks.statistics import BootstrapOptions, Interval, Sample, Spread
from duskbench.benchmarks.studies.interval_coverage import draw_images, mean_ap, true_map
from duskbench.data_tools.errors import ConfigError, UnknownNameError


def image_sample(label: str, values: np.ndarray) -> Sample:
    return Sample(label, ~np.isnan(values), {"score": values})


def of(numbers: Spread, key: str = "score") -> Interval:
    return numbers.scores[key]


def everywhere(n: int) -> np.ndarray:
    return np.ones(n, bool)


def ap_sample(label: str, found: np.ndarray, scores: np.ndarray, alarms: np.ndarray) -> Sample:
    """One object of class `car` in every image: found or not with a score, and false alarms with theirs; NaN: none."""
    n = len(found)
    kept = np.concatenate([np.where(found, scores, np.nan), alarms])
    order = np.argsort(-kept[~np.isnan(kept)], kind="stable")
    images = np.tile(np.arange(n), 2)[~np.isnan(kept)][order]
    tp = np.repeat([True, False], n)[~np.isnan(kept)][order]
    return Sample(label, everywhere(n), ranked={"map": Ranked({"car": (Ranking(images, tp),)})})


def draw_ap_sample(rng: np.random.Generator, n: int, label: str, hardness: np.ndarray) -> Sample:
    """An image that is hard is hard for every enhancer; what else happens is each one's own luck."""
    alarms = np.where(rng.random(n) < 0.5, rng.random(n) * 0.8, np.nan)
    return ap_sample(label, rng.random(n) > hardness, rng.random(n), alarms)


def bootstrap(n: int, resamples: int = 2000, seed: int = 0, level: float = 0.95) -> Bootstrap:
    return Bootstrap({"car": np.ones(n, int)}, BootstrapOptions(resamples, seed, level), within=everywhere(n))


def test_the_interval_of_a_mean_is_the_closed_form() -> None:
    values = np.random.default_rng(0).normal(4, 1.5, 400)
    got = of(bootstrap(400, resamples=8000).spread(image_sample("a", values)))
    assert got.low is not None and got.high is not None
    half = 1.959964 * values.std() / np.sqrt(400)
    assert got.value == pytest.approx(values.mean())
    assert got.low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert got.high == pytest.approx(values.mean() + half, abs=0.05 * half)


def test_level_sets_the_width() -> None:
    values = np.random.default_rng(1).normal(4, 1, 200)
    got = of(bootstrap(200, 8000, level=0.5).spread(image_sample("a", values)))
    assert got.low is not None and got.high is not None
    assert got.high - got.low == pytest.approx(2 * 0.6745 * values.std() / np.sqrt(200), rel=0.06)


def test_a_paired_difference_is_the_closed_form() -> None:
    rng = np.random.default_rng(2)
    one = rng.normal(4, 2, 300)
    two = one - 0.1 + rng.normal(0, 0.3, 300)
    got = of(bootstrap(300, 8000).difference(image_sample("b", two), image_sample("a", one)))
    assert got.low is not None and got.high is not None
    half = 1.959964 * (two - one).std() / np.sqrt(300)
    assert (got.low, got.high) == pytest.approx(((two - one).mean() - half, (two - one).mean() + half), abs=0.05 * half)
    # Unpaired it would be six times as wide and settle nothing.
    assert got.settled and not got.unsettled


def test_intervals_of_an_ap_cover_the_truth_as_often_as_they_say() -> None:
    n, trials = 80, 150
    rng = np.random.default_rng(3)

    def draw(size: int) -> tuple[Sample, Sample]:
        hardness = rng.beta(1, 1, size)
        return draw_ap_sample(rng, size, "a", hardness), draw_ap_sample(rng, size, "b", hardness)

    large = of(bootstrap(40_000, resamples=0).spread(draw(40_000)[0]), "map")
    covered = differences = 0
    for _ in range(trials):
        one, two = draw(n)
        made = bootstrap(n, resamples=200)
        own, difference = of(made.spread(one), "map"), of(made.difference(one, two), "map")
        assert own.low is not None and own.high is not None
        covered += own.low <= large.value <= own.high
        # Both are drawn from one distribution: a settled difference is a false one.
        differences += not difference.settled
    # Three standard deviations of a binomial around 95 %, and a little for so few images.
    assert 0.88 <= covered / trials <= 0.995
    assert 0.90 <= differences / trials <= 0.995


def test_equal_enhancers_differ_by_nothing() -> None:
    sample = draw_ap_sample(np.random.default_rng(4), 50, "a", np.full(50, 0.3))
    got = of(bootstrap(50).difference(replace(sample, label="b"), sample), "map")
    assert got == Interval(0.0, 0.0, 0.0)
    assert not got.settled and not got.unsettled


def test_pairing_is_over_the_images_that_both_have() -> None:
    values = np.random.default_rng(5).normal(4, 1, (2, 60))
    values[0, :5] = np.nan
    values[1, 3:8] = np.nan  # images 3 and 4 are nobody's
    made = bootstrap(60)
    got = made.difference(image_sample("a", values[0]), image_sample("b", values[1]))
    assert (got.baseline, got.n_images, got.n_left_out) == ("b", 52, 6)
    assert of(got).value == pytest.approx((values[0, 8:] - values[1, 8:]).mean())
    assert of(made.spread(image_sample("a", values[0]))).value == pytest.approx(values[0, 5:].mean())


def test_ap_of_a_difference_is_over_the_images_that_both_have() -> None:
    rng = np.random.default_rng(6)
    one, two = (draw_ap_sample(rng, 40, label, np.full(40, 0.3)) for label in "ab")
    some = everywhere(40)
    some[30:] = False
    got = of(bootstrap(40).difference(one, replace(two, measured=some)), "map")
    fewer = Bootstrap({"car": np.ones(40, int)}, BootstrapOptions(0), within=some)
    assert got.value == pytest.approx(of(fewer.spread(one), "map").value - of(fewer.spread(two), "map").value)


def test_a_class_that_a_resample_lacks_leaves_its_mean() -> None:
    # `car` is in every image and always found; `dog` is in one image alone and never found.
    n = 3
    rankings = {
        "car": Ranking(np.arange(n), np.ones(n, bool)),
        "dog": Ranking(np.zeros(0, int), np.zeros(0, bool)),
    }
    objects = {"car": np.ones(n, int), "dog": np.array([1, 0, 0]), "cat": np.zeros(n, int)}
    rankings["cat"] = Ranking(np.array([1]), np.array([False]))
    ranked = Ranked({name: (ranking,) for name, ranking in rankings.items()})
    sample = Sample("a", everywhere(n), ranked={"map": ranked})
    got = Bootstrap(objects, BootstrapOptions(500), within=everywhere(n)).spread(sample)
    # With a dog among the images the mean is 1/2, without one it is 1; cats never enter.
    assert of(got, "map") == Interval(0.5, 0.5, 1.0)
    assert got.classes["map"] == {"car": Interval(1.0, 1.0, 1.0), "dog": Interval(0.0, 0.0, 0.0)}


def test_the_mean_over_overlaps_is_a_classs_ap() -> None:
    # Found at the looser overlap and a false alarm at the stricter one: AP 1 and 0.
    loose, strict = (Ranking(np.arange(4), np.full(4, hit)) for hit in (True, False))
    sample = Sample("a", everywhere(4), ranked={"map": Ranked({"car": (loose, strict)}, "101point")})
    got = bootstrap(4, 50).spread(sample)
    assert of(got, "map") == got.classes["map"]["car"] == Interval(0.5, 0.5, 0.5)


def test_an_aggregate_of_its_own_is_resampled_as_itself() -> None:
    values = np.random.default_rng(8).exponential(1, 41)
    made = Bootstrap({}, BootstrapOptions(200, 3), within=everywhere(41), aggregates={"score": np.median})
    draws = np.random.default_rng(3).integers(0, 41, (200, 41))
    expected = [np.median(values), *(np.median(values[row]) for row in draws)]
    got = made.spread(image_sample("a", values))
    assert got.draws["score"].total.tolist() == pytest.approx(expected)
    assert of(got).value == pytest.approx(np.median(values))
    shifted = made.difference(image_sample("b", values + 1), image_sample("a", values))
    assert of(shifted) == Interval(*(pytest.approx(1.0) for _ in range(3)))


def test_the_same_place_of_two_scores_is_the_same_draw() -> None:
    values = np.random.default_rng(9).normal(4, 1, 30)
    sample = Sample("a", everywhere(30), {"one": values, "two": 2 * values})
    got = bootstrap(30, 100).spread(sample)
    one, two = got.draws["one"].total, got.draws["two"].total
    assert len(one) == 101 and two == pytest.approx(2 * one)


def test_too_little_for_an_interval() -> None:
    one_image = np.array([4.0, np.nan, np.nan])
    assert of(bootstrap(3).spread(image_sample("a", one_image))) == Interval(4.0)
    assert bootstrap(3).spread(image_sample("a", np.full(3, np.nan))).scores == {}
    assert of(bootstrap(3, resamples=0).spread(image_sample("a", np.array([1.0, 2.0, 6.0])))) == Interval(3.0)
    assert not Interval(4.0).settled and not Interval(4.0).unsettled


def test_the_seed_alone_decides() -> None:
    sample = image_sample("a", np.random.default_rng(7).normal(4, 1, 50))
    first, again, other = (of(bootstrap(50, 100, seed).spread(sample)) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"resamples": -1}, "whole numbers"),
        ({"resamples": "many"}, "whole numbers"),
        ({"seed": 1.5}, "whole numbers"),
        ({"level": 1.0}, "0 < level < 1"),
        ({"level": 0.0}, "0 < level < 1"),
        ({"level": "0.9"}, "0 < level < 1"),
        ({"cluster": ".+"}, "with a group in parentheses"),
        ({"cluster": "(.+"}, "with a group in parentheses"),
        ({"cluster": 1}, "with a group in parentheses"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        BootstrapOptions.from_config(options)


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(UnknownNameError, match="cluster"):
        BootstrapOptions.from_config({"clusters": "(.+)_[0-9]"})


def test_clusters_are_of_ids_that_agree_in_the_first_group() -> None:
    ids = ["a/1", "b/1", "a/2", "c/1", "b/2"]
    assert BootstrapOptions(cluster="(.+)/.*").clusters(ids).tolist() == [0, 1, 0, 2, 1]
    assert BootstrapOptions().clusters(ids).tolist() == [0, 1, 2, 3, 4]
    assert BootstrapOptions(cluster=r"(.+?)(?:/1)?").clusters(["a/1", "a", "b"]).tolist() == [0, 0, 1]


@pytest.mark.parametrize("expression", ["(.)/1", "(b)?.*"])
def test_an_id_that_does_not_fit_is_an_error(expression: str) -> None:
    with pytest.raises(ConfigError, match="2 of 3 that it does not fit: a/2, a/3"):
        BootstrapOptions(cluster=expression).clusters(["b/1", "a/2", "a/3"])


def test_copies_of_an_image_that_are_drawn_together_tell_no_more_than_it() -> None:
    n, copies = 60, 3
    rng = np.random.default_rng(9)
    once = draw_ap_sample(rng, n, "a", rng.random(n))
    [ranking] = once.ranked["map"].by_class["car"]
    # Copies stand apart, as nights of a photo do: the first of all images, then the second, and so on.
    images = (ranking.images[:, None] + n * np.arange(copies)).ravel()
    copied = Ranked({"car": (Ranking(images, np.repeat(ranking.tp, copies)),)})
    values = {"score": np.tile(rng.normal(4, 1, n), copies)}
    options = BootstrapOptions(300)
    alone = Bootstrap({"car": np.ones(n, int)}, options, within=everywhere(n))
    objects, clusters = {"car": np.ones(n * copies, int)}, np.tile(np.arange(n), copies)
    together = Bootstrap(objects, options, within=everywhere(n * copies), clusters=clusters)
    expected = alone.spread(replace(once, values={"score": values["score"][:n]}))
    many = Sample("a", everywhere(n * copies), values, {"map": copied})
    got = together.spread(many)
    for key in ("map", "score"):
        assert got.draws[key].total == pytest.approx(expected.draws[key].total)
    # Taken for independent images, three copies seem to tell more: the interval is narrower by the root of three.
    apart = Bootstrap(objects, options, within=everywhere(n * copies)).spread(many)
    widths = [of(each).high - of(each).low for each in (apart, got)]  # type: ignore[operator]
    assert widths[0] == pytest.approx(widths[1] / copies**0.5, rel=0.2)


def test_images_that_were_not_measured_leave_their_cluster() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, np.nan])
    measured = np.array([True, True, True, False, True])
    clusters = np.array([7, 7, 2, 2, 9])
    made = Bootstrap({}, BootstrapOptions(200, 5), within=measured, clusters=clusters)
    got = made.spread(Sample("a", measured, {"score": values}))
    # Of clusters 2, 7 and 9 the last has no number; images 0 and 1 are one draw, image 2 another.
    drawn = np.random.default_rng(5).integers(0, 3, (200, 3))
    expected = [
        (3 * (row == 0).sum() + 3 * (row == 1).sum()) / ((row == 0).sum() + 2 * (row == 1).sum() or np.nan)
        for row in drawn
    ]
    assert got.draws["score"].total[1:] == pytest.approx(expected, nan_ok=True)


def test_a_single_cluster_has_no_interval() -> None:
    made = Bootstrap({}, BootstrapOptions(50), within=everywhere(4), clusters=np.zeros(4, int))
    assert of(made.spread(image_sample("a", np.arange(4.0)))) == Interval(1.5)


def test_the_truth_of_the_studies_is_that_of_many_images() -> None:
    objects, n = (0.2, 0.6, 0.4), 30_000
    drawn, [ranked] = draw_images(objects, n, [0.52], np.random.default_rng(1))
    simulated = mean_ap(drawn, ranked, np.ones((n, 1), np.uint8))
    assert true_map(objects, 0.52) == pytest.approx(simulated[0], abs=0.004)
