"""The metrics by name, and the function that turns a name, a file or an entry point into one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from duskbench.benchmarks.metrics.base import ImageMetric, Metric
from duskbench.benchmarks.metrics.contract import build_metric
from duskbench.benchmarks.metrics.hosted import host_metric
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import MetricEntry
from duskbench.data_tools.host.plugin import seconds_an_image
from duskbench.data_tools.registry import Entry, Registry
from duskbench.data_tools.specs import split_spec

METRICS = Registry(
    "metric",
    {
        "niqe": Entry("duskbench.benchmarks.metrics.of_images:Niqe"),
        "psnr": Entry("duskbench.benchmarks.metrics.of_images:Psnr"),
        "ssim": Entry("duskbench.benchmarks.metrics.of_images:Ssim"),
        "brisque": Entry("duskbench.benchmarks.metrics.brisque:Brisque"),
        "loe": Entry("duskbench.benchmarks.metrics.loe:Loe"),
        "voc_ap": Entry("duskbench.benchmarks.metrics.voc_ap:VocAPMetric"),
        "micro_ap": Entry("duskbench.benchmarks.metrics.voc_ap:MicroAPMetric"),
        "coco_ap": Entry("duskbench.benchmarks.metrics.coco_ap:CocoAPMetric"),
        "coco_ap50": Entry("duskbench.benchmarks.metrics.coco_ap:CocoAP50Metric"),
        "coco_ap75": Entry("duskbench.benchmarks.metrics.coco_ap:CocoAP75Metric"),
    },
)

# What a benchmark measures where its configuration does not say; a metric that lacks what it needs is left out.
DEFAULT_METRICS: tuple[str, ...] = ("niqe", "voc_ap", "psnr", "ssim")
COCO_METRICS: tuple[str, ...] = ("coco_ap", "coco_ap50", "coco_ap75")


def load_metric(spec: str | Mapping[str, Any], protocol: Protocol | None = None, *, device: str = "cpu") -> Metric:
    """Turn a specification into a metric; code that is not duskbench's own runs in a process of its own.

    Args:
        spec: A registered name, `"niqe"`, with arguments if wanted, `"niqe(luma='ycbcr_y')"`; one that an installed
            package brings (entry points `duskbench.metrics`); a class of your own, `"file.py:Class"` or
            `"package.module:Class"`; or a dict `{"type": <any of these>, **arguments}`.
        protocol: Passed to metrics whose constructor has such a parameter; None for the default.
        device: Torch device, likewise.

    Raises:
        UnknownNameError: No such name or argument; the message has the nearest ones.
        ConfigError: What stands there is no metric, or does not say what it is.
        MetricError: It fails while it is built, or ends its process, or takes too long.
    """
    target, arguments = split_spec(spec, "metric")
    offered = {"protocol": protocol or Protocol(), "device": device}
    if not isinstance(target, str):
        return build_metric(target, getattr(target, "__qualname__", type(target).__name__), arguments, **offered)
    if METRICS.is_foreign(target):
        return host_metric(target, arguments, offered, seconds_an_image())
    return build_metric(METRICS.load(target), target, arguments, **offered)


def metric_entry(metric: Metric, spec: str | Mapping[str, Any]) -> MetricEntry:
    """What a run's record keeps of a metric."""
    target, arguments = split_spec(spec, "metric")
    # A file of one's own may be named from another folder next time.
    place, colon, name = target.rpartition(":")
    if place.endswith(".py"):
        target = f"{Path(place).resolve()}{colon}{name}"
    return MetricEntry(
        key=metric.key,
        spec={"type": target, **arguments} if arguments else target,
        fingerprint=metric.fingerprint,
        identity=metric.identity,
        kind="image" if isinstance(metric, ImageMetric) else "detections",
        heading=metric.heading,
        better=metric.better,
        digits=metric.digits,
        factor=metric.factor,
        tolerance=metric.tolerance,
        is_mean=not isinstance(metric, ImageMetric) or metric.is_mean,
        note=metric.describe(),
    )
