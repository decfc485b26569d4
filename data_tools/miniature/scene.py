"""A scene: a backdrop with objects that suit it, in their light and shadow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from duskbench.data_tools.miniature import animals, boats, furniture, people, road_vehicles, two_wheelers
from duskbench.data_tools.miniature.backdrops import Backdrop, room
from duskbench.data_tools.miniature.clutter import clutter
from duskbench.data_tools.miniature.drawing import Drawing
from duskbench.data_tools.miniature.outdoors import park, shore, street
from duskbench.data_tools.miniature.placement import Placed, annotate, fits, overlap, owner_map
from duskbench.data_tools.miniature.raster import Sprite, rasterise
from duskbench.data_tools.records import ObjectAnnotation

ARTISTS: dict[str, Callable[[np.random.Generator], Drawing]] = {
    "bicycle": two_wheelers.bicycle,
    "boat": boats.boat,
    "bottle": furniture.bottle,
    "bus": road_vehicles.bus,
    "car": road_vehicles.car,
    "cat": animals.cat,
    "chair": furniture.chair,
    "cup": furniture.cup,
    "dog": animals.dog,
    "motorbike": two_wheelers.motorbike,
    "person": people.person,
    "diningtable": furniture.table,
}

# What is seen together, and how large it is among its neighbours (1 = a person).
_INDOORS: tuple[str, ...] = (
    "person",
    "chair",
    "diningtable",
    "bottle",
    "cat",
    "dog",
    "chair",
    "bottle",
    "diningtable",
    "bicycle",
    "motorbike",
)
_STREET: tuple[str, ...] = (
    "person",
    "car",
    "bus",
    "bicycle",
    "motorbike",
    "dog",
    "car",
    "person",
    "cat",
    "chair",
    "diningtable",
    "bottle",
)
_PARK: tuple[str, ...] = ("person", "bicycle", "dog", "cat", "motorbike", "chair", "diningtable", "car", "bottle")
_SHORE: tuple[str, ...] = ("boat", "boat", "boat")
_LAND: tuple[str, ...] = ("person", "dog", "bicycle", "chair", "bottle", "cat")
_STATURE = {
    "person": 1.0, "bicycle": 0.9, "motorbike": 1.0, "car": 1.7, "bus": 2.4, "cat": 0.55, "dog": 0.7, "chair": 0.7,
    "diningtable": 0.95, "bottle": 0.45, "cup": 0.4, "boat": 1.6,
}  # fmt: skip
_SMALLEST, _LARGEST = 28.0, 200.0


@dataclass(frozen=True)
class Scene:
    """A lit scene with what a lighting needs to know of it.

    Attributes:
        rgb: (H, W, 3) uint8, lit.
        objects: Tight boxes of what is visible.
        backdrop: Lamps, windows, screens and sky; its `glow` holds the objects' lights too.
        coverage: (H, W) float32, where objects are.
        indoor: True in a room.
    """

    rgb: np.ndarray
    objects: tuple[ObjectAnnotation, ...]
    backdrop: Backdrop
    coverage: np.ndarray
    indoor: bool


def compose(
    anchor: str,
    rng: np.random.Generator,
    size: tuple[int, int],
    *,
    indoor: bool,
    lamps: int = 0,
    windows: int = 0,
    screens: int = 0,
    cups: bool = False,
) -> Scene:
    """Put one to five objects into a place that suits them.

    Args:
        anchor: Class of the first object, which is always there.
        rng: Source of everything random.
        size: Width and height in pixels.
        indoor: A room, or else a street, park or shore.
        lamps: At least so many visible lamps.
        windows: At least so many windows (rooms only).
        screens: At least so many screens (rooms only).
        cups: Let cups stand about, which VOC does not know.
    """
    if indoor:
        backdrop, names = room(size, rng, lamps=lamps, windows=windows, screens=screens), _INDOORS
    elif anchor == "boat" or (anchor in _LAND and rng.random() < 0.12):
        backdrop, names = shore(size, rng, lamps=lamps, land=anchor != "boat"), _SHORE
    elif rng.random() < (0.85 if anchor in ("car", "bus") else 0.5):
        backdrop, names = street(size, rng, lamps=lamps), _STREET
    else:
        backdrop, names = park(size, rng, lamps=lamps), _PARK
    if cups and backdrop.shore is None:
        names = (*names, "cup", "cup")
    count = int(rng.choice([1, 2, 3, 4, 5], p=[0.22, 0.27, 0.25, 0.16, 0.1]))
    wanted: list[str | None] = [anchor, *(names[rng.integers(len(names))] for _ in range(count - 1))]
    if backdrop.shore is not None and backdrop.shore < size[1]:
        wanted[1:] = [name if rng.random() < 0.5 else _LAND[rng.integers(len(_LAND))] for name in wanted[1:]]
    wanted += [None] * int(rng.integers(0, 3)) if backdrop.shore is None else []
    # Tables before the bottles that stand on them; the anchor stays first so that nothing crowds it out.
    wanted[1:] = sorted(wanted[1:], key=lambda name: (name is None, name != "diningtable"))
    placed: list[Placed] = []
    while not placed:
        _place(placed, anchor, backdrop, rng)
    for name in wanted[1:]:
        _place(placed, name, backdrop, rng)
    return _assemble(placed, backdrop, rng, indoor)


def _place(placed: list[Placed], name: str | None, backdrop: Backdrop, rng: np.random.Generator) -> None:
    artist = clutter if name is None else ARTISTS[name]
    for attempt in range(3):
        longest = float(np.exp(rng.uniform(np.log(_SMALLEST), np.log(_LARGEST)))) * (1.0 - 0.2 * attempt)
        stand = None
        if name in ("bottle", "cup") and rng.random() < 0.75:
            stand = _stand(placed, backdrop, rng)
        if stand is not None:
            longest = float(np.clip(stand[2] * rng.uniform(0.8, 1.3), _SMALLEST, 90.0))
        ceiling = 90.0 if name is None else 150.0 if name in ("bottle", "cup") else _LARGEST
        longest = min(max(longest, _SMALLEST), ceiling)
        sprite = rasterise(artist(rng), longest, rng, mirror=bool(rng.random() < 0.5), roll=float(rng.normal(0, 0.03)))
        for _ in range(5):
            if stand is not None:
                x, foot, depth = stand[0] - sprite.rgba.shape[1] / 2, stand[1], stand[3] + 0.5
                x += rng.uniform(-4, 4)
            else:
                x, foot = _position(name, longest, sprite, backdrop, rng)
                depth = foot
            candidate = Placed(name, sprite, round(x), round(foot - sprite.foot), depth)
            if fits([*placed, candidate], backdrop.size):
                placed.append(candidate)
                return


def _stand(
    placed: list[Placed], backdrop: Backdrop, rng: np.random.Generator
) -> tuple[float, float, float, float] | None:
    """Where a small thing can stand: x, y, its height, and the depth of what carries it."""
    places = [
        (item.x + x, item.y + y, item.sprite.rgba.shape[1] * 0.26, item.depth)
        for item in placed
        for x, y in item.sprite.spots
        if item.name == "diningtable" and item.sprite.rgba.shape[1] > 90
    ]
    places += [(rng.uniform(x0 + 10, x1 - 10), y + 1, min(45.0, y * 0.6), 0.0) for x0, x1, y in backdrop.shelves]
    return places[rng.integers(len(places))] if places else None


def _position(
    name: str | None, longest: float, sprite: Sprite, backdrop: Backdrop, rng: np.random.Generator
) -> tuple[float, float]:
    """Choose the left edge and the ground row; the larger for its kind, the nearer and lower."""
    width, height = backdrop.size
    wide = sprite.rgba.shape[1]
    x = rng.uniform(-0.18 * wide, width - 0.82 * wide)
    near = np.clip(longest / (_STATURE.get(name or "", 0.8) * 110.0), 0.05, 1.6)
    low: float = height
    if backdrop.shore is not None:
        if name == "boat":
            low = backdrop.shore
        else:
            return x, rng.uniform(max(backdrop.shore + 4, height * 0.86), height * (1.0 if near < 1 else 1.1))
    foot = backdrop.horizon + 6 + (low - backdrop.horizon - 6) * min(near, 1.15) * rng.uniform(0.75, 1.1)
    # Some of what is near is cut off by the picture's edge.
    return x, float(np.clip(foot, backdrop.horizon + 4, height + (0.22 * longest if near > 0.9 else -1)))


def _assemble(placed: list[Placed], backdrop: Backdrop, rng: np.random.Generator, indoor: bool) -> Scene:
    size = backdrop.size
    picture = backdrop.rgb.astype(np.float32)
    glow = backdrop.glow.astype(np.float32)
    coverage = np.zeros(picture.shape[:2], np.float32)
    for item in sorted(placed, key=lambda i: i.depth):
        if item.name == "boat":
            _reflect(picture, item, size)
        else:
            _cast_shadow(picture, item, size)
        rows, columns, inside = overlap(item, size)
        sprite = item.sprite.rgba[inside].astype(np.float32)
        clear = 1 - sprite[:, :, 3:] / 255
        picture[rows, columns] = picture[rows, columns] * clear + sprite[:, :, :3]
        glow[rows, columns] = glow[rows, columns] * clear[:, :, 0] + item.sprite.glow[inside]
        sky = backdrop.sky[rows, columns]
        sky[:] = (sky * clear[:, :, 0]).astype(np.uint8)
        coverage[rows, columns] = np.maximum(coverage[rows, columns], 1 - clear[:, :, 0])
    backdrop.glow = np.clip(glow, 0, 255).astype(np.uint8)
    picture *= _daylight(size, rng)[:, :, None]
    owners, areas = owner_map(placed, size)
    objects = [annotate(item, owners == i + 1, areas[i], size) for i, item in enumerate(placed) if item.name]
    return Scene(np.rint(np.clip(picture, 0, 255)).astype(np.uint8), tuple(objects), backdrop, coverage, indoor)


def _cast_shadow(picture: np.ndarray, item: Placed, size: tuple[int, int]) -> None:
    wide = item.sprite.rgba.shape[1]
    foot = item.y + item.sprite.foot
    shadow = np.zeros((size[1], size[0]), np.uint8)
    centre = (round((item.x + wide / 2) * 16), round((foot - 0.02 * wide) * 16))
    axes = (round(wide * 0.46 * 16), round(max(1.5, wide * 0.09) * 16))
    cv2.ellipse(shadow, centre, axes, 0, 0, 360, 255, -1, cv2.LINE_AA, 4)
    y0, y1 = max(0, int(foot - 0.3 * wide)), min(size[1], int(foot + 0.3 * wide) + 2)
    x0, x1 = max(0, int(item.x - 0.2 * wide)), min(size[0], int(item.x + 1.2 * wide) + 1)
    if y1 <= y0 or x1 <= x0:
        return
    blur = max(3, int(wide * 0.12) | 1)
    soft = cv2.blur(shadow[y0:y1, x0:x1], (blur, blur)).astype(np.float32) / 255
    picture[y0:y1, x0:x1] *= (1 - 0.5 * soft)[:, :, None]


def _reflect(picture: np.ndarray, item: Placed, size: tuple[int, int]) -> None:
    foot = round(item.y + item.sprite.foot)
    above = item.sprite.rgba[: max(0, foot - item.y)][::-1]
    above = cv2.resize(above, (above.shape[1], max(1, above.shape[0] // 2)), interpolation=cv2.INTER_AREA)
    flipped = Placed(None, Sprite(above, above[:, :, 3], 0, [], ""), item.x, foot - 1, 0)
    rows, columns, inside = overlap(flipped, size)
    mirror = above[inside].astype(np.float32)
    picture[rows, columns] = (
        picture[rows, columns] * (1 - 0.45 * mirror[:, :, 3:] / 255) + 0.45 * mirror[:, :, :3] * 0.9
    )


def _daylight(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A light that falls off gently to one side."""
    slope_x, slope_y = rng.uniform(-0.12, 0.12), rng.uniform(-0.08, 0.08)
    x, y = np.linspace(-1, 1, size[0], dtype=np.float32), np.linspace(-1, 1, size[1], dtype=np.float32)
    return 1 + np.float32(slope_x) * x[None, :] + np.float32(slope_y) * y[:, None]
