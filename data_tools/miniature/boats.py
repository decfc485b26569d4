"""Boats: sailing, motor, rowing and fishing boats, afloat."""

from __future__ import annotations

import numpy as np

from duskbench.data_tools.miniature.colours import BLACK, CHROME, GLASS, WOODS, any_colour, grey, pick
from duskbench.data_tools.miniature.drawing import Colour, Drawing, tint


def boat(rng: np.random.Generator) -> Drawing:
    """Draw a boat with its bow to the right: sailing, motor, rowing or fishing boat."""
    d = Drawing(grain=0.03, pose="Right")
    kind = str(rng.choice(["sail", "motor", "row", "fish"]))
    paint = (
        any_colour(rng) if rng.random() < 0.6 else (pick(rng, WOODS) if kind == "row" else grey(rng.uniform(190, 240)))
    )
    {"sail": _sailing, "motor": _motor, "row": _rowing, "fish": _fishing}[kind](d, paint, rng)
    return d


def _hull(d: Drawing, paint: Colour, length: float, high: float, sheer: float, rng: np.random.Generator) -> None:
    stern, bow = -length, length * 1.12
    deck = [(stern, high), (0, high * (1 - sheer * 0.4)), (bow, high * (1 + sheer))]
    keel = [(length * 0.82, 0), (stern * 0.92, 0)]
    d.fill([*deck, *keel], paint, 0.55)
    d.fill(
        [keel[1], keel[0], (length * 0.88, high * 0.22), (stern * 0.94, high * 0.22)], tint(any_colour(rng), 0.6), 0.2
    )
    d.line(deck, high * 0.12, tint(paint, 0.7))
    if rng.random() < 0.5:
        d.line(
            [(stern, high * 0.7), (0, high * 0.7 * (1 - sheer * 0.3)), (bow * 0.97, high * 0.72 * (1 + sheer))],
            high * 0.1,
            any_colour(rng),
        )


def _sailing(d: Drawing, paint: Colour, rng: np.random.Generator) -> None:
    high, mast, tall = 0.42, 0.15, rng.uniform(2.6, 3.6)
    sail = grey(rng.uniform(205, 245)) if rng.random() < 0.7 else any_colour(rng)
    d.line([(mast, high), (mast, tall)], 0.05, CHROME)
    boom = (mast - rng.uniform(1.0, 1.3), high + 0.35)
    belly = (mast - 0.42, (tall + high) / 2 + 0.1)
    if rng.random() < 0.8:
        d.fill([(mast - 0.04, tall - 0.05), belly, boom, (mast - 0.04, high + 0.3)], sail, 0.35)
        d.line([boom, (mast, high + 0.3)], 0.05, pick(rng, WOODS))
        jib = [(mast + 0.03, tall * 0.88), (1.45, high + 0.2), (mast + 0.1, high + 0.3)]
        d.fill(jib, tint(sail, 0.92) if rng.random() < 0.6 else any_colour(rng), 0.35)
    else:  # moored, sails furled
        d.limb([(mast - 0.05, high + 0.32), boom], (0.08, 0.06), any_colour(rng), 0.5)
        for end in (-1.3, 1.5):
            d.line([(mast, tall - 0.05), (end, high)], 0.015, (120, 120, 125))
    d.fill([(-0.75, high - 0.05), (0.4, high - 0.05), (0.25, high + 0.22), (-0.65, high + 0.2)], grey(220), 0.4)
    for x in (-0.4, -0.1):
        d.disc((x, high + 0.08), (0.08, 0.05), GLASS)
    _hull(d, paint, 1.35, high, 0.12, rng)


