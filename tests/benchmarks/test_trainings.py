"""Several trainings of one method as one row: planned, measured apart, shown together, with their luck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm, ttest_1samp, ttest_ind
from scipy.stats import t as student

from duskbench.benchmarks.bootstrap import Bootstrap
from duskbench.benchmarks.breakdown_table import read_breakdown
from duskbench.benchmarks.compare import EnhancerComparison, RunComparison, build_comparison_table, compare_runs
from duskbench.benchmarks.config import BenchmarkConfig
from duskbench.benchmarks.descriptions import Known
from duskbench.benchmarks.plan import plan_enhancers, trainings_of
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import EnhancerEntry, RunRecord
from duskbench.benchmarks.report.write import write_report
from duskbench.benchmarks.results import read_table
from duskbench.benchmarks.rows import Measured
from duskbench.benchmarks.statistics import BootstrapOptions, Draws, Interval, Sample, interval_of
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.table_formats import to_markdown
from duskbench.benchmarks.trainings import Trainings, mean_with_luck, training_luck
from duskbench.data_tools.errors import ConfigError
from tests.benchmarks.conftest import weight_files
from tests.benchmarks.fabricate import make_images, make_run, results_of

SKILLS = {"Input": 0.4, "Ours, training 1": 0.5, "Ours, training 2": 0.7, "Ours, training 3": 0.9, "Other": 0.45}


def entries(*broken: str) -> tuple[EnhancerEntry, ...]:
    made = (
        EnhancerEntry(label, label.lower(), label, method="Ours" if label.startswith("Ours") else None)
        for label in SKILLS
    )
    return tuple(replace(one, fingerprint="", error="no such file") if one.label in broken else one for one in made)


def image_samples(values: np.ndarray) -> tuple[Sample, ...]:
    return tuple(Sample(str(number), ~np.isnan(each), {"score": each}) for number, each in enumerate(values))


def bootstrap(n: int, resamples: int = 500, seed: int = 0) -> Bootstrap:
    return Bootstrap({}, BootstrapOptions(resamples, seed), within=np.ones(n, bool))


@pytest.mark.parametrize("k", [2, 3, 5])
def test_the_luck_of_a_mean_is_students_t(k: int) -> None:
    deviations = np.linspace(-1, 1, k) ** 3
    drawn = training_luck("a", k, 60_000, 3) @ (deviations - deviations.mean())
    assert drawn[0] == 0
    scale = deviations.std(ddof=1) / np.sqrt(k)
    for share in (0.05, 0.25, 0.5, 0.9, 0.975):
        assert np.mean(drawn[1:] <= scale * student.ppf(share, k - 1)) == pytest.approx(share, abs=0.006)


def test_luck_is_a_methods_own_and_the_same_each_time() -> None:
    one, again, other = (training_luck(label, 3, 100, 1) for label in "aab")
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert not np.array_equal(one, training_luck("a", 3, 100, 2))


def test_where_images_have_no_luck_the_interval_is_students_and_of_a_difference_welchs() -> None:
    worth, other = np.array([1.0, 1.4, 2.1]), np.array([0.2, 3.1, 0.9, 1.5, 1.1])
    method, base = (
        Trainings(name, image_samples(np.repeat(w[:, None], 9, axis=1))) for name, w in (("a", worth), ("b", other))
    )
    made = bootstrap(9, 20)
    for got, oracle in (
        (made.spread(method), ttest_1samp(worth, 0)),
        (made.difference(method, base), ttest_ind(worth, other, equal_var=False)),
    ):
        interval, expected = got.scores["score"], oracle.confidence_interval(0.95)
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), rel=1e-6)
    assert made.spread(method).scores["score"].value == pytest.approx(1.5)
    assert made.spread(method).trainings == {"score": pytest.approx((1.0, 1.4, 2.1))}


# By hand: variance 1 of the images, 0.72 / 2 / 3 = 0.12 of a mean over trainings, together 1.12; degrees of freedom
# 1.12 ** 2 / (0.12 ** 2 / 2) = 174.2, and of two such methods 1.24 ** 2 / (2 * 0.12 ** 2 / 2) = 106.8.
@pytest.mark.parametrize(
    ("methods", "half"), [((), 1.95996), (("a",), 1.97368 * 1.058301), (("a", "b"), 1.98243 * 1.113553)]
)
@pytest.mark.parametrize(("bias", "corrected"), [(0.0, False), (0.4, False), (0.4, True)])
def test_variances_of_images_and_trainings_are_added(
    methods: Sequence[str], half: float, bias: float, corrected: bool
) -> None:
    images = np.append(5.0, 5 + bias + norm.ppf(np.linspace(0, 1, 200_001)[1:-1]))
    draws = Draws(images, {(name, 3): np.array([-0.6, 0.0, 0.6]) for name in methods})
    got = interval_of(draws, 0.95, corrected=corrected)
    middle = 5 - bias if corrected else 5 + bias
    assert (got.value, got.low, got.high) == pytest.approx((5, middle - half, middle + half), abs=2e-3)


def test_images_never_make_an_interval_of_trainings_narrower() -> None:
    # Variances 9 / 3 of trainings and 1 / 100 of images have 2.01 degrees of freedom for 2, and a smaller t.
    deviations = {("a", 3): np.array([-3.0, 0.0, 3.0])}
    images = np.append(0.0, 0.1 * norm.ppf(np.linspace(0, 1, 20_001)[1:-1]))
    got = interval_of(Draws(images, deviations), 0.95)
    alone = 4.302653 * np.sqrt(3)
    assert (got.low, got.high) == pytest.approx((-alone, alone), rel=1e-4)


def test_two_scores_of_the_same_trainings_share_their_luck() -> None:
    # Each training is better on one by as much as on the other: between the two there is no luck of training.
    one, other = (Draws(np.zeros(9), {("a", 3): np.array([-1.0, 0.0, 1.0])}) for _ in range(2))
    assert interval_of(one - other, 0.95) == Interval(0.0, 0.0, 0.0)


def test_equal_trainings_are_as_one() -> None:
    values = np.random.default_rng(0).exponential(4, (1, 40))
    alone, same = image_samples(np.repeat(values, 2, axis=0))
    made, nothing = bootstrap(40), image_samples(np.zeros((1, 40)))[0]
    for method in (Trainings("a", (alone,)), Trainings("a", (alone, alone, alone)), Trainings("a", (alone, same))):
        for numbers in (lambda one: made.difference(one, nothing), made.spread):
            got, expected = (numbers(each).scores["score"] for each in (method, alone))
            ends = expected.value, expected.low, expected.high
            assert (got.value, got.low, got.high) == pytest.approx(ends, rel=1e-12)


def test_a_training_without_an_image_takes_it_from_all() -> None:
    values = np.random.default_rng(1).normal(4, 1, (2, 30))
    values[0, 3] = values[1, 7] = np.nan
    method = Trainings("a", image_samples(values))
    kept = np.delete(values, [3, 7], axis=1)
    got = bootstrap(30).spread(method)
    assert got.scores["score"].value == pytest.approx(kept.mean())
    assert got.trainings["score"] == pytest.approx(tuple(kept.mean(axis=1)))


def test_a_row_is_the_mean_of_its_trainings(tmp_path: Path) -> None:
    images = make_images(40)
    together = make_run(tmp_path / "a", images, SKILLS, enhancers=entries())
    with ResultStore(tmp_path / "a/results.sqlite") as store:
        store.put_run(replace(together, enhancers=tuple(replace(e, method=None) for e in together.enhancers)))
    apart = results_of(tmp_path / "a")
    with ResultStore(tmp_path / "a/results.sqlite") as store:
        store.put_run(together)
    got = results_of(tmp_path / "a", baseline="Ours")
    assert list(got) == ["Input", "Ours", "Other"]
    each = [apart[label] for label in SKILLS if label.startswith("Ours")]
    for key in ("map", "niqe"):
        numbers = [one.spread.scores[key].value for one in each]
        assert got["Ours"].spread.trainings[key] == pytest.approx(numbers)
        assert got["Ours"].number(key) == pytest.approx(np.mean(numbers))
        drawn = mean_with_luck(
            [one.spread.draws[key].images for one in each], "Ours", training_luck("Ours", 3, 50, 3)
        ).total
        assert got["Ours"].spread.draws[key].total == pytest.approx(drawn)
    for name in ("car", "dog", "person"):
        mean = np.mean([one.spread.classes["map"][name].value for one in each])
        assert got["Ours"].spread.classes["map"][name].value == pytest.approx(mean)
    assert got["Other"].against["Ours"].scores["map"].value == pytest.approx(
        apart["Other"].spread.scores["map"].value - np.mean([one.spread.scores["map"].value for one in each])
    )
    # Enhancers that stand for themselves have the numbers and intervals that they had.
    assert got["Other"].spread == apart["Other"].spread
    assert got["Other"].against["Input"] == apart["Other"].against["Input"]


def test_table_breakdown_and_report_have_one_row(tmp_path: Path) -> None:
    make_run(tmp_path, make_images(30), SKILLS, enhancers=entries())
    table = read_table(tmp_path)
    assert [row.label for row in table.rows] == ["Input", "Ours", "Other"]
    ours = table.rows[1]
    assert ours["trainings"].value == 3 and table.rows[0]["trainings"].value is None
    numbers = results_of(tmp_path)["Ours"].spread.trainings["map"]
    assert ours["map", "sd"].value == pytest.approx(np.std(numbers, ddof=1))
    listed = ", ".join(f"{100 * number:.2f}" for number in numbers)
    assert any("Ours: mean of 3 trainings; of each: NIQE" in n and f"mAP {listed}" in n for n in table.notes)
    assert any("holds the variance between trainings" in note for note in table.notes)
    assert "SD mAP" in to_markdown(table)
    for by in ("class", "size", "lighting"):
        _, made, _ = read_breakdown(tmp_path, by)
        assert made.labels == ("Input", "Ours", "Other")
        assert all(set(part.spreads) == {"Input", "Ours", "Other"} for part in made.parts)
    page = write_report(tmp_path, images=0).read_text(encoding="utf-8")
    # Curves are of each training; the table has one row.
    assert "Ours, training 2" in page and "mean of 3 trainings" in page


def test_reasons_of_trainings_are_added_and_failures_say_whose_they_are(tmp_path: Path) -> None:
    second = "Ours, training 2"
    failing = {"Input": ["0000"], second: ["0000"]}
    record = make_run(tmp_path, make_images(2), SKILLS, enhancers=entries(), failing=failing)
    with ResultStore(tmp_path / "results.sqlite") as store:
        for entry in record.enhancers[1:3]:
            row = list(store.rows(record, entry))[1]
            store.put(replace(row, values={record.metrics[0].fingerprint: Measured(None, "haze")}))
    got = results_of(tmp_path)
    assert got["Ours"].reasons["niqe"] == {"haze": 2}
    assert list(got["Ours"].failures.values()) == [f"{second}: too dark"]
    assert list(got["Input"].failures.values()) == ["too dark"]
    assert got["Ours"].lacks == got["Input"].lacks == {0}


def test_a_method_without_a_result_lacks_every_image(tmp_path: Path) -> None:
    failing = {entry.label: ["0000", "0001"] for entry in entries() if entry.method}
    make_run(tmp_path, make_images(2), SKILLS, enhancers=entries(), failing=failing)
    got = results_of(tmp_path)
    assert (got["Ours"].lacks, got["Input"].lacks) == ({0, 1}, frozenset())


def two_runs(tmp_path: Path, weights: str) -> tuple[RunComparison, list[EnhancerComparison]]:
    """Compared with the trainings as one row, and one by one; `weights` is what the second run's are called."""
    trained = [
        tuple(replace(e, weights={"w": f"{name}{e.label}"}) if e.method else e for e in entries())
        for name in ("first", weights)
    ]
    for number, made in enumerate(trained):
        make_run(tmp_path / str(number), make_images(40), SKILLS, enhancers=made, seed=number)
    apart = [replace(e, method=None) for e in trained[1]]
    folders = tmp_path / "0", tmp_path / "1"
    together = compare_runs(*folders)
    for folder in folders:
        with ResultStore(folder / "results.sqlite") as store:
            store.put_run(replace(store.last_run(), enhancers=tuple(apart)))
    return together, [one for one in compare_runs(*folders).enhancers if one.label.startswith("Ours")]


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ("first", ", the same in both runs; the interval of Δ holds the variance of images alone."),
        ("other", ", not the same in both runs; the interval of Δ holds the variance of images and trainings."),
    ],
)
def test_two_runs_of_a_method_are_compared_as_one_row(tmp_path: Path, weights: str, said: str) -> None:
    together, apart = two_runs(tmp_path, weights)
    assert [one.label for one in together.enhancers] == ["Input", "Ours", "Other"]
    ours = together.enhancers[1]
    for key in ("niqe", "map"):
        drawn = np.mean([one.difference.draws[key].total for one in apart], axis=0)
        for side, sign in (("after 2", 1), ("before 1", -1)):
            name, run = side.split()
            values = np.array([getattr(one, f"spread_{name}").scores[key].value for one in apart])
            if weights == "other":
                drawn = drawn + sign * training_luck(f"Ours {run}", 3, 50, 3) @ (values - values.mean())
        assert ours.difference.draws[key].total == pytest.approx(drawn)
        assert ours.spread_before.trainings[key] == tuple(one.spread_before.scores[key].value for one in apart)
    table = build_comparison_table(together, ("a", "b"))
    row = table.rows[1]
    numbers = [one.spread_after.scores["map"].value for one in apart]
    assert row["trainings before"].value == 3
    assert row["map", "after", "sd"].value == pytest.approx(np.std(numbers, ddof=1))
    assert any(said in note for note in table.notes)
    assert "SD mAP 2nd" in to_markdown(table)


