"""From a drawing to pixels: supersampled, antialiased, shaded and textured."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from duskbench.data_tools.miniature.drawing import Drawing, Pattern, Stroke

_SUBPIXEL_BITS = 4
# Small things are drawn larger and reduced, so that their spokes and whiskers keep their proportions.
_CANVAS_PX = 240.0


@dataclass(frozen=True)
class Sprite:
    """A rasterised drawing.

    Attributes:
        rgba: (h, w, 4) uint8, colour premultiplied by coverage.
        glow: (h, w) uint8, how much a pixel shines by itself.
        foot: Row, in pixels from the top, of the model's ground.
        spots: Places on it where something can stand: x, y in pixels.
        pose: VOC's pose field.
    """

    rgba: np.ndarray
    glow: np.ndarray
    foot: float
    spots: list[tuple[float, float]]
    pose: str


def rasterise(
    drawing: Drawing, longest_px: float, rng: np.random.Generator, *, mirror: bool = False, roll: float = 0.0
) -> Sprite:
    """Draw the display list so that its longer side has a length, supersampled and antialiased.

    Args:
        drawing: What to draw.
        longest_px: Longer side of the result in pixels.
        rng: Source of the surface texture.
        mirror: Swap left and right.
        roll: Turn in the picture plane, in radians.
    """
    cos, sin = np.cos(roll), np.sin(roll)
    turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1.0 if mirror else 1.0, 1.0])
    strokes = [[points @ turn.T for points in stroke.polygons] for stroke in drawing.strokes]
    margins = [(stroke.width or 0.0) / 2 for stroke in drawing.strokes]
    low = np.min([p.min(axis=0) - m for ps, m in zip(strokes, margins, strict=True) for p in ps], axis=0)
    high = np.max([p.max(axis=0) + m for ps, m in zip(strokes, margins, strict=True) for p in ps], axis=0)
    oversampling = float(np.clip(_CANVAS_PX / longest_px, 1.25, 3.0))
    scale = longest_px * oversampling / float(max(high - low))
    width, height = (int(np.ceil(side * scale / oversampling)) + 2 for side in high - low)
    canvas = np.zeros((round(height * oversampling), round(width * oversampling), 4), np.uint8)
    glow = np.zeros(canvas.shape[:2], np.uint8)
    shines = any(stroke.glow for stroke in drawing.strokes)

    def to_pixels(points: np.ndarray) -> np.ndarray:
        return (points * (1.0, -1.0) + (-low[0], high[1])) * scale + oversampling

    for stroke, polygons in zip(drawing.strokes, strokes, strict=True):
        fixed = [np.rint(to_pixels(p) * 2**_SUBPIXEL_BITS).astype(np.int32) for p in polygons]
        _paint(canvas, stroke, fixed, scale, drawing.light, mirror)
        if shines:
            _trace(glow, stroke, fixed, (round(255 * stroke.glow),), scale)
    small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    _texture(small, drawing.grain, rng)
    spots = [tuple(to_pixels(drawing.project(p[None]) @ turn.T)[0] / oversampling) for p in drawing.spots]
    pose = {"Left": "Right", "Right": "Left"}.get(drawing.pose, drawing.pose) if mirror else drawing.pose
    foot = float(to_pixels(np.zeros((1, 2)))[0, 1] / oversampling)
    return Sprite(small, cv2.resize(glow, (width, height), interpolation=cv2.INTER_AREA), foot, spots, pose)


def _trace(canvas: np.ndarray, stroke: Stroke, fixed: list[np.ndarray], value: tuple[float, ...], scale: float) -> None:
    for points in fixed:
        if stroke.width is None:
            cv2.fillPoly(canvas, [points], value, cv2.LINE_AA, _SUBPIXEL_BITS)
        else:
            thickness = max(1, round(stroke.width * scale))
            cv2.polylines(canvas, [points], stroke.closed, value, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _paint(
    canvas: np.ndarray,
    stroke: Stroke,
    fixed: list[np.ndarray],
    scale: float,
    light: tuple[float, float, float],
    mirror: bool,
) -> None:
    if stroke.bump == 0 and stroke.pattern is None:
        _trace(canvas, stroke, fixed, (*stroke.colour, 255.0), scale)
        return
    corners = np.concatenate(fixed) >> _SUBPIXEL_BITS
    x0, y0 = np.maximum(corners.min(axis=0) - 2, 0)
    x1, y1 = np.minimum(corners.max(axis=0) + 3, canvas.shape[1::-1])
    if x1 <= x0 or y1 <= y0:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    _trace(mask, stroke, [p - (np.array([x0, y0]) << _SUBPIXEL_BITS).astype(np.int32) for p in fixed], (255,), scale)
    cover = mask.astype(np.float32) * np.float32(1 / 255)
    shade = 1 + stroke.bump * _emboss(cover, -light[0] if mirror else light[0], light[1])
    colour = np.asarray(stroke.colour, np.float32)
    if stroke.pattern is not None:
        second = _pattern(stroke.pattern, mask.shape, scale)[:, :, None]
        colour = colour + second * (np.asarray(stroke.pattern.colour, np.float32) - colour)
    painted = np.empty((*mask.shape, 4), np.float32)
    np.multiply(shade[:, :, None], colour, out=painted[:, :, :3])
    np.minimum(painted, 255, out=painted)
    painted[:, :, 3] = 255
    region = canvas[y0:y1, x0:x1]
    painted -= region
    painted *= cover[:, :, None]
    painted += region
    region[:] = cv2.convertScaleAbs(painted).reshape(region.shape)


def _emboss(cover: np.ndarray, light_x: float, light_y: float) -> np.ndarray:
    """Brighter where the shape's soft edge faces the light, darker where it turns away; -1 to 1."""
    size = max(3, int(0.4 * min(cover.shape)) | 1)
    step_x, step_y = round(light_x * size * 0.5), round(-light_y * size * 0.5)
    pad = size
    soft = cv2.blur(cv2.copyMakeBorder(cover, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0), (size, size))
    height, width = cover.shape

    def shifted(dx: int, dy: int) -> np.ndarray:
        return soft[pad + dy : pad + dy + height, pad + dx : pad + dx + width]

    return shifted(-step_x, -step_y) - shifted(step_x, step_y)


