"""Patches of training pictures, drawn from each sample's seed alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from duskbench.data_tools.errors import ConfigError

Corner = tuple[int, int]

# The stream of a sample's draws; those of degradations.py are others. NumPy makes them: what is drawn decides where to
# cut, which no tensor on a GPU should.
PLACES = 0


def draw_patches(seeds: Sequence[int], patches: int, size: int, picture: tuple[int, int]) -> list[list[Corner]]:
    """Draw where the patches of each sample lie.

    Args:
        seeds: One for each sample; the same seed always gives the same places.
        patches: Patches of each sample.
        size: Their side in pixels.
        picture: Height and width of the samples.

    Returns:
        For each sample the top and left of its patches.

    Raises:
        ConfigError: The patches are larger than the samples.
    """
    if size > min(picture):
        raise ConfigError(
            "The patches are larger than the training crops.",
            expected=f"crops of at least {size} pixels",
            got=f"{picture[0]} x {picture[1]}",
            todo="set model.patch_size or train_dataloader.dataset.crop",
        )
    corners = []
    for seed in seeds:
        draw = np.random.default_rng([seed, PLACES])
        tops = draw.integers(picture[0] - size + 1, size=patches)
        lefts = draw.integers(picture[1] - size + 1, size=patches)
        corners.append(list(zip(tops.tolist(), lefts.tolist(), strict=True)))
    return corners


def random_patches(batch: Tensor, corners: Sequence[Sequence[Corner]], size: int) -> Tensor:
    """Cut patches out of a batch.

    Args:
        batch: (N, C, H, W).
        corners: For each sample the top and left of its patches, P of them.
        size: Their side in pixels.

    Returns:
        (N P, C, size, size), the patches of the first sample first. A gradient goes back to the batch.
    """
    patches = [
        batch[sample, :, top : top + size, left : left + size]
        for sample, places in enumerate(corners)
        for top, left in places
    ]
    return torch.stack(patches)
