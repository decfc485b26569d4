"""Resampled AP against AP of images that are really there several times."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duskbench.benchmarks import resampling
from duskbench.benchmarks.metrics.base import Mode
from duskbench.benchmarks.metrics.voc_ap import average_precision, precision_recall, voc_ap
from duskbench.benchmarks.resampling import draw_weights, in_blocks, resampled_ap, resampled_mean


def test_weights_are_counts_of_the_draws() -> None:
    weights = draw_weights(4, 3, seed=7)
    drawn = np.random.default_rng(7).integers(0, 4, (3, 4))
    expected = [[1, 1, 1, 1], *([int((row == image).sum()) for image in range(4)] for row in drawn)]
    assert weights.T.tolist() == expected
    assert draw_weights(4, 0, seed=7).tolist() == [[1], [1], [1], [1]]
    assert draw_weights(0, 2, seed=7).shape == (0, 3)


@pytest.mark.parametrize("at_a_time", [1, 7 * 40, 1 << 20])
def test_draws_do_not_depend_on_how_many_are_made_at_a_time(at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "_DRAWS_AT_A_TIME", at_a_time)
    drawn = np.random.default_rng(5).integers(0, 40, (30, 40))
    expected = np.stack([np.bincount(row, minlength=40) for row in drawn], axis=1)
    assert np.array_equal(draw_weights(40, 30, seed=5)[:, 1:], expected)


@pytest.mark.parametrize("mode", ["11point", "area", "101point"])
def test_blocks_of_resamples_give_the_same_bits(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    images, tp = rng.integers(0, 30, 200), rng.random(200) < 0.4
    objects, values = np.bincount(images[tp], minlength=30) + 1, rng.normal(4, 1, 30)
    weights, counted = draw_weights(30, 100, seed=1), rng.random(30) < 0.8
    monkeypatch.setattr(resampling, "_BYTES_AT_A_TIME", 500)
    blocks = list(in_blocks(weights))
    # The least width is two: a sum over one column alone may be taken in another order.
    assert len(blocks) == 13 and min(block.shape[1] for _, block in blocks) >= 2
    assert np.array_equal(np.concatenate([block for _, block in blocks], axis=1), weights)
    aps = np.concatenate([resampled_ap(images, tp, objects, block, mode) for _, block in blocks])
    means = np.concatenate([resampled_mean(values, counted, block) for _, block in blocks])
    assert aps.tolist() == resampled_ap(images, tp, objects, weights, mode).tolist()
    assert means.tolist() == resampled_mean(values, counted, weights).tolist()


def coco_average(recall: np.ndarray, precision: np.ndarray) -> float:
    """As pycocotools' `accumulate` has it: the envelope, read at 101 recalls by searchsorted."""
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, np.linspace(0.0, 1.0, 101), side="left")
    return float(np.mean([envelope[i] if i < len(envelope) else 0.0 for i in at]))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_equals_the_metric_with_weights(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(1, 40)), int(rng.integers(0, 120))
    images, tp = rng.integers(0, n, d), rng.random(d) < rng.random()
    objects = np.bincount(images[tp], minlength=n) + rng.integers(0, 2, n)
    weights = draw_weights(n, 20, seed)
    modes: tuple[Mode, ...] = ("11point", "area", "101point")
    got = {mode: resampled_ap(images, tp, objects, weights, mode) for mode in modes}
    for column in range(21):
        drawn, n_gt = weights[images, column].astype(float), float(objects @ weights[:, column])
        for mode in modes:
            if n_gt == 0:
                assert np.isnan(got[mode][column])
                continue
            recall, precision = precision_recall(drawn * tp, drawn * ~tp, n_gt)
            expected = float(average_precision(recall, precision, mode))
            assert got[mode][column] == pytest.approx(expected, abs=1e-12)
            if mode == "101point":
                assert expected == coco_average(recall, precision)


