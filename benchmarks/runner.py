"""A benchmark run from configuration to stored rows, taken up again where it was cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from duskbench.benchmarks.config import BenchmarkConfig
from duskbench.benchmarks.measure import MeasureOptions
from duskbench.benchmarks.plan import (
    NO_DETECTOR,
    PlannedEnhancer,
    Unit,
    open_images,
    plan_enhancers,
    plan_units,
    read_images,
)
from duskbench.benchmarks.progress import RunProgress
from duskbench.benchmarks.provenance import annotations_sha256, available_cores, environment, images_sha256
from duskbench.benchmarks.references import reference_folder
from duskbench.benchmarks.statistics import BootstrapOptions
from duskbench.benchmarks.store import ResultStore, Row, StoredImage
from duskbench.benchmarks.workers import measure_here, measure_in_processes
from duskbench.data_tools.errors import DataError
from duskbench.pipeline.detectors.base import Detector
from duskbench.pipeline.device import torch_device
from duskbench.pipeline.registry import load_detector

# Below this many rows, starting processes costs more than they win.
_ROWS_WORTH_PROCESSES = 64
_FAILURES_SHOWN = 10


@dataclass(frozen=True)
class RunOptions:
    """How to run; nothing here changes a number.

    Attributes:
        out: Folder of the results; an earlier run's rows there are used again.
        device: Torch device.
        checkpoint: Weights of the detector, where the configuration's are not meant.
        batch_size: Images that the detector takes at a time.
        workers: Processes; 0 chooses one per core on a CPU and one on a GPU.
        limit: Only so many images.
        save_images: Whether to keep the enhanced images under `out/images`.
        keep_broken: Whether the run goes on without an enhancer that cannot be built for whatever reason.
    """

    out: Path
    device: str = "cpu"
    checkpoint: str | None = None
    batch_size: int = 1
    workers: int = 0
    limit: int | None = None
    save_images: bool = False
    keep_broken: bool = False


@dataclass
class RunSummary:
    """What became of a run."""

    total: int = 0
    reused: int = 0
    measured: int = 0
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    """(label of the enhancer, image id, reason)."""
    missing: list[str] = field(default_factory=list)
    broken: list[PlannedEnhancer] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every row that was asked for is there."""
        return not (self.failures or self.missing or self.broken)

    def shortfalls(self) -> list[str]:
        """What is not there and why, in a few lines; none if the run is whole."""
        lines = [f"{label}, image {image}: {reason}" for label, image, reason in self.failures[:_FAILURES_SHOWN]]
        if len(self.failures) > _FAILURES_SHOWN:
            lines.append(f"... and {len(self.failures) - _FAILURES_SHOWN} more; all are in the results.")
        if self.missing:
            lines.append(
                f"{len(self.missing)} images of the split are not in the tree (the first: "
                f"{', '.join(self.missing[:3])}); --allow-missing says that this is meant."
            )
        if self.broken:
            labels = ", ".join(enhancer.label for enhancer in self.broken)
            lines.append(f"Not built: {labels}; the notes under the table say why.")
        return lines


