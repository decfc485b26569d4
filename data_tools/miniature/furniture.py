"""Chairs, tables, bottles and cups."""

from __future__ import annotations

import numpy as np

from duskbench.data_tools.miniature.colours import BLACK, CHROME, WOODS, any_colour, grey, muted, of_hsv, pick
from duskbench.data_tools.miniature.drawing import Colour, Drawing, Pattern, ellipse, tint

Box = tuple[tuple[float, ...], tuple[float, ...], Colour]


def chair(rng: np.random.Generator) -> Drawing:
    """Draw a chair: kitchen chair, armchair or office chair, from any side."""
    kind = rng.choice(["kitchen", "kitchen", "armchair", "office"])
    d = Drawing(yaw=rng.uniform(-np.pi, np.pi), pitch=rng.uniform(0.12, 0.4), distance=5, grain=0.04)
    if abs(d.yaw) < 0.5:
        d.pose = "Frontal"
    elif abs(d.yaw) > 2.6:
        d.pose = "Rear"
    if kind == "kitchen":
        _kitchen_chair(d, rng)
    elif kind == "armchair":
        cloth, high = any_colour(rng) if rng.random() < 0.5 else muted(rng), rng.uniform(0.85, 1.05)
        legs: list[Box] = [
            ((x, 0, z), (x + 0.06, 0.14, z + 0.06), pick(rng, WOODS)) for x in (-0.36, 0.3) for z in (-0.34, 0.28)
        ]
        d.boxes([
            *legs,
            ((-0.26, 0.12, -0.3), (0.26, 0.44, 0.36), tint(cloth, 1.06)),
            ((-0.4, 0.12, -0.4), (0.4, high, -0.2), cloth),
            ((-0.42, 0.12, -0.36), (-0.24, 0.62, 0.36), tint(cloth, 0.94)),
            ((0.24, 0.12, -0.36), (0.42, 0.62, 0.36), tint(cloth, 0.94)),
        ])  # fmt: skip
    else:
        _office_chair(d, rng)
    return d


def _kitchen_chair(d: Drawing, rng: np.random.Generator) -> None:
    wood = pick(rng, WOODS) if rng.random() < 0.6 else any_colour(rng)
    cushion = any_colour(rng) if rng.random() < 0.5 else tint(wood, 1.1)
    high, t = rng.uniform(0.85, 1.05), rng.uniform(0.035, 0.06)
    side, front = rng.uniform(0.19, 0.23), 0.2
    parts: list[Box] = []
    for x in (-side, side - t):
        parts.append(((x, 0, front - t), (x + t, 0.45, front), wood))
        parts.append(((x, 0, -front), (x + t, 0.45, -front + t), wood))
        parts.append(((x, 0.2, -front + t), (x + t, 0.24, front - t), tint(wood, 0.9)))
    parts.append(((-side - 0.02, 0.43, -front), (side + 0.02, 0.49, front + 0.03), cushion))
    back: list[Box] = [((x, 0.49, -front), (x + t, high, -front + t), wood) for x in (-side, side - t)]
    style = rng.integers(3)
    if style == 0:
        back += [
            ((-side, y, -front), (side, y + 0.07, -front + t * 0.7), wood) for y in np.linspace(0.6, high - 0.07, 3)
        ]
    elif style == 1:
        back += [
            ((x, 0.49, -front), (x + 0.025, high, -front + 0.025), wood) for x in np.linspace(-side, side - 0.03, 6)
        ]
        back.append(((-side, high - 0.08, -front), (side, high, -front + t), wood))
    else:
        back.append(((-side, 0.62, -front), (side, high, -front + t), cushion))
    # The back stands behind the seat or before it as a whole: box by box, depths would tie.
    if np.cos(d.yaw) > 0:
        d.boxes(back)
        d.boxes(parts)
    else:
        d.boxes(parts)
        d.boxes(back)


