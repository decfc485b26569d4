"""Streets, parks and shores."""

from __future__ import annotations

import numpy as np

from duskbench.data_tools.miniature.backdrops import Backdrop
from duskbench.data_tools.miniature.colours import WOODS, any_colour, grey, muted, of_hsv, pick
from duskbench.data_tools.miniature.drawing import Colour, tint


def _sky(back: Backdrop, rng: np.random.Generator) -> None:
    width = back.size[0]
    kind = rng.random()
    if kind < 0.6:
        top, low = of_hsv(rng.uniform(0.54, 0.62), rng.uniform(0.3, 0.65), 0.9), of_hsv(0.57, 0.12, 0.95)
    elif kind < 0.85:
        top, low = grey(rng.uniform(165, 215)), grey(rng.uniform(195, 235))
    else:
        top, low = of_hsv(0.6, 0.3, 0.8), of_hsv(rng.uniform(0.04, 0.1), 0.35, 0.97)
    back.gradient(0, back.horizon + 2, top, low, sky=1.0)
    if kind < 0.6:
        for _ in range(int(rng.integers(0, 5))):
            x, y, r = rng.uniform(0, width), rng.uniform(0, back.horizon * 0.6), rng.uniform(6, 16)
            for _ in range(5):
                # Clouds belong to the sky: painted without touching its mask.
                sky = back.sky.copy()
                back.disc(
                    x + rng.uniform(-2, 2) * r,
                    y + rng.uniform(-0.4, 0.4) * r,
                    r * 1.3,
                    r * 0.6,
                    grey(rng.uniform(225, 245)),
                )
                back.sky = sky
    back.texture(0, back.horizon, 0.015, 40, rng, flat=3.0)


def _tree(back: Backdrop, x: float, base: float, high: float, rng: np.random.Generator) -> None:
    bark = pick(rng, WOODS[2:5:2])
    back.polygon(
        [
            (x - high * 0.05, base),
            (x + high * 0.05, base),
            (x + high * 0.03, base - high * 0.6),
            (x - high * 0.03, base - high * 0.6),
        ],
        bark,
    )
    leaf = of_hsv(rng.uniform(0.17, 0.38), rng.uniform(0.35, 0.75), rng.uniform(0.25, 0.6))
    if rng.random() < 0.25:
        for level in range(4):
            y, half = base - high * (0.2 + 0.2 * level), high * (0.3 - 0.06 * level)
            back.polygon([(x - half, y), (x + half, y), (x, y - high * 0.35)], tint(leaf, 0.85 + 0.1 * level))
        return
    for _ in range(14):
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.24) * high
        cx, cy = x + reach * np.cos(angle), base - high * 0.72 + reach * np.sin(angle)
        r = high * rng.uniform(0.08, 0.16)
        back.disc(cx, cy, r, r * 0.9, tint(leaf, 1.15 - (cy - base + high) / high * 0.6 + rng.uniform(-0.08, 0.08)))


def _building(back: Backdrop, x0: float, x1: float, top: float, rng: np.random.Generator, shop: bool) -> None:
    base = back.horizon + 2
    wall = (
        muted(rng)
        if rng.random() < 0.7
        else of_hsv(rng.uniform(0.0, 0.1), rng.uniform(0.3, 0.6), rng.uniform(0.4, 0.8))
    )
    back.rect(x0, top, x1, base, wall)
    back.rect(x0 - 1, top - 3, x1 + 1, top, tint(wall, 0.75))
    step_x, step_y = rng.uniform(13, 22), rng.uniform(16, 24)
    glass = of_hsv(0.57, rng.uniform(0.1, 0.4), rng.uniform(0.3, 0.7))
    for y in np.arange(top + 6, base - (26 if shop else 8), step_y):
        for x in np.arange(x0 + 5, x1 - step_x * 0.6, step_x):
            lit = 0.5 if rng.random() < 0.25 else 0.0
            back.rect(x - 1, y - 1, x + step_x * 0.55 + 1, y + step_y * 0.6 + 1, tint(wall, 1.25))
            back.rect(
                x,
                y,
                x + step_x * 0.55,
                y + step_y * 0.6,
                (235, 215, 150) if lit else tint(glass, rng.uniform(0.8, 1.2)),
                glow=lit,
            )
    if shop:
        back.rect(x0 + 3, base - 20, x1 - 3, base - 2, tint(glass, 0.8), glow=0.4 * float(rng.random() < 0.4))
        awning = any_colour(rng)
        back.polygon([(x0 + 2, base - 24), (x1 - 2, base - 24), (x1 + 2, base - 18), (x0 - 2, base - 18)], awning)
        for x in np.arange(x0, x1 - 5, 10):
            back.polygon([(x, base - 24), (x + 5, base - 24), (x + 5, base - 18), (x, base - 18)], grey(235))


