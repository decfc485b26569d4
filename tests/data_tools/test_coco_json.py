from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks.metrics.coco_ap import coco_ap
from duskbench.data_tools.coco_json import write_coco_results, write_coco_truth
from duskbench.data_tools.datasets import open_dataset
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.files import write_text
from duskbench.data_tools.ids import UnknownIdError
from duskbench.data_tools.images import write_image
from duskbench.data_tools.records import ObjectAnnotation
from duskbench.data_tools.voc_xml import VOCAnnotation, format_annotation

CLASSES = ("dog", "person", "van")
Found = dict[str, tuple[np.ndarray, np.ndarray, list[str]]]


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Eight images of random objects, some difficult, under names that are not VOC's."""
    rng = np.random.default_rng(3)
    root = tmp_path / "voc"
    for number in range(8):
        objects = []
        for _ in range(rng.integers(1, 5)):
            x, y, w, h = rng.integers(0, 60), rng.integers(0, 50), rng.integers(8, 40), rng.integers(8, 30)
            name = ("dog", "People", "van")[rng.integers(3)]
            box = (float(x), float(y), float(min(x + w, 100)), float(min(y + h, 80)))
            objects.append(ObjectAnnotation(name, box, difficult=bool(rng.random() < 0.2)))
        write_image(root / "JPEGImages" / f"{number:03d}.png", np.zeros((80, 100, 3), np.uint8))
        xml = format_annotation(VOCAnnotation(None, (100, 80), tuple(objects)))
        write_text(root / "Annotations" / f"{number:03d}.xml", xml)
    return root


def detections(root: Path) -> Found:
    """Near every object a detection, and some nowhere."""
    rng = np.random.default_rng(4)
    found: Found = {}
    dataset = open_dataset(root, split="all")
    for image_id in dataset.ids:
        objects = dataset.record(image_id).objects or ()
        boxes = [np.array(one.box_xyxy) + rng.normal(0, 3, 4) for one in objects]
        names = [one.name for one in objects]
        for _ in range(2):
            x, y = rng.uniform(0, 60, 2)
            boxes.append(np.array([x, y, x + 20, y + 20]))
            names.append(CLASSES[rng.integers(3)])
        found[image_id] = (np.array(boxes), rng.random(len(boxes)), names)
    return found


