"""Paired training sets: low-light images in `low`, the same pictures in normal light in `high`, and a manifest."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from duskbench.data_tools.datasets import open_dataset
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.files import CopyMode
from duskbench.data_tools.folder import ImageFolder
from duskbench.data_tools.image_files import find_images
from duskbench.data_tools.images import decode_image
from duskbench.data_tools.leftovers import remove_leftovers
from duskbench.data_tools.ordered_map import ordered_map
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.data_tools.training_manifest import (
    MANIFEST,
    Names,
    folder_and_part,
    is_name,
    open_manifest,
    place_files,
    read_rows,
)
from duskbench.data_tools.unpaired_selection import luma

LOW, HIGH = "low", "high"
LIT = "lit"
# LOL's folders: https://daooshee.github.io/BMVC2018website/, our485 for training and eval15 for testing.
LOL_TRAINING = "our485"


@dataclass(frozen=True)
class Candidate:
    """Two images that may enter the set: their source, id there, files, and their common name in the set."""

    source: str
    id: str
    low: Path
    high: Path
    name: str


@dataclass(frozen=True)
class Measured:
    """What decides over a pair: mean luma of each in [0, 1], the size of each, and sha256 of the files."""

    low_brightness: float
    high_brightness: float
    low_size: tuple[int, int]
    high_size: tuple[int, int]
    low_sha256: str
    high_sha256: str


@dataclass(frozen=True)
class PairedSet:
    """What `build_paired` made: the folder, its manifest, the number of pairs, and pairs rejected by reason."""

    out: Path
    manifest: Path
    pairs: int
    rejected: dict[str, int]

    def __str__(self) -> str:
        rejected = ", ".join(f"{count} {reason}" for reason, count in sorted(self.rejected.items()))
        return f"{self.pairs} pairs in {self.out}; rejected: {rejected or 'none'}"


def build_paired(
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    min_side: int = 1,
    copy: CopyMode = "hardlink",
    progress: Progress = SILENT,
) -> PairedSet:
    """Build a paired training set from dark data sets with lit twins, and from LOL.

    Pairs are taken in the order of the sources and of the ids in them. `manifest.json` names every pair with size,
    brightness and hashes, and every rejected one with the reason: `missing`, `unreadable`, `too small`, `sizes differ`,
    `not darker` (the low image is at least as bright as its twin) or `twice` (both files are in the set already). Same
    input and arguments, same files. They are placed once the set is known to be whole; files of an earlier manifest in
    `out` that are no longer in the set are removed, nothing else is.

    Args:
        sources: Folders; of each all images, or a part where the source is `FOLDER@PART`. One of
            LOL, in which `our485/low` and `our485/high` lie: the part is `our485` by default, `eval15` on request;
            a folder with `low` and `high`, whose files pair by name;
            a data set with lit twins in `lit`, such as VOC-dark or the miniature: the part is a split.
        out: Folder to write low, high and manifest.json to.
        min_side: Smallest width and height: a training crop must fit in.
        copy: `hardlink` where the file system allows it, or `copy`.
        progress: Where pairs looked at are reported.

    Raises:
        DataError: A source has no pairs, files of a source have no twin, no pair passes, or low or high of `out` holds
            images of neither this set nor an earlier one.
    """
    out = Path(out)
    candidates = list(_candidates(sources))
    remove_leftovers(out)
    earlier = _earlier_files(out)
    rejected: Counter[str] = Counter()
    taken: set[tuple[str, str]] = set()
    files: dict[str, Path] = {}
    with open_manifest(out / MANIFEST, {"min_side": min_side, "copy": copy}) as write_row:
        for done, (candidate, measured) in enumerate(ordered_map(_measure, candidates), start=1):
            reason, detail = _judge(measured, min_side, taken)
            write_row(_row(candidate, measured, reason, detail))
            if reason is not None:
                rejected[reason] += 1
            else:
                for folder, path in ((LOW, candidate.low), (HIGH, candidate.high)):
                    files[f"{folder}/{candidate.name}{path.suffix}"] = path
            progress.update("Looking at pairs", done, len(candidates))
        if not taken:
            raise DataError(
                "No pair is left.",
                where=", ".join(map(str, sources)),
                got=", ".join(f"{count} {reason}" for reason, count in sorted(rejected.items())),
                todo="add sources, or lower min_side",
            )
        place_files(out, files, earlier, copy)
    for stale in earlier - files.keys():
        (out / stale).unlink(missing_ok=True)
    return PairedSet(out, out / MANIFEST, len(taken), dict(rejected))


def find_pairs(folder: str | Path) -> dict[str, tuple[Path, Path]]:
    """The pairs of a folder with `low` and `high`: id -> low-light and normal-light file, sorted.

    Raises:
        DataError: A half is missing or empty, or an image has no twin or several.
    """
    folder = Path(folder)
    halves = {half: find_images(folder / half) if (folder / half).is_dir() else None for half in (LOW, HIGH)}
    absent = [half for half, found in halves.items() if found is None or not found.files]
    if absent:
        raise DataError(
            "The folder has no pairs.",
            where=folder,
            expected="images in low and high, of the same names",
            got=f"none in {' and '.join(absent)}",
            todo="make them with `duskbench data paired`, or name another folder: --cfg-options data_root=DIR",
        )
    return _matched(ImageFolder(folder / LOW), folder / HIGH)


def read_paired_manifest(path: str | Path) -> dict[str, Any]:
    """Read a manifest: `settings`, and `pairs` with `rejected` None for those in the set.

    Raises:
        DataError: The file is missing or no such manifest.
    """
    manifest = read_rows(
        path, "a paired set", lambda row: is_name(row[LOW]) and is_name(row[HIGH]) and "rejected" in row
    )
    return {"settings": manifest["settings"], "pairs": manifest["images"]}


def _candidates(sources: Sequence[str | Path]) -> Iterator[Candidate]:
    labels, names = Names(), Names()
    for source in sources:
        folder, part = folder_and_part(source)
        label = labels.take(folder.resolve().name)
        for image_id, (low, high) in _pairs_of(folder, part).items():
            yield Candidate(label, image_id, low, high, names.take(f"{label}@{image_id.replace('/', '@')}"))


def _pairs_of(folder: Path, part: str | None) -> dict[str, tuple[Path, Path]]:
    if (folder / LIT).is_dir():
        return _matched(open_dataset(folder, split=part or "all"), folder / LIT)
    if (folder / LOL_TRAINING).is_dir():
        return find_pairs(folder / (part or LOL_TRAINING))
    return find_pairs(folder if part is None else folder / part)


def _matched(low: Any, high: Path) -> dict[str, tuple[Path, Path]]:
    twins = find_images(high).one_each(
        low.ids,
        "Low-light images have no twin, or more than one.",
        todo="complete the folder, or take them out of the low-light images",
    )
    return {image_id: (low.image_path(image_id), twin) for image_id, twin in sorted(twins.items())}


def _measure(candidate: Candidate) -> tuple[Candidate, Measured | str | None]:
    if not (candidate.low.is_file() and candidate.high.is_file()):
        return candidate, None
    brightness, sizes, hashes = [], [], []
    try:
        for path in (candidate.low, candidate.high):
            data = path.read_bytes()
            grey = luma(decode_image(data, where=path))
            brightness.append(float(grey.mean()) / 255)
            sizes.append((grey.shape[1], grey.shape[0]))
            hashes.append(hashlib.sha256(data).hexdigest())
    except (OSError, DataError) as error:
        return candidate, str(error)
    return candidate, Measured(*brightness, *sizes, *hashes)  # type: ignore[arg-type]


def _judge(
    measured: Measured | str | None, min_side: int, taken: set[tuple[str, str]]
) -> tuple[str | None, str | None]:
    """The reason to reject a pair and a detail, or None and None, and then the pair counts as taken."""
    if measured is None:
        return "missing", None
    if isinstance(measured, str):
        return "unreadable", measured.splitlines()[-1].strip()
    unfit = _unfit(measured, min_side)
    if unfit is not None:
        return unfit
    hashes = (measured.low_sha256, measured.high_sha256)
    if hashes in taken:
        return "twice", None
    taken.add(hashes)
    return None, None


def _unfit(measured: Measured, min_side: int) -> tuple[str, str] | None:
    if measured.low_size != measured.high_size:
        return "sizes differ", "{} x {} and {} x {}".format(*measured.low_size, *measured.high_size)
    if min(measured.low_size) < min_side:
        return "too small", "{} x {}".format(*measured.low_size)
    if measured.low_brightness >= measured.high_brightness:
        return "not darker", f"{measured.low_brightness:.4f} and {measured.high_brightness:.4f}"
    return None


def _row(
    candidate: Candidate, measured: Measured | str | None, reason: str | None, detail: str | None
) -> dict[str, Any]:
    row: dict[str, Any] = {"source": candidate.source, "id": candidate.id}
    row |= {LOW: candidate.name + candidate.low.suffix, HIGH: candidate.name + candidate.high.suffix}
    if isinstance(measured, Measured):
        row |= asdict(measured)
        row |= {key: round(row[key], 6) for key in ("low_brightness", "high_brightness")}
    return row | {"rejected": reason, "detail": detail}


def _earlier_files(out: Path) -> set[str]:
    if not (out / MANIFEST).exists():
        return set()
    kept = [row for row in read_paired_manifest(out / MANIFEST)["pairs"] if row["rejected"] is None]
    return {f"{half}/{row[half]}" for row in kept for half in (LOW, HIGH)}
