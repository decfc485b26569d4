from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duskbench.benchmarks.metrics import boxes as boxes_module
from duskbench.benchmarks.metrics.voc_ap import (
    RECALL_THRESHOLDS,
    VocAP,
    average_precision,
    match,
    precision_recall,
    voc_ap,
)
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.pipeline.mmcv_ops import provide_mmcv_ops

Arrays = tuple[np.ndarray, ...]


def arrays(gt: list[tuple[Any, ...]], det: list[tuple[Any, ...]]) -> Arrays:
    """From rows (image, label, difficult, box) and (image, label, score, box)."""
    gt_box = np.array([row[3] for row in gt], float).reshape(-1, 4)
    det_box = np.array([row[3] for row in det], float).reshape(-1, 4)
    image, label, difficult = (np.array([row[i] for row in gt], int) for i in range(3))
    det_image, det_label = (np.array([row[i] for row in det], int) for i in range(2))
    scores = np.array([row[2] for row in det], float)
    return gt_box, label, image, difficult, det_box, scores, det_label, det_image


def random_set(seed: int, n_images: int = 12, n_classes: int = 3, n_gt: int = 60, n_det: int = 150) -> Arrays:
    """Crowded boxes on a grid of half pixels: many overlaps, exact duplicates, unique scores."""
    rng = np.random.default_rng(seed)

    def boxes(n: int) -> np.ndarray:
        corner = rng.integers(0, 20, (n, 2)) / 2
        return np.hstack([corner, corner + rng.integers(6, 30, (n, 2)) / 2])

    return (
        boxes(n_gt), rng.integers(0, n_classes, n_gt), rng.integers(0, n_images, n_gt), rng.random(n_gt) < 0.2,
        boxes(n_det), rng.permutation(n_det) / 256, rng.integers(0, n_classes, n_det), rng.integers(0, n_images, n_det),
    )  # fmt: skip


A, B, FAR = (0, 0, 10, 10), (20, 0, 30, 10), (50, 50, 60, 60)
HALF = (0, 0, 10, 5)  # IoU exactly 0.5 with A


@pytest.mark.parametrize(
    ("gt", "det", "tp", "fp", "ap11", "area"),
    [
        ([(0, 0, 0, A)], [(0, 0, 0.9, A)], [1], [0], 1.0, 1.0),
        ([(0, 0, 0, A)], [], [], [], 0.0, 0.0),
        ([(0, 0, 0, A)], [(1, 0, 0.9, A)], [0], [1], 0.0, 0.0),  # another image
        ([(0, 0, 0, A)], [(0, 0, 0.9, A), (0, 0, 0.8, A)], [1, 0], [0, 1], 1.0, 1.0),  # each object once
        ([(0, 0, 0, A)], [(0, 0, 0.8, A), (0, 0, 0.9, A)], [0, 1], [1, 0], 1.0, 1.0),  # the surer one gets it
        ([(0, 0, 0, A)], [(0, 0, 0.9, FAR), (0, 0, 0.8, A)], [0, 1], [1, 0], 0.5, 0.5),
        ([(0, 0, 0, A), (0, 0, 0, B)], [(0, 0, 0.9, A)], [1], [0], 6 / 11, 0.5),
        ([(0, 0, 0, A), (0, 0, 1, B)], [(0, 0, 0.9, B), (0, 0, 0.8, B), (0, 0, 0.7, A)], [0, 0, 1], [0, 0, 0], 1, 1),
        # Prefers the taken object, so it is wrong, although it overlaps the free one by 0.6 as well.
        (
            [(0, 0, 0, (0, 0, 10, 10)), (0, 0, 0, (0, 4, 10, 14))],
            [(0, 0, 0.9, (0, 0, 10, 10)), (0, 0, 0.8, (0, 1, 10, 11))],
            [1, 0], [0, 1], 6 / 11, 0.5,
        ),
        # A best match that is difficult is ignored, although an ordinary object is matched well enough, too.
        ([(0, 0, 0, (0, 0, 10, 10)), (0, 0, 1, (0, 2, 10, 12))], [(0, 0, 0.9, (0, 2, 10, 12))], [0], [0], 0.0, 0.0),
    ],
)  # fmt: skip
def test_literal_cases(gt: list[Any], det: list[Any], tp: list[int], fp: list[int], ap11: float, area: float) -> None:
    data = arrays(gt, det)
    result = voc_ap(*data, n_classes=1)
    assert result.matches.tp.tolist() == [bool(x) for x in tp]
    assert result.matches.fp.tolist() == [bool(x) for x in fp]
    assert result.ap[0] == pytest.approx(ap11, abs=1e-15)
    assert voc_ap(*data, n_classes=1, mode="area").ap[0] == pytest.approx(area, abs=1e-15)


