"""What the rest of the project knows of an image in a data set, whatever layout it came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class ObjectAnnotation:
    """One ground-truth object.

    Attributes:
        name: Class name in VOC's spelling (`person`, `diningtable`); ExDark's Cup is `cup`.
        box_xyxy: x1, y1, x2, y2 in absolute pixels, 0-based, end-exclusive: a box over the whole image is 0, 0, W, H.
        difficult: VOC's flag; such an object counts neither as found nor as missed.
        truncated: VOC's flag, or None where the file does not say.
        pose: VOC's field, or None where the file does not say.
    """

    name: str
    box_xyxy: tuple[float, float, float, float]
    difficult: bool = False
    truncated: bool | None = None
    pose: str | None = None


@dataclass(frozen=True)
class ImageRecord:
    """One image of a data set with its annotation.

    Attributes:
        id: File name without ending; unique in its data set.
        path: The image file. It need not exist: the reader of pixels reports that.
        objects: Ground truth, or None where the data set has no annotation (a plain folder).
        split: `train`, `val`, `test`, or None.
        lighting: One of `classes.LIGHTING_TYPES`, or None.
        indoor: True indoors, False outdoors, None where the data set does not say.
        group: Sub-set it belongs to: the class folder in ExDark, the first folder below the root in a plain folder.
    """

    id: str
    path: Path
    objects: tuple[ObjectAnnotation, ...] | None = None
    split: str | None = None
    lighting: str | None = None
    indoor: bool | None = None
    group: str | None = None


class Dataset(Protocol):
    """An ordered set of images. Annotations are parsed when asked for, so memory does not grow with the set."""

    name: str
    root: Path
    ids: list[str]

    def record(self, image_id: str) -> ImageRecord:
        """Parse and return one image's record."""
        ...
