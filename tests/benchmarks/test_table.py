"""From numbers to text, in every form."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from duskbench.benchmarks.evaluate import EnhancerResult
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.statistics import BootstrapOptions, Difference, Interval
from duskbench.benchmarks.table import build_table, to_csv, to_latex, to_markdown, to_terminal


def record(**changes: Any) -> dict[str, Any]:
    return {
        "title": "Tiny",
        "data": {"name": "exdark", "root": "data/exdark", "split": "test"},
        "detector": {"name": "rfb", "fingerprint": "f" * 64},
        "enhancers": [{"label": label, "upper_bound": label == "Lit"} for label in ("Input", "A|B", "Lit", "Broken")],
        "protocol": Protocol(classes=("car", "dog")).to_dict(),
        "paper": {},
        "image_ids": ["1", "2", "3"],
        "environment": {"device": "cpu", "gpu": None, "packages": {"torch": "2.15.0"}, "git": None, "started": "today"},
        **changes,
    }


RESULTS = [
    EnhancerResult("Input", 3, 3, niqe=4.92712, map=0.5578, ap={"car": 0.5578, "dog": None}, ms_enhance=0.01),
    EnhancerResult(
        "A|B", 2, 3, {"3": "too dark"}, niqe=4.2, niqe_reasons={"too small": 1}, map=0.6, ap={"car": 0.6, "dog": None}
    ),
    EnhancerResult("Lit", 3, 3, niqe=3.0, map=0.9, ap={"car": 0.9, "dog": None}),
    EnhancerResult("Broken", 0, 3, error="No weights.\n  where: there"),
]


def test_markdown_shows_numbers_marks_and_the_protocol() -> None:
    text = to_markdown(build_table(record(), RESULTS))
    lines = text.splitlines()
    assert lines[2].startswith("| Enhancer | NIQE ↓ | mAP ↑ | ms/image | n | failed | car ↑ | dog ↑ |")
    assert lines[4] == "| Input | 4.927 | 55.78 | 0.0 | 3 | 0 | 55.8 | – |"
    # The bound is better than both and still not the best; the best of those that compete is bold.
    assert lines[5] == "| A\\|B * | **4.200** | **60.00** | – | 2 | 1 | **60.0** | – |"
    assert lines[6] == "| Lit | 3.000 | 90.00 | – | 3 | 0 | 90.0 | – |"
    assert lines[7].startswith("| Broken † | – | – | – | 0 | 0 | – | – |")
    for note in (
        "IoU > 0.5",
        "* A|B: over 2 of 3 images, 1 failed.",
        "† Broken could not be built: No weights. where: there",
        "A|B: 1 images without NIQE (too small).",
        "Without ground truth here and so not in the mean: dog.",
    ):
        assert note in text


def test_csv_is_in_full_precision() -> None:
    frame = pd.read_csv(io.StringIO(to_csv(build_table(record(), RESULTS))))
    assert frame["NIQE"][0] == 4.92712
    assert frame["mAP"].tolist()[:3] == [0.5578, 0.6, 0.9]
    assert frame["dog"].isna().all()


def test_latex_has_one_row_each_and_escapes() -> None:
    text = to_latex(build_table(record(title="a_b"), RESULTS))
    assert text.count(r" \\") == 1 + len(RESULTS)
    assert r"\textbf{60.00}" in text and "–" not in text.split("%")[1]
    assert r"Broken $\dagger$" in text


def test_terminal_holds_the_same_numbers() -> None:
    console = Console(width=120, file=io.StringIO(), force_terminal=False)
    console.print(to_terminal(build_table(record(), RESULTS)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for number in ("4.927", "55.78", "60.00", "AP by class"):
        assert number in text


def test_groups_and_no_detector() -> None:
    changes = record(
        data={"name": "lowlight", "root": "data/lowlight", "split": "all", "groups": ["DICM", "MEF"]},
        detector={"name": None, "fingerprint": "none"},
    )
    results = [EnhancerResult("Input", 3, 3, niqe=4.0, niqe_by_group={"DICM": 3.5, "MEF": 5.0})]
    header, _, row = to_markdown(build_table(changes, results)).splitlines()[2:5]
    assert header == "| Enhancer | NIQE DICM ↓ | NIQE MEF ↓ | NIQE ↓ | ms/image | n | failed |"
    assert row == "| Input | 3.500 | 5.000 | 4.000 | – | 3 | 0 |"


def test_the_papers_row_stands_below_where_it_is_the_papers() -> None:
    paper = {"source": "the paper", "rows": {"mAP": {"Input": 55.78, "Ours": 56.99}}}
    assert "mAP: Input 55.78, Ours 56.99" in to_markdown(build_table(record(paper=paper), RESULTS))
    short = to_markdown(build_table(record(paper={**paper, "data": "exdark", "n_images": 2563}), RESULTS))
    assert "on 2563 images: not comparable with 3" in short
    assert "55.78, Ours" not in to_markdown(build_table(record(paper={**paper, "data": "VOC2007"}), RESULTS))
    assert "paper" not in to_markdown(build_table(record(), RESULTS))


@pytest.mark.parametrize("coco", [{}, {"AP50:95": 0.3, "AP50": 0.5, "AP75": None}])
def test_coco_columns_only_where_computed(coco: dict[str, float | None]) -> None:
    results = [EnhancerResult("Input", 3, 3, niqe=4.0, map=0.5, ap={"car": 0.5, "dog": None}, coco=coco)]
    header = to_markdown(build_table(record(), results)).splitlines()[2]
    assert ("COCO AP50:95" in header) == bool(coco)


def with_intervals(label: str, gain: Interval, left_out: int = 0) -> EnhancerResult:
    difference = Difference("Input", 3 - left_out, left_out, gain, Interval(-0.5, -0.7, -0.3))
    return EnhancerResult(
        label, 3, 3, niqe=4.4, map=0.612, ap={"car": 0.7, "dog": None},
        map_interval=Interval(0.612, 0.581, 0.64449), niqe_interval=Interval(4.4, 4.237, 4.6),
        ap_intervals={"car": Interval(0.7, 0.61, 0.8)}, against={"Input": difference},
    )  # fmt: skip


def test_values_carry_interval_and_mark() -> None:
    settled, unsettled = Interval(0.05, 0.01, 0.09), Interval(0.02, -0.01, 0.05)
    results = [RESULTS[0], with_intervals("A|B", settled), with_intervals("Lit", unsettled, left_out=1)]
    table = build_table(record(), results, BootstrapOptions(500, 7))
    text = to_markdown(table)
    lines = text.splitlines()
    assert lines[2].startswith(
        "| Enhancer | NIQE ↓ | mAP ↑ | ms/image | n | failed | Δ NIQE to Input | Δ mAP to Input | car ↑ | dog ↑ |"
    )
    assert lines[4].startswith("| Input | 4.927 | 55.78 | 0.0 | 3 | 0 | – | – |")
    assert lines[5].startswith("| A\\|B | **4.400** [4.24, 4.60] | **61.20** [58.1, 64.4] |")
    assert "| -0.500 [-0.70, -0.30] | +5.00 [+1.0, +9.0] | **70.0** | – |" in lines[5]
    assert "| 61.20~ [58.1, 64.4] |" in lines[6] and "| +2.00~ [-1.0, +5.0] |" in lines[6]
    assert "95 % interval, bootstrap over images (bias-corrected; of differences percentile)" in text
    assert "500 resamples, seed 7" in text
    assert "~ not settled: the interval of the difference to Input" in text
    assert "Lit and Input are compared on the 2 images that both have; 1 that only one has are left out." in text
    frame = pd.read_csv(io.StringIO(to_csv(table)))
    assert frame[["mAP", "mAP low", "mAP high"]].iloc[1].tolist() == [0.612, 0.581, 0.64449]
    assert frame["Δ mAP to Input unsettled"].tolist()[1:] == [False, True]
    assert frame[["car low", "car high"]].iloc[1].tolist() == [0.61, 0.8]
    latex = to_latex(table)
    assert r"\textbf{61.20} [58.1, 64.4]" in latex and r"61.20$\sim$ [58.1" in latex and r"$\Delta$ mAP" in latex


def test_nothing_is_said_of_intervals_where_there_are_none() -> None:
    text = to_markdown(build_table(record(), RESULTS))
    assert "[low, high]" not in text and "not settled" not in text and "Δ" not in text


def test_a_terminal_of_a_hundred_columns_is_wide_enough() -> None:
    names = ("bicycle", "boat", "bottle", "bus", "car", "cat", "chair", "dog", "motorbike", "person", "diningtable")
    wide = EnhancerResult(
        "Lit twins (bound)", 2563, 2563, niqe=12.345, map=0.4321, ap=dict.fromkeys(names, 0.5),
        niqe_interval=Interval(12.345, 11.11, 13.33), map_interval=Interval(0.4321, 0.4, 0.5), ms_enhance=1234.5,
        coco={"AP50:95": 0.5, "AP50": 0.6, "AP75": None},
        against={"Input": Difference("Input", 1, 0, Interval(-0.123, -0.2, 0.111), Interval(-1.234, -11.1, 10.0))},
    )  # fmt: skip
    changes = record(protocol=Protocol(classes=names).to_dict(), enhancers=[{"label": wide.label, "upper_bound": True}])
    console = Console(width=100, file=io.StringIO())
    console.print(to_terminal(build_table(changes, [wide])))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for cell in ("12.345~ [11.11, 13.33]", "43.21~ [40.0, 50.0]", "1234.5", "-12.30~ [-20.0, +11.1]", "60.00"):
        assert cell in text
    assert text.count(" 50.0 ") >= len(names)
