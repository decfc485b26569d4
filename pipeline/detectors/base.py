"""The contract of a detector: images in, `Detections` out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from duskbench.data_tools.errors import DetectorError


@dataclass(frozen=True)
class Detections:
    """What a detector found in one image, best score first, on arrays of its own: a detector may reuse its buffers.

    Attributes:
        boxes_xyxy: (N, 4) float32, x1 y1 x2 y2 in absolute pixels of the image given, 0-based, end-exclusive
            (a box over the whole image is 0, 0, W, H); x2 >= x1 and y2 >= y1.
        scores: (N,) float32 in [0, 1], descending.
        labels: (N,) int64, indices into `classes`.
        classes: Names of the detector's classes.

    Raises:
        DetectorError: Something is of another type, shape or dtype, out of range, not finite or not sorted.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.scores) if isinstance(self.scores, np.ndarray) else 0
        kinds = {"boxes_xyxy": ((n, 4), np.float32), "scores": ((n,), np.float32), "labels": ((n,), np.int64)}
        for name, (shape, dtype) in kinds.items():
            array = getattr(self, name)
            if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
                got = f"{array.shape} {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
                raise _broken(f"{name}: ndarray {shape} {np.dtype(dtype)}", got)
            object.__setattr__(self, name, np.array(array))
        if not (np.isfinite(self.boxes_xyxy).all() and np.isfinite(self.scores).all()):
            raise _broken("finite boxes and scores", "NaN or infinity")
        if n and not (self.labels.min() >= 0 and self.labels.max() < len(self.classes)):
            raise _broken(f"labels from 0 to {len(self.classes) - 1}", f"{self.labels.min()} to {self.labels.max()}")
        # A softmax may exceed 1 by its rounding.
        if n and not (self.scores.min() >= 0 and self.scores.max() <= 1 + 1e-5):
            raise _broken("scores in [0, 1]", f"{self.scores.min():g} to {self.scores.max():g}")
        if (np.diff(self.scores) > 0).any():
            raise _broken("the best score first", "scores that are not sorted")
        reversed_ = (self.boxes_xyxy[:, 2:] < self.boxes_xyxy[:, :2]).any(axis=1)
        if reversed_.any():
            raise _broken("boxes as x1 y1 x2 y2", f"x2 < x1 or y2 < y1: {self.boxes_xyxy[reversed_][0].tolist()}")

    def __len__(self) -> int:
        return len(self.scores)


def need_images(images: Iterable[np.ndarray], detector: str) -> list[np.ndarray]:
    """A batch as a list; an array of images is one too.

    Raises:
        DetectorError: One is no (H, W, 3) uint8 image with a pixel; in the detector's name.
    """
    given = list(images)
    for each in given:
        is_array = isinstance(each, np.ndarray)
        if not is_array or each.dtype != np.uint8 or each.ndim != 3 or each.shape[2] != 3 or each.size == 0:
            raise DetectorError(
                f"Detector {detector!r} was given something that is no image.",
                expected="(H, W, 3) uint8 RGB",
                got=f"{each.shape} {each.dtype}" if is_array else type(each).__name__,
            )
    return given


def _broken(expected: str, got: str) -> DetectorError:
    return DetectorError("A detector broke its contract.", expected=expected, got=got)


@runtime_checkable
class Detector(Protocol):
    """A frozen detector. Colour order, means, resizing and mapping back stay inside it.

    Attributes:
        name: For tables and errors.
        classes: Class names, in the order of the labels.
        fingerprint: Hash of code, arguments (thresholds, NMS) and weights; keys every stored result.
        identity: Hash of arguments and weights alone; runs with the same one are compared.
        batch_size: Images that it is best given at a time. What it finds must not depend on it.
    """

    name: str
    classes: tuple[str, ...]
    fingerprint: str
    identity: str
    batch_size: int

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Detect in a batch of (H, W, 3) uint8 RGB images, of any sizes; one `Detections` each, in order."""
        ...
