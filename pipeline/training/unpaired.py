"""Training crops from an unpaired set: every sample is a pure function of the seed and the sample's number."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence, Sized
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.dist import get_dist_info
from mmengine.registry import DATA_SAMPLERS, DATASETS
from PIL import Image
from PIL.Image import Resampling
from torch import Tensor
from torch.utils.data import Sampler

from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.image_files import find_images
from duskbench.data_tools.images import read_image
from duskbench.data_tools.settings import is_number, is_whole
from duskbench.data_tools.training_manifest import FOLDERS
from duskbench.data_tools.unpaired_selection import luma
from duskbench.pipeline.training.samples import Samples, folders_of, is_range, left_out_of

NAMES = {"A": "low", "B": "normal"}
REDRAWS = 8
# Axis of the image that is turned round.
FLIPS = {"left_right": 1, "up_down": 0}


@DATASETS.register_module()
class UnpairedCrops(Samples):
    """Random crops of low-light and normal-light images that have nothing to do with each other.

    Sample n takes the image of place n of an endless sequence of shuffles of each domain, so an epoch sees every image
    of the larger domain once. Nothing is decoded before it is asked for, and nothing is kept.

    Args:
        root: Folder with `trainA` and `trainB`, as `duskbench data unpaired` writes it. Several are taken together.
        crop: Side of the square crop in pixels, or its height and width. Smaller images are enlarged to it (cubic).
        short_side: Least and most pixels of the shorter side to which an image is resized before the crop, drawn for
            each sample; None leaves images as they are. Small crops of large photos show next to nothing.
        least_luma: Mean luma in [0, 1] that a crop should have; darker ones are drawn again, `REDRAWS` times at most. A
            generator learns to paint over crops that show nothing.
        resize: Side of the square, or height and width, to which an image is resized before the crop, whatever its
            shape, instead of `short_side`; None leaves images as they are.
        resampling: By which filter `resize` does it, one of Pillow's: "bicubic", "lanczos" and so on, which see every
            pixel of the image. `short_side` takes areas on the way down and cubic splines on the way up.
        flips: Along what half of the samples are mirrored, each with its own draw: "left_right", "up_down".
        domains: What to read: a method that learns from low-light images alone does not decode the others.
        seed: With the sample's number decides everything.

    Raises:
        DataError: A folder is missing or holds no image.
        ConfigError: A value is not possible.

    Source: the paper, section 4.1 (256x256 crops).
    """

    def __init__(
        self,
        root: str | Path | Sequence[str | Path],
        crop: int | tuple[int, int] = 256,
        *,
        short_side: tuple[int, int] | None = None,
        least_luma: float = 0.0,
        resize: int | tuple[int, int] | None = None,
        resampling: str = "bicubic",
        flips: Sequence[str] = ("left_right",),
        domains: Sequence[str] = ("A", "B"),
        seed: int = 0,
    ) -> None:
        flips, domains = (each if isinstance(each, list | tuple) else (each,) for each in (flips, domains))
        if not (
            _is_size(crop)
            and (resize is None or (short_side is None and _is_size(resize) and _fits(crop, resize)))
            and (short_side is None or is_range(short_side, min(_size(crop))))
            and is_number(least_luma)
            and 0 <= least_luma <= 1
            and str(resampling).upper() in Resampling.__members__
            and all(flip in FLIPS for flip in flips)
            and domains
            and all(domain in NAMES for domain in domains)
            and is_whole(seed, 0)
        ):
            raise ConfigError(
                "The training crops are not possible.",
                expected="crop of at least 1; crop <= short_side[0] <= short_side[1] or crop <= resize, not both; "
                f"resampling of {', '.join(Resampling.__members__).lower()}; flips out of {' and '.join(FLIPS)}; "
                "domains out of A and B; least_luma from 0 to 1; seed of at least 0",
                got=f"crop={crop!r}, short_side={short_side!r}, resize={resize!r}, resampling={resampling!r}, "
                f"flips={tuple(flips)}, domains={tuple(domains)}, least_luma={least_luma!r}, seed={seed!r}",
            )
        self.crop, self.resize = _size(crop), None if resize is None else _size(resize)
        self.resampling, self.flips = Resampling[resampling.upper()], tuple(flips)
        self.short_side, self.least_luma, self.seed = short_side, least_luma, seed
        # Paths as one array of bytes: workers that are forked share its pages, which a list of strings would not.
        self._names = {
            domain: np.array([os.fsencode(file) for each in folders_of(root) for file in _images(each, domain)])
            for domain in domains
        }
        self.notes = left_out_of(each / FOLDERS[domain] for each in folders_of(root) for domain in domains)
        self._order: dict[tuple[str, int], np.ndarray] = {}

    @property
    def counts(self) -> dict[str, int]:
        """Number of images of each domain."""
        return {NAMES[domain]: len(names) for domain, names in self._names.items()}

    @property
    def files(self) -> list[Path]:
        """All images, in the order in which they are numbered."""
        return [Path(os.fsdecode(name)) for names in self._names.values() for name in names]

    def __len__(self) -> int:
        """Samples of an epoch: images of the larger domain."""
        return max(len(names) for names in self._names.values())

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Make sample `number`, from 0 without end.

        Returns:
            `low` and `normal`, each (3, height, width) of the crop, uint8 RGB, and `seed`, int64, for what is drawn
            later.

        Raises:
            DataError: An image cannot be read.
        """
        sample: dict[str, Tensor] = {}
        for domain in self._names:
            draw = np.random.default_rng([self.seed, ord(domain), number])
            image = read_image(self._file(domain, number))
            sample[NAMES[domain]] = torch.from_numpy(self._crop(image, draw).transpose(2, 0, 1).copy())
        later = np.random.default_rng([self.seed, number]).integers(2**62)
        return {**sample, "seed": torch.tensor(int(later))}

    def _file(self, domain: str, number: int) -> Path:
        names = self._names[domain]
        epoch, place = divmod(number, len(names))
        if (domain, epoch) not in self._order:
            draw = np.random.default_rng([self.seed, ord(domain), 1, epoch])
            self._order = {key: value for key, value in self._order.items() if key[0] != domain}
            self._order[domain, epoch] = draw.permutation(len(names))
        return Path(os.fsdecode(names[self._order[domain, epoch][place]]))

    def _sized(self, image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        if self.resize is not None:
            return np.asarray(Image.fromarray(image).resize(self.resize[::-1], self.resampling))
        height, width = image.shape[:2]
        shorter = min(height, width)
        wanted = shorter if self.short_side is None else draw.uniform(*self.short_side)
        factor = max(wanted / shorter, self.crop[0] / height, self.crop[1] / width)
        if factor != 1:
            size = (max(round(width * factor), self.crop[1]), max(round(height * factor), self.crop[0]))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
        return image

    def _crop(self, image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        image = self._sized(image, draw)
        for _ in range(1 + REDRAWS):
            top = int(draw.integers(image.shape[0] - self.crop[0] + 1))
            left = int(draw.integers(image.shape[1] - self.crop[1] + 1))
            window = image[top : top + self.crop[0], left : left + self.crop[1]]
            if not self.least_luma or luma(window).mean() >= 255 * self.least_luma:
                break
        for flip in self.flips:
            if draw.random() < 0.5:
                window = np.flip(window, FLIPS[flip])
        return window


def _is_size(value: object) -> bool:
    return (
        all(is_whole(n, 1) for n in value) and len(value) == 2
        if isinstance(value, list | tuple)
        else is_whole(value, 1)
    )


def _fits(crop: int | Sequence[int], resize: int | Sequence[int]) -> bool:
    return all(a <= b for a, b in zip(_size(crop), _size(resize), strict=True))


def _size(side: int | Sequence[int]) -> tuple[int, int]:
    height, width = (side, side) if isinstance(side, int) else side
    return height, width


def _images(root: Path, domain: str) -> list[Path]:
    folder = root / FOLDERS[domain]
    found = find_images(folder) if folder.is_dir() else None
    if found is None or not found.files:
        raise DataError(
            "The training set is not there." if found is None else "The training set has no images.",
            where=folder,
            expected="trainA (low light) and trainB (normal light) with images",
            got="; ".join(found.notes) or "none" if found else "a file" if folder.is_file() else "no such folder",
            todo="build it with `duskbench data unpaired`, or name its folder: --cfg-options data_root=DIR",
        )
    return [folder / file for file in found.files]


@DATA_SAMPLERS.register_module()
class SampleNumbers(Sampler[int]):
    """The numbers 0, 1, 2, ... without end, dealt out to the processes in turn; can start anywhere.

    Args:
        dataset: What is sampled.
        seed: Of no effect: the data set has its own. mmengine passes it.
    """

    def __init__(self, dataset: Sized, seed: int | None = None) -> None:
        self.size = len(dataset)
        self.rank, self.world_size = get_dist_info()
        self.start = 0

    def __iter__(self) -> Iterator[int]:
        """Yield this process's numbers."""
        number = self.start * self.world_size + self.rank
        while True:
            yield number
            number += self.world_size

    def __len__(self) -> int:
        """Samples of an epoch."""
        return self.size

    def skip(self, num_samples: int) -> None:
        """Start after as many samples of this process; mmengine's loop calls it when a run is resumed."""
        self.start = num_samples

    def set_epoch(self, epoch: int) -> None:
        """Of no effect: there are no epochs here. mmengine calls it."""
