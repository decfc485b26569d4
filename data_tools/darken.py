"""A camera model that turns a lit photograph into its low-light twin.

The chain is that of a camera: scene light, lamps and their falloff, colour cast, exposure, shot and read noise, the
converter's steps, white balance, and sRGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.settings import check_setting, is_number, is_whole


@dataclass(frozen=True)
class Camera:
    """What the camera does to linear light; the defaults do nothing at all.

    Attributes:
        exposure_ev: Exposure in stops; -3 lets an eighth of the light through.
        colour_cast: Factors on linear red, green and blue before the sensor: the colour of the light.
        shot_gain: Output per photoelectron, in units of full scale; shot noise has the variance `shot_gain * signal`.
            At 1/2000 the sensor saturates with 2000 electrons. 0: no shot noise.
        read_noise: Standard deviation of the signal-independent noise, in units of full scale.
        bits: Depth of the analogue-digital converter, 1 to 16, or None for one without steps.
        white_balance: Gains on red, green and blue behind the converter. They take the cast out again, and enlarge
            the noise of the channel that had little light.

    Raises:
        ConfigError: A value is not finite or out of range.

    Source: photon transfer, variance = gain * signal + read^2 (EMVA 1288, section 2).
    """

    exposure_ev: float = 0.0
    colour_cast: tuple[float, float, float] = (1.0, 1.0, 1.0)
    shot_gain: float = 0.0
    read_noise: float = 0.0
    bits: int | None = None
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        by_channel = (("colour_cast", self.colour_cast), ("white_balance", self.white_balance))
        single = (("shot_gain", self.shot_gain), ("read_noise", self.read_noise))
        for name, value in (*single, *((name, factor) for name, factors in by_channel for factor in factors)):
            check_setting("Camera", name, value, is_number(value) and value >= 0, "a finite number of at least 0")
        for name, factors in by_channel:
            check_setting("Camera", name, factors, len(factors) == 3, "one factor a channel, 3")
        exposure, bits = self.exposure_ev, self.bits
        check_setting("Camera", "exposure_ev", exposure, is_number(exposure), "a finite number")
        fine = bits is None or (is_whole(bits, 1) and bits <= 16)
        check_setting("Camera", "bits", bits, fine, "a whole number, 1 to 16, or None")


@dataclass(frozen=True)
class Lamp:
    """A light source in the picture plane.

    Attributes:
        x: Column of its centre in pixels.
        y: Row of its centre in pixels.
        reach: Distance in pixels at which its light has fallen to a half (its height above what it lights).
        strength: Light at its centre, in units of the lit scene's light.
        colour: Factors on linear red, green and blue.
        stretch: Height over width of its pool of light; below 1 the pool lies flat.
    """

    x: float
    y: float
    reach: float
    strength: float
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    stretch: float = 1.0


def lamp_illumination(
    shape: tuple[int, int],
    lamps: Sequence[Lamp],
    ambient: float | tuple[float, float, float] = 0.0,
) -> np.ndarray:
    """Add up lamps that fall off with the inverse square of the distance, and ambient light.

    Args:
        shape: Height and width in pixels.
        lamps: Any number of lamps, inside the picture or out of it.
        ambient: Light that is everywhere, one number or one a channel.

    Returns:
        (H, W, 3) float32, non-negative, 1 where the light is that of the lit scene.

    Raises:
        ConfigError: A lamp's reach or stretch is not positive.
    """
    rows = np.arange(shape[0], dtype=np.float32)[:, None]
    columns = np.arange(shape[1], dtype=np.float32)[None, :]
    light = np.empty((*shape, 3), np.float32)
    light[:] = ambient
    for lamp in lamps:
        if not (lamp.reach > 0 and lamp.stretch > 0):
            raise ConfigError("A lamp needs a positive reach and stretch.", got=f"{lamp.reach}, {lamp.stretch}")
        squared = (columns - np.float32(lamp.x)) ** 2 + ((rows - np.float32(lamp.y)) / np.float32(lamp.stretch)) ** 2
        falloff = np.float32(lamp.strength) / (1 + squared / np.float32(lamp.reach**2))
        light += falloff[:, :, None] * np.asarray(lamp.colour, np.float32)
    return light


def srgb_to_linear(values: np.ndarray) -> np.ndarray:
    """Undo the sRGB curve.

    Args:
        values: Any shape, float, 0 to 1.

    Returns:
        The same shape and dtype, linear light from 0 to 1.

    Source: IEC 61966-2-1, section 5.2.
    """
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(values.dtype)


_LINEAR_OF_LEVEL = srgb_to_linear(np.arange(256) / 255.0).astype(np.float32)
# The linear value at which the 8-bit code changes: looking levels up costs a tenth of raising to 1/2.4.
_LEVEL_STEPS = srgb_to_linear((np.arange(255) + 0.5) / 255.0)
_TABLE_BITS = 16
_FEW_ELECTRONS = 64
_LEVEL_OF_CODE = np.searchsorted(_LEVEL_STEPS, np.arange(2**_TABLE_BITS) / (2**_TABLE_BITS - 1)).astype(np.uint8)


def expose(image_rgb: np.ndarray, camera: Camera, illumination: np.ndarray | None = None) -> np.ndarray:
    """Give the noiseless linear signal on the sensor; arguments and errors as in `darken`.

    Returns:
        (H, W, 3) float32, linear, not yet clipped: 1 is full scale.
    """
    if image_rgb.dtype != np.uint8 or image_rgb.ndim != 3 or image_rgb.shape[2] != 3:
        raise DataError(
            "Cannot darken the array.", expected="(H, W, 3) uint8 RGB", got=f"{image_rgb.shape} {image_rgb.dtype}"
        )
    factors = np.asarray(camera.colour_cast, np.float64) * 2.0**camera.exposure_ev
    signal = _LINEAR_OF_LEVEL[image_rgb] * factors.astype(np.float32)
    if illumination is None:
        return signal
    height, width = image_rgb.shape[:2]
    if illumination.shape not in ((height, width), (height, width, 3)):
        raise DataError(
            "The illumination map does not fit the image.",
            expected=f"({height}, {width}) or ({height}, {width}, 3)",
            got=str(illumination.shape),
        )
    if not np.isfinite(illumination).all() or (illumination < 0).any():
        raise DataError("The illumination map holds negative or non-finite values.", expected="finite, >= 0")
    light = illumination.astype(np.float32)
    signal *= light if light.ndim == 3 else light[:, :, None]
    return signal


def _count_photons(electrons: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw counts around expected ones, (H, W, 3) float32.

    Poisson draws cost ten times what normal ones cost; above 64 expected electrons the skewness is below 1/8.
    """
    counts = np.rint(electrons + np.sqrt(electrons) * rng.standard_normal(electrons.shape, dtype=np.float32))
    few = electrons < _FEW_ELECTRONS
    counts[few] = rng.poisson(electrons[few])
    return counts


