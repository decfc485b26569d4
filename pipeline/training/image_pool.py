"""A pool of earlier generated pictures, which keeps a discriminator from forgetting them."""

from __future__ import annotations

import numpy as np
import torch
from mmengine import dist
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError


class ImagePool(nn.Module):
    """Exchanges half of the pictures that go through it for earlier ones.

    Its contents are buffers, so checkpoints have them. With several processes each holds the same pool and takes up
    the pictures of all, in the order of their seeds: it does not matter how the global batch is dealt out.

    Args:
        size: Pictures in the pool; 0 passes everything through.
        image_size: Side of the square pictures, or their height and width.
        stream: Tells apart pools that are asked with the same seeds.

    Source: Shrivastava et al. 2017, section 2.3; Zhu et al. 2017, section 4; junyanz/pytorch-CycleGAN-and-pix2pix,
    util/image_pool.py.
    """

    images: Tensor
    filled: Tensor

    def __init__(self, size: int, image_size: int | tuple[int, int], stream: int = 0) -> None:
        super().__init__()
        self.size, self.stream = size, stream
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.register_buffer("images", torch.zeros(size, 3, height, width))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def forward(self, images: Tensor, seeds: Tensor) -> Tensor:
        """Take pictures in and give as many back.

        Until the pool is full it keeps a copy of each and gives back what came; afterwards it does with each, by the
        toss of a coin, nothing or an exchange for one of its own.

        Args:
            images: (N, 3, H, W) float32, of `image_size`.
            seeds: (N,) int64, which decide everything.

        Returns:
            Shape of `images`, without gradients.

        Raises:
            ConfigError: The pictures are of another size than the pool's.
        """
        images = images.detach()
        if not self.size:
            return images
        if images.shape[1:] != self.images.shape[1:]:
            raise ConfigError(
                "The pictures do not fit into the image pool.",
                where="model.image_size",
                expected=f"pictures of {tuple(self.images.shape[1:])}",
                got=str(tuple(images.shape[1:])),
                todo="set model.image_size to train_dataloader.dataset.crop",
            )
        everyones = torch.cat(dist.all_gather(images.contiguous()))
        all_seeds = torch.cat(dist.all_gather(seeds)).tolist()
        given = torch.empty_like(everyones)
        for i in sorted(range(len(all_seeds)), key=all_seeds.__getitem__):
            given[i] = self._exchange(everyones[i], all_seeds[i])
        own = dist.get_rank() * len(images)
        return given[own : own + len(images)]

    def _exchange(self, image: Tensor, seed: int) -> Tensor:
        filled = int(self.filled)
        if filled < self.size:
            self.images[filled] = image
            self.filled += 1
            return image
        draw = np.random.default_rng([seed, self.stream])
        if draw.random() < 0.5:
            return image
        place = int(draw.integers(self.size))
        earlier = self.images[place].clone()
        self.images[place] = image
        return earlier
