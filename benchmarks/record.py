"""The record of a run: what was measured, and with what."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from duskbench.benchmarks.costs import Costs
from duskbench.benchmarks.metrics.base import Better
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.statistics import BootstrapOptions
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.typed import from_values, strict_json

RECORD_VERSION = 2


@dataclass(frozen=True)
class EnhancerEntry:
    """An enhancer of a run: a row of its table, or one of the trainings that are one.

    Attributes:
        label: What the table calls it.
        spec: How to build it.
        fingerprint: Of the built enhancer; empty where it cannot be built.
        error: Why it cannot be built.
        upper_bound: Whether it stands for a limit, such as the lit twins, and does not compete for the best value.
        origin: Where its weights come from, in words; None where it has none.
        batch_size: Images that it wants at once.
        weights: Name -> sha256 of the weight files in use.
        method: Label of the method of which this is one of several trainings; None where it stands for itself.
        costs: What a picture costs apart from time; None where the run did not ask.
    """

    label: str
    spec: str | dict[str, Any]
    fingerprint: str
    error: str | None = None
    upper_bound: bool = False
    origin: str | None = None
    batch_size: int = 1
    weights: dict[str, str] = field(default_factory=dict)
    method: str | None = None
    costs: Costs | None = None

    @property
    def row(self) -> str:
        """Label of the row of the table that its numbers are part of."""
        return self.method or self.label

    @property
    def is_input(self) -> bool:
        """Whether it is the row that is not enhanced at all."""
        target = self.spec.get("type") if isinstance(self.spec, dict) else self.spec
        # Not parsed: what an earlier version stored need not be a specification of today.
        return str(target).partition("(")[0].strip() == "input"


@dataclass(frozen=True)
class DetectorTraining:
    """A detector that was trained further on the images that one enhancer makes, and is asked about these alone.

    Attributes:
        enhancer: Label of the enhancer.
        seed: Of the training.
        checkpoint: The trained weights.
        fingerprint: Of code, arguments and weights; keys its detections.
        images_sha256: Hash of the enhanced training images.
        weights: Name -> sha256 of its weight files.
    """

    enhancer: str
    seed: int
    checkpoint: str
    fingerprint: str
    images_sha256: str
    weights: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DetectorEntry:
    """A detector of a run, or what it became when it was trained further on each enhancer's images.

    Attributes:
        label: What headings call it; unique in a run.
        spec: How to load it.
        fingerprint: Of code, arguments and weights; keys its detections.
        identity: Of arguments and weights alone: what must be equal for two runs to be compared.
        classes: What its labels index.
        weights: Name -> sha256 of its weight files.
        checkpoint: The weight file that was asked for, where the specification's own is not meant.
        batch_size: Images that it is best given at a time.
        frozen: Label of the detector that it was trained from; None of one that is as its weight file has it.
        schedule: How it was trained, in words.
        trainings: Those of each enhancer; none of a frozen detector.
    """

    label: str
    spec: str | dict[str, Any]
    fingerprint: str
    identity: str
    classes: tuple[str, ...]
    weights: dict[str, str] = field(default_factory=dict)
    checkpoint: str | None = None
    batch_size: int = 1
    frozen: str | None = None
    schedule: str | None = None
    trainings: tuple[DetectorTraining, ...] = ()

    def asked_of(self, enhancer: str) -> tuple[DetectorEntry, ...]:
        """What is asked about an enhancer's images: a frozen detector itself, of a trained one that one's trainings."""
        if self.frozen is None:
            return (self,)
        return tuple(
            replace(
                self,
                label=f"{self.label}, seed {training.seed}",
                fingerprint=training.fingerprint,
                weights=training.weights,
                checkpoint=training.checkpoint,
                frozen=None,
                trainings=(),
            )
            for training in self.trainings
            if training.enhancer == enhancer
        )


@dataclass(frozen=True)
class MetricEntry:
    """A metric of a run; see `benchmarks.metrics.base.Metric` for what is not said here.

    Attributes:
        spec: How to build it.
        fingerprint: Of code and arguments; keys its values.
        identity: Of arguments alone: what must be equal for two runs to be compared.
        kind: Of single images, or of all detections.
        is_mean: Whether its number is the mean over images; otherwise its code is needed to aggregate.
        note: The line under a table that says how the numbers come about.
    """

    key: str
    spec: str | dict[str, Any]
    fingerprint: str
    identity: str
    kind: Literal["image", "detections"]
    heading: str
    better: Better
    digits: int = 3
    factor: float = 1.0
    tolerance: float | None = None
    is_mean: bool = True
    note: str | None = None


@dataclass(frozen=True)
class ScoreColumn:
    """A metric's number of an enhancer: a column of the table, one for each detector where it is of detections.

    Attributes:
        key: Unique in a run.
        heading: With the detector's label where there are several.
        metric: What is measured.
        detector: On whose detections; None for a metric of images.
    """

    key: str
    heading: str
    metric: MetricEntry
    detector: DetectorEntry | None = None

    @property
    def identity(self) -> tuple[str, str | None]:
        """Key of the metric and label of the detector: equal of two runs' columns that are of the same."""
        return self.metric.key, self.detector.label if self.detector else None