def test_a_run_of_trainings_and_itself_do_not_differ(tmp_path: Path) -> None:
    make_run(tmp_path, make_images(12), SKILLS, enhancers=entries())
    [ours] = [one for one in compare_runs(tmp_path, tmp_path).enhancers if one.label == "Ours"]
    assert ours.same and ours.difference.scores["map"] == Interval(0.0, 0.0, 0.0)


def test_a_training_that_is_not_there_is_said(tmp_path: Path) -> None:
    make_run(tmp_path, make_images(12), SKILLS, enhancers=entries())
    with ResultStore(tmp_path / "results.sqlite") as store:
        store.put_run(replace(store.last_run(), enhancers=entries("Ours, training 2")))
    table = read_table(tmp_path)
    assert (table.rows[1].label, table.rows[1].mark) == ("Ours", " †")
    notes = "\n".join(table.notes)
    assert "† Ours stands on the trainings that could be built: Ours, training 2: no such file" in notes
    assert "2 of 3 trainings measured" in notes and "mean of 2 trainings" in notes


def test_a_training_that_is_not_measured_yet_marks_the_row(tmp_path: Path) -> None:
    make_run(tmp_path, make_images(12), SKILLS, enhancers=entries())
    with ResultStore(tmp_path / "results.sqlite") as store:
        more = EnhancerEntry("Ours, training 4", "x", "not measured", method="Ours")
        store.put_run(replace(store.last_run(), enhancers=(*entries(), more)))
    table = read_table(tmp_path)
    assert (table.rows[1].label, table.rows[1].mark) == ("Ours", " *")
    assert any("3 of 4 trainings measured" in note for note in table.notes)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("guided", []),
        ("guided(weights='a')", []),
        ("file.py:Blend(weights=[0.3, 0.7])", []),
        ("guided(weights=['a', 'b'], amp=True)", ["a", "b"]),
        ({"type": "guided", "weights": ["a", "b"], "amp": True}, ["a", "b"]),
    ],
)
def test_a_list_of_files_means_trainings(spec: Any, expected: Sequence[str]) -> None:
    made = trainings_of(spec)
    assert made == [{"type": "guided", "weights": each, "amp": True} for each in expected]


