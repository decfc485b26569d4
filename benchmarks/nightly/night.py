"""One night as the history keeps it: what was measured, what it was compared with, and the verdict."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Literal

from duskbench.benchmarks.record import RunRecord, ScoreColumn
from duskbench.benchmarks.run_differences import differences
from duskbench.benchmarks.statistics import Interval
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.typed import from_values, strict_json

NightVerdict = Literal["green", "red", "not comparable"]
Outcome = Literal["passed", "failed", "not gated"]


@dataclass(frozen=True)
class GateFinding:
    """What one gate says of one enhancer.

    Attributes:
        subject: Label of the enhancer, or the stage (`decode`, `detect`, `metrics`) whose throughput is gated.
        gate: `presence`, `failures`, `throughput`, or the heading of a score.
        outcome: `failed` makes the night red; `not gated` decides nothing.
        message: One line: what was seen, against what, and for `failed` what changed besides.
        change: Of a score tonight minus the baseline over the images that both have, as it is stored; of throughput
            tonight over the baseline, so 1 is no change. None where there is nothing to compare.
        score: Key of the score, see `ScoreColumn`; None for the other gates.
    """

    subject: str
    gate: str
    outcome: Outcome
    message: str
    change: Interval | None = None
    score: str | None = None


@dataclass(frozen=True)
class NightEnhancer:
    """One enhancer's numbers of a night, or those of the several trainings of a method.

    Attributes:
        label: Row of the table.
        n_images: Images with a result, of every training.
        n_failed: Images without one.
        error: Why it could not be built.
        scores: Key of a score -> its number with its interval; one that no image has is absent.
        trainings: Key of a score -> the number of each training, whose mean the score is; empty for an enhancer that
            stands for itself.
        ms_enhance: Median milliseconds of the enhancer alone, over the images that this night's machine measured.
        relative_cost: `ms_enhance` over the night's calibration workload: comparable between machines.
    """

    label: str
    n_images: int
    n_failed: int
    error: str | None = None
    scores: dict[str, Interval] = field(default_factory=dict)
    ms_enhance: float | None = None
    relative_cost: float | None = None
    trainings: dict[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Calibration:
    """The calibration workload of a night.

    Attributes:
        parts: Name of a part -> median milliseconds with its 95 % interval; empty where it was timed too few times.
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
        started: ISO 8601, UTC.
        finished: ISO 8601, UTC.
        verdict: green, red, or not comparable.
        baseline: Ids of the nights it was compared with, the oldest first: enhancers that came later have their own.
            Empty for the first night.
        record: Of its run, without the ids of its images: these are with its evidence, see `History`.
        n_images: Images of the run.
        images_digest: Hash of their contents and ground truth, see `images_digest`.
        calibration: The calibration workload.
        enhancers: Numbers, in the configuration's order.
        findings: Gate by gate; those of an enhancer stand together.
        differences: Why it is not comparable with its baseline, a line for each thing that differs.
        notes: What was seen and decides nothing, a line each.
        rows: How many rows the night has, and `reused`: how many of them an earlier start had measured before it was
            interrupted.
        is_baseline: Whether the next night is compared with it, in one enhancer at least.
    """

    id: str
    started: str
    finished: str
    verdict: NightVerdict
    baseline: tuple[str, ...]
    record: RunRecord
    n_images: int
    images_digest: str
    calibration: Calibration
    enhancers: tuple[NightEnhancer, ...]
    findings: tuple[GateFinding, ...]
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rows: dict[str, int] = field(default_factory=dict)
    is_baseline: bool = False

    @property
    def config(self) -> str:
        """Name of the configuration; nights of one configuration make one curve."""
        return self.record.name

    @property
    def failed(self) -> tuple[GateFinding, ...]:
        """The findings that make it red."""
        return tuple(finding for finding in self.findings if finding.outcome == "failed")

    def score(self, label: str, column: ScoreColumn) -> Interval | None:
        """An enhancer's number in a column of this or another night; None where there is none."""
        key = next((each.key for each in self.record.columns() if each.identity == column.identity), None)
        enhancer = next((each for each in self.enhancers if each.label == label), None)
        return None if key is None or enhancer is None else enhancer.scores.get(key)

    def is_comparable(self, other: Night) -> bool:
        """Whether the numbers of two nights may be joined by a line."""
        changes = differences(self.record, other.record, (), ())
        return self.images_digest == other.images_digest and not any(change.blocking for change in changes)


def to_json(night: Night) -> str:
    """Strict JSON with sorted keys; `is_baseline` is left out, because a later `--accept` changes it."""
    values = {**asdict(night), "record": json.loads(night.record.to_json())}
    del values["is_baseline"]
    return json.dumps(values, sort_keys=True, allow_nan=False)


def from_json(text: str, *, is_baseline: bool = False) -> Night:
    """The night that `to_json` wrote, in this version of duskbench or an earlier one.

    Raises:
        DataError: The text is damaged.
    """
    try:
        values = strict_json(text)
        if "record" not in values:
            from duskbench.benchmarks.first_version import night_values

            values = night_values(values)
        record = RunRecord.from_json(json.dumps(values["record"]), where=str(values["id"]))
        return from_values(Night, {**values, "record": record, "is_baseline": is_baseline})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError("A night of the history is damaged.", got=f"{type(error).__name__}: {error}") from error
