from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from duskbench.benchmarks.metrics.coco_ap import CocoAP, coco_ap
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
    with pytest.raises(DataError, match="lengths differ"):
        coco_ap(np.zeros((2, 4)), one, one, one, none, none, none, none, 1)
    with pytest.raises(DataError, match="names no class"):
        coco_ap(np.zeros((1, 4)), one + 1, one, one, none, none, none, none, 1)
