"""The picture as it is: the row every other one is compared with."""

from __future__ import annotations

import numpy as np

from duskbench.pipeline.enhancers.base import Enhancer


class Input(Enhancer):
    """Returns a copy of its input."""

    name = "input"

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """Copy."""
        return image_rgb.copy()
