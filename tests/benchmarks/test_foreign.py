"""Runs with what comes from outside: programs in batches, model files and entry points, in worker processes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duskbench.benchmarks.config import load_benchmark_config
from duskbench.benchmarks.rows import Row
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.benchmarks.runner import RunSummary, run
from duskbench.benchmarks.store import ResultStore
from tests.benchmarks.conftest import Bench
from tests.needs import need_module

THEIRS = """
import sys, time
from pathlib import Path
from PIL import Image

source, target = map(Path, sys.argv[1:])
files = sorted(source.iterdir())
with open("starts.txt", "a") as log:
    print(len(files), file=log)
time.sleep(0.4)
for file in files:
    if file.stem == "000003":
        continue
    Image.open(file).save(target / file.name)
"""


def start(bench: Bench, out: Path, enhancers: list[Any], **options: Any) -> tuple[RunSummary, dict[str, list[Row]]]:
    """Run; returns the summary and the rows of each enhancer by its place."""
    config = load_benchmark_config(bench.config, overrides={"enhancers": enhancers})
    summary = run(config, RunOptions(out, **options))
    with ResultStore(out / "results.sqlite", reading=True) as store:
        record = store.last_run()
        return summary, {each.label: list(store.rows(record, each)) for each in record.enhancers}


def niqe(row: Row) -> float | None:
    return next(iter(row.values.values())).number


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "starts"), [(1, [4, 2]), (2, [4, 2])])
def test_a_program_gets_batches_and_its_rows_are_those_of_the_input(
    bench: Bench, tmp_path: Path, workers: int, starts: list[int]
) -> None:
    (tmp_path / "theirs.py").write_text(THEIRS)
    command = {"type": "cmd", "command": f"{sys.executable} theirs.py {{in}} {{out}}", "cwd": str(tmp_path)}
    spec = {**command, "batch": 4, "label": "Theirs"}
    summary, rows = start(bench, tmp_path / "out", ["input", spec], workers=workers, save_images=True)
    logged = [int(line) for line in (tmp_path / "starts.txt").read_text().split()]
    assert sorted(logged, reverse=True) == starts
    [(label, image_id, reason)] = summary.failures
    assert (label, image_id) == ("Theirs", "000003") and "made no image of this one" in reason
    # The same pictures give the same numbers, to the last digit.
    same = [row for row in rows["Input"] if row.key.image_id != "000003"]
    made = [row for row in rows["Theirs"] if row.error is None]
    assert [(row.key.image_id, niqe(row)) for row in made] == [(row.key.image_id, niqe(row)) for row in same]
    # Four tenths of a second a start, shared by its images.
    assert all((row.ms_enhance or 0) >= 100 for row in made)
    assert len(list((tmp_path / "out" / "images" / "Theirs").iterdir())) == 5


@pytest.mark.slow
def test_model_files_and_packages_work_in_processes(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = need_module("onnx")
    need_module("onnxruntime")
    helper = onnx.helper
    value = [helper.make_tensor_value_info(name, 1, ["n", 3, "h", "w"]) for name in "xy"]
    root = helper.make_graph([helper.make_node("Sqrt", ["x"], ["y"])], "g", value[:1], value[1:])
    model = helper.make_model(root, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "root.onnx")
    info = tmp_path / "brought_root-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brought-root\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[duskbench.enhancers]\nroot = brought_root:root\n")
    (tmp_path / "brought_root.py").write_text(
        "import numpy as np\n\n\ndef root(image):\n"
        "    x = np.sqrt(image.astype(np.float32) / np.float32(255))\n"
        "    return np.rint(x * np.float32(255)).astype(np.uint8)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    summary, rows = start(bench, tmp_path / "out", [f"{tmp_path}/root.onnx", "root"], workers=2)
    assert summary.ok and summary.measured == 12
    assert set(rows) == {"root.onnx", "root"}
    values = np.array([[niqe(row) for row in each] for each in rows.values()])
    assert np.abs(values[0] - values[1]).max() < 0.05
