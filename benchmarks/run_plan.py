"""What a run is of: its options, and all of its record that is known before anything is measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from duskbench.benchmarks.config import BenchmarkConfig
from duskbench.benchmarks.descriptions import Known
from duskbench.benchmarks.executors import fork_server
from duskbench.benchmarks.executors.choice import ClusterOptions, default_workers, worker_device
from duskbench.benchmarks.images import open_images, read_images
from duskbench.benchmarks.plan import plan_detectors, plan_enhancers, plan_metrics
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.provenance import annotations_sha256, environment, images_sha256
from duskbench.benchmarks.record import DataEntry, DetectorEntry, EnhancerEntry, MetricEntry, RunRecord
from duskbench.benchmarks.references import reference_folder
from duskbench.benchmarks.rows import StoredImage
from duskbench.benchmarks.store import RESULTS
from duskbench.benchmarks.units import decoder_fingerprint
from duskbench.data_tools.classes import class_key
from duskbench.data_tools.records import Dataset
from duskbench.pipeline.device import chosen_device

# Below this many rows, starting processes costs more than they win.
_ROWS_WORTH_PROCESSES = 64


@dataclass(frozen=True)
class RunOptions:
    """How to run; nothing here changes a number.

    Attributes:
        out: Folder of the results; an earlier run's rows there are used again.
        device: Torch device; `auto` becomes a GPU if there is one, else the CPU.
        checkpoint: Weights of the detector, where the configuration's are not meant.
        batch_size: Images that a detector is given at a time; None for as many as suits each.
        workers: Processes; 0 chooses one per core or per GPU, and on a cluster as many as it has room for.
        cluster: Where else than on this machine to measure.
        limit: Only so many images.
        save_images: Whether to keep the enhanced images under `out/images`.
        keep_broken: Whether the run goes on without an enhancer that cannot be built for whatever reason.
    """

    out: Path
    device: str = "auto"
    checkpoint: str | None = None
    batch_size: int | None = None
    workers: int = 0
    cluster: ClusterOptions | None = None
    limit: int | None = None
    save_images: bool = False
    keep_broken: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", chosen_device(self.device))

    @property
    def results(self) -> Path:
        """The file of the results."""
        return self.out / RESULTS

    @property
    def pictures(self) -> Path | None:
        """Where the enhanced images are kept; None where they are not."""
        return (self.out / "images").absolute() if self.save_images else None


@dataclass(frozen=True)
class RunPlan:
    """What a run asks for, found out before its images are read."""

    config: BenchmarkConfig
    options: RunOptions
    dataset: Dataset
    references: Path | None
    known: Known
    enhancers: tuple[EnhancerEntry, ...]
    detectors: tuple[DetectorEntry, ...]
    metrics: tuple[MetricEntry, ...]

    def read_images(
        self, earlier: Mapping[str, StoredImage], progress: Callable[[int, int], None] | None = None
    ) -> list[StoredImage]:
        """The images as they are now, see `benchmarks.images.read_images`."""
        return read_images(
            self.dataset,
            earlier,
            limit=self.options.limit,
            drop_cup=self.config.protocol.cup_images == "drop",
            groups=self.config.data.get("groups", ()),
            references=self.references,
            progress=progress,
        )

    def record(self, images: Sequence[StoredImage]) -> RunRecord:
        """The record of a run of these images."""
        config, options = self.config, self.options
        image_ids = tuple(image.record.id for image in images)
        # An expression that does not fit is found out before anything is measured.
        config.bootstrap.clusters(image_ids)
        device = worker_device(options.device, options.cluster)
        return RunRecord(
            name=config.name,
            title=config.title,
            data=data_entry(config.data, self.dataset.name, self.dataset.notes),
            detectors=self.detectors,
            enhancers=self.enhancers,
            metrics=self.metrics,
            protocol=config.protocol,
            environment=replace(environment(options.device), device=device),
            decoder=decoder_fingerprint(),
            paper=config.paper,
            bootstrap=config.bootstrap,
            image_ids=image_ids,
            images_sha256=images_sha256(images),
            annotations_sha256=annotations_sha256(images),
            other_objects=_other_objects(images, config.protocol),
            limit=options.limit,
            batch_size=options.batch_size,
            workers=options.workers,
        )


def plan_run(config: BenchmarkConfig, options: RunOptions, trained: tuple[DetectorEntry, ...] = ()) -> RunPlan:
    """Find out what a run asks for; nothing is written.

    Args:
        config: What to measure.
        options: How.
        trained: See `benchmarks.runner.run`.

    Raises:
        ConfigError: A name, an argument or an option is wrong.
        DataError: The data set is not there.
        WeightsError: A detector's weights cannot be had.
    """
    dataset, references = open_images(config), reference_folder(config.data)
    known = Known(options.results)
    if _wants_processes(config, dataset, options):
        # What they import, this process need not.
        fork_server.preload(config.enhancers, config.detectors, options.device)
        known.call = fork_server.call
    enhancers = plan_enhancers(config, options.device, known, dataset, keep_broken=options.keep_broken)
    detectors = (*plan_detectors(config, options.checkpoint, options.device, known, dataset), *trained)
    metrics = plan_metrics(config, reference=references is not None, detector=bool(detectors))
    return RunPlan(config, options, dataset, references, known, tuple(enhancers), detectors, metrics)


def _wants_processes(config: BenchmarkConfig, dataset: Dataset, options: RunOptions) -> bool:
    """Whether the run has several workers on this machine if all of its rows are missing."""
    if options.cluster is not None:
        return False
    rows = min(len(dataset.ids), options.limit or len(dataset.ids)) * len(config.enhancers)
    return wanted_workers(rows, options) > 1


def wanted_workers(rows: int, options: RunOptions) -> int:
    """Processes for so many rows: those that were asked for, or as many as are worth starting."""
    return options.workers or (default_workers(options.device) if rows >= _ROWS_WORTH_PROCESSES else 1)


def _other_objects(images: Iterable[StoredImage], protocol: Protocol) -> dict[str, int]:
    """Class that a protocol does not ask for -> number of objects, the most frequent first."""
    asked = set(map(class_key, protocol.classes))
    names = [o.name for image in images for o in image.record.objects or () if class_key(o.name) not in asked]
    return dict(Counter(names).most_common())


def data_entry(data: Mapping[str, Any], name: str, notes: Iterable[str] = ()) -> DataEntry:
    """What a run's record keeps of a configuration's `data`."""
    known = ("root", "split", "groups", "reference")
    split, reference = data.get("split", "test"), data.get("reference")
    return DataEntry(
        name=name,
        root=str(data["root"]),
        split=split if isinstance(split, str) else ", ".join(map(str, split)),
        groups=tuple(data.get("groups", ())),
        reference=None if reference is None else str(reference),
        options={key: value for key, value in data.items() if key not in known},
        notes=tuple(notes),
    )
