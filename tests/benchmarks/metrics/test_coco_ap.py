from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from duskbench.benchmarks.breakdown import in_range
from duskbench.benchmarks.metrics import boxes as boxes_module
from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.benchmarks.metrics.coco_ap import CocoAP, coco_ap, rank
from duskbench.data_tools.errors import DataError

A, B, FAR = (0, 0, 10, 10), (20, 0, 30, 10), (50, 50, 60, 60)
OVERLAP_062, OVERLAP_072 = (0, 0, 10, 6.2), (0, 0, 10, 7.2)


def score(gt: list[tuple[Any, ...]], det: list[tuple[Any, ...]], n_classes: int = 1) -> CocoAP:
    """From rows (image, label, difficult, box) and (image, label, score, box)."""
    return coco_ap(
        np.array([row[3] for row in gt], float).reshape(-1, 4),
        *(np.array([row[i] for row in gt], int) for i in (1, 0, 2)),
        np.array([row[3] for row in det], float).reshape(-1, 4),
        np.array([row[2] for row in det], float),
        *(np.array([row[i] for row in det], int) for i in (1, 0)),
        n_classes,
    )


@pytest.mark.parametrize(
    ("gt", "det", "ap", "ap50", "ap75"),
    [
        ([(0, 0, 0, A)], [(0, 0, 0.9, A)], 1, 1, 1),
        ([(0, 0, 0, A)], [], 0, 0, 0),
        ([(0, 0, 0, A)], [(5, 0, 0.9, A)], 0, 0, 0),
        ([(0, 0, 0, A)], [(0, 0, 0.9, OVERLAP_062)], 0.3, 1, 0),  # 0.50, 0.55 and 0.60 of ten thresholds
        ([(0, 0, 0, A)], [(0, 0, 0.9, OVERLAP_072)], 0.5, 1, 0),
        ([(0, 0, 0, A), (0, 0, 0, B)], [(0, 0, 0.9, A)], 51 / 101, 51 / 101, 51 / 101),
        ([(0, 0, 0, A)], [(0, 0, 0.9, FAR), (0, 0, 0.8, A)], 0.5, 0.5, 0.5),
        ([(0, 0, 0, A), (0, 0, 1, B)], [(0, 0, 0.9, B), (0, 0, 0.8, B), (0, 0, 0.7, A)], 1, 1, 1),
        ([(0, 0, 1, A)], [(0, 0, 0.9, A)], None, None, None),
        ([], [], None, None, None),
    ],
)
def test_literal_cases(gt: list[Any], det: list[Any], ap: float | None, ap50: float | None, ap75: float | None) -> None:
    result = score(gt, det)
    assert (result.ap, result.ap50, result.ap75) == pytest.approx((ap, ap50, ap75))
    assert result.per_class == pytest.approx((ap,))


def test_classes_are_scored_apart_and_one_without_objects_has_no_value() -> None:
    result = score([(0, 0, 0, A), (0, 1, 0, B)], [(0, 0, 0.9, A), (0, 1, 0.8, A), (0, 2, 0.7, A)], n_classes=3)
    assert result.per_class == pytest.approx((1.0, 0.0, None))
    assert result.ap == pytest.approx(0.5)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    score([(0, 0, 0, A)], [(0, 0, 0.9, A)])
    assert capfd.readouterr() == ("", "")


def test_unusable_arrays_are_errors() -> None:
    one, none = np.zeros(1, int), np.zeros(0)
    with pytest.raises(DataError, match="does not fit the boxes"):
        coco_ap(np.zeros((2, 4)), one, one, one, none, none, none, none, 1)
    with pytest.raises(DataError, match="names no class"):
        coco_ap(np.zeros((1, 4)), one + 1, one, one, none, none, none, none, 1)


def indexed(boxes: Boxes, n_classes: int, n_images: int, **extra: Any) -> Any:
    from pycocotools.coco import COCO

    corners = boxes.boxes_xyxy
    xywh = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).tolist()
    ((name, values),) = extra.items()
    columns = zip(xywh, boxes.labels.tolist(), boxes.images.tolist(), values.tolist(), strict=True)
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image} for image in range(n_images)],
        "categories": [{"id": label} for label in range(n_classes)],
        # From 1: pycocotools takes a match with object 0 for none.
        "annotations": [
            {"id": i, "bbox": b, "area": b[2] * b[3], "category_id": c, "image_id": image, "iscrowd": 0, name: value}
            for i, (b, c, image, value) in enumerate(columns, start=1)
        ],
    }
    coco.createIndex()
    return coco


def pycocotools(
    truth: Boxes, found: Boxes, n_classes: int, areas: tuple[float, float] = (0, 1e10)
) -> tuple[np.ndarray, list[tuple[set[int], set[int]]]]:
    """(thresholds, classes) AP, -1 where there is none; at each overlap the detections that are hits and that count."""
    from pycocotools.cocoeval import COCOeval

    n_images = int(max(truth.images.max(initial=0), found.images.max(initial=0))) + 1
    gt = indexed(truth, n_classes, n_images, iscrowd=truth.difficult.astype(int))
    dt = indexed(found, n_classes, n_images, score=found.scores)
    evaluation = COCOeval(gt, dt, "bbox")
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [list(areas)], ["all"]
    evaluation.params.maxDets = [100]
    evaluation.evaluate()
    evaluation.accumulate()
    fates: list[tuple[set[int], set[int]]] = [(set(), set()) for _ in range(10)]
    for of_image in filter(None, evaluation.evalImgs):
        positions = np.array(of_image["dtIds"], int) - 1
        for (hits, counted), matched, ignored in zip(fates, of_image["dtMatches"], of_image["dtIgnore"], strict=True):
            counted.update(positions[~ignored].tolist())
            hits.update(positions[~ignored & (matched > 0)].tolist())
    return evaluation.eval["precision"][..., 0, 0].mean(axis=1), fates


