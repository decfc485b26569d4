"""Results in one SQLite file: a row per (image, enhancer, detector), committed as it is measured."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.records import ImageRecord, ObjectAnnotation

SCHEMA_VERSION = 2

# `measure` names what was measured besides detections and how (the grey rule of NIQE), so that a row is only ever
# reused for the same question. AP's rules are absent: they are applied to stored detections when a table is made.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    image_id TEXT PRIMARY KEY, path TEXT NOT NULL, bytes INTEGER, mtime_ns INTEGER, sha256 TEXT,
    split TEXT, image_group TEXT, lighting TEXT, indoor INTEGER, objects TEXT,
    reference TEXT, reference_bytes INTEGER, reference_mtime_ns INTEGER, reference_sha256 TEXT);
CREATE TABLE IF NOT EXISTS detectors (fingerprint TEXT PRIMARY KEY, name TEXT NOT NULL, classes TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS results (
    image_id TEXT NOT NULL, sha256 TEXT NOT NULL, enhancer TEXT NOT NULL, detector TEXT NOT NULL, measure TEXT NOT NULL,
    error TEXT, niqe REAL, niqe_reason TEXT, boxes BLOB, scores BLOB, labels BLOB,
    ms_decode REAL, ms_enhance REAL, ms_detect REAL, ms_niqe REAL,
    psnr REAL, psnr_reason TEXT, ssim REAL, ssim_reason TEXT,
    PRIMARY KEY (image_id, sha256, enhancer, detector, measure)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (run_id INTEGER PRIMARY KEY AUTOINCREMENT, record TEXT NOT NULL);
"""

# What brings a file of an earlier schema to the next one. Columns that a later schema adds stand last.
_MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (
        *(f"ALTER TABLE results ADD COLUMN {c}" for c in ("psnr REAL", "psnr_reason TEXT", "ssim REAL")),
        "ALTER TABLE results ADD COLUMN ssim_reason TEXT",
        "ALTER TABLE images ADD COLUMN reference TEXT",
        "ALTER TABLE images ADD COLUMN reference_bytes INTEGER",
        "ALTER TABLE images ADD COLUMN reference_mtime_ns INTEGER",
        "ALTER TABLE images ADD COLUMN reference_sha256 TEXT",
    ),
}

_INSERT_IMAGE = "INSERT OR REPLACE INTO images VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
_INSERT_RESULT = "INSERT OR REPLACE INTO results VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"


@dataclass(frozen=True)
class Key:
    """What a stored row answers: which file, enhanced by what, detected by what, measured how.

    `sha256` is the image's `StoredImage.content`: a row is only reused for the same image and the same reference.
    """

    image_id: str
    sha256: str
    enhancer: str
    detector: str
    measure: str


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        key: What it answers.
        error: Why there is no result, or None.
        niqe: NIQE of the enhanced image, or None with `niqe_reason`.
        boxes_xyxy: (N, 4) float32 as in `Detections`; None without a detector.
        scores: (N,) float32.
        labels: (N,) int64 into the detector's classes.
        ms_decode: Milliseconds; likewise the other three. None where the step did not take place.
        psnr: Against the image's reference, in decibels; None without one, or with `psnr_reason`.
        ssim: Likewise; None without a reference, or with `ssim_reason`.
    """

    key: Key
    error: str | None = None
    niqe: float | None = None
    niqe_reason: str | None = None
    boxes_xyxy: np.ndarray | None = None
    scores: np.ndarray | None = None
    labels: np.ndarray | None = None
    ms_decode: float | None = None
    ms_enhance: float | None = None
    ms_detect: float | None = None
    ms_niqe: float | None = None
    psnr: float | None = None
    psnr_reason: str | None = None
    ssim: float | None = None
    ssim_reason: str | None = None


@dataclass(frozen=True)
class FileState:
    """A file as it was when it was last read; with the same size and time it need not be hashed again."""

    path: Path
    bytes: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class StoredImage:
    """An image of a run: its record, the state of its file when it was last read, and its reference's."""

    record: ImageRecord
    bytes: int | None = None
    mtime_ns: int | None = None
    sha256: str | None = None
    reference: FileState | None = None

    @property
    def content(self) -> str | None:
        """What keys the image's rows: its sha256, joined with that of its reference where it has one."""
        if self.sha256 is None or self.reference is None:
            return self.sha256
        return hashlib.sha256(f"{self.sha256} {self.reference.sha256}".encode()).hexdigest()


