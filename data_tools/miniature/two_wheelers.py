"""Bicycles and motorbikes."""

from __future__ import annotations

import numpy as np

from duskbench.data_tools.miniature.colours import BLACK, CHROME, any_colour, dark_grey, muted
from duskbench.data_tools.miniature.drawing import Colour, Drawing, ellipse, tint


def bicycle(rng: np.random.Generator) -> Drawing:
    """Draw a bicycle: thin wheels with spokes, a tube frame, saddle and handlebar."""
    d = Drawing(yaw=rng.uniform(-1.0, 1.0), pitch=rng.uniform(0.02, 0.2), distance=6, grain=0.03, pose="Right")
    frame, tyre = any_colour(rng), dark_grey(rng)
    radius, base = rng.uniform(0.31, 0.36), rng.uniform(0.98, 1.12)
    rear, front, crank = (-base / 2, radius), (base / 2, radius), (-0.08, radius - 0.05)
    seat_top, head = (-0.26, rng.uniform(0.78, 0.9)), (base / 2 - 0.17, rng.uniform(0.78, 0.88))
    basket = rng.random() < 0.25
    for hub in (rear, front):
        _spoked_wheel(d, hub, radius, tyre, rng.uniform(0.035, 0.055))
    if rng.random() < 0.5:
        for hub in (rear, front):
            arc = ellipse(hub, (radius + 0.05,) * 2)[4:15]
            d.line(arc, 0.035, tint(frame, 0.8))
    tube = rng.uniform(0.042, 0.06)
    seat_joint = (seat_top[0] + 0.03, seat_top[1] - 0.12)
    d.line([rear, seat_joint], tube * 0.7, frame)
    d.line([rear, crank], tube * 0.7, frame)
    if rng.random() < 0.3:  # step-through
        d.line([(crank[0] + 0.02, crank[1] + 0.1), head], tube * 1.1, frame)
    else:
        d.line([seat_joint, (head[0], head[1] - 0.02)], tube, frame)
    d.line([crank, (head[0] + 0.01, head[1] - 0.1)], tube * 1.1, frame)
    d.line([crank, seat_top], tube, frame)
    bar = (head[0] - 0.04, head[1] + 0.14)
    d.line([front, (head[0] + 0.03, head[1] - 0.1), bar], tube * 0.9, tint(frame, 0.85))
    d.disc(crank, (0.09, 0.09), CHROME)
    d.disc(crank, (0.055, 0.055), tint(frame, 0.5))
    swing = rng.uniform(0, np.pi)
    pedal = (0.17 * np.cos(swing), 0.17 * np.sin(swing))
    for side, z in ((-1, -0.1), (1, 0.1)):
        end = (crank[0] + side * pedal[0], crank[1] + side * pedal[1])
        d.line([(*crank, z), (*end, z)], 0.025, CHROME)
        d.line([(end[0] - 0.05, end[1], z * 1.6), (end[0] + 0.05, end[1], z * 1.6)], 0.04, BLACK)
    back, nose = (seat_top[0] - 0.14, seat_top[1] + 0.05), (seat_top[0] + 0.15, seat_top[1] + 0.02)
    d.fill([back, nose, (nose[0], nose[1] - 0.03), (seat_top[0], seat_top[1] - 0.03), (back[0], back[1] - 0.07)], BLACK)
    wide = rng.uniform(0.2, 0.3)
    if rng.random() < 0.35:  # drop bar
        for z in (-wide * 0.7, wide * 0.7):
            hook = [bar, (bar[0] + 0.12, bar[1] + 0.01), (bar[0] + 0.16, bar[1] - 0.08), (bar[0] + 0.06, bar[1] - 0.14)]
            d.line([(x, y, z) for x, y in hook], 0.04, BLACK)
        d.line([(*bar, -wide * 0.7), (*bar, wide * 0.7)], 0.035, CHROME)
    else:
        d.line([(bar[0] - 0.1, bar[1] + 0.05, -wide), (*bar, 0), (bar[0] - 0.1, bar[1] + 0.05, wide)], 0.04, CHROME)
        for z in (-wide, wide):
            d.line([(bar[0] - 0.1, bar[1] + 0.05, z), (bar[0] - 0.2, bar[1] + 0.05, z)], 0.05, BLACK)
    if basket:
        x, y = bar[0] + 0.1, bar[1] - 0.2
        d.boxes([((x, y, -0.15), (x + 0.24, y + 0.2, 0.15), muted(rng))])
    return d


