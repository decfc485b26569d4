"""Cats and dogs, told apart by muzzle, ears, legs and tail, not by fur."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from duskbench.data_tools.miniature.colours import FURS, any_colour, pick
from duskbench.data_tools.miniature.drawing import Colour, Drawing, Pattern, tint


@dataclass(frozen=True)
class _Fur:
    main: Colour
    light: Colour
    pattern: Pattern | None


def _fur(rng: np.random.Generator) -> _Fur:
    main = pick(rng, FURS)
    light = (236.0, 230.0, 220.0) if rng.random() < 0.35 else tint(main, 1.12)
    kind = rng.random()
    if kind < 0.3:
        return _Fur(main, light, Pattern("stripes", tint(main, 0.55), rng.uniform(0.07, 0.12), rng.uniform(-0.3, 0.3)))
    if kind < 0.5:
        return _Fur(main, light, Pattern("spots", pick(rng, FURS), rng.uniform(0.25, 0.45), rng.uniform(0, 3)))
    return _Fur(main, light, None)


def cat(rng: np.random.Generator) -> Drawing:
    """Draw a cat: walking, sitting or lying; round head, short muzzle, pointed ears, long thin tail."""
    d = Drawing(grain=0.07, pose="Right")
    fur = _fur(rng)
    pose = rng.choice(["walk", "sit_front", "sit_side", "loaf"])
    if pose == "walk":
        _cat_walking(d, fur, rng)
    elif pose == "loaf":
        tail = [(-0.5, 0.12), (-0.62, 0.06), (-0.3, 0.03), (0.15, 0.05)]
        d.limb([(-0.3, 0.22), (0.0, 0.27), (0.25, 0.22)], (0.22, 0.24, 0.19), fur.main, 0.6, fur.pattern)
        d.limb(tail, (0.06, 0.06, 0.055, 0.05), tint(fur.main, 0.85), 0.5, fur.pattern)
        d.limb([(0.2, 0.06), (0.46, 0.05)], (0.065, 0.055), fur.light, 0.5)
        _cat_head(d, (0.38, 0.44), 0.17, fur, rng)
    elif pose == "sit_side":
        d.limb(
            [(-0.28, 0.07), (-0.55, 0.06), (-0.72, 0.16), (-0.68, 0.27)],
            (0.06, 0.055, 0.05, 0.04),
            tint(fur.main, 0.88),
            0.5,
            fur.pattern,
        )
        d.limb([(-0.12, 0.24), (0.02, 0.5), (0.12, 0.7)], (0.25, 0.19, 0.13), fur.main, 0.6, fur.pattern)
        d.limb([(0.15, 0.5), (0.2, 0.2), (0.22, 0.04)], (0.09, 0.06, 0.05), fur.light, 0.5)
        d.limb([(0.2, 0.04), (0.27, 0.035)], (0.05, 0.045), fur.light, 0.4)
        d.limb([(-0.14, 0.2), (0.06, 0.08), (0.14, 0.05)], (0.18, 0.08, 0.05), tint(fur.main, 0.95), 0.5)
        _cat_head(d, (0.19, 0.86), 0.16, fur, rng)
    else:
        swing = rng.choice([-1, 1])
        d.limb(
            [(swing * 0.2, 0.08), (swing * 0.4, 0.06), (swing * 0.42, 0.2), (swing * 0.36, 0.3)],
            (0.06, 0.055, 0.05, 0.04),
            tint(fur.main, 0.85),
            0.5,
            fur.pattern,
        )
        d.limb([(0, 0.24), (0, 0.5), (0, 0.66)], (0.27, 0.2, 0.14), fur.main, 0.6, fur.pattern)
        d.limb([(0, 0.5), (0, 0.34)], (0.12, 0.09), fur.light, 0.3)
        for x in (-0.09, 0.09):
            d.limb([(x, 0.42), (x, 0.05)], (0.065, 0.055), fur.light, 0.5)
            d.limb([(x * 2.5, 0.06), (x * 2.2, 0.05)], (0.07, 0.06), tint(fur.main, 0.95), 0.5)
        _cat_head(d, (0, 0.84), 0.18, fur, rng)
        d.pose = "Frontal"
    return d


def _cat_walking(d: Drawing, fur: _Fur, rng: np.random.Generator) -> None:
    lift = rng.uniform(0.1, 0.55)
    tail = [(-0.42, 0.46), (-0.62, 0.46 + lift * 0.4), (-0.72, 0.5 + lift), (-0.64, 0.6 + lift * 1.1)]
    d.limb(tail, (0.055, 0.045, 0.04, 0.032), tint(fur.main, 0.9), 0.5, fur.pattern)
    stride = rng.uniform(0.05, 0.14)
    for hip, sign, shade in ((-0.34, -1, 0.7), (0.32, 1, 0.7), (-0.36, 1, 1.0), (0.34, -1, 1.0)):
        x = hip + sign * stride
        legs = [(hip, 0.4), (hip + sign * stride * 0.3 - 0.02, 0.2), (x, 0.045)]
        d.limb(legs, (0.09 if hip < 0 else 0.07, 0.05, 0.04), tint(fur.main, shade), 0.5)
        d.limb([(x, 0.04), (x + 0.05, 0.035)], (0.042, 0.038), tint(fur.light, shade), 0.4)
    d.limb([(-0.36, 0.42), (0.0, 0.43), (0.34, 0.44)], (0.16, 0.15, 0.14), fur.main, 0.6, fur.pattern)
    d.limb([(0.34, 0.46), (0.5, 0.6)], (0.11, 0.09), fur.main, 0.4, fur.pattern)
    _cat_head(d, (0.55, 0.66), 0.145, fur, rng)


def _cat_head(d: Drawing, at: tuple[float, float], r: float, fur: _Fur, rng: np.random.Generator) -> None:
    x, y = at
    turn = rng.uniform(-0.15, 0.15) * r
    for side in (-1, 1):
        ear = [
            (x + side * r * 0.98, y + r * 0.35),
            (x + side * r * 0.92, y + r * 1.55),
            (x + side * r * 0.12, y + r * 0.88),
        ]
        d.fill(ear, fur.main, 0.25)
        middle = np.mean(ear, axis=0)
        d.fill(middle + 0.55 * (np.asarray(ear) - middle), (205, 150, 145))
    d.disc((x, y), (r * 1.1, r * 0.95), fur.main, bump=0.5, pattern=fur.pattern)
    d.disc((x + turn, y - r * 0.38), (r * 0.5, r * 0.36), fur.light, bump=0.3)
    eye = ((210, 190, 60), (120, 190, 90), (100, 160, 210))[int(rng.integers(3))]
    for side in (-1, 1):
        d.disc((x + turn + side * r * 0.45, y + r * 0.12), (r * 0.22, r * 0.2), eye)
        d.disc((x + turn + side * r * 0.45, y + r * 0.12), (r * 0.09, r * 0.18), (12, 12, 12))
        for lift in (-0.12, 0.02, 0.16):
            whisker = [(x + turn + side * r * 0.35, y - r * 0.35), (x + turn + side * r * 1.4, y - r * (0.35 - lift))]
            d.line(whisker, r * 0.025, (225, 225, 225))
    nose = [(x + turn - r * 0.12, y - r * 0.18), (x + turn + r * 0.12, y - r * 0.18), (x + turn, y - r * 0.32)]
    d.fill(nose, (200, 120, 120))


def dog(rng: np.random.Generator) -> Drawing:
    """Draw a dog: standing, sitting or lying; long snout, deep chest, longer legs, lop or pricked ears."""
    d = Drawing(grain=0.07, pose="Right")
    fur = _fur(rng)
    lop = bool(rng.random() < 0.65)
    pose = rng.choice(["stand", "stand", "sit_side", "sit_front", "lie"])
    if pose == "stand":
        _dog_standing(d, fur, lop, rng)
    elif pose == "sit_side":
        d.limb([(-0.3, 0.1), (-0.55, 0.1), (-0.7, 0.24)], (0.06, 0.05, 0.025), tint(fur.main, 0.9), 0.5)
        d.limb([(-0.16, 0.25), (0.05, 0.6), (0.14, 0.78)], (0.24, 0.21, 0.15), fur.main, 0.6, fur.pattern)
        for x, shade in ((0.26, 0.75), (0.16, 1.0)):
            d.limb(
                [(x - 0.04, 0.6), (x + 0.03, 0.3), (x + 0.04, 0.05)], (0.11, 0.065, 0.055), tint(fur.light, shade), 0.5
            )
            d.limb([(x + 0.04, 0.05), (x + 0.14, 0.04)], (0.055, 0.045), tint(fur.light, shade), 0.4)
        d.limb([(-0.16, 0.24), (0.06, 0.1), (0.12, 0.05)], (0.2, 0.09, 0.055), tint(fur.main, 0.95), 0.5)
        _collar(d, [(0.02, 0.8), (0.27, 0.77)], rng)
        _dog_head(d, (0.2, 0.98), 0.16, fur, lop, rng)
    elif pose == "lie":
        d.limb([(-0.55, 0.14), (-0.8, 0.08), (-0.95, 0.1)], (0.06, 0.045, 0.025), tint(fur.main, 0.9), 0.5)
        d.limb([(-0.42, 0.2), (0.0, 0.22), (0.32, 0.26)], (0.2, 0.19, 0.19), fur.main, 0.6, fur.pattern)
        for y in (0.1, 0.05):
            d.limb([(0.3, 0.14), (0.5, y), (0.8, y)], (0.09, 0.06, 0.05), tint(fur.light, 0.75 + 5 * (0.1 - y)), 0.5)
        d.limb([(-0.45, 0.18), (-0.2, 0.07), (-0.05, 0.05)], (0.17, 0.08, 0.05), tint(fur.main, 0.95), 0.5)
        d.limb([(0.3, 0.3), (0.46, 0.48)], (0.15, 0.12), fur.main, 0.4, fur.pattern)
        _dog_head(d, (0.5, 0.55), 0.16, fur, lop, rng)
    else:
        d.limb([(0, 0.26), (0, 0.56), (0, 0.72)], (0.27, 0.24, 0.17), fur.main, 0.6, fur.pattern)
        d.limb([(0, 0.66), (0, 0.46)], (0.15, 0.11), fur.light, 0.3)
        for x in (-0.12, 0.12):
            d.limb([(x * 2.3, 0.1), (x * 2.6, 0.05)], (0.1, 0.065), tint(fur.main, 0.92), 0.5)
            d.limb([(x, 0.56), (x, 0.06)], (0.09, 0.06), fur.light, 0.5)
            d.limb([(x, 0.05), (x * 1.1, 0.04)], (0.07, 0.06), fur.light, 0.4)
        _collar(d, [(-0.16, 0.76), (0.16, 0.76)], rng)
        _dog_face(d, (0, 0.96), 0.19, fur, lop)
        d.pose = "Frontal"
    return d


def _collar(d: Drawing, ends: list[tuple[float, float]], rng: np.random.Generator) -> None:
    if rng.random() < 0.5:
        d.line(ends, 0.05, any_colour(rng))


def _dog_standing(d: Drawing, fur: _Fur, lop: bool, rng: np.random.Generator) -> None:
    wag, leg = rng.uniform(0.0, 0.4), rng.uniform(0.42, 0.56)
    d.limb(
        [(-0.5, leg + 0.14), (-0.7, leg + 0.1 + wag * 0.7), (-0.82, leg + 0.08 + wag)],
        (0.06, 0.045, 0.02),
        tint(fur.main, 0.9),
        0.5,
    )
    stride = rng.uniform(0.02, 0.12)
    for hip, sign, shade in ((-0.4, 1, 0.7), (0.36, -1, 0.7), (-0.44, -1, 1.0), (0.4, 1, 1.0)):
        foot = hip + sign * stride
        knee = (hip - 0.05, leg * 0.55) if hip < 0 else (hip + 0.02, leg * 0.5)
        d.limb(
            [(hip, leg + 0.02), knee, (foot, 0.05)], (0.13 if hip < 0 else 0.1, 0.06, 0.045), tint(fur.main, shade), 0.5
        )
        d.limb([(foot, 0.045), (foot + 0.07, 0.04)], (0.048, 0.042), tint(fur.light, shade), 0.4)
    d.limb([(-0.42, leg + 0.08), (0.0, leg + 0.1), (0.34, leg + 0.08)], (0.15, 0.15, 0.21), fur.main, 0.6, fur.pattern)
    d.limb([(0.38, leg + 0.16), (0.58, leg + 0.36)], (0.15, 0.11), fur.main, 0.45, fur.pattern)
    _collar(d, [(0.45, leg + 0.38), (0.66, leg + 0.22)], rng)
    _dog_head(d, (0.64, leg + 0.45), 0.15, fur, lop, rng)


def _dog_head(d: Drawing, at: tuple[float, float], r: float, fur: _Fur, lop: bool, rng: np.random.Generator) -> None:
    x, y = at
    if not lop:
        d.fill(
            [(x - r * 0.75, y + r * 0.5), (x - r * 0.55, y + r * 1.6), (x + r * 0.05, y + r * 0.8)],
            tint(fur.main, 0.8),
            0.3,
        )
    dip = rng.uniform(0.1, 0.5) * r
    d.limb([(x + r * 0.3, y - r * 0.2), (x + r * 1.7, y - r * 0.2 - dip)], (r * 0.62, r * 0.36), fur.light, 0.5)
    d.line([(x + r * 0.8, y - r * 0.6 - dip * 0.5), (x + r * 1.9, y - r * 0.42 - dip)], r * 0.08, (40, 25, 22))
    d.disc((x, y), (r * 1.0, r * 0.95), fur.main, bump=0.5, pattern=fur.pattern)
    d.disc((x + r * 2.0, y - r * 0.08 - dip), (r * 0.2, r * 0.18), (18, 16, 16), bump=0.3)
    d.disc((x + r * 0.45, y + r * 0.25), (r * 0.15, r * 0.15), (20, 14, 10))
    d.disc((x + r * 0.5, y + r * 0.3), (r * 0.05, r * 0.05), (240, 240, 240))
    if lop:
        ear = [(x - r * 0.35, y + r * 0.6), (x - r * 0.6, y - r * 0.15), (x - r * 0.5, y - r * 0.75)]
        d.limb(ear, (r * 0.22, r * 0.36, r * 0.24), tint(fur.main, 0.65), 0.4)
    else:
        d.fill(
            [(x - r * 0.5, y + r * 0.5), (x - r * 0.15, y + r * 1.65), (x + r * 0.3, y + r * 0.75)],
            tint(fur.main, 0.9),
            0.3,
        )
    if rng.random() < 0.3:
        tongue = [(x + r * 1.3, y - r * 0.55 - dip), (x + r * 1.35, y - r * 1.0 - dip)]
        d.limb(tongue, (r * 0.16, r * 0.14), (220, 110, 120), 0.3)


def _dog_face(d: Drawing, at: tuple[float, float], r: float, fur: _Fur, lop: bool) -> None:
    x, y = at
    for side in (-1, 1):
        if not lop:
            ear = [
                (x + side * r * 0.85, y + r * 0.4),
                (x + side * r * 0.8, y + r * 1.5),
                (x + side * r * 0.2, y + r * 0.85),
            ]
            d.fill(ear, tint(fur.main, 0.8), 0.3)
    d.disc((x, y), (r * 0.95, r), fur.main, bump=0.5, pattern=fur.pattern)
    d.limb([(x, y + r * 0.1), (x, y - r * 0.7)], (r * 0.36, r * 0.5), fur.light, 0.5)
    d.disc((x, y - r * 0.42), (r * 0.26, r * 0.19), (18, 16, 16), bump=0.4)
    d.line([(x, y - r * 0.55), (x, y - r * 0.85)], r * 0.07, (40, 25, 22))
    d.line([(x - r * 0.3, y - r * 0.95), (x, y - r * 0.85), (x + r * 0.3, y - r * 0.95)], r * 0.07, (40, 25, 22))
    for side in (-1, 1):
        d.disc((x + side * r * 0.45, y + r * 0.2), (r * 0.15, r * 0.15), (20, 14, 10))
        d.disc((x + side * r * 0.42, y + r * 0.25), (r * 0.05, r * 0.05), (240, 240, 240))
        if lop:
            ear = [
                (x + side * r * 0.8, y + r * 0.65),
                (x + side * r * 1.15, y + r * 0.05),
                (x + side * r * 1.1, y - r * 0.65),
            ]
            d.limb(ear, (r * 0.24, r * 0.34, r * 0.24), tint(fur.main, 0.65), 0.4)
