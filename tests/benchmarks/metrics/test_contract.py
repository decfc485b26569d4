"""What a metric may say of itself and return."""

from __future__ import annotations

import pytest

from duskbench.benchmarks.metrics.base import ImageMetric, Value
from duskbench.benchmarks.metrics.contract import build_metric, checked_value
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
