"""Making the miniature: many pictures over several processes, interrupted and taken up again."""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.miniature.layout import (
    Job,
    class_list,
    image_sets,
    night_jobs,
    render,
    store,
    store_lists,
    voc_jobs,
)
from duskbench.data_tools.miniature.manifest import (
    Arguments,
    Manifest,
    damaged_files,
    digest,
    load_manifest,
    save_manifest,
)

Progress = Callable[[int, int], None]
_JOURNAL = ".miniature.jsonl"
_OURS = ("VOCdevkit", "ExDark", "ExDark_Annno", "imageclasslist.txt", "lit")
_BATCH = 8
# Of them one in six is for testing; what the bundled detector is trained and tested on.
VOC_IMAGES = 1200


def make_miniature(
    root: str | Path,
    *,
    seed: int = 0,
    voc_images: int = VOC_IMAGES,
    night_images: tuple[int, int, int] = (96, 48, 120),
    size: tuple[int, int] = (320, 240),
    workers: int = 2,
    progress: Progress | None = None,
) -> Manifest:
    """Render the bundled miniature data set: a lit VOC part, a night ExDark part, and the night part's lit twins.

    The same arguments give the same bytes, with any number of workers. A complete set is left as it is,
    an interrupted one is finished, lost files are made again, and a set without the lit part can be given one.

    Args:
        root: Folder for `VOCdevkit/`, `ExDark/`, `ExDark_Annno/`, `imageclasslist.txt`, `lit/` and `manifest.json`.
        seed: Non-negative seed of everything random.
        voc_images: Lit images; one in six is for testing. With 0, a lit part that is there stays.
        night_images: Night images for train, val and test.
        size: Width and height in pixels, at least 160 x 120.
        workers: Processes; with 1 it stays in this one. More than 1 needs an importable main module, as `spawn` does.
        progress: Called with the numbers of finished and of all pictures.

    Returns:
        The manifest, with a sha256 for every file.

    Raises:
        ConfigError: An argument is out of range.
        DataError: The folder holds another data set, or a miniature made from other arguments.

    Source: layouts of the VOC2007 devkit and of the ExDark release (bbGt version 3, left and top from 1).
    """
    root = Path(root)
    # A config file gives lists.
    arguments = Arguments(seed, voc_images, tuple(night_images), tuple(size))  # type: ignore[arg-type]
    _check(arguments, workers)
    finished = load_manifest(root)
    if finished is not None:
        there = finished.arguments
        if voc_images == 0:
            arguments = replace(arguments, voc_images=there.voc_images)
        without_lit_part = there.voc_images == 0
        _refuse_other(root, replace(there, voc_images=arguments.voc_images) if without_lit_part else there, arguments)
        if there == arguments and not damaged_files(finished):
            return finished
    journal = _open_journal(root, arguments, finished)
    jobs = [*voc_jobs(voc_images), *night_jobs(arguments.night_images)]
    done = {entry["stem"]: entry for entry in journal if _intact(root, entry)}
    todo = [job for job in jobs if job.stem not in done]
    with (root / _JOURNAL).open("a", encoding="utf-8") as log:
        for batch in _work(root, todo, arguments, workers):
            for entry in batch:
                done[entry["stem"]] = entry
                log.write(json.dumps(entry) + "\n")
            log.flush()
            if progress is not None:
                progress(len(done), len(jobs))
    manifest = _close(root, arguments, jobs, done)
    (root / _JOURNAL).unlink()
    return manifest


def _check(arguments: Arguments, workers: int) -> None:
    width, height = arguments.size
    wrong = (
        (arguments.seed < 0, "seed", "a number >= 0", arguments.seed),
        (arguments.voc_images < 0, "voc_images", "a number >= 0", arguments.voc_images),
        (arguments.voc_images > 999_999, "voc_images", "at most six digits", arguments.voc_images),
        (len(arguments.night_images) != 3, "night_images", "three numbers", arguments.night_images),
        (min(arguments.night_images, default=0) < 0, "night_images", "numbers >= 0", arguments.night_images),
        (sum(arguments.night_images) > 99_999, "night_images", "at most five digits", arguments.night_images),
        (width < 160 or height < 120, "size", "at least 160 x 120", arguments.size),
        (workers < 1, "workers", "a number >= 1", workers),
    )
    for is_wrong, name, expected, got in wrong:
        if is_wrong:
            raise ConfigError("The miniature cannot be made so.", where=name, expected=expected, got=str(got))


