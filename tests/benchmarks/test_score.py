from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duskbench.benchmarks.config import BenchmarkConfig
from duskbench.benchmarks.evaluate import evaluate
from duskbench.benchmarks.metric_code import with_coco
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.benchmarks.runner import run
from duskbench.benchmarks.score import Score, score, to_terminal
from duskbench.benchmarks.statistics import Interval
from duskbench.benchmarks.store import ResultStore
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.data_tools.ids import UnknownIdError
from duskbench.data_tools.images import write_image

OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult>"
    "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)
IMAGES: dict[str, list[tuple[Any, ...]]] = {
    "000012": [("car", 0, 1, 1, 10, 10), ("cup", 0, 20, 20, 30, 30)],
    "000123": [("person", 0, 11, 11, 40, 60), ("person", 1, 51, 51, 60, 60)],
    "2008_000007": [],
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "VOC2007"
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / folder).mkdir(parents=True)
    for image_id, objects in IMAGES.items():
        body = "".join(OBJECT.format(*values) for values in objects)
        (root / "Annotations" / f"{image_id}.xml").write_text(f"<annotation>{body}</annotation>")
    (root / "ImageSets/Main/test.txt").write_text("\n".join(IMAGES) + "\n")
    (root / "ImageSets/Main/val.txt").write_text("000012\n")
    return root


def entry(image: Any = "000012", category: Any = 7, box: Any = (0, 0, 10, 10), value: Any = 0.9) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": list(box), "score": value}


PERSON = entry("000123", 15, (10, 10, 30, 50))


