"""A metric from one temporary file is a metric like those that ship, everywhere; and so is a second detector."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from duskbench.benchmarks.config import load_benchmark_config
from duskbench.benchmarks.metrics.registry import load_metric
from duskbench.benchmarks.plan import plan_metrics
from duskbench.data_tools.errors import ConfigError, MetricError, UnknownNameError
from duskbench.data_tools.miniature import make_miniature
from tests.benchmarks.conftest import PLUGINS, Bench

# BRISQUE's role: of the enhanced image alone. LOE's: it needs the original, and some images have none.
METRICS = """
import numpy as np
from duskbench import ImageMetric, Value


class Roughness(ImageMetric):
    key, heading, better, digits, tolerance = "roughness", "Roughness", "lower", 3, 0.05

    def measure(self, image_rgb, **given):
        return float(np.abs(np.diff(image_rgb.astype(float), axis=1)).mean()) * FACTOR


class Gain(ImageMetric):
    key, heading, better, digits = "gain", "Gain", "higher", 2
    needs = frozenset({"original"})

    def measure(self, image_rgb, **given):
        before = given["original_rgb"].mean()
        return Value(None, "black before") if before < 3 else Value(float(image_rgb.mean() / before))
"""


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("any") / "mini"
    make_miniature(root, voc_images=0, night_images=(0, 0, 10), size=(256, 192), workers=1)
    return root


@pytest.mark.slow
def test_one_file_is_enough(  # type: ignore[no-untyped-def]
    miniature: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, duskbench
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "theirs.py"
    file.write_text(METRICS.replace("FACTOR", "1"))
    asked = ["--metric", f"{file}:Roughness", "--metric", f"{file}:Gain"]
    common = ["--data", miniature, "--workers", 1, "--enhancer", "input", "--enhancer", "gamma"]
    detector = ["--detector", f"{PLUGINS}:ColourDetector"]
    code, out, err = duskbench("run", "miniature", *common, *detector, "--out", "one", *asked)
    assert code == 0, err
    # Terminal, Markdown, CSV and LaTeX: the column, its interval, its difference with interval.
    assert re.search(r"Roughness ↓", out) and "Δ Gain to Input" in out and "black before" not in out
    for name in ("md", "tex"):
        text = Path("one", f"table.{name}").read_text()
        assert "Roughness" in text and re.search(r"Gain.*Roughness to Input|Roughness to Input", text), name
    frame = pd.read_csv("one/table.csv", index_col="Enhancer")
    for key in ("Roughness", "Gain", "Δ Roughness to Input", "Δ Gain to Input"):
        ends = frame.loc["Gamma", [f"{key} low", key, f"{key} high"]].tolist()
        assert ends == sorted(ends) and ends[0] < ends[2], key
    assert frame.loc["Input", "Gain"] == 1
    # The break-down by lighting, and its CSV.
    code, out, _ = duskbench("table", "one", "--by", "lighting")
    assert code == 0 and "Roughness by lighting" in out and "Gain by lighting" in out
    code, out, _ = duskbench("table", "one", "--by", "lighting", "--format", "csv")
    assert {"Roughness", "Δ Roughness low", "Gain high"} <= set(out.splitlines()[0].split(","))
    # A comment measures nothing again; an edit measures this metric again and nothing else.
    file.write_text(METRICS.replace("FACTOR", "1") + "\n# A remark.\n")
    code, _, err = duskbench("run", "miniature", *common, *detector, "--out", "one", *asked)
    assert "20 of 20 rows are there already" in err
    before = pd.read_csv("one/table.csv", index_col="Enhancer")
    file.write_text(METRICS.replace("FACTOR", "2"))
    code, _, err = duskbench("run", "miniature", *common, *detector, "--out", "two", *asked)
    assert code == 0
    after = pd.read_csv("two/table.csv", index_col="Enhancer")
    assert (after["Roughness"] == 2 * before["Roughness"]).all() and (after["NIQE"].equals(before["NIQE"]))
    # compare: the metric's column with its difference, and that its code changed.
    code, out, err = duskbench("compare", "one", "two")
    assert code == 0, err
    assert "Δ Roughness" in out and "metrics.roughness.fingerprint" in out
    # The report names it, with its difference.
    code, _, err = duskbench("report", "two", "--images", 1)
    page = Path("two/report.html").read_text()
    assert code == 0 and page.count("Roughness") > 3 and "Δ Gain to Input" in page


@pytest.mark.slow
def test_nightly_gates_it_and_draws_it(  # type: ignore[no-untyped-def]
    miniature: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, duskbench
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "theirs.py"
    asked = ["--metric", f"{file}:Roughness", "--data", miniature, "--workers", 1, "--detector", "none"]
    asked += ["--cfg-options", "enhancers=input,gamma", "--history", "history.sqlite", "--out", "nights"]
    files = ["--junit", "junit.xml", "--summary", "summary.md", "--report", "report.html"]
    codes = []
    for factor in ("1", "1", "2"):
        file.write_text(METRICS.replace("FACTOR", factor))
        code, out, err = duskbench("nightly", "nightly", *asked, *files)
        codes.append(code)
    assert codes == [0, 0, 3], err
    assert "Roughness" in out and "worse" in out
    assert "Roughness" in Path("junit.xml").read_text() and "Roughness" in Path("summary.md").read_text()
    page = Path("report.html").read_text()
    # Three nights make a curve of each metric.
    assert "Roughness" in page[page.index("history") :]


@pytest.mark.slow
def test_a_second_detector_is_a_column_and_enhances_nothing_again(  # type: ignore[no-untyped-def]
    bench: Bench, tmp_path: Path, duskbench
) -> None:
    out = tmp_path / "out"
    one, two = f"{PLUGINS}:ColourDetector", f"{PLUGINS}:ColourDetector(score=0.7)"
    other = {"type": two, "label": "other"}
    config = tmp_path / "two.py"
    more = f"\ndetector = [{one!r}, {other!r}]\nenhancers.append('he')\n"
    config.write_text(bench.config.read_text() + more)
    assert duskbench("run", bench.config, "--out", out)[0] == 0
    code, text, err = duskbench("run", config, "--out", out)
    assert code == 0 and "mAP other" in text, err
    frame = pd.read_csv(out / "table.csv", index_col="Enhancer")
    assert (frame["mAP colours"] == frame["mAP other"]).all() and frame["Δ mAP other to Input low"].notna().any()
    # Both put the enhancers in the same order.
    assert "Kendall" in text
    code, _, err = duskbench("run", config, "--out", out)
    assert "18 of 18 rows are there already" in err


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("return float('nan')", "finite number"),
        ("return 'high'", "finite number"),
        ("raise ValueError('no idea')", r"ValueError: no idea .*theirs\.py:8"),
        ("import os; os._exit(0)", "ended its process.*exit code 0"),
    ],
)
def test_a_metric_that_fails_is_a_failure_of_its_image(  # type: ignore[no-untyped-def]
    bench: Bench, tmp_path: Path, duskbench, source: str, text: str
) -> None:
    file = tmp_path / "theirs.py"
    file.write_text(
        "from duskbench import ImageMetric\n\n\nclass Mine(ImageMetric):\n"
        "    key, heading, better = 'mine', 'Mine', 'lower'\n\n    def measure(self, image_rgb, **given):\n"
        f"        {source}\n"
    )
    code, _, err = duskbench("run", bench.config, "--out", tmp_path / "out", "--metric", f"{file}:Mine")
    assert code == 1 and re.search(text, err, re.DOTALL), err
    assert err.count("theirs.py") <= 4, "the same error six times is one line"


def test_wrong_metrics_stop_before_anything_is_measured(bench: Bench, tmp_path: Path) -> None:
    config = load_benchmark_config(bench.config)
    with pytest.raises(UnknownNameError, match="did you mean niqe"):
        load_metric("nique")
    with pytest.raises(UnknownNameError, match="lumaa"):
        load_metric("niqe(lumaa='rgb2gray')")
    (tmp_path / "no.py").write_text("class No:\n    pass\nclass Broken:\n    def __init__(self):\n        1 / 0\n")
    with pytest.raises(ConfigError, match="no metric"):
        load_metric(f"{tmp_path}/no.py:No")
    with pytest.raises(MetricError, match="ZeroDivisionError"):
        load_metric(f"{tmp_path}/no.py:Broken")
    for named, text in (("psnr", "lit originals"), ("voc_ap", "a detector")):
        asked = load_benchmark_config(bench.config, more_metrics=[named])
        with pytest.raises(ConfigError, match=text):
            plan_metrics(asked, reference=False, detector=False)
    assert [m.key for m in plan_metrics(config, reference=False, detector=True)] == ["niqe", "map"]
    (tmp_path / "same.py").write_text(
        "from duskbench import ImageMetric\n\n\nclass Same(ImageMetric):\n"
        "    key, heading, better = 'mine', 'NIQE', 'lower'\n"
    )
    asked = load_benchmark_config(bench.config, more_metrics=[f"{tmp_path}/same.py:Same"])
    with pytest.raises(ConfigError, match=r"same heading[\s\S]*'NIQE', of niqe and of .*same\.py:Same"):
        plan_metrics(asked, reference=False, detector=True)


def test_an_aggregate_of_its_own_is_resampled(bench: Bench, tmp_path: Path, duskbench: Callable[..., object]) -> None:
    file = tmp_path / "theirs.py"
    file.write_text(
        "import numpy as np\nfrom duskbench import ImageMetric\n\n\nclass Worst(ImageMetric):\n"
        "    key, heading, better = 'worst', 'Worst', 'higher'\n\n    def measure(self, image_rgb, **given):\n"
        "        return float(image_rgb.mean())\n\n    def aggregate(self, numbers):\n"
        "        return float(numbers.min())\n"
    )
    duskbench("run", bench.config, "--out", tmp_path / "out", "--metric", f"{file}:Worst", "--enhancer", "input")
    frame = pd.read_csv(tmp_path / "out/table.csv", index_col="Enhancer")
    low, value, high = frame.loc["Input", ["Worst low", "Worst", "Worst high"]]
    assert low <= value < high
