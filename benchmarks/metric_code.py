"""The code of a run's metrics as it is today: without it some stored results make no number."""

from __future__ import annotations

from dataclasses import replace

from duskbench.benchmarks.metrics.base import DetectionMetric, Metric
from duskbench.benchmarks.metrics.registry import COCO_METRICS, load_metric, metric_entry
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import MetricEntry, RunRecord
from duskbench.data_tools.errors import DuskbenchError, MetricError


def needs_code(entry: MetricEntry) -> bool:
    """Whether a metric's number is made of stored results by its code: of detections, or of values but no mean."""
    return entry.kind == "detections" or not entry.is_mean


def load_needed(record: RunRecord) -> tuple[dict[str, Metric], tuple[str, ...]]:
    """Load the code that a run's numbers are made with.

    Args:
        record: The run's.

    Returns:
        Key of a metric -> its code, and a sentence on each whose code has gone, which is absent, or is another one than
        the run had.
    """
    metrics, notes = {}, []
    for entry in filter(needs_code, record.metrics):
        try:
            metric = _load(entry, record.protocol)
        except DuskbenchError as error:
            notes.append(f"{entry.heading}: not computed, for its code cannot be had: {error.one_line}")
            continue
        metrics[entry.key] = metric
        if metric.fingerprint != entry.fingerprint:
            notes.append(
                f"{entry.heading}: computed by today's code, which is not the run's (fingerprint "
                f"{entry.fingerprint[:12]} then, {metric.fingerprint[:12]} now)."
            )
    return metrics, tuple(notes)


def with_coco(record: RunRecord) -> RunRecord:
    """A run's record with COCO's metrics besides its own; its detections are all they need."""
    if not record.detectors:
        return record
    known = {metric.key for metric in record.metrics}
    entries = [metric_entry(load_metric(name, record.protocol), name) for name in COCO_METRICS]
    return replace(record, metrics=(*record.metrics, *(entry for entry in entries if entry.key not in known)))


def _load(entry: MetricEntry, protocol: Protocol) -> Metric:
    metric = load_metric(entry.spec, protocol)
    got = metric.key, "detections" if isinstance(metric, DetectionMetric) else "image"
    if got != (entry.key, entry.kind):
        raise MetricError(
            "A metric of the run is another one now.",
            where=str(entry.spec),
            expected=f"key {entry.key!r}, of {entry.kind}",
            got="{!r}, of {}".format(*got),
        )
    return metric
