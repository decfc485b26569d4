"""Where sprites lie, who hides whom, and the boxes an annotator would draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from duskbench.data_tools.miniature.raster import Sprite
from duskbench.data_tools.records import ObjectAnnotation

_LEAST_VISIBLE = 0.5


@dataclass
class Placed:
    """A sprite at a place: class (None: clutter), left and top in pixels, and depth (the larger, the nearer)."""

    name: str | None
    sprite: Sprite
    x: int
    y: int
    depth: float


def owner_map(placed: list[Placed], size: tuple[int, int]) -> tuple[np.ndarray, list[int]]:
    """Which item is seen at each pixel (0: none, i + 1: item i), and each item's own area with what lies outside."""
    owners = np.zeros((size[1], size[0]), np.uint8)
    areas = [0] * len(placed)
    for index in sorted(range(len(placed)), key=lambda i: placed[i].depth):
        mask, region = _clip(placed[index], size)
        areas[index] = int((placed[index].sprite.rgba[:, :, 3] > 127).sum())
        owners[region][mask] = index + 1
    return owners, areas


def _clip(item: Placed, size: tuple[int, int]) -> tuple[np.ndarray, tuple[slice, slice]]:
    rows, columns, inside = overlap(item, size)
    return item.sprite.rgba[inside][:, :, 3] > 127, (rows, columns)


def overlap(item: Placed, size: tuple[int, int]) -> tuple[slice, slice, tuple[slice, slice]]:
    """Rows and columns of the picture that a sprite covers, and which part of the sprite that is."""
    high, wide = item.sprite.rgba.shape[:2]
    x0, y0 = max(0, item.x), max(0, item.y)
    x1, y1 = max(x0, min(size[0], item.x + wide)), max(y0, min(size[1], item.y + high))
    inside = (slice(y0 - item.y, y1 - item.y), slice(x0 - item.x, x1 - item.x))
    return slice(y0, y1), slice(x0, x1), inside


def fits(placed: list[Placed], size: tuple[int, int]) -> bool:
    """Whether every object keeps enough of itself in view."""
    owners, areas = owner_map(placed, size)
    seen = np.bincount(owners.ravel(), minlength=len(placed) + 1)[1:]
    for item, visible, area in zip(placed, seen, areas, strict=True):
        if item.name is not None and visible < max(_LEAST_VISIBLE * area, 90):
            return False
    return True


def annotate(item: Placed, visible: np.ndarray, area: int, size: tuple[int, int]) -> ObjectAnnotation:
    """Box what is visible of an object; `area` counts what is hidden or outside too."""
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
    share = visible.sum() / area
    high, wide = item.sprite.rgba.shape[:2]
    cut = item.x < -1 or item.y < -1 or item.x + wide > size[0] + 1 or item.y + high > size[1] + 1
    small = min(box[2] - box[0], box[3] - box[1]) < 9
    return ObjectAnnotation(
        str(item.name),
        box,
        difficult=bool(small or share < 0.55),
        truncated=bool(cut or share < 0.8),
        pose=item.sprite.pose,
    )
