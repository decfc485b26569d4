"""AP of all classes in one list: what it is of known rankings, and that its differences are of the same draws."""

from __future__ import annotations

import numpy as np
import pytest

from duskbench.benchmarks.metrics.voc_ap import voc_ap
from duskbench.benchmarks.studies.pooled_ap import Pooled, pooled_aps
from duskbench.data_tools.errors import DataError

THERE = np.ones(4, bool)


def pooled(images: list[int], tp: list[bool], n_gt: list[int], mask: np.ndarray = THERE) -> Pooled:
    return Pooled(mask, np.array(n_gt), np.array(images), np.array(tp))


def test_it_is_the_area_of_one_curve_over_all_detections() -> None:
    """Four objects; hits at ranks 1, 3 and 4: precisions 1, 3/4 and 3/4 under the envelope, one recall lost."""
    one = pooled([0, 1, 2, 3], [True, False, True, True], [1, 1, 1, 1])
    assert pooled_aps({"Input": one}, "Input")["Input"] == (
        pytest.approx(100 * (1 + 0.75 + 0.75) / 4),
        None,
        None,
        None,
    )


def test_of_one_class_it_is_the_ap_of_that_class() -> None:
    draw = np.random.default_rng(0)
    corner = draw.uniform(0, 50, (60, 2))
    boxes = np.hstack([corner, corner + 20])
    images, zeros = np.repeat(np.arange(4), 15), np.zeros(60, int)
    found = boxes + draw.normal(0, 4, boxes.shape)
    result = voc_ap(boxes, zeros, images, zeros, found, draw.random(60), zeros, images, n_classes=1, mode="area")
    matches = result.matches
    one = Pooled(THERE, np.bincount(images), images[matches.order], matches.tp[matches.order])
    assert pooled_aps({"Input": one}, "Input")["Input"].value == pytest.approx(100 * result.ap[0])


def test_differences_are_of_the_images_that_both_have_and_of_the_same_draws() -> None:
    base = pooled([0, 1, 2, 3], [True, False, True, True], [1, 1, 1, 1])
    same = pooled_aps({"Input": base, "same": base}, "Input")["same"]
    assert same[1:] == (0, 0, 0)
    without_the_last = pooled([0, 1, 2], [True, True, True], [1, 1, 1, 0], np.array([1, 1, 1, 0], bool))
    better = pooled_aps({"Input": base, "better": without_the_last}, "Input")["better"]
    assert better.value == 100
    assert better.difference == pytest.approx(100 - 100 * (1 + 2 / 3) / 3)
    assert better.low is not None
    assert better.high is not None
    assert 0 <= better.low <= better.difference <= better.high <= 100


def test_a_run_without_the_baseline_or_objects_is_refused() -> None:
    nothing = pooled([], [], [0, 0, 0, 0])
    with pytest.raises(DataError, match="pooled"):
        pooled_aps({"Input": nothing}, "Input")
    with pytest.raises(DataError, match="pooled"):
        pooled_aps({}, "Input")
