"""Colours of things, drawn at random (RGB, 0 to 255)."""

from __future__ import annotations

import colorsys

import numpy as np

from duskbench.data_tools.miniature.drawing import Colour

BLACK: Colour = (28.0, 28.0, 30.0)
CHROME: Colour = (185.0, 187.0, 192.0)
GLASS: Colour = (92.0, 112.0, 128.0)
WOODS: tuple[Colour, ...] = (
    (150, 105, 62),
    (190, 150, 100),
    (105, 66, 40),
    (210, 180, 140),
    (78, 50, 36),
    (165, 125, 85),
)
SKINS: tuple[Colour, ...] = (
    (236, 196, 168),
    (214, 168, 132),
    (172, 122, 86),
    (120, 80, 56),
    (88, 58, 42),
    (244, 208, 184),
)
FURS: tuple[Colour, ...] = (
    (45, 42, 40), (98, 92, 88), (150, 145, 140), (205, 140, 72), (228, 196, 150),
    (232, 228, 220), (110, 72, 46), (70, 50, 38), (176, 128, 84), (190, 178, 160),
)  # fmt: skip


def of_hsv(hue: float, saturation: float, value: float) -> Colour:
    """Convert hue, saturation and value, each 0 to 1."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return red * 255, green * 255, blue * 255


def any_colour(rng: np.random.Generator) -> Colour:
    """Pick the colour of something painted: mostly saturated, at times white, grey or black."""
    if rng.random() < 0.3:
        return grey(rng.uniform(35, 235))
    return of_hsv(rng.random(), rng.uniform(0.45, 0.95), rng.uniform(0.4, 0.95))


def muted(rng: np.random.Generator) -> Colour:
    """Pick the colour of cloth, plaster or paper."""
    return of_hsv(rng.random(), rng.uniform(0.05, 0.45), rng.uniform(0.3, 0.9))


def pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    """Pick one of some colours and move it a little."""
    red, green, blue = np.clip(np.asarray(colours[rng.integers(len(colours))]) + rng.normal(0, 14.0), 12, 245)
    return float(red), float(green), float(blue)


def grey(level: float) -> Colour:
    """Give a grey."""
    return level, level, level * 1.02


def dark_grey(rng: np.random.Generator) -> Colour:
    """Pick the grey of rubber."""
    return grey(rng.uniform(22, 60))
