"""Images side by side: what several enhancers make of the same photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from duskbench.data_tools.images import image_size, read_image
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.pipeline.enhancers.base import Enhancer

CAPTION_HEIGHT = 28


def contact_sheet(
    photos: Sequence[Path],
    enhancers: Mapping[str, Enhancer],
    *,
    width: int = 240,
    progress: Progress = SILENT,
) -> np.ndarray:
    """Lay out a row for each photo and a column for each enhancer, labels above.

    Each photo is enhanced at its own size and the result is reduced to the column's width, so that what is seen is
    what a benchmark measures.

    Args:
        photos: Image files.
        enhancers: Label -> enhancer, in the order of the columns.
        width: Pixels of a column.
        progress: Where photos done are reported.

    Returns:
        (H, columns * width, 3) uint8 RGB.

    Raises:
        DataError: A photo cannot be read.
        EnhancerError: An enhancer fails on one.
    """
    blank = np.full((0, width, 3), 255, np.uint8)
    rows = [np.concatenate([captioned(label, blank) for label in enhancers], axis=1)]
    for photo in progress.track("Enhancing", photos):
        image = read_image(photo)
        cells = [_reduced(enhancer(image, image_id=photo.stem), width) for enhancer in enhancers.values()]
        rows.append(np.concatenate(cells, axis=1))
    return np.concatenate(rows, axis=0)


def sheet_size(photos: Sequence[Path], columns: int, *, width: int = 240) -> tuple[int, int]:
    """Height and width of the sheet that `contact_sheet` lays out, from the photos' headers alone."""
    rows = (_height(*image_size(photo), width) for photo in photos)
    return CAPTION_HEIGHT + sum(rows), columns * width


def captioned(caption: str, panel_rgb: np.ndarray) -> np.ndarray:
    """A white strip with a caption above a panel, (H, W, 3) uint8 RGB to (H + CAPTION_HEIGHT, W, 3)."""
    strip = np.full((CAPTION_HEIGHT, panel_rgb.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, caption, (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([strip, panel_rgb], axis=0)


def _reduced(image_rgb: np.ndarray, width: int) -> np.ndarray:
    height = _height(image_rgb.shape[1], image_rgb.shape[0], width)
    smaller = width < image_rgb.shape[1]
    return cv2.resize(image_rgb, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def _height(photo_width: int, photo_height: int, width: int) -> int:
    return max(round(photo_height * width / photo_width), 1)
