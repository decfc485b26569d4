"""SCI with its authors' weights."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from duskbench.data_tools.errors import UnknownNameError
from duskbench.data_tools.files import file_sha256
from duskbench.pipeline.enhancers.torch_base import TorchEnhancer
from duskbench.pipeline.networks.sci import SCINet
from duskbench.pipeline.weights import find_weights, load_into, load_state_dict

VARIANTS = ("easy", "medium", "difficult")


class SCI(TorchEnhancer):
    """Self-Calibrated Illumination, inference only.

    Args:
        variant: Which of the authors' three weight files: "easy" for mildly dark pictures, "medium", or "difficult".
        weights: Path of a file with the same keys, used instead of the variant's; None looks it up by name.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.
        tile_pixels: See `TorchEnhancer`.

    Raises:
        UnknownNameError: There is no such variant.
        WeightsError: The file is missing or does not fit.

    Source: Ma et al., "Toward Fast, Flexible, and Robust Low-Light Image Enhancement", CVPR 2022; vis-opt-group/SCI,
    test.py. The authors' script truncates to 8 bits; this rounds.
    """

    name = "sci"
    # Three 3x3 convolutions see three pixels to each side; the tiling is exact.
    overlap: ClassVar[int | None] = 3
    cpu_tile_pixels: ClassVar[int] = 2**18

    def __init__(
        self,
        variant: str = "medium",
        weights: str | Path | None = None,
        device: str | torch.device = "cpu",
        *,
        amp: bool = False,
        tile_pixels: int | None = None,
    ) -> None:
        if variant not in VARIANTS:
            raise UnknownNameError("SCI variant", str(variant), VARIANTS)
        super().__init__(device=device, amp=amp, tile_pixels=tile_pixels, variant=variant)
        name = f"sci/{variant}.pt"
        path = find_weights(name, weights)
        network = SCINet()
        # The files hold the whole training model; its calibration module plays no part afterwards.
        load_into(network, load_state_dict(path), where=path, ignore=("calibrate.",))
        self.weights = {name: file_sha256(path)}
        self.network = self.prepare(network)

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same."""
        return self.network(batch)
