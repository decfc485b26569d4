"""A benchmark run from configuration to stored rows; an interrupted one is resumed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from duskbench.benchmarks.config import BenchmarkConfig
from duskbench.benchmarks.doubts import doubts
from duskbench.benchmarks.executors.choice import check_cluster, choose
from duskbench.benchmarks.kept_pictures import image_path, is_of
from duskbench.benchmarks.measure import MeasureOptions
from duskbench.benchmarks.notes import failures_by_reason
from duskbench.benchmarks.plan import add_costs
from duskbench.benchmarks.progress import RunProgress
from duskbench.benchmarks.record import DetectorEntry, EnhancerEntry, RunRecord
from duskbench.benchmarks.rows import Key, Row, StoredImage
from duskbench.benchmarks.run_plan import RunOptions, RunPlan, plan_run, wanted_workers
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.stored_run import found_by, has_detections, read_enhancers, read_run_images
from duskbench.benchmarks.units import CHANGED, Unit, labels_of, plan_units
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.leftovers import remove_leftovers

_FAILURES_SHOWN = 10


@dataclass
class RunSummary:
    """What became of a run."""

    record: RunRecord | None = None
    """What was measured: its table is this run's, whatever another one has stored in the same folder since."""
    device: str = "cpu"
    workers: int = 1
    cluster: str | None = None
    total: int = 0
    reused: int = 0
    measured: int = 0
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    """(label of the enhancer, image id, reason)."""
    missing: list[str] = field(default_factory=list)
    broken: list[EnhancerEntry] = field(default_factory=list)
    without_costs: list[str] = field(default_factory=list)
    """Labels of the enhancers whose costs could not be measured."""
    remarks: list[str] = field(default_factory=list)
    """What the data set's reader left out or read under another name, a sentence each."""
    warnings: list[str] = field(default_factory=list)
    """What looks as if it was not meant so, a sentence each."""
    lost: int = 0
    """Rows that are not in the results although nothing failed; 0 unless something is wrong with duskbench itself."""

    @property
    def ok(self) -> bool:
        """Whether every row that was asked for is there."""
        return not (self.failures or self.missing or self.broken or self.without_costs or self.lost)

    def shortfalls(self) -> list[str]:
        """What is not there and why, in a few lines; none if the run is whole."""
        lines = self._failures()
        if self.missing:
            lines.append(
                f"{len(self.missing)} images of the split are not in the tree (the first: "
                f"{', '.join(self.missing[:3])}); --allow-missing says that this is meant."
            )
        if self.broken:
            labels = ", ".join(enhancer.label for enhancer in self.broken)
            lines.append(f"Not built: {labels}; the notes under the table say why.")
        if self.without_costs:
            lines.append(f"Costs not measured: {', '.join(self.without_costs)}; the notes under the table say why.")
        if self.lost:
            lines.append(f"{self.lost} rows are not in the results; the same command measures them.")
        return lines

    def _failures(self) -> list[str]:
        """Each error once for each enhancer, with the first image that has it and how many more do."""
        each = failures_by_reason(self.failures)
        lines = [f"{label}, image {images}: {reason}" for label, images, reason in each]
        left = len(lines) - _FAILURES_SHOWN
        return [
            *lines[:_FAILURES_SHOWN],
            *([f"... and {left} other errors; all are in the results."] if left > 0 else []),
        ]