def _street_lamp(back: Backdrop, x: float, foot: float, high: float, rng: np.random.Generator) -> None:
    metal = grey(rng.uniform(40, 110))
    back.line([(x, foot), (x, foot - high)], max(1.5, high / 60), metal)
    arm = high * 0.14 * (1 if rng.random() < 0.5 else -1)
    tip = (x + arm, foot - high * 1.03)
    back.line([(x, foot - high), tip], max(1.2, high / 80), metal)
    r = max(2.5, high * 0.035)
    back.disc(tip[0], tip[1] + r * 0.5, r * 1.4, r * 0.8, (250, 244, 225), glow=1.0)
    back.lamps.append((tip[0], tip[1] + r))


def street(size: tuple[int, int], rng: np.random.Generator, *, lamps: int = 0) -> Backdrop:
    """Draw a street: sky, houses or trees, pavement, road, and at least so many street lamps."""
    back = Backdrop.blank(size)
    width, height = size
    back.horizon = horizon = height * rng.uniform(0.34, 0.56)
    _sky(back, rng)
    x = -rng.uniform(0, 40)
    while x < width:
        wide = rng.uniform(45, 110)
        kind = rng.random()
        if kind < 0.72:
            _building(back, x, x + wide - 3, horizon * rng.uniform(0.0, 0.55), rng, shop=kind < 0.3)
        else:
            _tree(back, x + wide / 2, horizon + 3, horizon * rng.uniform(0.5, 0.95), rng)
        x += wide
    kerb = horizon + (height - horizon) * rng.uniform(0.1, 0.3)
    paving, asphalt = grey(rng.uniform(130, 190)), grey(rng.uniform(65, 130))
    back.gradient(horizon, kerb, tint(paving, 0.85), paving)
    back.gradient(kerb, height, tint(asphalt, 0.85), tint(asphalt, 1.15))
    back.rect(0, kerb - 1.5, width, kerb + 1.5, tint(paving, 1.2))
    back.texture(horizon, height, 0.07, 2, rng, flat=2.0)
    _markings(back, kerb, rng)
    count = lamps + int(rng.random() < 0.35)
    for x in _spread(count, width, rng):
        _street_lamp(back, x, horizon + rng.uniform(2, 20), rng.uniform(0.75, 1.0) * horizon, rng)
    return back.finish()


def _spread(count: int, width: int, rng: np.random.Generator) -> list[float]:
    return [width * (i + rng.uniform(0.25, 0.75)) / max(1, count) for i in range(count)]


def _markings(back: Backdrop, kerb: float, rng: np.random.Generator) -> None:
    width, height = back.size
    if rng.random() < 0.6:
        y = kerb + (height - kerb) * rng.uniform(0.25, 0.6)
        for x in np.arange(-20.0, width, 46):
            back.polygon([(x, y), (x + 22, y), (x + 21, y + 4), (x - 2, y + 4)], (225, 225, 215))
    elif rng.random() < 0.5:
        at = rng.uniform(0.2, 0.8) * width
        for i in range(-3, 4):
            top, low = at + i * 14, at + i * 30
            back.polygon([(top, kerb + 4), (top + 7, kerb + 4), (low + 14, height), (low, height)], (222, 222, 216))