@pytest.mark.parametrize(
    ("box", "strict", "plus_one", "matched"),
    [
        (HALF, True, False, False),
        (HALF, False, False, True),
        (HALF, True, True, True),  # 66 / 121 with + 1
        ((0, 0, 10, 4.5), True, True, False),  # 60.5 / 121
        ((0, 0, 10, 4.5), False, True, True),
        ((0, 0, 10, 4.5), False, False, False),
    ],
)
def test_threshold_and_widths(box: tuple[float, ...], strict: bool, plus_one: bool, matched: bool) -> None:
    data = arrays([(0, 0, 0, A)], [(0, 0, 0.9, box)])
    assert voc_ap(*data, n_classes=1, strict=strict, plus_one=plus_one).ap == (float(matched),)


def test_a_class_without_objects_has_no_value() -> None:
    data = arrays([(0, 0, 0, A), (0, 1, 1, A)], [(0, 0, 0.9, A), (0, 1, 0.9, A), (0, 2, 0.9, A)])
    result = voc_ap(*data, n_classes=4)
    assert result.ap == (1.0, None, None, None)
    assert result.n_gt == (1, 0, 0, 0)
    assert result.n_det == (1, 1, 1, 0)
    assert result.mean() == 1.0
    assert result.mean([1, 2]) is None
    # Class 1 has a difficult object only, class 2 none: the first detection is ignored, the second is wrong.
    assert result.matches.fp.tolist() == [False, False, True]


def test_nothing_at_all() -> None:
    empty = np.zeros(0)
    result = voc_ap(empty, empty, empty, empty, empty, empty, empty, empty, n_classes=2)
    assert result.ap == (None, None)
    assert result.mean() is None


def test_equal_scores_are_ranked_by_image_then_by_position() -> None:
    det = [(1, 0, 0.5, FAR), (0, 0, 0.5, FAR), (0, 0, 0.5, A), (2, 0, 0.7, A)]
    result = voc_ap(*arrays([(0, 0, 0, A)], det), n_classes=1)
    assert result.matches.ranked[0].tolist() == [3, 1, 2, 0]


def test_recall_of_three_tenths_lies_below_the_reference_threshold() -> None:
    assert RECALL_THRESHOLDS["11point"][3] > 3 / 10
    gt = [(i, 0, 0, A) for i in range(10)]
    det = [(i, 0, 1 - i / 10, A) for i in range(3)]
    assert voc_ap(*arrays(gt, det), n_classes=1).ap[0] == pytest.approx(3 / 11)


PROTOCOLS = {
    "voc_eval_plus1_gt": {"strict": True, "plus_one": True},
    "mmdet_plus1_ge": {"strict": False, "plus_one": True},
    "mmdet_plain_ge": {"strict": False, "plus_one": False},
}


