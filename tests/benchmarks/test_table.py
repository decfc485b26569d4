"""From numbers to text, in every form."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from benchmarks.evaluate import EnhancerResult
from benchmarks.protocol import Protocol
from benchmarks.table import build_table, to_csv, to_latex, to_markdown, to_terminal


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
