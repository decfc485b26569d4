"""Training crops from pairs in low and normal light: every sample is a function of the seed and its number."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.registry import DATASETS
from torch import Tensor

from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.images import read_image
from duskbench.data_tools.paired import HIGH, LOW, find_pairs
from duskbench.data_tools.settings import is_whole
from duskbench.pipeline.training.samples import Samples, folders_of, is_range, left_out_of

SYMMETRIES = 8


@DATASETS.register_module()
class PairedCrops(Samples):
    """Random crops at the same place of a low-light image and of its twin in normal light.

    Sample n takes the pair of place n of an endless sequence of shuffles, so an epoch sees every pair once.

    Args:
        root: Folder with `low` and `high`; see `data_tools.paired.find_pairs`. Several are taken together.
        crop: Side of the square crop in pixels. Images with a shorter side are enlarged to it (cubic).
        short_side: Least and most pixels of the shorter side to which a pair is resized before the crop, drawn for each
            sample; None leaves images as they are.
        symmetries: How many of the eight symmetries of a square are drawn from, in this order: none, upside down,
            turned by 90 degrees, the same upside down, by 180, ..., by 270, ...; 1 leaves crops as they are.
        stretch: Bring each image to its own minimum and maximum before the crop, as KinD does; crops are then float32
            in [0, 1] instead of uint8.
        limit: Only the first so many pairs of all.
        seed: With the sample's number decides everything.

    Raises:
        DataError: A folder has no pairs.
        ConfigError: A value is not possible.
    """

    def __init__(
        self,
        root: str | Path | Sequence[str | Path],
        crop: int = 256,
        *,
        short_side: tuple[int, int] | None = None,
        symmetries: int = SYMMETRIES,
        stretch: bool = False,
        limit: int | None = None,
        seed: int = 0,
    ) -> None:
        if not (
            is_whole(crop, 1)
            and (short_side is None or is_range(short_side, crop))
            and is_whole(symmetries, 1)
            and symmetries <= SYMMETRIES
            and isinstance(stretch, bool)
            and (limit is None or is_whole(limit, 1))
            and is_whole(seed, 0)
        ):
            raise ConfigError(
                "The training crops are not possible.",
                expected="crop of at least 1; crop <= short_side[0] <= short_side[1]; symmetries of 1 to 8; limit of "
                "at least 1, or None; stretch of True or False; seed of at least 0",
                got=f"crop={crop!r}, short_side={short_side!r}, symmetries={symmetries!r}, limit={limit!r}, "
                f"stretch={stretch!r}, seed={seed!r}",
            )
        self.crop, self.short_side, self.symmetries, self.stretch = crop, short_side, symmetries, stretch
        self.seed = seed
        pairs = [pair for each in folders_of(root) for pair in find_pairs(each).values()][:limit]
        self.notes = left_out_of(each / half for each in folders_of(root) for half in (LOW, HIGH))
        # Paths as one array of bytes: workers that are forked share its pages, which a list of strings would not.
        self._names = np.array([[os.fsencode(file) for file in pair] for pair in pairs])
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0))

    @property
    def files(self) -> list[Path]:
        """All images, pair by pair, in the order in which they are numbered."""
        return [Path(os.fsdecode(name)) for name in self._names.ravel()]

    def __len__(self) -> int:
        """Pairs."""
        return len(self._names)

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Make sample `number`, from 0 without end.

        Returns:
            `low` and `normal`, each (3, crop, crop) uint8 RGB, or float32 in [0, 1] where `stretch` is set, and `seed`,
            int64, for what is drawn later.

        Raises:
            DataError: An image cannot be read, or a pair's images are of different sizes.
        """
        draw = np.random.default_rng([self.seed, number])
        low, normal = (read_image(Path(os.fsdecode(name))) for name in self._pair(number))
        if low.shape != normal.shape:
            raise DataError(
                "A pair's images are of different sizes.",
                where=os.fsdecode(self._pair(number)[0]),
                got=f"{low.shape[:2]} and {normal.shape[:2]}",
                todo="`duskbench data paired` leaves such pairs out",
            )
        window = self._place(low.shape, draw)
        turn = int(draw.integers(self.symmetries))
        crops = [self._cut(image, window, turn) for image in (low, normal)]
        return {"low": crops[0], "normal": crops[1], "seed": torch.tensor(int(draw.integers(2**62)))}

    def _pair(self, number: int) -> np.ndarray:
        epoch, place = divmod(number, len(self._names))
        if self._order[0] != epoch:
            self._order = (epoch, np.random.default_rng([self.seed, 1, epoch]).permutation(len(self._names)))
        pair: np.ndarray = self._names[self._order[1][place]]
        return pair

    def _place(self, shape: tuple[int, ...], draw: np.random.Generator) -> tuple[tuple[int, int], int, int]:
        """Size to resize to, and the top left corner of the crop in it."""
        shorter = min(shape[:2])
        wanted = shorter if self.short_side is None else draw.uniform(*self.short_side)
        factor = max(wanted, self.crop) / shorter
        height, width = (max(round(side * factor), self.crop) for side in shape[:2])
        top, left = int(draw.integers(height - self.crop + 1)), int(draw.integers(width - self.crop + 1))
        return (height, width), top, left

    def _cut(self, image: np.ndarray, window: tuple[tuple[int, int], int, int], turn: int) -> Tensor:
        (height, width), top, left = window
        if (height, width) != image.shape[:2]:
            smaller = height < image.shape[0]
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
        crop = image[top : top + self.crop, left : left + self.crop]
        if self.stretch:
            # Of the whole image: a crop's own extremes would undo what differs between crops.
            low, high = image.min() / 255, image.max() / 255
            crop = ((crop / np.float32(255) - low) / max(high - low, 1e-3)).astype(np.float32)
        crop = np.rot90(crop, turn // 2)
        crop = np.flipud(crop) if turn % 2 else crop
        return torch.from_numpy(crop.transpose(2, 0, 1).copy())
