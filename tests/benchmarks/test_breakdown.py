"""Break-downs against evaluating a part alone, and sizes against pycocotools."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from duskbench.benchmarks.breakdown import SIZES, Breakdown, Part, break_down, in_range, sized_samples
from duskbench.benchmarks.breakdown_table import breakdown_to_csv, build_breakdown_table, read_breakdown
from duskbench.benchmarks.evaluate import evaluate
from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.benchmarks.metrics.voc_ap import RECALL_THRESHOLDS
from duskbench.benchmarks.record import DetectorEntry, RunRecord
from duskbench.benchmarks.samples import sample_of
from duskbench.benchmarks.statistics import Difference, Interval, Spread
from duskbench.benchmarks.store import ResultStore
from duskbench.benchmarks.stored_run import found_by, read_enhancers, read_run_images
from duskbench.benchmarks.table_formats import to_markdown, to_terminal
from duskbench.data_tools.classes import LIGHTING_TYPES
from duskbench.data_tools.errors import DataError, UnknownNameError
from tests.benchmarks.fabricate import CLASSES, DETECTOR, make_images, make_record, make_run, metric

SKILLS = {"Input": 0.5, "Better": 0.9}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_run(tmp_path / "run", make_images(45), SKILLS, failing={"Better": ["0001"]})
    return tmp_path / "run"


def broken_down(folder: Path, by: str, **options: Any) -> Breakdown:
    with ResultStore(folder / "results.sqlite", reading=True) as store:
        return broken_down_as(store, store.last_run(), by, **options)


def broken_down_as(store: ResultStore, record: RunRecord, by: str, **options: Any) -> Breakdown:
    """By the enhancers and detectors of a record."""
    run = read_run_images(store, record)
    sized = [of for rows in read_enhancers(store, run) if (of := sized_samples(rows, run))]
    samples = [sample_of(rows, run) for rows in read_enhancers(store, run)]
    return break_down(run, samples, by, sized=sized, **options)


@pytest.mark.parametrize(("by", "names"), [("lighting", list(LIGHTING_TYPES[:3])), ("indoor", ["Indoor", "Outdoor"])])
def test_a_part_is_what_a_run_on_its_images_alone_would_be(folder: Path, by: str, names: list[str]) -> None:
    got = broken_down(folder, by)
    assert [part.name for part in got.parts] == names
    with ResultStore(folder / "results.sqlite") as store:
        record, images = store.last_run(), store.images()
        for part in got.parts:
            ids = [
                i
                for i in record.image_ids
                if part.name in (images[i].record.lighting, "Indoor" if images[i].record.indoor else "Outdoor")
            ]
            assert part.n_images == len(ids)
            counted = [o for i in ids for o in images[i].record.objects or () if not o.difficult]
            assert part.n_objects == len(counted)
            for alone in evaluate(store, replace(record, image_ids=tuple(ids))):
                assert part.spreads[alone.label] == alone.spread
                assert set(alone.spread.scores) == {"niqe", "map"}
                assert part.differences.get(alone.label) == alone.against.get("Input")
    assert sum(part.n_images for part in got.parts) == 45


def test_by_class_is_the_tables_ap(folder: Path) -> None:
    got = broken_down(folder, "class")
    with ResultStore(folder / "results.sqlite") as store:
        whole = {r.label: r for r in evaluate(store, store.last_run())}
        images = store.images().values()
    assert [part.name for part in got.parts] == list(CLASSES)
    for part in got.parts:
        counts = [sum(o.name == part.name and not o.difficult for o in i.record.objects or ()) for i in images]
        assert (part.n_images, part.n_objects) == (sum(c > 0 for c in counts), sum(counts))
        for label, result in whole.items():
            assert part.spreads[label].scores == {"map": result.spread.classes["map"][part.name]}
        moved = whole["Better"].against["Input"].classes["map"][part.name]
        assert part.differences["Better"].scores == {"map": moved}


def test_sizes_are_cocos(tmp_path: Path) -> None:
    # Without difficult objects: pycocotools has no such thing, and matches crowds, the nearest, by another overlap.
    images = [
        replace(i, record=replace(i.record, objects=tuple(o for o in i.record.objects or () if not o.difficult)))
        for i in make_images(45)
    ]
    folder = tmp_path / "run"
    make_run(folder, images, SKILLS, failing={"Better": ["0001"]})
    got = broken_down(folder, "size")
    assert [part.name for part in got.parts] == ["small", "medium", "large"]
    assert any("of the boxes" in note for note in got.notes)
    with ResultStore(folder / "results.sqlite") as store:
        record = store.last_run()
        run = read_run_images(store, record)
        for rows in read_enhancers(store, run):
            found = found_by(rows, run, DETECTOR)
            truth = run.truth.take(rows.mask(45)[run.truth.images])
            for part, (number, expected) in zip(got.parts, enumerate(coco(truth, found)), strict=True):
                assert list(SIZES)[number] == part.name
                aps = part.spreads[rows.label].classes["map"]
                assert {name: i.value for name, i in aps.items()} == pytest.approx(expected, abs=1e-9)
    assert sum(part.n_objects for part in got.parts) == len(run.truth.labels)


@pytest.mark.parametrize("by", ["class", "size", "lighting"])
def test_coco_ap_can_be_added(folder: Path, by: str) -> None:
    _, plain, _ = read_breakdown(folder, by)
    table, breakdown, _ = read_breakdown(folder, by, coco=True)
    for before, part in zip(plain.parts, breakdown.parts, strict=True):
        scores = part.spreads["Better"].scores
        assert set(scores) - set(before.spreads["Better"].scores) == {"coco AP50:95", "coco AP50", "coco AP75"}
        assert scores["map"] == before.spreads["Better"].scores["map"]
    assert any("COCO AP50:95" in column.heading for column in table.columns)


def coco(truth: Any, found: Any) -> list[dict[str, float]]:
    """AP at IoU 0.5 and VOC's eleven recalls, for each of COCO's areas, by pycocotools itself."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def indexed(boxes: Any, **extra: np.ndarray) -> COCO:
        made = COCO()
        rows = []
        for i, (x1, y1, x2, y2) in enumerate(boxes.boxes_xyxy.tolist()):
            more = {name: values[i].item() for name, values in extra.items()}
            rows.append(
                {
                    "id": i + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "category_id": int(boxes.labels[i]),
                    "image_id": int(boxes.images[i]),
                    **more,
                }
            )
        made.dataset = {
            "images": [{"id": i} for i in range(45)],
            "categories": [{"id": c} for c in range(len(CLASSES))],
            "annotations": rows,
        }
        made.createIndex()
        return made

    with contextlib.redirect_stdout(io.StringIO()):
        one = indexed(truth, iscrowd=np.zeros(len(truth.labels), int))
        evaluation = COCOeval(one, indexed(found, score=found.scores), "bbox")
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.params.recThrs = RECALL_THRESHOLDS["11point"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][0]
    return [
        {
            name: float(precision[:, c, area, 2].mean())
            for c, name in enumerate(CLASSES)
            if precision[0, c, area, 2] >= 0
        }
        for area in (1, 2, 3)
    ]