def _office_chair(d: Drawing, rng: np.random.Generator) -> None:
    cloth = any_colour(rng)
    for angle in np.linspace(0, 2 * np.pi, 5, endpoint=False) + rng.uniform(0, 1):
        x, z = 0.3 * np.cos(angle), 0.3 * np.sin(angle)
        d.limb([(0, 0.12, 0), (x, 0.07, z)], (0.03, 0.02), BLACK, bump=0.4)
        d.disc((x, 0.035, z), (0.04, 0.035), BLACK)
    d.line([(0, 0.1, 0), (0, 0.44, 0)], 0.06, CHROME)
    high = rng.uniform(0.95, 1.2)

    def back() -> None:
        d.line([(0, 0.45, -0.12), (0, 0.7, -0.25)], 0.07, BLACK)
        rim = [
            (0.24 * np.cos(a), (0.6 + high) / 2 + (high - 0.6) / 2 * np.sin(a), -0.24) for a in np.linspace(0, 6.2, 24)
        ]
        d.fill([(x * 1.05 if abs(x) > 0.1 else x, y, z) for x, y, z in rim], cloth, bump=0.4)

    def seat() -> None:
        rim = [(0.27 * np.cos(a), 0.47, 0.25 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 24, endpoint=False)]
        d.fill([(x, y - 0.06, z) for x, y, z in rim], tint(cloth, 0.6))
        d.fill(rim, tint(cloth, 1.1), bump=0.3)
        for x in (-0.29, 0.29):
            d.line([(x, 0.45, 0), (x, 0.66, 0)], 0.035, BLACK)
            d.line([(x, 0.66, -0.14), (x, 0.66, 0.16)], 0.06, BLACK)

    for part in (back, seat) if np.cos(d.yaw) > 0 else (seat, back):
        part()


def table(rng: np.random.Generator) -> Drawing:
    """Draw a table: four legs, a round one on a pedestal, or one under a cloth, laid or bare."""
    kind = rng.choice(["legs", "legs", "round", "cloth"])
    d = Drawing(yaw=rng.uniform(-0.75, 0.75), pitch=rng.uniform(0.15, 0.5), distance=rng.uniform(4, 8), grain=0.04)
    wood = pick(rng, WOODS) if rng.random() < 0.7 else any_colour(rng)
    wide, deep, high = rng.uniform(0.6, 1.0), rng.uniform(0.36, 0.5), 0.74
    if kind == "round":
        wide = deep = rng.uniform(0.5, 0.65)
        _round_table(d, wide, high, wood, rng)
    else:
        t = rng.uniform(0.05, 0.09)
        legs: list[Box] = [
            ((x, 0, z), (x + t, high - 0.1, z + t), tint(wood, 0.85))
            for x in (-wide + 0.05, wide - 0.05 - t)
            for z in (-deep + 0.04, deep - 0.04 - t)
        ]
        d.boxes(legs)
        if kind == "cloth":
            cloth, drop = muted(rng), rng.uniform(0.2, 0.45)
            d.boxes([((-wide - 0.02, high - drop, -deep - 0.02), (wide + 0.02, high, deep + 0.02), cloth)])
            rim = [(-wide, high, deep), (wide, high, deep), (wide, high, -deep), (-wide, high, -deep)]
            kinds = ["checks", "stripes"]
            d.face(rim, cloth, pattern=Pattern(str(rng.choice(kinds)), any_colour(rng), rng.uniform(0.1, 0.2)))
        else:
            inset = 0.08
            d.boxes(
                [
                    (
                        (-wide + inset, high - 0.14, -deep + inset),
                        (wide - inset, high - 0.05, deep - inset),
                        tint(wood, 0.8),
                    )
                ]
            )
            d.boxes([((-wide, high - 0.06, -deep), (wide, high, deep), wood)])
    d.spots = [np.array([x * wide, high, rng.uniform(-0.3, 0.6) * deep]) for x in (-0.6, -0.1, 0.45)]
    if rng.random() < 0.6:
        _lay(d, wide, deep, high, rng)
    return d