def pycocotools_ap(truth: Path, results: Path) -> list[float]:
    """AP50:95, AP50, AP75 as pycocotools has them of the two files, over all sizes."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    loaded = COCO(str(truth))
    evaluation = COCOeval(loaded, loaded.loadRes(str(results)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[:3].tolist()  # type: ignore[no-any-return]


def test_pycocotools_reads_both_files_and_agrees_with_our_ap(voc: Path, tmp_path: Path) -> None:
    dataset, found = open_dataset(voc, split="all"), detections(voc)
    truth = write_coco_truth(tmp_path / "truth.json", dataset)
    columns = ([found[image_id][column] for image_id in found] for column in range(3))
    written = write_coco_results(tmp_path / "found.json", truth.path, list(found), *columns)  # type: ignore[arg-type]
    assert written.left_out == {} and written.detections == sum(len(scores) for _, scores, _ in found.values())

    gt = [(n, one) for n, i in enumerate(dataset.ids) for one in dataset.record(i).objects or ()]
    det = [(n, box, score, name) for n, i in enumerate(found) for box, score, name in zip(*found[i], strict=True)]
    ours = coco_ap(
        np.array([one.box_xyxy for _, one in gt]),
        np.array([CLASSES.index(one.name) for _, one in gt]),
        np.array([n for n, _ in gt]),
        np.array([one.difficult for _, one in gt]),
        np.array([box for _, box, _, _ in det]),
        np.array([score for _, _, score, _ in det]),
        np.array([CLASSES.index(name) for _, _, _, name in det]),
        np.array([n for n, _, _, _ in det]),
        len(CLASSES),
    )
    assert ours.ap is not None and 0.05 < ours.ap < 0.95
    assert pycocotools_ap(truth.path, written.path) == pytest.approx([ours.ap, ours.ap50, ours.ap75], abs=1e-12)


def test_what_was_written_is_read_back(voc: Path, tmp_path: Path) -> None:
    dataset = open_dataset(voc, split="all")
    truth = write_coco_truth(voc / "truth.json", dataset)
    again = open_dataset(voc, layout="coco")
    assert again.ids == [f"JPEGImages/{image_id}" for image_id in dataset.ids]
    for image_id in dataset.ids:
        before, after = dataset.record(image_id), again.record(f"JPEGImages/{image_id}")
        assert [(o.name, o.box_xyxy, o.difficult) for o in after.objects or ()] == [
            (o.name, o.box_xyxy, o.difficult) for o in before.objects or ()
        ]
        assert (after.path, after.size) == (before.path, (100, 80))
    assert str(truth).startswith(f"{voc / 'truth.json'}: 8 images, dog ")


def test_a_class_in_several_spellings_is_one(tmp_path: Path) -> None:
    """Two categories of one class had all detections in one of them."""
    for number, name in enumerate(("Traffic_Cone", "traffic cone", "c\xf4ne", "co\u0302ne")):
        write_image(tmp_path / f"JPEGImages/{number}.png", np.zeros((8, 8, 3), np.uint8))
        xml = format_annotation(VOCAnnotation(None, (8, 8), (ObjectAnnotation(name, (0, 0, 5, 5)),)))
        write_text(tmp_path / f"Annotations/{number}.xml", xml)
    truth = write_coco_truth(tmp_path / "truth.json", open_dataset(tmp_path, split="all"))
    assert truth.objects == {"Traffic_Cone": 2, "c\xf4ne": 2}
    assert [one["category_id"] for one in json.loads(truth.path.read_text())["annotations"]] == [1, 1, 2, 2]


def test_the_form_of_both_files(tmp_path: Path) -> None:
    root = tmp_path / "voc"
    write_image(root / "JPEGImages/a.png", np.zeros((80, 100, 3), np.uint8))
    objects = (ObjectAnnotation("Cat", (1, 2, 11.5, 22)), ObjectAnnotation("van", (0, 0, 5, 5), difficult=True))
    write_text(root / "Annotations/a.xml", format_annotation(VOCAnnotation(None, None, objects)))
    truth = write_coco_truth(tmp_path / "truth.json", open_dataset(root, split="all"))
    content = json.loads(truth.path.read_text())
    assert content["images"] == [
        {"id": 1, "file_name": "JPEGImages/a.png", "width": 100, "height": 80, "duskbench_id": "a"}
    ]
    assert content["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "van"}]
    assert [(a["image_id"], a["category_id"], a["bbox"], a["area"], a["iscrowd"]) for a in content["annotations"]] == [
        (1, 1, [1.0, 2.0, 10.5, 20.0], 210.0, 0),
        (1, 2, [0.0, 0.0, 5.0, 5.0], 25.0, 1),
    ]
    boxes, scores = np.array([[1, 2, 3, 5], [0, 0, 1, 1]], np.float32), np.array([0.5, 0.25], np.float32)
    done = write_coco_results(tmp_path / "r.json", truth.path, ["a"], [boxes], [scores], [["CAT", "zebra"]])
    assert json.loads(done.path.read_text()) == [
        {
            "image_id": 1, "file_name": "JPEGImages/a.png", "category_id": 1, "category_name": "CAT",
            "bbox": [1.0, 2.0, 2.0, 3.0], "score": 0.5,
        }
    ]  # fmt: skip
    assert done.left_out == {"zebra": 1}


def test_no_file_without_an_image(tmp_path: Path) -> None:
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (tmp_path / "voc" / folder).mkdir(parents=True)
    with pytest.raises(DataError, match="no image to write"):
        write_coco_truth(tmp_path / "truth.json", open_dataset(tmp_path / "voc", split="all"))
    assert not (tmp_path / "truth.json").exists()


def test_a_data_sets_own_annotations_stay(voc: Path, tmp_path: Path) -> None:
    truth = voc / "annotations.json"
    write_coco_truth(truth, open_dataset(voc, split="all"))
    before = truth.read_bytes()
    with pytest.raises(ConfigError, match="own annotations"):
        write_coco_truth(voc / "JPEGImages/../annotations.json", open_dataset(voc, layout="coco", split="all"))
    assert truth.read_bytes() == before


def test_what_cannot_be_written(voc: Path, tmp_path: Path) -> None:
    truth = write_coco_truth(tmp_path / "truth.json", open_dataset(voc, split="all")).path
    box, score = np.zeros((1, 4)), np.zeros(1)
    with pytest.raises(UnknownIdError, match="'x'"):
        write_coco_results(tmp_path / "r.json", truth, ["x"], [box], [score], [["dog"]])
    with pytest.raises(DataError, match="1 boxes, 1 scores, 0 classes"):
        write_coco_results(tmp_path / "r.json", truth, ["000"], [box], [score], [[]])
    with pytest.raises(DataError, match="all numbers finite"):
        write_coco_results(tmp_path / "r.json", truth, ["000"], [box], [score * np.nan], [["dog"]])
    with pytest.raises(DataError, match="no annotation to write"):
        write_coco_truth(tmp_path / "t.json", open_dataset(voc / "JPEGImages"))
    assert not (tmp_path / "r.json").exists()
