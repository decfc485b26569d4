"""Decode, enhance, detect, measure: one pass over each image."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.benchmarks.metrics.full_reference import SsimChannels, full_reference
from duskbench.benchmarks.metrics.niqe import Luma, niqe_batch
from duskbench.benchmarks.plan import PlannedEnhancer, Unit
from duskbench.benchmarks.store import Row
from duskbench.data_tools.errors import DataError, DuskbenchError, EnhancerError
from duskbench.data_tools.images import read_image, write_image
from duskbench.pipeline.detectors.base import Detector
from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.registry import load_detector, load_enhancer

# Pictures that wait for a batch of theirs to fill take at most so much memory.
_WAITING_BYTES = 2**28


@dataclass(frozen=True)
class MeasureOptions:
    """What a worker needs to build its own measuring chain; picklable."""

    enhancers: tuple[PlannedEnhancer, ...]
    detector: str | dict[str, Any] | None
    checkpoint: str | None
    device: str
    batch_size: int
    niqe_luma: Luma
    max_detections: int | None
    save_images: Path | None
    threads: int
    ssim_channels: SsimChannels = "rgb"


class Measurer:
    """Holds the loaded enhancers and the detector, and turns units of work into rows."""

    def __init__(self, options: MeasureOptions, detector: Detector | None = None) -> None:
        self.options = options
        self.detector = detector
        if self.detector is None and options.detector is not None:
            self.detector = load_detector(options.detector, options.checkpoint, device=options.device)
        self._enhancers: dict[int, Enhancer] = {}
        self._references: dict[str, Path] = {}
        # The one that was read last: an image's rows follow each other.
        self._reference: tuple[Path, np.ndarray] | None = None

    def measure(self, units: Sequence[Unit]) -> Iterator[Row]:
        """Measure units; rows come as soon as their batch is through. An image's failure is its row's error."""
        self._references = {unit.image_id: unit.reference for unit in units if unit.reference is not None}
        batch: list[tuple[Row, np.ndarray]] = []
        for row, enhanced in self._enhanced(units):
            if enhanced is None:
                yield row
                continue
            batch.append((row, enhanced))
            if len(batch) >= self.options.batch_size:
                yield from self._detect_and_score(batch)
                batch = []
        if batch:
            yield from self._detect_and_score(batch)

    def _enhanced(self, units: Sequence[Unit]) -> Iterator[tuple[Row, np.ndarray | None]]:
        """Rows with their enhanced image, or with an error and none."""
        # Of enhancers that want several images at once, those that wait for more.
        waiting: dict[int, list[tuple[Row, np.ndarray]]] = {}
        for unit in units:
            start = time.perf_counter()
            try:
                image = read_image(unit.path)
            except DuskbenchError as error:
                yield from ((Row(key, error=_describe(error)), None) for _, key in unit.keys)
                continue
            ms_decode = _milliseconds(start)
            for index, key in unit.keys:
                row = Row(key, ms_decode=ms_decode)
                size = self.options.enhancers[index].batch_size
                if size == 1:
                    yield self._enhance(index, row, image)
                    continue
                together = waiting.setdefault(index, [])
                together.append((row, image))
                if len(together) >= size or sum(each.size for _, each in together) >= _WAITING_BYTES:
                    yield from self._enhance_many(index, waiting.pop(index))
        for index, together in waiting.items():
            yield from self._enhance_many(index, together)

    def _enhance(self, index: int, row: Row, image: np.ndarray) -> tuple[Row, np.ndarray | None]:
        try:
            enhancer = self._enhancer(index)
            start = time.perf_counter()
            enhanced = enhancer(image, image_id=row.key.image_id)
            row = replace(row, ms_enhance=_milliseconds(start))
            self._save(index, row, enhanced)
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; its row says what
            return replace(row, error=_describe(error)), None
        return row, enhanced

    def _enhance_many(
        self, index: int, together: list[tuple[Row, np.ndarray]]
    ) -> Iterator[tuple[Row, np.ndarray | None]]:
        rows = [row for row, _ in together]
        try:
            enhancer = self._enhancer(index)
            start = time.perf_counter()
            results = enhancer.many([image for _, image in together], [row.key.image_id for row in rows])
            ms = _milliseconds(start) / len(together)
        except Exception as error:  # noqa: BLE001 - as above, of all of them
            yield from ((replace(row, error=_describe(error)), None) for row in rows)
            return
        for row, result in zip(rows, results, strict=True):
            if isinstance(result, EnhancerError):
                yield replace(row, error=_describe(result)), None
                continue
            try:
                self._save(index, row, result)
            except (DuskbenchError, OSError) as error:
                yield replace(row, error=_describe(error)), None
                continue
            yield replace(row, ms_enhance=ms), result

    def _enhancer(self, index: int) -> Enhancer:
        if index not in self._enhancers:
            self._enhancers[index] = load_enhancer(self.options.enhancers[index].spec, device=self.options.device)
        return self._enhancers[index]

    def _save(self, index: int, row: Row, enhanced: np.ndarray) -> None:
        if self.options.save_images is not None:
            label = self.options.enhancers[index].label
            write_image(image_path(self.options.save_images, label, row.key.image_id), enhanced)

    def _detect_and_score(self, batch: list[tuple[Row, np.ndarray]]) -> Iterator[Row]:
        images = [image for _, image in batch]
        rows = [row for row, _ in batch]
        if self.detector is not None:
            rows = self._detect(rows, images)
        for row, image in zip(rows, images, strict=True):
            if row.error is not None:
                yield row
                continue
            start = time.perf_counter()
            result = niqe_batch([image], device=self.options.device, luma=self.options.niqe_luma)[0]
            scored = replace(row, niqe=result.value, niqe_reason=result.reason, ms_niqe=_milliseconds(start))
            yield self._compare(scored, image)

    def _compare(self, row: Row, image: np.ndarray) -> Row:
        """Add PSNR and SSIM where the image has a reference."""
        path = self._references.get(row.key.image_id)
        if path is None:
            return row
        try:
            if self._reference is None or self._reference[0] != path:
                self._reference = (path, read_image(path))
            found = full_reference(image, self._reference[1], channels=self.options.ssim_channels)
        except DataError as error:
            where = f"{row.key.image_id}, reference {path}"
            return replace(
                row, error=_describe(DataError(error.what, where=where, expected=error.expected, got=error.got))
            )
        return replace(
            row, psnr=found.psnr, psnr_reason=found.psnr_reason, ssim=found.ssim, ssim_reason=found.ssim_reason
        )

    def _detect(self, rows: list[Row], images: list[np.ndarray]) -> list[Row]:
        assert self.detector is not None  # noqa: S101 - the caller looked
        start = time.perf_counter()
        try:
            found = self.detector.detect(images)
        except Exception as error:  # noqa: BLE001 - a foreign detector may raise anything
            if len(images) == 1:
                return [replace(rows[0], error=_describe(error))]
            # One bad image must not take its batch with it.
            return [self._detect([row], [image])[0] for row, image in zip(rows, images, strict=True)]
        ms = _milliseconds(start) / len(images)
        top = self.options.max_detections
        return [
            replace(row, boxes_xyxy=d.boxes_xyxy[:top], scores=d.scores[:top], labels=d.labels[:top], ms_detect=ms)
            for row, d in zip(rows, found, strict=True)
        ]


def image_path(root: Path, label: str, image_id: str) -> Path:
    """Where `--save-images` puts an enhanced image: root/label/id.png, the label made fit for a folder name."""
    return root / re.sub(r"[^A-Za-z0-9._-]+", "_", label).strip("_") / f"{image_id}.png"


def _milliseconds(start: float) -> float:
    return (time.perf_counter() - start) * 1000


def _describe(error: Exception) -> str:
    return str(error) if isinstance(error, DuskbenchError) else f"{type(error).__name__}: {error}"
