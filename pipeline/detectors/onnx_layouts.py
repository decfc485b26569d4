"""How ONNX exports of detectors lay out what they found, and how each is read.

The layout of a model is found from the names and shapes of what it returns for a test picture. Exports of YOLO see the
picture scaled into the middle of a grey field, the others see it stretched.

Source: ultralytics (YOLOv5, YOLOv8, YOLO11, YOLOv10, RT-DETR), WongKinYiu/yolov7 (end2end), lyuwenyu/RT-DETR (export of
model and postprocessor), transformers (RTDetrForObjectDetection).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Size = tuple[int, int]
Outputs = Mapping[str, np.ndarray]
# Strides of the grids that YOLO's heads predict on: the usual ones, with a finer or a coarser one, and tiny YOLOv3's.
_STRIDES: tuple[tuple[int, ...], ...] = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32))
_YOLOV5_ANCHORS = 3
# Of the boxes of a test picture, and how far a box may reach beyond it.
_NEARLY_ALL = 0.9
_BEYOND = 0.1
_MANY = 20


@dataclass(frozen=True)
class Candidates:
    """What a model returned for one picture.

    Attributes:
        boxes_xyxy: (M, 4) float32, x1 y1 x2 y2 in units of the model's input, 0 to 1 from side to side, not clipped.
        scores: (M, C) float32, one for each class; or (M,) beside labels.
        labels: (M,) int64 where the model itself chose a class for each box, or None.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    labels: np.ndarray | None = None


@dataclass(frozen=True)
class Layout:
    """One way of laying out detections.

    Attributes:
        read: From outputs by name, in their order, and width and height of the input, to one `Candidates` a picture of
            the batch; raises ValueError, saying what it expects, for outputs of other shapes.
        expects: Its outputs, for errors.
        letterbox: Whether the picture is scaled into the middle of a grey field, or else stretched.
        suppress: Whether non-maximum suppression is left to the caller.
        in_pixels: Whether the model's boxes are in pixels of its input.
        one_by_one: Whether the outputs of a batch cannot be told apart.
        clipped_first: Whether boxes are clipped to the image before suppression; YOLO's are after it, which can keep
            other boxes at the border.
    """

    read: Callable[[Outputs, Size], list[Candidates]]
    expects: str
    letterbox: bool
    suppress: bool
    in_pixels: bool
    one_by_one: bool = False
    clipped_first: bool = False


def _corners(centre_and_size: np.ndarray) -> np.ndarray:
    centre, half = centre_and_size[..., :2], centre_and_size[..., 2:4] / 2
    return np.concatenate([centre - half, centre + half], axis=-1)


def _side_lengths(size: Size) -> np.ndarray:
    return np.array([*size, *size], np.float32)


def _first(outputs: Outputs, dimensions: int) -> np.ndarray:
    first = next(iter(outputs.values()))
    if first.ndim != dimensions:
        raise ValueError(f"an output of {dimensions} dimensions")
    return first


def _boxes_and_scores(outputs: Outputs, size: Size) -> list[Candidates]:
    boxes, scores = outputs["boxes"], outputs["scores"]
    if boxes.ndim != 3 or scores.ndim != 3 or boxes.shape != (*scores.shape[:2], 4):
        raise ValueError(f"boxes ({len(boxes)}, M, 4) and scores ({len(boxes)}, M, C)")
    return [Candidates(*each) for each in zip(boxes, scores, strict=True)]


def _yolov5(outputs: Outputs, size: Size) -> list[Candidates]:
    # A score is the object's times the class's, as ultralytics multiplies them before its suppression.
    return [Candidates(_corners(each) / _side_lengths(size), each[:, 4:5] * each[:, 5:]) for each in _first(outputs, 3)]


def _yolov8(outputs: Outputs, size: Size) -> list[Candidates]:
    rows = _first(outputs, 3).transpose(0, 2, 1)
    return [Candidates(_corners(each) / _side_lengths(size), each[:, 4:]) for each in rows]


