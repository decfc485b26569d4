"""A display list of shaded shapes in three dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

Colour = tuple[float, float, float]
Points = np.ndarray | Sequence[tuple[float, ...]]

_CIRCLE = np.linspace(0, 2 * np.pi, 36, endpoint=False)


@dataclass(frozen=True)
class Pattern:
    """A second colour in stripes, checks or spots; `period` in model units, `angle` in radians."""

    kind: str
    colour: Colour
    period: float
    angle: float = 0.0


@dataclass(frozen=True)
class Stroke:
    """One shape: the union of some polygons, or a line of some width, in the drawing's plane (y up)."""

    polygons: tuple[np.ndarray, ...]
    colour: Colour
    width: float | None = None
    closed: bool = False
    bump: float = 0.0
    pattern: Pattern | None = None
    glow: float = 0.0


def tint(colour: Colour, factor: float) -> Colour:
    """Make a colour (RGB, 0 to 255) lighter or darker."""
    red, green, blue = (float(min(255.0, max(0.0, channel * factor))) for channel in colour)
    return red, green, blue


@dataclass
class Drawing:
    """Shapes in model units (x right, y up, z towards the viewer), seen from a direction.

    Attributes:
        yaw: Turn of the model around the vertical, in radians.
        pitch: How far the camera looks down, in radians.
        distance: Camera distance in model units; small numbers give strong perspective.
        light: Direction towards the light in view coordinates.
        grain: Strength of the surface texture laid over the whole drawing.
        pose: VOC's pose field.
        strokes: What was drawn, back to front.
        spots: Model points on which something can stand.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    distance: float = 12.0
    light: tuple[float, float, float] = (-0.45, 0.75, 0.5)
    grain: float = 0.05
    pose: str = "Unspecified"
    strokes: list[Stroke] = field(default_factory=list)
    spots: list[np.ndarray] = field(default_factory=list)

    def view(self, points: Points) -> np.ndarray:
        """Turn model points (N, 2) or (N, 3) into view coordinates (N, 3)."""
        model = np.asarray(points, np.float64)
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        down, level = math.sin(self.pitch), math.cos(self.pitch)
        turn = np.array([[cos, sin * down, -sin * level], [0.0, level, down], [sin, -cos * down, cos * level]])
        return model @ turn[: model.shape[1]]

    def project(self, points: Points) -> np.ndarray:
        """Project model points (N, 2) or (N, 3) into the drawing's plane (N, 2)."""
        seen = self.view(points)
        return seen[:, :2] * (self.distance / np.maximum(self.distance - seen[:, 2:], 0.2 * self.distance))

    def fill(
        self, points: Points, colour: Colour, bump: float = 0.0, pattern: Pattern | None = None, glow: float = 0.0
    ) -> None:
        """Fill a polygon; `bump` rounds it off in the light."""
        self.strokes.append(Stroke((self.project(points),), colour, bump=bump, pattern=pattern, glow=glow))

    def line(self, points: Points, width: float, colour: Colour, closed: bool = False) -> None:
        """Draw a line of a width in model units."""
        self.strokes.append(Stroke((self.project(points),), colour, width=width, closed=closed))

    def disc(
        self,
        centre: tuple[float, ...],
        radii: tuple[float, float],
        colour: Colour,
        angle: float = 0.0,
        bump: float = 0.0,
        pattern: Pattern | None = None,
        glow: float = 0.0,
    ) -> None:
        """Fill an ellipse in a plane of constant z."""
        self.fill(ellipse(centre, radii, angle), colour, bump, pattern, glow)

    def ring(self, centre: tuple[float, ...], radius: float, width: float, colour: Colour) -> None:
        """Draw a circle's outline in a plane of constant z."""
        self.line(ellipse(centre, (radius, radius)), width, colour, closed=True)

    def limb(
        self,
        joints: Points,
        radii: tuple[float, ...],
        colour: Colour,
        bump: float = 0.5,
        pattern: Pattern | None = None,
    ) -> None:
        """Fill a chain of tapered capsules through joints with a radius at each."""
        centres = self.project(joints)
        polygons = []
        for first, second, radius, other in zip(centres[:-1], centres[1:], radii[:-1], radii[1:], strict=True):
            rims = np.concatenate([ellipse(tuple(first), (radius,) * 2), ellipse(tuple(second), (other,) * 2)])
            polygons.append(cv2.convexHull(rims.astype(np.float32))[:, 0].astype(np.float64))
        self.strokes.append(Stroke(tuple(polygons), colour, bump=bump, pattern=pattern))

    def face(self, points: Points, colour: Colour, pattern: Pattern | None = None, glow: float = 0.0) -> None:
        """Fill a plane polygon, shaded by its direction to the light; seen from behind it is left out."""
        seen = self.view(points)
        flat = seen[:, :2] * (self.distance / np.maximum(self.distance - seen[:, 2:], 0.2 * self.distance))
        x, y, z = seen.T
        after = np.arange(1, len(x) + 1) % len(x)
        if float((flat[:, 0] * flat[after, 1] - flat[after, 0] * flat[:, 1]).sum()) <= 1e-9:
            return
        # Newell's method: the normal of a polygon whose first corners may be collinear.
        normal = np.array(
            [
                float((y * z[after] - z * y[after]).sum()),
                float((z * x[after] - x * z[after]).sum()),
                float((x * y[after] - y * x[after]).sum()),
            ]
        )
        normal /= float(np.sqrt((normal * normal).sum()))
        lit = 0.62 + 0.45 * max(0.0, float(normal @ np.asarray(self.light)))
        shaded = None if pattern is None else Pattern(pattern.kind, tint(pattern.colour, lit), pattern.period, 0.0)
        colour = colour if glow else tint(colour, lit)
        self.strokes.append(Stroke((flat,), colour, bump=0.12, pattern=shaded, glow=glow))

    def boxes(self, boxes: list[tuple[tuple[float, ...], tuple[float, ...], Colour]]) -> None:
        """Draw axis-aligned boxes given by two corners and a colour, far ones first."""

        def depth(box: tuple[tuple[float, ...], tuple[float, ...], Colour]) -> float:
            middle = (np.asarray(box[0]) + np.asarray(box[1])) / 2
            return float(self.view(middle[None])[0, 2])

        for (x0, y0, z0), (x1, y1, z1), colour in sorted(boxes, key=depth):
            self.face([(x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)], colour)
            self.face([(x1, y0, z0), (x0, y0, z0), (x0, y1, z0), (x1, y1, z0)], colour)
            self.face([(x1, y0, z1), (x1, y0, z0), (x1, y1, z0), (x1, y1, z1)], colour)
            self.face([(x0, y0, z0), (x0, y0, z1), (x0, y1, z1), (x0, y1, z0)], colour)
            self.face([(x0, y1, z1), (x1, y1, z1), (x1, y1, z0), (x0, y1, z0)], colour)
            self.face([(x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)], colour)


def ellipse(centre: tuple[float, ...], radii: tuple[float, float], angle: float = 0.0) -> np.ndarray:
    """Corners (36, 2) or (36, 3) of an ellipse turned by `angle`, counter-clockwise."""
    x, y = radii[0] * np.cos(_CIRCLE), radii[1] * np.sin(_CIRCLE)
    cos, sin = np.cos(angle), np.sin(angle)
    columns = [centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos]
    return np.stack([*columns, *(np.full_like(x, depth) for depth in centre[2:])], axis=1)
