"""Detectors trained further on each enhancer's images, and measured beside the frozen ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from duskbench.benchmarks.config import BenchmarkConfig
from duskbench.benchmarks.descriptions import Known
from duskbench.benchmarks.kept_pictures import folder_name
from duskbench.benchmarks.plan import plan_detectors, plan_enhancers, plan_trained
from duskbench.benchmarks.progress import RunProgress
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import DetectorEntry, DetectorTraining, EnhancerEntry
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.benchmarks.runner import RunSummary, run
from duskbench.benchmarks.store import RESULTS, ResultStore
from duskbench.benchmarks.training_images import EnhancedSplit, check_apart, enhance_split
from duskbench.data_tools.classes import class_key
from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.data_tools.settings import is_whole
from duskbench.pipeline.registry import load_detector
from duskbench.pipeline.training.fine_tuning import FineTuning, Schedule

if TYPE_CHECKING:
    from duskbench.pipeline.detectors.mmdet import MMDetDetector


@dataclass(frozen=True)
class FineTuningOptions:
    """What is asked.

    Attributes:
        schedule: The same for every training.
        seeds: Trainings of each enhancer, of the seeds 0, 1, 2, ...
        split: The training split of the data set.
    """

    schedule: Schedule = field(default_factory=Schedule)
    seeds: int = 3
    split: str = "train"

    def __post_init__(self) -> None:
        if not is_whole(self.seeds, 1):
            raise ConfigError("There is nothing to train.", where="--seeds", expected="1 or more", got=str(self.seeds))


def fine_tune(
    config: BenchmarkConfig, options: RunOptions, asked: FineTuningOptions, progress: Progress = SILENT
) -> RunSummary:
    """Train each detector further on each enhancer's training images, and measure all beside the frozen ones.

    After each enhancer a run of all until then is in the store. What is done is not done again, and an interrupted
    training goes on from its last epoch.

    Args:
        config: What to measure; each of its detectors is trained.
        options: How to measure. The trainings take a GPU where torch finds one.
        asked: How to train.
        progress: Where it is reported.

    Returns:
        What became of the last run.

    Raises:
        ConfigError: A detector is not one of mmdet, or does not say how it is trained.
        DataError: The training split is not there, or shares images with the test images.
        TrainingError: A training went wrong, or an enhancer fails on a training image.
    """
    # Measuring in this process sets one thread, and other numbers of threads round otherwise.
    threads = torch.get_num_threads()
    known = Known(options.out / RESULTS)
    enhancers = plan_enhancers(config, options.device, known)
    _check_single(enhancers)
    entries = plan_detectors(config, options.checkpoint, options.device, known)
    if not entries:
        raise ConfigError("There is no detector to train.", where=config.name, todo="name one: --detector NAME")
    detectors = [(entry, _trainable(entry)) for entry in entries]
    check_apart(config, asked.split, progress)
    progress.message("Enhancing the training images.")
    built = [enhancer for enhancer in enhancers if enhancer.error is None]
    if not built:
        raise ConfigError("No enhancer can be built.", where=config.name, got=enhancers[0].error)
    split = enhance_split(config, options, asked.split, built, progress)
    lacking = _lacking(config.protocol, split)
    if lacking:
        progress.message(f"The training images hold no {', no '.join(lacking)}.", warning=True)
    jobs = {
        enhancer.label: [job for pair in detectors for job in _jobs(enhancer, *pair, split, asked)]
        for enhancer in built
    }
    total, done = sum(job.tuning.steps for each in jobs.values() for job in each), 0
    trainings: dict[str, list[DetectorTraining]] = {entry.label: [] for entry in entries}
    summary = RunSummary()
    for position, enhancer in enumerate(enhancers, start=1):
        each = jobs.get(enhancer.label, [])
        for job in each:
            torch.set_num_threads(threads)
            trained = job.run(options.out / "training", _reported(progress, job, done, total))
            trainings[job.detector.label].append(trained)
            done += job.tuning.steps
        if not each and position < len(enhancers):
            continue
        progress.message(f"Measuring with the detectors trained on the images of {enhancer.label}.")
        families = [
            plan_trained(entry, trainings[entry.label], _in_words(asked, split, lacking), options.device, known)
            for entry in entries
        ]
        with ResultStore(options.out / RESULTS) as store:
            known.save(store)
        so_far = replace(config, enhancers=config.enhancers[:position])
        summary = run(so_far, options, RunProgress(progress), trained=tuple(families))
    return summary


@dataclass(frozen=True)
class _Job:
    """A training that is wanted."""

    enhancer: EnhancerEntry
    detector: DetectorEntry
    tuning: FineTuning

    def run(self, folder: Path, advanced: Callable[[int, int], None]) -> DetectorTraining:
        """Train below a folder, unless that is done, and say what came of it."""
        place = folder / "detectors" / folder_name(self.detector.label) / folder_name(self.enhancer.label)
        checkpoint = self.tuning.run(place, advanced)
        sha256 = self.tuning.images.sha256
        return DetectorTraining(self.enhancer.label, self.tuning.seed, str(checkpoint), "", sha256)


def _jobs(
    enhancer: EnhancerEntry,
    entry: DetectorEntry,
    detector: MMDetDetector,
    split: EnhancedSplit,
    asked: FineTuningOptions,
) -> Iterator[_Job]:
    images = split.of(enhancer, entry, ends_on_last_pixel=detector.ends_on_last_pixel)
    weights = detector.unmerged_weights()
    for seed in range(asked.seeds):
        tuning = FineTuning(detector.config, weights, entry.identity, entry.classes, images, asked.schedule, seed)
        yield _Job(enhancer, entry, tuning)


def _reported(progress: Progress, job: _Job, before: int, total: int) -> Callable[[int, int], None]:
    progress.message(f"{job.enhancer.label}, {job.detector.label}, seed {job.tuning.seed}.")
    return lambda step, _: progress.update("Training, steps", before + step, total)


def _lacking(protocol: Protocol, split: EnhancedSplit) -> list[str]:
    """Classes that are measured, and that a training on these images cannot teach, but make the detector forget."""
    there = {class_key(each.name) for image in split.images for each in image.record.objects or ()}
    return [name for name in protocol.classes if class_key(name) not in there]


def _in_words(asked: FineTuningOptions, split: EnhancedSplit, lacking: Sequence[str]) -> str:
    without = f" (none with {' or '.join(lacking)})" if lacking else ""
    return f"{len(split.images)} images of split {asked.split}{without}, {asked.schedule}"


def _check_single(enhancers: Sequence[EnhancerEntry]) -> None:
    """Trainings of an enhancer times trainings of a detector are no trainings of one thing."""
    several = next((enhancer for enhancer in enhancers if enhancer.method is not None), None)
    if several is not None:
        raise ConfigError(
            f"{several.method} has several weight files.",
            where="enhancers",
            expected="one weight file for each row: a detector is trained several times on the images it makes",
            got=str(several.label),
            todo="give one of the files, or each as a row with a label of its own",
        )


def _trainable(entry: DetectorEntry) -> MMDetDetector:
    from duskbench.pipeline.detectors.mmdet import MMDetDetector

    detector = load_detector(entry.spec, entry.checkpoint)
    if not isinstance(detector, MMDetDetector):
        raise ConfigError(
            f"The detector {entry.label} cannot be trained further.",
            where=f"detector {entry.spec}",
            expected="a detector of mmdet: rfbnet300_voc, ssd300_voc, rfb_miniature, an mmdet configuration "
            "(with --checkpoint), mmdet::...",
            got=f"{type(detector).__name__}, which only detects",
            todo="choose another with --detector, or measure it frozen: `duskbench run`",
        )
    return detector
