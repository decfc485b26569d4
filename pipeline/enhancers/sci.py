"""SCI with its authors' weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from duskbench.pipeline.enhancers.published import PublishedEnhancer
from duskbench.pipeline.networks.sci import SCINet
from duskbench.pipeline.weight_catalogue import CATALOGUE, WeightFile


class SCI(PublishedEnhancer):
    """Self-Calibrated Illumination, inference only.

    Args:
        variant: Which of the authors' three weight files: "medium", "easy" for mildly dark pictures, or "difficult".
        weights: See `PublishedEnhancer`.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.
        tile_pixels: See `TorchEnhancer`.

    Source: Ma et al., "Toward Fast, Flexible, and Robust Low-Light Image Enhancement", CVPR 2022; vis-opt-group/SCI,
    test.py. The authors' script truncates to 8 bits; this rounds.
    """

    name = "sci"
    paper = "Ma et al.: Toward Fast, Flexible, and Robust Low-Light Image Enhancement, CVPR 2022"
    network_class: ClassVar[type[nn.Module]] = SCINet
    files: ClassVar[Mapping[str, WeightFile]] = {
        variant: CATALOGUE[f"sci/{variant}.pt"] for variant in ("medium", "easy", "difficult")
    }
    # Three 3x3 convolutions see three pixels to each side; the tiling is exact.
    overlap: ClassVar[int | None] = 3
    cpu_tile_pixels: ClassVar[int] = 2**18

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Without the calibration module of the training model, which plays no part afterwards."""
        return {key: value for key, value in state.items() if not key.startswith("calibrate.")}
