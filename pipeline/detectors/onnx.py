"""A detector exported to ONNX, in one of the layouts of `duskbench.pipeline.detectors.onnx_layouts`.

Inputs: a picture (N, 3, H, W), float32, float16 or float64, RGB in [0, 1], N free or 1, under any name; RT-DETR's
`orig_target_sizes` too. A test picture is run when the model is loaded, which says how its outputs are laid out, so
that a model of no known layout is found before the first image is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.data_tools.classes import class_positions, real_classes
from duskbench.data_tools.errors import ConfigError, DetectorError, UnknownNameError, WeightsError
from duskbench.data_tools.fingerprint import fingerprint, identity
from duskbench.data_tools.settings import check_setting, is_share, is_whole
from duskbench.pipeline.detectors.base import Detections, need_images
from duskbench.pipeline.detectors.letterbox import Frame, letterbox, stretch
from duskbench.pipeline.detectors.nan_outputs import nan_found
from duskbench.pipeline.detectors.onnx_classes import class_names, metadata_value
from duskbench.pipeline.detectors.onnx_layouts import LAYOUTS, Candidates, alike, find_layout
from duskbench.pipeline.onnx_session import model_hashes, open_session

# Of a model whose input has a dynamic size and whose metadata states none.
DEFAULT_INPUT_SIZE = 640
_OWN_INPUT_SIZE = 320
_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
_TARGET_SIZES = "orig_target_sizes"
# Boxes may reach beyond the picture, which is 1 wide and high; in pixels half of them would lie further out than this.
_FARTHEST_CENTRE = 2.0
# In pixels of the input: until a box reached further, all that was found lay in the outermost corner.
_TINY = 2.0
# Boxes of candidates that never count may be turned around by rounding, but not so many.
_MOST_REVERSED = 0.1
_LONGEST_MESSAGE = 500


class OnnxDetector:
    """Runs a detector in onnxruntime (extra `onnx`), with as many threads as torch has.

    Args:
        path: The `.onnx` file.
        device: `cpu`, `cuda` or `cuda:N`; the latter needs onnxruntime-gpu.
        layout: How the outputs are laid out, a name of `LAYOUTS`; None finds it out.
        output: The one output to read, of a model with several that are alike.
        score_threshold: Lowest class score that makes a candidate; one box can be a candidate of several classes.
        nms_iou: Within a class, a candidate that overlaps a better one by more than this goes; only where the model
            leaves non-maximum suppression to its caller.
        max_per_image: Best detections kept, or None for all.
        classes: Class names in the order of the model's outputs, or `voc`, `coco`, `coco91` or `exdark`. None: the
            lines of `<model name>_classes.txt` beside the model, the `names` in its metadata, the lines of
            `classes.txt` or `voc_classes.txt` beside it, else VOC's, COCO's or COCO-91's if it has 20, 80 or 91
            outputs. Outputs named background or N/A are dropped.

    Raises:
        WeightsError: No such file, or not an ONNX model of a known layout: names, types, shapes, units.
        ConfigError: onnxruntime is not installed or lacks the device, the class names do not fit the model, several
            outputs are alike, or a threshold is out of range.
        UnknownNameError: No such layout or output.
    """

    batch_size = 1

    def __init__(
        self,
        path: str | Path,
        device: str = "cpu",
        *,
        layout: str | None = None,
        output: str | None = None,
        score_threshold: float = 0.01,
        nms_iou: float = 0.45,
        max_per_image: int | None = None,
        classes: str | Sequence[str] | None = None,
    ) -> None:
        if layout is not None and layout not in LAYOUTS:
            raise UnknownNameError("layout", layout, LAYOUTS)
        self.path = Path(path)
        of = str(self.path)
        check_setting(of, "score_threshold", score_threshold, is_share(score_threshold), "a number from 0 to 1")
        check_setting(of, "nms_iou", nms_iou, is_share(nms_iou), "a number from 0 to 1")
        some = max_per_image is None or is_whole(max_per_image, 1)
        check_setting(of, "max_per_image", max_per_image, some, "a whole number from 1, or None for all")
        self.name = self.path.stem
        self.score_threshold, self.nms_iou, self.max_per_image = score_threshold, nms_iou, max_per_image
        self.session = open_session(self.path, device)
        self._output = output
        if output is not None and output not in (names := [each.name for each in self.session.get_outputs()]):
            raise UnknownNameError("output", output, names, where=self.path)
        metadata = self.session.get_modelmeta().custom_metadata_map
        self._input, self.size = _input(self.session, metadata, self.path)
        width, height = self.size
        noise = np.random.default_rng(0).random((3, height, width), dtype=np.float32)
        self.layout = self._find_layout(noise, layout)
        self._layout = LAYOUTS[self.layout]
        self._far_seen = False
        self._one_by_one = self._input.shape[0] == 1 or self._layout.one_by_one
        self._names: tuple[str, ...] | None = None
        tried = self._try(noise)
        self._names = class_names(self.path, _class_count(tried), classes, metadata)
        if layout is None and self.layout == "rtdetr_logits" and not real_classes(self._names[-1:]):
            raise self._is_none(
                f"real classes alone, {self._layout.expects}",
                f"{self._names[-1]!r} as the last of {len(self._names)}",
                "if its scores are a softmax and it takes pictures from 0 to 1, say layout='detr_logits'",
            )
        self.classes, positions = class_positions(self._names)
        self._positions = np.array(positions)
        arguments = {
            "classes": self._names,
            "layout": self.layout,
            "score_threshold": score_threshold,
            "nms_iou": nms_iou,
            "max_per_image": max_per_image,
            **({} if output is None else {"output": output}),
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
            DetectorError: Something given is no such image, or the model failed, or returned something of another shape
                or a score that is NaN.
        """
        images = need_images(images, self.name)
        if not images:
            return []
        fit = letterbox if self._layout.letterbox else stretch
        inputs, frames = zip(*(fit(image, self.size) for image in images), strict=True)
        return [self._select(*each) for each in zip(self._run(inputs), frames, strict=True)]

    def _run(self, inputs: Sequence[np.ndarray]) -> list[Candidates]:
        """What the model makes of pictures as it wants them."""
        groups = [[each] for each in inputs] if self._one_by_one else [list(inputs)]
        return [each for group in groups for each in self._read(self._outputs(group), len(group))]

    def _outputs(self, group: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        given = {self._input.name: np.stack(group).astype(_DTYPES[self._input.type])}
        if len(self.session.get_inputs()) > 1:
            given[_TARGET_SIZES] = np.array([self.size] * len(group), np.int64)
        try:
            outputs = self.session.run(None, given)
        except Exception as error:
            message = str(error)[:_LONGEST_MESSAGE]
            raise DetectorError("The ONNX detector failed.", where=self.path, got=message) from error
        names = [each.name for each in self.session.get_outputs()]
        return {
            name: each.astype(np.float32) if each.dtype.kind == "f" else each
            for name, each in zip(names, outputs, strict=True)
            if isinstance(each, np.ndarray) and self._output in (None, name)
        }

    def _read(self, outputs: dict[str, np.ndarray], count: int) -> list[Candidates]:
        expects = self._layout.expects
        try:
            found = self._layout.read(outputs, self.size)
            self._check_numbers(found)
            fits = len(found) == count and all(self._fits(each) for each in found)
        except (ValueError, IndexError, KeyError) as error:
            fits, expects = False, str(error) if type(error) is ValueError else expects
        if not fits:
            raise DetectorError(
                "The ONNX detector's outputs have another shape.",
                where=self.path,
                expected=expects,
                got=_shapes(outputs),
            )
        return found

    def _check_numbers(self, found: list[Candidates]) -> None:
        """No threshold is below or above NaN: without this it would count as nothing found."""
        count = sum(int(np.isnan(each.scores).sum()) for each in found)
        if count:
            raise nan_found(
                self.name, "scores that are numbers", f"{count} of {sum(each.scores.size for each in found)} are NaN"
            )

    def _fits(self, found: Candidates) -> bool:
        rows, *columns = found.scores.shape
        names = self._names
        if found.boxes_xyxy.shape != (rows, 4):
            return False
        if found.labels is None:
            return len(columns) == 1 and (names is None or columns[0] == len(names))
        labels = found.labels
        return names is None or not len(labels) or (labels.min() >= 0 and labels.max() < len(names))

    def _find_layout(self, noise: np.ndarray, given: str | None) -> str:
        try:
            outputs = self._outputs([noise])
        except DetectorError as error:
            raise self._is_none(error.expected, error.got) from error
        found = given or find_layout(outputs, self.size)
        if found is None:
            known = "; ".join(f"{name}: {layout.expects}" for name, layout in LAYOUTS.items())
            raise WeightsError(
                "The ONNX model's outputs are in no layout that is known.",
                where=self.path,
                expected=known,
                got=_shapes(outputs),
                todo="say which it is, model.onnx(layout='yolov8'); or wrap the model in a class of your own and name "
                "that: file.py:Class",
            )
        if len(several := alike(outputs, self.size, found)) > 1:
            raise ConfigError(
                "Several outputs of the ONNX model are laid out alike.",
                where=self.path,
                expected=f"one of {', '.join(several)}",
                got=_shapes(outputs),
                todo="say which holds the detections: model.onnx(output='...')",
            )
        return found

    def _is_none(self, expected: str | None, got: str | None, todo: str | None = None) -> WeightsError:
        return WeightsError(
            "The ONNX model is not such a detector.", where=self.path, expected=expected, got=got, todo=todo
        )

    def _try(self, noise: np.ndarray) -> Candidates:
        """Run the model on noise: what is wrong with it as a whole is found now and not image by image."""
        try:
            [found] = self._run([noise])
        except DetectorError as error:
            raise self._is_none(error.expected, error.got) from error
        boxes, scores = found.boxes_xyxy, found.scores
        # Written so that NaN is refused as well.
        if not (scores.min(initial=0) >= 0 and scores.max(initial=0) <= 1 + 1e-5):
            raise self._is_none(
                "scores in [0, 1]",
                f"{scores.min():g} to {scores.max():g}",
                "export it with its sigmoid or softmax",
            )
        if not np.isfinite(boxes).all():
            raise self._is_none(
                "finite boxes", f"{int((~np.isfinite(boxes)).sum())} of {boxes.size} numbers not finite"
            )
        self._check_units(boxes, WeightsError)
        reversed_ = (boxes[..., 2:] < boxes[..., :2]).any(axis=-1)
        if reversed_.size and reversed_.mean() > _MOST_REVERSED:
            raise self._is_none(
                "boxes as x1 y1 x2 y2",
                f"x2 < x1 or y2 < y1 in {reversed_.mean():.0%} of them, as {boxes[reversed_][0].tolist()}",
                "export corners; from centre and size they are x - w / 2, y - h / 2, x + w / 2, y + h / 2",
            )
        return found

    def _check_units(self, boxes: np.ndarray, kind: type[DetectorError | WeightsError]) -> None:
        def other(units: str, got: str, todo: str) -> DetectorError | WeightsError:
            return kind(
                f"The ONNX detector's boxes are not in {units} of its input.",
                where=self.path,
                expected=f"layout {self.layout}, {self._layout.expects}",
                got=f"values up to {got}",
                todo=f"export them {todo}",
            )

        centres = np.abs(boxes[:, :2] + boxes[:, 2:]) / 2
        if len(boxes) and np.median(centres.max(axis=1)) > _FARTHEST_CENTRE:
            got = f"{np.nanmax(np.abs(boxes)):g} sides of the picture"
            raise other("units", got, "divided by the input's width and height")
        largest = np.abs(boxes).max(initial=0) * max(self.size)
        self._far_seen = self._far_seen or bool(largest >= _TINY)
        if self._layout.in_pixels and len(boxes) and not self._far_seen:
            raise other("pixels", f"{largest:g}", "times the input's width and height, or say another layout=")

    def _select(self, found: Candidates, frame: Frame) -> Detections:
        """Candidates above the threshold, of real classes, in pixels of the image."""
        import torch

        from duskbench.pipeline.nms import nms_per_class

        if found.labels is None:
            rows, outputs = np.nonzero(found.scores >= self.score_threshold)
            values = found.scores[rows, outputs]
        else:
            [rows] = np.nonzero(found.scores >= self.score_threshold)
            values, outputs = found.scores[rows], found.labels[rows]
        labels = self._positions[outputs]
        rows, values, labels = (each[labels >= 0] for each in (rows, values, labels))
        self._check_units(found.boxes_xyxy[rows], DetectorError)
        boxes = frame.to_image(found.boxes_xyxy[rows])
        if self._layout.clipped_first:
            boxes = frame.clip(boxes)
        if self._layout.suppress:
            given = torch.from_numpy(boxes), torch.from_numpy(values), torch.from_numpy(labels)
            keep = nms_per_class(*given, self.nms_iou).numpy()
        else:
            keep = np.argsort(-values, kind="stable")
        keep = keep[: self.max_per_image]
        return Detections(frame.clip(boxes[keep]), values[keep].astype(np.float32), labels[keep], self.classes)


def _shapes(outputs: dict[str, np.ndarray]) -> str:
    return ", ".join(f"{name} {each.shape}" for name, each in outputs.items())


def _input(session: Any, metadata: dict[str, str], path: Path) -> tuple[Any, tuple[int, int]]:
    """The input for the picture, and its width and height, after a check of what the model takes."""
    inputs = [each for each in session.get_inputs() if each.name != _TARGET_SIZES]
    shape = inputs[0].shape if len(inputs) == 1 else []
    # Where the sides are free, what is stated is the channels.
    channels = 0 if len(shape) != 4 or (shape[3] == 3 and not isinstance(shape[1], int)) else shape[1]
    if not {each.type for each in inputs} <= set(_DTYPES) or (isinstance(channels, int) and channels != 3):
        given = {each.name: (each.type, each.shape) for each in session.get_inputs()}
        raise WeightsError(
            "The ONNX model has another signature.",
            where=path,
            expected="one input (N, 3, H, W) of floats",
            got=f"inputs {given}; outputs {sorted(each.name for each in session.get_outputs())}",
            todo="export it so; or wrap it in a class of your own and name that: file.py:Class",
        )
    own = {each.name for each in session.get_outputs()} == {"boxes", "scores"}
    stated = metadata_value(metadata.get("imgsz"))
    named = isinstance(stated, list) and len(stated) == 2 and all(isinstance(each, int) for each in stated)
    default = stated if named else [_OWN_INPUT_SIZE if own else DEFAULT_INPUT_SIZE] * 2
    height, width = (side if isinstance(side, int) else usual for side, usual in zip(shape[2:], default, strict=True))
    return inputs[0], (width, height)


def _class_count(found: Candidates) -> int | None:
    """Number of classes for which the model has scores, or None where it says the best one alone."""
    return None if found.labels is not None else found.scores.shape[1]
