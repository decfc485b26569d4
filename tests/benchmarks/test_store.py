"""Rows come back as they went in."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import DataEntry, DetectorEntry, EnhancerEntry, Environment, MetricEntry, RunRecord
from duskbench.benchmarks.rows import Detected, FileState, Key, Measured, Row, StoredImage
from duskbench.benchmarks.store import ResultStore
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.records import ImageRecord, ObjectAnnotation

KEY = Key("a", "sha", "enhancer")
ENHANCER = EnhancerEntry("Enhancer", "enhancer", "enhancer")
OBJECT = ObjectAnnotation("car", (1.0, 2.5, 3.0, 4.0), difficult=True, pose="Left")


def test_images_round_trip(tmp_path: Path) -> None:
    records = [
        ImageRecord("a", Path("x/a.png"), (OBJECT,), "test", lighting="Low", indoor=True, group="Car"),
        ImageRecord("b", Path("b.png"), ()),
        ImageRecord("c", Path("c.png")),
    ]
    with ResultStore(tmp_path / "r.sqlite") as store:
        store.put_images(StoredImage(record, 1, 2, "sha") for record in records)
        assert [image.record for image in store.images().values()] == records


def test_an_image_with_a_reference_has_other_content(tmp_path: Path) -> None:
    alone = StoredImage(ImageRecord("a", Path("a.png")), 1, 2, "sha")
    one, two = (replace(alone, reference=FileState(Path("lit/a.jpg"), 3, 4, sha)) for sha in ("one", "two"))
    assert alone.content(None) == "sha"
    assert len({each.content(decoder) for each in (alone, one, two) for decoder in (None, "d", "e")}) == 9
    assert replace(one, sha256=None).content("d") is None
    with ResultStore(tmp_path / "r.sqlite") as store:
        store.put_images([one])
        assert store.images() == {"a": one}


# The tables of schema 1, with a row each.
_SCHEMA_1 = """
CREATE TABLE images (
    image_id TEXT PRIMARY KEY, path TEXT NOT NULL, bytes INTEGER, mtime_ns INTEGER, sha256 TEXT,
    split TEXT, image_group TEXT, lighting TEXT, indoor INTEGER, objects TEXT);
CREATE TABLE detectors (fingerprint TEXT PRIMARY KEY, name TEXT NOT NULL, classes TEXT NOT NULL);
CREATE TABLE results (
    image_id TEXT NOT NULL, sha256 TEXT NOT NULL, enhancer TEXT NOT NULL, detector TEXT NOT NULL, measure TEXT NOT NULL,
    error TEXT, niqe REAL, niqe_reason TEXT, boxes BLOB, scores BLOB, labels BLOB,
    ms_decode REAL, ms_enhance REAL, ms_detect REAL, ms_niqe REAL,
    PRIMARY KEY (image_id, sha256, enhancer, detector, measure)) WITHOUT ROWID;
CREATE TABLE runs (run_id INTEGER PRIMARY KEY AUTOINCREMENT, record TEXT NOT NULL);
INSERT INTO images VALUES ('a', 'x/a.png', 1, 2, 'sha', 'test', NULL, NULL, NULL, NULL);
INSERT INTO results VALUES ('a', 'sha', 'enhancer', 'detector', 'niqe=rgb2gray', NULL, 4.5, NULL, NULL, NULL, NULL,
    1.0, 2.0, 3.0, 4.0);
