"""Making the miniature: many pictures over several processes; an interrupted call is finished by the next one."""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import cv2

from duskbench.data_tools.classes import SPLITS, VOC_CLASSES
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.exdark import CLASS_LISTS, format_class_list
from duskbench.data_tools.files import write_bytes, write_text
from duskbench.data_tools.image_sets import IMAGE_SETS, write_image_sets
from duskbench.data_tools.leftovers import remove_leftovers
from duskbench.data_tools.miniature.layout import VOC, Job, night_jobs, render, voc_jobs
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.data_tools.voc_xml import read_annotation

MANIFEST = "manifest.json"
# Raised whenever the same seed would give other bytes.
RENDERING_VERSION = 1
# Of them one in six is for testing; what the bundled detector is trained and tested on.
VOC_IMAGES = 1200
_PARTS = ("VOCdevkit", "ExDark", "ExDark_Annno", "imageclasslist.txt", "lit")
_CLASS_LIST = CLASS_LISTS[0]
_BATCH = 8


@dataclass(frozen=True)
class Arguments:
    """Everything the bytes depend on; the number of workers is not among it."""

    seed: int
    voc_images: int
    night_images: tuple[int, int, int]
    size: tuple[int, int]
    rendering: int = RENDERING_VERSION

    def jobs(self) -> list[Job]:
        """Every picture, the lit part first."""
        return [*voc_jobs(self.voc_images), *night_jobs(self.night_images)]


@dataclass(frozen=True)
class Miniature:
    """A complete miniature: the folder it lies in, and what it was made from."""

    root: Path
    arguments: Arguments

    @property
    def images(self) -> dict[str, dict[str, int]]:
        """Number of images by part (`voc`, `night`) and split."""
        jobs = self.arguments.jobs()
        return {part: dict(Counter(job.split for job in jobs if job.part == part)) for part in ("voc", "night")}


def make_miniature(
    root: str | Path,
    *,
    seed: int = 0,
    voc_images: int = VOC_IMAGES,
    night_images: tuple[int, int, int] = (96, 48, 120),
    size: tuple[int, int] = (320, 240),
    workers: int = 2,
    progress: Progress = SILENT,
) -> Miniature:
    """Render the bundled miniature data set: a lit VOC part, a night ExDark part, and the night part's lit twins.

    The same arguments give the same bytes, with any number of workers. Files that are there are left as they are, so an
    interrupted set is finished, lost files are made again, and a set without the lit part can be given one.

    Args:
        root: Folder for `VOCdevkit/`, `ExDark/`, `ExDark_Annno/`, `imageclasslist.txt`, `lit/` and `manifest.json`
            with the arguments.
        seed: Non-negative seed of everything random.
        voc_images: Lit images; one in six is for testing. With 0, a lit part that is there stays.
        night_images: Night images for train, val and test.
        size: Width and height in pixels, at least 160 x 120.
        workers: Processes; with 1 it stays in this one. More than 1 needs an importable main module, as `spawn` does.
        progress: Where finished pictures are reported.

    Raises:
        ConfigError: An argument is out of range.
        DataError: The folder holds another data set, or a miniature made from other arguments.

    Source: layouts of the VOC2007 devkit and of the ExDark release (bbGt version 3, left and top from 1).
    """
    root = Path(root)
    # A config file gives lists.
    arguments = Arguments(seed, voc_images, tuple(night_images), tuple(size))  # type: ignore[arg-type]
    _check(arguments, workers)
    arguments = _claim(root, arguments)
    remove_leftovers(root)
    jobs = arguments.jobs()
    todo = [job for job in jobs if not all(_is_there(root / name) for name in job.files)]
    n_there = len(jobs) - len(todo)
    for finished, _ in enumerate(_render_all(root, todo, arguments, workers), start=n_there + 1):
        progress.update("Rendering", finished, len(jobs))
    _write_lists(root, jobs)
    return Miniature(root, arguments)


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


def _claim(root: Path, wanted: Arguments) -> Arguments:
    """Note in the folder what it is made from, first of all; refuse a folder that holds anything else."""
    there = _read_arguments(root)
    if there is None:
        foreign = [name for name in _PARTS if (root / name).exists()]
        if foreign:
            raise DataError(
                "The folder holds a data set that is not a miniature; it would be mixed up or overwritten.",
                where=root, expected="an empty folder", got=", ".join(foreign), todo="choose another folder",
            )  # fmt: skip
    elif wanted.voc_images == 0:
        wanted = replace(wanted, voc_images=there.voc_images)
    if there is not None and replace(there, voc_images=there.voc_images or wanted.voc_images) != wanted:
        raise DataError(
            "The folder holds a miniature made from other arguments.",
            where=root,
            expected=str(wanted),
            got=str(there),
            todo="remove the folder, or choose another one",
        )
    if there != wanted:
        write_text(root / MANIFEST, json.dumps({"arguments": asdict(wanted)}, indent=1, sort_keys=True) + "\n")
    return wanted


def _read_arguments(root: Path) -> Arguments | None:
    path = root / MANIFEST
    if not path.is_file():
        return None
    try:
        said = json.loads(path.read_text(encoding="utf-8"))["arguments"]
        night, size = (tuple(int(value) for value in said[key]) for key in ("night_images", "size"))
        seed, voc_images, rendering = (int(said[key]) for key in ("seed", "voc_images", "rendering"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            "The file is not a miniature's manifest.",
            where=path,
            got=repr(error),
            todo="remove it and make the set again",
        ) from error
    return Arguments(seed, voc_images, night, size, rendering)  # type: ignore[arg-type]


def _is_there(path: Path) -> bool:
    # A power cut may leave an empty file under a name that was just given.
    return path.is_file() and path.stat().st_size > 0


def _render_all(root: Path, jobs: list[Job], arguments: Arguments, workers: int) -> Iterator[None]:
    render_one = partial(_render_one, root, arguments.seed, arguments.size)
    if workers == 1 or len(jobs) <= _BATCH:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            yield from map(render_one, jobs)
        finally:
            cv2.setNumThreads(threads)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs) // _BATCH + 1), context, cv2.setNumThreads, (1,)) as pool:
        yield from pool.map(render_one, jobs, chunksize=_BATCH)


def _render_one(root: Path, seed: int, size: tuple[int, int], job: Job) -> None:
    for name, data in render(job, seed, size).items():
        write_bytes(root / name, data)


def _write_lists(root: Path, jobs: list[Job]) -> None:
    """Write the lists of either part unless all of them are there."""
    night, lit = ([job for job in jobs if job.part == part] for part in ("night", "voc"))
    if night and not _is_there(root / _CLASS_LIST):
        write_text(root / _CLASS_LIST, format_class_list(job.listed for job in night))
    tree = root / VOC
    splits = {split: [job.stem for job in lit if job.split == split] for split in SPLITS}
    splits["trainval"] = [job.stem for job in lit if job.split != "test"]
    names = [f"{prefix}{split}" for split in splits for prefix in ("", *(f"{name}_" for name in VOC_CLASSES))]
    if lit and not all((tree / IMAGE_SETS / f"{name}.txt").is_file() for name in names):
        objects = {job.stem: read_annotation(tree / "Annotations" / f"{job.stem}.xml").objects for job in lit}
        write_image_sets(tree, splits, objects, VOC_CLASSES)
