"""The tables of a results file, and what brings a file of an earlier version of duskbench up to date."""

from __future__ import annotations

import sqlite3
import zlib
from typing import Literal

from duskbench.benchmarks.first_version import TO_SCHEMA_3

SCHEMA_VERSION = 3

# What the columns `mtime_ns` hold is the stamp of a file, see `file_states.stamp`; earlier versions kept its time of
# change there, which no stamp equals, so that they read each other's files once more.
# The last column of each table is a checksum of the others, so that a damaged row is noticed when it is read.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    image_id TEXT PRIMARY KEY, path TEXT NOT NULL, bytes INTEGER, mtime_ns INTEGER, sha256 TEXT,
    split TEXT, image_group TEXT, lighting TEXT, indoor INTEGER, objects TEXT,
    reference TEXT, reference_bytes INTEGER, reference_mtime_ns INTEGER, reference_sha256 TEXT, checksum INTEGER);
CREATE TABLE IF NOT EXISTS results (
    image_id TEXT NOT NULL, content TEXT NOT NULL, enhancer TEXT NOT NULL,
    error TEXT, ms_decode REAL, ms_enhance REAL, checksum INTEGER,
    PRIMARY KEY (enhancer, image_id, content)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS detections (
    image_id TEXT NOT NULL, content TEXT NOT NULL, enhancer TEXT NOT NULL, detector TEXT NOT NULL,
    error TEXT, boxes BLOB, scores BLOB, labels BLOB, ms REAL, checksum INTEGER,
    PRIMARY KEY (enhancer, detector, image_id, content)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS measured (
    image_id TEXT NOT NULL, content TEXT NOT NULL, enhancer TEXT NOT NULL, metric TEXT NOT NULL,
    error TEXT, number REAL, reason TEXT, ms REAL, checksum INTEGER,
    PRIMARY KEY (enhancer, metric, image_id, content)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    run_id INTEGER PRIMARY KEY AUTOINCREMENT, record TEXT NOT NULL, checksum INTEGER);
CREATE TABLE IF NOT EXISTS known (request TEXT PRIMARY KEY, answer TEXT NOT NULL, checksum INTEGER);
"""

_TO_2 = (
    *(
        f"ALTER TABLE results ADD COLUMN {c}"
        for c in ("psnr REAL", "psnr_reason TEXT", "ssim REAL", "ssim_reason TEXT")
    ),
    "ALTER TABLE images ADD COLUMN reference TEXT",
    "ALTER TABLE images ADD COLUMN reference_bytes INTEGER",
    "ALTER TABLE images ADD COLUMN reference_mtime_ns INTEGER",
    "ALTER TABLE images ADD COLUMN reference_sha256 TEXT",
)

_MIGRATIONS: dict[int, tuple[str, ...]] = {1: _TO_2, 2: TO_SCHEMA_3}


def is_known(version: int) -> Literal["new", "current", "older", "unknown"]:
    """What this version of duskbench makes of a file's `user_version`; 0 is a new file."""
    if version in (0, SCHEMA_VERSION):
        return "current" if version else "new"
    return "older" if version in _MIGRATIONS else "unknown"


def checksum(*values: object) -> int:
    """CRC-32 of a row's values, by type and content."""
    parts: list[bytes] = []
    for value in values:
        parts.append(type(value).__name__.encode())
        parts.append(value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass"))
    return zlib.crc32(b"".join(parts))


def create(db: sqlite3.Connection) -> None:
    """Make the tables of a new file; one that has tables stays as it is."""
    with db:
        # Locked before the version is read: two processes may open a file at once.
        db.execute("BEGIN IMMEDIATE")
        if db.execute("PRAGMA user_version").fetchone()[0] == 0:
            _create(db)
            db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def bring_up_to_date(db: sqlite3.Connection) -> None:
    """Rewrite the tables of an earlier version, in one transaction."""
    db.create_function("checksum", -1, checksum, deterministic=True)
    with db:
        db.execute("BEGIN IMMEDIATE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        for older in range(version, SCHEMA_VERSION):
            for statement in _MIGRATIONS[older]:
                if statement == "{create}":
                    _create(db)
                else:
                    db.execute(statement)
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def _create(db: sqlite3.Connection) -> None:
    for statement in _SCHEMA.split(";"):
        db.execute(statement)
