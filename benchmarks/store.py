"""Results in one SQLite file: what was made of each image by each enhancer, committed as it is measured."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.benchmarks.record import EnhancerEntry, RunRecord
from duskbench.benchmarks.rows import Detected, Key, Measured, Row, StoredImage, image_of_row, image_row
from duskbench.benchmarks.schema import bring_up_to_date, checksum, create, is_known
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.ids import shown

# The file in the folder of a run.
RESULTS = "results.sqlite"


class ResultStore:
    """The SQLite file of a run folder. One process writes; a row that was put is there after `kill -9`.

    Args:
        path: The file.
        reading: Only read: the file must exist, no file is left behind, and its folder need not be writable.

    Raises:
        DataError: There is no such file to read, or it is damaged, or was written by a later version.
    """

    def __init__(self, path: str | Path, *, reading: bool = False) -> None:
        self.path = Path(path)
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        if reading and not self.path.is_file():
            raise DataError(
                "There are no results here.", where=self.path, todo="`duskbench run CONFIG --out DIR` makes them"
            )
        with self._naming("Cannot open the results."):
            self._db = self._open_to_read() if reading else self._open_to_write()

    def _open_to_write(self) -> sqlite3.Connection:
        if self.path.parent.is_file():
            raise DataError(
                "The folder for the results is a file.", where=self.path.parent, todo="choose another --out"
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self.path, timeout=60)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        self._check_version(db)
        create(db)
        bring_up_to_date(db)
        return db

    def _open_to_read(self) -> sqlite3.Connection:
        log = self.path.with_name(f"{self.path.name}-wal")
        address = f"{self.path.absolute().as_uri()}?mode=ro"
        if not log.exists() or log.stat().st_size == 0:
            # Nobody writes, and without this SQLite would leave files beside it.
            db = sqlite3.connect(f"{address}&immutable=1", uri=True)
        else:
            try:
                db = sqlite3.connect(address, uri=True, timeout=60)
                db.execute("SELECT 1 FROM sqlite_master").fetchone()
            except sqlite3.OperationalError:
                db = self._open_copy(log)
        version = self._check_version(db)
        if is_known(version) != "current":
            # What an earlier version wrote, or a run that was killed before its tables were there, is brought up to
            # date in memory; the file stays as it is.
            memory = sqlite3.connect(":memory:")
            db.backup(memory)
            db.close()
            create(memory)
            bring_up_to_date(memory)
            return memory
        return db

    def _open_copy(self, log: Path) -> sqlite3.Connection:
        """A log that was left by a killed run, on a medium that cannot be written: merged in a copy."""
        self._copy = tempfile.TemporaryDirectory(prefix="duskbench-")
        for file in (self.path, log):
            shutil.copyfile(file, Path(self._copy.name, file.name))
        return sqlite3.connect(Path(self._copy.name, self.path.name))

    def _check_version(self, db: sqlite3.Connection) -> int:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if is_known(version) == "unknown":
            raise DataError(
                "The results were written by another version of duskbench.",
                where=self.path,
                got=f"schema {version}",
                todo="read them with that version, or choose another --out",
            )
        return version

    @contextmanager
    def _naming(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise DataError(what, where=self.path, got=str(error)) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()
        if self._copy is not None:
            self._copy.cleanup()

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

    def _insert(self, table: str, values: tuple[Any, ...]) -> None:
        marks = ",".join("?" * (len(values) + 1))
        self._db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", (*values, checksum(*values)))  # noqa: S608

    def _select(self, table: str, where: str = "1", values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows without their checksums; a row that does not fit its own is an error that names it."""
        with self._naming("Cannot read the results."):
            for row in self._db.execute(f"SELECT * FROM {table} WHERE {where}", values):  # noqa: S608
                if checksum(*row[:-1]) != row[-1]:
                    named = " ".join(str(v)[:40] for v in row[:4] if isinstance(v, str))
                    raise DataError(
                        "A row of the results is damaged.",
                        where=f"{self.path}, table {table}",
                        got=named or "a row that cannot be read",
                        todo="restore the file from a copy, or remove it and run again",
                    )
                yield row[:-1]

    def put_images(self, images: Iterable[StoredImage]) -> None:
        """Insert or replace images, in one transaction."""
        with self._writing():
            for image in images:
                self._insert("images", image_row(image))

    def doubt(self, image: StoredImage) -> None:
        """Forget what was taken for unchanged by its stamp: the next start reads the image's files and builds anew."""
        self.put_images([image.unread()])
        with self._writing():
            self._db.execute("DELETE FROM known")

    def images(self) -> dict[str, StoredImage]:
        """All images by id."""
        return {row[0]: self._parsed(row) for row in self._select("images")}

    def _parsed(self, row: tuple[Any, ...]) -> StoredImage:
        try:
            return image_of_row(row)
        except (ValueError, TypeError, KeyError) as error:
            raise DataError("An image of the results is damaged.", where=self.path, got=f"{row[0]}: {error}") from error

    def images_of(self, record: RunRecord) -> tuple[StoredImage, ...]:
        """The images of a run, in its order.

        Raises:
            DataError: One is not there.
        """
        known = self.images()
        lacking = [image_id for image_id in record.image_ids if image_id not in known]
        if lacking:
            raise DataError("The results lack images of the run.", where=self.path, got=f"no {shown(lacking, 3)}")
        return tuple(known[image_id] for image_id in record.image_ids)

    def put(self, row: Row) -> None:
        """Insert what was measured of an image and commit it; parts that are there already stay.

        A row that failed as a whole does not replace one that did not.
        """
        key = (row.key.image_id, row.key.content, row.key.enhancer)
        with self._writing():
            if row.error is None or not self._succeeded(key):
                self._insert("results", (*key, row.error, row.ms_decode, row.ms_enhance))
            for detector, found in row.detections.items():
                arrays = (found.boxes_xyxy, found.scores, found.labels)
                blobs = (
                    (None,) * 3 if found.error is not None else tuple(np.ascontiguousarray(a).tobytes() for a in arrays)
                )
                self._insert("detections", (*key, detector, found.error, *blobs, found.ms))
            for metric, value in row.values.items():
                self._insert("measured", (*key, metric, value.error, value.number, value.reason, value.ms))

    def _succeeded(self, key: tuple[str, str, str]) -> bool:
        query = "SELECT error IS NULL FROM results WHERE image_id=? AND content=? AND enhancer=?"
        found = self._db.execute(query, key).fetchone()
        return bool(found and found[0])

    def done(self) -> dict[Key, frozenset[str]]:
        """Key of each image that was enhanced -> fingerprints of the detectors and metrics that have a result of it.

        What failed is not among them, so it is tried again.
        """
        with self._naming("Cannot read the results."):
            done: dict[Key, set[str]] = {}
            for row in self._db.execute("SELECT image_id, content, enhancer FROM results WHERE error IS NULL"):
                done[Key(*row)] = set()
            for table, what in (("detections", "detector"), ("measured", "metric")):
                query = f"SELECT image_id, content, enhancer, {what} FROM {table} WHERE error IS NULL"  # noqa: S608
                for *key, fingerprint in self._db.execute(query):
                    done.setdefault(Key(*key), set()).add(fingerprint)
        return {key: frozenset(parts) for key, parts in done.items()}

    def rows(self, record: RunRecord, enhancer: EnhancerEntry, ids: Sequence[str] | None = None) -> Iterator[Row]:
        """The rows of one enhancer with the parts that a run asked for, in the order of image ids.

        Args:
            record: The run's.
            enhancer: One of its enhancers.
            ids: Of these images only; None for all.
        """

        def select(table: str, **where: str) -> Iterator[tuple[Any, ...]]:
            terms, values = [f"{column}=?" for column in where], list(where.values())
            if ids is not None:
                terms.append("image_id IN (SELECT value FROM json_each(?))")
                values.append(json.dumps(ids))
            return self._select(table, f"{' AND '.join(terms)} ORDER BY image_id, content", tuple(values))

        of = enhancer.fingerprint
        detections = {
            detector.fingerprint: _Rising(select("detections", enhancer=of, detector=detector.fingerprint))
            for detector in record.asked_of(enhancer)
        }
        values = {
            metric.fingerprint: _Rising(select("measured", enhancer=of, metric=metric.fingerprint))
            for metric in record.metrics
            if metric.kind == "image"
        }
        for image_id, content, _, error, ms_decode, ms_enhance in select("results", enhancer=of):
            self._check_kinds(image_id, numbers=(ms_decode, ms_enhance), texts=(error,))
            place = (image_id, content)
            yield Row(
                Key(image_id, content, of),
                error,
                ms_decode,
                ms_enhance,
                {key: self._detected(row) for key, rows in detections.items() if (row := rows.at(place)) is not None},
                {key: self._measured(row) for key, rows in values.items() if (row := rows.at(place)) is not None},
            )

    def _measured(self, row: tuple[Any, ...]) -> Measured:
        error, number, reason, ms = row[4:]
        self._check_kinds(row[0], numbers=(number, ms), texts=(error, reason))
        return Measured(number, reason, ms, error)

    def _detected(self, row: tuple[Any, ...]) -> Detected:
        error, boxes, scores, labels, ms = row[4:]
        self._check_kinds(row[0], numbers=(ms,), texts=(error,))
        if error is not None:
            return Detected(ms=ms, error=error)
        try:
            found = Detected(
                np.frombuffer(boxes, np.float32).reshape(-1, 4),
                np.frombuffer(scores, np.float32),
                np.frombuffer(labels, np.int64),
                ms,
            )
            lengths = [len(each) for each in (found.boxes_xyxy, found.scores, found.labels)]
            if len(set(lengths)) > 1:
                raise ValueError("{} boxes, {} scores, {} labels".format(*lengths))
            return found
        except (ValueError, TypeError) as failure:
            raise DataError(
                "Detections of the results are damaged.", where=self.path, got=f"{row[0]}: {failure}"
            ) from failure

    def _check_kinds(self, image_id: str, numbers: tuple[Any, ...], texts: tuple[Any, ...]) -> None:
        """SQLite keeps whatever is put into a column."""
        for kind, values in ((float, numbers), (str, texts)):
            for value in values:
                if value is not None and not isinstance(value, kind):
                    what, got = "A row of the results is damaged.", f"{image_id}: {value!r}"[:200]
                    raise DataError(what, where=self.path, expected=kind.__name__, got=got)

    def put_run(self, record: RunRecord) -> int:
        """Append the record of a run; returns its number."""
        with self._writing():
            text = record.to_json()
            cursor = self._db.execute("INSERT INTO runs (record, checksum) VALUES (?,?)", (text, checksum(text)))
        return int(cursor.lastrowid or 0)

    def last_run(self) -> RunRecord:
        """The record of the newest run.

        Raises:
            DataError: Nothing was run here yet, or the record is damaged.
        """
        return self._run(None)

    def run(self, number: int) -> RunRecord:
        """The record of a run by the number that `put_run` gave it, as all who read it later see it.

        Raises:
            DataError: There is no such run, or the record is damaged.
        """
        return self._run(number)

    def _run(self, number: int | None) -> RunRecord:
        with self._naming("Cannot read the results."):
            row = self._db.execute(
                "SELECT record, checksum FROM runs WHERE run_id = coalesce(?, (SELECT max(run_id) FROM runs))",
                (number,),
            ).fetchone()
        if row is None:
            raise DataError("Nothing was run here yet.", where=self.path, todo="`duskbench run CONFIG --out DIR`")
        if checksum(row[0]) != row[1]:
            raise DataError("The record of the run is damaged.", where=self.path, todo="run again into another --out")
        return RunRecord.from_json(row[0], where=self.path, classes_of=self._old_classes)

    def _old_classes(self, fingerprint: str) -> tuple[str, ...]:
        """Classes of a detector of an earlier version, which kept them apart from the record."""
        exists = self._db.execute("SELECT 1 FROM sqlite_master WHERE name='detectors'").fetchone()
        if not exists:
            return ()
        query = "SELECT classes FROM detectors WHERE fingerprint=?"
        row = self._db.execute(query, (fingerprint.partition("@")[0],)).fetchone()
        return tuple(json.loads(row[0])) if row else ()

    def remember(self, answers: Mapping[str, str]) -> None:
        """Keep what was found out at some cost; request -> answer."""
        with self._writing():
            for pair in answers.items():
                self._insert("known", pair)

    def known(self) -> dict[str, str]:
        """What was kept."""
        return dict(self._select("known"))


class _Rising:
    """Rows in the order of images and contents, to be read beside others in that order."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def at(self, place: tuple[str, str]) -> tuple[Any, ...] | None:
        """The row of an image and content, none of which comes before the last one asked for; None without one."""
        while self._next is not None and self._next[:2] < place:
            self._next = next(self._rows, None)
        return self._next if self._next is not None and self._next[:2] == place else None
