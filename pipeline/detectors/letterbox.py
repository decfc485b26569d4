"""Pictures as exported detectors take them, and the way back for their boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Grey of the border, as YOLO is trained with.
_GREY = 114


@dataclass(frozen=True)
class Frame:
    """Where an image lies in a detector's input.

    Attributes:
        image_size: Width and height of the image, in pixels.
        input_size: Width and height of the input, in pixels.
        offset: Column and row of the input at which the image begins.
        scale: Input pixels for an image pixel, along x and y.
    """

    image_size: tuple[int, int]
    input_size: tuple[int, int]
    offset: tuple[int, int]
    scale: tuple[float, float]

    def to_image(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) in units of the input, 0 to 1, as float32 in pixels of the image."""
        pixels = boxes_xyxy.astype(np.float64) * (self.input_size * 2)
        boxes: np.ndarray = ((pixels - self.offset * 2) / (self.scale * 2)).astype(np.float32)
        return boxes

    def clip(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) in pixels, clipped to the image."""
        clipped: np.ndarray = np.clip(boxes_xyxy, 0, np.array(self.image_size * 2, np.float32))
        return clipped


def stretch(image_rgb: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, Frame]:
    """Resize an image to the input, whatever its sides.

    Args:
        image_rgb: (H, W, 3) uint8.
        size: Width and height of the input.

    Returns:
        (3, height, width) float32 in [0, 1], and where the image lies in it.
    """
    height, width = image_rgb.shape[:2]
    frame = Frame((width, height), size, (0, 0), (size[0] / width, size[1] / height))
    return _planes(_resize(image_rgb, size)), frame


def letterbox(image_rgb: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, Frame]:
    """Scale an image into the middle of a grey input, its sides in proportion; else as `stretch`.

    Source: ultralytics, LetterBox (auto=False, scaleup=True) and scale_boxes.
    """
    height, width = image_rgb.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    # A whole number of pixels is not quite in proportion, so each side has its scale. An odd border is a pixel wider on
    # the right and below.
    left, top = ((whole - part) // 2 for whole, part in zip(size, inner, strict=True))
    canvas = np.full((size[1], size[0], 3), _GREY, np.uint8)
    canvas[top : top + inner[1], left : left + inner[0]] = _resize(image_rgb, inner)
    return _planes(canvas), Frame((width, height), size, (left, top), (inner[0] / width, inner[1] / height))


def _resize(image_rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import cv2

    return cv2.resize(image_rgb, size, interpolation=cv2.INTER_LINEAR)


def _planes(image_rgb: np.ndarray) -> np.ndarray:
    return image_rgb.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