def read_golden(path: Path) -> tuple[dict[str, Any], Arrays]:
    data = json.loads(path.read_text())
    image = {name: i for i, name in enumerate(data["images"])}
    label = {name: i for i, name in enumerate(data["classes"])}
    gt = [(image[r["image"]], label[r["class"]], r["difficult"], r["bbox"]) for r in data["ground_truth"]]
    det = [(image[r["image"]], label[r["class"]], r["score"], r["bbox"]) for r in data["detections"]]
    return data, arrays(gt, det)


def in_mmdet_arithmetic(result: VocAP, label: int, mode: str) -> float | None:
    """AP of our matches, rounded where mmdet's `mean_ap.py` rounds: precision and AP are float32 there."""
    if result.n_gt[label] == 0:
        return None
    ranked = result.matches.ranked[label]
    tp = np.cumsum(result.matches.tp[ranked].astype(np.float32))
    fp = np.cumsum(result.matches.fp[ranked].astype(np.float32))
    recall = tp / np.float64(result.n_gt[label])
    precision = tp / np.maximum(tp + fp, np.finfo(np.float32).eps)
    ap = np.zeros(1, np.float32)
    if mode == "11point":
        for threshold in np.arange(0, 1 + 1e-3, 0.1):
            ap[0] += precision[recall >= threshold].max(initial=0)
        ap /= 11
    else:
        recall, precision = np.hstack([0, recall, 1]), np.hstack([0, precision, 0])
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        steps = np.flatnonzero(recall[1:] != recall[:-1])
        ap[0] = np.sum((recall[steps + 1] - recall[steps]) * precision[steps + 1])
    return float(ap[0])