def capture(
    image_rgb: np.ndarray, camera: Camera, rng: np.random.Generator, illumination: np.ndarray | None = None
) -> np.ndarray:
    """Give what the converter reads from the sensor: exposed, with noise, clipped, in steps.

    Where nothing clips, its mean is the signal of `expose`, and its variance shot_gain * signal + read_noise^2, plus
    step^2 / 12 with step = 1 / (2^bits - 1). Clipping at black lifts the mean of the darkest pixels: one without any
    light reads read_noise / sqrt(2 pi) on average.

    Args:
        image_rgb: As in `darken`, like the other arguments and the errors.
        camera: Its white balance is not applied here.
        rng: The source of the noise.
        illumination: Light relative to the lit scene's.

    Returns:
        (H, W, 3) float32, linear, 0 to 1.
    """
    signal = expose(image_rgb, camera, illumination)
    if camera.shot_gain > 0:
        signal = _count_photons(signal / np.float32(camera.shot_gain), rng) * np.float32(camera.shot_gain)
    if camera.read_noise > 0:
        signal += np.float32(camera.read_noise) * rng.standard_normal(signal.shape, dtype=np.float32)
    np.clip(signal, 0.0, 1.0, out=signal)
    if camera.bits is not None:
        steps = np.float32(2**camera.bits - 1)
        signal = np.rint(signal * steps) / steps
    return signal


def darken(
    image_rgb: np.ndarray, camera: Camera, rng: np.random.Generator, illumination: np.ndarray | None = None
) -> np.ndarray:
    """Photograph a lit scene again in less light.

    Args:
        image_rgb: (H, W, 3) uint8 RGB, sRGB-encoded, the lit scene.
        camera: What the camera does; `Camera()` gives the image back unchanged.
        rng: The source of the noise: the same state gives the same picture.
        illumination: (H, W) or (H, W, 3), light relative to the lit scene's (`lamp_illumination` makes one);
            above 1 for what shines itself. None: the same everywhere.

    Returns:
        (H, W, 3) uint8 RGB, sRGB-encoded.

    Raises:
        DataError: The image or the illumination map is not such an array.
    """
    signal = capture(image_rgb, camera, rng, illumination)
    if camera.white_balance != (1.0, 1.0, 1.0):
        signal *= np.asarray(camera.white_balance, np.float32)
        np.minimum(signal, 1.0, out=signal)
    codes = np.rint(signal * np.float32(2**_TABLE_BITS - 1)).astype(np.int32)
    return _LEVEL_OF_CODE[codes]
