"""The nights that lit photographs are put into: what is drawn for each of them, and from which ranges."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from duskbench.data_tools.darken import Camera, Lamp, darken, lamp_illumination
from duskbench.data_tools.errors import ConfigError

Range = tuple[float, float]
Colour = tuple[float, float, float]

# Linear red, green and blue of sodium lamps, tungsten, mercury, white LEDs, and the moon.
_LIGHTS: tuple[Colour, ...] = (
    (1.0, 0.6, 0.26),
    (1.0, 0.76, 0.48),
    (0.82, 1.0, 0.86),
    (0.92, 0.97, 1.0),
    (0.62, 0.78, 1.0),
)


@dataclass(frozen=True)
class Night:
    """Ranges that a photograph's night is drawn from, evenly unless said otherwise.

    Attributes:
        exposure_ev: Exposure in stops, relative to the lit photograph.
        lamps: Fewest and most lamps in the picture.
        lamp_strength: Light at a lamp's centre in units of the light that is everywhere; even in stops.
        lamp_reach: Where a lamp's light has fallen to a half, in units of the picture's diagonal.
        electrons: Photoelectrons at full scale, which set the shot noise; even in stops.
        read_noise: Standard deviation of the read noise, in units of full scale.
        white_balance: Share of the light's colour that the camera takes out, 0 to 1.
        bits: Depth of the converter.

    Raises:
        ConfigError: A range is not finite, the wrong way round, or out of its bounds.
    """

    exposure_ev: Range = (-6.5, -4.0)
    lamps: tuple[int, int] = (0, 2)
    lamp_strength: Range = (1.5, 8.0)
    lamp_reach: Range = (0.06, 0.22)
    electrons: Range = (500.0, 4000.0)
    read_noise: Range = (0.0006, 0.002)
    white_balance: Range = (0.4, 0.9)
    bits: int = 12

    def __post_init__(self) -> None:
        bounds = {
            "exposure_ev": (-16.0, 4.0),
            "lamps": (0, 16),
            "lamp_strength": (0.001, 1e6),
            "lamp_reach": (0.001, 1e3),
            "electrons": (1.0, 1e9),
            "read_noise": (0.0, 1.0),
            "white_balance": (0.0, 1.0),
        }
        for name, (low, high) in bounds.items():
            drawn = getattr(self, name)
            if not (len(drawn) == 2 and low <= drawn[0] <= drawn[1] <= high):
                raise ConfigError(
                    "A range of the night is not possible.",
                    where=f"night.{name}",
                    expected=f"two numbers, the lower first, within {low:g} and {high:g}",
                    got=str(drawn),
                )
        Camera(bits=self.bits)

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> NightPhoto:
        """Draw one photograph's night.

        Args:
            shape: Height and width of the picture.
            rng: Source of everything random.
        """
        ambient = _LIGHTS[rng.integers(len(_LIGHTS))]
        balance = rng.uniform(*self.white_balance)
        camera = Camera(
            exposure_ev=rng.uniform(*self.exposure_ev),
            shot_gain=1 / _even_in_stops(self.electrons, rng),
            read_noise=rng.uniform(*self.read_noise),
            bits=self.bits,
            white_balance=tuple((ambient[1] / light) ** balance for light in ambient),
        )
        height, width = shape
        lamps = [
            Lamp(
                x=rng.uniform(0, width),
                y=rng.uniform(0, height),
                reach=rng.uniform(*self.lamp_reach) * math.hypot(height, width),
                strength=_even_in_stops(self.lamp_strength, rng),
                colour=_LIGHTS[rng.integers(len(_LIGHTS))],
                stretch=rng.uniform(0.6, 1.0),
            )
            for _ in range(rng.integers(self.lamps[0], self.lamps[1] + 1))
        ]
        return NightPhoto(camera, tuple(lamps), ambient)


@dataclass(frozen=True)
class NightPhoto:
    """Everything but the noise that turns one lit photograph dark.

    Attributes:
        camera: The camera.
        lamps: Lamps in the picture, in pixels.
        ambient: Light that is everywhere, linear red, green and blue.
    """

    camera: Camera
    lamps: tuple[Lamp, ...]
    ambient: Colour

    def take(self, image_rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Darken a lit photograph, (H, W, 3) uint8 RGB; the noise comes from `rng`."""
        return darken(image_rgb, self.camera, rng, lamp_illumination(image_rgb.shape[:2], self.lamps, self.ambient))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Exposure:
    """The same night for every photograph: less light, and the noise of one sensor. No lamps, no colour cast.

    Attributes:
        exposure_ev: Exposure in stops, relative to the lit photograph.
        electrons: Photoelectrons at full scale, which set the shot noise; None for no shot noise.
        read_noise: Standard deviation of the read noise, in units of full scale.
        bits: Depth of the converter; None for one without steps.
    """

    exposure_ev: float
    electrons: float | None = None
    read_noise: float = 0.0
    bits: int | None = None

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> NightPhoto:
        """The night of one photograph; nothing is drawn."""
        shot_gain = 0.0 if self.electrons is None else 1 / self.electrons
        return NightPhoto(
            Camera(self.exposure_ev, (1.0, 1.0, 1.0), shot_gain, self.read_noise, self.bits), (), (1.0, 1.0, 1.0)
        )


def image_seed(seed: int, image_id: str) -> int:
    """The seed of one image's night: a pure function of the data set's seed and the image id, below 2^48.

    Neither the order of the images nor their number matters, so a part of a set has the pictures of the whole.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{image_id}".encode()).digest()[:6], "big")


def _even_in_stops(drawn: Range, rng: np.random.Generator) -> float:
    return float(math.exp(rng.uniform(math.log(drawn[0]), math.log(drawn[1]))))
