"""The record of a run, and that a run can be had again to the last digit."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from duskbench.benchmarks.config import load_benchmark_config
from duskbench.benchmarks.evaluate import evaluate
from duskbench.benchmarks.provenance import annotations_sha256, environment, images_sha256
from duskbench.benchmarks.record import RunRecord
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.benchmarks.runner import run
from duskbench.benchmarks.statistics import BootstrapOptions
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.table import build_table
from duskbench.benchmarks.table_formats import to_csv
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.images import read_image, write_image
from duskbench.data_tools.miniature import make_miniature
from tests.benchmarks.conftest import Bench
from tests.benchmarks.fabricate import make_images


def table_and_record(folder: Path) -> tuple[pd.DataFrame, RunRecord]:
    with ResultStore(folder / "results.sqlite", reading=True) as store:
        record = store.last_run()
        text = to_csv(build_table(record, evaluate(store, record)))
    return pd.read_csv(io.StringIO(text), dtype=str).drop(columns="ms/image"), record


def test_hash_of_images_is_over_sorted_pairs() -> None:
    images = make_images(3)
    lines = "\n".join(f"{n:04d} {n:064x}" for n in range(3))
    assert images_sha256(images) == images_sha256(images[::-1]) == hashlib.sha256(lines.encode()).hexdigest()
    missing = [replace(images[0], sha256=None), *images[1:]]
    assert len({images_sha256(images), images_sha256(images[:2]), images_sha256(missing)}) == 3


def test_hash_of_annotations_sees_every_label() -> None:
    images = make_images(4)
    first = images[0].record
    others = [
        replace(first, objects=None),
        replace(first, objects=()),
        replace(first, lighting="Screen"),
        replace(first, indoor=None),
        replace(first, split="val"),
        replace(first, group="Dog"),
    ]
    hashes = {annotations_sha256([replace(images[0], record=record), *images[1:]]) for record in [first, *others]}
    assert len(hashes) == 7
    assert annotations_sha256(images) == annotations_sha256(images[::-1]) in hashes
    # Where the tree lies and what state its files are in says nothing of the annotation.
    moved = [replace(i, record=replace(i.record, path=Path("elsewhere")), sha256=None) for i in images]
    assert annotations_sha256(moved) == annotations_sha256(images)


def test_record_holds_what_a_number_depends_on(bench: Bench, tmp_path: Path) -> None:
    run(load_benchmark_config(bench.config), RunOptions(tmp_path / "out", workers=1))
    _, record = table_and_record(tmp_path / "out")
    files = {i: file_sha256(bench.root / "JPEGImages" / f"{i}.png") for i in bench.ids}
    lines = "\n".join(sorted(f"{image_id} {sha256}" for image_id, sha256 in files.items()))
    assert record.images_sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert len(str(record.annotations_sha256)) == 64
    assert record.bootstrap == BootstrapOptions(2000, 0, 0.95)
    assert (record.batch_size, record.workers) == (None, 1)
    made = record.environment
    assert list(made.argv) == sys.argv and made.packages["torch"] and made.device == "cpu"
    assert made.processor and made.cores
    assert RunRecord.from_json(record.to_json()) == record


def test_environment_is_plain_values() -> None:
    made = environment("cpu")
    assert (made.gpu, made.cuda) == (None, None)
    assert json.loads(json.dumps(asdict(made)))["packages"] == made.packages


@pytest.mark.slow
def test_two_runs_give_one_table_to_the_last_digit(bench: Bench, tmp_path: Path) -> None:
    config = load_benchmark_config(bench.config)
    run(config, RunOptions(tmp_path / "one", workers=1))
    run(config, RunOptions(tmp_path / "two", workers=2, batch_size=3))
    (one, first), (two, second) = (table_and_record(tmp_path / name) for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two)
    assert len(one.columns) > 15 and one["mAP low"].notna().all()
    assert replace(first, environment=second.environment, workers=2, batch_size=3) == second
    # And it is the images that the hash and the table hang on.
    path = bench.root / "JPEGImages" / f"{bench.ids[0]}.png"
    write_image(path, 255 - read_image(path))
    run(config, RunOptions(tmp_path / "two", workers=1))
    three, third = table_and_record(tmp_path / "two")
    assert third.images_sha256 != first.images_sha256
    assert third.annotations_sha256 == first.annotations_sha256
    assert not three.equals(one)


@pytest.mark.slow
def test_two_runs_of_the_miniature_give_one_table(tmp_path: Path) -> None:
    make_miniature(tmp_path / "data", voc_images=0, night_images=(0, 0, 4), size=(160, 120), workers=1)
    config = load_benchmark_config(
        "miniature", overrides={"data.root": str(tmp_path / "data"), "enhancers": ["input", "lime", "zero_dce"]}
    )
    run(config, RunOptions(tmp_path / "one", workers=1))
    run(config, RunOptions(tmp_path / "two", workers=2))
    (one, record), (two, _) = (table_and_record(tmp_path / name) for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two)
    [detector] = record.detectors
    assert [len(e.weights) for e in record.enhancers] == [0, 0, 1]
    assert all(len(sha256) == 64 for sha256 in detector.weights.values()) and detector.weights
