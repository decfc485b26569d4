"""A night from start to verdict: run, compare with the baseline, append to the history, write its files."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.benchmarks.bootstrap import Bootstrap
from duskbench.benchmarks.config import BenchmarkConfig
from duskbench.benchmarks.evidence import RowEvidence, RunEvidence, read_evidence
from duskbench.benchmarks.executors.choice import default_workers
from duskbench.benchmarks.metrics.registry import DEFAULT_METRICS, load_metric
from duskbench.benchmarks.nightly.folder import NightFolder, open_night, prune
from duskbench.benchmarks.nightly.gate import GateResult, Limits, gate_night
from duskbench.benchmarks.nightly.history import Baseline, History
from duskbench.benchmarks.nightly.night import Calibration, Night, NightEnhancer, NightVerdict
from duskbench.benchmarks.nightly.speed import CalibrationWorkload
from duskbench.benchmarks.provenance import environment
from duskbench.benchmarks.record import Environment, RunRecord
from duskbench.benchmarks.rows import Key
from duskbench.benchmarks.run_differences import images_digest
from duskbench.benchmarks.run_plan import RunOptions, plan_run
from duskbench.benchmarks.runner import RunSummary, run
from duskbench.benchmarks.statistics import Spread
from duskbench.benchmarks.store import RESULTS, ResultStore
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.files import only_one
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.data_tools.settings import check_keys


@dataclass(frozen=True)
class NightOptions:
    """How a night is run and gated.

    Attributes:
        history: The file of all nights.
        run: How to measure; `out` is the folder of the nights' results, each has one of its own there.
        limits: What is tolerated.
    """

    history: Path
    run: RunOptions
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class _Measured:
    """A night's results, read for the gates."""

    evidence: RunEvidence
    calibration: Calibration
    summary: RunSummary


def run_night(
    config: BenchmarkConfig,
    options: NightOptions,
    write: Callable[[Night, Path], None],
    progress: Progress = SILENT,
) -> Night:
    """Run a night, append it to the history, and write what is to be written of it; an interrupted night is resumed.

    Killed while it measures, the same call measures the rest; killed after that, it measures nothing, appends nothing
    and only writes.

    Args:
        config: What to measure.
        options: How, and what is tolerated.
        write: Writes reports of the night (it is in the history already), given its folder of results.
        progress: Where it reports how far it is.

    Returns:
        The night as it is in the history.

    Raises:
        ConfigError: An option is wrong, or another process uses the history or the folder.
        DataError: The data or the history cannot be read, or a file cannot be written. The history is as it was.
    """
    _check_tolerances(config, options.limits)
    out = options.run.out
    with _naming_what_failed(out), only_one(options.history, "history"), only_one(out / "nights", "folder"):
        history = History(options.history)
        nights = {night.id: night for night in history.nights(config.name)}
        is_same = partial(_is_same, config, options, nights)
        asked, others = _asked(config, options), {night.id for night in history.nights()}
        folder = open_night(out, config.name, _made_with(options.run), nights, asked, is_same, others)
        if folder.id in nights:
            progress.message(f"Night {folder.id} was interrupted after it was measured; only its files are written.")
        else:
            if (folder.path / RESULTS).exists():
                progress.message(f"Night {folder.id} was interrupted; it is resumed.")
            _measure_and_append(config, options, folder, history, progress)
            nights = {night.id: night for night in history.nights(config.name)}
        night = nights[folder.id]
        write(night, folder.path)
        folder.finish()
        prune(out, config.name, {night.id, *history.baseline(config.name).values()})
        return night


def _check_tolerances(config: BenchmarkConfig, limits: Limits) -> None:
    named = DEFAULT_METRICS if config.metrics is None else config.metrics
    known = [load_metric(spec, config.protocol).key for spec in (*named, *config.more_metrics)]
    check_keys(limits.tolerances, known, "metric of this configuration", where="--tolerance")


def _measure_and_append(
    config: BenchmarkConfig,
    options: NightOptions,
    folder: NightFolder,
    history: History,
    progress: Progress,
) -> None:
    measured = _measure(config, _options_of(folder, options.run), progress)
    baselines = history.baselines(config.name)
    gates = gate_night(
        measured.evidence, measured.calibration, baselines, options.limits, missing=measured.summary.missing
    )
    history.put(_night(folder, measured, baselines, gates), measured.evidence, joins=gates.joins)


def _measure(config: BenchmarkConfig, options: RunOptions, progress: Progress) -> _Measured:
    """Run the benchmark with the calibration workload in turns."""
    calibration = CalibrationWorkload(options.device, options.workers, progress)
    earlier: set[Key] = set()
    if options.results.is_file():
        with ResultStore(options.results) as store:
            earlier = set(store.done())
    summary = run(config, options, calibration)
    with ResultStore(options.results, reading=True) as store:
        return _Measured(read_evidence(store, earlier=earlier), calibration.result(), summary)


