"""Rows come back as they went in."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks.store import FileState, Key, ResultStore, Row, StoredImage
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.records import ImageRecord, ObjectAnnotation

KEY = Key("a", "sha", "enhancer", "detector", "niqe=rgb2gray")
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
    assert alone.content == "sha"
    assert len({alone.content, one.content, two.content}) == 3
    assert replace(one, sha256=None).content is None
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


def test_results_of_the_schema_before_are_kept(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "r.sqlite") as db:
        db.executescript(_SCHEMA_1)
    db.close()
    row = Row(KEY, niqe=4.5, ms_decode=1.0, ms_enhance=2.0, ms_detect=3.0, ms_niqe=4.0)
    image = StoredImage(ImageRecord("a", Path("x/a.png"), split="test"), 1, 2, "sha")
    for _ in range(2):
        with ResultStore(tmp_path / "r.sqlite") as store:
            assert list(store.rows(enhancer="enhancer", detector="detector", measure="niqe=rgb2gray")) == [row]
            assert store.images() == {"a": image}
    with ResultStore(tmp_path / "r.sqlite") as store, ResultStore(tmp_path / "new.sqlite") as new:
        for each in (store, new):
            again = replace(row, key=replace(KEY, image_id="b"), psnr=20.5, ssim=0.5, ssim_reason="x")
            each.put(again)
            assert again in list(each.rows(enhancer="enhancer", detector="detector", measure="niqe=rgb2gray"))


def test_rows_round_trip_and_failed_ones_are_replaced(tmp_path: Path) -> None:
    row = Row(
        KEY,
        niqe=4.123456789012345,
        boxes_xyxy=np.array([[0.1, 0.2, 3, 4]], np.float32),
        scores=np.array([0.3], np.float32),
        labels=np.array([7]),
        ms_enhance=1.5,
    )
    with ResultStore(tmp_path / "r.sqlite") as store:
        store.put(Row(KEY, error="no"))
        assert store.done() == set()
        store.put(row)
    with ResultStore(tmp_path / "r.sqlite") as store:
        assert store.done() == {KEY}
        [again] = store.rows(enhancer="enhancer", detector="detector", measure="niqe=rgb2gray")
        assert (again.key, again.niqe, again.error, again.ms_enhance) == (KEY, row.niqe, None, 1.5)
        for name in ("boxes_xyxy", "scores", "labels"):
            assert np.array_equal(getattr(again, name), getattr(row, name))
        assert not list(store.rows(enhancer="other", detector="detector", measure="niqe=rgb2gray"))


def test_detectors_and_runs(tmp_path: Path) -> None:
    with ResultStore(tmp_path / "r.sqlite") as store:
        assert store.detector_classes("f") == ()
        store.put_detector("f", "rfb", ("car", "dog"))
        assert store.detector_classes("f") == ("car", "dog")
        with pytest.raises(DataError, match="Nothing was run"):
            store.last_run()
        store.put_run({"n": 1})
        store.put_run({"n": 2})
        assert store.last_run() == {"n": 2}


def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no results here"):
        ResultStore(tmp_path / "r.sqlite", must_exist=True)
    (tmp_path / "text.sqlite").write_text("not a database" * 100)
    with pytest.raises(DataError, match="Cannot open"):
        ResultStore(tmp_path / "text.sqlite")
    with sqlite3.connect(tmp_path / "newer.sqlite") as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(DataError, match="another version"):
        ResultStore(tmp_path / "newer.sqlite")


def test_a_full_disk_loses_nothing_that_was_written(tmp_path: Path) -> None:
    with ResultStore(tmp_path / "r.sqlite") as store:
        store._db.execute("PRAGMA max_page_count=20")
        boxes = np.zeros((200, 4), np.float32)
        with pytest.raises(DataError, match="full") as stop:
            for number in range(1000):
                store.put(Row(replace(KEY, image_id=f"{number:04d}"), boxes_xyxy=boxes))
        assert "r.sqlite" in str(stop.value) and "make room" in str(stop.value)
        written = {key.image_id for key in store.done()}
    with ResultStore(tmp_path / "r.sqlite") as store:
        assert {key.image_id for key in store.done()} == written == {f"{n:04d}" for n in range(len(written))}
        assert len(written) > 2