def _pattern(pattern: Pattern, shape: tuple[int, ...], scale: float) -> np.ndarray:
    rows = np.arange(shape[0], dtype=np.float32)[:, None]
    columns = np.arange(shape[1], dtype=np.float32)[None, :]
    period = np.float32(2 * np.pi / max(2.5, pattern.period * scale))
    cos, sin = np.float32(np.cos(pattern.angle)), np.float32(np.sin(pattern.angle))
    along, across = (columns * cos + rows * sin) * period, (rows * cos - columns * sin) * period
    if pattern.kind == "stripes":
        wave = np.sin(along)
    elif pattern.kind == "checks":
        wave = np.sin(along) * np.sin(across)
    else:
        wave = np.sin(along + 1.7 * np.sin(0.37 * across)) + np.sin(across + 1.3 * np.sin(0.53 * along)) - 0.5
    return np.clip(wave * 2 + 0.5, 0, 1)


def _texture(rgba: np.ndarray, strength: float, rng: np.random.Generator) -> None:
    height, width = rgba.shape[:2]
    coarse = rng.standard_normal((height // 8 + 2, width // 8 + 2), dtype=np.float32)
    noise = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    noise = noise + 0.7 * rng.standard_normal((height, width), dtype=np.float32)
    textured = rgba[:, :, :3] * (1 + strength * noise)[:, :, None]
    # Premultiplied colour can never exceed its coverage.
    rgba[:, :, :3] = np.minimum(np.maximum(textured, 0), rgba[:, :, 3:])