@pytest.mark.parametrize("mode", ["11point", "area"])
def test_equals_the_metric_on_images_that_are_really_copied(mode: Mode) -> None:
    rng = np.random.default_rng(5)
    n = 25
    gt_image = np.repeat(np.arange(n), rng.integers(0, 4, n))
    corner = rng.random((len(gt_image), 2)) * 100
    gt_box = np.hstack([corner, corner + 30])
    difficult = rng.random(len(gt_image)) < 0.2
    source = rng.integers(0, len(gt_image), 150)
    det_box, det_image = gt_box[source] + rng.normal(0, 6, (150, 4)), gt_image[source]
    scores = rng.permutation(150) / 150

    def ap(images: np.ndarray) -> tuple[float | None, object]:
        """AP when `images` (with repeats) are the data set: every copy is an image of its own."""
        gt = [np.flatnonzero(gt_image == image) for image in images]
        det = [np.flatnonzero(det_image == image) for image in images]
        gt_rows, det_rows = np.concatenate(gt), np.concatenate(det)
        copies = np.arange(len(images))
        result = voc_ap(
            gt_box[gt_rows], np.zeros(len(gt_rows), int), np.repeat(copies, [len(g) for g in gt]), difficult[gt_rows],
            det_box[det_rows], scores[det_rows], np.zeros(len(det_rows), int), np.repeat(copies, [len(d) for d in det]),
            1, mode=mode,
        )  # fmt: skip
        return result.ap[0], result.matches

    value, matches = ap(np.arange(n))
    assert value is not None and 0.1 < value < 0.9
    whole = np.concatenate([np.flatnonzero(det_image == image) for image in range(n)])
    ranked = matches.ranked[0]  # type: ignore[attr-defined]
    counted = ranked[(matches.tp | matches.fp)[ranked]]  # type: ignore[attr-defined]
    objects = np.bincount(gt_image[~difficult], minlength=n)
    weights = draw_weights(n, 40, seed=11)
    got = resampled_ap(det_image[whole][counted], matches.tp[counted], objects, weights, mode)  # type: ignore[attr-defined]
    expected = [value, *(ap(row)[0] for row in np.random.default_rng(11).integers(0, n, (40, n)))]
    assert got.tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_alarms", [200, 300, 70_001], ids=["16 bits", "32 bits", "above float32"])
def test_many_false_alarms_are_counted_exactly(n_alarms: int) -> None:
    # An object found last, after so many alarms: the AP is the precision there at every recall.
    images = np.append(np.zeros(n_alarms, np.int32), 1)
    weights = np.array([[1, 255], [1, 1]], np.uint8)
    got = resampled_ap(images, images == 1, np.array([0, 1]), weights, "11point")
    assert got.tolist() == pytest.approx([1 / (n_alarms + 1), 1 / (255 * n_alarms + 1)], rel=1e-12)


def test_recall_reaches_its_thresholds_as_floats_do() -> None:
    # 3 of 10 is 0.3, and the reference's threshold 0.1 + 0.2 is above that: only 0, 0.1 and 0.2 are reached.
    objects = np.ones(10, int)
    images, tp = np.array([0, 1, 2]), np.ones(3, bool)
    once = np.ones((10, 1), np.float32)
    assert resampled_ap(images, tp, objects, once, "11point")[0] == pytest.approx(3 / 11)


def test_no_detection_is_zero_and_no_object_is_nothing() -> None:
    weights = np.array([[1, 0], [1, 2]], np.float32)
    none = np.zeros(0, int)
    got = resampled_ap(none, none.astype(bool), np.array([1, 0]), weights, "11point")
    assert got[0] == 0 and np.isnan(got[1])


def test_mean_over_what_counts() -> None:
    weights = np.array([[1, 2, 0], [1, 0, 0], [1, 1, 3]], np.float32)
    got = resampled_mean(np.array([4.0, 6.0, np.nan]), np.array([True, True, False]), weights)
    assert got[:2].tolist() == [5.0, 4.0] and np.isnan(got[2])
