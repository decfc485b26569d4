"""The gates: what makes a night red, and what is only said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from duskbench.benchmarks.nightly.comparable import cause
from duskbench.benchmarks.nightly.kept import Kept, same_numbers
from duskbench.benchmarks.nightly.night import Finding, Gate, Reference
from duskbench.benchmarks.nightly.speed import cost_change, throughput_finding
from duskbench.benchmarks.statistics import Bootstrap, Difference, Interval
from duskbench.data_tools.errors import ConfigError

_NEW = "not in the baseline yet: its numbers of tonight are its baseline from now on"
_NEW_AND_FAILING = "not in the baseline, and does not become part of it while images fail (--accept overrules)"
_REASONS_SHOWN = 3
_SAME = Interval(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Limits:
    """How much worse is still no regression.

    Attributes:
        map: mAP points (0 to 100) that may be lost. Below it nothing is red, settled by the interval or not.
        niqe: By how much the mean NIQE may rise.
        throughput: Least share of the baseline's throughput, relative to the reference workload.
    """

    map: float = 0.5
    niqe: float = 0.05
    throughput: float = 0.7

    def __post_init__(self) -> None:
        for option, value, ok, expected in (
            ("--tolerance-map", self.map, 0 <= self.map <= 100, "mAP points, 0 to 100"),
            ("--tolerance-niqe", self.niqe, self.niqe >= 0, "0 or more"),
            ("--throughput-ratio", self.throughput, 0 <= self.throughput <= 1, "a share, 0 to 1"),
        ):
            if not ok:
                raise ConfigError(
                    "The gate cannot be set like this.", where=option, expected=expected, got=f"{value:g}"
                )


@dataclass(frozen=True)
class Earlier:
    """What an enhancer is compared with.

    Attributes:
        kept: Its results image by image.
        reference: The reference workload of that night.
        versions: What changed since in versions and machine, see `changed_versions`.
    """

    kept: Kept
    reference: Reference
    versions: Sequence[str] = ()


def judge_enhancer(
    now: Kept, earlier: Earlier | None, reference: Reference, bootstrap: Bootstrap, limits: Limits
) -> list[Finding]:
    """All gates of one enhancer.

    Args:
        now: Tonight.
        earlier: The baseline; None for an enhancer that is new, or in a first night.
        reference: Tonight's reference workload.
        bootstrap: Over the images of the night.
        limits: What is tolerated.
    """
    label = now.sample.label
    before = earlier.kept if earlier is not None and not earlier.kept.is_empty else None
    failures = failures_finding(now, earlier.kept if earlier is not None else None)
    if now.is_empty:
        gates: tuple[Gate, ...] = ("mAP", "NIQE", "throughput")
        return [failures, *(Finding(label, gate, "not judged", "no image has a result") for gate in gates)]
    if earlier is None or before is None:
        message = _NEW if failures.outcome == "passed" else _NEW_AND_FAILING
        return [failures, Finding(label, "presence", "not judged", message)]
    why = cause(now, before, earlier.versions)
    same = same_numbers(now.sample, before.sample)
    difference = _no_change(now, before) if same else bootstrap.difference(now.sample, before.sample)
    quality = [_map_finding(now, before, difference, limits, why), _niqe_finding(now, before, difference, limits, why)]
    change = cost_change(now.ms.get("enhance"), before.ms.get("enhance"), reference, earlier.reference)
    return [failures, *quality, throughput_finding(label, change, limits.throughput, why)]


def moved_without_reason(now: Kept, earlier: Earlier) -> str | None:
    """Say so where the same fingerprint gave other numbers, whichever way they went."""
    before = earlier.kept
    if now.is_empty or before.is_empty or now.fingerprint != before.fingerprint:
        return None
    if same_numbers(now.sample, before.sample):
        return None
    return f"{now.sample.label}: other numbers than in the baseline; " + cause(now, before, earlier.versions)


def failures_finding(now: Kept, before: Kept | None) -> Finding:
    """Red for an image that fails and did not in the baseline, and for an enhancer that can no longer be built."""
    label = now.sample.label
    if now.error is not None:
        reason = " ".join(now.error.split())
        known = before is not None and before.error is not None
        ending = "; so it was in the baseline" if known else ""
        return Finding(label, "failures", "not judged" if known else "failed", f"cannot be built: {reason}{ending}")
    excused = set() if before is None else set(before.failures)
    news = [image_id for image_id in now.failures if image_id not in excused]
    old = len(now.failures) - len(news)
    ending = f"; {old} that failed in the baseline too" if old else ""
    if not news:
        return Finding(label, "failures", "passed", f"no image fails anew{ending}")
    return Finding(label, "failures", "failed", f"{len(news)} images fail{ending}: {_reasons(now.failures, news)}")


def _reasons(failures: Mapping[str, str], image_ids: Sequence[str]) -> str:
    """Each reason once, with how many images have it and one of them."""
    first: dict[str, list[str]] = {}
    for image_id in image_ids:
        first.setdefault(" ".join(failures[image_id].split()), []).append(image_id)
    shown = [f"{ids[0]} and {len(ids) - 1} more: {r}" if len(ids) > 1 else f"{ids[0]}: {r}" for r, ids in first.items()]
    more = f"; {len(shown) - _REASONS_SHOWN} other reasons" if len(shown) > _REASONS_SHOWN else ""
    return "; ".join(shown[:_REASONS_SHOWN]) + more


def missing_images_finding(image_ids: Sequence[str]) -> Finding:
    """In a first night there is nothing that could say that missing images are known."""
    message = f"{len(image_ids)} images of the split are not in the tree (the first: {', '.join(image_ids[:3])})"
    return Finding("data set", "failures", "failed", message)


def vanished_finding(label: str) -> Finding:
    """A guard that silently guards less is none, so an enhancer that is gone is red until it is accepted."""
    message = "in the baseline and not in tonight's configuration; if that is meant, --accept takes it out"
    return Finding(label, "presence", "failed", message)


def _no_change(now: Kept, before: Kept) -> Difference:
    n_images = int(now.sample.measured.sum())
    return Difference(
        reference=before.sample.label,
        n_images=n_images,
        n_left_out=0,
        map=_SAME if now.sample.rankings else None,
        niqe=_SAME if not np.isnan(now.sample.niqe).all() else None,
    )


def _map_finding(now: Kept, before: Kept, difference: Difference, limits: Limits, why: str) -> Finding:
    label, change = now.sample.label, difference.map
    if change is None:
        if before.sample.rankings:
            return Finding(label, "mAP", "failed", f"had a mAP in the baseline and has none; {why}")
        return Finding(label, "mAP", "not judged", "there is no detector or no ground truth")
    points = Interval(*(None if v is None else 100 * v for v in (change.value, change.low, change.high)))  # type: ignore[arg-type]
    return _quality_finding(label, "mAP", change, points, -points.value, limits.map, 2, difference, why)


def _niqe_finding(now: Kept, before: Kept, difference: Difference, limits: Limits, why: str) -> Finding:
    label, change = now.sample.label, difference.niqe
    both = now.sample.measured & before.sample.measured
    lost = int((both & np.isnan(now.sample.niqe) & ~np.isnan(before.sample.niqe)).sum())
    if lost:
        # A constant image has no NIQE: leaving it out of the mean would hide that the enhancer broke.
        return Finding(
            label, "NIQE", "failed", f"{lost} images had a NIQE in the baseline and have none; {why}", change
        )
    if change is None:
        return Finding(label, "NIQE", "not judged", "no image has a NIQE in both nights")
    return _quality_finding(label, "NIQE", change, change, change.value, limits.niqe, 3, difference, why)


def _quality_finding(
    label: str,
    gate: Gate,
    change: Interval,
    shown: Interval,
    loss: float,
    limit: float,
    digits: int,
    difference: Difference,
    why: str,
) -> Finding:
    """`loss` is how much worse it became, in the unit of `limit`; `shown` is the change in that unit."""
    over = f" over the {difference.n_images} images that both nights have" if difference.n_left_out else ""
    seen = f"{shown.value:+.{digits}f} {show_interval(shown, digits)}{over}, tolerated {limit:g}"
    if shown == _SAME:
        return Finding(label, gate, "passed", "equal to the last digit", change)
    if loss <= limit:
        return Finding(label, gate, "passed", seen, change)
    if change.low is None:
        # With one image there is no interval; then the tolerance decides alone.
        return Finding(label, gate, "failed", f"worse: {seen}; {why}", change)
    if not change.settled:
        return Finding(label, gate, "passed", f"{seen}: worse than tolerated, but not beyond its interval", change)
    return Finding(label, gate, "failed", f"worse: {seen}; {why}", change)


def show_interval(interval: Interval, digits: int) -> str:
    """`[low, high]` with signs, or why there is none."""
    if interval.low is None or interval.high is None:
        return "[no interval]"
    return f"[{interval.low:+.{digits}f}, {interval.high:+.{digits}f}]"
