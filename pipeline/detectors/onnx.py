"""A detector exported to ONNX as boxes and scores, before thresholding and non-maximum suppression.

Signature of the model: input `images` (N, 3, H, W), float32, float16 or float64, RGB in [0, 1], plain resize, N free or
1; outputs `boxes` (N, M, 4) x1 y1 x2 y2 in units of the input (0 to 1, not clipped) and `scores` (N, M, C) in [0, 1],
one per class. A test picture is run when the model is loaded, so that another signature is found before the first
image is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.data_tools.classes import VOC_CLASSES
from duskbench.data_tools.errors import ConfigError, DetectorError, WeightsError
from duskbench.data_tools.fingerprint import fingerprint, identity
from duskbench.data_tools.ids import read_names
from duskbench.pipeline.detectors.base import Detections
from duskbench.pipeline.onnx_session import model_hashes, open_session

# Of a model whose input has a dynamic size; every fixed size is read from the model.
DEFAULT_INPUT_SIZE = 320
_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
# Boxes may reach beyond the picture, which is 1 wide and high; in pixels half of them would lie further out than this.
_FARTHEST_CENTRE = 2.0
# Boxes of candidates that never count may be turned around by rounding, but not so many.
_MOST_REVERSED = 0.1
_LONGEST_MESSAGE = 500


class OnnxDetector:
    """Runs a detector in onnxruntime (extra `onnx`), with as many threads as torch has.

    Args:
        path: The `.onnx` file.
        device: `cpu`, `cuda` or `cuda:N`; the latter needs onnxruntime-gpu.
        score_threshold: Lowest class score that makes a candidate; one box can be a candidate of several classes.
        nms_iou: Within a class, a candidate that overlaps a better one by more than this goes.
        max_per_image: Best detections kept, or None for all.
        classes: Class names. None: the lines of `<model name>_classes.txt`, `classes.txt` or `voc_classes.txt` beside
            the model, else the VOC classes if the model has 20.

    Raises:
        WeightsError: No such file, or not an ONNX model of this signature: names, types, shapes, units.
        ConfigError: onnxruntime is not installed or lacks the device, or the class names do not fit the model.
    """

    def __init__(
        self,
        path: str | Path,
        device: str = "cpu",
        *,
        score_threshold: float = 0.01,
        nms_iou: float = 0.45,
        max_per_image: int | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.path = Path(path)
        self.name = self.path.stem
        self.score_threshold, self.nms_iou, self.max_per_image = score_threshold, nms_iou, max_per_image
        self.session = open_session(self.path, device)
        self.size = _input_size(self.session, self.path)
        [given] = self.session.get_inputs()
        self._dtype, self._one_by_one = _DTYPES[given.type], given.shape[0] == 1
        self.classes = _class_names(self.path, _class_count(self.session), classes)
        self._try()
        arguments = {
            "classes": self.classes,
            "score_threshold": score_threshold,
            "nms_iou": nms_iou,
            "max_per_image": max_per_image,
        }
        self.weights = model_hashes(self.path)
        self.identity = identity(arguments, self.weights)
        self.fingerprint = fingerprint(type(self), arguments, self.weights)

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Detect in a batch of images.

        Args:
            images: (H, W, 3) uint8 RGB each, of any sizes.

        Returns:
            One `Detections` for each image, boxes clipped to it.

        Raises:
            DetectorError: The model failed or returned something of another shape.
        """
        if not images:
            return []
        boxes, scores = self._run([_to_input(image, self.size) for image in images])
        return [self._select(boxes[i], scores[i], image.shape) for i, image in enumerate(images)]

    def _run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (N, M, 4) and scores (N, M, C), float32."""
        groups = [[each] for each in inputs] if self._one_by_one else [inputs]
        try:
            outputs = [
                self.session.run(["boxes", "scores"], {"images": np.stack(group).astype(self._dtype)})
                for group in groups
            ]
        except Exception as error:
            message = str(error)[:_LONGEST_MESSAGE]
            raise DetectorError("The ONNX detector failed.", where=self.path, got=message) from error
        boxes, scores = (np.concatenate(each).astype(np.float32) for each in zip(*outputs, strict=True))
        if boxes.shape != (*scores.shape[:2], 4) or scores.shape[::2] != (len(inputs), len(self.classes)):
            raise DetectorError(
                "The ONNX detector's outputs have another shape.",
                where=self.path,
                expected=f"boxes ({len(inputs)}, M, 4) and scores ({len(inputs)}, M, {len(self.classes)})",
                got=f"{boxes.shape} and {scores.shape}",
            )
        return boxes, scores

    def _try(self) -> None:
        """Run the model on noise: what is wrong with it as a whole is found now and not image by image."""
        width, height = self.size
        noise = np.random.default_rng(0).random((3, height, width), dtype=np.float32)
        what = "The ONNX model is not such a detector."
        try:
            boxes, scores = self._run([noise])
        except DetectorError as error:
            raise WeightsError(what, where=self.path, expected=error.expected, got=error.got) from error
        # Written so that NaN is refused as well.
        if not (scores.min(initial=0) >= 0 and scores.max(initial=0) <= 1 + 1e-5):
            raise WeightsError(
                what,
                where=self.path,
                expected="scores in [0, 1]",
                got=f"{scores.min():g} to {scores.max():g}",
                todo="export it with its sigmoid or softmax",
            )
        if not np.isfinite(boxes).all():
            got = f"{int((~np.isfinite(boxes)).sum())} of {boxes.size} numbers not finite"
            raise WeightsError(what, where=self.path, expected="finite boxes", got=got)
        self._check_units(boxes[0], WeightsError)
        reversed_ = (boxes[..., 2:] < boxes[..., :2]).any(axis=-1)
        if reversed_.size and reversed_.mean() > _MOST_REVERSED:
            raise WeightsError(
                what,
                where=self.path,
                expected="boxes as x1 y1 x2 y2",
                got=f"x2 < x1 or y2 < y1 in {reversed_.mean():.0%} of them, as {boxes[reversed_][0].tolist()}",
                todo="export corners; from centre and size they are x - w / 2, y - h / 2, x + w / 2, y + h / 2",
            )

    def _check_units(self, boxes: np.ndarray, kind: type[DetectorError | WeightsError]) -> None:
        centres = np.abs(boxes[:, :2] + boxes[:, 2:]) / 2
        if len(boxes) and np.median(centres.max(axis=1)) > _FARTHEST_CENTRE:
            raise kind(
                "The ONNX detector's boxes are not in units of its input.",
                where=self.path,
                expected="0 to 1 from one side of the picture to the other",
                got=f"values up to {np.nanmax(np.abs(boxes)):g}",
                todo="export them divided by the input's width and height",
            )

    def _select(self, boxes: np.ndarray, scores: np.ndarray, shape: tuple[int, ...]) -> Detections:
        import torch

        from duskbench.pipeline.nms import nms_per_class

        height, width = shape[:2]
        rows, labels = np.nonzero(scores >= self.score_threshold)
        self._check_units(boxes[rows], DetectorError)
        candidates = np.clip(boxes[rows], 0, 1) * np.array([width, height, width, height], np.float32)
        values = scores[rows, labels]
        keep = nms_per_class(
            torch.from_numpy(candidates), torch.from_numpy(values), torch.from_numpy(labels), self.nms_iou
        ).numpy()[: self.max_per_image]
        return Detections(
            candidates[keep].astype(np.float32), values[keep].astype(np.float32), labels[keep], self.classes
        )


def _to_input(image_rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import cv2

    resized = cv2.resize(image_rgb, size, interpolation=cv2.INTER_LINEAR)
    return resized.transpose(2, 0, 1).astype(np.float32) / np.float32(255)


def _input_size(session: Any, path: Path) -> tuple[int, int]:
    """Width and height of the model's input, after a check of its signature."""
    inputs = {each.name: each.shape for each in session.get_inputs()}
    kinds = {each.type for each in session.get_inputs()}
    outputs = {each.name for each in session.get_outputs()}
    named = set(inputs) == {"images"} and {"boxes", "scores"} <= outputs
    channels = inputs["images"][1] if named and len(inputs["images"]) == 4 else 0
    if not kinds <= set(_DTYPES) or (isinstance(channels, int) and channels != 3):
        raise WeightsError(
            "The ONNX model has another signature.",
            where=path,
            expected="input images (N, 3, H, W) of floats; outputs boxes (N, M, 4) and scores (N, M, C)",
            got=f"inputs {inputs} of {', '.join(sorted(kinds))}; outputs {sorted(outputs)}",
            todo="export it so, with thresholding and non-maximum suppression left out; or wrap it in a class of your "
            "own and name that: file.py:Class",
        )
    height, width = (side if isinstance(side, int) else DEFAULT_INPUT_SIZE for side in inputs["images"][2:])
    return width, height


