"""Global histogram equalisation."""

from __future__ import annotations

import numpy as np

from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.enhancers.luminance import map_luma


class HistogramEqualization(Enhancer):
    """Spreads the luma of the picture over all grey levels; hues stay, see `map_luma`.

    The luma's cumulative histogram, from its darkest level present to all pixels, becomes the new luma. A picture of
    one luma has nothing to spread and stays as it is.

    Source: Gonzalez, Woods, "Digital Image Processing", section 3.3; the darkest level goes to 0 as in OpenCV's
    `equalizeHist`.
    """

    name = "he"
    paper = "Gonzalez, Woods: Digital Image Processing, section 3.3"

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """Equalise the luma."""
        import cv2

        return map_luma(image_rgb, cv2.equalizeHist)