def run(
    config: BenchmarkConfig,
    options: RunOptions,
    progress: RunProgress | None = None,
    *,
    trained: tuple[DetectorEntry, ...] = (),
) -> RunSummary:
    """Run a benchmark; every row is committed as it is measured, and what is there is not measured again.

    Args:
        config: What to measure.
        options: How.
        progress: Told how far it is.
        trained: Detectors that were trained further, from `benchmarks.plan.plan_trained`, besides the configuration's.

    Returns:
        Counts, failures by image, and what was missing. `benchmarks.table` makes the table from the store.

    Raises:
        ConfigError: A name, an argument or an option is wrong.
        DataError: There is no image to measure.
        WeightsError: A detector's weights cannot be had.
        KeyboardInterrupt: Passed on; the store is consistent.
    """
    progress = progress or RunProgress()
    check_cluster(options.cluster, options.device, save_images=options.save_images)
    plan = plan_run(config, options, trained)
    if options.pictures is not None:
        remove_leftovers(options.pictures)
    with ResultStore(options.results) as store:
        plan.known.save(store)
        images = plan.read_images(store.images(), progress.reading)
        store.put_images(images)
        present = _present(images, plan)
        summary = RunSummary(broken=[e for e in plan.enhancers if e.error is not None])
        record = plan.record(images)
        if config.costs:
            record = replace(record, enhancers=_with_costs(plan, store, progress))
            summary.without_costs = [e.label for e in record.enhancers if e.costs is not None and e.costs.error]
        if not config.data.get("allow_missing", False):
            summary.missing = [image.record.id for image in images if image.sha256 is None]
        summary.record = store.run(store.put_run(record))
        enhancers, decoder = record.enhancers, record.decoder or ""
        wanted = [record.wanted_of(enhancer) for enhancer in enhancers]
        labels = labels_of(enhancers)
        units = plan_units(present, enhancers, wanted, decoder, store.done(), _kept(options))
        summary.total = len(present) * len(labels)
        summary.reused = summary.total - sum(len(unit.tasks) for unit in units)
        summary.remarks = list(record.data.notes)
        summary.device, summary.workers = record.environment.device, _workers(units, options)
        summary.cluster = options.cluster.address if options.cluster is not None else None
        progress.planned(summary)
        failed: set[Key] = set()
        images_by_id = {image.record.id: image for image in present}
        with closing(_measure(units, record, options, summary.workers, progress)) as rows:
            for row in rows:
                store.put(row)
                summary.measured += 1
                error = row.first_error()
                if error is not None:
                    failed.add(row.key)
                    if CHANGED in error:
                        store.doubt(images_by_id[row.key.image_id])
                    summary.failures += [(label, row.key.image_id, error) for label in labels[row.key.enhancer]]
                progress.measured(summary)
        # What was stored decides, not what was counted on the way.
        left = plan_units(present, enhancers, wanted, decoder, store.done())
        summary.lost = sum(task.key not in failed for unit in left for task in unit.tasks)
        summary.warnings = _warnings(store, record)
    return summary


def _present(images: Sequence[StoredImage], plan: RunPlan) -> list[StoredImage]:
    present = [image for image in images if image.sha256 is not None]
    if not present:
        raise DataError(
            "There is no image to measure.",
            where=plan.dataset.root,
            got=f"{len(images)} images in split {plan.config.data.get('split', 'test')!r}, none of them in the tree",
            todo="choose the split or the image ids with --split; `duskbench data verify` says what a tree lacks",
        )
    return present


def _with_costs(plan: RunPlan, store: ResultStore, progress: RunProgress) -> tuple[EnhancerEntry, ...]:
    """Add what each enhancer costs; each is kept at once, for a call that is interrupted."""

    def kept(done: int, total: int) -> None:
        plan.known.save(store)
        progress.costs(done, total)

    return tuple(add_costs(plan.enhancers, plan.options.device, plan.known, kept))


def _warnings(store: ResultStore, record: RunRecord) -> list[str]:
    """What looks as if a detector's boxes or classes were not meant so; the first enhancer's images show it."""
    run = read_run_images(store, record)
    rows = next((rows for rows in read_enhancers(store, run) if rows.rows), None)
    if rows is None or not has_detections(rows, run):
        return []
    return [
        f"{d.label}: {text}" for d in record.asked_of(rows.entry) for text in doubts(run.truth, found_by(rows, run, d))
    ]


def _workers(units: list[Unit], options: RunOptions) -> int:
    if options.cluster is not None:
        return options.workers
    rows = sum(len(unit.tasks) for unit in units)
    return max(1, min(len(units), wanted_workers(rows, options)))


def _measure(
    units: list[Unit], record: RunRecord, options: RunOptions, workers: int, progress: RunProgress
) -> Generator[Row]:
    asked = {d.fingerprint: d for enhancer in record.enhancers for d in record.asked_of(enhancer)}
    missing = {fingerprint for unit in units for task in unit.tasks for fingerprint in task.missing}
    measure_options = MeasureOptions(
        enhancers=record.enhancers,
        # A worker holds all of them, and those of other enhancers would only take memory.
        detectors=tuple(d for fingerprint, d in asked.items() if fingerprint in missing),
        metrics=tuple(metric for metric in record.metrics if metric.kind == "image"),
        protocol=record.protocol,
        decoder=record.decoder or "",
        device=options.device,
        image_ids=record.image_ids,
        batch_size=options.batch_size,
        save_images=options.pictures,
    )
    if units:
        yield from choose(options.device, workers, options.cluster, progress.warn).measure(units, measure_options)


def _kept(options: RunOptions) -> Callable[[str, Key], bool] | None:
    """Whether a picture is there; those that earlier versions kept do not say what they are of, and are left as is."""
    folder = options.pictures
    if folder is None:
        return None
    return lambda label, key: is_of(image_path(folder, label, key.image_id), key) is not False
