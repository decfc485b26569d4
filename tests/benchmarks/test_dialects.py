"""A detector that finds everything scores 100.00, whatever names, numbers and layout it speaks in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duskbench.benchmarks.config import load_benchmark_config
from duskbench.benchmarks.evaluate import evaluate
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.benchmarks.runner import run
from duskbench.benchmarks.store import ResultStore
from duskbench.data_tools.classes import COCO_91_CLASSES, COCO_CLASSES, EXDARK_CLASSES, VOC_CLASSES, match_classes
from duskbench.data_tools.images import write_image
from tests.needs import need_module

need_module("onnxruntime")
need_module("onnx")

# ExDark's twelve classes, spelled as VOC, COCO and ExDark do.
VOC = ("bicycle", "boat", "bottle", "bus", "car", "cat", "chair", "cup", "dog", "motorbike", "person", "diningtable")
COCO = ("bicycle", "boat", "bottle", "bus", "car", "cat", "chair", "cup", "dog", "motorcycle", "person", "dining table")
# Numbers of these in COCO's annotations, from instances_val2017.json.
COCO_NUMBERS = (2, 9, 44, 6, 3, 17, 62, 47, 18, 4, 1, 67)

# Width, height and grey of the images; four classes in each, as (class, x1, y1, x2, y2), and one class twice.
IMAGES: dict[str, tuple[tuple[int, int, int], list[tuple[int, int, int, int, int]]]] = {
    "000001": ((64, 40, 0), [(0, 2, 3, 20, 22), (1, 25, 1, 50, 30), (2, 5, 24, 60, 39), (0, 40, 5, 64, 40)]),
    "000002": ((30, 52, 51), [(3, 0, 0, 15, 25), (4, 10, 20, 30, 50), (5, 3, 30, 12, 52), (6, 16, 1, 29, 18)]),
    "000003": ((48, 48, 102), [(7, 1, 1, 20, 20), (8, 20, 25, 48, 48), (7, 30, 2, 47, 19), (9, 0, 22, 18, 47)]),
    "000004": ((33, 65, 153), [(10, 4, 4, 30, 30), (11, 2, 35, 31, 63), (10, 0, 33, 20, 64)]),
}
SIZE = 64
ROWS = 4


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images as a VOC tree; each is one grey, by which the models below know it."""
    root = tmp_path_factory.mktemp("dialects") / "voc"
    (root / "Annotations").mkdir(parents=True)
    (root / "ImageSets" / "Main").mkdir(parents=True)
    for image_id, ((width, height, grey), objects) in IMAGES.items():
        write_image(root / "JPEGImages" / f"{image_id}.png", np.full((height, width, 3), grey, np.uint8))
        boxes = "".join(
            f"<object><name>{VOC[label]}</name><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin>"
            f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            for label, x1, y1, x2, y2 in objects
        )
        (root / "Annotations" / f"{image_id}.xml").write_text(f"<annotation>{boxes}</annotation>")
    (root / "ImageSets" / "Main" / "test.txt").write_text("\n".join(IMAGES) + "\n")
    return root


def in_input(fit: str) -> Iterator[tuple[int, int, list[float]]]:
    """Image, class and corners of every object in a 64 x 64 input, from 0 to 1."""
    for number, ((width, height, _), objects) in enumerate(IMAGES.values()):
        for label, *corners in objects:
            x, y = np.array(corners[::2], float), np.array(corners[1::2], float)
            if fit == "stretch":
                x, y = x / width, y / height
            else:
                scale = min(SIZE / width, SIZE / height)
                left = (SIZE - round(width * scale)) // 2
                top = (SIZE - round(height * scale)) // 2
                x, y = (x * scale + left) / SIZE, (y * scale + top) / SIZE
            yield number, label, [x[0], y[0], x[1], y[1]]


def centred(corners: Sequence[float]) -> list[float]:
    x1, y1, x2, y2 = corners
    return [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]


