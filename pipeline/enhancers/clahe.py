"""Contrast-limited adaptive histogram equalisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from duskbench.data_tools.settings import check_setting, is_number, is_whole
from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.enhancers.luminance import map_luma


class CLAHE(Enhancer):
    """Equalises the luma tile by tile, with a limit on how much contrast may grow; hues stay, see `map_luma`.

    Args:
        clip_limit: How far a histogram bin may exceed the mean bin before the excess is shared out, greater than 0.
        tile_grid: Tiles across the width and down the height, at least 1 each. A picture with fewer pixels than tiles
            along a side has one tile a pixel there.

    Raises:
        ConfigError: An argument is out of its range.

    Source: Zuiderveld, "Contrast limited adaptive histogram equalization", Graphics Gems IV, 1994, by OpenCV. The
    defaults, 2.0 and 8 x 8, are those of OpenCV's tutorial.
    """

    name = "clahe"
    paper = "Zuiderveld: Contrast Limited Adaptive Histogram Equalization, Graphics Gems IV, 1994"

    def __init__(self, clip_limit: float = 2.0, tile_grid: Sequence[int] = (8, 8)) -> None:
        super().__init__(clip_limit=clip_limit, tile_grid=tuple(tile_grid))
        limited = is_number(clip_limit) and clip_limit > 0
        check_setting("CLAHE", "clip_limit", clip_limit, limited, "a finite number greater than 0")
        tiled = len(tile_grid) == 2 and all(is_whole(tiles, 1) for tiles in tile_grid)
        check_setting("CLAHE", "tile_grid", tile_grid, tiled, "two whole numbers of at least 1")
        self._columns, self._rows = tile_grid
        self._clip_limit = clip_limit

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """Equalise the luma of every tile and blend between tiles."""
        import cv2

        height, width = image_rgb.shape[:2]
        clahe = cv2.createCLAHE(self._clip_limit, (min(self._columns, width), min(self._rows, height)))
        return map_luma(image_rgb, clahe.apply)