class ResultStore:
    """The SQLite file of a run folder. One process writes; a row that was put is there after `kill -9`."""

    def __init__(self, path: str | Path, *, must_exist: bool = False) -> None:
        self.path = Path(path)
        if must_exist and not self.path.is_file():
            raise DataError(
                "There are no results here.", where=self.path, todo="`duskbench run CONFIG --out DIR` makes them"
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(self.path, timeout=60)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, SCHEMA_VERSION, *_MIGRATIONS):
                raise DataError(
                    "The results were written by another version of duskbench.",
                    where=self.path,
                    expected=f"schema {SCHEMA_VERSION}",
                    got=f"schema {version}",
                    todo="read them with that version, or choose another --out",
                )
            if version != SCHEMA_VERSION:
                self._bring_up_to_date()
        except sqlite3.DatabaseError as error:
            raise DataError("Cannot open the results.", where=self.path, got=str(error)) from error

    def _bring_up_to_date(self) -> None:
        with self._db:
            # Locked before the version is read again: two processes may open an old file at once.
            self._db.execute("BEGIN IMMEDIATE")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            # A new file has no version yet and gets today's tables at once.
            for older in range(version or SCHEMA_VERSION, SCHEMA_VERSION):
                for statement in _MIGRATIONS[older]:
                    self._db.execute(statement)
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> ResultStore:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction; what an earlier one wrote is kept if this one fails."""
        try:
            with self._db:
                yield
        except sqlite3.Error as error:
            raise DataError(
                "Cannot write the results.",
                where=self.path,
                got=str(error),
                todo="make room, or see that the folder can be written to; the same command goes on where it stopped",
            ) from error

    def put_images(self, images: Iterable[StoredImage]) -> None:
        """Insert or replace images, in one transaction."""
        with self._writing():
            self._db.executemany(_INSERT_IMAGE, map(_image_row, images))

    def images(self) -> dict[str, StoredImage]:
        """All images by id."""
        return {row[0]: _image_of_row(row) for row in self._db.execute("SELECT * FROM images")}

    def put_detector(self, fingerprint: str, name: str, classes: tuple[str, ...]) -> None:
        """Remember the classes that the labels of this detector's rows index."""
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO detectors VALUES (?,?,?)", (fingerprint, name, json.dumps(list(classes)))
            )

    def detector_classes(self, fingerprint: str) -> tuple[str, ...]:
        """Classes of a detector; empty for none."""
        row = self._db.execute("SELECT classes FROM detectors WHERE fingerprint=?", (fingerprint,)).fetchone()
        return tuple(json.loads(row[0])) if row else ()

    def put(self, row: Row) -> None:
        """Insert one measurement and commit it; a failed one of the same key is replaced."""
        key = row.key
        blobs = [
            None if a is None else np.ascontiguousarray(a).tobytes() for a in (row.boxes_xyxy, row.scores, row.labels)
        ]
        values = (
            key.image_id, key.sha256, key.enhancer, key.detector, key.measure,
            row.error, row.niqe, row.niqe_reason, *blobs,
            row.ms_decode, row.ms_enhance, row.ms_detect, row.ms_niqe,
            row.psnr, row.psnr_reason, row.ssim, row.ssim_reason,
        )  # fmt: skip
        with self._writing():
            self._db.execute(_INSERT_RESULT, values)

    def done(self) -> set[Key]:
        """Keys of the rows that hold a result; failed ones are not among them, so they are tried again."""
        query = "SELECT image_id, sha256, enhancer, detector, measure FROM results WHERE error IS NULL"
        return {Key(*row) for row in self._db.execute(query)}

    def rows(self, *, enhancer: str, detector: str, measure: str) -> Iterator[Row]:
        """The rows of one enhancer in the order of image ids."""
        query = "SELECT * FROM results WHERE enhancer=? AND detector=? AND measure=? ORDER BY image_id"
        for row in self._db.execute(query, (enhancer, detector, measure)):
            boxes, scores, labels = row[8:11]
            yield Row(
                key=Key(*row[:5]),
                error=row[5],
                niqe=row[6],
                niqe_reason=row[7],
                boxes_xyxy=None if boxes is None else np.frombuffer(boxes, np.float32).reshape(-1, 4),
                scores=None if scores is None else np.frombuffer(scores, np.float32),
                labels=None if labels is None else np.frombuffer(labels, np.int64),
                ms_decode=row[11],
                ms_enhance=row[12],
                ms_detect=row[13],
                ms_niqe=row[14],
                psnr=row[15],
                psnr_reason=row[16],
                ssim=row[17],
                ssim_reason=row[18],
            )

    def put_run(self, record: dict[str, Any]) -> int:
        """Append the record of a run; returns its number."""
        with self._writing():
            cursor = self._db.execute("INSERT INTO runs (record) VALUES (?)", (json.dumps(record),))
        return int(cursor.lastrowid or 0)

    def last_run(self) -> dict[str, Any]:
        """The record of the newest run.

        Raises:
            DataError: Nothing was run here yet.
        """
        row = self._db.execute("SELECT record FROM runs ORDER BY run_id DESC LIMIT 1").fetchone()
        if row is None:
            raise DataError("Nothing was run here yet.", where=self.path, todo="`duskbench run CONFIG --out DIR`")
        record: dict[str, Any] = json.loads(row[0])
        return record


def _image_row(image: StoredImage) -> tuple[Any, ...]:
    record, reference = image.record, image.reference
    objects = None if record.objects is None else json.dumps([asdict(o) for o in record.objects])
    indoor = None if record.indoor is None else int(record.indoor)
    return (
        record.id, str(record.path), image.bytes, image.mtime_ns, image.sha256,
        record.split, record.group, record.lighting, indoor, objects,
        *((str(reference.path), reference.bytes, reference.mtime_ns, reference.sha256) if reference else (None,) * 4),
    )  # fmt: skip


def _image_of_row(row: tuple[Any, ...]) -> StoredImage:
    image_id, path, size, mtime_ns, sha256, split, group, lighting, indoor, objects, *reference = row
    parsed = None
    if objects is not None:
        parsed = tuple(ObjectAnnotation(**{**o, "box_xyxy": tuple(o["box_xyxy"])}) for o in json.loads(objects))
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
    return StoredImage(record, size, mtime_ns, sha256, known)
