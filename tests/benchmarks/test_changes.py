"""Won and lost objects on a scene small enough to count by hand."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks.changes import Changes, Tally, changes, count, precision_recall_curves
from duskbench.benchmarks.evaluate import evaluate
from duskbench.benchmarks.matched import read_each_matched
from duskbench.benchmarks.rows import Detected, Key, Measured, Row, StoredImage
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.stored_run import read_run_images
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.records import ImageRecord, ObjectAnnotation
from tests.benchmarks.fabricate import DETECTOR, make_images, make_record, make_run

A, B, C, NOWHERE = (
    (0.0, 0.0, 50.0, 50.0),
    (100.0, 0.0, 150.0, 50.0),
    (200.0, 0.0, 250.0, 50.0),
    (0.0, 300.0, 9.0, 309.0),
)
CAR, DOG = 0, 1

# Image -> objects: (class, box, difficult). `cup` is no class of the protocol and stands first, to shift positions.
TRUTH = {
    "one": [("cup", C, False), ("car", A, False), ("dog", B, False)],
    "two": [("car", A, False), ("car", B, True)],
    "three": [("dog", A, False)],
    "four": [],
}
# Enhancer -> image -> detections: (class, box, score).
FOUND = {
    "Input": {
        "one": [(CAR, A, 0.9), (DOG, NOWHERE, 0.6)],
        "two": [(CAR, A, 0.8)],
        "three": [(DOG, A, 0.3)],
        "four": [(CAR, A, 0.2)],
    },
    "Better": {
        "one": [(DOG, B, 0.9), (CAR, A, 0.7)],
        "two": [(CAR, B, 0.9), (CAR, A, 0.4), (CAR, A, 0.35)],
        "three": [(DOG, A, 0.8)],
        "four": [(CAR, A, 0.95), (DOG, A, 0.5)],
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = [
        StoredImage(
            ImageRecord(name, Path(name), tuple(ObjectAnnotation(n, box, hard) for n, box, hard in objects)), 1, 1, name
        )
        for name, objects in TRUTH.items()
    ]
    record = make_record(images, list(FOUND))
    with ResultStore(tmp_path / "results.sqlite") as store:
        store.put_images(images)
        for label, found in FOUND.items():
            for name, detections in found.items():
                columns = (
                    np.array([box for _, box, _ in detections], np.float32),
                    np.array([score for *_, score in detections], np.float32),
                    np.array([c for c, *_ in detections], np.int64),
                )
                values = {record.metrics[0].fingerprint: Measured(1.0)}
                detected = {DETECTOR.fingerprint: Detected(*columns)}
                store.put(Row(Key(name, name, label), detections=detected, values=values))
        store.put_run(record)
    return tmp_path


def compared(folder: Path, *, baseline: str | None = None, threshold: float | None = None) -> list[Changes]:
    with ResultStore(folder / "results.sqlite", reading=True) as store:
        run = read_run_images(store, store.last_run())
        counted = read_each_matched(store, run, partial(count, run=run), baseline=baseline, threshold=threshold)
    return changes(run, counted, baseline=baseline)


def test_every_object_and_false_alarm_is_counted(folder: Path) -> None:
    (got,) = compared(folder, threshold=0.39)
    assert (got.label, got.baseline, got.threshold, got.n_images) == ("Better", "Input", 0.39, 4)
    # The difficult car counts neither way, the second detection of a car is below the threshold.
    assert got.total == Tally(gained=2, lost=0, kept=2, missed=0, false_alarms=2, false_alarms_baseline=1)
    assert got.by_class["car"] == Tally(kept=2, false_alarms=1)
    assert got.by_class["dog"] == Tally(gained=2, false_alarms=1, false_alarms_baseline=1)
    assert got.by_class["person"] == Tally()
    assert [image.image_id for image in got.images] == ["one", "three", "four"]
    one, three, four = got.images
    # Position 2 among the image's objects: the cup counts as a position though not as an object.
    assert (one.gained, one.lost, one.false_alarms, one.false_alarms_baseline) == ((2,), (), (), (1,))
    assert (one.tally.net, three.tally.net, four.tally.net) == (2, 1, -2)
    assert four.false_alarms == (0, 1)
    assert got.best(1) == (one,) and got.best(9) == (one, three) and got.worst(9) == (four,)


def test_the_other_way_round_gains_and_losses_swap(folder: Path) -> None:
    (there,), (back,) = compared(folder, threshold=0.39), compared(folder, threshold=0.39, baseline="Better")
    assert (back.total.lost, back.total.gained, back.total.net) == (
        there.total.gained,
        there.total.lost,
        -there.total.net,
    )


def test_the_threshold_has_the_best_f1_on_the_baseline(folder: Path) -> None:
    # Input: 0.9 hit, 0.8 hit, 0.6 alarm, 0.3 hit, 0.2 alarm; four objects: F1 2/5, 4/6, 4/7, 6/8, 6/9.
    assert compared(folder)[0].threshold == pytest.approx(0.3, abs=1e-7)


@pytest.mark.slow
def test_counts_agree_on_a_run_of_many_images(tmp_path: Path) -> None:
    images = make_images(60)
    make_run(tmp_path, images, {"Input": 0.4, "Better": 0.8}, failing={"Better": ["0002"]})
    (got,) = compared(tmp_path)
    easy = sum(not o.difficult for i in images if i.record.id != "0002" for o in i.record.objects or ())
    total = got.total
    assert total.gained + total.lost + total.kept + total.missed == easy
    assert got.n_images == 59 and total.gained > total.lost > 0
    for kind in ("gained", "lost", "kept", "missed", "false_alarms", "false_alarms_baseline"):
        assert sum(getattr(tally, kind) for tally in got.by_class.values()) == getattr(total, kind)
    for image in got.images:
        assert len(image.gained) == image.tally.gained and len(image.false_alarms) == image.tally.false_alarms
    assert [i.tally.net for i in got.images] == sorted((i.tally.net for i in got.images), reverse=True)
    # No threshold does better.
    with ResultStore(tmp_path / "results.sqlite") as store:
        record = store.last_run()
        found = [row.detections[DETECTOR.fingerprint] for row in store.rows(record, record.enhancers[0])]
    thresholds = [float(score) for each in found for score in each.scores]
    best = max(f1(compared(tmp_path, baseline="Better", threshold=t)[0].total) for t in thresholds)
    # On the 59 images that both have, while the threshold is chosen on Input's 60.
    assert f1(got.total, baseline=True) == pytest.approx(best, abs=0.02)


def f1(tally: Tally, *, baseline: bool = False) -> float:
    won = tally.lost if baseline else tally.gained
    alarms = tally.false_alarms_baseline if baseline else tally.false_alarms
    found = tally.kept + won
    objects = tally.kept + tally.gained + tally.lost + tally.missed
    return 2 * found / (found + alarms + objects)


def test_curves_are_the_metrics(folder: Path) -> None:
    with ResultStore(folder / "results.sqlite") as store:
        record = store.last_run()
        run = read_run_images(store, record)
        curves = read_each_matched(store, run, lambda one: precision_recall_curves(one, run, DETECTOR))
        results = {r.label: r for r in evaluate(store, record)}
    car = curves["Input"]["car"]
    assert (car.recall.tolist(), car.precision.tolist(), car.n_objects) == ([0.5, 1.0], [1.0, 1.0], 2)
    assert car.scores.tolist() == pytest.approx([0.9, 0.8])
    dog = curves["Input"]["dog"]
    assert (dog.recall.tolist(), dog.precision.tolist()) == ([0.5], [0.5])
    assert "person" not in curves["Input"]
    aps = {name: interval.value for name, interval in results["Better"].spread.classes["map"].items()}
    assert {c: v.ap for c, v in curves["Better"].items()} == pytest.approx(aps, abs=1e-12)


def test_nothing_to_compare_with(tmp_path: Path) -> None:
    make_run(tmp_path, make_images(3), {"Better": 0.5, "Other": 0.5})
    with pytest.raises(DataError, match="an enhancer `input`"):
        compared(tmp_path)
    assert [c.label for c in compared(tmp_path, baseline="Other")] == ["Better"]
