"""From stored rows to the numbers of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from duskbench.benchmarks.evidence import (
    Boxes,
    Measured,
    RunImages,
    ground_truth,
    read_measured,
    read_run_images,
)
from duskbench.benchmarks.judge import judge, sample_of
from duskbench.benchmarks.metrics.coco_ap import coco_ap
from duskbench.benchmarks.statistics import Bootstrap, BootstrapOptions, Difference, Interval, Sample
from duskbench.benchmarks.store import ResultStore
from duskbench.data_tools.errors import UnknownNameError


@dataclass(frozen=True)
class EnhancerResult:
    """What one enhancer reached.

    Attributes:
        label: Row of the table.
        n_images: Images with a result.
        n_expected: Images of the run.
        failures: Image id -> reason.
        niqe: Mean over the images that have one; None where none has.
        niqe_reasons: Reason -> number of images without a NIQE.
        niqe_by_group: Group -> mean.
        psnr: Mean PSNR in decibels over the images that have one; None without references.
        ssim: Mean SSIM likewise.
        compared_reasons: Reason -> number of images without a PSNR or an SSIM.
        map: Mean AP over the protocol's classes, 0 to 1; None without detector or ground truth.
        ap: Class -> AP, None for a class without ground truth here.
        coco: AP50:95, AP50, AP75 by name; empty unless asked for.
        ms_enhance: Mean milliseconds per image.
        error: Why the enhancer could not be built.
        map_interval: `map` with its bootstrap interval; None where `map` is.
        niqe_interval: `niqe` with its interval.
        ap_intervals: Class -> AP with its interval, of the classes that have one.
        against: Label of a reference -> difference to it: Input first, then the chosen one; none to itself.
    """

    label: str
    n_images: int
    n_expected: int
    failures: dict[str, str] = field(default_factory=dict)
    niqe: float | None = None
    niqe_reasons: dict[str, int] = field(default_factory=dict)
    niqe_by_group: dict[str, float | None] = field(default_factory=dict)
    psnr: float | None = None
    ssim: float | None = None
    compared_reasons: dict[str, int] = field(default_factory=dict)
    map: float | None = None
    ap: dict[str, float | None] = field(default_factory=dict)
    coco: dict[str, float | None] = field(default_factory=dict)
    ms_enhance: float | None = None
    error: str | None = None
    map_interval: Interval | None = None
    niqe_interval: Interval | None = None
    ap_intervals: dict[str, Interval] = field(default_factory=dict)
    against: dict[str, Difference] = field(default_factory=dict)


def evaluate(
    store: ResultStore,
    record: Mapping[str, Any],
    *,
    coco: bool = False,
    bootstrap: BootstrapOptions | None = None,
    reference: str | None = None,
) -> list[EnhancerResult]:
    """Compute every number of a run's table.

    Args:
        store: The results.
        record: The run's record, see `ResultStore.last_run`.
        coco: Whether to compute COCO AP as well (pycocotools, some seconds an enhancer at full size).
        bootstrap: How to resample for the intervals; None for the record's options.
        reference: Label of an enhancer to compare with, besides Input.

    Returns:
        One result per enhancer, in the run's order.

    Raises:
        UnknownNameError: The run has no such reference.
    """
    run = read_run_images(store, record)
    references = reference_labels(record, reference)
    results, samples = [], {}
    for measured in read_measured(store, record, run):
        result, sample = _evaluate_one(measured, run, coco)
        results.append(result)
        if sample is not None:
            samples[measured.label] = sample
    return with_intervals(results, samples, references, run, bootstrap or bootstrap_options(record))


def bootstrap_options(record: Mapping[str, Any]) -> BootstrapOptions:
    """The options in a run's record; the defaults for a record from before they were kept."""
    return BootstrapOptions(**record.get("bootstrap", {}))


