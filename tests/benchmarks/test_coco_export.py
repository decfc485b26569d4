"""A run's detections go on in pycocotools, and score there what they score here."""

from __future__ import annotations

import contextlib
import io
import json
import re
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


def test_an_enhancer_that_failed_is_scored_over_the_other_images(bench: Bench, tmp_path: Path, duskbench) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "mine.py").write_text(
        "class Mine:\n    seen = 0\n    def __call__(self, image):\n        Mine.seen += 1\n"
        "        assert Mine.seen != 1\n        return image\n"
    )
    asked = ("--enhancer", "input", "--enhancer", f"{tmp_path / 'mine.py'}:Mine", "--workers", 1)
    assert duskbench("run", bench.config, "--out", tmp_path / "out", *asked)[0] == 1
    _, out, _ = duskbench("data", "coco", bench.root, tmp_path / "truth.json", "--run", tmp_path / "out")
    said = " ".join(out.split())
    for scored, by in (("Input", "truth.json"), ("Mine", "truth.Mine.json")):
        assert re.search(rf"truth\.{scored}\.colours\.json: \d detections, to be scored by {tmp_path}/{by}", said)
    whole, own = (json.loads((tmp_path / name).read_text()) for name in ("truth.json", "truth.Mine.json"))
    assert own["images"] == whole["images"][1:] and own["categories"] == whole["categories"]
    first = whole["images"][0]["id"]
    assert own["annotations"] == [one for one in whole["annotations"] if one["image_id"] != first]


def test_a_run_without_detector_has_none(bench: Bench, tmp_path: Path, duskbench) -> None:  # type: ignore[no-untyped-def]
    duskbench("run", bench.config, "--out", tmp_path / "out", "--detector", "none", "--enhancer", "input")
    code, _, err = duskbench("data", "coco", bench.root, tmp_path / "truth.json", "--run", tmp_path / "out")
    assert code == 2 and "no detector" in err
    assert not (tmp_path / "truth.json").exists()