def _spoked_wheel(d: Drawing, hub: tuple[float, float], radius: float, tyre: Colour, width: float) -> None:
    for angle in np.linspace(0, 2 * np.pi, 14, endpoint=False):
        tip = (hub[0] + radius * np.cos(angle), hub[1] + radius * np.sin(angle))
        d.line([hub, tip], 0.008, (150, 150, 155))
    d.ring((*hub, -0.02), radius, width, tyre)
    d.ring((*hub, 0.02), radius, width, tyre)
    d.ring((*hub, 0.02), radius - 0.035, 0.015, CHROME)
    d.disc(hub, (0.04, 0.04), CHROME)


def motorbike(rng: np.random.Generator) -> Drawing:
    """Draw a motorbike: fat tyres, an engine block, a tank, an exhaust; cruiser, sport or scooter."""
    d = Drawing(yaw=rng.uniform(-0.85, 0.85), pitch=rng.uniform(0.02, 0.2), distance=6, grain=0.03, pose="Right")
    body, kind = any_colour(rng), rng.choice(["cruiser", "sport", "scooter"])
    radius = 0.24 if kind == "scooter" else 0.32
    base = {"cruiser": 1.6, "sport": 1.4, "scooter": 1.25}[str(kind)]
    rear, front = (-base / 2, radius), (base / 2, radius)
    _fat_wheel(d, front, radius, rng)
    _fat_wheel(d, rear, radius, rng)
    if kind == "scooter":
        _scooter(d, rear, front, body, rng)
    else:
        _motorcycle(d, rear, front, body, str(kind), rng)
    return d


def _fat_wheel(d: Drawing, hub: tuple[float, float], radius: float, rng: np.random.Generator) -> None:
    for z in (-0.07, 0.0, 0.07):
        d.ring((*hub, z), radius - 0.055, 0.13, dark_grey(rng))
    d.disc((*hub, 0.06), (radius * 0.55, radius * 0.55), (95, 95, 100), bump=0.3)
    d.ring((*hub, 0.07), radius * 0.6, 0.03, CHROME)
    for angle in np.linspace(0, 2 * np.pi, 5, endpoint=False):
        tip = (hub[0] + radius * 0.58 * np.cos(angle), hub[1] + radius * 0.58 * np.sin(angle), 0.07)
        d.line([(*hub, 0.07), tip], 0.05, (175, 175, 180))
    d.disc((*hub, 0.08), (0.06, 0.06), CHROME, bump=0.4)


