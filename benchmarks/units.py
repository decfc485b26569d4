"""The work of a run, piece by piece: which parts of which rows are missing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from duskbench.benchmarks.record import EnhancerEntry
from duskbench.benchmarks.rows import Key, StoredImage
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.fingerprint import fingerprint
from duskbench.data_tools.image_opening import read_bytes
from duskbench.data_tools.images import decode_image, read_image

# What an error says of that which a worker finds to be another than was planned: what was taken for unchanged was not.
CHANGED = "is not what it was when the run began."


@dataclass(frozen=True)
class Task:
    """An image to be enhanced by one enhancer, and what is still to be found out about the result.

    Attributes:
        index: Of the enhancer.
        key: Of the row.
        missing: Fingerprints of the detectors and metrics that have not said anything of it yet.
    """

    index: int
    key: Key
    missing: frozenset[str]


@dataclass(frozen=True)
class ImageFile:
    """An image file as it was when the run was planned.

    Attributes:
        path: Where it is.
        sha256: Of its bytes.
        data: Its bytes, where they travel with the unit because the worker's machine need not have the file.
    """

    path: Path
    sha256: str
    data: bytes | None = None

    def content(self) -> bytes:
        """Its bytes, read from the file unless they travelled.

        Raises:
            DataError: The file cannot be read.
        """
        return read_bytes(self.path) if self.data is None else self.data

    def image(self) -> np.ndarray:
        """The image, (H, W, 3) uint8 RGB, see `read_image`.

        Raises:
            DataError: It cannot be read, or the file is another one than was planned: the row would be kept as that of
                an image that nobody measured.
        """
        content = self.content()
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise DataError(
                f"The image {CHANGED}",
                where=self.path,
                expected=f"sha256 {self.sha256[:12]}",
                got=found[:12],
                todo="start the run again; on a cluster give every machine the same files, or use --send-images",
            )
        return decode_image(content, where=self.path)


@dataclass(frozen=True)
class Unit:
    """One image and the rows it still lacks: the piece of work that is handed to a worker."""

    image_id: str
    file: ImageFile
    tasks: tuple[Task, ...]
    reference: ImageFile | None = None


def plan_units(
    images: Iterable[StoredImage],
    enhancers: Sequence[EnhancerEntry],
    wanted: Sequence[frozenset[str]],
    decoder: str,
    done: Mapping[Key, frozenset[str]],
    kept: Callable[[str, Key], bool] | None = None,
) -> list[Unit]:
    """What is still missing, image by image; what several enhancers have in common is one piece of work.

    Args:
        images: Of the run.
        enhancers: Of the run.
        wanted: Of each enhancer the fingerprints of the detectors and metrics that are asked of every row.
        decoder: Hash of the code that reads images.
        done: See `ResultStore.done`.
        kept: Whether the picture that is to be kept for that label is there; None where none are kept.
    """
    units = []
    for image in images:
        content = image.content(decoder)
        if content is None:
            continue
        tasks: dict[Key, Task] = {}
        for index, enhancer in enumerate(enhancers):
            key = Key(image.record.id, content, enhancer.fingerprint)
            if enhancer.error is None and key not in tasks:
                missing_parts = wanted[index] - done.get(key, frozenset())
                if missing_parts or key not in done or (kept is not None and not kept(enhancer.label, key)):
                    tasks[key] = Task(index, key, missing_parts)
        if tasks:
            reference = ImageFile(image.reference.path, image.reference.sha256) if image.reference else None
            file = ImageFile(image.record.path, str(image.sha256))
            units.append(Unit(image.record.id, file, tuple(tasks.values()), reference))
    return units


def labels_of(enhancers: Sequence[EnhancerEntry]) -> dict[str, list[str]]:
    """Fingerprint -> labels of the enhancers that have it; of what cannot be built there are no rows."""
    labels: dict[str, list[str]] = {}
    for enhancer in enhancers:
        if enhancer.error is None:
            labels.setdefault(enhancer.fingerprint, []).append(enhancer.label)
    return labels


def decoder_fingerprint() -> str:
    """Hash of the code that reads images."""
    return fingerprint(read_image, {})