@dataclass(frozen=True)
class Export:
    """A layout: how a picture is fitted, and what tables, one row of each an image, it looks up its outputs in."""

    fit: str
    tables: Callable[[list[tuple[int, int, list[float]]], list[int], int], dict[str, np.ndarray]]
    two_inputs: bool = False


def yolo(found: Any, label_of: list[int], classes: int, rows: int, objectness: bool) -> np.ndarray:
    """(images, rows, 4 + classes or 5 + classes); the anchors that find nothing lie somewhere and score low."""
    table = np.zeros((len(IMAGES), rows, 4 + objectness + classes), np.float32)
    table[..., :4] = np.random.default_rng(0).uniform(1, 60, (len(IMAGES), rows, 4))
    used = [0] * len(IMAGES)
    for image, label, corners in found:
        row = table[image, 7 * used[image]]
        row[:4] = np.multiply(centred(corners), SIZE)
        row[4:] = 0
        row[4 : 4 + objectness] = 1
        row[4 + objectness + label_of[label]] = 0.9
        used[image] += 1
    return table


def yolov5(found: Any, label_of: list[int], classes: int) -> dict[str, np.ndarray]:
    return {"output0": yolo(found, label_of, classes, 3 * 84, True)}


def yolov8(found: Any, label_of: list[int], classes: int) -> dict[str, np.ndarray]:
    return {"output0": yolo(found, label_of, classes, 84, False).transpose(0, 2, 1)}


def filled(found: Any, row_of: Callable[[int, list[float]], list[float]], columns: int) -> np.ndarray:
    table = np.zeros((len(IMAGES), ROWS, columns), np.float32)
    used = [0] * len(IMAGES)
    for image, label, corners in found:
        table[image, used[image]] = row_of(label, corners)
        used[image] += 1
    return table


def yolo_nms(found: Any, label_of: list[int], classes: int) -> dict[str, np.ndarray]:
    return {"output0": filled(found, lambda k, box: [*np.multiply(box, SIZE), 0.9, label_of[k]], 6)}


def yolov7_nms(found: Any, label_of: list[int], classes: int) -> dict[str, np.ndarray]:
    return {"output": filled(found, lambda k, box: [0, *np.multiply(box, SIZE), label_of[k], 0.9], 7)}


def one_hot(label: int, classes: int, high: float = 0.9, low: float = 0.0) -> list[float]:
    return [high if each == label else low for each in range(classes)]


def rtdetr(found: Any, label_of: list[int], classes: int) -> dict[str, np.ndarray]:
    table = filled(found, lambda k, box: [*centred(box), *one_hot(label_of[k], classes)], 4 + classes)
    return {"output0": table}


def rtdetr_labelled(found: Any, label_of: list[int], classes: int) -> dict[str, np.ndarray]:
    return {"output0": filled(found, lambda k, box: [*centred(box), 0.9, label_of[k]], 6)}


def rtdetr_boxes(found: Any, label_of: list[int], classes: int) -> dict[str, np.ndarray]:
    table = filled(found, lambda k, box: [label_of[k], *np.multiply(box, SIZE), 0.9], 6)
    return {"labels": table[..., 0].astype(np.int64), "boxes": table[..., 1:5], "scores": table[..., 5]}


def rtdetr_logits(found: Any, label_of: list[int], classes: int) -> dict[str, np.ndarray]:
    row_of = lambda k, box: [*centred(box), *one_hot(label_of[k], classes, 3.0, -30.0)]  # noqa: E731
    table = filled(found, row_of, 4 + classes)
    table[..., 4:][(table == 0).all(axis=-1)] = -30
    return {"logits": table[..., 4:], "pred_boxes": table[..., :4]}


def boxes_scores(found: Any, label_of: list[int], classes: int) -> dict[str, np.ndarray]:
    table = filled(found, lambda k, box: [*box, *one_hot(label_of[k], classes)], 4 + classes)
    return {"boxes": table[..., :4], "scores": table[..., 4:]}


