"""A real run, and the report of it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from duskbench.benchmarks.cli.report import report
from duskbench.benchmarks.config import load_benchmark_config
from duskbench.benchmarks.report.content import read_content
from duskbench.benchmarks.report.gallery import View, read_shown
from duskbench.benchmarks.report.page import build_page
from duskbench.benchmarks.report.render import render_report
from duskbench.benchmarks.report.write import write_report
from duskbench.benchmarks.rows import Row
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.benchmarks.runner import run
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.stored_run import read_run_images
from duskbench.data_tools.errors import DataError
from tests.benchmarks.conftest import make_bench
from tests.benchmarks.fabricate import make_images, make_run


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images of rectangles, two enhancers, measured once."""
    root = tmp_path_factory.mktemp("measured")
    run(load_benchmark_config(make_bench(root).config), RunOptions(out=root / "run", workers=1))
    return root / "run"


@pytest.fixture
def run_dir(measured: Path, tmp_path: Path) -> Path:
    """A copy that a test may write to."""
    return Path(shutil.copytree(measured, tmp_path / "run"))


def data_of(page: str) -> dict[str, Any]:
    blob = re.search(r'id="viewer-data">(.*?)</script>', page, re.DOTALL)
    assert blob is not None
    data: dict[str, Any] = json.loads(blob[1])
    return data


def test_a_run_becomes_a_page_with_its_own_numbers(run_dir: Path) -> None:
    path = write_report(run_dir, images=2)
    assert path == run_dir / "report.html"
    page = path.read_text(encoding="utf-8")
    from duskbench.benchmarks.results import read_table

    table = read_table(run_dir)
    for row in table.rows:
        for column in table.columns:
            if column.part == "" and column.better is not None and row[column.key].value is not None:
                assert column.show(row[column.key].value) in page
    data = data_of(page)
    assert data["labels"] == ["Input", "Brighten"] and len(data["images"]) == 2
    assert all(set(image["pictures"]) == {"Input", "Brighten"} for image in data["images"])
    assert write_report(run_dir, run_dir / "again.html", images=2).read_bytes() == path.read_bytes()


def shown_of(run_dir: Path, image_ids: Sequence[str]) -> dict[str, dict[str, View]]:
    with ResultStore(run_dir / "results.sqlite", reading=True) as store:
        run = read_run_images(store, store.last_run())
        detectors = [detector.label for detector in run.record.detectors]
        matched = dict.fromkeys((entry.label for entry in run.record.enhancers), detectors)
        shown = read_shown(store, run.only(image_ids), matched)
    return {one.record.id: one.views for one in shown}


def test_an_image_without_a_result_shifts_no_object_of_the_others(run_dir: Path) -> None:
    with ResultStore(run_dir / "results.sqlite") as store:
        record = store.last_run()
        first, brighten = record.image_ids[0], record.enhancers[1]
        together = shown_of(run_dir, record.image_ids)
        for image_id in record.image_ids:
            assert shown_of(run_dir, [image_id]) == {image_id: together[image_id]}
        key = next(row.key for row in store.rows(record, brighten) if row.key.image_id == first)
        # A result that is there is not replaced by a failure, so the row is measured anew.
        store._db.execute("DELETE FROM results WHERE image_id=? AND enhancer=?", (first, brighten.fingerprint))
        store.put(Row(key, error="It failed."))
    after = shown_of(run_dir, record.image_ids)
    assert after[first]["Brighten"] == View(reason="It failed.")
    assert {i: v for i, v in after.items() if i != first} == {i: v for i, v in together.items() if i != first}
    views = [view for of in together.values() for view in of.values()]
    assert "found" in {d.kind for view in views for found in view.detections for d in found}


def test_the_data_set_may_be_gone(run_dir: Path) -> None:
    with ResultStore(run_dir / "results.sqlite") as store:
        images = store.images().values()
        gone = [replace(i, record=replace(i.record, path=Path("gone") / i.record.path.name)) for i in images]
        store.put_images(gone)
    data = data_of(write_report(run_dir, images=3).read_text(encoding="utf-8"))
    assert [image["pictures"] for image in data["images"]] == [{}, {}, {}]
    assert all("Cannot read the image file" in reason for i in data["images"] for reason in i["reasons"].values())


def test_kinds_of_error_say_what_they_count_and_of_which_detector(tmp_path: Path) -> None:
    make_run(tmp_path, make_images(8), {"Input": 0.5, "Ours": 0.7})
    with ResultStore(tmp_path / "results.sqlite") as store:
        record = store.last_run()
        [detector] = record.detectors
        store.put_run(replace(record, detectors=(detector, replace(detector, label="again"))))
    content = read_content(tmp_path, images=0)
    tables = {title: tables for title, tables, _ in build_page(content).more}
    titles = [f"{record.title}: kinds of error, {label}" for label in (detector.label, "again")]
    assert list(tables) == [f"{record.title}: what its images can settle", *titles]
    for title, label in zip(titles, (detector.label, "again"), strict=True):
        cost, count = tables[title]
        assert (cost.title, count.title) == (f"mAP that each kind of error costs, {label}, %", "How many")
        for block in (cost, count):
            assert len({head.text for head in block.heads}) == len(block.heads)
    assert render_report(content).count("How many</h3>") == 2


def test_no_images_no_pictures(run_dir: Path) -> None:
    page = write_report(run_dir, images=0).read_text(encoding="utf-8")
    assert data_of(page) is None and 'id="pictures"' not in page


def test_a_folder_without_a_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There are no results here"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_where_the_file_is(run_dir: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(report)
    done = CliRunner().invoke(app, [str(run_dir), "--out", str(tmp_path / "r.html"), "--images", "1"])
    assert done.exit_code == 0, done.output
    assert "r.html" in done.output and (tmp_path / "r.html").stat().st_size > 10_000
    lost = CliRunner().invoke(app, [str(run_dir), "--history", str(tmp_path / "none.sqlite")])
    assert isinstance(lost.exception, DataError)
