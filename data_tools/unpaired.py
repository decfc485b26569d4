"""Unpaired training sets: low-light images in trainA, normal-light images in trainB, and a manifest.

The folder layout is EnlightenGAN's: https://github.com/VITA-Group/EnlightenGAN, README, `final_dataset/trainA`.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from duskbench.data_tools.datasets import open_dataset, recognised_layout
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.files import CopyMode
from duskbench.data_tools.folder import ImageFolder, annotation_traces
from duskbench.data_tools.leftovers import remove_leftovers
from duskbench.data_tools.ordered_map import ordered_map
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.data_tools.records import Dataset
from duskbench.data_tools.settings import check_setting, is_number, is_whole
from duskbench.data_tools.training_manifest import (
    FOLDERS,
    MANIFEST,
    Names,
    folder_and_part,
    open_manifest,
    place_files,
    read_manifest,
)
from duskbench.data_tools.unpaired_selection import Candidate, Measured, Selection, measure

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class UnpairedSet:
    """What `build_unpaired` made: the folder, its manifest, images taken by domain, and images rejected by reason."""

    out: Path
    manifest: Path
    taken: dict[str, int]
    rejected: dict[str, int]

    def __str__(self) -> str:
        taken = ", ".join(f"{count} in {FOLDERS[domain]}" for domain, count in self.taken.items())
        rejected = ", ".join(f"{count} {reason}" for reason, count in sorted(self.rejected.items()))
        return f"{taken} of {self.out}; rejected: {rejected or 'none'}"


def build_unpaired(
    low: Sequence[str | Path | Dataset],
    normal: Sequence[str | Path | Dataset],
    out: str | Path,
    *,
    max_low_brightness: float = 1.0,
    min_brightness: float = 0.25,
    min_side: int = 1,
    hash_distance: int = 6,
    limit: int | None = None,
    seed: int = 0,
    copy: CopyMode = "hardlink",
    workers: int | None = None,
    progress: Progress = SILENT,
) -> UnpairedSet:
    """Build an unpaired training set from data sets and folders.

    Images are taken in the order of the sources and of the ids in them; of near-duplicates within a domain the first
    stays, and a file that is in A does not enter B. `manifest.json` names every image with brightness and hash, and
    every rejected one with the reason: `missing`, `unreadable`, `too small`, `too bright`, `too dark`,
    `near-duplicate` or `in A`. Same input and arguments, same files. They are placed once the set is
    known to be whole; files of an earlier manifest in `out` that are no longer in the set are removed, nothing else is.

    Args:
        low: Sources of domain A: data sets, ExDark or VOC trees (all their splits, or one: `data/exdark@train`), plain
            folders, or a folder in EnlightenGAN's layout, of which A takes trainA and B takes trainB.
        normal: Sources of domain B.
        out: Folder to write trainA, trainB and manifest.json to.
        max_low_brightness: Highest mean luma in [0, 1] (Rec. 601, of the 8-bit values) of an image of A; 1 takes them
            all.
        min_brightness: Lowest mean luma of an image of B; keeps VOC's night photos out of the normal-light set.
        min_side: Smallest width and height: a training crop must fit in.
        hash_distance: Near-duplicates differ in at most this many of the 64 bits of their hashes; -1 keeps them.
            Different photos of VOC2007 differ in 9 bits or more, re-encoded and resized copies in 0 to 6.
        limit: Most images a domain; they are drawn at random by `seed`. None takes all, in order.
        seed: See `limit`; of no effect without it.
        copy: `hardlink` where the file system allows it, or `copy`.
        workers: Threads that decode; as many as there are cores by default. Of no effect on the result.
        progress: Where images looked at are reported.

    Raises:
        ConfigError: A threshold is out of its range.
        DataError: A source cannot be read as a data set, nothing of a domain passes, or trainA or trainB of `out` holds
            images of neither this set nor an earlier one.
    """
    _check_ranges(max_low_brightness, min_brightness, hash_distance, limit)
    out = Path(out)
    candidates = [*_candidates("A", low), *_candidates("B", normal)]
    if limit is not None:
        random.Random(seed).shuffle(candidates)  # noqa: S311
        candidates.sort(key=lambda one: one.domain)
    settings = {
        "max_low_brightness": max_low_brightness,
        "min_brightness": min_brightness,
        "min_side": min_side,
        "hash_distance": hash_distance,
        "limit": limit,
        "seed": seed,
        "copy": copy,
    }
    remove_leftovers(out)
    earlier = _earlier_files(out)
    selection = Selection(max_low_brightness, min_brightness, min_side, hash_distance)
    taken, rejected = Counter({"A": 0, "B": 0}), Counter[str]()
    files: dict[str, Path] = {}
    with open_manifest(out / MANIFEST, settings) as write_row:
        results = ordered_map(measure, _until_full(candidates, taken, limit), workers)
        for done, (candidate, measured) in enumerate(results, start=1):
            if limit is not None and taken[candidate.domain] >= limit:
                continue
            reason, detail = selection.rejects(candidate, measured)
            write_row(_row(candidate, measured, reason, detail))
            if reason is None:
                taken[candidate.domain] += 1
                files[f"{FOLDERS[candidate.domain]}/{candidate.file}"] = candidate.path
            else:
                rejected[reason] += 1
            progress.update("Looking at images", done, len(candidates))
        for domain, sources in (("A", low), ("B", normal)):
            if not taken[domain]:
                raise _nothing_left(FOLDERS[domain], sources, rejected)
        place_files(out, files, earlier, copy)
    for stale in earlier - files.keys():
        (out / stale).unlink(missing_ok=True)
    return UnpairedSet(out, out / MANIFEST, dict(taken), dict(rejected))


def _check_ranges(max_low: float, min_normal: float, hash_distance: int, limit: int | None) -> None:
    of = "The unpaired set"
    for option, value in (("max_low_brightness", max_low), ("min_brightness", min_normal)):
        check_setting(of, option, value, is_number(value) and 0 <= value <= 1, "0 to 1")
    near = is_whole(hash_distance, -1) and hash_distance <= 64
    check_setting(of, "hash_distance", hash_distance, near, "a whole number, -1 to 64")
    check_setting(of, "limit", limit, limit is None or is_whole(limit, 1), "a whole number of at least 1")


def _nothing_left(folder: str, sources: Sequence[str | Path | Dataset], rejected: Counter[str]) -> DataError:
    return DataError(
        f"No image is left for {folder}.",
        where=", ".join(str(getattr(source, "root", source)) for source in sources),
        got=", ".join(f"{count} {reason}" for reason, count in sorted(rejected.items())) or "no image",
        todo="loosen the thresholds or add sources",
    )


def open_source(source: str | Path | Dataset, domain: str) -> Dataset:
    """Open a source of domain `A` or `B`: that half of a folder with trainA or trainB, or a data set.

    A data set is taken whole, or one split of it where the source is `FOLDER@SPLIT`; boxes are not read, so annotations
    of no known layout are only remarked upon.
    """
    if not isinstance(source, str | Path):
        return source
    half = Path(source) / FOLDERS[domain]
    if half.is_dir():
        return ImageFolder(half)
    folder, split = folder_and_part(source)
    layout = (recognised_layout(folder) if folder.is_dir() else None) or "folder"
    dataset = open_dataset(folder, layout=layout, split="all" if split is None else split)
    traces = annotation_traces(folder) if layout == "folder" else []
    if traces:
        logger.warning("%s: every image is taken; its layout is not known, with %s", folder, "; ".join(traces))
    return dataset


def _candidates(domain: str, sources: Sequence[str | Path | Dataset]) -> Iterator[Candidate]:
    labels, names = Names(), Names()
    for source in sources:
        dataset = open_source(source, domain)
        label = labels.take(dataset.name)
        for image_id in dataset.ids:
            path = dataset.image_path(image_id)
            file = names.take(f"{label}@{image_id.replace('/', '@')}", path.suffix)
            yield Candidate(domain, label, image_id, path, file)


def _until_full(candidates: list[Candidate], taken: Counter[str], limit: int | None) -> Iterator[Candidate]:
    for candidate in candidates:
        if limit is None or taken[candidate.domain] < limit:
            yield candidate


def _row(
    candidate: Candidate, measured: Measured | str | None, reason: str | None, detail: str | None
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "domain": candidate.domain,
        "source": candidate.source,
        "id": candidate.id,
        "file": candidate.file,
    }
    if isinstance(measured, Measured):
        row |= asdict(measured) | {"brightness": round(measured.brightness, 6), "dhash": f"{measured.dhash:016x}"}
    return row | {"rejected": reason, "detail": detail}


def _earlier_files(out: Path) -> set[str]:
    if not (out / MANIFEST).exists():
        return set()
    rows = read_manifest(out / MANIFEST)["images"]
    return {f"{FOLDERS[row['domain']]}/{row['file']}" for row in rows if row["rejected"] is None}
