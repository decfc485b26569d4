"""From a run folder to numbers and intervals, against a plain computation on copied images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from duskbench.benchmarks.breakdown import break_down, sized_samples
from duskbench.benchmarks.compare import compare_evidence
from duskbench.benchmarks.evaluate import EnhancerResult, evaluate, evaluate_run
from duskbench.benchmarks.evidence import open_evidence
from duskbench.benchmarks.metric_code import with_coco
from duskbench.benchmarks.metrics.base import ImageMetric
from duskbench.benchmarks.night_curve import night_curves
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import EnhancerEntry
from duskbench.benchmarks.rows import Measured, StoredImage
from duskbench.benchmarks.samples import sample_of
from duskbench.benchmarks.statistics import BootstrapOptions, Interval
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.stored_run import ground_truth, open_run, read_enhancers, read_run_images
from duskbench.benchmarks.table import build_table
from duskbench.data_tools.errors import UnknownNameError
from tests.benchmarks.fabricate import CLASSES, make_images, make_record, make_run, metric, results_of

SKILLS = {"Input": 0.4, "Better": 0.8, "Other": 0.45}
# Key of a score -> name of its metric, of each kind: lower and higher is better, one overlap and ten.
KEYS = {"niqe": "niqe", "ssim": "ssim", "map": "voc_ap", "coco AP50:95": "coco_ap"}


def ap(result: EnhancerResult, key: str, name: str) -> Interval:
    return result.spread.classes[key][name]


def copied(folder: Path, target: Path, drawn: list[int], images: list[StoredImage]) -> dict[str, EnhancerResult]:
    """The same run on a data set in which image `drawn[i]` stands as image i, every copy under a name of its own."""
    with ResultStore(folder / "results.sqlite") as store, ResultStore(target / "results.sqlite") as made:
        record = store.last_run()
        copies = []
        for number, source in enumerate(drawn):
            image = images[source]
            copies.append(
                replace(image, record=replace(image.record, id=f"copy {number:03d}"), sha256=f"copy {number}")
            )
        made.put_images(copies)
        for entry in record.enhancers:
            rows = {row.key.image_id: row for row in store.rows(record, entry)}
            for number, source in enumerate(drawn):
                row = rows[images[source].record.id]
                made.put(replace(row, key=replace(row.key, image_id=f"copy {number:03d}", content=f"copy {number}")))
        ids = tuple(image.record.id for image in copies)
        made.put_run(replace(record, image_ids=ids, bootstrap=BootstrapOptions(0)))
    return results_of(target)


def test_intervals_are_those_of_data_sets_with_copied_images(tmp_path: Path) -> None:
    images = make_images(20)
    metrics = tuple(map(metric, KEYS.values()))
    make_run(tmp_path / "run", images, SKILLS, metrics=metrics, bootstrap=BootstrapOptions(12, seed=9, level=0.8))
    got = results_of(tmp_path / "run", baseline="Other")
    draws = np.random.default_rng(9).integers(0, 20, (12, 20))
    naive = [copied(tmp_path / "run", tmp_path / f"copy{i}", row.tolist(), images) for i, row in enumerate(draws)]

    def expect(interval: Interval | None, value: float, resampled: list[float], *, paired: bool = False) -> None:
        assert interval is not None
        ranks = np.array([0.1, 0.9])
        if not paired:
            below = float(np.mean([(one < value) + 0.5 * (one == value) for one in resampled]))
            ranks = norm.cdf(2 * norm.ppf(np.clip(below, 1 / 24, 23 / 24)) + norm.ppf(ranks))
        low, high = np.quantile(resampled, ranks)
        assert (interval.value, interval.low, interval.high) == pytest.approx((value, low, high), abs=1e-12)

    whole = results_of(tmp_path / "run")
    for label, one in got.items():
        assert set(one.spread.scores) == set(KEYS)
        for key in KEYS:
            value = whole[label].spread.scores[key].value
            expect(one.score(key), value, [n[label].spread.scores[key].value for n in naive])
        for key in ("map", "coco AP50:95"):
            for name in CLASSES:
                expect(
                    ap(one, key, name),
                    ap(whole[label], key, name).value,
                    [ap(n[label], key, name).value for n in naive],
                )
        assert list(one.against) == [baseline for baseline in ("Input", "Other") if baseline != label]
        for baseline, difference in one.against.items():
            assert (difference.n_images, difference.n_left_out) == (20, 0)
            for key in KEYS:
                value, *moved = (
                    n[label].spread.scores[key].value - n[baseline].spread.scores[key].value for n in (whole, *naive)
                )
                expect(difference.scores[key], value, moved, paired=True)


def test_a_failed_image_leaves_the_pair_and_not_the_others(tmp_path: Path) -> None:
    images = make_images(30)
    make_run(tmp_path / "run", images, SKILLS, failing={"Better": ["0003", "0004"]})
    got = results_of(tmp_path / "run")
    assert (got["Better"].n_images, len(got["Better"].failures), got["Input"].n_images) == (28, 2, 30)
    assert (len(got["Better"].lacks), got["Input"].lacks) == (2, frozenset())
    difference = got["Better"].against["Input"]
    assert (difference.n_images, difference.n_left_out) == (28, 2)
    both = [image for image in images if image.record.id not in ("0003", "0004")]
    with ResultStore(tmp_path / "run/results.sqlite") as store:
        record = store.last_run()
        kept = replace(record, image_ids=tuple(image.record.id for image in both))
        on_both = {r.label: r for r in evaluate(store, kept)}
    for key in ("map", "niqe"):
        ours, theirs = (on_both[label].spread.scores[key].value for label in ("Better", "Input"))
        assert difference.scores[key].value == pytest.approx(ours - theirs)
        # The difference of the two cells, on different images, is another number.
        ours, theirs = (got[label].spread.scores[key].value for label in ("Better", "Input"))
        assert difference.scores[key].value != pytest.approx(ours - theirs)


def test_the_record_says_how_to_resample(tmp_path: Path) -> None:
    for name, seed in (("one", 4), ("same", 4), ("other", 5)):
        make_run(tmp_path / name, make_images(12), SKILLS, bootstrap=BootstrapOptions(30, seed, 0.5))
    assert results_of(tmp_path / "one") == results_of(tmp_path / "same") != results_of(tmp_path / "other")


def test_every_command_draws_the_images_of_a_cluster_together(tmp_path: Path) -> None:
    """In one cluster alone nothing can be drawn otherwise, so nowhere may there be an interval."""
    images = make_images(24)
    for name, options in (("one", BootstrapOptions(30, cluster="(0).*")), ("apart", BootstrapOptions(30))):
        make_run(tmp_path / name, images, SKILLS, bootstrap=options)
        with open_run(tmp_path / name) as (store, run):
            results = evaluate_run(store, run)
            samples = [sample_of(rows, run) for rows in read_enhancers(store, run)]
            sized = [of for rows in read_enhancers(store, run) if (of := sized_samples(rows, run))]
            parts = [break_down(run, samples, by, sized=sized).parts for by in ("lighting", "class", "size")]
            notes = build_table(run.record, results).notes
        evidence = open_evidence(tmp_path / name)
        compared = compare_evidence(evidence, evidence)
        curves = night_curves({0.0: evidence, -2.0: evidence}, evidence.record.columns()[0])
        intervals = {
            "table": [each for result in results for each in result.spread.scores.values()],
            "by": [
                each for of in parts for part in of for one in part.spreads.values() for each in one.scores.values()
            ],
            "compare": [each for one in compared.enhancers for each in one.spread_after.scores.values()],
            "night curve": [point for curve in curves.curves for point in curve.points],
        }
        for command, each in intervals.items():
            assert each, command
            assert all((interval.low is None) == (name == "one") for interval in each), command
    assert any("bootstrap over images" in note for note in notes)


def test_a_table_says_what_is_drawn(tmp_path: Path) -> None:
    make_run(tmp_path, make_images(24), SKILLS, bootstrap=BootstrapOptions(30, cluster="..(.)."))
    with open_run(tmp_path) as (store, run):
        notes = " ".join(build_table(run.record, evaluate_run(store, run)).notes)
    assert "bootstrap over clusters of images by ..(.). (" in notes
    assert "24 images in 3 clusters" in notes


def test_input_is_found_by_what_it_is() -> None:
    raw, other = EnhancerEntry("Raw", {"type": "input"}, "a"), EnhancerEntry("Input", "file.py:something", "b")
    record = make_record((), ())
    assert replace(record, enhancers=(raw, other)).input_label == "Raw"
    assert replace(record, enhancers=(other,)).input_label is None
    for spec in ("input()", " input ", {"type": "input()"}):
        assert replace(record, enhancers=(EnhancerEntry("Raw", spec, "a"),)).input_label == "Raw"


def test_coco_is_added_once_and_only_with_a_detector(tmp_path: Path) -> None:
    record = make_run(tmp_path / "run", make_images(12), SKILLS)
    more = with_coco(record)
    assert [m.key for m in more.metrics] == ["niqe", "map", "coco AP50:95", "coco AP50", "coco AP75"]
    assert with_coco(more) == more
    bare = replace(record, detectors=(), metrics=record.metrics[:1])
    assert with_coco(bare) == bare
    with ResultStore(tmp_path / "run/results.sqlite", reading=True) as store:
        [one, *_] = evaluate(store, more)
    assert one.number("coco AP75") is not None


def test_reasons_and_groups_are_those_of_each_score(tmp_path: Path) -> None:
    images = [replace(i, record=replace(i.record, group="AB"[number % 2])) for number, i in enumerate(make_images(6))]
    record = make_run(
        tmp_path / "run", images, {"Input": 0.5}, metrics=tuple(map(metric, ("niqe", "ssim"))), detectors=()
    )
    small, numbers = record.metrics[1].fingerprint, [0.1, 0.2, 0.3, 0.4, None, None]
    with ResultStore(tmp_path / "run/results.sqlite") as store:
        rows = list(store.rows(record, record.enhancers[0]))
        for row, number in zip(rows, numbers, strict=True):
            reason = "too small" if number is None else None
            store.put(replace(row, values={**row.values, small: Measured(number, reason)}))
    got = results_of(tmp_path / "run")["Input"]
    assert got.reasons == {"niqe": {}, "ssim": {"too small": 2}}
    assert got.number("ssim") == pytest.approx(0.25)
    assert got.by_group["ssim"] == pytest.approx({"A": 0.2, "B": 0.3})
    assert got.score("map") is None


class Median(ImageMetric):
    """The middle of the images' numbers."""

    def aggregate(self, numbers: np.ndarray) -> float:
        return float(np.median(numbers))


