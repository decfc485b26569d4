"""Detections that are read and ranked some images at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks import stored_run
from duskbench.benchmarks.found import Found
from duskbench.benchmarks.metric_code import with_coco
from duskbench.benchmarks.metrics.voc_ap import VocAPMetric
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.rows import Detected
from duskbench.benchmarks.samples import sample_of
from duskbench.benchmarks.statistics import Sample
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.stored_run import EnhancerRows, read_enhancers, read_run_images
from tests.benchmarks import fabricate
from tests.benchmarks.fabricate import DETECTOR, make_images, make_run


def read_samples(
    folder: Path, at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Sample], EnhancerRows, int]:
    """The samples of a run with COCO's metrics, the last enhancer's rows, and in how many parts they were found."""
    monkeypatch.setattr(stored_run, "IMAGES_AT_A_TIME", at_a_time)
    with ResultStore(folder / "results.sqlite", reading=True) as store:
        run = read_run_images(store, with_coco(store.last_run()))
        enhancers = list(read_enhancers(store, run))
        n_parts = len(enhancers[-1].found[DETECTOR.fingerprint])
        samples = [sample_of(rows, run) for rows in enhancers]
    assert all(isinstance(sample, Sample) for sample in samples)
    return samples, enhancers[-1], n_parts  # type: ignore[return-value]


@pytest.mark.parametrize("rising", [True, False], ids=["in the order of ids", "in another order"])
def test_some_images_at_a_time_are_ranked_as_all_at_once(
    rising: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detect = fabricate.detect

    def detect_with_equal_scores(*given: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        boxes, scores, labels = detect(*given)  # type: ignore[arg-type]
        return boxes, np.round(scores, 1), labels

    monkeypatch.setattr(fabricate, "detect", detect_with_equal_scores)
    images = make_images(40)
    make_run(tmp_path, images if rising else images[20:] + images[:20][::-1], {"Input": 0.4, "Better": 0.9},
             failing={"Better": ["0003"]})  # fmt: skip
    whole, rows, one_part = read_samples(tmp_path, 1000, monkeypatch)
    parts, rows_in_parts, n_parts = read_samples(tmp_path, 7, monkeypatch)
    assert (one_part, n_parts) == (1, 6)
    # What was ranked is no longer held.
    assert not rows.found and not rows_in_parts.found
    for one, other in zip(whole, parts, strict=True):
        assert list(one.ranked) == ["map", "coco AP50:95", "coco AP50", "coco AP75"] == list(other.ranked)
        assert sum(len(each[0].tp) for each in one.ranked["map"].by_class.values()) > 40
        assert one.same_numbers(other)
        # What counts the same detections alike is held once.
        assert other.ranked["coco AP75"].by_class["car"][0] is other.ranked["coco AP50:95"].by_class["car"][5]
    monkeypatch.setattr(VocAPMetric, "by_image", False)
    at_once, rows_at_once, _ = read_samples(tmp_path, 7, monkeypatch)
    assert DETECTOR.fingerprint in rows_at_once.boxes and DETECTOR.fingerprint not in rows_in_parts.boxes
    assert all(one.same_numbers(other) for one, other in zip(whole, at_once, strict=True))


def test_boxes_of_the_protocols_classes_as_many_as_it_wants() -> None:
    box = np.array([[0, 0, 8, 8]], np.float32)
    found = Found.of(
        {
            5: Detected(box.repeat(2, 0), np.array([0.5, 0.25], np.float32), np.array([1, 0])),
            2: Detected(box.repeat(3, 0), np.array([0.75, 0.5, 0.125], np.float32), np.array([0, 2, 1])),
            3: Detected(),
        }
    )
    assert found.images.tolist() == [2, 3, 5] and found.labels.dtype == np.int16
    boxes = found.boxes(("dog", "tree", "car"), Protocol(classes=("car", "dog"), max_detections=2))
    assert (boxes.images.tolist(), boxes.labels.tolist(), boxes.ordinals.tolist()) == ([2, 2, 5], [1, 0, 1], [0, 1, 1])
    assert boxes.scores.tolist() == [0.75, 0.5, 0.25] and boxes.boxes_xyxy.dtype == np.float64
    assert [(number, len(one.scores)) for number, one in found.each()] == [(2, 3), (3, 0), (5, 2)]
    assert len(Found.of({}).boxes(("car",), Protocol(classes=("car",))).labels) == 0