def drawn(rng: np.random.Generator, n: int, n_images: int, n_classes: int, *, grid: float, crowds: float = 0) -> Boxes:
    """Boxes with corners on a grid and few different scores, so that overlaps and scores are often equal."""
    corner, size = rng.integers(0, 5, (n, 2)), rng.integers(1, 5, (n, 2))
    boxes = np.hstack([corner, corner + size]) * grid
    labels, images = rng.integers(0, n_classes, n), rng.integers(0, n_images, n)
    return Boxes(boxes, labels, images, rng.integers(1, 9, n) / 9, rng.random(n) < crowds, np.arange(n))


CASES: dict[str, dict[str, Any]] = {
    "few": {"gt": 12, "det": 40, "images": 3, "classes": 2, "grid": 10.0},
    "odd numbers": {"gt": 60, "det": 300, "images": 8, "classes": 3, "grid": 10 / 3},
    "crowds": {"gt": 60, "det": 300, "images": 8, "classes": 3, "grid": 7.3, "crowds": 0.4},
    "only crowds": {"gt": 20, "det": 100, "images": 4, "classes": 2, "grid": 8.0, "crowds": 1.0},
    "empty classes": {"gt": 5, "det": 6, "images": 20, "classes": 9, "grid": 8.0},
    "more than 100 of an image": {"gt": 40, "det": 700, "images": 2, "classes": 2, "grid": 9.1, "crowds": 0.2},
    "no detection": {"gt": 9, "det": 0, "images": 4, "classes": 2, "grid": 8.0},
    "no object": {"gt": 0, "det": 9, "images": 4, "classes": 2, "grid": 8.0},
    "larger than COCO's all": {"gt": 40, "det": 200, "images": 4, "classes": 2, "grid": 4e4, "crowds": 0.2},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_what_becomes_of_each_detection_is_what_pycocotools_says(case: str, seed: int) -> None:
    asked, rng = CASES[case], np.random.default_rng(seed)
    shape = {"n_images": asked["images"], "n_classes": asked["classes"], "grid": asked["grid"]}
    truth = drawn(rng, asked["gt"], **shape, crowds=asked.get("crowds", 0))
    found = drawn(rng, asked["det"], **shape)
    ap, fates = pycocotools(truth, found, asked["classes"])
    for rankings, (hits, counted) in zip(zip(*rank(truth, found, asked["classes"]), strict=True), fates, strict=True):
        positions = np.concatenate([ranking.positions for ranking in rankings])
        assert set(positions.tolist()) == counted
        assert set(positions[np.concatenate([ranking.tp for ranking in rankings])].tolist()) == hits
    ours = coco_ap(
        truth.boxes_xyxy, truth.labels, truth.images, truth.difficult,
        found.boxes_xyxy, found.scores, found.labels, found.images, asked["classes"],
    )  # fmt: skip
    known = ap[:, ap[0] > -1]
    theirs = [float(known.mean()), float(known[0].mean()), float(known[5].mean())] if known.size else [None] * 3
    assert [ours.ap, ours.ap50, ours.ap75] == pytest.approx(theirs, abs=1e-12)
    assert ours.per_class == pytest.approx([None if of[0] < 0 else of.mean() for of in ap.T], abs=1e-12)


@pytest.mark.parametrize("crowds", [0, 0.3])
@pytest.mark.parametrize("areas", [(0, 400), (401, 1600), (1601, 1e10)])
def test_objects_of_another_size_are_ignored_and_no_crowds(areas: tuple[float, float], crowds: float) -> None:
    # A small false alarm inside a large object of its class lies in it as a whole, and does not overlap it.
    rng = np.random.default_rng(0)
    shape = {"n_images": 8, "n_classes": 3, "grid": 14.0}
    truth, found = drawn(rng, 60, **shape, crowds=crowds), drawn(rng, 300, **shape)
    _, fates = pycocotools(truth, found, 3, areas)
    to_find = replace(truth, difficult=truth.difficult | ~in_range(truth, areas))
    inside = in_range(found, areas)
    for rankings, (hits, counted) in zip(zip(*rank(to_find, found, 3), strict=True), fates, strict=True):
        positions = np.concatenate([ranking.positions for ranking in rankings])
        tp = np.concatenate([ranking.tp for ranking in rankings])
        assert set(positions[tp | inside[positions]].tolist()) == counted
        assert set(positions[tp].tolist()) == hits


def test_pairs_a_few_at_a_time_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    truth, found = (drawn(rng, n, n_images=8, n_classes=3, grid=7.0, crowds=0.2) for n in (60, 300))
    whole = rank(truth, found, 3)
    monkeypatch.setattr(boxes_module, "_PAIRS_AT_A_TIME", 7)
    for one, other in zip(rank(truth, found, 3), whole, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a.positions, b.positions)  # type: ignore[arg-type]
            np.testing.assert_array_equal(a.tp, b.tp)