PRAGMA user_version=1;
"""


OLD = Row(
    KEY,
    ms_decode=1.0,
    ms_enhance=2.0,
    values={"niqe@niqe=rgb2gray": Measured(4.5, None, 4.0)},
)


def record(detectors: tuple[str, ...] = (), metrics: tuple[str, ...] = ("m",)) -> RunRecord:
    return RunRecord(
        name="made",
        title="Made by hand",
        data=DataEntry("ExDark", "nowhere"),
        detectors=tuple(DetectorEntry(d, d, d, d, ("car", "dog")) for d in detectors),
        enhancers=(ENHANCER,),
        metrics=tuple(MetricEntry(m, m, m, m, "image", m, "lower") for m in metrics),
        protocol=Protocol(),
        environment=Environment("now", "cpu"),
        image_ids=("a",),
    )


def rows(path: Path, of: RunRecord, *, reading: bool = False) -> list[Row]:
    with ResultStore(path, reading=reading) as store:
        return list(store.rows(of, ENHANCER))


@pytest.mark.parametrize("reading", [True, False])
def test_results_of_the_first_schema_are_kept(tmp_path: Path, reading: bool) -> None:
    path = tmp_path / "r.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript(_SCHEMA_1)
    db.close()
    before = path.read_bytes()
    old = record(metrics=("niqe@niqe=rgb2gray",))
    image = StoredImage(ImageRecord("a", Path("x/a.png"), split="test"), 1, 2, "sha")
    for _ in range(2):
        assert rows(path, old, reading=reading) == [OLD]
        with ResultStore(path, reading=reading) as store:
            assert store.images() == {"a": image}
    if reading:
        assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    else:
        with ResultStore(path) as store:
            again = replace(OLD, key=replace(KEY, image_id="b"))
            store.put(again)
            assert list(store.rows(old, ENHANCER)) == [OLD, again]


def test_rows_round_trip_and_parts_are_added(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    found = Detected(np.array([[0.1, 0.2, 3, 4]], np.float32), np.array([0.3], np.float32), np.array([7]), 2.5)
    of = record(detectors=("d", "e"), metrics=("m", "n"))
    with ResultStore(path) as store:
        store.put(Row(KEY, error="no"))
        assert store.done() == {}
        store.put(
            Row(KEY, ms_decode=0.5, ms_enhance=1.5, detections={"d": found}, values={"m": Measured(4.123456789012345)})
        )
        assert store.done() == {KEY: {"d", "m"}}
        # Another detector and another metric, one of which fails; then everything fails, which loses nothing.
        store.put(
            Row(KEY, ms_enhance=1.5, detections={"e": Detected(error="boom")}, values={"n": Measured(None, "flat")})
        )
        store.put(Row(KEY, error="no memory"))
        assert store.done() == {KEY: {"d", "m", "n"}}
    [row] = rows(path, of)
    assert (row.error, row.first_error(), row.lacks(of.wanted_of(ENHANCER))) == (None, "boom", False)
    assert (row.values["m"].number, row.values["n"]) == (4.123456789012345, Measured(None, "flat"))
    for name in ("boxes_xyxy", "scores", "labels", "ms"):
        assert np.array_equal(getattr(row.detections["d"], name), getattr(found, name))
    [only] = rows(path, record(metrics=("m",)))
    assert (only.first_error(), set(only.values), only.detections) == (None, {"m"}, {})
    [row] = rows(path, record(metrics=("m", "other")))
    assert row.lacks(record(metrics=("m", "other")).wanted_of(ENHANCER))


def test_rows_of_some_images(tmp_path: Path) -> None:
    of = record(detectors=("d",))
    with ResultStore(tmp_path / "r.sqlite") as store:
        for number, image_id in enumerate(("c", "a", "it's", "b")):
            found = Detected(scores=np.array([], np.float32), ms=float(number))
            store.put(
                Row(Key(image_id, "sha", "enhancer"), detections={"d": found}, values={"m": Measured(number / 2)})
            )
        for ids, expected in (
            (None, {"a": 1, "b": 3, "c": 0, "it's": 2}),
            (["it's", "gone", "b"], {"b": 3, "it's": 2}),
            ([], {}),
        ):
            got = {row.key.image_id: row for row in store.rows(of, ENHANCER, ids)}
            assert list(got) == list(expected)
            for image_id, number in expected.items():
                assert (got[image_id].values["m"].number, got[image_id].detections["d"].ms) == (number / 2, number)


def test_runs(tmp_path: Path) -> None:
    with ResultStore(tmp_path / "r.sqlite") as store:
        with pytest.raises(DataError, match="Nothing was run"):
            store.last_run()
        store.put_run(record())
        newest = record(("d",), ("m", "n"))
        store.put_run(newest)
        assert store.last_run() == newest


def test_reading_leaves_no_file_and_needs_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with ResultStore(path) as store:
        store.put_run(record())
        # A run that is killed leaves its log: what it committed is read all the same.
        for name in ("r.sqlite", "r.sqlite-wal"):
            (tmp_path / "killed").mkdir(exist_ok=True)
            shutil.copy(tmp_path / name, tmp_path / "killed" / name)
    for folder in (tmp_path, tmp_path / "killed"):
        before = sorted(each.name for each in folder.iterdir())
        folder.chmod(0o500)
        try:
            with ResultStore(folder / "r.sqlite", reading=True) as store:
                assert store.last_run() == record()
        finally:
            folder.chmod(0o700)
        assert [n for n in sorted(e.name for e in folder.iterdir()) if not n.endswith("-shm")] == before


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("UPDATE measured SET number = 5", "table measured"),
        ("UPDATE detections SET scores = x'00000000'", "table detections"),
        ("UPDATE results SET ms_enhance = 3", "table results"),
        ("UPDATE images SET path = 'elsewhere'", "table images"),
        ("UPDATE runs SET record = '{}'", "record of the run is damaged"),
        ("DROP TABLE measured", "Cannot read the results"),
    ],
)
def test_damage_is_an_error_that_names_the_row(tmp_path: Path, statement: str, text: str) -> None:
    path = tmp_path / "r.sqlite"
    with ResultStore(path) as store:
        store.put_images([StoredImage(ImageRecord("a", Path("x/a.png")), 1, 2, "sha")])
        found = Detected(np.zeros((1, 4), np.float32), np.array([0.3], np.float32), np.array([7]))
        store.put(Row(KEY, detections={"d": found}, values={"m": Measured(4.5)}, ms_enhance=1.5))
        store.put_run(record(("d",)))
    with sqlite3.connect(path) as db:
        db.execute(statement)
    db.close()
    with pytest.raises(DataError, match=text), ResultStore(path, reading=True) as store:
        store.images()
        list(store.rows(store.last_run(), ENHANCER))


@pytest.mark.parametrize("at", range(0, 100, 7))
def test_a_file_with_a_hole_is_an_error_or_reads_as_before(tmp_path: Path, at: int) -> None:
    path = tmp_path / "r.sqlite"
    with ResultStore(path) as store:
        for number in range(40):
            store.put(Row(replace(KEY, image_id=f"{number:04d}"), values={"m": Measured(number / 7)}))
        store.put_run(record())
    whole = rows(path, record(), reading=True)
    content = bytearray(path.read_bytes())
    start = len(content) * at // 100
    content[start : start + 64] = bytes(64)
    path.write_bytes(content)
    try:
        with ResultStore(path, reading=True) as store:
            assert store.last_run() == record()
            assert list(store.rows(record(), ENHANCER)) == whole
    except DataError:
        pass


def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no results here"):
        ResultStore(tmp_path / "r.sqlite", reading=True)
    (tmp_path / "text.sqlite").write_text("not a database" * 100)
    with pytest.raises(DataError, match="Cannot open"):
        ResultStore(tmp_path / "text.sqlite")
    with sqlite3.connect(tmp_path / "newer.sqlite") as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(DataError, match="another version"):
        ResultStore(tmp_path / "newer.sqlite")


@pytest.mark.parametrize("content", [b"", None])
def test_a_run_that_was_killed_before_its_tables_were_there_goes_on(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "r.sqlite"
    if content is None:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA journal_mode=WAL")
        db.close()
    else:
        path.write_bytes(content)
    with ResultStore(path, reading=True) as store:
        assert store.known() == {}
        with pytest.raises(DataError, match="Nothing was run here yet"):
            store.last_run()
    with ResultStore(path) as store:
        store.remember({"a": "b"})
        assert store.known() == {"a": "b"}


def test_a_full_disk_loses_nothing_that_was_written(tmp_path: Path) -> None:
    with ResultStore(tmp_path / "r.sqlite") as store:
        store._db.execute("PRAGMA max_page_count=20")
        boxes = np.zeros((200, 4), np.float32)
        with pytest.raises(DataError, match="full") as stop:
            for number in range(1000):
                store.put(Row(replace(KEY, image_id=f"{number:04d}"), detections={"d": Detected(boxes)}))
        assert "r.sqlite" in str(stop.value) and "make room" in str(stop.value)
        written = {key.image_id for key in store.done()}
    with ResultStore(tmp_path / "r.sqlite") as store:
        assert {key.image_id for key in store.done()} == written == {f"{n:04d}" for n in range(len(written))}
        assert len(written) > 2


def test_arrays_of_other_lengths_are_an_error_even_where_the_checksum_is_right(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    two_boxes = Detected(np.zeros((2, 4), np.float32), np.array([0.3], np.float32), np.array([7]))
    with ResultStore(path) as store:
        store.put(Row(KEY, detections={"d": two_boxes}))
    with pytest.raises(DataError, match="2 boxes, 1 scores, 1 labels"):
        rows(path, record(("d",)))
