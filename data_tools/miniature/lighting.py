"""ExDark's ten lighting types, each as the lamps, the sky and the camera that make it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from duskbench.data_tools.darken import Camera, Lamp, lamp_illumination
from duskbench.data_tools.miniature.scene import Scene

Cast = tuple[float, float, float]

_SODIUM: Cast = (1.0, 0.6, 0.26)
_TUNGSTEN: Cast = (1.0, 0.76, 0.48)
_MERCURY: Cast = (0.82, 1.0, 0.86)
_LED: Cast = (0.92, 0.97, 1.0)
_MOON: Cast = (0.62, 0.78, 1.0)
_NEUTRAL: Cast = (1.0, 0.98, 0.95)
_LAMPS_INSIDE = (_TUNGSTEN, _TUNGSTEN, _LED, _NEUTRAL)
_LAMPS_OUTSIDE = (_SODIUM, _SODIUM, _MERCURY, _LED, _TUNGSTEN)
_AMBIENT = (_NEUTRAL, _TUNGSTEN, _MOON, _NEUTRAL, _SODIUM)


@dataclass(frozen=True)
class Needs:
    """What a scene must show for a lighting type to be true of it."""

    lamps: int = 0
    windows: int = 0
    screens: int = 0


@dataclass(frozen=True)
class _Plan:
    """Exposure in stops, and the strength of lamps in units of the ambient light."""

    exposure: tuple[float, float]
    needs: Needs = Needs()
    strength: tuple[float, float] = (0.0, 0.0)
    reach: tuple[float, float] = (40.0, 80.0)


# Wordings after the ExDark paper (Loh and Chan 2019, section 3.2 and figure 3).
_PLANS: dict[str, _Plan] = {
    "Low": _Plan((-5.6, -4.6)),
    "Ambient": _Plan((-4.6, -3.6)),
    "Object": _Plan((-6.0, -5.0), strength=(16, 40)),
    "Single": _Plan((-5.8, -4.8), Needs(lamps=1), (16, 36), (40, 75)),
    "Weak": _Plan((-5.6, -4.6), Needs(lamps=2), (4, 9), (30, 55)),
    "Strong": _Plan((-5.2, -4.3), Needs(lamps=3), (10, 22), (35, 65)),
    "Screen": _Plan((-5.8, -4.8), Needs(screens=1), (10, 20), (45, 80)),
    "Window": _Plan((-5.6, -4.7), Needs(windows=2), (5, 12), (40, 80)),
    "Shadow": _Plan((-4.4, -3.5)),
    "Twilight": _Plan((-4.9, -3.9)),
}

INDOOR_ONLY = ("Screen", "Window")
OUTDOOR_ONLY = ("Twilight",)


def needs_of(lighting: str) -> Needs:
    """What the scene must show for this lighting type."""
    return _PLANS[lighting].needs


def night_of(scene: Scene, lighting: str, rng: np.random.Generator) -> tuple[Camera, np.ndarray]:
    """Choose a camera and the light at night for a scene.

    Args:
        scene: The lit scene; it shows what `needs_of(lighting)` asks for.
        lighting: One of `classes.LIGHTING_TYPES`.
        rng: Source of everything random.

    Returns:
        The camera and an illumination map (H, W, 3) float32 for `darken`.
    """
    plan = _PLANS[lighting]
    exposure = rng.uniform(*plan.exposure)
    ambient = _pick(rng, _AMBIENT if lighting != "Twilight" else (_MOON, (0.8, 0.85, 1.0), (1.0, 0.8, 0.72)))
    light = lamp_illumination(scene.rgb.shape[:2], _lamps(scene, lighting, plan, rng), ambient)
    back = scene.backdrop
    sky = back.sky.astype(np.float32)[:, :, None] / 255
    by_day, by_night = _sky_light(lighting, scene, exposure, rng)
    light = light * (1 - sky) + by_day * sky + by_night * sky
    if lighting == "Shadow":
        light *= _backlight(scene, rng)[:, :, None]
    if lighting == "Object":
        light *= np.float32(0.75)
    shine = back.glow.astype(np.float32)[:, :, None] / 255
    # What shines is seen nearly as bright as by day, whatever the exposure.
    own = 2.0 ** (-exposure) * (0.12 if lighting in ("Low", "Shadow", "Object") else 0.8)
    tone = np.asarray(_pick(rng, _LAMPS_INSIDE if scene.indoor else _LAMPS_OUTSIDE), np.float32) ** 0.5
    light += shine * np.float32(own) * (tone if lighting != "Screen" else np.float32(1.0))
    if lighting in ("Single", "Weak", "Strong", "Screen", "Window"):
        halo = cv2.GaussianBlur(back.glow, (0, 0), 5).astype(np.float32)[:, :, None] / 255
        light += halo * np.float32(own * 0.1) * tone
    camera = Camera(
        exposure_ev=exposure,
        colour_cast=_NEUTRAL,
        shot_gain=float(np.exp(rng.uniform(np.log(1 / 8000), np.log(1 / 1500)))),
        read_noise=float(rng.uniform(0.0006, 0.0018)),
        bits=12,
    )
    return camera, light


def day_camera(rng: np.random.Generator) -> Camera:
    """Choose a camera for a lit photograph: near full exposure, little noise, white balance a little off."""
    red, blue = rng.uniform(0.9, 1.0, 2)
    return Camera(
        exposure_ev=float(rng.uniform(-0.8, 0.15)),
        colour_cast=(float(red), 1.0, float(blue)),
        shot_gain=float(rng.uniform(1 / 20000, 1 / 5000)),
        read_noise=0.001,
        bits=12,
    )


TWIN_CAMERA = Camera(exposure_ev=-0.2, shot_gain=1 / 10000, read_noise=0.001, bits=12)


def _pick(rng: np.random.Generator, casts: tuple[Cast, ...]) -> Cast:
    return casts[rng.integers(len(casts))]


def _lamps(scene: Scene, lighting: str, plan: _Plan, rng: np.random.Generator) -> list[Lamp]:
    height, width = scene.rgb.shape[:2]
    back = scene.backdrop
    casts = _LAMPS_INSIDE if scene.indoor else _LAMPS_OUTSIDE
    if lighting == "Ambient":
        side = rng.choice([-0.2, 1.2])
        return [
            Lamp(side * width, rng.uniform(-0.2, 0.5) * height, 0.6 * width, rng.uniform(0.5, 1.5), _pick(rng, casts))
        ]
    if lighting == "Object":
        x0, y0, x1, y1 = scene.objects[0].box_xyxy
        reach = max(30.0, 0.6 * max(x1 - x0, y1 - y0))
        return [
            Lamp(
                (x0 + x1) / 2,
                (y0 + y1) / 2,
                reach,
                rng.uniform(*plan.strength),
                _pick(rng, (_LED, _NEUTRAL, _TUNGSTEN)),
            )
        ]
    if lighting == "Screen":
        cast: Cast = (0.55, 0.75, 1.0)
        return [
            Lamp((x0 + x1) / 2, y1, rng.uniform(*plan.reach), rng.uniform(*plan.strength), cast)
            for x0, _, x1, y1 in back.screens
        ]
    if lighting == "Window":
        return [
            Lamp((x0 + x1) / 2, y1, rng.uniform(*plan.reach), rng.uniform(*plan.strength), _LED)
            for x0, _, x1, y1 in back.windows
        ]
    if plan.needs.lamps:
        cast = _pick(rng, casts)
        # The pool of light lies on the ground beneath a lamp outdoors, around it indoors.
        drop = 0.0 if scene.indoor else 0.5 * back.horizon
        count = plan.needs.lamps if lighting == "Single" else len(back.lamps)
        return [
            Lamp(x, y + drop, rng.uniform(*plan.reach), rng.uniform(*plan.strength), cast, stretch=0.9)
            for x, y in back.lamps[:count]
        ]
    return []


def _sky_light(
    lighting: str, scene: Scene, exposure: float, rng: np.random.Generator
) -> tuple[np.ndarray | np.float32, np.ndarray]:
    """Light of the sky by its rows, as seen from outdoors or through a window."""
    night = np.float32(rng.uniform(0.02, 0.2)) * np.asarray((0.5, 0.65, 1.0), np.float32)
    full = 2.0 ** (-exposure)
    if lighting == "Window":
        return np.float32(full * rng.uniform(0.35, 0.8)), night
    if lighting == "Shadow":
        return np.float32(full * rng.uniform(0.1, 0.4)), night
    if lighting != "Twilight":
        return np.float32(0.0), night
    height = scene.rgb.shape[0]
    rows = np.clip(np.arange(height, dtype=np.float32) / max(1.0, scene.backdrop.horizon), 0, 1)[:, None, None]
    low = np.asarray(_pick(rng, ((1.0, 0.5, 0.2), (1.0, 0.65, 0.5), (0.75, 0.8, 1.0))), np.float32)
    high = np.asarray((0.25, 0.4, 0.9), np.float32)
    glow = high * (1 - rows**2) + low * rows**2 * 2
    return glow * np.float32(full * rng.uniform(0.06, 0.25)), night


def _backlight(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Objects and foreground in the shadow of what lights the background."""
    height = scene.rgb.shape[0]
    rows = np.clip((np.arange(height, dtype=np.float32) - scene.backdrop.horizon * 0.7) / (0.5 * height), 0, 1)[:, None]
    light = 1.6 - 1.1 * rows
    return light * (1 - np.float32(rng.uniform(0.6, 0.85)) * scene.coverage)