def _round_table(d: Drawing, radius: float, high: float, wood: Colour, rng: np.random.Generator) -> None:
    around = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    if rng.random() < 0.5:
        d.limb([(0, 0.04, 0), (0, high, 0)], (0.05, 0.07), tint(wood, 0.8), bump=0.6)
        d.fill([(0.32 * np.cos(a), 0.03, 0.32 * np.sin(a)) for a in around], tint(wood, 0.7), bump=0.3)
        d.limb([(0, 0.06, 0), (0, 0.3, 0)], (0.12, 0.05), tint(wood, 0.8), bump=0.6)
    else:
        for a in np.array([0.7, 2.3, 3.9, 5.4]):
            x, z = radius * 0.75 * np.cos(a), radius * 0.75 * np.sin(a)
            d.limb([(x * 1.1, 0.02, z * 1.1), (x, high, z)], (0.03, 0.045), tint(wood, 0.8), bump=0.5)
    d.fill([(radius * np.cos(a), high - 0.06, radius * np.sin(a)) for a in around], tint(wood, 0.6))
    d.fill([(radius * np.cos(a), high - 0.03, radius * np.sin(a)) for a in around], tint(wood, 0.7))
    d.fill([(radius * np.cos(a), high, radius * np.sin(a)) for a in around], tint(wood, 1.05), bump=0.15)


def _lay(d: Drawing, wide: float, deep: float, high: float, rng: np.random.Generator) -> None:
    around = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    for _ in range(int(rng.integers(1, 4))):
        x, z, r = rng.uniform(-0.7, 0.7) * wide, rng.uniform(-0.5, 0.5) * deep, rng.uniform(0.09, 0.14)
        if rng.random() < 0.6:
            d.fill(
                [(x + r * np.cos(a), high + 0.01, z + r * np.sin(a)) for a in around],
                grey(rng.uniform(190, 245)),
                bump=0.2,
            )
            food = [(x + 0.55 * r * np.cos(a), high + 0.02, z + 0.55 * r * np.sin(a)) for a in around]
            d.fill(food, muted(rng), bump=0.3)
        else:
            d.boxes([((x - r, high, z - r), (x + r, high + rng.uniform(0.02, 0.1), z + r * 0.6), any_colour(rng))])


_BOTTLES: dict[str, list[tuple[float, float]]] = {
    "wine": [(0.37, 0), (0.38, 0.05), (0.38, 1.75), (0.34, 1.95), (0.17, 2.25), (0.14, 2.4), (0.14, 2.9),
             (0.165, 2.92), (0.165, 3.02)],
    "beer": [(0.3, 0), (0.31, 0.05), (0.31, 1.15), (0.26, 1.4), (0.15, 1.75), (0.12, 2.15), (0.15, 2.18), (0.15, 2.3)],
    "plastic": [(0.3, 0), (0.34, 0.06), (0.34, 0.5), (0.3, 0.65), (0.34, 0.8),
                (0.34, 1.5), (0.3, 1.65), (0.13, 2.0), (0.13, 2.1), (0.17, 2.1), (0.17, 2.28)],
    "flask": [(0.42, 0), (0.44, 0.06), (0.44, 0.9), (0.36, 1.1), (0.16, 1.3), (0.14, 1.75), (0.18, 1.78), (0.18, 1.95)],
}  # fmt: skip


