"""Rooms, streets, parks and shores to put objects in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from duskbench.data_tools.miniature.colours import WOODS, any_colour, grey, muted, of_hsv, pick
from duskbench.data_tools.miniature.drawing import Colour, tint

_OVERSAMPLING = 2
Rect = tuple[float, float, float, float]

Furnish = Callable[["Backdrop", float, np.random.Generator], None]


@dataclass
class Backdrop:
    """A scene without its objects, drawn at twice its size until `finish`.

    Attributes:
        size: Width and height in pixels of the finished picture.
        rgb: (H, W, 3) uint8.
        glow: (H, W) uint8, what shines by itself when it is dark: bulbs, lit windows, screens.
        noise: (H, W) float32, the surfaces' texture, laid over everything by `finish`.
        sky: (H, W) uint8, what daylight reaches and lamps do not.
        horizon: Row at which the ground begins.
        shore: Row below which there is land, where the ground is water; else None.
        lamps: Light sources: x, y.
        windows: Window panes x0, y0, x1, y1.
        screens: Screens x0, y0, x1, y1.
        shelves: Boards on which small things stand: x0, x1, y.
    """

    size: tuple[int, int]
    rgb: np.ndarray
    glow: np.ndarray
    sky: np.ndarray
    noise: np.ndarray
    horizon: float = 0.0
    shore: float | None = None
    lamps: list[tuple[float, float]] = field(default_factory=list)
    windows: list[Rect] = field(default_factory=list)
    screens: list[Rect] = field(default_factory=list)
    shelves: list[tuple[float, float, float]] = field(default_factory=list)

    @classmethod
    def blank(cls, size: tuple[int, int]) -> Backdrop:
        """Start an empty one."""
        shape = (size[1] * _OVERSAMPLING, size[0] * _OVERSAMPLING)
        noise = np.zeros(size[::-1], np.float32)
        return cls(size, np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), noise)

    def polygon(
        self, points: Sequence[tuple[float, float]], colour: Colour, glow: float = 0.0, sky: float = 0.0
    ) -> None:
        """Fill a polygon given in finished pixels."""
        corners = np.rint(np.asarray(points) * _OVERSAMPLING * 16).astype(np.int32)
        cv2.fillPoly(self.rgb, [corners], colour, cv2.LINE_AA, 4)
        cv2.fillPoly(self.glow, [corners], (round(255 * glow),), cv2.LINE_AA, 4)
        cv2.fillPoly(self.sky, [corners], (round(255 * sky),), cv2.LINE_AA, 4)

    def rect(
        self, x0: float, y0: float, x1: float, y1: float, colour: Colour, glow: float = 0.0, sky: float = 0.0
    ) -> None:
        """Fill a rectangle given in finished pixels."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour, glow, sky)

    def disc(self, x: float, y: float, rx: float, ry: float, colour: Colour, glow: float = 0.0) -> None:
        """Fill an ellipse given in finished pixels."""
        around = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        self.polygon(list(zip(x + rx * np.cos(around), y + ry * np.sin(around), strict=True)), colour, glow)

    def line(self, points: Sequence[tuple[float, float]], width: float, colour: Colour) -> None:
        """Draw a line given in finished pixels."""
        corners = np.rint(np.asarray(points) * _OVERSAMPLING * 16).astype(np.int32)
        cv2.polylines(self.rgb, [corners], False, colour, max(1, round(width * _OVERSAMPLING)), cv2.LINE_AA, 4)

    def gradient(self, y0: float, y1: float, top: Colour, bottom: Colour, sky: float = 0.0) -> None:
        """Fill the rows from y0 to y1 with a vertical gradient."""
        rows = slice(max(0, round(y0 * _OVERSAMPLING)), max(0, round(y1 * _OVERSAMPLING)))
        count = self.rgb[rows].shape[0]
        ramp = np.linspace(0, 1, count)[:, None, None]
        colours = np.rint(np.asarray(top) * (1 - ramp) + np.asarray(bottom) * ramp).astype(np.uint8)
        self.rgb[rows] = cv2.repeat(colours, 1, self.rgb.shape[1])
        self.glow[rows] = 0
        self.sky[rows] = round(255 * sky)

    def texture(
        self, y0: float, y1: float, strength: float, grain: int, rng: np.random.Generator, flat: float = 1.0
    ) -> None:
        """Lay noise of a grain size over some rows; `flat` above 1 draws it out sideways."""
        rows = slice(max(0, round(y0)), max(0, round(y1)))
        shape = (min(rows.stop, self.size[1]) - rows.start, self.size[0])
        if shape[0] <= 0:
            return
        coarse = (2 * shape[0] // grain + 2, int(2 * shape[1] / grain / flat) + 2)
        noise = rng.standard_normal(coarse, dtype=np.float32)
        self.noise[rows] += np.float32(strength) * cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_LINEAR)

    def finish(self) -> Backdrop:
        """Bring everything to the finished size."""
        self.rgb, self.glow, self.sky = (
            cv2.resize(layer, self.size, interpolation=cv2.INTER_AREA) for layer in (self.rgb, self.glow, self.sky)
        )
        self.rgb = cv2.convertScaleAbs(self.rgb * (1 + self.noise)[:, :, None])
        return self


