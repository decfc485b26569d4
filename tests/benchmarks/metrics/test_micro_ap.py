"""AP of the detections of all classes in one list, from the matching to every place that shows a metric."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks import stored_run
from duskbench.benchmarks.breakdown import SIZES, sized_samples
from duskbench.benchmarks.evaluate import evaluate
from duskbench.benchmarks.evidence import read_evidence
from duskbench.benchmarks.evidence_archive import pack, unpack
from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.benchmarks.metrics.registry import load_metric
from duskbench.benchmarks.metrics.voc_ap import MicroAPMetric, voc_ap
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.samples import sample_of
from duskbench.benchmarks.statistics import Sample
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.stored_run import RunImages, found_by, objects_of, read_enhancers, read_run_images
from tests.benchmarks.fabricate import CLASSES, DETECTOR, make_images, make_run, metric

SKILLS = {"Input": 0.5, "Better": 0.9}
KEY = "micro_ap"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    metrics = (metric("voc_ap"), metric("micro_ap"))
    make_run(tmp_path / "run", make_images(45), SKILLS, failing={"Better": ["0001"]}, metrics=metrics)
    return tmp_path / "run"


def one_class(truth: Boxes, found: Boxes) -> float:
    """As the AP of one class, where an object of another class is in another image."""
    zeros = [np.zeros(len(each.labels), int) for each in (truth, found)]
    places = [each.images * len(CLASSES) + each.labels for each in (truth, found)]
    result = voc_ap(
        truth.boxes_xyxy, zeros[0], places[0], truth.difficult, found.boxes_xyxy, found.scores, zeros[1], places[1],
        n_classes=1, mode="area", strict=True,
    )  # fmt: skip
    assert result.ap[0] is not None
    return result.ap[0]


def by_hand(store: ResultStore, run: RunImages) -> dict[str, float]:
    rows = {each.label: each for each in read_enhancers(store, run)}
    return {label: one_class(objects_of(each, run), found_by(each, run, DETECTOR)) for label, each in rows.items()}


def test_it_is_the_ap_of_one_list_in_which_classes_are_kept_apart(folder: Path) -> None:
    with ResultStore(folder / "results.sqlite") as store:
        expected = by_hand(store, read_run_images(store, store.last_run()))
        results = {each.label: each for each in evaluate(store, store.last_run())}
    for label, value in expected.items():
        spread = results[label].spread
        assert spread.scores[KEY].value == pytest.approx(value, abs=1e-12)
        assert spread.scores[KEY].low < value < spread.scores[KEY].high  # type: ignore[operator]
        # It is the AP of no class.
        assert KEY not in spread.classes or not spread.classes[KEY]
        assert set(spread.objects) == set(CLASSES)
    assert expected["Better"] > expected["Input"]
    assert results["Better"].against["Input"].scores[KEY].settled


def test_each_object_weighs_the_same() -> None:
    """Nine cars found, a dog missed: the mean over classes is a half."""
    protocol = Protocol(classes=("car", "dog"))
    box = np.array([[0.0, 0.0, 9.0, 9.0]])
    images = np.arange(10)
    truth = Boxes(box.repeat(10, 0), np.array([0] * 9 + [1]), images, np.ones(10), np.zeros(10, bool), images)
    found = truth.take(images < 9)
    ranked = MicroAPMetric(protocol).rank(truth, found, protocol.classes)
    ((one,),) = ranked.by_class.values()
    assert one.tp.all() and len(one.tp) == 9
    objects = {"car": (images < 9).astype(int), "dog": (images == 9).astype(int)}
    assert ranked.to_find(next(iter(ranked.by_class)), objects).tolist() == [1] * 10


def test_a_class_that_the_detector_lacks_is_not_asked_for(tmp_path: Path) -> None:
    images = make_images(45)
    two = replace(DETECTOR, classes=("car", "dog", "zebra"))
    make_run(tmp_path, images, SKILLS, detectors=(two,), metrics=(metric("micro_ap"),))
    with ResultStore(tmp_path / "results.sqlite") as store:
        run = read_run_images(store, store.last_run())
        rows = next(iter(read_enhancers(store, run)))
        truth, found = objects_of(rows, run), found_by(rows, run, two)
        expected = one_class(truth.take(truth.labels != CLASSES.index("person")), found)
        assert evaluate(store, store.last_run())[0].score(KEY).value == pytest.approx(expected)  # type: ignore[union-attr]
    assert not MicroAPMetric(run.protocol).rank(truth, found, CLASSES).without(set(CLASSES)).by_class


def test_some_images_at_a_time_are_ranked_as_all_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def samples(at_a_time: int) -> list[Sample]:
        monkeypatch.setattr(stored_run, "IMAGES_AT_A_TIME", at_a_time)
        with ResultStore(folder / "results.sqlite", reading=True) as store:
            run = read_run_images(store, store.last_run())
            return [sample_of(rows, run) for rows in read_enhancers(store, run)]  # type: ignore[misc]

    for one, other in zip(samples(1000), samples(7), strict=True):
        assert one.same_numbers(other) and one.ranked[KEY].pools == other.ranked[KEY].pools == {"all classes": CLASSES}


def test_it_is_broken_down_by_size(folder: Path) -> None:
    with ResultStore(folder / "results.sqlite", reading=True) as store:
        run = read_run_images(store, store.last_run())
        rows = next(iter(read_enhancers(store, run)))
        sized = sized_samples(rows, run)
    assert list(sized) == list(SIZES)
    whole, *parts = (
        int(one.ranked[KEY].by_class["all classes"][0].tp.sum()) for one in (sample_of(rows, run), *sized.values())
    )
    assert sum(parts) == whole and all(parts)


def test_it_is_kept_with_a_night(folder: Path) -> None:
    with ResultStore(folder / "results.sqlite", reading=True) as store:
        evidence = read_evidence(store)
    for one in evidence.enhancers.values():
        kept = unpack(pack(one), evidence.record).sample
        assert kept.same_numbers(one.sample) and kept.ranked[KEY].pools == one.sample.ranked[KEY].pools


def test_one_of_a_users_own_may_pool_classes_too(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "from duskbench.benchmarks.metrics.voc_ap import MicroAPMetric\n"
        "class Own(MicroAPMetric):\n    key, heading = 'own', 'own'\n"
    )
    protocol = Protocol(classes=CLASSES)
    box = np.array([[0.0, 0.0, 9.0, 9.0], [20.0, 0.0, 29.0, 9.0]])
    zero = np.zeros(2, int)
    truth = Boxes(box, np.array([0, 2]), zero, np.ones(2), np.zeros(2, bool), np.arange(2))
    got = load_metric(f"{file}:Own", protocol).rank(truth, truth, CLASSES)  # type: ignore[union-attr]
    expected = MicroAPMetric(protocol).rank(truth, truth, CLASSES)
    assert got.pools == expected.pools and got.mode == "area"
    ((one,),), ((other,),) = got.by_class.values(), expected.by_class.values()
    assert one.tp.tolist() == other.tp.tolist() == [True, True]
