"""Metrics that run in a process of their own: as a benchmark sees them, and how they are asked there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from duskbench.benchmarks.metrics.base import DetectionMetric, ImageMetric, Metric, Ranked, Ranking, Value
from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.benchmarks.metrics.contract import (
    build_metric,
    checked_number,
    checked_ranked,
    checked_value,
)
from duskbench.data_tools.errors import MetricError
from duskbench.data_tools.fingerprint import argument_files, identity, plugin_fingerprint
from duskbench.data_tools.host.host import Host
from duskbench.data_tools.host.plugin import Plugin
from duskbench.data_tools.host.serve import Answer
from duskbench.data_tools.plugins import naming
from duskbench.data_tools.registry import load_named

_SERVED = f"{__name__}:ServedMetric"
_DESCRIBED = ("key", "heading", "better", "digits", "factor", "tolerance")


def host_metric(target: str, arguments: Mapping[str, Any], offered: Mapping[str, Any], time_limit: float) -> Metric:
    """Start a metric in a process of its own.

    Args:
        target: As in `Plugin`.
        arguments: What it is built with.
        offered: Protocol and device, for a constructor with such parameters.
        time_limit: Seconds that it may take for an image.

    Raises:
        DuskbenchError: It cannot be built.
    """
    host = Host(Plugin("metric", _SERVED, target, arguments, offered, time_limit))
    return HostedImageMetric(host) if host.about["of_images"] else HostedDetectionMetric(host)


class _Hosted(Metric):
    """What both kinds share: all that a metric says of itself came with the first reply."""

    def __init__(self, host: Host) -> None:
        self._host = host
        for name in (*_DESCRIBED, "arguments"):
            setattr(self, name, host.about[name])

    def describe(self) -> str | None:
        """The line under a table."""
        note: str | None = self._host.about["note"]
        return note

    @property
    def fingerprint(self) -> str:
        """Hash of the plug-in's code, arguments and the files these name."""
        fingerprint: str = self._host.about["fingerprint"]
        return fingerprint

    @property
    def identity(self) -> str:
        """Hash of arguments and files alone."""
        identity: str = self._host.about["identity"]
        return identity


class HostedImageMetric(_Hosted, ImageMetric):
    """A metric of single images in a process of its own; see `ImageMetric`."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.needs = frozenset(host.about["needs"])  # type: ignore[misc]

    def measure(self, image_rgb: np.ndarray, **given: np.ndarray) -> Value:
        """Measure one image; see `ImageMetric.measure`."""
        reply = self._host.ask({"do": "measure", "given": list(given)}, [image_rgb, *given.values()])
        return Value(reply["number"], reply["reason"])

    def aggregate(self, numbers: np.ndarray) -> float:
        """The number of a data set; see `ImageMetric.aggregate`."""
        number: float = self._host.ask({"do": "aggregate"}, [numbers])["number"]
        return number

    @property
    def is_mean(self) -> bool:
        """Whether `aggregate` is the mean."""
        is_mean: bool = self._host.about["is_mean"]
        return is_mean


class HostedDetectionMetric(_Hosted, DetectionMetric):
    """A metric of all detections in a process of its own; see `DetectionMetric`."""

    def rank(self, truth: Boxes, found: Boxes, classes: Sequence[str]) -> Ranked:
        """Decide which detections found an object; see `DetectionMetric.rank`."""
        columns = [*vars(truth).values(), *vars(found).values()]
        images = len(np.union1d(truth.images, found.images))
        reply = self._host.ask({"do": "rank", "classes": list(classes)}, columns, images=images)
        arrays = iter(reply["arrays"])
        by_class = {
            name: tuple(Ranking(next(arrays), next(arrays), next(arrays) if known else None) for known in rankings)
            for name, rankings in reply["by_class"]
        }
        return Ranked(by_class, reply["mode"], {name: tuple(of) for name, of in reply["pools"].items()})


class ServedMetric:
    """A metric in its own process and how requests to it are answered; arguments as in `Served`."""

    def __init__(self, target: str, arguments: Mapping[str, Any], **offered: Any) -> None:
        # Of one of the two kinds; requests are made by the class for that kind.
        self._named = load_named("metric", target)
        self.metric: Any = build_metric(self._named.code, target, arguments, **offered)
        # A class may name some of its arguments, or a class that it is derived from its own only.
        self.metric.arguments = {**self.metric.arguments, **arguments}

    @property
    def code(self) -> object:
        """Where errors point to."""
        return type(self.metric)

    def describe(self) -> dict[str, Any]:
        """What the other side shows of it and stores with its numbers."""
        metric = self.metric
        files = argument_files(metric.arguments, self._named.code)
        of_images = isinstance(metric, ImageMetric)
        return {
            **{name: getattr(metric, name) for name in _DESCRIBED},
            "arguments": dict(metric.arguments),
            "note": metric.describe(),
            "fingerprint": plugin_fingerprint(str(metric.fingerprint), self._named, files),
            "identity": identity({"own": str(metric.identity)}, files) if files else str(metric.identity),
            "of_images": of_images,
            "needs": sorted(metric.needs) if isinstance(metric, ImageMetric) else [],
            "is_mean": metric.is_mean if isinstance(metric, ImageMetric) else True,
        }

    def answer(self, request: dict[str, Any], arrays: list[np.ndarray]) -> Answer:
        """Measure, aggregate or rank; what comes back is checked."""
        with naming(MetricError, f"Metric {self.metric.key!r} failed.", self.code):
            return getattr(self, f"_{request['do']}")(request, arrays)

    def _measure(self, request: dict[str, Any], arrays: list[np.ndarray]) -> Answer:
        given = dict(zip(request["given"], arrays[1:], strict=True))
        value = checked_value(self.metric.measure(arrays[0], **given), self.metric.key)
        return {"number": value.number, "reason": value.reason}, []

    def _aggregate(self, request: dict[str, Any], arrays: list[np.ndarray]) -> Answer:
        number = self.metric.aggregate(arrays[0])
        return {"number": checked_number(number, self.metric.key)}, []

    def _rank(self, request: dict[str, Any], arrays: list[np.ndarray]) -> Answer:
        half = len(arrays) // 2
        truth, found = Boxes(*arrays[:half]), Boxes(*arrays[half:])
        made = self.metric.rank(truth, found, request["classes"])
        ranked = checked_ranked(made, truth, found, request["classes"], self.metric.key)
        columns = [
            column
            for rankings in ranked.by_class.values()
            for each in rankings
            for column in (each.images, each.tp, each.positions)
            if column is not None
        ]
        by_class = [[name, [r.positions is not None for r in rankings]] for name, rankings in ranked.by_class.items()]
        return {"by_class": by_class, "mode": ranked.mode, "pools": ranked.pools}, columns
