"""Simultaneous intervals, findings, and the smallest difference, where closed forms know the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm
from typer.testing import CliRunner

from duskbench.benchmarks.cli import app
from duskbench.benchmarks.matched import read_each_matched
from duskbench.benchmarks.power import images_needed, smallest_difference
from duskbench.benchmarks.power_table import PowerOptions, read_power_table
from duskbench.benchmarks.record import EnhancerEntry
from duskbench.benchmarks.results import read_table
from duskbench.benchmarks.samples import sample_of
from duskbench.benchmarks.simultaneous import is_the_same, simultaneous
from duskbench.benchmarks.statistics import BootstrapOptions, Interval
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.stored_run import read_enhancers, read_run_images
from duskbench.benchmarks.studies.family_wise_error import difference_settled_by, make_pool, null_runs, settles
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from tests.benchmarks.fabricate import make_images, make_run, metric

SKILLS = {"Input": 0.3, "Better": 0.8, "Other": 0.35, "Lit": 0.95}
BOUND = tuple(EnhancerEntry(label, label.lower(), label, upper_bound=label == "Lit") for label in SKILLS)


def draws(k: int, correlation: float, resamples: int = 40_000) -> dict[str, np.ndarray]:
    """Normal differences of different spreads; the first column is the difference itself, 0."""
    rng = np.random.default_rng(0)
    common = rng.standard_normal(resamples)
    made = {}
    for number in range(k):
        own = rng.standard_normal(resamples)
        values = (number + 1) * (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)
        made[str(number)] = np.concatenate([[0.0], values])
    return made


@pytest.mark.parametrize(("k", "correlation"), [(1, 0.0), (3, 0.0), (8, 0.0), (3, 0.7)])
def test_the_critical_value_is_that_of_the_largest_of_k_normals(k: int, correlation: float) -> None:
    family = simultaneous(draws(k, correlation), 0.95)
    assert family is not None and family.alone == pytest.approx(norm.ppf(0.975))
    covariance = np.full((k, k), correlation) + (1 - correlation) * np.eye(k)
    limit = np.full(k, family.critical)
    inside = multivariate_normal(np.zeros(k), covariance, allow_singular=True).cdf(limit, lower_limit=-limit)
    assert inside == pytest.approx(0.95, abs=0.004)
    assert list(family.standard_errors.values()) == pytest.approx(range(1, k + 1), rel=0.02)
    for label, interval in family.intervals.items():
        assert interval.high == -interval.low == pytest.approx(family.critical * family.standard_errors[label])  # type: ignore[operator]


def test_a_difference_that_never_moves_is_its_own_interval() -> None:
    made = {**draws(2, 0.0, 2000), "equal": np.zeros(2001)}
    with_it, without = simultaneous(made, 0.95), simultaneous(draws(2, 0.0, 2000), 0.95)
    assert with_it is not None and without is not None
    assert with_it.intervals["equal"] == Interval(0.0, 0.0, 0.0)
    assert with_it.critical == without.critical


def test_resamples_without_a_number_are_left_out_for_all() -> None:
    made = draws(2, 0.0, 2000)
    made["0"][5:50] = np.nan
    kept = {label: np.delete(each, range(5, 50)) for label, each in made.items()}
    assert simultaneous(made, 0.95) == simultaneous(kept, 0.95)
    assert simultaneous({}, 0.95) is None
    assert simultaneous({"a": np.zeros(1)}, 0.95) is None
    assert simultaneous({"a": np.array([0.0, np.nan])}, 0.95) is None


@pytest.mark.parametrize(
    ("interval", "better", "expected", "same"),
    [
        (Interval(0.2, 0.1, 0.3), "higher", "better", True),
        (Interval(0.2, 0.1, 0.3), "lower", "worse", True),
        (Interval(-1.0, -2.0, -0.1), "higher", "worse", False),
        (Interval(-1.0, -2.0, -0.1), "lower", "better", False),
        (Interval(0.0, -0.4, 0.4), "higher", "not settled", True),
        (Interval(0.0, -0.6, 0.4), "higher", "not settled", False),
        (Interval(0.0, -0.4, 0.5), "higher", "not settled", False),
        (Interval(0.0), "higher", "not settled", False),
    ],
)
def test_findings(interval: Interval, better: Any, expected: str, same: bool) -> None:
    assert (interval.verdict(better), is_the_same(interval, 0.5)) == (expected, same)


def test_the_smallest_difference_is_the_textbook_one() -> None:
    # 80 % power at 5 %, two-sided: (1.96 + 0.84)^2 = 7.85 over the squared effect.
    assert smallest_difference(1.0, norm.ppf(0.975), 0.8) ** 2 == pytest.approx(7.849, abs=1e-3)
    assert images_needed(100, 1.0, 0.5, norm.ppf(0.975), 0.8) == 197
    assert images_needed(100, -1.0, 0.5, norm.ppf(0.975), 0.8) == 197
    assert images_needed(100, 0.0, 0.5, norm.ppf(0.975)) is None
    # A single image has no interval, however alike the images are.
    assert images_needed(100, 1.0, 0.0, norm.ppf(0.975)) == 2


def test_the_table_says_what_was_found(tmp_path: Path) -> None:
    make_run(tmp_path, make_images(150), SKILLS, enhancers=BOUND, bootstrap=BootstrapOptions(300))
    table = read_power_table(tmp_path, PowerOptions(difference=2.0, within=90.0))
    better, other = table.rows
    assert (better.label, better["finding"].value) == ("Better", "better, the same within 90")
    assert (other.label, other["finding"].value) == ("Other", "the same within 90")
    for row in table.rows:
        # All at once is harder than alone, and a smaller difference needs more images.
        assert row["among"].value > row["alone"].value > 0
        assert row["images for"].value == pytest.approx(150 * (row["among"].value / 0.02) ** 2, abs=1)
    assert better["images for it"].value < 150 < other["images for it"].value
    more = read_power_table(tmp_path, PowerOptions(images=600))
    # Four times the images, half the difference; what was found on these images stays.
    assert [row["alone"].value * 2 for row in more.rows] == pytest.approx([row["alone"].value for row in table.rows])
    assert [row["map",].low for row in more.rows] == [row["map",].low for row in table.rows]
    narrow = read_power_table(tmp_path, PowerOptions(power=0.5))
    assert [row["finding"].value for row in narrow.rows] == ["better", "not settled"]
    # Half of the runs settle what is as large as the half-width of the interval.
    difference = narrow.rows[0]["map",]
    assert narrow.rows[0]["among"].value == pytest.approx(difference.high - difference.value)
    [note] = [
        note for note in read_table(tmp_path).notes if note.startswith("All 2 differences of mAP to Input at once")
    ]
    assert note.endswith(": better Better; not settled Other.")
    assert read_power_table(tmp_path, PowerOptions("NIQE", "Other")).columns[1].heading == "Δ NIQE to Other"


def test_a_single_image_settles_nothing(tmp_path: Path) -> None:
    images = make_images(20)
    all_but_one = [image.record.id for image in images[1:]]
    make_run(tmp_path, images, SKILLS, failing={"Better": all_but_one})
    assert [row.label for row in read_power_table(tmp_path).rows] == ["Other", "Lit"]
    assert any(note.startswith("All 2 differences of mAP") for note in read_table(tmp_path).notes)
    make_run(tmp_path / "one", images[:1], SKILLS)
    with pytest.raises(DataError, match="no difference to speak of"):
        read_power_table(tmp_path / "one")


def test_several_trainings_need_more_than_images(tmp_path: Path) -> None:
    labels = {"Input": 0.3, "Ours, training 1": 0.5, "Ours, training 2": 0.7, "Other": 0.6}
    entries = tuple(EnhancerEntry(x, x.lower(), x, method="Ours" if "Ours" in x else None) for x in labels)
    make_run(tmp_path, make_images(60), labels, enhancers=entries)
    table = read_power_table(tmp_path, PowerOptions(difference=1.0))
    assert [row.label for row in table.rows] == ["Ours", "Other"]
    assert table.rows[0]["images for"].value is None and table.rows[1]["images for"].value is not None
    # Half of the runs settle what is as large as half the width of the interval in the table.
    own = read_table(tmp_path).rows[1]["map", "less", "Input"]
    half = (own.high - own.low) / 2
    assert read_power_table(tmp_path, PowerOptions(power=0.5)).rows[0]["alone"].value == pytest.approx(half)
    assert any("variance between trainings" in note for note in table.notes)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"power": 0.4}, "--power"),
        ({"power": 1.0}, "--power"),
        ({"within": 0.0}, "--within"),
        ({"difference": -1.0}, "--difference"),
        ({"images": 1}, "--images"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        PowerOptions(**options)


def test_no_difference_and_unknown_names(tmp_path: Path) -> None:
    make_run(tmp_path / "alone", make_images(10), {"Input": 0.5})
    with pytest.raises(DataError, match="no difference"):
        read_power_table(tmp_path / "alone")
    make_run(tmp_path / "run", make_images(10), SKILLS, metrics=(metric("voc_ap"),))
    with pytest.raises(UnknownNameError, match="mAP"):
        read_power_table(tmp_path / "run", PowerOptions("NIQUE"))
    with pytest.raises(UnknownNameError, match="Other"):
        read_power_table(tmp_path / "run", PowerOptions(baseline="Othr"))


def test_the_command_prints_every_form(tmp_path: Path) -> None:
    make_run(tmp_path, make_images(20), SKILLS)
    for form, expected in (
        ("terminal", "not settled"),
        ("csv", "finding"),
        ("markdown", "| Better |"),
        ("latex", "tabular"),
    ):
        result = CliRunner().invoke(app, ["power", str(tmp_path), "--format", form])
        assert result.exit_code == 0, result.output
        assert expected in result.output


@pytest.mark.slow
def test_equal_enhancers_seldom_have_a_false_winner(tmp_path: Path) -> None:
    skills = {"Input": 0.4, "A": 0.5, "BB": 0.6, "CCC": 0.7}
    record = make_run(tmp_path, make_images(80), skills)
    with ResultStore(tmp_path / "results.sqlite", reading=True) as store:
        run = read_run_images(store, record)
        pool = make_pool(run, list(read_each_matched(store, run, lambda one: one).values()))
    families = list(null_runs(pool, 4, 80, 60, BootstrapOptions(100)))
    found = sum(settles(family, family.critical) for family in families)
    alone = sum(settles(family, family.alone) for family in families)
    # Of 60 at 5 %: at most 9 in 999 of 1000 tries.
    assert found <= 9 and found <= alone
    # No row of a null run is one of the real rows.
    assert np.std([family.intervals["1"].value for family in families]) > 0


def test_a_pool_gives_the_real_rows_back(tmp_path: Path) -> None:
    record = make_run(tmp_path, make_images(40), SKILLS)
    with ResultStore(tmp_path / "results.sqlite", reading=True) as store:
        run = read_run_images(store, record)
        pool = make_pool(run, list(read_each_matched(store, run, lambda one: one).values()))
        samples = [sample_of(rows, run) for rows in read_enhancers(store, run)]
    assert [sample.label for sample in samples] == list(SKILLS)
    for number, sample in enumerate(samples):
        got = pool.sample(sample.label, np.arange(40), np.full(40, number)).ranked["map"].by_class
        for name, (ranking,) in sample.ranked["map"].by_class.items():
            assert np.array_equal(got[name][0].images, ranking.images)
            assert np.array_equal(got[name][0].tp, ranking.tp)


def test_the_probit_curve_finds_the_difference() -> None:
    at = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    shares = norm.cdf(at - 1.96) + norm.cdf(-at - 1.96)
    settled = {float(x): (round(100_000 * share), 100_000) for x, share in zip(at, shares, strict=True)}
    assert difference_settled_by(0.8, settled) == pytest.approx(1.96 + norm.ppf(0.8), rel=0.01)
