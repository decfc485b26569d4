"""A data set with lit originals: PSNR and SSIM in the rows, never those of another reference."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks.config import BenchmarkConfig, load_benchmark_config
from duskbench.benchmarks.evaluate import evaluate
from duskbench.benchmarks.metrics.full_reference import psnr, ssim
from duskbench.benchmarks.references import find_references, read_state
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.benchmarks.runner import run
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.table import build_table
from duskbench.benchmarks.table_formats import to_markdown
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.images import read_image, write_image
from tests.benchmarks.conftest import PLUGINS, Bench, stored_rows
from tests.benchmarks.fabricate import results_of

ENHANCERS = ["input", {"type": f"{PLUGINS}:brighten", "gain": 2.5, "label": "Brighten"}, "lit"]


@pytest.fixture
def lit(bench: Bench) -> Path:
    """Lit originals of the dark images; the lit images are their own."""
    folder = bench.root / "lit"
    for number, image_id in enumerate(bench.ids):
        image = read_image(bench.root / "JPEGImages" / f"{image_id}.png")
        write_image(folder / f"{image_id}.bmp", np.clip(image * 2.5, 0, 255).astype(np.uint8) if number % 2 else image)
    return folder


def configure(bench: Bench, **overrides: object) -> BenchmarkConfig:
    values = {
        "data.reference": "lit",
        "enhancers": ENHANCERS,
        **{k.replace("__", "."): v for k, v in overrides.items()},
    }
    return load_benchmark_config(bench.config, overrides=values)


def test_numbers_are_means_over_the_images(bench: Bench, lit: Path, tmp_path: Path) -> None:
    summary = run(configure(bench), RunOptions(tmp_path / "out"))
    assert (summary.measured, summary.ok) == (18, True)
    found = results_of(tmp_path / "out")
    pairs = [(read_image(bench.root / f"JPEGImages/{i}.png"), read_image(lit / f"{i}.bmp")) for i in bench.ids]
    # Every other image is its own reference: it has no PSNR, and the mean is over the dark ones.
    assert found["Input"].number("psnr") == pytest.approx(np.mean([psnr(*pair) for pair in pairs[1::2]]))
    assert found["Input"].number("ssim") == pytest.approx(np.mean([ssim(*pair) for pair in pairs]))
    assert found["Input"].reasons["psnr"] == {"identical to its reference": 3}
    bound = found["Lit (bound)"]
    assert (bound.number("psnr"), bound.number("ssim")) == (None, pytest.approx(1))
    assert bound.reasons["psnr"] == {"identical to its reference": 6}


def test_batches_change_no_number(bench: Bench, lit: Path, tmp_path: Path) -> None:
    run(configure(bench), RunOptions(tmp_path / "one", workers=1))
    run(configure(bench), RunOptions(tmp_path / "many", workers=1, batch_size=4))
    assert stored_rows(tmp_path / "one") == stored_rows(tmp_path / "many")


def test_a_changed_reference_is_measured_anew_and_no_other(bench: Bench, lit: Path, tmp_path: Path) -> None:
    config, options = configure(bench, enhancers=["input"]), RunOptions(tmp_path / "out")
    run(config, options)
    before = results_of(tmp_path / "out")["Input"]
    assert run(config, options).measured == 0
    write_image(lit / f"{bench.ids[0]}.bmp", np.zeros((200, 220, 3), np.uint8))
    assert run(config, options).measured == 1
    after = results_of(tmp_path / "out")["Input"]
    assert after.n_images == 6
    assert after.number("psnr") is not None
    assert before.number("psnr") is not None
    assert after.number("psnr") < before.number("psnr")
    assert after.reasons["psnr"] == {"identical to its reference": 2}


def test_rows_without_reference_are_not_rows_with_one(bench: Bench, lit: Path, tmp_path: Path) -> None:
    options = RunOptions(tmp_path / "out")
    without = load_benchmark_config(bench.config, overrides={"enhancers": ["input"]})
    assert run(without, options).measured == 6
    assert run(configure(bench, enhancers=["input"]), options).measured == 6
    assert run(without, options).measured == 0
    run(configure(bench, enhancers=["input"]), options)
    assert results_of(tmp_path / "out")["Input"].number("ssim") is not None
    assert run(configure(bench, enhancers=["input"], protocol={"ssim_channels": "grey"}), options).measured == 6


def test_a_larger_set_reuses_the_smaller_ones_rows(bench: Bench, lit: Path, tmp_path: Path) -> None:
    config = configure(bench, enhancers=["input"])
    run(config, RunOptions(tmp_path / "out", limit=2))
    (lit / "more.png").write_bytes(b"another picture of the folder, of no image of this run")
    assert run(config, RunOptions(tmp_path / "out")).reused == 2


def test_missing_references_are_named_before_anything_is_measured(bench: Bench, lit: Path, tmp_path: Path) -> None:
    (lit / f"{bench.ids[4]}.bmp").unlink()
    with pytest.raises(DataError, match=bench.ids[4]):
        run(configure(bench), RunOptions(tmp_path / "out"))
    assert run(configure(bench), RunOptions(tmp_path / "out", limit=2)).ok


def test_a_reference_of_another_size_or_damaged_fails_its_rows(bench: Bench, lit: Path, tmp_path: Path) -> None:
    write_image(lit / f"{bench.ids[2]}.bmp", np.zeros((200, 221, 3), np.uint8))
    (lit / f"{bench.ids[3]}.bmp").write_bytes(b"damaged")
    summary = run(configure(bench, enhancers=["input"]), RunOptions(tmp_path / "out"))
    reasons = {image_id: reason for _, image_id, reason in summary.failures}
    assert set(reasons) == {bench.ids[2], bench.ids[3]}
    assert "differ in size" in reasons[bench.ids[2]]
    assert bench.ids[2] in reasons[bench.ids[2]]
    assert f"{bench.ids[3]}.bmp" in reasons[bench.ids[3]]
    assert results_of(tmp_path / "out")["Input"].n_images == 4


def test_the_table_has_the_columns_only_with_references(bench: Bench, lit: Path, tmp_path: Path) -> None:
    def table(config: BenchmarkConfig) -> str:
        run(config, RunOptions(tmp_path / "out"))
        with ResultStore(tmp_path / "out/results.sqlite") as store:
            return to_markdown(build_table(store.last_run(), evaluate(store, store.last_run())))

    with_columns = table(configure(bench, enhancers=["input"]))
    assert "| PSNR ↑ | SSIM ↑ |" in with_columns
    assert "mean over R, G and B" in with_columns
    assert "Input: 3 images without PSNR (identical to its reference)." in with_columns
    assert "PSNR" not in table(load_benchmark_config(bench.config, overrides={"enhancers": ["input"]}))


def test_the_bound_needs_references(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a data set with references"):
        load_benchmark_config(bench.config, overrides={"enhancers": ["lit"]})
    nowhere = load_benchmark_config(bench.config, overrides={"enhancers": ["lit"], "data.reference": "nowhere"})
    with pytest.raises(ConfigError, match="no folder of references"):
        run(nowhere, RunOptions(tmp_path / "out"))


def test_references_are_found_by_stem(tmp_path: Path) -> None:
    for name in ("a.jpg", "deeper/b.c.PNG", "._a.jpg", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    assert find_references(tmp_path, ["b.c", "a"]) == {"b.c": tmp_path / "deeper/b.c.PNG", "a": tmp_path / "a.jpg"}
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"a: a\.jpg, a\.png"):
        find_references(tmp_path, ["a"])
    with pytest.raises(DataError, match="notes: none"):
        find_references(tmp_path, ["notes"])


def test_no_file_is_the_reference_of_two_images(tmp_path: Path) -> None:
    write_image(tmp_path / "y/1.png", np.zeros((8, 8, 3), np.uint8))
    assert find_references(tmp_path, ["y/1"]) == {"y/1": tmp_path / "y/1.png"}
    with pytest.raises(DataError, match="1 of 2 without: x/1: none"):
        find_references(tmp_path, ["x/1", "y/1"])


def test_a_file_is_hashed_again_only_when_it_may_have_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    os.utime(path, ns=(1, 1))
    first = read_state(path, None)
    assert read_state(path, first) is first
    other = tmp_path / "other"
    other.write_bytes(b"two")
    os.utime(other, ns=(1, 1))
    other.replace(path)
    # Size and time are the same.
    assert read_state(path, first).sha256 != first.sha256
    assert read_state(path, replace(read_state(path, first), stamp=None, sha256="")).sha256 != ""


def test_configurations_that_ship_have_references() -> None:
    for name, classes in (("voc_dark", 20), ("miniature", 11)):
        # Read where no data set is.
        config = load_benchmark_config(name, overrides={"data.root": "elsewhere"})
        assert (config.data["reference"], len(config.protocol.classes)) == ("lit", classes)
        bound = config.enhancers[-1]
        assert isinstance(bound, dict)
        assert (bound["type"], bound["path"], bound["upper_bound"]) == ("dir", str(Path("elsewhere", "lit")), True)
