"""What is done to dark training inputs, from each sample's seed alone: less light, and a sensor's noise."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.settings import is_pair

# Streams of a sample's draws; random_patches.py has stream 0.
DARKENING, NOISE = 1, 2


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
        noise = draw.standard_normal((*batch.shape[2:], batch.shape[1]), dtype=np.float32)
        noises.append(cv2.blur(noise, (3, 3)) * 3 if coarse < 0.5 else noise)
        strengths.append(strength**2)
    strength_of = torch.tensor(strengths, device=batch.device, dtype=batch.dtype)[:, None, None, None]
    deviation = (strength_of * shot * batch + (strength_of * read).square()).sqrt()
    return (batch + deviation * torch.from_numpy(np.stack(noises)).permute(0, 3, 1, 2).to(batch)).clamp(0, 1)