@pytest.mark.parametrize("mode", ["11point", "area"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_voc_eval_and_mmdet(shared: Path, seed: int, protocol: str, mode: Any) -> None:
    data, boxes = read_golden(shared / "golden" / "voc_ap" / f"set_seed{seed}.json")
    expected = data["expected"][protocol]
    key = {"11point": "AP11", "area": "AP_area"}[mode]
    result = voc_ap(*boxes, n_classes=len(data["classes"]), mode=mode, **PROTOCOLS[protocol])
    # mmdet's own figures carry its float32 rounding; done in its arithmetic, ours are its figures.
    exact = protocol == "voc_eval_plus1_gt"
    for label, name in enumerate(data["classes"]):
        assert result.ap[label] == pytest.approx(expected[key][name], abs=1e-9 if exact else 1e-7)
        if not exact:
            assert in_mmdet_arithmetic(result, label, mode) == pytest.approx(expected[key][name], abs=1e-9)
    counted = [label for label, name in enumerate(data["classes"]) if name not in data["excluded_from_mean"]]
    assert result.mean(counted) == pytest.approx(expected[f"mean_{key}_without_Cup"], abs=1e-9 if exact else 1e-7)


@pytest.mark.parametrize("mode", ["11point", "area"])
@pytest.mark.parametrize("threshold", ["0.1", "0.3", "0.5", "0.75"])
def test_equals_padilla(shared: Path, threshold: str, mode: Any) -> None:
    data, boxes = read_golden(shared / "golden" / "voc_ap" / "padilla_test_case_1.json")
    expected = data["expected"][{"11point": "AP11", "area": "AP_area"}[mode]][threshold]
    result = voc_ap(*boxes, n_classes=1, mode=mode, iou_threshold=float(threshold), plus_one=True)
    assert result.ap[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("plus_one", [False, True])
def test_equals_mmdet_on_random_sets(plus_one: bool) -> None:
    provide_mmcv_ops()
    from mmdet.evaluation.functional import eval_map

    for seed in range(3):
        data = random_set(seed)
        gt_box, gt_label, gt_image, difficult, det_box, score, det_label, det_image = data
        found = [
            [np.hstack([det_box, score[:, None]])[(det_image == i) & (det_label == c)] for c in range(3)]
            for i in range(12)
        ]
        truth = [
            {
                "bboxes": gt_box[here & ~difficult], "labels": gt_label[here & ~difficult],
                "bboxes_ignore": gt_box[here & difficult], "labels_ignore": gt_label[here & difficult],
            }
            for here in (gt_image == i for i in range(12))
        ]  # fmt: skip
        for mode, name in (("11point", "11points"), ("area", "area")):
            _, theirs = eval_map(
                found, truth, iou_thr=0.5, eval_mode=name, use_legacy_coordinate=plus_one, logger="silent", nproc=1
            )
            # Of equal overlaps mmdet prefers the object that is not difficult, because it lists those first.
            first = np.argsort(difficult, kind="stable")
            ours = voc_ap(*(column[first] for column in data[:4]), *data[4:], 3, mode=mode, plus_one=plus_one)
            assert ours.ap == pytest.approx([float(t["ap"]) for t in theirs], abs=1e-6)


def voc_eval(gt: Arrays, det: Arrays, label: int) -> float:
    """The devkit's rules for one class, detection after detection: IoU > 0.5, widths + 1, area."""
    gt_box, gt_label, gt_image, difficult = gt
    det_box, score, det_label, det_image = det
    taken: set[int] = set()
    tp, fp = [], []
    rows = [i for i in range(len(score)) if det_label[i] == label]
    for i in sorted(rows, key=lambda i: (-score[i], det_image[i], i)):
        best, best_gt = 0.0, -1
        for j in range(len(gt_box)):
            if gt_label[j] == label and gt_image[j] == det_image[i]:
                a, b = det_box[i], gt_box[j]
                w, h = (max(0.0, min(a[k + 2], b[k + 2]) - max(a[k], b[k]) + 1) for k in (0, 1))
                areas = ((x[2] - x[0] + 1) * (x[3] - x[1] + 1) for x in (a, b))
                iou = w * h / (sum(areas) - w * h)
                if iou > best:
                    best, best_gt = iou, j
        hit = best > 0.5
        if hit and difficult[best_gt]:
            continue
        tp.append(hit and best_gt not in taken)
        fp.append(not tp[-1])
        if hit:
            taken.add(best_gt)
    n = int(np.sum((gt_label == label) & ~difficult))
    recall = np.cumsum(tp) / n
    precision = np.cumsum(tp) / np.arange(1, len(tp) + 1)
    best_after = [precision[i:].max() for i in range(len(tp))]
    return float(sum((r - q) * p for r, q, p in zip(recall, [0, *recall], best_after, strict=False)))


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_equals_a_plain_loop(seed: int) -> None:
    data = random_set(seed, n_images=4, n_gt=25, n_det=40)
    result = voc_ap(*data, n_classes=3, mode="area", strict=True, plus_one=True)
    for label, ap in enumerate(result.ap):
        if ap is not None:
            assert ap == pytest.approx(voc_eval(data[:4], data[4:], label), abs=1e-12)


@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_neither_order_nor_numbering_nor_scale_of_scores_matters(seed: int, random: Any) -> None:
    data = random_set(seed)
    expected = voc_ap(*data, n_classes=3).ap
    gt_order, det_order = (np.array(random.sample(range(len(data[i])), len(data[i]))) for i in (0, 4))
    # Equally overlapping objects are taken in the order given: keep that order within the ground truth of an image.
    gt_order = np.sort(gt_order)[np.argsort(np.array(random.sample(range(12), 12))[data[2]], kind="stable")]
    shuffled = [*(column[gt_order] for column in data[:4]), *(column[det_order] for column in data[4:])]
    assert voc_ap(*shuffled, n_classes=3).ap == expected
    number = np.array(random.sample(range(1000), 12))
    renumbered = [*data[:2], number[data[2]], *data[3:7], number[data[7]]]
    assert voc_ap(*renumbered, n_classes=3).ap == expected
    monotone = [*data[:5], np.exp(3 * data[5]) - 7, *data[6:]]
    assert voc_ap(*monotone, n_classes=3).ap == expected


def test_few_pairs_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = random_set(7)
    expected = match(*data, n_classes=3)
    for pairs in (1, 10):
        monkeypatch.setattr(boxes_module, "_PAIRS_AT_A_TIME", pairs)
        got = match(*data, n_classes=3)
        np.testing.assert_array_equal(got.gt_index, expected.gt_index)
        np.testing.assert_array_equal(got.tp, expected.tp)


@pytest.mark.parametrize("mode", ["11point", "area"])
def test_weights_are_repeated_images(mode: Any) -> None:
    """Resampling from one matching equals scoring a data set in which an image stands as often as it was drawn."""
    data = random_set(3, n_classes=1)
    gt_box, gt_label, gt_image, difficult, det_box, score, det_label, det_image = data
    matches = match(*data, n_classes=1)
    ranked = matches.ranked[0]
    rng = np.random.default_rng(0)
    weights = rng.multinomial(12, np.full(12, 1 / 12), size=5)
    n_gt = weights[:, gt_image[~difficult]].sum(axis=1)
    weight = weights[:, det_image[ranked]]
    fast = average_precision(*precision_recall(matches.tp[ranked] * weight, matches.fp[ranked] * weight, n_gt), mode)
    for row, ap in zip(weights, fast, strict=True):
        copies = [(i, 12 * copy + i) for i in range(12) for copy in range(row[i])]
        gt_rows = np.concatenate([np.flatnonzero(gt_image == i) for i, _ in copies])
        det_rows = np.concatenate([np.flatnonzero(det_image == i) for i, _ in copies])
        gt_new = np.concatenate([np.full((gt_image == i).sum(), new) for i, new in copies])
        det_new = np.concatenate([np.full((det_image == i).sum(), new) for i, new in copies])
        # Copies of a detection tie, but they have the same fate, so their order changes nothing.
        slow = voc_ap(
            gt_box[gt_rows], gt_label[gt_rows], gt_new, difficult[gt_rows],
            det_box[det_rows], score[det_rows], det_label[det_rows], det_new, 1, mode=mode,
        )  # fmt: skip
        assert ap == pytest.approx(slow.ap[0], abs=1e-12)


def test_no_detections_give_zero_in_every_mode() -> None:
    for mode in ("11point", "area", "101point"):
        assert average_precision(np.zeros(0), np.zeros(0), mode) == 0.0
        assert average_precision(np.zeros((3, 0)), np.zeros((3, 0)), mode).tolist() == [0.0] * 3


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({4: np.zeros((150, 5))}, DataError, "boxes are not usable"),
        ({4: np.full((150, 4), np.nan)}, DataError, "NaN or infinite"),
        ({5: np.full(150, np.nan)}, DataError, "NaN or infinite"),
        ({5: np.zeros(3)}, DataError, "length of det_scores"),
        ({6: np.full(150, 3)}, DataError, "names no class"),
        ({6: np.full(150, 0.9)}, DataError, "Fractions in labels(.|\n)*got: 0.9"),
        ({2: np.full(60, 0.5)}, DataError, "Fractions in images"),
        ({3: np.full(60, 0.5)}, DataError, "Fractions in gt_difficult"),
        ({1: np.full(60, -1)}, DataError, "names no class"),
        ({3: np.zeros(59)}, DataError, "length of gt_difficult"),
    ],
)
def test_unusable_arrays_are_errors(change: dict[int, np.ndarray], error: type[Exception], message: str) -> None:
    data = [change.get(i, column) for i, column in enumerate(random_set(0))]
    with pytest.raises(error, match=message):
        voc_ap(*data, n_classes=3)


def test_unknown_rules_are_errors() -> None:
    data = random_set(0)
    with pytest.raises(ConfigError, match="11point"):
        voc_ap(*data, n_classes=3, mode="11points")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="threshold"):
        voc_ap(*data, n_classes=3, iou_threshold=50)
