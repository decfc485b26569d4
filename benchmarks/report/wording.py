"""How the report writes a metric's numbers."""

from __future__ import annotations

from duskbench.benchmarks.record import MetricEntry
from duskbench.benchmarks.statistics import Interval


def minus(text: str) -> str:
    """The text with real minus signs."""
    return text.replace("-", "−")


def number_text(metric: MetricEntry, value: float, *, fewer: int = 0, sign: bool = False) -> str:
    """A number in the metric's shown unit, with a real minus sign and `fewer` digits less than the table's."""
    digits = max(metric.digits - fewer, 0)
    return minus(f"{metric.factor * value:{'+' if sign else ''}.{digits}f}")


def interval_text(metric: MetricEntry, interval: Interval | None, *, fewer: int = 0, sign: bool = False) -> str:
    """`33.1 to 35.2`, or nothing where there is no interval."""
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return " to ".join(number_text(metric, end, fewer=fewer, sign=sign) for end in (interval.low, interval.high))


def behind_comma(text: str) -> str:
    """`, interval 33.1 to 35.2`, or nothing."""
    return f", interval {text}" if text else ""


def unit(metric: MetricEntry, *, difference: bool = False) -> str:
    """` %` or ` percentage points` behind a number that is a share, else nothing."""
    if metric.factor != 100:
        return ""
    return " percentage points" if difference else " %"


def axis_title(heading: str, metric: MetricEntry) -> str:
    """`mAP, % ↑`: a score with its unit and the arrow of what is better."""
    return f"{heading}{', %' if metric.factor == 100 else ''} {'↑' if metric.better == 'higher' else '↓'}"
