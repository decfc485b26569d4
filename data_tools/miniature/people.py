"""People: standing, walking, sitting, waving, seen from the front, the back or the side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from duskbench.data_tools.miniature.colours import FURS, SKINS, any_colour, muted, pick
from duskbench.data_tools.miniature.drawing import Colour, Drawing, Pattern, tint


@dataclass(frozen=True)
class _Look:
    skin: Colour
    hair: Colour
    top: Colour
    pattern: Pattern | None
    legs: Colour
    shoes: Colour
    sleeves: bool
    skirt: bool
    long_hair: bool
    hat: Colour | None


def _look(rng: np.random.Generator) -> _Look:
    top = any_colour(rng) if rng.random() < 0.6 else muted(rng)
    pattern = None
    if rng.random() < 0.4:
        kind = str(rng.choice(["stripes", "checks"]))
        pattern = Pattern(kind, any_colour(rng), rng.uniform(0.08, 0.2), float(rng.choice([0, np.pi / 2])))
    return _Look(
        skin=pick(rng, SKINS),
        hair=pick(rng, FURS),
        top=top,
        pattern=pattern,
        legs=tint(muted(rng), 0.7) if rng.random() < 0.8 else any_colour(rng),
        shoes=pick(rng, ((30, 30, 30), (90, 60, 40), (220, 220, 220))),
        sleeves=bool(rng.random() < 0.6),
        skirt=bool(rng.random() < 0.22),
        long_hair=bool(rng.random() < 0.4),
        hat=any_colour(rng) if rng.random() < 0.18 else None,
    )


def person(rng: np.random.Generator) -> Drawing:
    """Draw a person, clothed and with hair of many kinds; front, back, side, or sitting."""
    d = Drawing(grain=0.03)
    look = _look(rng)
    pose = rng.choice(["front", "front", "back", "side", "side", "sit"])
    build = rng.uniform(0.85, 1.2)
    if pose == "side":
        _walking(d, look, build, rng)
    elif pose == "sit":
        _sitting(d, look, build, rng)
    else:
        _upright(d, look, build, bool(pose == "front"), rng)
    return d


def _arm(d: Drawing, look: _Look, joints: list[tuple[float, float]], width: float, shade: float = 1.0) -> None:
    cloth, skin = tint(look.top, shade * 0.93), tint(look.skin, shade)
    radii = (0.065 * width, 0.052 * width, 0.04 * width)
    if look.sleeves:
        d.limb(joints, radii, cloth, 0.5, look.pattern)
    else:
        d.limb(joints, radii, skin, 0.5)
        half = tuple(np.mean([joints[0], joints[1]], axis=0))
        d.limb([joints[0], half], (0.072 * width, 0.065 * width), cloth, 0.4, look.pattern)
    d.disc(joints[-1], (0.045, 0.05), skin, bump=0.4)


def _upright(d: Drawing, look: _Look, build: float, front: bool, rng: np.random.Generator) -> None:
    d.pose = "Frontal" if front else "Rear"
    stance, hip = rng.uniform(0.07, 0.16), 0.1 * build
    for side in (-1, 1):
        foot = side * (stance + rng.uniform(0, 0.05))
        legs = [(side * hip, 0.9), (side * (hip + stance) / 2 * 1.1, 0.48), (foot, 0.08)]
        leg = look.skin if look.skirt else look.legs
        d.limb(legs, (0.1 * build, 0.075 * build, 0.055), tint(leg, 0.92 if side > 0 else 1.0), 0.5)
        d.limb([(foot, 0.05), (foot + side * 0.04, 0.035)], (0.055, 0.045), look.shoes, 0.4)
    if look.skirt:
        hem = rng.uniform(0.4, 0.65)
        d.fill([(-0.15 * build, 1.0), (0.15 * build, 1.0), (0.3 * build, hem), (-0.3 * build, hem)], look.legs, 0.5)
    poses = {
        "down": lambda s: [(s * 0.2, 1.4), (s * 0.28, 1.13), (s * 0.27, 0.87)],
        "hip": lambda s: [(s * 0.2, 1.4), (s * 0.4, 1.18), (s * 0.17, 1.0)],
        "wave": lambda s: [(s * 0.2, 1.4), (s * 0.43, 1.48), (s * 0.46, 1.78)],
        "out": lambda s: [(s * 0.2, 1.4), (s * 0.45, 1.3), (s * 0.66, 1.22)],
        "up": lambda s: [(s * 0.2, 1.4), (s * 0.33, 1.65), (s * 0.25, 1.92)],
    }
    arms = {side: str(rng.choice(["down", "down", "down", "hip", "wave", "out", "up"])) for side in (-1, 1)}
    shift = [
        (x * build, y) for x, y in [(-0.2, 1.42), (0.2, 1.42), (0.15, 1.1), (0.16, 0.88), (-0.16, 0.88), (-0.15, 1.1)]
    ]
    for side in (-1, 1):
        if arms[side] == "down":
            _arm(d, look, [(x * build, y) for x, y in poses["down"](side)], build)
    d.limb([(0, 1.42), (0, 1.52)], (0.065, 0.06), tint(look.skin, 0.85), 0.3)
    d.fill(shift, look.top, 0.55, look.pattern)
    d.limb([(-0.17 * build, 1.41), (0, 1.45), (0.17 * build, 1.41)], (0.065, 0.07, 0.065), look.top, 0.3, look.pattern)
    if rng.random() < 0.3:
        d.line([(-0.16 * build, 0.9), (0.16 * build, 0.9)], 0.05, (50, 35, 25))
    _head(d, (0, 1.66), look, "front" if front else "back", rng)
    for side in (-1, 1):
        if arms[side] != "down":
            _arm(d, look, [(x * build, y) for x, y in poses[arms[side]](side)], build)


def _walking(d: Drawing, look: _Look, build: float, rng: np.random.Generator) -> None:
    d.pose = "Right"
    stride, swing = rng.uniform(0.08, 0.34), rng.uniform(0.05, 0.3)
    _arm(d, look, [(0.0, 1.4), (swing * 0.6, 1.14), (swing * 1.5, 0.95)], build, 0.75)
    for sign, shade in ((-1, 0.72), (1, 1.0)):
        foot, lift = sign * stride, 0.08 if sign > 0 else 0.12
        knee = (foot * 0.5 + 0.06, 0.5)
        d.limb([(0, 0.92), knee, (foot, lift)], (0.11 * build, 0.08 * build, 0.055), tint(look.legs, shade), 0.5)
        d.limb([(foot, lift - 0.03), (foot + 0.13, lift - 0.05)], (0.05, 0.035), tint(look.shoes, shade), 0.4)
    d.limb(
        [(0, 0.94), (0.0, 1.18), (0.02, 1.38)], (0.12 * build, 0.12 * build, 0.13 * build), look.top, 0.55, look.pattern
    )
    if rng.random() < 0.3:
        d.limb([(-0.17, 1.35), (-0.19, 1.05)], (0.1, 0.12), any_colour(rng), 0.5)
    d.limb([(0.02, 1.45), (0.03, 1.54)], (0.06, 0.06), tint(look.skin, 0.85), 0.3)
    _head(d, (0.05, 1.67), look, "side", rng)
    _arm(d, look, [(0.0, 1.4), (-swing * 0.8, 1.14), (-swing, 0.92 + swing * 0.2)], build)


def _sitting(d: Drawing, look: _Look, build: float, rng: np.random.Generator) -> None:
    d.pose = "Right"
    seat, lean = rng.uniform(0.42, 0.5), rng.uniform(-0.1, 0.12)
    if rng.random() < 0.5:
        box = any_colour(rng)
        d.boxes([((-0.3, 0, -0.2), (0.2, seat - 0.1, 0.2), box)])
    for shade, reach in ((0.72, 0.04), (1.0, 0.0)):
        d.limb(
            [(0, seat), (0.42 + reach, seat + 0.04), (0.4 + reach * 2, 0.08)],
            (0.12 * build, 0.085, 0.055),
            tint(look.legs, shade),
            0.5,
        )
        d.limb([(0.4 + reach * 2, 0.05), (0.54 + reach * 2, 0.035)], (0.05, 0.035), tint(look.shoes, shade), 0.4)
    d.limb(
        [(-0.02, seat), (lean * 0.5, seat + 0.25), (lean, seat + 0.45)],
        (0.14 * build, 0.13 * build, 0.13 * build),
        look.top,
        0.55,
        look.pattern,
    )
    d.limb([(lean, seat + 0.55), (lean + 0.02, seat + 0.62)], (0.06, 0.06), tint(look.skin, 0.85), 0.3)
    _head(d, (lean + 0.04, seat + 0.75), look, "side", rng)
    _arm(d, look, [(lean, seat + 0.5), (0.1, seat + 0.22), (0.36, seat + rng.uniform(0.12, 0.3))], build)


def _head(d: Drawing, at: tuple[float, float], look: _Look, seen: str, rng: np.random.Generator) -> None:
    x, y = at
    if look.long_hair:
        d.limb(
            [(x, y + 0.03), (x - (0.04 if seen == "side" else 0), y - 0.17)], (0.125, 0.11), tint(look.hair, 0.85), 0.3
        )
    if seen == "back":
        d.disc(at, (0.105, 0.13), look.hair, bump=0.4)
    else:
        d.disc(at, (0.1, 0.13), look.skin, bump=0.4)
        cap = np.linspace(0.1, np.pi - 0.1, 14) + (0.45 if seen == "side" else 0.0)
        top = [(x + 0.115 * np.cos(a), y + 0.02 + 0.13 * np.sin(a)) for a in cap]
        d.fill([*top, (x - 0.06, y + 0.05), (x + 0.06, y + 0.06)], look.hair, 0.3)
    if seen == "front":
        for side in (-1, 1):
            d.disc((x + side * 0.04, y + 0.005), (0.018, 0.012), (30, 24, 22))
            d.disc((x + side * 0.1, y - 0.01), (0.018, 0.03), tint(look.skin, 0.85))
        d.line([(x, y), (x + 0.012, y - 0.04)], 0.014, tint(look.skin, 0.7))
        d.line([(x - 0.035, y - 0.07), (x + 0.035, y - 0.07)], 0.018, (150, 70, 70))
    elif seen == "side":
        d.fill([(x + 0.09, y + 0.01), (x + 0.135, y - 0.035), (x + 0.09, y - 0.045)], look.skin)
        d.disc((x + 0.06, y + 0.01), (0.014, 0.012), (30, 24, 22))
        d.line([(x + 0.05, y - 0.075), (x + 0.09, y - 0.07)], 0.016, (150, 70, 70))
        d.disc((x - 0.015, y - 0.01), (0.02, 0.03), tint(look.skin, 0.8))
    if look.hat is not None:
        brim = 0.17 if rng.random() < 0.5 else 0.12
        d.disc((x, y + 0.09), (0.115, 0.09), look.hat, bump=0.4)
        d.line([(x - brim, y + 0.06), (x + brim + 0.03, y + 0.06)], 0.03, tint(look.hat, 0.7))