def results(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "detections.json"
    path.write_text(json.dumps(content))
    return path


def value(interval: Interval | None) -> float | None:
    return None if interval is None else interval.value


def values(intervals: Mapping[str, Interval | None]) -> dict[str, float | None]:
    return {name: value(interval) for name, interval in intervals.items()}


def test_all_found(tree: Path, tmp_path: Path) -> None:
    result = score(tree, results(tmp_path, [entry(), PERSON]), exclude=["cup"])
    assert value(result.map) == 1.0
    assert {name: ap for name, ap in values(result.ap).items() if ap is not None} == {"car": 1.0, "person": 1.0}
    assert len(result.ap) == 20
    assert result.n_gt["person"] == 1
    assert result.n_det["person"] == 1
    assert result.n_images == 3
    assert result.excluded == ("cup",)


def test_an_annotated_class_that_the_detector_lacks_leaves_the_mean(tree: Path, tmp_path: Path) -> None:
    path = results(tmp_path, [entry(), PERSON])
    assert value(score(tree, path).map) == 1.0
    assert score(tree, path).ap["cup"] is None and score(tree, path).n_gt["cup"] == 1
    assert "cup" not in score(tree, path, exclude=["Cup"]).ap


@pytest.mark.parametrize("exclude", ["person", "People", " Person"])
def test_a_class_is_excluded_by_any_of_its_names(tree: Path, tmp_path: Path, exclude: str) -> None:
    result = score(tree, results(tmp_path, [entry(value=0.1), PERSON]), exclude=[exclude, "cup"])
    assert value(result.map) == 1.0
    assert "person" not in result.ap


@pytest.mark.parametrize("image", ["000012", "000012.jpg", "000012.PNG", 12, "12", "JPEGImages/000012.jpg"])
@pytest.mark.parametrize("category", [7, "car", "Car", " CAR "])
def test_images_and_classes_by_any_of_their_names(tree: Path, tmp_path: Path, image: Any, category: Any) -> None:
    result = score(tree, results(tmp_path, [entry(image, category)]))
    assert (value(result.ap["car"]), result.n_det["car"]) == (1.0, 1)


def test_an_image_number_that_lost_its_underscore(tree: Path, tmp_path: Path) -> None:
    assert score(tree, results(tmp_path, [entry(2008000007)])).n_det["car"] == 1


def test_a_class_of_the_data_set_may_be_named(tree: Path, tmp_path: Path) -> None:
    """One that VOC lacks was an unknown one; those that the file does not name still leave the mean."""
    cup = entry(category="Cup", box=(19, 19, 11, 11))
    annotation = tree / "Annotations/000123.xml"
    annotation.write_text(annotation.read_text().replace("person", "Traffic_Cone"))
    result = score(tree, results(tmp_path, [entry(category="car"), cup]))
    assert values(result.ap) | {"car": 1.0, "cup": 1.0, "Traffic_Cone": None} == values(result.ap)
    assert value(result.map) == 1.0
    cone = entry("000123", "traffic cone", (10, 10, 30, 50))
    result = score(tree, results(tmp_path, [entry(category="car"), cup, cone]))
    assert values(result.ap)["Traffic_Cone"] == 1.0


def test_the_class_may_stand_under_category(tree: Path, tmp_path: Path) -> None:
    row = {"image_id": 12, "category": "car", "bbox": [0, 0, 10, 10], "score": 1}
    assert score(tree, results(tmp_path, [row])).ap["car"].value == 1.0  # type: ignore[union-attr]


@pytest.mark.parametrize("key", ["annotations", "detections"])
def test_categories_and_images_of_the_file_win(tree: Path, tmp_path: Path, key: str) -> None:
    content = {
        key: [entry(image=900, category=3), entry(image=901, category=0, box=(10, 10, 30, 50))],
        "categories": [{"id": 3, "name": "Car"}, {"id": 0, "name": "People"}],
        "images": [{"id": 900, "file_name": "VOC2007/JPEGImages/000012.jpg"}, {"id": 901, "file_name": "000123.jpg"}],
    }
    result = score(tree, results(tmp_path, content))
    assert values(result.ap) == {"car": 1.0, "person": 1.0, "cup": None}


def test_chosen_classes_number_the_categories(tree: Path, tmp_path: Path) -> None:
    result = score(tree, results(tmp_path, [entry(category=2)]), classes=["person", "car"])
    assert values(result.ap) == {"person": 0.0, "car": 1.0}


@pytest.mark.parametrize(
    ("box", "plus_one", "match", "ap"),
    [
        # The object is 0..10 without + 1 and 0..9 (ten pixels) with it; a detection is left as it is.
        ((0, 0, 10, 5), False, ">", 0.0),
        ((0, 0, 10, 5), False, ">=", 1.0),
        ((0, 0, 9, 4), True, ">", 0.0),  # 10 x 5 of 10 x 10 pixels
        ((0, 0, 9, 4), True, ">=", 1.0),
        ((0, 0, 9, 4), False, ">=", 0.0),
        ((0, 0, 10, 5), True, ">", 1.0),  # 10 x 6 of 10 x 10, and 6 more
    ],
)
def test_frames_and_thresholds(tree: Path, tmp_path: Path, box: Any, plus_one: bool, match: Any, ap: float) -> None:
    result = score(tree, results(tmp_path, [entry(box=box)]), plus_one=plus_one, iou_match=match)
    assert value(result.ap["car"]) == ap


def test_split_and_annotations_folder(tree: Path, tmp_path: Path) -> None:
    path = results(tmp_path, [entry()])
    assert score(tree, path, split="val").n_images == 1
    assert score(tree / "Annotations", path, split="val").n_images == 1
    ids = tmp_path / "ids.txt"
    ids.write_text("000012.jpg\n000123\n")
    assert score(tree, path, split=str(ids)).n_images == 2
    alone = tmp_path / "xml"
    (tree / "Annotations").rename(alone)
    assert score(alone, path).n_images == 3


def test_a_lone_folder_of_annotations_is_taken_as_far_as_a_list_says(tree: Path, tmp_path: Path) -> None:
    lone = (tree / "Annotations").rename(tmp_path / "lone")
    listed = tmp_path / "ids.txt"
    listed.write_text("000123\n")
    found = results(tmp_path, [PERSON])
    assert score(lone, found).n_images == 3
    assert (part := score(lone, found, split=str(listed))).n_images == 1 and value(part.map) == 1.0
    with pytest.raises(ConfigError, match="has no splits"):
        score(lone, found, split="val")


def test_a_stray_xml_file_does_not_make_a_tree_a_lone_folder(tree: Path, tmp_path: Path) -> None:
    for stray in ("._dataset.xml", "dataset.xml"):
        (tree / stray).write_text("<annotation></annotation>")
        assert score(tree, results(tmp_path, [entry()]), split="val").n_images == 1


def test_boxes_are_clipped_by_the_stated_size_where_there_is_no_image(tree: Path, tmp_path: Path) -> None:
    """The number must not hang on whether the picture happens to be there."""
    body = OBJECT.format("car", 0, 61, 11, 160, 50)
    size = "<size><width>100</width><height>80</height><depth>3</depth></size>"
    (tree / "Annotations/000012.xml").write_text(f"<annotation>{size}{body}</annotation>")
    found = results(tmp_path, [entry(box=(60, 10, 40, 40))])
    without = score(tree, found, split="val").ap["car"]
    write_image(tree / "JPEGImages/000012.jpg", np.zeros((80, 100, 3), np.uint8))
    assert value(without) == value(score(tree, found, split="val").ap["car"]) == 1.0


def test_spellings_of_a_class_outside_the_table(tree: Path, tmp_path: Path) -> None:
    for image_id, name in (("000012", "Traffic_Cone"), ("000123", "traffic-cone")):
        body = OBJECT.format(name, 0, 1, 1, 10, 10)
        (tree / f"Annotations/{image_id}.xml").write_text(f"<annotation>{body}</annotation>")
    content = {
        "categories": [{"id": 7, "name": "TrafficCone"}],
        "annotations": [entry("000012"), entry("000123")],
    }
    found = score(tree, results(tmp_path, content))
    assert {name: value(ap) for name, ap in found.ap.items()} == {"TrafficCone": 1.0}
    assert found.n_gt == {"TrafficCone": 2} and found.n_det == {"TrafficCone": 2}


def test_coco_figures_on_request(tree: Path, tmp_path: Path) -> None:
    path = results(tmp_path, [entry(), PERSON])
    assert score(tree, path).coco == {}
    figures = score(tree, path, exclude=["cup"], coco=True).coco
    assert values(figures) == pytest.approx({"AP50:95": 1.0, "AP50": 1.0, "AP75": 1.0})


def test_no_detections(tree: Path, tmp_path: Path) -> None:
    result = score(tree, results(tmp_path, []))
    assert value(result.map) == 0.0


def test_json_is_strict_and_sorted(tree: Path, tmp_path: Path) -> None:
    result = score(tree, results(tmp_path, [entry(), PERSON]), exclude=["cup"], mode="area")
    content = json.loads(result.to_json())
    assert list(content) == sorted(content)
    assert content["AP"]["train"] is None
    assert content["mAP"] == 1.0
    assert content["protocol"] == {"ap": "area", "iou_match": ">", "iou_threshold": 0.5, "plus_one": False}


def terminal(result: Score) -> str:
    from rich.console import Console

    console = Console(width=100)
    with console.capture() as capture:
        console.print(to_terminal(result))
    return capture.get()


def test_the_terminal_shows_what_was_left_out(tree: Path, tmp_path: Path) -> None:
    text = terminal(score(tree, results(tmp_path, [entry(), PERSON]), exclude=["cup"], coco=True))
    assert "mAP over 2 classes" in text
    assert "100.00" in text
    assert "Left out: cup." in text
    assert "IoU > 0.5" in text
    assert "COCO AP50:95" in text


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ({"boxes": []}, DataError, "keys boxes"),
        (3, DataError, "no list of detections"),
        ([entry(), entry(image="000013")], UnknownNameError, "entry 1"),
        ([entry(image=13)], UnknownNameError, "entry 0"),
        ([entry(image=None)], UnknownNameError, "entry 0"),
        ([entry(image=[1])], DataError, "entry 0"),
        ([entry(category=0)], DataError, "numbers start at 1"),
        ([entry(category=21)], DataError, "entry 0"),
        ([entry(category="lorry")], UnknownNameError, "entry 0"),
        ([entry(box=(0, 0, 1))], DataError, "entry 0"),
        ([entry(box=(0, 0, -1, 5))], DataError, "entry 0"),
        ([entry(box=("x", 0, 1, 5))], DataError, "entry 0"),
        ([entry(value=None)], DataError, "entry 0"),
        ([entry(value=float("nan"))], DataError, "entry 0"),
        ([{"image_id": 12}], DataError, "entry 0"),
        (["x"], DataError, "entry 0"),
        ({"annotations": [], "categories": [{"name": "car"}]}, DataError, "categories"),
        ({"annotations": [], "images": 3}, DataError, "images"),
    ],
)
def test_unusable_results_are_errors(
    tree: Path, tmp_path: Path, content: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        score(tree, results(tmp_path, content))


def test_an_ambiguous_image_number_is_an_error(tree: Path, tmp_path: Path) -> None:
    (tree / "Annotations/12.xml").write_text("<annotation></annotation>")
    (tree / "ImageSets/Main/test.txt").write_text("000012\n0012\n")
    (tree / "Annotations/0012.xml").write_text("<annotation></annotation>")
    with pytest.raises(UnknownNameError, match="'12'"):
        score(tree, results(tmp_path, [entry(12)]))


def test_unknown_rules_classes_and_files_are_errors(tree: Path, tmp_path: Path) -> None:
    path = results(tmp_path, [])
    with pytest.raises(UnknownNameError, match="sofa"):
        score(tree, path, exclude=["sofaa"])
    with pytest.raises(ConfigError):
        score(tree, path, mode="11points")
    with pytest.raises(DataError, match="Cannot read"):
        score(tree, tmp_path / "absent.json")
    path.write_text("{")
    with pytest.raises(DataError, match="Cannot read"):
        score(tree, path)


@pytest.mark.parametrize("model", [pytest.param("yolo-fastest-xl-voc", marks=pytest.mark.slow), "mbv2-yolov3-nano-voc"])
@pytest.mark.parametrize("data", [pytest.param("voc2007_test_subset", marks=pytest.mark.slow), "exdark24_input"])
def test_equals_the_reference_of_real_detectors(shared: Path, tmp_path: Path, model: str, data: str) -> None:
    reference = json.loads((shared / "golden/detector_reference.json").read_text())
    expected = reference["models"][model][data]
    rows = [
        entry(image, name, (x1, y1, x2 - x1, y2 - y1), value)
        for name, found in expected["detections"].items()
        for image, value, (x1, y1, x2, y2) in found
    ]
    split = "test"
    if data == "exdark24_input":
        listed = tmp_path / "ids.txt"
        listed.write_text("\n".join(reference["exdark_images"]))
        split = str(listed)
    root = shared / "data" / ("voc2007" if data == "voc2007_test_subset" else "exdark")
    classes = list(expected["AP11"])
    for mode, key in (("11point", "AP11"), ("area", "AP_area")):
        # The stored boxes are rounded to 0.01 pixel and the stored AP to 4 decimals.
        result = score(
            root, results(tmp_path, rows), classes=classes, split=split, mode=mode, plus_one=False, iou_match=">="
        )
        assert values(result.ap) == pytest.approx(expected[key], abs=1e-4)
        assert value(result.map) == pytest.approx(expected[f"m{key}"], abs=1e-4)
        assert result.n_gt == expected["n_gt_nondifficult"]


@pytest.fixture
def coco_tree(tmp_path: Path) -> Path:
    """Three images whose numbers are not those of their names, classes whose numbers are not VOC's."""
    root = tmp_path / "coco"
    numbers = {3: "a/1.png", 1: "a/2.png", 2: "b/2.png"}
    for name in numbers.values():
        write_image(root / name, np.full((60, 80, 3), 90, np.uint8))
    boxes = [(1, 9, [0, 0, 20, 30]), (2, 1, [5, 5, 30, 30]), (3, 9, [40, 10, 20, 20]), (3, 1, [0, 0, 10, 10])]
    content = {
        "images": [{"id": n, "file_name": name, "width": 80, "height": 60} for n, name in numbers.items()],
        "categories": [{"id": 9, "name": "car"}, {"id": 1, "name": "dog"}],
        "annotations": [
            {"id": n, "image_id": image, "category_id": c, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for n, (image, c, box) in enumerate(boxes, start=1)
        ],
    }
    (root / "instances_test.json").write_text(json.dumps(content))
    return root


# The car that is there and the one that is not have the same score: the first image by number comes first.
BARE = [entry(3, 9, (0, 0, 10, 10)), entry(1, 9, (1, 0, 20, 28)), entry(2, 1, (5, 9, 30, 30), 0.7)]


def test_numbers_of_bare_results_are_the_data_sets_as_pycocotools_has_it(coco_tree: Path, tmp_path: Path) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    path = results(tmp_path, BARE)
    truth = COCO(str(coco_tree / "instances_test.json"))
    evaluation = COCOeval(truth, truth.loadRes(str(path)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    found = values(score(coco_tree, path, coco=True).coco)
    assert found["AP50"] is not None and found["AP50"] > 0.4
    assert [found["AP50:95"], found["AP50"], found["AP75"]] == pytest.approx(evaluation.stats[:3], abs=1e-12)

    config = BenchmarkConfig(
        "t", "t", {"root": str(coco_tree)}, (str(path),), ("input",), protocol=Protocol(("car", "dog"))
    )
    assert run(config, RunOptions(tmp_path / "out", device="cpu", workers=1)).ok
    with ResultStore(tmp_path / "out/results.sqlite", reading=True) as store:
        [of_run] = evaluate(store, with_coco(store.last_run()))
    assert value(of_run.score("coco AP50:95")) == found["AP50:95"]


def test_a_run_with_results_of_another_set_is_an_error(tree: Path, tmp_path: Path) -> None:
    other = str(results(tmp_path, [entry("other")]))
    config = BenchmarkConfig("t", "t", {"root": str(tree)}, (other,), ("input",), protocol=Protocol())
    with pytest.raises(UnknownIdError, match="Unknown image id 'other'"):
        run(config, RunOptions(tmp_path / "out", device="cpu", workers=1))


def test_frames_of_a_video_are_drawn_together(tree: Path, tmp_path: Path) -> None:
    detections = results(tmp_path, [entry(), PERSON])
    alone, together = (score(tree, detections, cluster=cluster).map for cluster in (None, "()[0-9_]+"))
    assert alone is not None and alone.low is not None
    # One cluster says nothing of others.
    assert together == Interval(alone.value)
    with pytest.raises(ConfigError, match=r"bootstrap\.cluster"):
        score(tree, detections, cluster="video(.+)", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
