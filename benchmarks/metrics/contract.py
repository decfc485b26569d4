"""What a metric must be and return, checked."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np

from duskbench.benchmarks.metrics.base import (
    Better,
    DetectionMetric,
    ImageMetric,
    Mode,
    Need,
    Ranked,
    Ranking,
    Value,
)
from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.data_tools.errors import ConfigError, MetricError
from duskbench.data_tools.plugins import naming
from duskbench.data_tools.registry import build
from duskbench.data_tools.settings import is_number

_LONGEST_TEXT = 1000
_MOST_DIGITS = 15
# Stored results have COCO's with a space; in any other key that would look like the key of one of several detectors.
_KEY = re.compile(r"(coco \w+(:\w+)?|\w+)")
# Sums and squares of larger numbers are not finite.
_LARGEST = 1e100


def build_metric(code: Any, target: str, arguments: Mapping[str, Any], **offered: Any) -> ImageMetric | DetectionMetric:
    """Build a metric and check what it says of itself.

    Args:
        code: The class.
        target: What it is called in the specification, for errors.
        arguments: What the user gave.
        offered: Further arguments, passed where it has such a parameter.

    Raises:
        UnknownNameError: An argument that it does not take.
        ConfigError: What is built is no metric, or does not say what it is.
        MetricError: It fails while it is built.
    """
    with naming(MetricError, f"Metric {target!r} fails while it is built.", code):
        built = build(code, target, arguments, **offered)
        if isinstance(built, ImageMetric | DetectionMetric):
            _check_description(built, target)
            return built
    raise ConfigError(
        "This is no metric.",
        where=target,
        expected="a subclass of duskbench.ImageMetric or duskbench.DetectionMetric",
        got=type(built).__name__,
    )


def _check_description(metric: ImageMetric | DetectionMetric, target: str) -> None:
    needs = metric.needs if isinstance(metric, ImageMetric) else frozenset()
    tolerance, note = metric.tolerance, metric.describe()
    rules = [
        ("key", _is_key(getattr(metric, "key", None)), "letters, digits and underscores"),
        ("heading", _is_text(getattr(metric, "heading", None)), "a text of one line"),
        ("better", getattr(metric, "better", None) in get_args(Better), '"lower" or "higher"'),
        ("digits", type(metric.digits) is int and 0 <= metric.digits <= _MOST_DIGITS, f"0 to {_MOST_DIGITS}"),
        # A negative one would turn round what `better` says, and the ends of intervals.
        ("factor", is_number(metric.factor) and metric.factor > 0, "a finite number above 0"),
        ("tolerance", tolerance is None or (is_number(tolerance) and tolerance >= 0), "None, or a number from 0"),
        (
            "needs",
            isinstance(needs, frozenset | set) and set(needs) <= set(get_args(Need)),
            f"some of {get_args(Need)}",
        ),
        ("describe()", note is None or isinstance(note, str), "a text or None"),
        ("arguments", isinstance(metric.arguments, Mapping), "a dict"),
    ]
    for name, is_right, expected in rules:
        if not is_right:
            got = note if name == "describe()" else getattr(metric, name, None)
            raise ConfigError(
                "A metric does not say what it is.", where=target, expected=f"{name}: {expected}", got=repr(got)[:100]
            )


def _is_key(value: object) -> bool:
    return _is_text(value) and _KEY.fullmatch(str(value)) is not None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= _LONGEST_TEXT and value.isprintable()


def checked_value(value: Any, key: str, image_id: str | None = None) -> Value:
    """What a metric returned of an image, as plain numbers.

    Raises:
        MetricError: It is no number, or not finite.
    """
    value = value if isinstance(value, Value) else Value(value, None if value is not None else "no reason given")
    if value.number is None:
        return Value(None, str(value.reason or "no reason given")[:_LONGEST_TEXT])
    return Value(checked_number(value.number, key, image_id))


def checked_number(given: Any, key: str, image_id: str | None = None) -> float:
    """A number as a plain one.

    Raises:
        MetricError: It is no number, or not finite.
    """
    try:
        number = math.nan if isinstance(given, str | bytes) else float(given)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    # Written so that NaN is refused as well.
    if not abs(number) <= _LARGEST:
        expected = f"a finite number up to {_LARGEST:g}, or Value(None, reason)"
        raise _broken(key, expected, repr(given)[:100], image_id)
    return number


def checked_ranked(ranked: Any, truth: Boxes, found: Boxes, classes: Sequence[str], key: str) -> Ranked:
    """What a metric made of detections, on plain arrays that nobody else has.

    Raises:
        MetricError: It is no `Ranked`, its arrays are not of the lengths, types and ranges they should have, a class
            with an object to find has no ranking, or more objects are found in an image than there are.
    """
    if not isinstance(ranked, Ranked) or ranked.mode not in get_args(Mode):
        raise _broken(key, f"a Ranked with a mode of {', '.join(get_args(Mode))}", repr(ranked)[:100])
    pools = _checked_pools(ranked.pools, classes, key)
    if not set(ranked.by_class) <= {*classes, *pools}:
        raise _broken(key, f"classes among {', '.join(classes)}", repr(sorted(map(str, ranked.by_class)))[:100])
    last = int(found.images.max(initial=-1))
    pooled = {name for pool, of in pools.items() if ranked.by_class.get(pool) for name in of}
    by_class = {}
    for name in (*classes, *pools):
        asked = np.isin(truth.labels, [classes.index(each) for each in pools.get(name, (name,))]) & ~truth.difficult
        rankings, objects = ranked.by_class.get(name, ()), truth.images[asked]
        if not isinstance(rankings, list | tuple):
            raise _broken(f"{key}, {name}", "a tuple of Ranking", type(rankings).__name__)
        if not rankings and len(objects) and name not in pooled:
            # Left out it would not be in the mean, which is over the classes with objects.
            expected = "a Ranking at least, without detections where none counts"
            raise _broken(f"{key}, {name}", expected, f"none of a class with {len(objects)} objects to find")
        if rankings:
            by_class[name] = tuple(
                _checked_ranking(each, last, len(found.scores), f"{key}, {name}") for each in rankings
            )
        for each in by_class.get(name, ()):
            _check_hits(each, objects, f"{key}, {name}")
    return Ranked(by_class, ranked.mode, pools)


def _checked_pools(pools: Any, classes: Sequence[str], key: str) -> dict[str, tuple[str, ...]]:
    known = set(classes)
    if not isinstance(pools, Mapping) or not all(
        isinstance(name, str) and name not in known and isinstance(of, list | tuple) and of and set(of) <= known
        for name, of in pools.items()
    ):
        expected = f"pools: a name that is no class -> a tuple of classes among {', '.join(classes)}"
        raise _broken(key, expected, repr(pools)[:100])
    return {name: tuple(of) for name, of in pools.items()}


def _check_hits(ranking: Ranking, objects: np.ndarray, where: str) -> None:
    """An AP of more hits than objects would be above 1; `objects` are the images of those to find."""
    n = int(max(ranking.images.max(initial=-1), objects.max(initial=-1))) + 1
    hits, there = np.bincount(ranking.images[ranking.tp], minlength=n), np.bincount(objects, minlength=n)
    [too_many] = np.nonzero(hits > there)
    if len(too_many):
        image = too_many[0]
        got = f"{hits[image]} of {there[image]} objects found in image {image} of the run, counted from 0"
        raise _broken(where, "tp: each object found once at most, and none that is difficult", got)


def _checked_ranking(ranking: Any, last_image: int, detections: int, where: str) -> Ranking:
    if not isinstance(ranking, Ranking):
        raise _broken(where, "a tuple of Ranking", type(ranking).__name__)
    images = _indices(ranking.images, last_image, f"{where}: images")
    tp = np.array(ranking.tp)
    if tp.dtype != bool or tp.shape != images.shape:
        raise _broken(where, f"tp: ({len(images)},) bool", f"{tp.shape} {tp.dtype}")
    if ranking.positions is None:
        return Ranking(images, tp)
    positions = _indices(ranking.positions, detections - 1, f"{where}: positions")
    if positions.shape != images.shape:
        raise _broken(where, f"positions: ({len(images)},)", f"{positions.shape}")
    return Ranking(images, tp, positions)


def _indices(given: Any, last: int, where: str) -> np.ndarray:
    array = np.array(given)
    is_right = array.ndim == 1 and (array.size == 0 or np.issubdtype(array.dtype, np.integer))
    if not is_right or (array.size and not 0 <= array.min() <= array.max() <= last):
        raise _broken(where, f"(D,) integers from 0 to {last}", f"{array.shape} {array.dtype}")
    return array.astype(np.int64)


def _broken(key: str, expected: str, got: str, where: str | None = None) -> MetricError:
    return MetricError(f"Metric {key!r} broke its contract.", where=where, expected=expected, got=got)