EXPORTS = {
    "boxes_scores": Export("stretch", boxes_scores),
    "yolov5": Export("letterbox", yolov5),
    "yolov8": Export("letterbox", yolov8),
    "yolo_nms": Export("letterbox", yolo_nms),
    "yolov7_nms": Export("letterbox", yolov7_nms),
    "rtdetr": Export("stretch", rtdetr),
    "rtdetr_labelled": Export("stretch", rtdetr_labelled),
    "rtdetr_boxes": Export("stretch", rtdetr_boxes, two_inputs=True),
    "rtdetr_logits": Export("stretch", rtdetr_logits),
}


def write_model(path: Path, tables: dict[str, np.ndarray], *, two_inputs: bool, flat: bool, names: str | None) -> None:
    """An ONNX model that looks its outputs up by the grey in the middle of the picture; noise is some image too."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, value: Any) -> Any:
        return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value)))

    last = len(IMAGES) - 1
    nodes = [
        constant("starts", np.array([SIZE // 2, SIZE // 2, 0], np.int64)),
        constant("ends", np.array([SIZE // 2 + 1, SIZE // 2 + 1, 1], np.int64)),
        constant("axes", np.array([2, 3, 1], np.int64)),
        constant("five", np.float32(5)),
        constant("shape", np.array([-1], np.int64)),
        constant("low", np.int64(0)),
        constant("high", np.int64(last)),
        helper.make_node("Slice", ["images", "starts", "ends", "axes"], ["middle"]),
        helper.make_node("Mul", ["middle", "five"], ["scaled"]),
        helper.make_node("Round", ["scaled"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Clip", ["whole", "low", "high"], ["clipped"]),
        helper.make_node("Reshape", ["clipped", "shape"], ["number"]),
    ]
    outputs = []
    for name, table in tables.items():
        nodes.append(constant(f"{name}_table", table))
        looked_up = f"{name}_batch" if flat else name
        nodes.append(helper.make_node("Gather", [f"{name}_table", "number"], [looked_up], axis=0))
        if flat:
            nodes += [constant("rows", np.array([-1, table.shape[-1]], np.int64))]
            nodes += [helper.make_node("Reshape", [looked_up, "rows"], [name])]
        kind = TensorProto.INT64 if table.dtype == np.int64 else TensorProto.FLOAT
        outputs.append(helper.make_tensor_value_info(name, kind, None))
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])]
    if two_inputs:
        inputs.append(helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, ["n", 2]))
    model = helper.make_model(
        helper.make_graph(nodes, "made", inputs, outputs), opset_imports=[helper.make_opsetid("", 13)]
    )
    model.ir_version = 8
    if names is not None:
        helper.set_model_props(model, {"names": names})
    onnx.save(model, path)


def make_export(path: Path, layout: str, names: Sequence[str], spelled: Sequence[str]) -> Path:
    """A model that finds everything of the classes it knows."""
    export = EXPORTS[layout]
    label_of = [list(names).index(name) if name in names else -1 for name in spelled]
    found = [each for each in in_input(export.fit) if label_of[each[1]] >= 0]
    stated = (
        str(dict(enumerate(names))) if layout in ("yolo_nms", "yolov7_nms", "rtdetr_labelled", "rtdetr_boxes") else None
    )
    flat = layout == "yolov7_nms"
    tables = export.tables(found, label_of, len(names))
    write_model(path, tables, two_inputs=export.two_inputs, flat=flat, names=stated)
    return path


def scores(tree: Path, detector: str, classes: Any, out: Path) -> tuple[str, dict[str, str], tuple[str, ...]]:
    """mAP and APs as in a table, and the classes that the detector lacks."""
    config = out / "config.py"
    config.write_text(
        f"title = 'Dialects'\ndata = dict(root={str(tree)!r}, split='test')\ndetector = {detector!r}\n"
        f"enhancers = ['input']\nmetrics = ['voc_ap']\n"
    )
    overrides = {} if classes is None else {"protocol.classes": classes}
    assert run(load_benchmark_config(config, overrides=overrides), RunOptions(out / "out")).ok
    with ResultStore(out / "out" / "results.sqlite", reading=True) as store:
        record = store.last_run()
        [result] = evaluate(store, record)
    of_class = {name: f"{100 * one.value:.2f}" for name, one in result.spread.classes["map"].items()}
    mean = result.number("map")
    assert mean is not None
    lacking = match_classes(record.detectors[0].classes, record.protocol.classes).not_detectable
    return f"{100 * mean:.2f}", of_class, lacking


EVERYTHING = dict.fromkeys(VOC, "100.00")
WITHOUT_CUP = {name: "100.00" for name in VOC if name != "cup"}


@pytest.mark.parametrize("layout", list(EXPORTS))
def test_coco_models_of_every_layout_find_cups_too(tree: Path, tmp_path: Path, layout: str) -> None:
    path = make_export(tmp_path / "model.onnx", layout, COCO_CLASSES, COCO)
    assert scores(tree, str(path), "exdark", tmp_path) == ("100.00", EVERYTHING, ())


@pytest.mark.slow
@pytest.mark.parametrize("layout", list(EXPORTS))
def test_a_layout_that_is_named_is_read_the_same(tree: Path, tmp_path: Path, layout: str) -> None:
    path = make_export(tmp_path / "model.onnx", layout, COCO_CLASSES, COCO)
    assert scores(tree, f"{path}(layout={layout!r})", "exdark", tmp_path)[:2] == ("100.00", EVERYTHING)


@pytest.mark.parametrize("layout", ["boxes_scores", "yolov8", "rtdetr_logits"])
def test_coco_91_models_number_their_outputs_with_gaps(tree: Path, tmp_path: Path, layout: str) -> None:
    path = make_export(tmp_path / "model.onnx", layout, COCO_91_CLASSES, COCO)
    assert scores(tree, str(path), "exdark", tmp_path) == ("100.00", EVERYTHING, ())


def test_numbers_of_coco_91() -> None:
    assert tuple(COCO_91_CLASSES[number] for number in COCO_NUMBERS) == COCO
    assert COCO_91_CLASSES[90] == "toothbrush"
    assert len(COCO_91_CLASSES) == 91


@pytest.mark.parametrize("layout", ["boxes_scores", "yolov5", "yolov8", "rtdetr"])
def test_voc_models_lack_the_cup(tree: Path, tmp_path: Path, layout: str) -> None:
    path = make_export(tmp_path / "model.onnx", layout, VOC_CLASSES, VOC)
    assert scores(tree, str(path), None, tmp_path) == ("100.00", WITHOUT_CUP, ())
    assert scores(tree, str(path), "exdark", tmp_path) == ("100.00", WITHOUT_CUP, ("cup",))


def test_exdark_models(tree: Path, tmp_path: Path) -> None:
    path = make_export(tmp_path / "model.onnx", "yolov8", EXDARK_CLASSES, EXDARK_CLASSES)
    assert scores(tree, f"{path}(classes='exdark')", "exdark", tmp_path) == ("100.00", EVERYTHING, ())


@pytest.mark.parametrize(
    ("classes", "category_ids"),
    [
        ("coco91", COCO_NUMBERS),
        ("coco", [COCO_CLASSES.index(name) + 1 for name in COCO]),
        ("exdark", range(1, 13)),
        ("exdark", VOC),
        ("coco91", EXDARK_CLASSES),
    ],
)
def test_files_of_results_in_every_dialect(tree: Path, tmp_path: Path, classes: str, category_ids: Any) -> None:
    entries = [
        {"image_id": name, "category_id": category_ids[k], "bbox": [x1, y1, x2 - x1, y2 - y1], "score": 0.9}
        for name, (_, objects) in IMAGES.items()
        for k, x1, y1, x2, y2 in objects
    ]
    path = tmp_path / "found.json"
    path.write_text(json.dumps(entries))
    assert scores(tree, f"{path}(classes={classes!r})", "exdark", tmp_path) == ("100.00", EVERYTHING, ())