def test_a_metric_that_is_no_mean_is_made_its_own_way_of_the_whole_and_of_each_group(tmp_path: Path) -> None:
    images = [replace(i, record=replace(i.record, group="A")) for i in make_images(3)]
    entry = replace(metric("niqe"), key="median", is_mean=False)
    record = make_run(tmp_path, images, {"Input": 0.5}, metrics=(entry,), detectors=())
    with ResultStore(tmp_path / "results.sqlite") as store:
        for row, number in zip(list(store.rows(record, record.enhancers[0])), (0.0, 0.0, 9.0), strict=True):
            store.put(replace(row, values={entry.fingerprint: Measured(number)}))
        run = replace(read_run_images(store, record), metrics={"median": Median()})
        [got] = evaluate_run(store, run)
    assert got.number("median") == 0.0 and got.by_group["median"] == {"A": 0.0}


def test_an_unknown_baseline_is_an_error(tmp_path: Path) -> None:
    make_run(tmp_path / "run", make_images(3), SKILLS)
    with pytest.raises(UnknownNameError, match="Better, Input, Other"):
        results_of(tmp_path / "run", baseline="Bettr")


def test_no_row_at_all(tmp_path: Path) -> None:
    images = make_images(3)
    make_run(tmp_path / "run", images, {"Input": 0.5}, failing={"Input": [i.record.id for i in images]})
    got = results_of(tmp_path / "run")["Input"]
    assert (got.n_images, got.spread.scores, got.number("map")) == (0, {}, None)


def test_ground_truth_remembers_which_object_it_was() -> None:
    images = make_images(6)
    truth = ground_truth(images, Protocol(classes=("dog",)))
    assert len(truth.labels) > 0
    for image, ordinal, box in zip(truth.images, truth.ordinals, truth.boxes_xyxy, strict=True):
        found = images[image].record.objects[ordinal]  # type: ignore[index]
        assert (found.name, found.box_xyxy) == ("dog", tuple(box))