def test_another_baseline(folder: Path) -> None:
    got = broken_down(folder, "indoor", baseline="Better")
    assert got.baseline == "Better"
    assert [list(part.differences) for part in got.parts] == [["Input"], ["Input"]]


def test_what_cannot_be_broken_down(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UnknownNameError, match="class, indoor, lighting, size"):
        broken_down(folder, "colour")
    images = [replace(i, record=replace(i.record, lighting=None, indoor=None)) for i in make_images(4)]
    make_run(tmp_path / "plain", images, SKILLS)
    for by in ("lighting", "indoor"):
        with pytest.raises(DataError, match="no label"):
            broken_down(tmp_path / "plain", by)
    unannotated = [replace(i, record=replace(i.record, objects=None)) for i in make_images(4)]
    make_run(tmp_path / "bare", unannotated, SKILLS)
    for by in ("class", "size"):
        with pytest.raises(DataError, match="no detections"):
            broken_down(tmp_path / "bare", by)
    # Scores of images need no objects.
    part = broken_down(tmp_path / "bare", "lighting").parts[0]
    assert list(part.spreads["Input"].scores) == ["niqe"]


def test_a_metric_of_pools_alone_has_no_ap_of_a_class(tmp_path: Path) -> None:
    make_run(tmp_path, make_images(4), SKILLS, metrics=(metric("micro_ap"),))
    with pytest.raises(DataError, match="no metric that can be broken down by class") as caught:
        broken_down(tmp_path, "class")
    assert "micro AP: not by class" in str(caught.value)
    notes = broken_down(tmp_path, "size").notes
    assert not any("micro AP" in note for note in notes)


def test_a_metric_that_does_not_say_which_detections_it_ranked_is_not_broken_down_by_size(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "from dataclasses import replace\n"
        "from duskbench.benchmarks.metrics.voc_ap import VocAPMetric\n"
        "class Own(VocAPMetric):\n"
        "    key, heading, by_image = 'own', 'own AP', False\n"
        "    def rank(self, *given):\n"
        "        made = super().rank(*given)\n"
        "        bare = {n: tuple(replace(r, positions=None) for r in of) for n, of in made.by_class.items()}\n"
        "        return replace(made, by_class=bare)\n"
    )
    own = metric(f"{file}:Own")
    make_run(tmp_path / "both", make_images(20), SKILLS, metrics=(own, metric("voc_ap")))
    got = broken_down(tmp_path / "both", "size")
    assert all(set(part.spreads["Input"].scores) == {"map"} for part in got.parts)
    assert sum("own AP: not by size" in note for note in got.notes) == 1
    assert set(broken_down(tmp_path / "both", "class").parts[0].spreads["Input"].scores) == {"own", "map"}
    make_run(tmp_path / "alone", make_images(20), SKILLS, metrics=(own,))
    with pytest.raises(DataError, match="no metric that can be broken down by size"):
        broken_down(tmp_path / "alone", "size")


