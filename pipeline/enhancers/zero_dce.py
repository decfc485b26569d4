"""Zero-DCE with its authors' weights."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from pipeline.enhancers.torch_base import TorchEnhancer
from pipeline.fingerprint import file_sha256
from pipeline.networks.zero_dce import DCENet
from pipeline.weights import find_weights, load_into, load_state_dict

WEIGHTS = "zero_dce/Epoch99.pth"


class ZeroDCE(TorchEnhancer):
    """Zero-Reference Deep Curve Estimation, inference only.

    Args:
        weights: Path of `Epoch99.pth` or of another file with the same keys; None looks it up by name.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.
        tile_pixels: See `TorchEnhancer`.

    Raises:
        WeightsError: The file is missing or does not fit.

    Source: Guo et al., "Zero-Reference Deep Curve Estimation for Low-Light Image Enhancement", CVPR 2020;
    Li-Chongyi/Zero-DCE, Zero-DCE_code/lowlight_test.py.
    """

    name = "zero_dce"
    # Seven 3x3 convolutions see seven pixels to each side; the tiling is exact.
    overlap: ClassVar[int | None] = 7
    # Feature maps of a window this large stay in the cache, which is worth more than what the overlap costs.
    cpu_tile_pixels: ClassVar[int] = 2**17

    def __init__(
        self,
        weights: str | Path | None = None,
        device: str | torch.device = "cpu",
        *,
        amp: bool = False,
        tile_pixels: int | None = None,
    ) -> None:
        super().__init__(device=device, amp=amp, tile_pixels=tile_pixels)
        path = find_weights(WEIGHTS, weights)
        network = DCENet()
        load_into(network, load_state_dict(path), where=path)
        self.weights = {WEIGHTS: file_sha256(path)}
        self.network = self.prepare(network)

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same."""
        return self.network(batch)