def _motorcycle(
    d: Drawing, rear: tuple[float, float], front: tuple[float, float], body: Colour, kind: str, rng: np.random.Generator
) -> None:
    top = rng.uniform(0.98, 1.08)
    head = (front[0] - 0.32, top - 0.15)
    for z in (-0.09, 0.09):
        d.line([(*front, z), (*head, z)], 0.07, CHROME)
        d.line([(*rear, z), (-0.2, 0.42, z)], 0.07, (70, 70, 75))
    d.fill([(-0.35, 0.28), (0.32, 0.26), (0.36, 0.62), (-0.3, 0.66)], (62, 62, 66), bump=0.4)
    for x in (-0.12, 0.12):
        d.fill([(x - 0.12, 0.36), (x + 0.1, 0.36), (x + 0.14, 0.66), (x - 0.08, 0.66)], (150, 150, 155), bump=0.6)
        for y in (0.42, 0.49, 0.56, 0.62):
            d.line([(x - 0.11, y), (x + 0.13, y)], 0.02, (70, 70, 72))
    d.disc((-0.02, 0.34, 0.12), (0.16, 0.13), (175, 175, 180), bump=0.5)
    d.limb([(0.1, 0.3, 0.14), (-0.25, 0.24, 0.16), (rear[0] - 0.2, 0.33, 0.18)], (0.04, 0.05, 0.075), CHROME, bump=0.7)
    tail = 0.86 if kind == "sport" else 0.74
    d.limb([(-0.62, tail, 0), (-0.22, 0.72, 0), (0.0, 0.76, 0)], (0.07, 0.09, 0.06), BLACK, bump=0.5)
    d.fill([(-0.62, 0.6), (-0.3, 0.58), (-0.25, 0.7), (-0.85, tail + 0.02)], body, bump=0.4)
    d.limb([(-0.05, 0.8, 0), (0.28, 0.88, 0), (0.42, 0.84, 0)], (0.1, 0.16, 0.11), body, bump=0.7)
    arc = ellipse(front, (front[1] + 0.05,) * 2)[6:16]
    d.line(arc, 0.07, body)
    d.line(ellipse(rear, (rear[1] + 0.06,) * 2)[4:15], 0.08, body)
    if kind == "sport":
        fairing = [(0.3, 0.36), (0.5, 0.45), (0.62, 0.72), (0.66, 0.95), (0.42, 1.08), (0.34, 0.85), (0.1, 0.6)]
        d.fill(fairing, body, bump=0.5)
        d.fill([(0.44, 1.06), (0.64, 0.95), (0.42, 1.22), (0.34, 1.18)], (110, 130, 145), bump=0.2)
        d.fill([(0.2, 0.6), (0.5, 0.68), (0.56, 0.76), (0.3, 0.7)], tint(body, 0.45))
        d.disc((0.61, 0.86, 0.05), (0.06, 0.08), (250, 245, 220), glow=float(rng.random() < 0.5))
        d.line([(0.36, 1.0, -0.3), (0.36, 1.0, 0.3)], 0.05, BLACK)
    else:
        d.disc((front[0] - 0.26, top - 0.12), (0.12, 0.13), CHROME, bump=0.6)
        d.disc((front[0] - 0.2, top - 0.12), (0.08, 0.11), (250, 245, 220), glow=float(rng.random() < 0.5))
        grip = front[0] - 0.55 - rng.uniform(0, 0.15)
        for z in (-0.36, 0.36):
            d.line([(*head, 0), (head[0], top + 0.08, z * 0.7), (grip, top + 0.06, z)], 0.05, CHROME)
            d.line([(grip, top + 0.06, z), (grip - 0.14, top + 0.05, z)], 0.065, BLACK)
    for z in (-0.3, 0.3):
        d.line([(head[0], top, z * 0.7), (head[0], top + 0.2, z)], 0.025, CHROME)
        d.disc((head[0], top + 0.22, z), (0.07, 0.05), BLACK)
    d.disc((-0.86, tail, 0), (0.05, 0.05), (215, 30, 30), glow=0.4)


def _scooter(
    d: Drawing, rear: tuple[float, float], front: tuple[float, float], body: Colour, rng: np.random.Generator
) -> None:
    top = rng.uniform(0.95, 1.05)
    column = (front[0] - 0.22, top)
    d.line([front, column], 0.09, tint(body, 0.7))
    d.fill([(-0.15, 0.2), (0.34, 0.2), (0.34, 0.3), (-0.15, 0.34)], tint(body, 0.8), bump=0.3)
    hump = [(-0.98, 0.5), (-0.9, 0.68), (-0.5, 0.76), (-0.12, 0.72), (-0.1, 0.3), (-0.4, 0.24), (-0.82, 0.34)]
    d.fill(hump, body, bump=0.6)
    shield = [(0.28, 0.22), (0.42, 0.24), (0.52, 0.6), (column[0] + 0.12, top - 0.05), (column[0] - 0.06, top - 0.02)]
    d.fill([*shield, (0.3, 0.55)], body, bump=0.5)
    d.line(ellipse(front, (front[1] + 0.05,) * 2)[3:15], 0.09, body)
    d.limb([(-0.85, 0.8, 0), (-0.5, 0.79, 0), (-0.16, 0.77, 0)], (0.06, 0.08, 0.06), BLACK, bump=0.5)
    d.disc((column[0] + 0.02, top + 0.03), (0.12, 0.1), body, bump=0.6)
    d.disc((column[0] + 0.1, top + 0.03), (0.06, 0.08), (250, 245, 220), glow=float(rng.random() < 0.5))
    for z in (-0.3, 0.3):
        d.line([(column[0], top + 0.06, 0), (column[0] - 0.1, top + 0.1, z)], 0.06, BLACK)
        d.line([(column[0], top + 0.06, z * 0.6), (column[0], top + 0.28, z)], 0.025, CHROME)
        d.disc((column[0], top + 0.3, z), (0.06, 0.05), BLACK)
    d.disc((rear[0] - 0.32, 0.55, 0), (0.04, 0.06), (215, 30, 30), glow=0.4)