@dataclass(frozen=True)
class DataEntry:
    """The data set of a run, as its configuration names it.

    Attributes:
        name: Of the data set itself.
        root: Its folder.
        options: Whatever else the configuration says of it.
        notes: What its reader left out or read under another name, a sentence each.
    """

    name: str
    root: str
    split: str = "test"
    groups: tuple[str, ...] = ()
    reference: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Environment:
    """What a run was made with."""

    started: str
    device: str
    argv: tuple[str, ...] = ()
    python: str = ""
    platform: str = ""
    gpu: str | None = None
    cuda: str | None = None
    processor: str = ""
    cores: int | None = None
    packages: dict[str, str] = field(default_factory=dict)
    git: str | None = None
    host: str = ""


@dataclass(frozen=True)
class RunRecord:
    """All that is known of a run but its images and its rows.

    Attributes:
        name: File stem of the configuration.
        title: Heading of the table.
        data: The data set.
        detectors: None, one or several.
        enhancers: In the table's order.
        metrics: In the table's order.
        protocol: What else changes a number.
        environment: What it was made with.
        decoder: Hash of the code that reads images; None for a run from before it was kept.
        paper: The paper's own numbers, see `BenchmarkConfig`.
        bootstrap: How intervals are made.
        image_ids: The images, in order.
        images_sha256: Hash of their contents.
        annotations_sha256: Hash of what the data set says of them.
        other_objects: Class that the protocol does not ask for -> objects of it, which are left out.
        limit: Where only so many images were taken.
        batch_size: Images that a detector was given at a time; None for as many as suits each.
        workers: Processes that were asked for; 0 for the default.
    """

    name: str
    title: str
    data: DataEntry
    detectors: tuple[DetectorEntry, ...]
    enhancers: tuple[EnhancerEntry, ...]
    metrics: tuple[MetricEntry, ...]
    protocol: Protocol
    environment: Environment
    decoder: str | None = None
    paper: dict[str, Any] = field(default_factory=dict)
    bootstrap: BootstrapOptions = field(default_factory=BootstrapOptions)
    image_ids: tuple[str, ...] = ()
    images_sha256: str = ""
    annotations_sha256: str = ""
    other_objects: dict[str, int] = field(default_factory=dict)
    limit: int | None = None
    batch_size: int | None = None
    workers: int = 0

    def columns(self) -> tuple[ScoreColumn, ...]:
        """What is measured, in the table's order."""
        columns: list[ScoreColumn] = []
        for metric in self.metrics:
            if metric.kind == "image":
                columns.append(ScoreColumn(metric.key, metric.heading, metric))
            elif len(self.detectors) == 1:
                columns.append(ScoreColumn(metric.key, metric.heading, metric, self.detectors[0]))
            else:
                names = self._detector_names()
                columns += [
                    ScoreColumn(f"{metric.key} {names[d.label]}", f"{metric.heading} {names[d.label]}", metric, d)
                    for d in self.detectors
                ]
        return tuple(columns)

    def headline_first(self) -> tuple[ScoreColumn, ...]:
        """The columns, those of detections first; the first of all is the headline."""
        return tuple(sorted(self.columns(), key=lambda score: score.detector is None))

    @property
    def headline(self) -> ScoreColumn | None:
        """The score that a run is first of all about; None where nothing is measured."""
        return next(iter(self.headline_first()), None)

    def _detector_names(self) -> dict[str, str]:
        """Label of a detector -> what headings call it: its protocol alone, where there is only one detector."""
        if sum(d.frozen is None for d in self.detectors) > 1:
            return {d.label: d.label for d in self.detectors}
        return {d.label: "frozen" if d.frozen is None else "fine-tuned" for d in self.detectors}

    def frozen_score(self, score: ScoreColumn) -> ScoreColumn | None:
        """The same metric of the detector that a score's was trained from; None of a frozen detector."""
        start = score.detector.frozen if score.detector else None
        return next(
            (
                c
                for c in self.columns()
                if start is not None and c.metric == score.metric and c.detector and c.detector.label == start
            ),
            None,
        )

    def asked_of(self, enhancer: EnhancerEntry) -> tuple[DetectorEntry, ...]:
        """Every detector that an enhancer's images are shown to."""
        return tuple(one for detector in self.detectors for one in detector.asked_of(enhancer.label))

    def wanted_of(self, enhancer: EnhancerEntry) -> frozenset[str]:
        """Fingerprints of the detectors and metrics that every row of an enhancer should have."""
        detectors = (detector.fingerprint for detector in self.asked_of(enhancer))
        return frozenset([*detectors, *(m.fingerprint for m in self.metrics if m.kind == "image")])

    @property
    def input_label(self) -> str | None:
        """Label of the row that is not enhanced at all; None where the run has no such row."""
        return next((enhancer.label for enhancer in self.enhancers if enhancer.is_input), None)

    @property
    def bounds(self) -> frozenset[str]:
        """Labels of the rows that stand for a limit and do not compete."""
        return frozenset(enhancer.row for enhancer in self.enhancers if enhancer.upper_bound)

    @cached_property
    def rows(self) -> dict[str, tuple[EnhancerEntry, ...]]:
        """Label of a row of the table -> its enhancer, or the several trainings of its method."""
        rows: dict[str, list[EnhancerEntry]] = {}
        for enhancer in self.enhancers:
            rows.setdefault(enhancer.row, []).append(enhancer)
        return {label: tuple(entries) for label, entries in rows.items()}

    def to_json(self) -> str:
        """Strict JSON with sorted keys."""
        return json.dumps({"version": RECORD_VERSION, **asdict(self)}, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(
        cls, text: str, *, where: str | Path = "record", classes_of: Callable[[str], Sequence[str]] = lambda _: ()
    ) -> RunRecord:
        """Read what `to_json` wrote, of this version of duskbench or an earlier one.

        Args:
            text: JSON.
            where: For errors.
            classes_of: Classes of a detector by its fingerprint, which the first version kept elsewhere.

        Raises:
            DataError: The text is damaged, or of a later version.
        """
        from duskbench.benchmarks.first_version import record_values

        try:
            values = strict_json(text)
            version = values.pop("version", 1)
            if version > RECORD_VERSION:
                raise DataError(
                    "The record of the run was written by a later version of duskbench.",
                    where=where,
                    expected=f"version {RECORD_VERSION} or earlier",
                    got=f"version {version}",
                )
            values = record_values(values, classes_of) if version == 1 else values
            return from_values(cls, {**values, "protocol": Protocol.from_config(values["protocol"])})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(
                "The record of the run is damaged.",
                where=where,
                got=f"{type(error).__name__}: {error}",
                todo="restore the file from a copy, or run again into another --out",
            ) from error