def _labelled(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> Candidates:
    # What is left of a fixed number of rows is filled up with zeros. NaN is not one of these.
    found = ~(scores <= 0)
    labels = np.where(np.isnan(labels), -1, labels)
    # Where scores stand in the place of class numbers they would all be class 0.
    if not _whole(labels):
        raise ValueError("whole numbers for classes")
    return Candidates(boxes[found], scores[found], labels[found].astype(np.int64))


def _yolo_nms(outputs: Outputs, size: Size) -> list[Candidates]:
    return [_labelled(each[:, :4] / _side_lengths(size), each[:, 4], each[:, 5]) for each in _first(outputs, 3)]


def _yolov7_nms(outputs: Outputs, size: Size) -> list[Candidates]:
    rows = _first(outputs, 2)
    return [_labelled(rows[:, 1:5] / _side_lengths(size), rows[:, 6], rows[:, 5])]


def _rtdetr(outputs: Outputs, size: Size) -> list[Candidates]:
    return [Candidates(_corners(each), each[:, 4:]) for each in _first(outputs, 3)]


def _rtdetr_labelled(outputs: Outputs, size: Size) -> list[Candidates]:
    return [_labelled(_corners(each), each[:, 4], each[:, 5]) for each in _first(outputs, 3)]


def _yolo_nas(outputs: Outputs, size: Size) -> list[Candidates]:
    rows = _first(outputs, 2)
    return [_labelled(rows[:, 1:5] / _side_lengths(size), rows[:, 5], rows[:, 6])]


def _shares_nms(outputs: Outputs, size: Size) -> list[Candidates]:
    return [_labelled(each[:, :4], each[:, 4], each[:, 5]) for each in _first(outputs, 3)]


def _rtdetr_boxes(outputs: Outputs, size: Size) -> list[Candidates]:
    boxes = outputs["boxes"] / _side_lengths(size)
    return [_labelled(*each) for each in zip(boxes, outputs["scores"], outputs["labels"], strict=True)]


def _rtdetr_logits(outputs: Outputs, size: Size) -> list[Candidates]:
    scores = 1 / (1 + np.exp(-outputs["logits"]))
    return [Candidates(_corners(box), score) for box, score in zip(outputs["pred_boxes"], scores, strict=True)]


def _detr_logits(outputs: Outputs, size: Size) -> list[Candidates]:
    logits = outputs["logits"]
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    scores = (powers / powers.sum(axis=-1, keepdims=True))[..., :-1]
    return [Candidates(_corners(box), score) for box, score in zip(outputs["pred_boxes"], scores, strict=True)]


LAYOUTS: dict[str, Layout] = {
    "boxes_scores": Layout(
        _boxes_and_scores,
        "boxes (N, M, 4) x1 y1 x2 y2 from 0 to 1, and scores (N, M, C)",
        letterbox=False,
        suppress=True,
        in_pixels=False,
        clipped_first=True,
    ),
    "yolov5": Layout(_yolov5, "(N, M, 5 + C): x y w h in pixels, object, classes", True, True, True),
    "yolov8": Layout(_yolov8, "(N, 4 + C, M): x y w h in pixels, classes", True, True, True),
    "yolo_nms": Layout(_yolo_nms, "(N, K, 6): x1 y1 x2 y2 in pixels, score, class", True, False, True),
    "yolov7_nms": Layout(
        _yolov7_nms, "(K, 7): picture, x1 y1 x2 y2 in pixels, class, score", True, False, True, one_by_one=True
    ),
    "yolo_nas": Layout(
        _yolo_nas, "(K, 7): picture, x1 y1 x2 y2 in pixels, score, class", True, False, True, one_by_one=True
    ),
    "shares_nms": Layout(
        _shares_nms,
        "(N, K, 6): x1 y1 x2 y2 from 0 to 1, score, class",
        letterbox=False,
        suppress=False,
        in_pixels=False,
    ),
    "rtdetr": Layout(_rtdetr, "(N, K, 4 + C): x y w h from 0 to 1, classes", False, False, False),
    "rtdetr_labelled": Layout(
        _rtdetr_labelled,
        "(N, K, 6): x y w h from 0 to 1, score, class",
        letterbox=False,
        suppress=False,
        in_pixels=False,
    ),
    "rtdetr_boxes": Layout(
        _rtdetr_boxes, "labels (N, K), boxes (N, K, 4) x1 y1 x2 y2 in pixels and scores (N, K)", False, False, True
    ),
    "rtdetr_logits": Layout(
        _rtdetr_logits, "logits (N, K, C) and pred_boxes (N, K, 4) x y w h from 0 to 1", False, False, False
    ),
    "detr_logits": Layout(
        _detr_logits,
        "logits (N, K, C + 1) of a softmax, the last for no object, and pred_boxes (N, K, 4) x y w h from 0 to 1",
        letterbox=False,
        suppress=False,
        in_pixels=False,
    ),
}


def find_layout(outputs: Outputs, size: Size) -> str | None:
    """The name of the layout that a model's outputs are in, or None if none is recognised.

    Args:
        outputs: What it returned for a test picture.
        size: Width and height of its input.
    """
    if {"labels", "boxes", "scores"} <= set(outputs):
        return "rtdetr_boxes"
    if {"boxes", "scores"} <= set(outputs):
        return "boxes_scores"
    if {"logits", "pred_boxes"} <= set(outputs):
        return None if _has_no_object(outputs["logits"]) else "rtdetr_logits"
    first, *others = outputs.values()
    if first.ndim == 2 and first.shape[1] == 7:
        return _layout_of_sevens(first)
    found = _layout_of_rows(first, size) if first.ndim == 3 else None
    # Boxes and scores apart, in an order that is not known.
    apart = found == "rtdetr" and any(
        each.shape[:2] == first.shape[:2] and each.shape != first.shape for each in others
    )
    return None if apart else found


def alike(outputs: Outputs, size: Size, layout: str) -> list[str]:
    """The outputs that are each in the layout by itself: which one is meant only the user knows."""
    return [name for name, each in outputs.items() if find_layout({name: each}, size) == layout]


def _layout_of_sevens(rows: np.ndarray) -> str | None:
    # Where noise shows nothing a class that is no whole number is an error later on.
    if len(rows) == 0:
        return "yolov7_nms"
    fitting = [layout for layout, column in (("yolov7_nms", 5), ("yolo_nas", 6)) if _whole(rows[:, column])]
    return fitting[0] if len(fitting) == 1 else None


def _layout_of_rows(first: np.ndarray, size: Size) -> str | None:
    cells = {sum((size[0] // stride) * (size[1] // stride) for stride in strides) for strides in _STRIDES}
    rows, columns = first.shape[1:]
    if rows in {_YOLOV5_ANCHORS * each for each in cells} and columns > 5:
        return "yolov5"
    if columns in cells and rows > 4:
        return "yolov8"
    if columns < 5:
        return None
    boxes = first[..., :4]
    if columns == 6 and _whole(first[..., 5]):
        # RT-DETR always returns all its boxes, YOLO zeros where nothing is found.
        if not boxes.any() or boxes.max() > 2:
            return "yolo_nms"
        return {"centres": "rtdetr_labelled", "corners": "shares_nms", None: None}[_reading(first)]
    is_share = boxes.any() and boxes.min() >= -1 and first.max() <= 2
    return "rtdetr" if is_share and _reading(first) == "centres" else None


def _reading(rows: np.ndarray) -> str | None:
    """What four numbers from 0 to 1 a box are, `centres` and sizes or `corners`; None where that cannot be told."""
    boxes = rows[..., :4][rows[..., :4].any(axis=-1)]
    corners = _corners(boxes)
    are_centres = ((corners >= -_BEYOND) & (corners <= 1 + _BEYOND)).all(axis=-1).mean() > _NEARLY_ALL
    are_corners = (boxes[:, 2:] >= boxes[:, :2]).all(axis=-1).mean() > _NEARLY_ALL
    # Of large boxes in the middle both are true; that many corners would not all look so. Of noise, boxes may reach far
    # beyond the picture.
    if not are_corners or (are_centres and len(boxes) >= _MANY):
        return "centres"
    return "corners" if are_corners and not are_centres else None


def _has_no_object(logits: np.ndarray) -> bool:
    """Whether the last class stands for nothing: of noise nearly every query says so, and sigmoids are small."""
    last, others = logits[..., -1], logits[..., :-1]
    return others.size > 0 and bool((last > np.maximum(others.max(axis=-1), 0)).mean() > _NEARLY_ALL)


def _whole(numbers: np.ndarray) -> bool:
    """Whether these can be numbers of classes; scores of noise cannot."""
    return bool((numbers == np.round(numbers)).all())
