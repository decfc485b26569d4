from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duskbench.benchmarks.report.charts import (
    CURVE_UNITS,
    ends,
    linear_scale,
    path_of,
    spread_labels,
    thin_curve,
    whisker,
)
from duskbench.benchmarks.statistics import Interval


@pytest.mark.parametrize(
    ("values", "options", "texts"),
    [
        ([0.0, 1.0], {"factor": 100}, ["0", "20", "40", "60", "80", "100"]),
        ([6.2, 12.3], {}, ["6", "8", "10", "12", "14"]),
        ([-0.152, 0.118], {"zero": True, "factor": 100, "marks": 4}, ["−20", "−10", "0", "10", "20"]),
        ([0.3, 0.5], {"zero": True, "factor": 100}, ["0", "10", "20", "30", "40", "50"]),
        ([4.11, 4.13], {}, ["4.110", "4.115", "4.120", "4.125", "4.130"]),
        ([], {}, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
    ],
)
def test_ticks_are_round(values: list[float], options: dict[str, float], texts: list[str]) -> None:
    assert [tick.text for tick in linear_scale(values, **options).ticks] == texts


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=8), st.booleans())
def test_a_scale_holds_its_values(values: list[float], zero: bool) -> None:
    scale = linear_scale(values, zero=zero)
    slack = 1e-9 * max(map(abs, [scale.low, scale.high, 1.0]))
    assert scale.low - slack <= min(values) and max(values) <= scale.high + slack
    assert 2 <= len(scale.ticks) <= 12
    assert not zero or scale.low <= 0 <= scale.high
    for value in values:
        expected = 100 * (value - scale.low) / (scale.high - scale.low)
        assert scale.at(value) == pytest.approx(expected, abs=0.006)


def test_an_interval_without_ends_has_no_whisker() -> None:
    scale = linear_scale([0.0, 1.0])
    assert whisker(scale, Interval(0.5)) is None
    assert whisker(scale, None) is None
    assert ends(Interval(0.5)) == [0.5]
    made = whisker(scale, Interval(0.5, 0.25, 0.75))
    assert made is not None and (made.low, made.high) == (25.0, 75.0)


def test_labels_of_close_points_do_not_overlap() -> None:
    points = [("EG", 5.0, 40.0), ("Ours", 6.0, 41.0), ("CLAHE", 7.0, 40.5), ("Gamma", 7.0, 39.0)]
    rows = sorted(y for _, y, _ in spread_labels(points))
    # 16 of 300 pixels each.
    assert all(below - above >= 5.3 for above, below in pairwise(rows))


def test_a_label_at_the_right_edge_stands_on_the_left() -> None:
    [(x, y, anchor)] = spread_labels([("CycleGAN", 95.0, 50.0)])
    assert (x, y, anchor) == (95.0, 50.0, "end")


@given(st.integers(1, 3000), st.integers(0, 2**32 - 1))
def test_a_thinned_curve_keeps_its_ends_and_its_extremes(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    recall, precision = np.sort(rng.random(n)), rng.random(n)
    points = thin_curve(recall, precision)
    unit = lambda r, p: (round(CURVE_UNITS * r), round(CURVE_UNITS * (1 - p)))  # noqa: E731
    assert points[0] == unit(recall[0], precision[0])
    assert points[-1] == unit(recall[-1], precision[-1])
    assert {unit(r, p) for r, p in zip(recall, precision, strict=True)} >= set(points)
    assert len(points) <= 2 * 120 + 2
    # What was left out is nowhere above or below what its neighbours show, to a column's width.
    assert min(y for _, y in points) == round(CURVE_UNITS * (1 - precision.max()))
    assert [x for x, _ in points] == sorted(x for x, _ in points)


def test_no_points_no_path() -> None:
    assert thin_curve(np.empty(0), np.empty(0)) == []
    assert path_of([]) == ""
    assert path_of([(0, 1), (2.5, 3)]) == "M0 1L2.5 3"
    assert math.isfinite(linear_scale([float(np.float32(3.3))]).at(3.3))