def test_a_class_that_the_detector_lacks_leaves_the_mean_of_each_size(tmp_path: Path) -> None:
    images = make_images(45)
    make_run(tmp_path / "all", images, SKILLS)
    # The same boxes, but nothing is called a person.
    lacking = replace(DETECTOR, classes=("car", "dog", "zebra"))
    make_run(tmp_path / "two", images, SKILLS, detectors=(lacking,))
    every, two = broken_down(tmp_path / "all", "size"), broken_down(tmp_path / "two", "size")
    for part, other in zip(two.parts, every.parts, strict=True):
        for label in SKILLS:
            known = {name: ap for name, ap in other.spreads[label].classes["map"].items() if name != "person"}
            assert part.spreads[label].classes["map"] == known
            assert part.spreads[label].scores["map"].value == pytest.approx(
                np.mean([ap.value for ap in known.values()])
            )


@pytest.mark.parametrize("by", ["lighting", "class", "size"])
def test_every_score_of_every_detector_is_broken_down(tmp_path: Path, by: str) -> None:
    other = DetectorEntry("other", "other", "o" * 64, "i" * 64, CLASSES)
    metrics = tuple(map(metric, ("niqe", "psnr", "voc_ap", "coco_ap50")))
    make_run(tmp_path / "two", make_images(30), SKILLS, detectors=(DETECTOR, other), metrics=metrics)
    got = broken_down(tmp_path / "two", by)
    keys = {"map made", "map other", "coco AP50 made", "coco AP50 other"}
    if by == "lighting":
        keys |= {"niqe", "psnr"}
    for part in got.parts:
        for scores in (part.spreads["Input"].scores, part.spreads["Better"].scores, part.differences["Better"].scores):
            assert set(scores) == keys
    table, _, _ = read_breakdown(tmp_path / "two", by)
    heads = [column.heading for column in table.columns]
    name = got.parts[0].name
    assert f"{'AP' if by == 'class' else 'mAP'} other {name}" in heads and (f"PSNR {name}" in heads) == (
        by == "lighting"
    )
    # As if the second detector were the only one.
    with ResultStore(tmp_path / "two" / "results.sqlite", reading=True) as store:
        only = replace(store.last_run(), detectors=(other,))
        alone = broken_down_as(store, only, by).parts[0]
    for label in SKILLS:
        assert alone.spreads[label].scores["map"] == got.parts[0].spreads[label].scores["map other"]
    assert got.parts[0].spreads["Better"].scores["map made"] != alone.spreads["Better"].scores["map"]


def test_the_table_has_every_part(folder: Path) -> None:
    table, breakdown, record = read_breakdown(folder, "lighting")
    text = to_markdown(table)
    assert "| Enhancer | mAP Low ↑ | mAP Ambient ↑ | mAP Object ↑ | NIQE Low ↓ |" in text
    assert "Images (objects to find): Low 15 (" in text
    value = breakdown.parts[0].spreads["Input"].scores["map"]
    assert f"| Input | {100 * value.value:.1f} |" in text.replace("**", "")
    frame = pd.read_csv(io.StringIO(breakdown_to_csv(breakdown, record)))
    assert len(frame) == 6
    assert frame["mAP"][0] == value.value and frame["mAP low"][0] == value.low
    assert frame["Δ mAP"].isna().tolist() == [True, False] * 3


@pytest.mark.parametrize("by", ["lighting", "class"])
def test_ten_parts_fit_a_hundred_columns(by: str) -> None:
    names = LIGHTING_TYPES if by == "lighting" else ("bicycle", "diningtable", "motorbike", *"abcdefgh")
    of_images = {"niqe": Interval(14.0, 13.0, 15.0)} if by == "lighting" else {}
    spread, moved = Spread({"map": Interval(0.999, 0.9, 1.0), **of_images}), Interval(-0.1, -0.2, 0.1)
    difference = Difference({"map": moved, "niqe": moved}, baseline="Input", n_images=1)
    parts = tuple(Part(n, 1, 1, {"Lit twins (bound)": spread}, {"Lit twins (bound)": difference}) for n in names)
    breakdown = Breakdown(by, "Input", ("Lit twins (bound)",), parts, ())  # type: ignore[arg-type]
    record = make_record((), ())
    console = Console(width=100, file=io.StringIO())
    console.print(to_terminal(build_breakdown_table(record, breakdown)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert (text.count("99.9~"), text.count("14.00~")) == (len(names), len(names) if of_images else 0)


def test_a_size_on_the_border_of_two_is_of_both_as_cocos_are() -> None:
    none = np.zeros(1, int)
    border = Boxes(np.array([[8.0, 8.0, 40.0, 40.0]]), none, none, np.ones(1), np.zeros(1, bool), none)
    assert [name for name, limits in SIZES.items() if in_range(border, limits)] == ["small", "medium"]