def input_label(record: Mapping[str, Any]) -> str | None:
    """Label of the row that is not enhanced at all; None where the run has no such row."""
    for enhancer in record["enhancers"]:
        spec = enhancer.get("spec", enhancer["label"].lower())
        if (spec.get("type") if isinstance(spec, dict) else spec) == "input":
            return str(enhancer["label"])
    return None


def reference_labels(record: Mapping[str, Any], reference: str | None = None) -> list[str]:
    """What differences are taken to: Input, if the run has it, and a chosen enhancer.

    Raises:
        UnknownNameError: The run has no such enhancer.
    """
    labels = [enhancer["label"] for enhancer in record["enhancers"]]
    if reference is not None and reference not in labels:
        raise UnknownNameError("reference of this run", reference, labels)
    return list(dict.fromkeys(label for label in (input_label(record), reference) if label is not None))


def with_intervals(
    results: Sequence[EnhancerResult],
    samples: Mapping[str, Sample],
    references: Sequence[str],
    run: RunImages,
    options: BootstrapOptions,
) -> list[EnhancerResult]:
    """Add intervals and differences to results; one without a sample stays as it is."""
    anywhere = np.zeros(len(run.images), bool)
    for sample in samples.values():
        anywhere |= sample.measured
    bootstrap = Bootstrap(run.objects(), options, run.protocol.ap, within=anywhere)
    completed = []
    for result in results:
        if result.label not in samples:
            completed.append(result)
            continue
        sample = samples[result.label]
        spread = bootstrap.spread(sample)
        against = {
            label: bootstrap.difference(sample, samples[label])
            for label in references
            if label != result.label and label in samples
        }
        completed.append(
            replace(
                result,
                map_interval=spread.map,
                niqe_interval=spread.niqe,
                ap_intervals=spread.ap,
                against=against,
            )
        )
    return completed


def _evaluate_one(measured: Measured, run: RunImages, coco: bool) -> tuple[EnhancerResult, Sample | None]:
    if measured.error is not None:
        return EnhancerResult(measured.label, 0, len(run.images), error=measured.error), None
    rows = measured.rows.values()
    group_of = {number: run.images[number].record.group for number in measured.rows}
    groups = sorted({group for group in group_of.values() if group is not None})
    result = EnhancerResult(
        label=measured.label,
        n_images=len(rows),
        n_expected=len(run.images),
        failures=measured.failures,
        niqe=_mean([row.niqe for row in rows]),
        niqe_reasons=dict(Counter(row.niqe_reason or "" for row in rows if row.niqe is None)),
        niqe_by_group={g: _mean([row.niqe for n, row in measured.rows.items() if group_of[n] == g]) for g in groups},
        psnr=_mean([row.psnr for row in rows]),
        ssim=_mean([row.ssim for row in rows]),
        compared_reasons={
            **Counter(f"PSNR ({row.psnr_reason})" for row in rows if row.psnr_reason),
            **Counter(f"SSIM ({row.ssim_reason})" for row in rows if row.ssim_reason),
        },
        ms_enhance=_mean([row.ms_enhance for row in rows]),
    )
    judged = judge(measured, run)
    if judged is not None:
        ap = dict(zip(run.protocol.classes, judged.result.ap, strict=True))
        result = replace(result, ap=ap, map=judged.result.mean())
        if coco:
            result = replace(result, coco=_coco(measured, run, judged.found))
    return result, sample_of(measured, run, judged)


def _coco(measured: Measured, run: RunImages, found: Boxes) -> dict[str, float | None]:
    # COCO's boxes are continuous whatever the VOC protocol says.
    continuous = ground_truth(run.images, run.protocol, plus_one=False)
    continuous = continuous.take(measured.mask(len(run.images))[continuous.images])
    scored = coco_ap(
        continuous.boxes_xyxy,
        continuous.labels,
        continuous.images,
        continuous.difficult,
        found.boxes_xyxy,
        found.scores,
        found.labels,
        found.images,
        len(run.protocol.classes),
    )
    return {"AP50:95": scored.ap, "AP50": scored.ap50, "AP75": scored.ap75}


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None
