"""Gamma correction, the simplest brightening."""

from __future__ import annotations

import numpy as np

from duskbench.data_tools.settings import check_setting, is_number
from duskbench.pipeline.enhancers.base import Enhancer


class Gamma(Enhancer):
    """Raises every channel, scaled to [0, 1], to a power.

    Args:
        gamma: The exponent, greater than 0. Below one brightens, one changes nothing, above one darkens.

    Raises:
        ConfigError: The exponent is not a finite number greater than 0.
    """

    name = "gamma"

    def __init__(self, gamma: float = 0.45) -> None:
        super().__init__(gamma=gamma)
        check_setting(
            "Gamma correction", "gamma", gamma, is_number(gamma) and gamma > 0, "a finite number greater than 0"
        )
        self._table = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """Look every sample up."""
        return self._table[image_rgb]
