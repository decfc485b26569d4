"""What a metric may say of itself and return."""

from __future__ import annotations

import numpy as np
import pytest

from duskbench.benchmarks.metrics.base import ImageMetric, Ranked, Ranking, Value
from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.benchmarks.metrics.contract import build_metric, checked_ranked, checked_value
from duskbench.data_tools.errors import ConfigError, MetricError


@pytest.mark.parametrize("number", [float("nan"), float("-inf"), 1e308, -1e101, 10**400])
def test_numbers_whose_mean_would_not_be_finite_are_refused(number: float) -> None:
    """A mean of 1e308 was `inf [nan, nan]` in the table."""
    with pytest.raises(MetricError, match="a finite number up to 1e"):
        checked_value(number, "key", "image")
    assert checked_value(1e100, "key") == Value(1e100)


@pytest.mark.parametrize(("key", "heading"), [("a\nb", "A"), ("a", "A\nB"), ("a", "\x1b[31mA"), ("a", " ")])
def test_names_are_of_one_line(key: str, heading: str) -> None:
    """A line break in a heading broke the tables in Markdown and CSV."""
    made = type("Made", (ImageMetric,), {"key": key, "heading": heading, "better": "lower", "measure": lambda *_: 1.0})
    with pytest.raises(ConfigError, match=r"a text of one line|letters, digits and underscores"):
        build_metric(made, "made", {})


@pytest.mark.parametrize("key", ["bright low", "a-b", "a.b", "niqe - Input", "coco ", ""])
def test_a_key_is_letters_digits_and_underscores(key: str) -> None:
    """Keys name values in files, and with a space they could be those of one of several detectors."""
    made = type("Made", (ImageMetric,), {"key": key, "heading": "A", "better": "lower", "measure": lambda *_: 1.0})
    with pytest.raises(ConfigError, match="key: letters, digits and underscores"):
        build_metric(made, "made", {})


@pytest.mark.parametrize("factor", [-1.0, 0, float("inf"), "100"])
def test_a_factor_turns_nothing_round(factor: object) -> None:
    """With -1 the worst number was the best, and an interval began with its upper end."""
    says = {"key": "a", "heading": "A", "better": "lower", "factor": factor, "measure": lambda *_: 1.0}
    with pytest.raises(ConfigError, match="factor: a finite number above 0"):
        build_metric(type("Made", (ImageMetric,), says), "made", {})


def boxes(labels: list[int], images: list[int], difficult: list[bool]) -> Boxes:
    n = len(labels)
    places = np.arange(n)
    return Boxes(np.zeros((n, 4)), np.array(labels), np.array(images), np.ones(n), np.array(difficult), places)


CLASSES = ("car", "dog", "bus", "cat")
# Two cars in image 0 and one in 2, a dog in 1; the only bus is difficult, and there is no cat.
TRUTH = boxes([0, 0, 0, 1, 2], [0, 0, 2, 1, 1], [False, False, False, False, True])
FOUND = boxes([0] * 6, [0, 0, 0, 1, 1, 2], [False] * 6)


def ranking(images: list[int], tp: list[bool]) -> tuple[Ranking, ...]:
    return (Ranking(np.array(images, np.int64), np.array(tp, bool)),)


ALL_CARS = ranking([0, 2, 0, 1], [True, True, True, False])


@pytest.mark.parametrize(
    ("by_class", "says"),
    [
        ({"car": ALL_CARS}, r"'x, dog' broke its contract[\s\S]*a Ranking at least[\s\S]*class with 1 objects"),
        ({"car": (), "dog": ranking([], [])}, r"'x, car'[\s\S]*class with 3 objects"),
        ({"car": 1, "dog": ranking([], [])}, r"'x, car'[\s\S]*a tuple of Ranking[\s\S]*int"),
        # As many hits as objects, but not in the same images: in a resample they would be more.
        ({"car": ranking([0, 0, 0], [True] * 3), "dog": ranking([], [])}, r"3 of 2 objects found in image 0"),
        ({"car": ranking([0, 1], [True] * 2), "dog": ranking([], [])}, r"1 of 0 objects found in image 1"),
        ({"car": ALL_CARS, "dog": ranking([1, 1], [True] * 2)}, r"'x, dog'[\s\S]*2 of 1 objects found in image 1"),
        ({"car": ALL_CARS, "dog": ranking([], []), "bus": ranking([1], [True])}, r"'x, bus'[\s\S]*1 of 0 objects"),
    ],
)
def test_no_class_is_left_out_and_no_object_found_twice(by_class: dict[str, tuple[Ranking, ...]], says: str) -> None:
    """A mean over the classes in which something was found was twice the true one; twice the hits were an AP of 600."""
    with pytest.raises(MetricError, match=says):
        checked_ranked(Ranked(by_class), TRUTH, FOUND, CLASSES, "x")


ALL = ranking([0, 2, 0, 1], [True, True, True, True])


@pytest.mark.parametrize(
    ("by_class", "pools", "says"),
    [
        ({"all": ALL}, {}, r"classes among car[\s\S]*'all'"),
        ({"all": ALL}, {"all": ("car", "horse")}, "pools: a name that is no class"),
        ({"car": ALL_CARS, "dog": ranking([], [])}, {"car": ("car", "dog")}, "pools: a name that is no class"),
        ({"all": ALL}, {"all": "car"}, "pools: a name that is no class"),
        ({"all": ALL}, ["all"], "pools: a name that is no class"),
        ({"all": ALL}, {"all": ("car",)}, r"'x, dog'[\s\S]*class with 1 objects"),
        ({}, {"all": CLASSES}, r"'x, car'[\s\S]*class with 3 objects"),
        ({"all": ranking([1, 1], [True, True])}, {"all": CLASSES}, r"'x, all'[\s\S]*2 of 1 objects found in image 1"),
    ],
)
def test_a_pool_is_of_classes_and_none_is_left_out(by_class: dict, pools: dict, says: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(MetricError, match=says):
        checked_ranked(Ranked(by_class, pools=pools), TRUTH, FOUND, CLASSES, "x")
    made = checked_ranked(Ranked({"all": ALL}, pools={"all": list(CLASSES)}), TRUTH, FOUND, CLASSES, "x")
    assert list(made.by_class) == ["all"] and made.pools == {"all": CLASSES}


def test_a_class_without_an_object_to_find_may_be_left_out() -> None:
    made = checked_ranked(Ranked({"car": ALL_CARS, "dog": ranking([], []), "cat": ()}), TRUTH, FOUND, CLASSES, "x")
    assert list(made.by_class) == ["car", "dog"]
    assert made.by_class["car"][0].tp.tolist() == [True, True, True, False] and not len(made.by_class["dog"][0].tp)
