"""Cars and buses: extruded profiles with wheels, glass and lights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from duskbench.data_tools.miniature.colours import CHROME, GLASS, any_colour, dark_grey
from duskbench.data_tools.miniature.drawing import Colour, Drawing, tint

_Side = Callable[[float, float, float], tuple[float, float, float]]
_LAMP: Colour = (250.0, 245.0, 222.0)
_TAIL: Colour = (190.0, 25.0, 25.0)

# Side profiles, nose to the right: hood, windscreen, roof, rear window, boot, in metres.
_CARS: dict[str, tuple[list[tuple[float, float]], list[tuple[float, float]]]] = {
    "sedan": (
        [(2.15, 0.3), (2.2, 0.62), (2.05, 0.85), (1.0, 0.98), (0.35, 1.44), (-0.75, 1.46), (-1.4, 1.04), (-2.1, 0.98),
         (-2.2, 0.7), (-2.15, 0.3)],
        [(0.88, 1.0), (0.3, 1.38), (-0.72, 1.4), (-1.25, 1.03)],
    ),
    "hatchback": (
        [(1.85, 0.3), (1.9, 0.65), (1.75, 0.9), (0.95, 1.04), (0.3, 1.5), (-1.2, 1.5), (-1.72, 1.0), (-1.8, 0.7),
         (-1.75, 0.3)],
        [(0.84, 1.06), (0.26, 1.43), (-1.14, 1.43), (-1.5, 1.05)],
    ),
    "suv": (
        [(2.1, 0.38), (2.15, 0.8), (2.05, 1.08), (1.05, 1.18), (0.5, 1.74), (-1.85, 1.76), (-2.1, 1.15), (-2.12, 0.8),
         (-2.1, 0.38)],
        [(0.93, 1.2), (0.46, 1.66), (-1.72, 1.68), (-1.88, 1.2)],
    ),
    "pickup": (
        [(2.4, 0.4), (2.45, 0.8), (2.35, 1.05), (1.25, 1.14), (0.7, 1.7), (-0.4, 1.7), (-0.55, 1.1), (-2.4, 1.1),
         (-2.45, 0.7), (-2.4, 0.4)],
        [(1.13, 1.16), (0.66, 1.62), (-0.3, 1.62), (-0.4, 1.16)],
    ),
}  # fmt: skip


def car(rng: np.random.Generator) -> Drawing:
    """Draw a car: sedan, hatchback, off-roader or pickup, from any side."""
    d = Drawing(yaw=_yaw(rng), pitch=rng.uniform(0.03, 0.25), distance=rng.uniform(9, 16), grain=0.025, pose="Right")
    kind = str(rng.choice(list(_CARS)))
    profile, window = _CARS[kind]
    paint, half = any_colour(rng), 0.88
    belt, roof = window[0][1], max(y for _, y in profile)
    lean = {"sedan": 0.2, "hatchback": 0.18, "suv": 0.14, "pickup": 0.16}[kind]

    def side(x: float, y: float, sign: float) -> tuple[float, float, float]:
        return x, y, sign * half * (1 - lean * max(0.0, y - belt) / (roof - belt))

    wheel_r, axle = (0.38 if kind in ("suv", "pickup") else 0.32), 0.62 * profile[0][0]
    lit = float(rng.random() < 0.5)
    near = 1.0 if np.cos(d.yaw) > 0 else -1.0
    _shadow(d, profile[0][0], half)
    for x in (-axle * 1.02, axle):
        _wheel(d, (x, wheel_r, -near * (half - 0.12)), wheel_r, rng, plain=True)
    _strips(d, profile, side, paint, belt)
    _car_ends(d, profile, lit, float(rng.random() < 0.3))
    d.face([side(x, y, near) for x, y in (profile if near < 0 else profile[::-1])][::-1], paint)
    panes = [side(x, y, near * 1.01) for x, y in window]
    d.face(panes if near < 0 else panes[::-1], GLASS)
    pillar = (window[1][0] + window[2][0]) / 2 - 0.05
    d.line([side(pillar, belt, near * 1.02), side(pillar, window[1][1], near * 1.02)], 0.09, tint(paint, 0.75))
    for x in (window[0][0] - 0.05, pillar):
        d.line([side(x, belt, near * 1.01), side(x - 0.06, 0.45, near * 1.01)], 0.025, tint(paint, 0.55))
    d.line([side(profile[-1][0], 0.36, near * 1.01), side(profile[0][0], 0.36, near * 1.01)], 0.1, tint(paint, 0.45))
    d.line([side(pillar - 0.12, belt - 0.12, near * 1.02), side(pillar - 0.3, belt - 0.12, near * 1.02)], 0.04, CHROME)
    for x in (-axle * 1.02, axle):
        d.disc((x, wheel_r + 0.02, near * half), (wheel_r * 1.18,) * 2, (18, 18, 20))
        _wheel(d, (x, wheel_r, near * (half + 0.01)), wheel_r, rng)
    mirror = side(window[0][0] - 0.12, belt + 0.1, near * 1.12)
    d.disc(mirror, (0.1, 0.08), tint(paint, 0.8), bump=0.4)
    return d


def _yaw(rng: np.random.Generator) -> float:
    """Any side, but seldom straight from the end, where a vehicle is hard to tell."""
    yaw = rng.uniform(0.0, 1.15) * rng.choice([-1, 1])
    return float(yaw if rng.random() < 0.8 else np.pi + yaw)


def _shadow(d: Drawing, length: float, half: float) -> None:
    corners = [(-length, 0.2, -half), (length, 0.2, -half), (length, 0.2, half), (-length, 0.2, half)]
    d.fill(corners, (14, 14, 15))


def _strips(d: Drawing, profile: list[tuple[float, float]], side: _Side, paint: Colour, belt: float) -> None:
    """The skin across the vehicle; steep pieces above the belt line are glass."""
    order = sorted(
        range(len(profile) - 1),
        key=lambda i: sum(d.view([side(x, y, 0.0) for x, y in profile[i : i + 2]])[:, 2]),
    )
    for i in order:
        (x0, y0), (x1, y1) = profile[i], profile[i + 1]
        d.face([side(x0, y0, 1), side(x0, y0, -1), side(x1, y1, -1), side(x1, y1, 1)], paint)
        if max(y0, y1) > belt + 0.2 and abs(y1 - y0) > 0.25:
            low, high = 0.1, 0.92
            ax, ay = x0 + (x1 - x0) * low, y0 + (y1 - y0) * low
            bx, by = x0 + (x1 - x0) * high, y0 + (y1 - y0) * high
            d.face([side(ax, ay, 0.88), side(ax, ay, -0.88), side(bx, by, -0.88), side(bx, by, 0.88)], GLASS)


def _car_ends(d: Drawing, profile: list[tuple[float, float]], head: float, tail: float) -> None:
    front, back = profile[1][0] + 0.02, profile[-2][0] - 0.02
    low, high = profile[0][1] + 0.05, profile[2][1]
    for z in (-0.66, 0.66):
        light = [(front, high - 0.28, z + 0.2), (front, high - 0.28, z - 0.2), (front - 0.06, high - 0.08, z - 0.18),
                 (front - 0.06, high - 0.08, z + 0.18)]  # fmt: skip
        d.face(light, _LAMP, glow=head)
        lamp = [(back, high - 0.3, z - 0.18), (back, high - 0.3, z + 0.18), (back, high - 0.08, z + 0.18),
                (back, high - 0.08, z - 0.18)]  # fmt: skip
        d.face(lamp, _TAIL, glow=tail)
    grille = [
        (front, low + 0.12, 0.4),
        (front, low + 0.12, -0.4),
        (front, high - 0.14, -0.4),
        (front, high - 0.14, 0.4),
    ]
    d.face(grille, (40, 40, 44))
    plate = [(0, low, 0.22), (0, low, -0.22), (0, low + 0.14, -0.22), (0, low + 0.14, 0.22)]
    d.face([(front + 0.01, y, z) for _, y, z in plate], (225, 225, 215))
    d.face([(back - 0.01, y + 0.15, -z) for _, y, z in plate], (225, 225, 215))
    d.face([(back - 0.01, low - 0.02, -0.8), (back - 0.01, low - 0.02, 0.8), (back - 0.01, low + 0.1, 0.8),
            (back - 0.01, low + 0.1, -0.8)], (60, 60, 62))  # fmt: skip


def _wheel(
    d: Drawing, centre: tuple[float, float, float], radius: float, rng: np.random.Generator, plain: bool = False
) -> None:
    d.disc(centre, (radius, radius), dark_grey(rng), bump=0.2)
    if plain:
        return
    d.disc(centre, (radius * 0.66, radius * 0.66), (165, 167, 172), bump=0.3)
    for angle in np.linspace(0, 2 * np.pi, 5, endpoint=False) + 0.3:
        x, y = radius * 0.45 * np.cos(angle), radius * 0.45 * np.sin(angle)
        d.disc((centre[0] + x, centre[1] + y, centre[2]), (radius * 0.13,) * 2, (60, 60, 62))
    d.disc(centre, (radius * 0.15,) * 2, (90, 90, 94))


def bus(rng: np.random.Generator) -> Drawing:
    """Draw a bus: a long box with a row of windows, doors and a destination sign; at times a double-decker."""
    d = Drawing(
        yaw=_yaw(rng) * 0.9, pitch=rng.uniform(0.0, 0.15), distance=rng.uniform(18, 30), grain=0.025, pose="Right"
    )
    double = rng.random() < 0.2
    length, half = rng.uniform(4.0, 5.6), 1.25
    top = 4.2 if double else rng.uniform(2.9, 3.25)
    paint, band = any_colour(rng), any_colour(rng)
    near = 1.0 if np.cos(d.yaw) > 0 else -1.0
    inside = float(rng.random() < 0.6)
    glass = (208.0, 205.0, 170.0) if inside and rng.random() < 0.5 else GLASS
    decks = [(1.35, 2.2), (2.75, 3.6)] if double else [(1.35, top - 0.65)]
    _shadow(d, length, half)
    for x in (-length * 0.55, length * 0.6):
        _wheel(d, (x, 0.5, -near * (half - 0.1)), 0.5, rng, plain=True)
    d.boxes([((-length, 0.35, -half), (length, top, half), paint)])
    if rng.random() < 0.5:
        d.boxes([((-length * 0.5, top, -0.7), (length * 0.1, top + 0.22, 0.7), tint(paint, 0.85))])
    z = near * (half + 0.01)

    def panel(x0: float, x1: float, y0: float, y1: float, colour: Colour, glow: float = 0.0) -> None:
        points = [(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)]
        d.face(points if near > 0 else points[::-1], colour, glow=glow)

    if rng.random() < 0.8:
        panel(-length, length, 0.75, rng.uniform(1.0, 1.3), band)
    panel(-length, length, 0.35, 0.5, tint(paint, 0.4))
    panes = int(rng.integers(5, 8))
    step = (2 * length - 0.6) / panes
    for low, high in decks:
        panel(-length + 0.25, length - 0.25, low - 0.05, high + 0.05, (35, 37, 40))
        for i in range(panes):
            x = -length + 0.35 + i * step
            panel(x, x + step - 0.14, low, high, glass, glow=0.35 * inside)
    for x in (length - 0.5 - step, -length * 0.1):
        panel(x, x + step * 0.85, 0.45, 2.15, (45, 48, 52))
        panel(x + 0.08, x + step * 0.4, 0.55, 2.05, glass, glow=0.3 * inside)
        panel(x + step * 0.46, x + step * 0.77, 0.55, 2.05, glass, glow=0.3 * inside)
    _bus_ends(d, length, top, decks, band, float(rng.random() < 0.6))
    for x in (-length * 0.55, length * 0.55 - 0.2):
        d.disc((x, 0.52, z), (0.6, 0.6), (18, 18, 20))
        _wheel(d, (x, 0.5, z * 1.01), 0.5, rng)
    return d


def _bus_ends(
    d: Drawing, length: float, top: float, decks: list[tuple[float, float]], band: Colour, lit: float
) -> None:
    for sign in (1.0, -1.0):
        x = sign * (length + 0.01)

        def end(z0: float, z1: float, y0: float, y1: float, colour: Colour, glow: float = 0.0, at: float = x) -> None:
            points = [(at, y0, z1), (at, y0, z0), (at, y1, z0), (at, y1, z1)]
            d.face(points if at > 0 else points[::-1], colour, glow=glow)

        for low, high in decks:
            end(-1.12, 1.12, low - 0.15 if sign > 0 else low, high, (60, 76, 88))
        end(-1.25, 1.25, 0.75, 1.0, band)
        for z in (-0.95, 0.95):
            end(z - 0.2, z + 0.2, 0.62, 0.88, _LAMP if sign > 0 else _TAIL, glow=lit * (1.0 if sign > 0 else 0.5))
        if sign > 0:
            end(-0.9, 0.9, top - 0.5, top - 0.14, (30, 30, 30))
            end(-0.75, 0.75, top - 0.43, top - 0.21, (255, 190, 60), glow=0.8)
            for z in (-0.03, 0.03):
                end(z - 0.02, z + 0.02, decks[0][0] - 0.15, decks[0][1], (30, 30, 32))
        end(-1.25, 1.25, 0.35, 0.5, (40, 40, 42))
