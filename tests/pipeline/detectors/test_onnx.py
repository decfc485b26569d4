"""The ONNX adapter: against stored detections of real models, and on models made here."""

from __future__ import annotations

import builtins
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duskbench.data_tools.classes import VOC_CLASSES
from duskbench.data_tools.errors import ConfigError, DetectorError, UnknownNameError, WeightsError
from duskbench.data_tools.images import read_image
from duskbench.pipeline.detectors.base import Detector
from duskbench.pipeline.detectors.onnx import DEFAULT_INPUT_SIZE, OnnxDetector
from tests.needs import need_module

need_module("onnxruntime")

MODELS = ("yolo-fastest-xl-voc", "mbv2-yolov3-nano-voc")


def make_model(
    path: Path,
    boxes: Any,
    scores: Any,
    *,
    size: int = 8,
    input_name: str = "images",
    echo: bool = False,
    kind: str = "FLOAT",
    shape: list[Any] | None = None,
) -> Path:
    """An ONNX model with constant outputs; `echo` makes the first score the mean of the red channel."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    boxes, scores = np.asarray(boxes, np.float32)[None], np.asarray(scores, np.float32)[None]
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))
        for name, value in (("boxes", boxes), ("constant", scores))
    ]
    if echo:
        starts, ends, axes = (numpy_helper.from_array(np.array([v], np.int64)) for v in (0, 1, 1))
        nodes += [
            helper.make_node("Constant", [], [name], value=value)
            for name, value in (("starts", starts), ("ends", ends), ("axis", axes))
        ]
        nodes += [
            helper.make_node("Slice", [input_name, "starts", "ends", "axis"], ["red"]),
            helper.make_node("ReduceMean", ["red"], ["mean"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Mul", ["constant", "mean"], ["scores"]),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["constant"], ["scores"]))
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info(input_name, getattr(TensorProto, kind), shape or ["n", 3, size, size])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, list(boxes.shape)),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, list(scores.shape)),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def stored_detections(reference: dict[str, Any]) -> dict[tuple[str, str], list[list[float]]]:
    stored = defaultdict(list)
    for name, rows in reference["detections"].items():
        for image, score, box in rows:
            stored[image, name].append([score, *box])
    return stored


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("part", ["exdark24_input", pytest.param("voc2007_test_subset", marks=pytest.mark.slow)])
def test_detections_equal_the_stored_ones(shared: Path, model: str, part: str) -> None:
    reference = json.loads((shared / "golden/detector_reference.json").read_text())
    stored = stored_detections(reference["models"][model][part])
    if part == "exdark24_input":
        files = {path.name: path for path in (shared / "data/exdark/ExDark").glob("*/*")}
        images = {name: files[name] for name in reference["exdark_images"]}
    else:
        tree = shared / "data/voc2007/VOCdevkit/VOC2007"
        ids = (tree / "ImageSets/Main/test.txt").read_text().split()[::8]
        images = {name: tree / f"JPEGImages/{name}.jpg" for name in ids}
    detector = OnnxDetector(shared / f"weights/detectors/{model}.onnx")
    assert detector.classes == VOC_CLASSES
    compared = 0
    for name, path in images.items():
        found = detector.detect([read_image(path)])[0]
        for class_name in reference["models"][model][part]["detections"]:
            of_class = found.labels == VOC_CLASSES.index(class_name)
            got = np.column_stack([found.scores[of_class], found.boxes_xyxy[of_class]])
            want = np.array(stored[name, class_name]).reshape(-1, 5)
            assert len(got) == len(want), (name, class_name)
            # Stored with 5 and 2 decimals, in an order that rounding can change.
            near = (np.abs(got[:, None] - want) <= (2e-5, 0.02, 0.02, 0.02, 0.02)).all(axis=2)
            assert near.any(axis=0).all(), (name, class_name)
            assert near.any(axis=1).all(), (name, class_name)
            compared += len(want)
    assert compared > 250


def test_batches_and_single_images_agree(shared: Path) -> None:
    detector = OnnxDetector(shared / f"weights/detectors/{MODELS[1]}.onnx")
    images = [read_image(path) for path in sorted((shared / "data/exdark/ExDark").glob("*/*"))[:5]]
    for one, other in zip(detector.detect(images), [detector.detect([image])[0] for image in images], strict=True):
        np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, atol=1e-3)
        np.testing.assert_array_equal(one.labels, other.labels)


def test_clips_scales_thresholds_and_suppresses_within_a_class(tmp_path: Path) -> None:
    boxes = [[-0.5, 0, 0.5, 0.5], [0, 0, 0.5, 0.45], [0.5, 0.5, 2, 2]]
    scores = [[0.9, 0.2], [0.8, 0.005], [0.01, 0.5]]
    path = make_model(tmp_path / "made.onnx", boxes, scores)
    detector = OnnxDetector(path, classes=["cat", "dog"])
    assert isinstance(detector, Detector)
    found = detector.detect([np.zeros((20, 40, 3), np.uint8)])[0]
    assert found.classes == ("cat", "dog")
    np.testing.assert_allclose(found.scores, [0.9, 0.5, 0.2, 0.01], rtol=1e-6)
    assert found.labels.tolist() == [0, 1, 1, 0]
    np.testing.assert_allclose(
        found.boxes_xyxy, [[0, 0, 20, 10], [20, 10, 40, 20], [0, 0, 20, 10], [20, 10, 40, 20]], rtol=1e-6
    )
    assert (found.boxes_xyxy.dtype, found.scores.dtype, found.labels.dtype) == (np.float32, np.float32, np.int64)


def test_arguments_change_result_and_fingerprint(tmp_path: Path) -> None:
    path = make_model(tmp_path / "made.onnx", [[0, 0, 0.5, 0.5], [0.1, 0, 0.6, 0.5]], [[0.9], [0.3]])
    image = np.zeros((8, 8, 3), np.uint8)
    settings: list[dict[str, Any]] = [
        {},
        {"nms_iou": 0.9},
        {"score_threshold": 0.95},
        {"nms_iou": 0.9, "max_per_image": 1},
    ]
    detectors = [OnnxDetector(path, classes=["cat"], **each) for each in settings]
    assert [len(each.detect([image])[0]) for each in detectors] == [1, 2, 0, 1]
    assert len({each.fingerprint for each in detectors}) == 4
    assert detectors[0].fingerprint == OnnxDetector(path, classes=["cat"]).fingerprint


def test_reads_rgb_from_zero_to_one(tmp_path: Path) -> None:
    detector = OnnxDetector(make_model(tmp_path / "made.onnx", [[0, 0, 1, 1]], [[1.0]], echo=True), classes=["red"])
    red = np.zeros((6, 9, 3), np.uint8)
    red[..., 0] = 51
    found = detector.detect([red])[0]
    np.testing.assert_allclose(found.scores, [0.2], rtol=1e-6)


def test_no_images_no_detections(tmp_path: Path) -> None:
    assert OnnxDetector(make_model(tmp_path / "made.onnx", [[0, 0, 1, 1]], [[1.0]]), classes=["cat"]).detect([]) == []


def test_class_names_come_from_a_file_beside_the_model_or_are_voc_s(tmp_path: Path) -> None:
    path = make_model(tmp_path / "made.onnx", [[0, 0, 1, 1]], [[0.5] * 20])
    assert OnnxDetector(path).classes == VOC_CLASSES
    (tmp_path / "voc_classes.txt").write_text("\n".join(VOC_CLASSES[::-1]))
    assert OnnxDetector(path).classes == VOC_CLASSES[::-1]
    (tmp_path / "made_classes.txt").write_text("cat\ndog\n")
    with pytest.raises(ConfigError, match=r"(?s)20 names.*2 from .*made_classes\.txt"):
        OnnxDetector(path)


def test_unknown_class_names_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"made_classes\.txt"):
        OnnxDetector(make_model(tmp_path / "made.onnx", [[0, 0, 1, 1]], [[0.5] * 3]))


def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not exist"):
        OnnxDetector(tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(WeightsError, match=r"(?s)not an ONNX model.*text\.onnx"):
        OnnxDetector(tmp_path / "text.onnx")
    with pytest.raises(UnknownNameError, match=r"(?s)'yolov'.*yolov8"):
        OnnxDetector(tmp_path / "text.onnx", layout="yolov")


CORNERS = [[0.1, 0.1, 0.4, 0.5], [0.5, 0.2, 1.1, 0.9]]


@pytest.mark.parametrize(
    ("boxes", "scores", "says"),
    [
        (
            [[10, 12, 30, 40], [33, 20, 69, 50]],
            [[0.9], [0.5]],
            r"not in units of its input[\s\S]*up to 69[\s\S]*divided",
        ),
        ([[0.5, 0.4, 0.2, 0.3], [0.7, 0.7, 0.1, 0.1]], [[0.9], [0.5]], r"x1 y1 x2 y2[\s\S]*100%[\s\S]*corners"),
        (CORNERS, [[-3.5], [4.0]], r"scores in \[0, 1\][\s\S]*-3\.5 to 4[\s\S]*sigmoid"),
        (CORNERS, [[np.nan], [0.5]], r"scores that are numbers[\s\S]*1 of 2 are NaN"),
        (CORNERS, [[0.5, 0.5], [0.5, 0.5]], r"fit the ONNX detector[\s\S]*2 names"),
        ([[0, 0, 1], [0, 0, 1]], [[0.5], [0.5]], r"boxes \(1, M, 4\)[\s\S]*\(1, 2, 3\)"),
        ([[0, 0, 1, 1]], [[0.5], [0.5]], r"boxes \(1, 1, 4\), scores \(1, 2, 1\)"),
    ],
)
def test_a_model_of_another_kind_is_refused_when_it_is_loaded(
    tmp_path: Path, boxes: Any, scores: Any, says: str
) -> None:
    path = make_model(tmp_path / "made.onnx", boxes, scores, size=64)
    with pytest.raises((WeightsError, ConfigError), match=says):
        OnnxDetector(path, classes=["cat"])


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("UINT8", None),
        ("FLOAT", ["n", 8, 8, 3]),
        ("FLOAT", ["n", "h", "w", 3]),
        ("FLOAT", ["n", 1, 8, 8]),
        ("FLOAT", [3, 8, 8]),
    ],
)
def test_inputs_of_another_kind_are_refused_when_it_is_loaded(tmp_path: Path, kind: str, shape: Any) -> None:
    path = make_model(tmp_path / "made.onnx", CORNERS, [[0.9], [0.5]], kind=kind, shape=shape)
    with pytest.raises(WeightsError, match=r"another signature[\s\S]*file\.py:Class"):
        OnnxDetector(path, classes=["cat"])


@pytest.mark.parametrize("kind", ["FLOAT16", "DOUBLE", "FLOAT"])
@pytest.mark.parametrize("shape", [None, [1, 3, 8, 8]])
def test_inputs_of_every_kind_of_float_and_models_for_one_image(tmp_path: Path, kind: str, shape: Any) -> None:
    path = make_model(tmp_path / "made.onnx", CORNERS, [[0.9], [0.5]], kind=kind, shape=shape)
    images = [np.zeros((8, 8, 3), np.uint8)] * (2 if shape else 1)
    for found in OnnxDetector(path, classes=["cat"]).detect(images):
        np.testing.assert_allclose(found.boxes_xyxy, np.clip(CORNERS, 0, 1) * np.float32(8), rtol=1e-6)


def test_an_unavailable_device_is_named(tmp_path: Path) -> None:
    path = make_model(tmp_path / "made.onnx", [[0, 0, 1, 1]], [[1.0]])
    with pytest.raises(ConfigError, match="'tpu'"):
        OnnxDetector(path, "tpu", classes=["cat"])


def test_absent_onnxruntime_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    path = make_model(tmp_path / "made.onnx", [[0, 0, 1, 1]], [[1.0]])
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"duskbench\[onnx\]"):
        OnnxDetector(path)


def test_nan_boxes_and_equal_class_names_are_found_at_loading(tmp_path: Path) -> None:
    file = make_model(tmp_path / "m.onnx", [[np.nan, 0, 1, 1]], [[0.9, 0.1]])
    with pytest.raises(WeightsError, match=r"finite boxes(?s:.*)1 of 4 numbers"):
        OnnxDetector(file, classes=("car", "person"))
    file = make_model(tmp_path / "n.onnx", [[0, 0, 1, 1]], [[0.9, 0.1]])
    with pytest.raises(ConfigError, match=r"not all different(?s:.*)car"):
        OnnxDetector(file, classes=("car", "car"))


def test_yolo_s_boxes_are_suppressed_before_they_are_clipped(tmp_path: Path) -> None:
    # Centres, sizes, scores: outside the picture the two hardly overlap, within it they are the same.
    rows = np.full((1, 21, 5), [[16, 16, 1, 1, 0]], np.float32)
    rows[0, 3], rows[0, 9] = [0, 16, 32, 32, 0.9], [-40, 16, 112, 32, 0.8]
    found = OnnxDetector(one_output(tmp_path / "made.onnx", rows.transpose(0, 2, 1)), classes=["cat"])
    [detections] = found.detect([np.zeros((32, 32, 3), np.uint8)])
    np.testing.assert_allclose(detections.boxes_xyxy, [[0, 0, 16, 32]] * 2)


def test_a_letterboxed_picture_is_mapped_back_by_each_side_s_own_scale(tmp_path: Path) -> None:
    # 50 x 33 becomes 32 x 21 within 32 x 32, 5 pixels below the top.
    rows = np.full((1, 21, 5), [[16, 16, 1, 1, 0]], np.float32)
    rows[0, 3] = [16, 5 + 10.5, 32, 21, 0.9]
    found = OnnxDetector(one_output(tmp_path / "made.onnx", rows.transpose(0, 2, 1)), classes=["cat"])
    assert found.layout == "yolov8"
    np.testing.assert_allclose(found.detect([np.zeros((33, 50, 3), np.uint8)])[0].boxes_xyxy, [[0, 0, 50, 33]])


@pytest.mark.parametrize(
    ("shape", "value", "says"),
    [
        (
            (1, 21, 21, 2),
            0.5,
            r"in no layout that is known[\s\S]*yolov8[\s\S]*output \(1, 21, 21, 2\)[\s\S]*layout='yolov8'",
        ),
        ((1, 100, 9), 30.0, r"in no layout that is known"),
        ((1, 6, 21), 0.01, r"not in pixels of its input"),
        ((1, 6, 21), 3.0, r"scores in \[0, 1\][\s\S]*sigmoid"),
    ],
)
def test_outputs_of_no_layout_are_refused(tmp_path: Path, shape: tuple[int, ...], value: float, says: str) -> None:
    path = one_output(tmp_path / "made.onnx", np.full(shape, value, np.float32), names="{0: 'cat', 1: 'dog'}")
    with pytest.raises((WeightsError, ConfigError), match=says):
        OnnxDetector(path)


def test_names_and_size_are_read_from_ultralytics_metadata(tmp_path: Path) -> None:
    path = one_output(
        tmp_path / "made.onnx",
        np.full((1, 6, 42), 0.9, np.float32),
        sides=("h", "w"),
        names="{0: 'cat', 1: 'dog'}",
        imgsz="[32, 64]",
    )
    detector = OnnxDetector(path)
    assert (detector.classes, detector.size, detector.layout) == (("cat", "dog"), (64, 32), "yolov8")
    (tmp_path / "made_classes.txt").write_text("dog\ncat\n")
    assert OnnxDetector(path).classes == ("dog", "cat")
    three = one_output(tmp_path / "three.onnx", np.full((1, 100, 7), 0.5, np.float32), names="['cat', 'dog']")
    with pytest.raises(ConfigError, match=r"3 names[\s\S]*2 from its metadata"):
        OnnxDetector(three)


@pytest.mark.parametrize("said", ["[64]", "[64, 64, 3]", "['64', '64']", "64"])
def test_another_size_than_two_numbers_is_not_read(tmp_path: Path, said: str) -> None:
    rows = np.repeat(np.array([9, 9, 9, 9, 0.5, 0.9], np.float32)[None, :, None], 8400, axis=2)
    path = one_output(tmp_path / "made.onnx", rows, ("h", "w"), names="{0: 'cat', 1: 'dog'}", imgsz=said)
    assert OnnxDetector(path).size == (DEFAULT_INPUT_SIZE, DEFAULT_INPUT_SIZE)


def rows_of(*rows: list[float], more: int = 0) -> np.ndarray:
    """(1, K, C), and as many rows of zeros."""
    return np.array([[*rows, *[[0.0] * len(rows[0])] * more]], np.float32)


PIXELS, SHARES, ELSEWHERE = [4, 8, 20, 24], [0.1, 0.2, 0.6, 0.7], [0.7, 0.1, 0.9, 0.4]


@pytest.mark.parametrize("rows", [rows_of([*SHARES, 0.9, 1], [*ELSEWHERE, 0.8, 0]), rows_of([*ELSEWHERE, 0.9, 1])])
def test_corners_from_0_to_1_are_not_taken_for_centres(tmp_path: Path, rows: np.ndarray) -> None:
    detector = OnnxDetector(one_output(tmp_path / "made.onnx", rows), classes=["cat", "dog"])
    assert detector.layout == "shares_nms"
    [found] = detector.detect([np.zeros((100, 200, 3), np.uint8)])
    np.testing.assert_allclose(found.boxes_xyxy, rows[0, :, :4] * [200, 100, 200, 100], rtol=1e-5)


@pytest.mark.parametrize(
    "output",
    [
        # Corners and best score, without a class; boxes that can be read in two ways; zeros, of which nothing is known.
        rows_of([*SHARES, 0.9], [*ELSEWHERE, 0.8]),
        rows_of([0.3, 0.3, 0.4, 0.5, 0.9, 1]),
        np.zeros((1, 100, 7), np.float32),
        # Score and class, in either order.
        np.array([[0, *PIXELS, 1, 1]], np.float32),
    ],
)
def test_a_layout_is_not_guessed_where_two_fit(tmp_path: Path, output: np.ndarray) -> None:
    with pytest.raises(WeightsError, match="in no layout that is known"):
        OnnxDetector(one_output(tmp_path / "made.onnx", output), classes=["cat", "dog"])


@pytest.mark.parametrize("layout", ["yolo_nms", "yolov7_nms"])
def test_scores_are_no_class_numbers(tmp_path: Path, layout: str) -> None:
    rows = rows_of([*PIXELS, 1, 0.9]) if layout == "yolo_nms" else np.array([[0, *PIXELS, 0.9, 1]], np.float32)
    with pytest.raises(WeightsError, match="whole numbers for classes"):
        OnnxDetector(one_output(tmp_path / "made.onnx", rows), layout=layout, classes=["cat", "dog"])


@pytest.mark.parametrize("layout", ["yolo_nms", "rtdetr_boxes"])
def test_shares_where_pixels_belong_are_refused(tmp_path: Path, layout: str) -> None:
    outputs = (
        {"output": rows_of([*SHARES, 0.9, 1])}
        if layout == "yolo_nms"
        else {"labels": np.array([[1]]), "boxes": rows_of(SHARES), "scores": np.array([[0.9]], np.float32)}
    )
    with pytest.raises(WeightsError, match="not in pixels of its input"):
        OnnxDetector(constants(tmp_path / "made.onnx", outputs), layout=layout, classes=["cat", "dog"])


def test_shares_that_noise_does_not_show_are_refused_at_the_first_image(tmp_path: Path) -> None:
    output = rows_of([0, 0, 0, 0, 0, 0])
    path = one_output(tmp_path / "made.onnx", output)
    detector = OnnxDetector(path, classes=["cat", "dog"])
    assert detector.layout == "yolo_nms"
    detector._outputs = lambda group: {"output": rows_of([*SHARES, 0.9, 1])}  # type: ignore[method-assign]
    with pytest.raises(DetectorError, match="not in pixels of its input"):
        detector.detect([np.zeros((32, 32, 3), np.uint8)])


def test_a_softmax_with_a_class_for_nothing_is_not_read_by_sigmoids(tmp_path: Path) -> None:
    logits = np.zeros((1, 20, 3), np.float32)
    boxes = np.full((1, 20, 4), 0.5, np.float32)
    path = constants(tmp_path / "rtdetr.onnx", {"logits": logits, "pred_boxes": boxes})
    assert OnnxDetector(path, classes=["cat", "dog", "car"]).layout == "rtdetr_logits"
    logits[..., 2] = 9
    with pytest.raises(WeightsError, match="in no layout that is known"):
        OnnxDetector(constants(tmp_path / "detr.onnx", {"logits": logits, "pred_boxes": boxes}))


@pytest.mark.parametrize(("n_classes", "last"), [(1, -3.0), (3, -1.0)])
def test_a_last_class_that_is_the_likeliest_is_no_softmax(tmp_path: Path, n_classes: int, last: float) -> None:
    """RT-DETR of one class, or of one that is nearly everything."""
    logits = np.full((1, 20, n_classes), -4, np.float32)
    logits[..., -1] = last
    outputs = {"logits": logits, "pred_boxes": np.full((1, 20, 4), 0.5, np.float32)}
    detector = OnnxDetector(constants(tmp_path / "made.onnx", outputs), classes=["cat", "dog", "car"][-n_classes:])
    assert detector.layout == "rtdetr_logits"


@pytest.mark.parametrize("name", ["N/A", "no-object", "__background__"])
def test_softmax_with_a_name_for_nothing(tmp_path: Path, name: str) -> None:
    logits = np.array([[[8, 0, 0], [0, 7, 0], [3, 1, 9]]], np.float32)
    boxes = np.array([[[0.5, 0.5, 0.2, 0.2], [0.3, 0.3, 0.2, 0.2], [0.5, 0.5, 0.9, 0.9]]], np.float32)
    path = constants(tmp_path / "made.onnx", {"logits": logits, "pred_boxes": boxes})
    with pytest.raises(WeightsError, match=r"real classes alone[\s\S]*layout='detr_logits'"):
        OnnxDetector(path, classes=["cat", "dog", name])
    for classes in (["cat", "dog"], ["cat", "dog", name]):
        detector = OnnxDetector(path, layout="detr_logits", classes=classes)
        assert detector.classes == ("cat", "dog")
        [found] = detector.detect([np.zeros((32, 32, 3), np.uint8)])
        # The third row is nothing with 0.997.
        assert (found.labels[:2].tolist(), len(found)) == ([0, 1], 2)
        np.testing.assert_allclose(found.scores, np.exp([8, 7]) / (np.exp([8, 7]) + 2), rtol=1e-5)


@pytest.mark.parametrize("columns", [6, 8])
def test_boxes_of_noise_may_reach_far_beyond_the_picture(tmp_path: Path, columns: int) -> None:
    rows = np.random.default_rng(0).random((1, 300, columns)).astype(np.float32)
    if columns == 6:
        rows[..., 5] = np.arange(300) % 2
    detector = OnnxDetector(one_output(tmp_path / "made.onnx", rows), classes=["a", "b", "c", "d"][: columns - 4])
    assert detector.layout == ("rtdetr_labelled" if columns == 6 else "rtdetr")


def test_a_small_box_in_the_corner_is_in_pixels_once_another_lay_further_out(tmp_path: Path) -> None:
    path = one_output(tmp_path / "made.onnx", rows_of([*PIXELS, 0.9, 1]))
    detector = OnnxDetector(path, layout="yolo_nms", classes=["cat", "dog"])
    detector._outputs = lambda group: {"output": rows_of([0, 0, 1.5, 1.5, 0.02, 1])}  # type: ignore[method-assign]
    assert len(detector.detect([np.zeros((32, 32, 3), np.uint8)])[0]) == 1


def test_yolo_nas_has_the_score_before_the_class(tmp_path: Path) -> None:
    rows = np.array([[0, *PIXELS, 0.9, 1], [0, *PIXELS, 0.8, 0]], np.float32)
    detector = OnnxDetector(one_output(tmp_path / "made.onnx", rows), classes=["cat", "dog"])
    [found] = detector.detect([np.zeros((32, 32, 3), np.uint8)])
    assert (detector.layout, found.labels.tolist()) == ("yolo_nas", [1, 0])
    np.testing.assert_allclose(found.scores, [0.9, 0.8])
    np.testing.assert_allclose(found.boxes_xyxy, [PIXELS, PIXELS])


def test_two_outputs_of_rtdetr_are_alike_and_not_apart(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).random((1, 100, 6)).astype(np.float32)
    path = constants(tmp_path / "made.onnx", {"first": rows, "second": rows})
    for layout in (None, "rtdetr"):
        with pytest.raises(ConfigError, match="laid out alike"):
            OnnxDetector(path, layout=layout, classes=["cat", "dog"])
    assert OnnxDetector(path, output="second", classes=["cat", "dog"]).layout == "rtdetr"


def test_of_outputs_that_are_alike_the_user_says_which(tmp_path: Path) -> None:
    one, other = yolov8_output(2), yolov8_output(2)
    other[:, 5] = 0.7
    path = constants(tmp_path / "made.onnx", {"first": one, "second": other})
    with pytest.raises(ConfigError, match=r"laid out alike[\s\S]*one of first, second"):
        OnnxDetector(path, classes=["cat", "dog"])
    detector = OnnxDetector(path, output="second", classes=["cat", "dog"])
    [found] = detector.detect([np.zeros((32, 32, 3), np.uint8)])
    assert found.scores.max() == np.float32(0.7)
    assert detector.fingerprint != OnnxDetector(path, output="first", classes=["cat", "dog"]).fingerprint
    with pytest.raises(UnknownNameError, match="third"):
        OnnxDetector(path, output="third")


def test_boxes_and_scores_apart_are_no_rows_of_both(tmp_path: Path) -> None:
    scores = np.full((1, 100, 20), 0.5, np.float32)
    boxes = np.full((1, 100, 4), 0.5, np.float32)
    with pytest.raises(WeightsError, match="in no layout that is known"):
        OnnxDetector(constants(tmp_path / "made.onnx", {"cls": scores, "reg": boxes}))


@pytest.mark.parametrize(
    "settings",
    [
        {"score_threshold": 50},
        {"score_threshold": "0.5"},
        {"score_threshold": True},
        {"nms_iou": 45},
        {"nms_iou": -1},
        {"max_per_image": -1},
        {"max_per_image": 0},
        {"max_per_image": 1.5},
    ],
)
def test_settings_out_of_range_are_refused_at_loading(tmp_path: Path, settings: dict[str, Any]) -> None:
    path = make_model(tmp_path / "m.onnx", [[0, 0, 1, 1]], [[0.9, 0.1]])
    with pytest.raises(ConfigError, match=next(iter(settings))):
        OnnxDetector(path, classes=("car", "person"), **settings)


@pytest.mark.parametrize("names", ["c0,c1", '["c0", null]', "20"])
def test_names_that_cannot_be_read_are_no_reason_to_guess(tmp_path: Path, names: str) -> None:
    path = one_output(tmp_path / "made.onnx", yolov8_output(20), names=names)
    with pytest.raises(ConfigError, match="cannot be read"):
        OnnxDetector(path)


@pytest.mark.parametrize("key", ["classes", "labels"])
def test_a_number_of_classes_is_no_name(tmp_path: Path, key: str) -> None:
    assert OnnxDetector(one_output(tmp_path / "made.onnx", yolov8_output(20), **{key: "20"})).classes == VOC_CLASSES


@pytest.mark.parametrize("key", ["names", "class_names", "classes"])
def test_names_in_json_and_under_other_keys(tmp_path: Path, key: str) -> None:
    path = one_output(tmp_path / "made.onnx", yolov8_output(2), **{key: '{"0": "cat", "1": "dog"}'})
    assert OnnxDetector(path).classes == ("cat", "dog")


def yolov8_output(n_classes: int) -> np.ndarray:
    """21 boxes of 16 x 16 pixels that are half of everything."""
    output = np.full((1, 4 + n_classes, 21), 0.5, np.float32)
    output[:, :4] = 16
    return output


def test_names_that_are_numbers(tmp_path: Path) -> None:
    assert OnnxDetector(one_output(tmp_path / "m.onnx", yolov8_output(2), names="{0: 7, 1: 9}")).classes == ("7", "9")


@pytest.mark.parametrize("names", ["{'1': 'dog', '0': 'cat'}", "{1: 'dog', 0: 'cat'}", "('cat', 'dog')"])
def test_names_however_the_metadata_number_them(tmp_path: Path, names: str) -> None:
    path = one_output(tmp_path / "made.onnx", yolov8_output(2), names=names)
    assert OnnxDetector(path).classes == ("cat", "dog")


@pytest.mark.parametrize("first", [1, 3])
def test_names_with_other_numbers_are_no_reason_to_guess(tmp_path: Path, first: int) -> None:
    """Twenty of them were taken for VOC's."""
    names = repr({first + number: f"thing {number}" for number in range(20)})
    path = one_output(tmp_path / "made.onnx", yolov8_output(20), names=names)
    with pytest.raises(ConfigError, match=r"not numbered from 0[\s\S]*0 to 19"):
        OnnxDetector(path)
    given = [f"thing {number}" for number in range(20)]
    assert OnnxDetector(path, classes=given).classes == tuple(given)