def room(
    size: tuple[int, int], rng: np.random.Generator, *, lamps: int = 0, windows: int = 0, screens: int = 0
) -> Backdrop:
    """Draw a room: wall, floor, and at least so many lamps, windows and screens."""
    back = Backdrop.blank(size)
    width, height = size
    back.horizon = horizon = height * rng.uniform(0.42, 0.66)
    wall = muted(rng) if rng.random() < 0.8 else grey(rng.uniform(150, 230))
    back.gradient(0, horizon, tint(wall, rng.uniform(0.85, 1.1)), wall)
    _wallpaper(back, wall, rng)
    _floor(back, rng)
    back.rect(0, horizon - 5, width, horizon + 1, tint(wall, rng.choice([0.6, 1.25])))
    if rng.random() < 0.3:
        corner = rng.uniform(0.1, 0.9) * width
        back.line([(corner, 0), (corner, horizon)], 1.5, tint(wall, 0.8))
    slots = [width * (i + 0.5) / 5 + rng.uniform(-10, 10) for i in rng.permutation(5)]
    wanted: list[Furnish] = []
    wanted += [_window] * windows
    wanted += [_screen] * screens
    wanted += [_floor_lamp] * lamps
    choice = (_window, _picture, _picture, _shelf, _shelf, _bookcase, _plant, _screen, _floor_lamp, _door)
    while len(wanted) < 2 + int(rng.integers(0, 3)):
        wanted.append(choice[rng.integers(len(choice))])
    for x, furnish in zip(slots, wanted, strict=False):
        furnish(back, x, rng)
    return back.finish()


def _wallpaper(back: Backdrop, wall: Colour, rng: np.random.Generator) -> None:
    width = back.size[0]
    kind = rng.random()
    if kind < 0.25:
        step = rng.uniform(8, 30)
        for x in np.arange(0, width, step):
            back.rect(x, 0, x + step * 0.5, back.horizon, tint(wall, 0.93))
    elif kind < 0.45:
        step = rng.uniform(10, 22)
        for row, y in enumerate(np.arange(0, back.horizon, step * 0.5)):
            back.line([(0, y), (width, y)], 0.8, tint(wall, 0.82))
            for x in np.arange((row % 2) * step * 0.5, width, step):
                back.line([(x, y), (x, y + step * 0.5)], 0.8, tint(wall, 0.82))
    back.texture(0, back.horizon, 0.03, 24, rng)


def _floor(back: Backdrop, rng: np.random.Generator) -> None:
    width, height = back.size
    horizon = back.horizon
    kind = rng.random()
    colour = pick(rng, WOODS) if kind < 0.5 else muted(rng)
    back.gradient(horizon, height, tint(colour, 0.75), tint(colour, 1.05))
    middle = width * rng.uniform(0.2, 0.8)
    if kind < 0.75:
        for x in np.linspace(-2.5 * width, 3.5 * width, int(rng.integers(28, 50))):
            back.line([(middle + (x - middle) * 0.35, horizon), (x, height)], 0.8, tint(colour, 0.68))
    if 0.5 < kind < 0.75:
        for t in np.linspace(0.05, 1, 8) ** 2:
            y = horizon + (height - horizon) * t
            back.line([(0, y), (width, y)], 0.9, tint(colour, 0.68))
    back.texture(horizon, height, 0.06, 3 if kind > 0.75 else 5, rng, flat=1.0 if kind > 0.75 else 4.0)
    if rng.random() < 0.3:
        y, rx = horizon + (height - horizon) * rng.uniform(0.4, 0.7), width * rng.uniform(0.2, 0.4)
        rug = any_colour(rng)
        back.disc(middle, y, rx, rx * 0.25, rug)
        back.disc(middle, y, rx * 0.85, rx * 0.21, tint(rug, 1.3))


