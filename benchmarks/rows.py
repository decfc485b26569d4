"""What is stored of a run's images: the images themselves, and what was made, found and measured of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Set
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.data_tools.records import ImageRecord, ObjectAnnotation
from duskbench.data_tools.typed import from_values, strict_json


@dataclass(frozen=True, slots=True)
class Key:
    """Key of a stored row: which image file, enhanced by which enhancer.

    `content` is the image's `StoredImage.content`: a row is only used again for the same image, the same reference and
    the same decoder.
    """

    image_id: str
    content: str
    enhancer: str


@dataclass(frozen=True, slots=True)
class Detected:
    """What a detector found in an enhanced image.

    Attributes:
        boxes_xyxy: (N, 4) float32 as in `Detections`.
        scores: (N,) float32, descending.
        labels: (N,) int64 into the detector's classes.
        ms: Milliseconds.
        error: Why there is no result, or None.
    """

    boxes_xyxy: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    ms: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a metric says of an enhanced image: a number, or None and why there is none, or why measuring failed."""

    number: float | None = None
    reason: str | None = None
    ms: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One image, enhanced, detected in and measured.

    Attributes:
        key: What it is of.
        error: Why it could not be read or enhanced, or None.
        ms_decode: Milliseconds of reading the image.
        ms_enhance: Milliseconds of the enhancer alone.
        detections: Fingerprint of a detector -> what it found.
        values: Fingerprint of a metric -> what it says.
    """

    key: Key
    error: str | None = None
    ms_decode: float | None = None
    ms_enhance: float | None = None
    detections: dict[str, Detected] = field(default_factory=dict)
    values: dict[str, Measured] = field(default_factory=dict)

    def first_error(self) -> str | None:
        """Why the row is not whole: an error in it or in one of its parts."""
        errors = [found.error for found in self.detections.values()] + [value.error for value in self.values.values()]
        return self.error or next((error for error in errors if error is not None), None)

    def lacks(self, wanted: Set[str]) -> bool:
        """Whether one of the detectors and metrics of these fingerprints was not asked yet."""
        return not wanted <= {*self.detections, *self.values}


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was when it was last read; with the same size and stamp it need not be hashed again.

    Attributes:
        stamp: See `file_states.stamp`; None where it is to be read again whatever it is.
    """

    path: Path
    bytes: int
    stamp: int | None
    sha256: str


@dataclass(frozen=True)
class ImageState:
    """What must be equal for two runs to have measured the same image.

    Attributes:
        id: Of the image.
        sha256: Of its content, and of its reference's where it has one; None where the file is missing.
        truth: Hash of its ground truth.
    """

    id: str
    sha256: str | None
    truth: str


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image of a run: its record, the state of its file when it was last read, and its reference's."""

    record: ImageRecord
    bytes: int | None = None
    stamp: int | None = None
    sha256: str | None = None
    reference: FileState | None = None

    def content(self, decoder: str | None) -> str | None:
        """What keys the image's rows: its sha256, joined with its reference's and with the hash of the decoder."""
        parts = [self.sha256, self.reference.sha256 if self.reference else None, decoder]
        known = [part for part in parts if part is not None]
        if self.sha256 is None or len(known) == 1:
            return self.sha256
        return hashlib.sha256(" ".join(known).encode()).hexdigest()

    def unread(self) -> StoredImage:
        """The image as one whose files are to be read again, whatever their stamps are."""
        reference = None if self.reference is None else replace(self.reference, stamp=None)
        return replace(self, stamp=None, reference=reference)

    def state(self) -> ImageState:
        """What must be equal for two runs to have measured the same image."""
        objects = None if self.record.objects is None else [asdict(each) for each in self.record.objects]
        truth = hashlib.sha256(json.dumps(objects, sort_keys=True).encode()).hexdigest()[:16]
        return ImageState(self.record.id, self.content(None), truth)


def image_row(image: StoredImage) -> tuple[Any, ...]:
    """An image as values of the table `images`."""
    record, reference = image.record, image.reference
    objects = None if record.objects is None else json.dumps([asdict(o) for o in record.objects])
    indoor = None if record.indoor is None else int(record.indoor)
    return (
        record.id, str(record.path), image.bytes, image.stamp, image.sha256,
        record.split, record.group, record.lighting, indoor, objects,
        *((str(reference.path), reference.bytes, reference.stamp, reference.sha256) if reference else (None,) * 4),
    )  # fmt: skip


def image_of_row(row: tuple[Any, ...]) -> StoredImage:
    """The image that `image_row` made `row` of.

    Raises:
        ValueError, TypeError, KeyError: The values are damaged.
    """
    image_id, path, size, stamp, sha256, split, group, lighting, indoor, objects, *reference = row
    parsed = None
    if objects is not None:
        parsed = tuple(from_values(ObjectAnnotation, each) for each in strict_json(objects))
    record = ImageRecord(
        id=image_id,
        path=Path(path),
        objects=parsed,
        split=split,
        group=group,
        lighting=lighting,
        indoor=None if indoor is None else bool(indoor),
    )
    known = None if reference[0] is None else FileState(Path(reference[0]), *reference[1:])
    return StoredImage(record, size, stamp, sha256, known)