def one_output(path: Path, output: np.ndarray, sides: tuple[Any, Any] = (32, 32), **metadata: str) -> Path:
    """An ONNX model that returns the same for every picture."""
    return constants(path, {"output": output}, sides, **metadata)


def constants(path: Path, outputs: dict[str, np.ndarray], sides: tuple[Any, Any] = (32, 32), **metadata: str) -> Path:
    """The same with several outputs."""
    import onnx
    from onnx import helper, numpy_helper
    from onnx.helper import np_dtype_to_tensor_dtype as kind

    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], [name], value=numpy_helper.from_array(each))
            for name, each in outputs.items()
        ],
        "made",
        [helper.make_tensor_value_info("images", kind(np.dtype(np.float32)), [1, 3, *sides])],
        [helper.make_tensor_value_info(name, kind(each.dtype), each.shape) for name, each in outputs.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def nan_when_bright(path: Path, output: np.ndarray, nan: tuple[Any, ...]) -> Path:
    """An ONNX model that returns the same for every picture, but for NaN at one place where the picture is white."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    bad = output.copy()
    bad[nan] = np.nan
    constants = {"good": output, "bad": bad, "limit": np.array(0.9, np.float32)}
    graph = helper.make_graph(
        [
            *(helper.make_node("Constant", [], [n], value=numpy_helper.from_array(v)) for n, v in constants.items()),
            helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
            helper.make_node("Less", ["mean", "limit"], ["dark"]),
            helper.make_node("Where", ["dark", "good", "bad"], ["output"]),
        ],
        "made",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, list(output.shape))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


# One box in the middle: with suppression left to the caller, and with it inside.
_YOLOV8 = np.zeros((1, 6, 21), np.float32)
_YOLOV8[0, :5, 0] = 16, 16, 8, 8, 0.9
_YOLO_NMS = np.zeros((1, 3, 6), np.float32)
_YOLO_NMS[0, 0] = 12, 12, 20, 20, 0.9, 0


@pytest.mark.parametrize(
    ("output", "nan", "says"),
    [
        (_YOLOV8, (0, 4, 0), r"returned NaN[\s\S]*1 of 42 are NaN"),
        (_YOLO_NMS, (0, 0, 4), r"returned NaN[\s\S]*1 of 1 are NaN"),
        (_YOLO_NMS, (0, 0), r"returned NaN[\s\S]*1 of 1 are NaN"),
        (_YOLO_NMS, (0, 0, 5), "another shape"),
    ],
)
def test_nan_is_not_nothing_found(tmp_path: Path, output: np.ndarray, nan: tuple[Any, ...], says: str) -> None:
    detector = OnnxDetector(nan_when_bright(tmp_path / "made.onnx", output, nan), classes=["car", "dog"])
    [found] = detector.detect([np.full((32, 32, 3), 100, np.uint8)])
    assert found.scores.tolist() == pytest.approx([0.9])
    with pytest.raises(DetectorError, match=says):
        detector.detect([np.full((32, 32, 3), 255, np.uint8)])
