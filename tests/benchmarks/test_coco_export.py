"""A run's detections go on in pycocotools, and score there what they score here."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pandas as pd
import pytest

from tests.benchmarks.conftest import Bench


@pytest.mark.parametrize(("limit", "detections"), [([], 3), (["--limit", 2], 1)])
def test_pycocotools_scores_a_run_as_it_does_here(  # type: ignore[no-untyped-def]
    bench: Bench, tmp_path: Path, duskbench, limit: list[object], detections: int
) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    asked = ("--out", tmp_path / "out", "--coco", "--enhancer", "input", *limit)
    assert duskbench("run", bench.config, *asked)[0] == 0
    code, out, err = duskbench("data", "coco", bench.root, tmp_path / "truth.json", "--run", tmp_path / "out")
    assert code == 0, err
    assert f"truth.Input.colours.json: {detections} detections" in out
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(tmp_path / "truth.json"))
        found = truth.loadRes(str(tmp_path / "truth.Input.colours.json"))
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    ours = pd.read_csv(tmp_path / "out/table.csv").iloc[0]
    assert evaluation.stats[:3].tolist() == pytest.approx(
        [ours["COCO AP50:95"], ours["COCO AP50"], ours["COCO AP75"]], abs=1e-12
    )


def test_a_run_without_detector_has_none(bench: Bench, tmp_path: Path, duskbench) -> None:  # type: ignore[no-untyped-def]
    duskbench("run", bench.config, "--out", tmp_path / "out", "--detector", "none", "--enhancer", "input")
    code, _, err = duskbench("data", "coco", bench.root, tmp_path / "truth.json", "--run", tmp_path / "out")
    assert code == 2 and "no detector" in err
    assert not (tmp_path / "truth.json").exists()