def _window(back: Backdrop, x: float, rng: np.random.Generator) -> None:
    high, wide = back.horizon * rng.uniform(0.5, 0.75), rng.uniform(40, 85)
    y = rng.uniform(4, max(5.0, back.horizon - high - 12))
    frame = grey(rng.uniform(190, 245)) if rng.random() < 0.7 else pick(rng, WOODS)
    back.rect(x - wide / 2 - 4, y - 4, x + wide / 2 + 4, y + high + 4, frame)
    day = of_hsv(rng.uniform(0.52, 0.6), rng.uniform(0.1, 0.4), rng.uniform(0.85, 1.0))
    back.rect(x - wide / 2, y, x + wide / 2, y + high, day, sky=1.0)
    back.rect(x - wide / 2, y + high * 0.7, x + wide / 2, y + high, of_hsv(0.3, 0.3, 0.6), sky=0.9)
    for i in range(1, int(rng.integers(2, 4))):
        at = x - wide / 2 + wide * i / 2
        back.rect(at - 1.5, y, at + 1.5, y + high, frame)
    back.rect(x - wide / 2, y + high * 0.45, x + wide / 2, y + high * 0.45 + 2.5, frame)
    if rng.random() < 0.5:
        cloth = any_colour(rng)
        for side in (-1, 1):
            edge = x + side * (wide / 2 + 10)
            for fold in range(4):
                at = edge - side * fold * 5
                back.rect(
                    min(at, at - side * 5),
                    y - 8,
                    max(at, at - side * 5),
                    y + high + 14,
                    tint(cloth, 0.85 + 0.1 * (fold % 2)),
                )
    back.windows.append((x - wide / 2, y, x + wide / 2, y + high))


def _screen(back: Backdrop, x: float, rng: np.random.Generator) -> None:
    wide = rng.uniform(45, 85)
    high = wide * 0.58
    y = back.horizon - high - rng.uniform(6, 30)
    back.rect(x - wide / 2 - 3, y - 3, x + wide / 2 + 3, y + high + 3, (24, 24, 26))
    picture = of_hsv(rng.uniform(0.5, 0.72), rng.uniform(0.2, 0.6), rng.uniform(0.65, 0.95))
    back.rect(x - wide / 2, y, x + wide / 2, y + high, picture, glow=1.0)
    for _ in range(4):
        px, py = x + rng.uniform(-0.4, 0.2) * wide, y + rng.uniform(0.05, 0.6) * high
        back.rect(
            px, py, px + wide * rng.uniform(0.1, 0.25), py + high * rng.uniform(0.1, 0.3), any_colour(rng), glow=0.9
        )
    back.rect(x - 4, y + high + 3, x + 4, back.horizon + 4, (30, 30, 32))
    back.rect(x - wide * 0.6, back.horizon - 2, x + wide * 0.6, back.horizon + 10, pick(rng, WOODS))
    back.screens.append((x - wide / 2, y, x + wide / 2, y + high))


def _floor_lamp(back: Backdrop, x: float, rng: np.random.Generator) -> None:
    top = back.horizon * rng.uniform(0.2, 0.45)
    shade = of_hsv(rng.uniform(0.05, 0.16), rng.uniform(0.1, 0.5), rng.uniform(0.85, 1.0))
    if rng.random() < 0.35:
        back.line([(x, 0), (x, top)], 1.2, (50, 50, 52))
    else:
        back.line([(x, top), (x, back.horizon + 12)], 2.0, (60, 58, 55))
        back.disc(x, back.horizon + 12, 10, 3, (60, 58, 55))
    r = rng.uniform(8, 14)
    back.polygon(
        [(x - r * 0.6, top - r), (x + r * 0.6, top - r), (x + r * 1.2, top + r * 0.5), (x - r * 1.2, top + r * 0.5)],
        shade,
        glow=1.0,
    )
    back.lamps.append((x, top))


