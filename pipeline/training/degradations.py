"""What is done to training inputs, from each sample's seed alone: less light, and a sensor's noise."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.settings import is_pair

# Streams of a sample's draws; random_patches.py has stream 0.
DARKENING, NOISE, EXPOSURE = 1, 2, 3


def darken(batch: Tensor, seeds: Sequence[int], probability: float, factors: tuple[float, float]) -> Tensor:
    """Divide some samples by a random factor.

    Args:
        batch: (N, C, H, W) float, RGB in [0, 1]; not changed.
        seeds: One for each sample; the same seed always gives the same factor.
        probability: Share of the samples that are darkened.
        factors: Least and greatest divisor, drawn evenly.

    Returns:
        The same shape.

    Source: VITA-Group/EnlightenGAN, data/unaligned_dataset.py, `vary`; options/base_options.py for its default values.
    """
    divisors = []
    for seed in seeds:
        chance, place = np.random.default_rng([seed, DARKENING]).random(2).tolist()
        divisors.append(factors[0] + (factors[1] - factors[0]) * place if chance < probability else 1.0)
    return batch / torch.tensor(divisors, device=batch.device, dtype=batch.dtype)[:, None, None, None]


def checked_noise(noise: Sequence[float] | None) -> tuple[float, float] | None:
    """The setting `noise` of a training: `read` and `shot` of `add_noise`, or None.

    Raises:
        ConfigError: It is anything else.
    """
    if noise is None:
        return None
    if not is_pair(noise, 0):
        raise ConfigError(
            "The training cannot be set so: noise.",
            expected="(read, shot), both of at least 0, or None",
            got=repr(noise),
        )
    return noise[0], noise[1]


def add_noise(batch: Tensor, seeds: Sequence[int], read: float, shot: float) -> Tensor:
    """Add a sensor's noise of random strength, in half of the samples as coarse as a camera's processing leaves it.

    The variance at a pixel of value v is s shot v + (s read)^2, where s is the square of a number drawn evenly from
    [0, 1], one for each sample: most samples get little. Coarse noise is the mean over 3x3 pixels, scaled to the
    same variance.

    Args:
        batch: (N, 3, H, W) float, RGB in [0, 1]; not changed.
        seeds: One for each sample; the same seed always gives the same noise.
        read: Greatest standard deviation of what does not depend on the signal, in units of full scale.
        shot: Greatest variance for each unit of signal.

    Returns:
        The same shape, in [0, 1]. NumPy draws it, so that a GPU gets the noise of a CPU.

    Source: the affine noise model of Foi et al. 2008; its ranges are ours.
    """
    strengths, noises = [], []
    for seed in seeds:
        draw = np.random.default_rng([seed, NOISE])
        strength, coarse = draw.random(2).tolist()
        noises.append(_normal_noise(batch, draw, coarse=coarse < 0.5))
        strengths.append(strength**2)
    strength_of = torch.tensor(strengths, device=batch.device, dtype=batch.dtype)[:, None, None, None]
    deviation = (strength_of * shot * batch + (strength_of * read).square()).sqrt()
    return (batch + deviation * torch.cat(noises)).clamp(0, 1)


def underexpose(
    batch: Tensor,
    seeds: Sequence[int],
    stops: tuple[float, float],
    spread: float | None = None,
    shot: tuple[float, float] = (1e-4, 2e-3),
    read: tuple[float, float] = (2e-4, 2e-3),
) -> Tensor:
    """Photograph lit pictures with less light, more here and less there, and a sensor's noise.

    Linear light is divided by two to the power of a map that is bilinear between 3x3 draws. A pixel of value v then
    gets normal noise of variance shot v + read^2, coarse in half of the samples as in `add_noise`, and is rounded to 8
    bits after the sRGB curve.

    Args:
        batch: (N, 3, H, W) float, RGB in [0, 1], sRGB-encoded; not changed.
        seeds: One for each sample; the same seed always gives the same picture.
        stops: Least and greatest loss of light in stops, drawn evenly.
        spread: By how many stops the places of one picture differ at most, half of it to each side of what is drawn
            for the picture; no light is gained. None: each place gets a draw of its own.
        shot: Least and greatest variance for each unit of linear signal, drawn evenly in stops.
        read: Least and greatest standard deviation of what does not depend on the signal, drawn evenly in stops.

    Returns:
        The same shape, in [0, 1], sRGB-encoded. NumPy draws it, so that a GPU gets the noise of a CPU.

    Source: IEC 61966-2-1, section 5.2, for the curve; EMVA 1288, section 2, for the noise; the ranges are ours.
    """
    maps, strengths, noises = [], [], []
    for seed in seeds:
        draw = np.random.default_rng([seed, EXPOSURE])
        maps.append(_losses_of_light(draw, stops, spread))
        strengths.append(np.exp(draw.uniform(*np.log([shot, read]).T)))
        noises.append(_normal_noise(batch, draw, coarse=draw.random() < 0.5))
    loss = F.interpolate(_like(batch, maps), batch.shape[2:], mode="bilinear", align_corners=True)
    signal = _srgb_to_linear(batch) * torch.exp2(-loss)
    shots, reads = _like(batch, strengths).T[:, :, None, None, None]
    seen = signal + (shots * signal + reads.square()).sqrt() * torch.cat(noises)
    return (_linear_to_srgb(seen.clamp(0, 1)) * 255).round() / 255


def _losses_of_light(draw: np.random.Generator, stops: tuple[float, float], spread: float | None) -> np.ndarray:
    """Stops at 3x3 places of one picture, (1, 3, 3)."""
    if spread is None:
        return draw.uniform(*stops, (1, 3, 3))
    return (draw.uniform(*stops) + draw.uniform(-spread / 2, spread / 2, (1, 3, 3))).clip(min=0)


def _normal_noise(batch: Tensor, draw: np.random.Generator, *, coarse: bool) -> Tensor:
    """Noise of variance 1 for one sample of a batch, (1, C, H, W); coarse: the mean over 3x3, of the same variance."""
    noise = draw.standard_normal((*batch.shape[2:], batch.shape[1]), dtype=np.float32)
    return _like(batch, [cv2.blur(noise, (3, 3)) * 3 if coarse else noise]).permute(0, 3, 1, 2)


def _like(batch: Tensor, drawn: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(drawn)).to(batch)


def _srgb_to_linear(values: Tensor) -> Tensor:
    return torch.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _linear_to_srgb(values: Tensor) -> Tensor:
    return torch.where(values <= 0.0031308, values * 12.92, 1.055 * values.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)