def park(size: tuple[int, int], rng: np.random.Generator, *, lamps: int = 0) -> Backdrop:
    """Draw a park or garden: sky, hills, trees, a fence, grass and a path, and at least so many lamps."""
    back = Backdrop.blank(size)
    width, height = size
    back.horizon = horizon = height * rng.uniform(0.3, 0.52)
    _sky(back, rng)
    hill = of_hsv(rng.uniform(0.22, 0.42), rng.uniform(0.2, 0.5), rng.uniform(0.4, 0.65))
    ridge = [(x, horizon - 14 - 12 * np.sin(x / rng.uniform(45, 60) + 1)) for x in np.arange(0.0, width + 21, 20)]
    back.polygon([*ridge, (width, horizon + 2), (0, horizon + 2)], hill)
    for x in _spread(int(rng.integers(2, 7)), width, rng):
        _tree(back, x, horizon + rng.uniform(0, 10), horizon * rng.uniform(0.45, 1.0), rng)
    dirt = rng.random() < 0.2
    grass = (
        of_hsv(rng.uniform(0.08, 0.14), 0.4, 0.6)
        if dirt
        else of_hsv(rng.uniform(0.19, 0.34), rng.uniform(0.35, 0.7), rng.uniform(0.4, 0.7))
    )
    band = back.rgb[: round(horizon * 2)].copy()
    back.gradient(horizon, height, tint(grass, 0.8), tint(grass, 1.05))
    back.rgb[: round(horizon * 2)] = band
    if rng.random() < 0.6:
        near, far = rng.uniform(0.0, 1.0) * width, rng.uniform(0.2, 0.8) * width
        path = of_hsv(0.1, rng.uniform(0.05, 0.3), rng.uniform(0.6, 0.85))
        back.polygon([(far - 5, horizon), (far + 5, horizon), (near + 70, height), (near - 70, height)], path)
    back.texture(horizon, height, 0.1, 2, rng)
    if rng.random() < 0.4:
        _fence(back, rng)
    for x in _spread(lamps + int(rng.random() < 0.2), width, rng):
        _street_lamp(back, x, horizon + rng.uniform(4, 24), rng.uniform(0.7, 1.0) * horizon, rng)
    return back.finish()


def _fence(back: Backdrop, rng: np.random.Generator) -> None:
    wood: Colour = pick(rng, WOODS) if rng.random() < 0.6 else grey(rng.uniform(190, 240))
    y, high = back.horizon + rng.uniform(2, 12), rng.uniform(14, 26)
    for x in np.arange(0, back.size[0], rng.uniform(7, 14)):
        back.rect(x, y - high, x + 3, y, wood)
    for level in (0.3, 0.75):
        back.rect(0, y - high * level - 1.2, back.size[0], y - high * level + 1.2, tint(wood, 0.9))


def shore(size: tuple[int, int], rng: np.random.Generator, *, lamps: int = 0, land: bool = False) -> Backdrop:
    """Draw a shore: sky, far land, water with ripples, a beach in front (always with `land`), and so many lamps."""
    back = Backdrop.blank(size)
    width, height = size
    back.horizon = horizon = height * rng.uniform(0.3, 0.48)
    _sky(back, rng)
    bay = bool(rng.random() < 0.75)
    if bay:
        coast = of_hsv(rng.uniform(0.2, 0.6), rng.uniform(0.1, 0.4), rng.uniform(0.35, 0.6))
        ridge = [(x, horizon - rng.uniform(4, 22)) for x in np.arange(0.0, width + 31, 30)]
        back.polygon([*ridge, (width, horizon + 2), (0, horizon + 2)], coast)
    if rng.random() < 0.5:
        for x in _spread(int(rng.integers(2, 6)), width, rng):
            wide, top = rng.uniform(14, 34), horizon - rng.uniform(14, 40)
            _building(back, x, x + wide, top, rng, shop=False)
    water = of_hsv(rng.uniform(0.48, 0.62), rng.uniform(0.25, 0.6), rng.uniform(0.35, 0.7))
    back.gradient(horizon + 2, height, tint(water, 1.25), tint(water, 0.8))
    back.texture(horizon + 2, height, 0.1, 3, rng, flat=7.0)
    for _ in range(60):
        t = rng.random() ** 0.7
        y, x, half = horizon + 4 + t * (height - horizon - 4), rng.uniform(0, width), 3 + 14 * t
        back.line([(x - half, y), (x, y - 0.8), (x + half, y)], 0.7, tint(water, rng.choice([0.75, 1.4])))
    back.shore = height * rng.uniform(0.76, 0.86) if land or bay or rng.random() < 0.55 else height * 1.0
    if back.shore < height:
        front = of_hsv(0.11, rng.uniform(0.1, 0.4), rng.uniform(0.6, 0.85))
        band = back.rgb[: round(back.shore * 2)].copy()
        back.gradient(back.shore, height, tint(front, 0.95), front)
        back.rgb[: round(back.shore * 2)] = band
        back.texture(back.shore, height, 0.08, 2, rng)
    for x in _spread(lamps, width, rng):
        _street_lamp(back, x, horizon + 3, rng.uniform(0.2, 0.55) * horizon, rng)
    return back.finish()