def _picture(back: Backdrop, x: float, rng: np.random.Generator) -> None:
    wide, high = rng.uniform(22, 50), rng.uniform(20, 42)
    y = rng.uniform(6, max(7.0, back.horizon - high - 30))
    back.rect(x - wide / 2 - 3, y - 3, x + wide / 2 + 3, y + high + 3, pick(rng, WOODS))
    back.rect(x - wide / 2, y, x + wide / 2, y + high, muted(rng))
    for _ in range(4):
        px, py = x + rng.uniform(-0.35, 0.35) * wide, y + rng.uniform(0.2, 0.8) * high
        back.disc(px, py, min(wide * 0.15, 6), min(high * 0.15, 6), any_colour(rng))


def _shelf(back: Backdrop, x: float, rng: np.random.Generator) -> None:
    wide, y = rng.uniform(60, 110), back.horizon * rng.uniform(0.45, 0.8)
    back.rect(x - wide / 2, y, x + wide / 2, y + 5, pick(rng, WOODS))
    back.rect(x - wide / 2, y + 5, x + wide / 2, y + 7, (50, 40, 34))
    back.shelves.append((x - wide / 2, x + wide / 2, y))


def _bookcase(back: Backdrop, x: float, rng: np.random.Generator) -> None:
    wide, top, wood = rng.uniform(45, 80), back.horizon * rng.uniform(0.1, 0.35), pick(rng, WOODS)
    back.rect(x - wide / 2, top, x + wide / 2, back.horizon + 8, wood)
    rows = int(rng.integers(2, 5))
    high = (back.horizon + 4 - top) / rows
    for row in range(rows):
        y = top + row * high + 3
        back.rect(x - wide / 2 + 3, y, x + wide / 2 - 3, y + high - 4, tint(wood, 0.5))
        at = x - wide / 2 + 4
        while at < x + wide / 2 - 10:
            thick = rng.uniform(2.5, 6)
            if rng.random() < 0.85:
                back.rect(at, y + high * rng.uniform(0.1, 0.4), at + thick, y + high - 4, any_colour(rng))
            at += thick + 0.4


def _plant(back: Backdrop, x: float, rng: np.random.Generator) -> None:
    base = back.horizon + rng.uniform(6, 26)
    pot = any_colour(rng)
    leaf = of_hsv(rng.uniform(0.22, 0.4), rng.uniform(0.4, 0.8), rng.uniform(0.3, 0.6))
    for angle in np.linspace(0.15, np.pi - 0.15, 9) + rng.uniform(-0.1, 0.1, 9):
        reach = rng.uniform(25, 50)
        tip = (x + reach * np.cos(angle), base - 18 - reach * np.sin(angle))
        side = (4 * np.sin(angle), 4 * np.cos(angle))
        mid = ((x + tip[0]) / 2, (base - 18 + tip[1]) / 2)
        back.polygon(
            [(x, base - 16), (mid[0] + side[0], mid[1] + side[1]), tip, (mid[0] - side[0], mid[1] - side[1])],
            tint(leaf, rng.uniform(0.7, 1.3)),
        )
    back.polygon([(x - 11, base - 18), (x + 11, base - 18), (x + 8, base), (x - 8, base)], pot)


def _door(back: Backdrop, x: float, rng: np.random.Generator) -> None:
    wide, top, wood = rng.uniform(34, 48), back.horizon * rng.uniform(0.05, 0.2), pick(rng, WOODS)
    back.rect(x - wide / 2 - 3, top - 3, x + wide / 2 + 3, back.horizon, tint(wood, 0.7))
    back.rect(x - wide / 2, top, x + wide / 2, back.horizon, wood)
    for y0, y1 in ((0.1, 0.45), (0.55, 0.92)):
        span = back.horizon - top
        back.rect(x - wide * 0.35, top + y0 * span, x + wide * 0.35, top + y1 * span, tint(wood, 0.85))
    back.disc(x + wide * 0.4, (top + back.horizon) / 2, 2, 2, (200, 180, 90))
