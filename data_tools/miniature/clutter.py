"""Things of no class that stand about, so that not every shape in a picture counts."""

from __future__ import annotations

import numpy as np

from duskbench.data_tools.miniature.colours import WOODS, any_colour, grey, muted, of_hsv, pick
from duskbench.data_tools.miniature.drawing import Drawing, Pattern, tint


def clutter(rng: np.random.Generator) -> Drawing:
    """Draw a crate, a ball, a barrel, a bin, a sign, a suitcase, a bush or a vase."""
    kinds = (_crate, _ball, _barrel, _sign, _suitcase, _bush, _vase)
    d = Drawing(yaw=rng.uniform(-0.7, 0.7), pitch=rng.uniform(0.1, 0.35), distance=8, grain=0.05)
    kinds[rng.integers(len(kinds))](d, rng)
    return d


def _crate(d: Drawing, rng: np.random.Generator) -> None:
    wood, w, h = pick(rng, WOODS), rng.uniform(0.4, 0.8), rng.uniform(0.4, 0.9)
    d.boxes([((-w, 0, -w * 0.8), (w, h, w * 0.8), wood)])
    for y in np.linspace(h * 0.1, h * 0.9, 4):
        d.line([(-w, y, w * 0.81), (w, y, w * 0.81)], 0.03, tint(wood, 0.6))


def _ball(d: Drawing, rng: np.random.Generator) -> None:
    pattern = (
        Pattern("checks", any_colour(rng), rng.uniform(0.3, 0.7), rng.uniform(0, 1)) if rng.random() < 0.6 else None
    )
    d.disc((0, 0.5), (0.5, 0.5), any_colour(rng), bump=0.8, pattern=pattern)


def _barrel(d: Drawing, rng: np.random.Generator) -> None:
    colour = any_colour(rng)
    d.fill([(-0.45, 0), (0.45, 0), (0.5, 0.6), (0.45, 1.2), (-0.45, 1.2), (-0.5, 0.6)], colour, 0.8)
    for y in (0.2, 0.6, 1.0):
        d.line([(-0.48, y), (0.48, y)], 0.06, tint(colour, 0.6))
    around = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    d.fill(
        [(0.45 * np.cos(a), 1.2, 0.45 * np.sin(a)) for a in around], tint(colour, 0.5 if rng.random() < 0.5 else 1.1)
    )


def _sign(d: Drawing, rng: np.random.Generator) -> None:
    d.line([(0, 0), (0, 1.8)], 0.07, grey(120))
    if rng.random() < 0.5:
        d.disc((0, 1.9), (0.32, 0.32), any_colour(rng))
        d.disc((0, 1.9), (0.24, 0.24), grey(235))
    else:
        d.fill([(-0.32, 1.65), (0.32, 1.65), (0, 2.2)], any_colour(rng))
        d.fill([(-0.2, 1.73), (0.2, 1.73), (0, 2.06)], grey(235))


def _suitcase(d: Drawing, rng: np.random.Generator) -> None:
    cloth = any_colour(rng)
    d.line([(-0.2, 0.8, 0), (-0.2, 1.0, 0), (0.2, 1.0, 0), (0.2, 0.8, 0)], 0.06, grey(60))
    d.boxes([((-0.6, 0.05, -0.2), (0.6, 0.85, 0.2), cloth)])
    for x in (-0.3, 0.3):
        d.line([(x, 0.05, 0.21), (x, 0.85, 0.21)], 0.06, tint(cloth, 0.6))


def _bush(d: Drawing, rng: np.random.Generator) -> None:
    leaf = of_hsv(rng.uniform(0.2, 0.4), rng.uniform(0.4, 0.7), rng.uniform(0.3, 0.6))
    for _ in range(16):
        x, y, r = rng.uniform(-0.6, 0.6), rng.uniform(0.1, 0.7), rng.uniform(0.14, 0.3)
        d.disc((x, y), (r, r), tint(leaf, 0.7 + 0.5 * y + rng.uniform(-0.1, 0.1)), bump=0.3)
    d.grain = 0.12


def _vase(d: Drawing, rng: np.random.Generator) -> None:
    colour = muted(rng)
    for x in rng.uniform(-0.4, 0.4, 5):
        d.line([(0, 1.0), (x, 1.7)], 0.03, (70, 110, 60))
        d.disc((x, 1.72), (0.12, 0.12), any_colour(rng), bump=0.4)
    d.fill(
        [(-0.2, 0), (0.2, 0), (0.42, 0.5), (0.2, 0.9), (0.26, 1.05), (-0.26, 1.05), (-0.2, 0.9), (-0.42, 0.5)],
        colour,
        0.8,
    )
