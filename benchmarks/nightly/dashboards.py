"""A night's numbers in the files that dashboards of benchmarks read, one point for each night.

Source: Bencher's reference, "Bencher Metric Format (BMF)" (https://bencher.dev/docs/reference/bencher-metric-format);
github-action-benchmark, README and `BenchmarkResult` in src/extract.ts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from duskbench.benchmarks.metrics.base import Better
from duskbench.benchmarks.nightly.night import Night
from duskbench.benchmarks.statistics import Interval

# Bencher refuses longer names.
_LONGEST_BENCHMARK = 1024
_LONGEST_MEASURE = 64


@dataclass(frozen=True)
class _Number:
    """A number of a row, as it is shown: `interval` in `unit`."""

    row: str
    measure: str
    unit: str
    better: Better
    interval: Interval


def to_bencher(night: Night) -> str:
    """Bencher Metric Format: row -> measure -> value with the ends of its interval. Rows are `configuration/label`."""
    report: dict[str, dict[str, dict[str, float]]] = {}
    for number in _numbers(night):
        ends = {"value": number.interval.value, "lower_value": number.interval.low, "upper_value": number.interval.high}
        measures = report.setdefault(_short(number.row, _LONGEST_BENCHMARK), {})
        measures[_short(number.measure, _LONGEST_MEASURE)] = {key: v for key, v in ends.items() if v is not None}
    return _json(report)


def to_github_benchmark(night: Night, better: Better) -> str:
    """The custom form of github-action-benchmark: all numbers of which `better` is better, because a file of it has one
    direction (`customSmallerIsBetter`, `customBiggerIsBetter`).
    """  # noqa: D205 - one sentence
    entries = []
    for number in _numbers(night):
        if number.better == better:
            entry: dict[str, Any] = {
                "name": f"{number.row}/{number.measure}",
                "unit": number.unit,
                "value": number.interval.value,
                "extra": f"night {night.id}, {night.n_images} images",
            }
            if number.interval.low is not None and number.interval.high is not None:
                entry["range"] = f"[{number.interval.low:.6g}, {number.interval.high:.6g}]"
            entries.append(entry)
    return _json(entries)


def tracked_numbers(night: Night) -> dict[str, float]:
    """`CONFIGURATION/ROW/MEASURE` -> number, and its interval under the same name with `low` and `high` behind."""
    numbers: dict[str, float] = {}
    for number in _numbers(night):
        ends = {"": number.interval.value, " low": number.interval.low, " high": number.interval.high}
        numbers |= {f"{number.row}/{number.measure}{end}": value for end, value in ends.items() if value is not None}
    return numbers


def _numbers(night: Night) -> Iterator[_Number]:
    """Every number of every row that there is: scores as the table shows them, time, and failed images."""
    columns = night.record.columns()
    for enhancer in night.enhancers:
        row = f"{night.config}/{enhancer.label}"
        for column in columns:
            if (score := enhancer.scores.get(column.key)) is not None:
                factor = column.metric.factor
                unit = "%" if factor == 100 else column.metric.heading
                yield _Number(row, column.heading, unit, column.metric.better, _scaled(score, factor))
        if enhancer.ms_enhance is not None:
            yield _Number(row, "ms/image", "ms", "lower", Interval(enhancer.ms_enhance))
        if enhancer.relative_cost is not None:
            yield _Number(row, "relative cost", "calibration workloads", "lower", Interval(enhancer.relative_cost))
        # Of an enhancer that could not be built no image was tried: there is no number of failed ones.
        if enhancer.error is None:
            yield _Number(row, "failed", "images", "lower", Interval(enhancer.n_failed))


def _scaled(interval: Interval, factor: float) -> Interval:
    low, high = (None if end is None else end * factor for end in (interval.low, interval.high))
    return Interval(interval.value * factor, low, high)


def _short(name: str, longest: int) -> str:
    """A name of at most so many characters; one that is shortened ends with a hash, so that no two become one."""
    if len(name) <= longest:
        return name
    digits = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: longest - 9]}-{digits}"


def _json(values: Any) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
