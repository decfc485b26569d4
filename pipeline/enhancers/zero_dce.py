"""Zero-DCE, with the weights that ship, one's own, or those of its authors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from duskbench.pipeline.enhancers.generator import GeneratorEnhancer
from duskbench.pipeline.weight_catalogue import CATALOGUE, WeightFile
from duskbench.pipeline.weights import find_weights

OFFICIAL = "official"
PUBLISHED_FILE = "zero_dce/Epoch99.pth"


class ZeroDCE(GeneratorEnhancer):
    """Zero-Reference Deep Curve Estimation.

    Args:
        weights: "official" for the authors' `Epoch99.pth`, found by name or downloaded; the path of a file; None for
            those that ship. See `GeneratorEnhancer`.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.
        tile_pixels: See `TorchEnhancer`.

    Raises:
        WeightsError: The file is missing or does not fit.

    Source: Guo et al., "Zero-Reference Deep Curve Estimation for Low-Light Image Enhancement", CVPR 2020;
    Li-Chongyi/Zero-DCE, Zero-DCE_code/lowlight_test.py.
    """

    name = "zero_dce"
    paper = "Guo et al.: Zero-Reference Deep Curve Estimation for Low-Light Image Enhancement, CVPR 2020"
    default_weights = "zero_dce"
    files: ClassVar[Mapping[str, WeightFile]] = {OFFICIAL: CATALOGUE[PUBLISHED_FILE]}
    published_network: ClassVar[Mapping[str, Any] | None] = {"type": "DCENet", "width": 32}
    # Seven 3x3 convolutions see seven pixels to each side; the tiling is exact.
    overlap: ClassVar[int | None] = 7
    # Feature maps of a window this large stay in the cache, which is worth more than what the overlap costs.
    cpu_tile_pixels: ClassVar[int] = 2**17

    def find(self, weights: str | Path | None) -> Path:
        """The weight file that an argument names; see the class."""
        return find_weights(PUBLISHED_FILE) if weights == OFFICIAL else super().find(weights)
