"""Throughput relative to the reference workload, compared image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from duskbench.benchmarks.nightly.kept import Kept
from duskbench.benchmarks.nightly.night import Finding, Reference
from duskbench.benchmarks.nightly.reference import median_interval
from duskbench.benchmarks.statistics import Interval

# Fewer images say nothing about a median.
LEAST_IMAGES = 20
# A tenth of a millisecond that doubles is a timer's and a cache's matter.
_LEAST_SLOWDOWN_MS = 1.0
_STAGES = {"decode": "decode", "detect": "detect", "niqe": "NIQE"}


@dataclass(frozen=True)
class CostChange:
    """How a stage's throughput changed.

    Attributes:
        ratio: Tonight's throughput over the baseline's, each relative to its reference workload; 1 is no change. The
            interval holds those of the median over images and of the reference workloads.
        slower_ms: Median milliseconds an image takes longer than the baseline would on tonight's machine.
        n_images: Images that were timed in both nights.
    """

    ratio: Interval
    slower_ms: float
    n_images: int


def cost_change(
    now_ms: np.ndarray | None, before_ms: np.ndarray | None, now: Reference, before: Reference
) -> CostChange | str:
    """Compare the times of a stage in two nights, or say why they cannot be compared.

    Args:
        now_ms: (N,) milliseconds, NaN where tonight's machine did not measure the image.
        before_ms: Of the baseline.
        now: Tonight's reference workload.
        before: The baseline's.
    """
    if now_ms is None or before_ms is None or len(now_ms) != len(before_ms):
        return "there are no times to compare"
    if not now.parts or not before.parts:
        return f"the reference workload was timed too seldom {'in the baseline' if now.parts else 'tonight'}"
    if (now.workers, now.threads) != (before.workers, before.threads):
        shape = "{} processes with {} threads"
        became, was = (shape.format(each.workers, each.threads) for each in (now, before))
        return f"measured by {became}, the baseline by {was}"
    both = (now_ms > 0) & (before_ms > 0)
    if both.sum() < LEAST_IMAGES:
        return f"{int(both.sum())} images were timed in both nights, fewer than {LEAST_IMAGES}"
    machine = _machine_change(now, before)
    share = median_interval(before_ms[both] / now_ms[both])
    ratio = Interval(share.value * machine.value, *_ends(share, machine))
    slower_ms = float(np.median(now_ms[both] - machine.value * before_ms[both]))
    return CostChange(ratio, slower_ms, int(both.sum()))


def _machine_change(now: Reference, before: Reference) -> Interval:
    """How much longer the machine takes than the baseline's, by the part that says the most, with its interval."""
    changes = [_quotient(now.parts[name], before.parts[name]) for name in now.parts if name in before.parts]
    return max(changes, key=lambda change: change.value)


def _quotient(a: Interval, b: Interval) -> Interval:
    (a_low, a_high), (b_low, b_high) = ((each.low or each.value, each.high or each.value) for each in (a, b))
    return Interval(a.value / b.value, a_low / b_high, a_high / b_low)


def _ends(a: Interval, b: Interval) -> tuple[float, float]:
    """Of a product of positive numbers."""
    return (a.low or a.value) * (b.low or b.value), (a.high or a.value) * (b.high or b.value)


def throughput_finding(subject: str, change: CostChange | str, limit: float, why: str = "") -> Finding:
    """Red where the throughput fell below `limit` of the baseline's, its whole interval with it."""
    if isinstance(change, str):
        return Finding(subject, "throughput", "not judged", change)
    ratio = change.ratio
    seen = f"{ratio.value:.2f} of the baseline's [{ratio.low:.2f}, {ratio.high:.2f}], at least {limit:g} wanted"
    slow = ratio.high is not None and ratio.high < limit
    if not slow:
        return Finding(subject, "throughput", "passed", seen, ratio)
    if change.slower_ms < _LEAST_SLOWDOWN_MS:
        ending = f", but it is {change.slower_ms:.2f} ms an image"
        return Finding(subject, "throughput", "passed", seen + ending, ratio)
    cost = f"{change.slower_ms:.1f} ms an image slower than the reference workload explains"
    return Finding(subject, "throughput", "failed", f"{seen}; {cost}" + (f"; {why}" if why else ""), ratio)


def stage_findings(
    pairs: Sequence[tuple[Kept, Kept]], now: Reference, before: Reference, limit: float, versions: Sequence[str]
) -> list[Finding]:
    """Throughput of the stages that all enhancers share: decoding, the detector, NIQE.

    Args:
        pairs: Tonight's and the baseline's results of the enhancers that both nights have.
        now: Tonight's reference workload.
        before: The baseline's.
        limit: Least share of the baseline's throughput.
        versions: What changed since.
    """
    why = f"changed: {', '.join(versions)}" if versions else ""
    findings = []
    for stage, subject in _STAGES.items():
        ours, theirs = (_mean_times([pair[side].ms for pair in pairs], stage) for side in (0, 1))
        findings.append(throughput_finding(subject, cost_change(ours, theirs, now, before), limit, why))
    return findings


def _mean_times(times: Sequence[Mapping[str, np.ndarray]], stage: str) -> np.ndarray | None:
    """Mean over enhancers, of the images that all of them have."""
    columns = [column[stage] for column in times if stage in column]
    return np.mean(columns, axis=0) if columns else None