def _class_count(session: Any) -> int | None:
    """Number of classes the model states for its scores, or None where it leaves it open."""
    shape = next(each.shape for each in session.get_outputs() if each.name == "scores")
    return shape[-1] if shape and isinstance(shape[-1], int) else None


def _class_names(path: Path, count: int | None, given: Sequence[str] | None) -> tuple[str, ...]:
    beside = [path.with_name(name) for name in (f"{path.stem}_classes.txt", "classes.txt", "voc_classes.txt")]
    found = next((file for file in beside if file.is_file()), None)
    if given is not None:
        names, origin = tuple(given), "the argument `classes`"
    elif found is not None:
        names, origin = tuple(read_names(found)), str(found)
    elif count == len(VOC_CLASSES):
        names, origin = VOC_CLASSES, "VOC"
    else:
        raise ConfigError(
            "The class names of the ONNX detector are not known.",
            where=path,
            expected=f"{count or 'its'} class names",
            got=f"none of {', '.join(file.name for file in beside)} beside it",
            todo=f"write one name a line to {beside[0]}, or pass `classes`",
        )
    if len(set(names)) < len(names):
        twice = ", ".join(sorted(name for name in set(names) if names.count(name) > 1))
        raise ConfigError("The class names of the ONNX detector are not all different.", where=origin, got=twice)
    if count is not None and len(names) != count:
        raise ConfigError(
            "The class names do not fit the ONNX detector.",
            where=path,
            expected=f"{count} names",
            got=f"{len(names)} from {origin}",
        )
    return names
