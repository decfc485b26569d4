"""A night's measuring: a benchmark run with the reference workload in turns, and its rows read for judging."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from typing import Any

from duskbench.benchmarks.config import BenchmarkConfig
from duskbench.benchmarks.evidence import RunImages, read_run_images
from duskbench.benchmarks.nightly.kept import ImageState, Kept, image_states, read_kept
from duskbench.benchmarks.nightly.night import Reference
from duskbench.benchmarks.nightly.reference import ReferenceWorkload
from duskbench.benchmarks.progress import RunProgress
from duskbench.benchmarks.provenance import available_cores
from duskbench.benchmarks.runner import RunOptions, run
from duskbench.benchmarks.store import Key, ResultStore


@dataclass(frozen=True)
class Measured:
    """A night's rows, read for judging.

    Attributes:
        record: Of the run.
        images: Their content and ground truth, for comparing.
        run: The images for resampling.
        kept: Label -> results image by image.
        reference: The reference workload.
        environment: Versions and machine of the last start.
        rows: Counts, see `Night.rows`.
        missing: Ids of images that are not in the tree and should be.
    """

    record: dict[str, Any]
    images: list[ImageState]
    run: RunImages
    kept: dict[str, Kept]
    reference: Reference
    environment: dict[str, Any]
    rows: dict[str, int]
    missing: list[str]


def measure(config: BenchmarkConfig, options: RunOptions, progress: RunProgress | None = None) -> Measured:
    """Run the benchmark and read its rows; an enhancer that cannot be built is left out and told.

    Args:
        config: What to measure.
        options: How. `workers=0` is one process per core on a CPU, however few rows are left: the reference workload of
            two nights compares only where the processes beside it are as many.
        progress: Told how far it is.
    """
    workers = options.workers or (available_cores() if options.device == "cpu" else 1)
    reference = ReferenceWorkload(options.device, workers, max(1, available_cores() // workers), progress)
    results = options.out / "results.sqlite"
    earlier: set[Key] = set()
    if results.is_file():
        with ResultStore(results) as store:
            earlier = store.done()
    summary = run(config, replace(options, workers=workers, keep_broken=True), reference)
    with ResultStore(results, must_exist=True) as store:
        record = store.last_run()
        images = read_run_images(store, record)
        return Measured(
            record=record,
            images=image_states(images.images),
            run=images,
            kept=read_kept(store, record, images, earlier),
            reference=reference.result(),
            environment={
                **record["environment"],
                "host": platform.node(),
                "detector_code": record["detector"]["fingerprint"][:12],
            },
            rows={"total": summary.total, "reused": summary.reused, "measured": summary.measured},
            missing=summary.missing,
        )
