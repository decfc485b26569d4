"""One night as the history keeps it: what was measured, what it was compared with, and the verdict."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from duskbench.benchmarks.statistics import Interval

Verdict = Literal["green", "red", "not comparable"]
Outcome = Literal["passed", "failed", "not judged"]
Gate = Literal["presence", "failures", "mAP", "NIQE", "throughput"]


@dataclass(frozen=True)
class Finding:
    """What one gate says of one enhancer.

    Attributes:
        subject: Label of the enhancer, or the stage (`decode`, `detect`, `NIQE`) whose throughput is judged.
        gate: Which gate.
        outcome: `failed` makes the night red.
        message: One line: what was seen, against what, and for `failed` what changed besides.
        change: Tonight minus the baseline over the images that both have, for the gates mAP (0 to 1) and NIQE; tonight
            over the baseline, so 1 is no change, for throughput. None where there is nothing to compare.
    """

    subject: str
    gate: Gate
    outcome: Outcome
    message: str
    change: Interval | None = None


@dataclass(frozen=True)
class NightEnhancer:
    """One enhancer's numbers of a night.

    Attributes:
        label: Row of the table.
        fingerprint: Of code, arguments and weights; empty where it could not be built.
        spec: How the configuration names it.
        n_images: Images with a result.
        n_failed: Images without one.
        error: Why it could not be built.
        upper_bound: Whether it stands for a limit and does not compete.
        map: mAP, 0 to 1, with its interval; None without a detector.
        niqe: Mean NIQE with its interval.
        ms_enhance: Median milliseconds of the enhancer alone, over the images that this night's machine measured.
        relative_cost: `ms_enhance` over the night's reference workload: comparable between machines.
    """

    label: str
    fingerprint: str
    spec: Any
    n_images: int
    n_failed: int
    error: str | None = None
    upper_bound: bool = False
    map: Interval | None = None
    niqe: Interval | None = None
    ms_enhance: float | None = None
    relative_cost: float | None = None


@dataclass(frozen=True)
class Reference:
    """The reference workload of a night.

    Attributes:
        parts: Name of a part -> median milliseconds with its 95 % interval; empty where it was timed too seldom to say.
        samples: How often it was timed.
        workers: Processes that measured beside it.
        threads: Threads of each.
    """

    parts: dict[str, Interval]
    samples: int
    workers: int
    threads: int

    @property
    def ms(self) -> float | None:
        """Geometric mean of the parts."""
        values = [part.value for part in self.parts.values()]
        return math.exp(sum(map(math.log, values)) / len(values)) if values else None


@dataclass(frozen=True)
class Night:
    """A finished night.

    Attributes:
        id: Time of its start in UTC, `2026-11-22T03-00-00Z`, and a number behind it where two nights share that.
        config: Name of the configuration; nights of one configuration make one curve.
        title: Heading of its table.
        started: ISO 8601, UTC.
        finished: ISO 8601, UTC.
        verdict: green, red, or not comparable.
        baseline: Ids of the nights it was compared with, the oldest first: enhancers that came later have their own.
            Empty for the first night.
        context: What must be equal for numbers to be comparable: `protocol`, `measure`, `detector`, `data`.
        environment: Versions, commit, machine, as in the record of a run, and `host`.
        reference: The reference workload.
        enhancers: Numbers, in the configuration's order.
        findings: Gate by gate; those of an enhancer stand together.
        differences: Why it is not comparable with its baseline, a line for each thing that differs.
        notes: What was seen and is not judged, a line each.
        rows: How many rows the night has, and `reused`: how many of them an earlier, cut start of it had measured.
        is_baseline: Whether the next night is compared with it, in one enhancer at least.
    """

    id: str
    config: str
    title: str
    started: str
    finished: str
    verdict: Verdict
    baseline: tuple[str, ...]
    context: dict[str, Any]
    environment: dict[str, Any]
    reference: Reference
    enhancers: tuple[NightEnhancer, ...]
    findings: tuple[Finding, ...]
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rows: dict[str, int] = field(default_factory=dict)
    is_baseline: bool = False

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings that make it red."""
        return tuple(finding for finding in self.findings if finding.outcome == "failed")


def to_json(night: Night) -> str:
    """Strict JSON with sorted keys; `is_baseline` is left out, because a later `--accept` changes it."""
    values = asdict(night)
    del values["is_baseline"]
    return json.dumps(values, sort_keys=True, allow_nan=False)


def from_json(text: str, *, is_baseline: bool = False) -> Night:
    """The night that `to_json` wrote."""
    values = json.loads(text)
    values["baseline"] = tuple(values["baseline"])
    values["differences"], values["notes"] = tuple(values["differences"]), tuple(values["notes"])
    reference = values["reference"]
    parts = {name: Interval(**part) for name, part in reference["parts"].items()}
    values["reference"] = Reference(**{**reference, "parts": parts})
    values["findings"] = tuple(Finding(**{**f, "change": _interval(f["change"])}) for f in values["findings"])
    values["enhancers"] = tuple(
        NightEnhancer(**{**e, "map": _interval(e["map"]), "niqe": _interval(e["niqe"])}) for e in values["enhancers"]
    )
    return Night(**values, is_baseline=is_baseline)


def _interval(values: dict[str, float | None] | None) -> Interval | None:
    return None if values is None else Interval(**values)  # type: ignore[arg-type]
