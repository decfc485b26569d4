"""The history: one file with every night, and the evidence that the next night is compared with.

An SQLite database that is never written in place: a change writes the whole file again under a temporary name, flushes
it to the disk and renames it. So there is no journal beside it that a cache or an artefact could miss, readers need no
lock, and a kill, a full disk or a power failure leaves the history as it was. The last 32 bytes, which SQLite
overlooks, are the sha256 of the others: a file that is truncated, or changed in a single bit, is noticed.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

from duskbench.benchmarks.evidence import RunEvidence
from duskbench.benchmarks.evidence_archive import pack, pack_images, unpack, unpack_images
from duskbench.benchmarks.nightly.night import Night, from_json, to_json
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.files import write_bytes

SCHEMA_VERSION = 2
# Version 1 has the same tables; its nights are described in another way, see `night.from_json`.
_KNOWN_VERSIONS = (1, SCHEMA_VERSION)
_DIGEST_BYTES = 32
_IMAGES = "images"
_SCHEMA = f"""
PRAGMA user_version={SCHEMA_VERSION};
CREATE TABLE nights (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, config TEXT NOT NULL,
    document TEXT NOT NULL);
CREATE TABLE evidence (night TEXT NOT NULL, name TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (night, name));
CREATE TABLE baseline (config TEXT NOT NULL, label TEXT NOT NULL, night TEXT NOT NULL, PRIMARY KEY (config, label));
"""


@dataclass(frozen=True)
class Baseline:
    """A night that others are compared with, in those of its enhancers that it is the baseline of."""

    night: Night
    evidence: RunEvidence


def read_history(path: str | Path) -> list[Night]:
    """All nights of a history, the oldest first.

    Raises:
        DataError: There is no such file, or it is damaged or no history.
    """
    return History(path, must_exist=True).nights()


class History:
    """The file of `--history`; the whole of it is in memory (a few MB a configuration), so reading is one read.

    Args:
        path: The file. One that does not exist is an empty history, which the first `put` creates.
        must_exist: Whether that is an error.

    Raises:
        DataError: The file is damaged, no history, or of another version of duskbench. It is left as it is.
    """

    def __init__(self, path: str | Path, *, must_exist: bool = False) -> None:
        # The file that a link leads to: replaced itself, it would be read by nobody who has the other end.
        self.path = Path(path).resolve()
        self._db = sqlite3.connect(":memory:")
        if self.path.exists() or must_exist:
            self._load()
        else:
            self._db.executescript(_SCHEMA)

    def nights(self, config: str | None = None) -> list[Night]:
        """Nights, the oldest first; of one configuration or of all."""
        used = {night for (night,) in self._db.execute("SELECT night FROM baseline")}
        query = "SELECT id, document FROM nights WHERE config=? OR ? IS NULL ORDER BY number"
        return [
            from_json(document, is_baseline=night in used)
            for night, document in self._db.execute(query, (config, config))
        ]

    def baseline(self, config: str) -> dict[str, str]:
        """Label of a row -> id of the night it is compared with."""
        query = "SELECT label, night FROM baseline WHERE config=? ORDER BY label"
        return dict(self._db.execute(query, (config,)))

    def baselines(self, config: str) -> list[Baseline]:
        """The nights that the next one is compared with, the oldest first.

        Raises:
            DataError: What one of them measured is not in the file.
        """
        labels: dict[str, list[str]] = {}
        for label, night in self.baseline(config).items():
            labels.setdefault(night, []).append(label)
        return [Baseline(n, self._evidence(n, labels[n.id])) for n in self.nights(config) if n.id in labels]

    def _evidence(self, night: Night, labels: Sequence[str]) -> RunEvidence:
        try:
            return self._unpacked(night, labels)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, EOFError, BadZipFile, zlib.error) as error:
            got = f"{type(error).__name__}: {error}"
            raise DataError(f"The results of night {night.id} are damaged.", where=self.path, got=got) from error

    def _unpacked(self, night: Night, labels: Sequence[str]) -> RunEvidence:
        states, objects = unpack_images(self._content(night.id, _IMAGES))
        record = replace(night.record, image_ids=tuple(state.id for state in states))
        # Earlier nights named each training for itself; their method is compared in all of them.
        rows = {entry.row for entry in record.enhancers if entry.label in labels or entry.row in labels}
        order = [entry.label for entry in record.enhancers if entry.row in rows]
        enhancers = {label: unpack(self._content(night.id, f"enhancer:{label}"), record) for label in order}
        record = replace(record, enhancers=tuple(one.entry for one in enhancers.values()))
        return RunEvidence(record, states, objects, enhancers)

    def _content(self, night: str, name: str) -> bytes:
        query = "SELECT content FROM evidence WHERE night=? AND name=?"
        row = self._db.execute(query, (night, name)).fetchone()
        if row is None:
            raise DataError(
                "The history lacks what its baseline needs; it is left as it is.",
                where=self.path,
                expected=f"the results of night {night}",
                todo="restore it from a copy, or name another file to begin a new history",
            )
        return bytes(row[0])

    def put(self, night: Night, evidence: RunEvidence, *, joins: Sequence[str] = ()) -> None:
        """Append a night and write the file.

        Args:
            night: The night.
            evidence: What it measured; kept while it is a baseline or its configuration's newest night.
            joins: Labels whose baseline it becomes.

        Raises:
            OSError: The disk is full, or the folder cannot be written. The file is as it was.
        """
        packed = {f"enhancer:{label}": pack(one) for label, one in evidence.enhancers.items()}
        packed[_IMAGES] = pack_images(evidence)
        with self._change():
            values = (night.id, night.config, to_json(night))
            self._db.execute("INSERT INTO nights (id, config, document) VALUES (?,?,?)", values)
            rows = [(night.id, name, content) for name, content in packed.items()]
            self._db.executemany("INSERT INTO evidence VALUES (?,?,?)", rows)
            pairs = [(night.config, label, night.id) for label in joins]
            self._db.executemany("INSERT OR REPLACE INTO baseline VALUES (?,?,?)", pairs)

    def accept(self, night: Night) -> None:
        """Make a night the baseline of its configuration, in all of its enhancers, and write the file; as `put`."""
        with self._change():
            self._db.execute("DELETE FROM baseline WHERE config=?", (night.config,))
            pairs = [(night.config, enhancer.label, night.id) for enhancer in night.enhancers]
            self._db.executemany("INSERT INTO baseline VALUES (?,?,?)", pairs)

    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._db:
            yield
            self._db.execute(
                "DELETE FROM evidence WHERE night NOT IN (SELECT night FROM baseline) AND night NOT IN "
                "(SELECT id FROM nights WHERE number IN (SELECT max(number) FROM nights GROUP BY config))"
            )
            self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        self._db.execute("VACUUM")
        content = self._db.serialize()
        write_bytes(self.path, content + _digest(content), durable=True)

    def _load(self) -> None:
        todo = "restore it from a copy, or name another file to begin a new history"
        try:
            content = self.path.read_bytes()
        except FileNotFoundError as error:
            todo = "`duskbench nightly CONFIG --history FILE` begins one"
            raise DataError("There is no history here.", where=self.path, todo=todo) from error
        except OSError as error:
            raise DataError("Cannot read the history.", where=self.path, got=str(error)) from error
        content, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
        if _digest(content) != digest:
            raise DataError(
                "The history is damaged, or is no history of nights; it is left as it is.",
                where=self.path,
                expected="a file that `duskbench nightly` wrote, with its sha256 at the end",
                got=f"{len(content) + len(digest)} bytes that do not fit it",
                todo=todo,
            )
        self._db.deserialize(content)
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version not in _KNOWN_VERSIONS:
            raise DataError(
                "The history was written by another version of duskbench; it is left as it is.",
                where=self.path,
                expected=f"schema {SCHEMA_VERSION} or earlier",
                got=f"schema {version}",
                todo="read it with that version, or name another file",
            )


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