def plan(specs: Sequence[Any]) -> list[EnhancerEntry]:
    config = BenchmarkConfig("made", "", {}, (), tuple(specs), Protocol())
    return plan_enhancers(config, "cpu", Known(Path("nowhere")))


@pytest.mark.slow
def test_trainings_are_planned_apart_under_one_row(tmp_path: Path) -> None:
    files = weight_files(tmp_path)
    got = plan(["input", {"type": "zero_dce", "weights": files, "label": "Curves", "upper_bound": True}])
    assert [(e.label, e.row, e.upper_bound) for e in got] == [
        ("Input", "Input", False),
        ("Curves, training 1", "Curves", True),
        ("Curves, training 2", "Curves", True),
    ]
    # A row that was measured alone is used again.
    assert [e.fingerprint for e in got[1:]] == [
        plan([{"type": "zero_dce", "weights": f}])[0].fingerprint for f in files
    ]
    missing = plan([{"type": "zero_dce", "weights": [files[0], str(tmp_path / "none.safetensors")]}])
    assert [e.error is None for e in missing] == [True, False]


@pytest.mark.slow
def test_the_same_training_twice_and_a_label_twice_are_errors(tmp_path: Path) -> None:
    one, other = weight_files(tmp_path)
    with pytest.raises(ConfigError, match="Two of the trainings of Zero-DCE are the same"):
        plan([{"type": "zero_dce", "weights": [one, other, one]}])
    named = {"type": "zero_dce", "weights": [one, other], "label": "Curves"}
    with pytest.raises(ConfigError, match="same label"):
        plan([{"type": "input", "label": "Curves"}, named])
    with pytest.raises(ConfigError, match="same label"):
        plan([{"type": "input", "label": "Curves, training 2"}, named])


def test_the_record_keeps_which_trainings_belong_together(tmp_path: Path) -> None:
    record = make_run(tmp_path, make_images(3), SKILLS, enhancers=entries())
    again = RunRecord.from_json(record.to_json())
    assert again == record
    assert [e.label for e in again.rows["Ours"]] == [f"Ours, training {n}" for n in (1, 2, 3)]


def test_an_interval_that_says_nothing_of_training_is_narrower() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(0, 1, (3, 80)) + np.array([[-0.5], [0.0], [0.5]])
    method, mean = Trainings("a", image_samples(values)), image_samples(values.mean(axis=0)[None])[0]
    made = bootstrap(80)

    def width(interval: Interval) -> float:
        assert interval.low is not None and interval.high is not None
        return interval.high - interval.low

    assert width(made.spread(method).scores["score"]) > 2 * width(made.spread(mean).scores["score"])