def _refuse_other(root: Path, there: Arguments, wanted: Arguments) -> None:
    if there != wanted:
        raise DataError(
            "The folder holds a miniature made from other arguments.",
            where=root,
            expected=str(wanted),
            got=str(there),
            todo="remove the folder, or choose another one",
        )


def _open_journal(root: Path, arguments: Arguments, finished: Manifest | None) -> list[dict[str, Any]]:
    """Read what an interrupted run finished, or begin a new journal."""
    path = root / _JOURNAL
    header = json.dumps(asdict(arguments))
    if path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines()
        there = lines[0] if lines else ""
        if there != header:
            raise DataError(
                "The folder holds an unfinished miniature made from other arguments.",
                where=path, expected=header, got=there, todo="remove the folder, or choose another one",
            )  # fmt: skip
        return list(_entries(lines[1:]))
    foreign = [name for name in _OURS if (root / name).exists()]
    if foreign and finished is None:
        raise DataError(
            "The folder holds a data set that is not a miniature; it would be mixed up or overwritten.",
            where=root, expected="an empty folder", got=", ".join(foreign), todo="choose another folder",
        )  # fmt: skip
    root.mkdir(parents=True, exist_ok=True)
    path.write_text(header + "\n", encoding="utf-8")
    return []


def _entries(lines: list[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            # The last line of a killed run; its picture is made again.
            continue


def _intact(root: Path, entry: dict[str, Any]) -> bool:
    return all(
        (root / name).is_file() and (root / name).stat().st_size == size for name, (size, _) in entry["files"].items()
    )


def _work(root: Path, jobs: list[Job], arguments: Arguments, workers: int) -> Iterator[list[dict[str, Any]]]:
    batches = [jobs[start : start + _BATCH] for start in range(0, len(jobs), _BATCH)]
    tasks = [(root, batch, arguments.seed, arguments.size) for batch in batches]
    if workers == 1 or len(batches) < 2:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            yield from map(_render_batch, tasks)
        finally:
            cv2.setNumThreads(threads)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(batches)), context, cv2.setNumThreads, (1,)) as pool:
        yield from pool.map(_render_batch, tasks)


def _render_batch(task: tuple[Path, list[Job], int, tuple[int, int]]) -> list[dict[str, Any]]:
    root, jobs, seed, size = task
    entries = []
    for job in jobs:
        rendered = render(job, seed, size)
        store(root, rendered.files)
        entries.append({
            "stem": job.stem,
            "names": rendered.names,
            "counted": rendered.counted,
            "files": {name: digest(data) for name, data in rendered.files.items()},
        })  # fmt: skip
    return entries


def _close(root: Path, arguments: Arguments, jobs: list[Job], done: dict[str, dict[str, Any]]) -> Manifest:
    """Write the lists, and the manifest after everything else."""
    lit = [job for job in jobs if job.part == "voc"]
    night = [job for job in jobs if job.part == "night"]
    lists: dict[str, str] = {}
    if lit:
        lists.update(
            image_sets([(job, tuple(done[job.stem]["names"]), tuple(done[job.stem]["counted"])) for job in lit])
        )
    if night:
        lists["imageclasslist.txt"] = class_list(night)
    store_lists(root, lists)
    files = {name: (int(size), str(sha)) for job in jobs for name, (size, sha) in done[job.stem]["files"].items()}
    files.update({name: digest(text.encode("utf-8")) for name, text in lists.items()})
    versions = {"numpy": np.__version__, "opencv": cv2.__version__}
    manifest = Manifest(root, arguments, versions, _count(jobs, done), files)
    save_manifest(manifest)
    return manifest


def _count(jobs: list[Job], done: dict[str, dict[str, Any]]) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    for part in ("voc", "night"):
        mine = [job for job in jobs if job.part == part]
        boxes = {split: Counter[str]() for split in ("train", "val", "test")}
        for job in mine:
            boxes[job.split].update(done[job.stem]["names"])
        counts[part] = {
            "images": dict(Counter(job.split for job in mine)),
            "boxes": {split: dict(sorted(counter.items())) for split, counter in boxes.items()},
            "indoor": sum(job.indoor for job in mine),
        }
    counts["night"]["lighting"] = dict(Counter(str(job.lighting) for job in jobs if job.part == "night"))
    return counts