def _options_of(folder: NightFolder, options: RunOptions) -> RunOptions:
    """How a night is measured: an enhancer that cannot be built is left out.

    `workers=0` is one process per core or GPU, however few rows are left: the calibration workload of two nights
    compares only where the processes beside it are as many. On a cluster it stays 0: as many as there is room for.
    """
    workers = options.workers or (default_workers(options.device) if options.cluster is None else 0)
    return replace(options, out=folder.path, workers=workers, keep_broken=True)


def _is_same(config: BenchmarkConfig, options: NightOptions, nights: Mapping[str, Night], folder: NightFolder) -> bool:
    """Whether the same code, weights, images and boxes would be measured now as in a night of the history."""
    night = nights[folder.id]
    plan = plan_run(config, _options_of(folder, options.run))
    with ResultStore(plan.options.results, reading=True) as store:
        images = plan.read_images(store.images())
    same_images = images_digest([image.state() for image in images]) == night.images_digest
    return same_images and _subject(plan.record(images)) == _subject(night.record)


def _subject(record: RunRecord) -> str:
    """What was measured, by what: of the record all but machine and time, which `_made_with` has, and costs."""
    enhancers = tuple(replace(enhancer, costs=None) for enhancer in record.enhancers)
    return replace(record, enhancers=enhancers, environment=Environment("", ""), image_ids=()).to_json()


def _night(folder: NightFolder, measured: _Measured, baselines: list[Baseline], gates: GateResult) -> Night:
    evidence, summary = measured.evidence, measured.summary
    failed = any(finding.outcome == "failed" for finding in gates.findings)
    verdict: NightVerdict = "not comparable" if gates.differences else "red" if failed else "green"
    drawn = evidence.resampled(evidence.within())
    return Night(
        id=folder.id,
        started=folder.started,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        verdict=verdict,
        baseline=tuple(baseline.night.id for baseline in baselines),
        record=replace(evidence.record, image_ids=()),
        n_images=len(evidence.images),
        images_digest=images_digest(evidence.images),
        calibration=measured.calibration,
        enhancers=tuple(_numbers(row, measured.calibration, drawn) for row in evidence.rows.values()),
        findings=gates.findings,
        differences=gates.differences,
        notes=gates.notes,
        rows={"total": summary.total, "reused": summary.reused, "measured": summary.measured},
    )


def _numbers(row: RowEvidence, calibration: Calibration, drawn: Bootstrap) -> NightEnhancer:
    times = row.ms["enhance"][~np.isnan(row.ms["enhance"])]
    ms = float(np.median(times)) if len(times) else None
    spread = Spread() if row.is_empty else drawn.spread(row.sample)
    return NightEnhancer(
        label=row.label,
        n_images=int(row.sample.measured.sum()),
        n_failed=len(row.failed),
        error=row.error,
        scores=spread.scores,
        trainings=spread.trainings,
        ms_enhance=ms,
        relative_cost=ms / calibration.ms if ms is not None and calibration.ms else None,
    )


def accept_newest(config: str, path: Path) -> Night:
    """Make the newest night of a configuration its baseline; nothing is measured.

    Raises:
        ConfigError: There is no night, or another is running.
        DataError: There is no history, it is damaged, or cannot be written.
    """
    with _naming_what_failed(path), only_one(path, "history"):
        history = History(path, must_exist=True)
        nights = history.nights(config)
        if not nights:
            known = sorted({night.config for night in history.nights()})
            raise ConfigError(
                "There is no night to accept.",
                where=path,
                expected=f"a night of the configuration {config}",
                got=f"nights of {', '.join(known)}" if known else "an empty history",
                todo="run one first, look at it, then accept it",
            )
        history.accept(nights[-1])
        return nights[-1]


def _made_with(options: RunOptions) -> dict[str, Any]:
    """What the rows of an interrupted night must share with the rest of it."""
    made = environment(options.device)
    kept = {key: getattr(made, key) for key in ("packages", "python", "git", "device", "gpu")}
    return {**kept, "checkpoint": options.checkpoint}


def _asked(config: BenchmarkConfig, options: NightOptions) -> str:
    """Hash of what a verdict is of."""
    return hashlib.sha256(repr((config, options.run.limit, options.limits)).encode()).hexdigest()


@contextmanager
def _naming_what_failed(where: Path) -> Iterator[None]:
    """A full disk, a folder that cannot be written: an error of ours with what to do, and nothing earlier lost."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise DataError(
            "A file of the night could not be written or read.",
            where=getattr(error, "filename", None) or where,
            got=str(error),
            todo="make room on the disk or mend its permissions, then start the same command again: rows that were "
            "measured are not measured again, and the history is whole",
        ) from error