def bottle(rng: np.random.Generator) -> Drawing:
    """Draw a bottle: wine, beer, water or spirits, with a label and a cap."""
    d = Drawing(grain=0.02, pose="Unspecified")
    kind = str(rng.choice(list(_BOTTLES)))
    profile = [(r * rng.uniform(0.95, 1.1), y) for r, y in _BOTTLES[kind]]
    glass = (
        of_hsv(rng.uniform(0.5, 0.62), rng.uniform(0.05, 0.35), rng.uniform(0.65, 0.92))
        if kind == "plastic"
        else of_hsv(rng.choice([0.08, 0.1, 0.3, 0.36, 0.55, 0.0]), rng.uniform(0.2, 0.75), rng.uniform(0.2, 0.75))
    )
    outline = [(r, y) for r, y in profile] + [(-r, y) for r, y in profile[::-1]]
    d.fill(outline, glass, bump=0.75)
    body_r, neck_y, top = profile[1][0], profile[-3][1], profile[-1][1]
    shoulder = {"wine": 1.75, "beer": 1.15, "plastic": 1.5, "flask": 0.9}[kind]
    if kind == "plastic" and rng.random() < 0.7:
        level = rng.uniform(0.4, 1.4)
        d.fill(
            [(body_r * 0.95, 0.05), (body_r * 0.95, level), (-body_r * 0.95, level), (-body_r * 0.95, 0.05)],
            any_colour(rng),
            bump=0.7,
        )
    if rng.random() < 0.85:
        low, high = rng.uniform(0.2, 0.35) * shoulder, rng.uniform(0.7, 0.95) * shoulder
        label = any_colour(rng) if rng.random() < 0.6 else grey(rng.uniform(200, 245))
        d.fill([(body_r, low), (body_r, high), (-body_r, high), (-body_r, low)], label, bump=0.5)
        stripe = (low + high) / 2
        d.fill(
            [(body_r, stripe - 0.08), (body_r, stripe + 0.08), (-body_r, stripe + 0.08), (-body_r, stripe - 0.08)],
            any_colour(rng),
            bump=0.5,
        )
    cap, r = any_colour(rng), profile[-1][0] * 1.05
    low = neck_y if kind != "wine" else top - rng.uniform(0.15, 0.6)
    d.fill([(r, low), (r, top + 0.02), (-r, top + 0.02), (-r, low)], cap, bump=0.6)
    d.fill(
        [(-body_r * 0.62, 0.15), (-body_r * 0.45, 0.15), (-body_r * 0.45, shoulder), (-body_r * 0.62, shoulder)],
        tint(glass, 1.8),
    )
    return d


def cup(rng: np.random.Generator) -> Drawing:
    """Draw a mug with its handle, a cup on a saucer, or a tumbler."""
    d = Drawing(pitch=rng.uniform(0.15, 0.5), grain=0.02, pose="Unspecified")
    colour, high, low_r, high_r = any_colour(rng), rng.uniform(0.8, 1.2), rng.uniform(0.3, 0.45), 0.5
    around = np.linspace(0, 2 * np.pi, 36, endpoint=False)

    def rim(radius: float, y: float) -> list[tuple[float, float, float]]:
        return [(radius * np.cos(a), y, radius * np.sin(a)) for a in around]

    if rng.random() < 0.35:
        d.fill(rim(0.85, 0.0), tint(colour, 0.85), bump=0.2)
        d.fill(rim(0.6, 0.02), tint(colour, 1.05), bump=0.2)
    if rng.random() < 0.75:
        d.line(ellipse((high_r + 0.05, high * 0.5), (0.24, high * 0.28)), 0.11, tint(colour, 0.85), closed=True)
    d.fill(rim(low_r, 0.0), tint(colour, 0.8))
    front = [(high_r * np.cos(a), high, high_r * np.sin(a)) for a in np.linspace(0, np.pi, 20)]
    base = [(low_r * np.cos(a), 0.0, low_r * np.sin(a)) for a in np.linspace(np.pi, 0, 20)]
    d.fill([*front, *base], colour, bump=0.7)
    d.fill(rim(high_r, high), tint(colour, 1.1))
    d.fill(rim(high_r * 0.88, high - 0.02), tint(colour, 0.55))
    d.fill(rim(high_r * 0.8, high - 0.1), any_colour(rng) if rng.random() < 0.3 else (70, 42, 26))
    return d