def run(config: BenchmarkConfig, options: RunOptions, progress: RunProgress | None = None) -> RunSummary:
    """Run a benchmark; every row is committed as it is measured, and rows that are there are not measured again.

    Args:
        config: What to measure.
        options: How.
        progress: Told how far it is.

    Returns:
        Counts, failures by image, and what was missing. `benchmarks.table` makes the table from the store.

    Raises:
        ConfigError: A name, an argument or an option is wrong.
        DataError: There is no image to measure.
        WeightsError: The detector's weights cannot be had.
        KeyboardInterrupt: Passed on; the store is consistent.
    """
    progress = progress or RunProgress()
    torch_device(options.device)
    dataset, references = open_images(config), reference_folder(config.data)
    enhancers = plan_enhancers(config, options.device, keep_broken=options.keep_broken)
    detector = None
    if config.detector is not None:
        detector = load_detector(config.detector, options.checkpoint, device=options.device)
    with ResultStore(options.out / "results.sqlite") as store:
        images = read_images(
            dataset,
            store,
            limit=options.limit,
            drop_cup=config.protocol.cup_images == "drop",
            groups=config.data.get("groups", ()),
            references=references,
            progress=progress.reading,
        )
        present = [image for image in images if image.sha256 is not None]
        if not present:
            raise DataError(
                "There is no image to measure.",
                where=dataset.root,
                got=f"{len(images)} images in split {config.data.get('split', 'test')!r}, none of them in the tree",
                todo="choose the split or the image ids with --split; `duskbench data verify` says what a tree lacks",
            )
        summary = RunSummary(broken=[e for e in enhancers if e.error is not None])
        if not config.data.get("allow_missing", False):
            summary.missing = [image.record.id for image in images if image.sha256 is None]
        if detector is not None:
            store.put_detector(detector.fingerprint, detector.name, detector.classes)
        record = _record(config, options, enhancers, detector, dataset.name, images)
        store.put_run(record)
        units = plan_units(present, enhancers, record["detector"]["fingerprint"], record["measure"], store.done())
        summary.total = len(present) * sum(e.error is None for e in enhancers)
        summary.reused = summary.total - sum(len(unit.keys) for unit in units)
        progress.planned(summary)
        labels = {e.fingerprint: e.label for e in enhancers}
        for row in _measure(units, config, options, enhancers, detector):
            store.put(row)
            summary.measured += 1
            if row.error is not None:
                summary.failures.append((labels[row.key.enhancer], row.key.image_id, row.error))
            progress.measured(summary)
    return summary


def _measure(
    units: list[Unit],
    config: BenchmarkConfig,
    options: RunOptions,
    enhancers: list[PlannedEnhancer],
    detector: Detector | None,
) -> Iterator[Row]:
    rows = sum(len(unit.keys) for unit in units)
    workers = options.workers or (available_cores() if options.device == "cpu" and rows >= _ROWS_WORTH_PROCESSES else 1)
    measure_options = MeasureOptions(
        enhancers=tuple(enhancers),
        detector=config.detector,
        checkpoint=options.checkpoint,
        device=options.device,
        batch_size=options.batch_size,
        niqe_luma=config.protocol.niqe_luma,
        ssim_channels=config.protocol.ssim_channels,
        max_detections=config.protocol.max_detections,
        save_images=options.out / "images" if options.save_images else None,
        threads=max(1, available_cores() // workers),
    )
    if workers == 1 or len(units) < 2:
        return measure_here(units, measure_options, detector)
    return measure_in_processes(units, measure_options, workers)


def _record(
    config: BenchmarkConfig,
    options: RunOptions,
    enhancers: list[PlannedEnhancer],
    detector: Detector | None,
    dataset_name: str,
    images: list[StoredImage],
) -> dict[str, Any]:
    protocol = config.protocol
    limit = "" if protocol.max_detections is None else f";max_detections={protocol.max_detections}"
    compared = "" if config.data.get("reference") is None else f";ssim={protocol.ssim_channels}"
    return {
        "name": config.name,
        "title": config.title,
        "data": {**config.data, "root": str(config.data["root"]), "name": dataset_name},
        "detector": {
            "name": detector.name if detector else None,
            "fingerprint": detector.fingerprint if detector else NO_DETECTOR,
            "identity": detector.identity if detector else NO_DETECTOR,
            # A plug-in's detector need not say; its fingerprint has them all the same.
            "weights": dict(getattr(detector, "weights", {})),
            "checkpoint": options.checkpoint,
        },
        "enhancers": [
            {
                "label": e.label,
                "spec": e.spec,
                "fingerprint": e.fingerprint,
                "error": e.error,
                "upper_bound": e.upper_bound,
                "origin": e.origin,
                "weights": e.weights,
            }
            for e in enhancers
        ],
        "protocol": protocol.to_dict(),
        "measure": f"niqe={protocol.niqe_luma}{limit}{compared}",
        "paper": config.paper,
        "bootstrap": asdict(BootstrapOptions()),
        "image_ids": [image.record.id for image in images],
        "images_sha256": images_sha256(images),
        "annotations_sha256": annotations_sha256(images),
        "limit": options.limit,
        "batch_size": options.batch_size,
        "workers": options.workers,
        "environment": environment(options.device),
    }
