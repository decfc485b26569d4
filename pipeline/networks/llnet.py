"""LLNet: a stack of denoising auto-encoders on small patches of a picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError

PATCH, STEP = 17, 3
INPUTS = 3 * PATCH * PATCH
# Patches that go through the layers at once.
_CHUNK = 8192


@MODELS.register_module()
class LLNet(nn.Module):
    """Fully connected layers with a sigmoid after each, the last one too; takes patches of 17x17 pixels.

    Args:
        widths: Units of the hidden layers, an odd number of them that reads the same backwards.

    Raises:
        ConfigError: The widths are no such numbers.

    Source: Lore, Akintayo, Sarkar, "LLNet: A Deep Autoencoder Approach to Natural Low-light Image Enhancement", Pattern
    Recognition 61 (2017); kglore/llnet_color @ 1d45245, for the colour version.
    """

    def __init__(self, widths: Sequence[int] = (2000, 1900, 1800, 1900, 2000)) -> None:
        super().__init__()
        widths = [int(width) for width in widths]
        if len(widths) % 2 != 1 or widths != widths[::-1] or min(widths) < 1:
            raise ConfigError(
                "The layers of LLNet do not mirror.",
                where="widths",
                expected="an odd number of widths that read the same backwards",
                got=repr(widths),
            )
        units = [INPUTS, *widths, INPUTS]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(units))

    def initialise(self) -> None:
        """Draw weights evenly within 4 sqrt(6 / (inputs + outputs)); biases become 0.

        Source: kglore/llnet_color, dA.py.
        """
        for layer in self.layers:
            bound = 4 * math.sqrt(6 / sum(layer.weight.shape))  # type: ignore[arg-type]
            nn.init.uniform_(layer.weight, -bound, bound)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def patches(self, patches: Tensor) -> Tensor:
        """Enhance patches, (M, 867) float in [0, 1]: 289 values of R, of G and of B, row by row."""
        for layer in self.layers:
            patches = torch.sigmoid(layer(patches))
        return patches

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float RGB in [0, 1] to the same; any size.

        Patches lie three pixels apart, and each pixel is the mean of those that hold it. The border is repeated below
        and on the right where the last patches need it.
        """
        height, width = batch.shape[2:]
        # Where the authors resize the picture until patches fit, it is padded here: no pixel is resampled.
        rows, columns = (max(PATCH - size, (PATCH - size) % STEP) for size in (height, width))
        padded = F.pad(batch, (0, columns, 0, rows), mode="replicate")
        columns_of = F.unfold(padded, PATCH, stride=STEP)
        flat = columns_of.transpose(1, 2).reshape(-1, INPUTS)
        done = torch.cat([self.patches(part) for part in flat.split(_CHUNK)])
        done = done.view(len(batch), -1, INPUTS).transpose(1, 2).to(batch.dtype)
        size = padded.shape[2:]
        total = F.fold(done, size, PATCH, stride=STEP)
        count = F.fold(torch.ones_like(done[:1]), size, PATCH, stride=STEP)
        return (total / count)[:, :, :height, :width]