def _motor(d: Drawing, paint: Colour, rng: np.random.Generator) -> None:
    high = 0.55
    glow = 0.5 * float(rng.random() < 0.5)
    d.fill([(-1.2, high), (0.55, high), (0.2, high + 0.5), (-1.1, high + 0.5)], grey(rng.uniform(200, 240)), 0.4)
    for x in (-0.9, -0.5, -0.1):
        d.fill([(x, high + 0.18), (x + 0.3, high + 0.18), (x + 0.26, high + 0.42), (x, high + 0.42)], GLASS, glow=glow)
    if rng.random() < 0.5:
        d.fill([(-0.9, high + 0.5), (0.0, high + 0.5), (-0.15, high + 0.9), (-0.85, high + 0.9)], grey(225), 0.3)
        d.fill([(-0.5, high + 0.58), (-0.1, high + 0.58), (-0.2, high + 0.82), (-0.5, high + 0.82)], GLASS, glow=glow)
    d.line([(-0.8, high + 0.5), (-0.8, high + 1.3)], 0.03, CHROME)
    d.line([(0.6, high + 0.3), (1.55, high + 0.4)], 0.03, CHROME)
    for x in np.linspace(0.65, 1.5, 4):
        d.line([(x, high), (x, high + 0.35)], 0.025, CHROME)
    _hull(d, paint, 1.5, high, 0.3, rng)


def _rowing(d: Drawing, paint: Colour, rng: np.random.Generator) -> None:
    high = 0.5
    inside = [(-1.4, high), (-0.7, high + 0.16), (0.6, high + 0.18), (1.62, high * 1.3), (0.2, high * 0.85)]
    d.fill(inside, tint(paint, 0.45), 0.2)
    for x in (-0.75, 0.0, 0.7):
        d.fill(
            [(x, high - 0.02), (x + 0.22, high - 0.02), (x + 0.26, high + 0.12), (x + 0.05, high + 0.12)],
            pick(rng, WOODS),
            0.3,
        )
    if rng.random() < 0.6:
        tip = rng.uniform(-1.2, -0.4)
        d.line([(0.3, high + 0.35), (tip, 0.08)], 0.05, pick(rng, WOODS))
        d.limb([(tip + 0.12, 0.14), (tip - 0.18, -0.02)], (0.06, 0.08), pick(rng, WOODS), 0.3)
    _hull(d, paint, 1.4, high, 0.3, rng)
    for low in (0.3, 0.55):
        d.line([(-1.32, high * low), (1.3, high * low * 1.08)], 0.02, tint(paint, 0.7))


def _fishing(d: Drawing, paint: Colour, rng: np.random.Generator) -> None:
    high, house = 0.6, float(rng.choice([-0.9, 0.35]))
    for x, tall in ((-0.2, 2.3), (house - 0.1, 1.9)):
        d.line([(x, high), (x, tall)], 0.06, pick(rng, WOODS))
    d.line([(-0.2, 0.9), (-1.25, 1.9)], 0.05, pick(rng, WOODS))
    for end in (-1.4, 1.5):
        d.line([(-0.2, 2.25), (end, high + 0.1)], 0.018, (90, 90, 95))
    wall = any_colour(rng) if rng.random() < 0.4 else grey(rng.uniform(190, 235))
    d.fill(
        [
            (house - 0.4, high - 0.1),
            (house + 0.4, high - 0.1),
            (house + 0.36, high + 0.75),
            (house - 0.36, high + 0.75),
        ],
        wall,
        0.35,
    )
    d.fill(
        [
            (house - 0.45, high + 0.72),
            (house + 0.48, high + 0.72),
            (house + 0.44, high + 0.82),
            (house - 0.42, high + 0.82),
        ],
        tint(wall, 0.6),
    )
    glow = 0.6 * float(rng.random() < 0.5)
    for x in (house - 0.26, house + 0.05):
        d.fill([(x, high + 0.35), (x + 0.22, high + 0.35), (x + 0.22, high + 0.62), (x, high + 0.62)], GLASS, glow=glow)
    for x in np.linspace(-1.0, 0.9, 4):
        d.disc((x, high * 0.62), (0.1, 0.13), BLACK, bump=0.4)
    _hull(d, paint, 1.45, high, 0.35, rng)
