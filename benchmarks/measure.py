"""Decode, enhance, detect, measure: one pass over each image."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from duskbench.benchmarks.decoding import decode_ahead
from duskbench.benchmarks.kept_pictures import image_path, write_picture
from duskbench.benchmarks.metrics.base import ImageMetric, Value
from duskbench.benchmarks.metrics.contract import checked_value
from duskbench.benchmarks.metrics.registry import load_metric
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import DetectorEntry, EnhancerEntry, MetricEntry
from duskbench.benchmarks.rows import Detected, Key, Measured, Row
from duskbench.benchmarks.units import CHANGED, ImageFile, Task, Unit, decoder_fingerprint, labels_of
from duskbench.data_tools.errors import ConfigError, DataError, DuskbenchError, EnhancerError, MetricError
from duskbench.data_tools.plugins import naming
from duskbench.pipeline.allocator import keep_freed_memory
from duskbench.pipeline.detectors.base import Detector
from duskbench.pipeline.detectors.results_file import ResultsFile
from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.registry import load_detector, load_enhancer

# Pictures that wait for a batch of theirs to fill take at most so much memory.
_WAITING_BYTES = 2**28


@dataclass(frozen=True)
class MeasureOptions:
    """What a worker needs to build its own measuring chain; picklable."""

    enhancers: tuple[EnhancerEntry, ...]
    detectors: tuple[DetectorEntry, ...]
    metrics: tuple[MetricEntry, ...]
    protocol: Protocol
    decoder: str
    device: str
    image_ids: tuple[str, ...] = ()
    batch_size: int | None = None
    save_images: Path | None = None

    def batch_size_of(self, detector: DetectorEntry) -> int:
        """Images that a detector is given at a time."""
        return self.batch_size or detector.batch_size

    @property
    def together(self) -> int:
        """Enhanced images that wait for each other: as many as fill the largest batch."""
        return max(map(self.batch_size_of, self.detectors), default=1)


@dataclass(frozen=True)
class _Enhanced:
    """A task on its way: the row so far, and the pictures that detectors and metrics look at."""

    task: Task
    unit: Unit
    row: Row
    original: np.ndarray
    enhanced: np.ndarray


class Measurer:
    """Holds the loaded enhancers, detectors and metrics, and turns units of work into rows."""

    def __init__(self, options: MeasureOptions) -> None:
        _pin_threads()
        keep_freed_memory()
        self.options = options
        self._enhancers: dict[int, Enhancer] = {}
        self._detectors: dict[str, Detector] = {}
        self._metrics: dict[str, ImageMetric] = {}
        self._labels = labels_of(options.enhancers)
        # The one that was read last: an image's rows follow each other.
        self._reference: tuple[ImageFile, np.ndarray] | None = None

    def load(self) -> None:
        """Load all that the run asks for, which is otherwise loaded when it is needed, and compare it with the plan.

        Raises:
            DuskbenchError: Something cannot be loaded, or is not what was planned.
        """
        _check_fingerprint("The code that reads images", self.options.decoder, decoder_fingerprint())
        for index, enhancer in enumerate(self.options.enhancers):
            if enhancer.error is None:
                self._enhancer(index)
        for detector in self.options.detectors:
            self._detector(detector)
        for metric in self.options.metrics:
            self._metric(metric)

    def measure(self, units: Sequence[Unit]) -> Iterator[Row]:
        """Measure units; rows come as soon as their batch is through. An image's failure is its row's error."""
        batch: list[_Enhanced] = []
        for made in self._enhanced(units):
            if isinstance(made, Row):
                yield made
                continue
            batch.append(made)
            if len(batch) >= self.options.together:
                yield from self._look_at(batch)
                batch = []
        if batch:
            yield from self._look_at(batch)

    def _enhanced(self, units: Sequence[Unit]) -> Iterator[_Enhanced | Row]:
        """Enhanced images, or rows with an error."""
        # Of enhancers that want several images at once, those that wait for more.
        waiting: dict[int, list[_Enhanced]] = {}
        for decoded in decode_ahead(units):
            unit, image = decoded.unit, decoded.image
            if isinstance(image, DuskbenchError):
                yield from (Row(task.key, error=_describe(image)) for task in unit.tasks)
                continue
            for task in unit.tasks:
                made = _Enhanced(task, unit, Row(task.key, ms_decode=decoded.ms), image, image)
                size = self.options.enhancers[task.index].batch_size
                if size == 1:
                    yield self._enhance(made)
                    continue
                together = waiting.setdefault(task.index, [])
                together.append(made)
                if len(together) >= size or sum(each.original.size for each in together) >= _WAITING_BYTES:
                    yield from self._enhance_many(task.index, waiting.pop(task.index))
        for index, together in waiting.items():
            yield from self._enhance_many(index, together)

    def _enhance(self, made: _Enhanced) -> _Enhanced | Row:
        try:
            enhancer = self._enhancer(made.task.index)
            start = time.perf_counter()
            enhanced = enhancer(made.original, image_id=made.row.key.image_id)
            return self._saved(made, enhanced, _milliseconds(start))
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; its row says what
            return replace(made.row, error=_describe(error))

    def _enhance_many(self, index: int, together: list[_Enhanced]) -> Iterator[_Enhanced | Row]:
        try:
            enhancer = self._enhancer(index)
            start = time.perf_counter()
            results = enhancer.many([m.original for m in together], [m.row.key.image_id for m in together])
            ms = _milliseconds(start) / len(together)
        except Exception as error:  # noqa: BLE001 - as above, of all of them
            yield from (replace(made.row, error=_describe(error)) for made in together)
            return
        for made, result in zip(together, results, strict=True):
            if isinstance(result, EnhancerError):
                yield replace(made.row, error=_describe(result))
                continue
            try:
                yield self._saved(made, result, ms)
            except (DuskbenchError, OSError) as error:
                yield replace(made.row, error=_describe(error))

    def _saved(self, made: _Enhanced, enhanced: np.ndarray, ms: float) -> _Enhanced:
        if self.options.save_images is not None:
            key = made.row.key
            for label in self._labels[key.enhancer]:
                write_picture(image_path(self.options.save_images, label, key.image_id), enhanced, key)
        return replace(made, row=replace(made.row, ms_enhance=ms), enhanced=enhanced)

    def _enhancer(self, index: int) -> Enhancer:
        if index not in self._enhancers:
            entry = self.options.enhancers[index]
            loaded = load_enhancer(entry.spec, device=self.options.device)
            _check_fingerprint(f"Enhancer {entry.label!r}", entry.fingerprint, loaded.fingerprint)
            self._enhancers[index] = loaded
        return self._enhancers[index]

    def _look_at(self, batch: list[_Enhanced]) -> Iterator[Row]:
        found: list[dict[str, Detected]] = [{} for _ in batch]
        for entry in self.options.detectors:
            asked = [n for n, made in enumerate(batch) if entry.fingerprint in made.task.missing]
            size = self.options.batch_size_of(entry)
            for some in (asked[start : start + size] for start in range(0, len(asked), size)):
                results = self._detect(entry, [batch[n].enhanced for n in some], [batch[n].row.key for n in some])
                for n, result in zip(some, results, strict=True):
                    found[n][entry.fingerprint] = result
        for made, detections in zip(batch, found, strict=True):
            yield replace(made.row, detections=detections, values=self._values(made))

    def _detect(self, entry: DetectorEntry, images: list[np.ndarray], keys: list[Key]) -> list[Detected]:
        start = time.perf_counter()
        try:
            detector = self._detector(entry)
            if isinstance(detector, ResultsFile):
                found = detector.detect_by_id([key.image_id for key in keys])
            else:
                found = detector.detect(images)
        except Exception as error:  # noqa: BLE001 - a foreign detector may raise anything
            if len(images) == 1:
                return [Detected(error=_describe(error))]
            # One bad image must not take its batch with it.
            return [self._detect(entry, [i], [k])[0] for i, k in zip(images, keys, strict=True)]
        ms = _milliseconds(start) / len(images)
        return [Detected(d.boxes_xyxy, d.scores, d.labels, ms) for d in found]

    def _detector(self, entry: DetectorEntry) -> Detector:
        if entry.fingerprint not in self._detectors:
            loaded = load_detector(entry.spec, entry.checkpoint, device=self.options.device)
            _check_fingerprint(f"Detector {entry.label!r}", entry.fingerprint, loaded.fingerprint)
            if isinstance(loaded, ResultsFile):
                # Which of its names means which image depends on all of them, and a worker sees some.
                loaded.check_images(self.options.image_ids, all_known=False)
            self._detectors[entry.fingerprint] = loaded
        return self._detectors[entry.fingerprint]

    def _values(self, made: _Enhanced) -> dict[str, Measured]:
        values = {}
        for entry in self.options.metrics:
            if entry.fingerprint in made.task.missing:
                start = time.perf_counter()
                try:
                    value = self._value(entry, made)
                except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; its row says what
                    values[entry.fingerprint] = Measured(error=_describe(error))
                    continue
                values[entry.fingerprint] = Measured(value.number, value.reason, _milliseconds(start))
        return values

    def _value(self, entry: MetricEntry, made: _Enhanced) -> Value:
        metric = self._metric(entry)
        given: dict[str, np.ndarray] = {}
        if "original" in metric.needs:
            given["original_rgb"] = made.original
        if "reference" in metric.needs:
            given["reference_rgb"] = self._read_reference(made.unit)
        with naming(MetricError, f"Metric {entry.key!r} failed.", type(metric), made.row.key.image_id):
            try:
                value = metric.measure(made.enhanced, **given)
            except (DataError, MetricError) as error:
                # The metric does not know which image it was given.
                reference = [str(made.unit.reference.path)] if made.unit.reference is not None and given else []
                raise MetricError(
                    error.what,
                    where=", reference ".join([made.row.key.image_id, *reference]),
                    expected=error.expected,
                    got=error.got,
                    todo=error.todo,
                ) from error
        return checked_value(value, entry.key, made.row.key.image_id)

    def _metric(self, entry: MetricEntry) -> ImageMetric:
        if entry.fingerprint not in self._metrics:
            loaded = load_metric(entry.spec, self.options.protocol, device=self.options.device)
            assert isinstance(loaded, ImageMetric)  # noqa: S101 - its entry says so
            _check_fingerprint(f"Metric {entry.key!r}", entry.fingerprint, loaded.fingerprint)
            self._metrics[entry.fingerprint] = loaded
        return self._metrics[entry.fingerprint]

    def _read_reference(self, unit: Unit) -> np.ndarray:
        assert unit.reference is not None  # noqa: S101 - the plan looked
        if self._reference is None or self._reference[0] != unit.reference:
            self._reference = (unit.reference, unit.reference.image())
        return self._reference[1]


def _check_fingerprint(what: str, planned: str, loaded: str) -> None:
    """A row is stored under the fingerprints of the plan, so nothing else may make it."""
    if loaded != planned:
        raise ConfigError(
            f"{what} {CHANGED}",
            expected=f"fingerprint {planned[:12]}",
            got=loaded[:12],
            todo="start the run again: its code or weights were changed meanwhile",
        )


def _pin_threads() -> None:
    """One thread for each process: sums over several are rounded otherwise, and rows must not depend on the machine."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _milliseconds(start: float) -> float:
    return (time.perf_counter() - start) * 1000


def _describe(error: Exception) -> str:
    return str(error) if isinstance(error, DuskbenchError) else f"{type(error).__name__}: {error}"
