"""Batches of a detector's training: an epoch's images, without a last batch of one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.dataset import pseudo_collate
from mmengine.registry import DATA_SAMPLERS, FUNCTIONS
from torch.utils.data import BatchSampler, Sampler

from duskbench.data_tools.errors import DataError


def count_batches(images: int, size: int) -> int:
    """Batches of an epoch: the last one has the images that are left, unless that is one and there are others."""
    whole, left = divmod(images, size)
    return whole + (left > min(whole, 1))


def without_single_images(loader: Mapping[str, Any]) -> dict[str, Any]:
    """A data loader's configuration, with its batches but for a last one of one image.

    Batch samplers other than mmdet's usual one stay as they are.
    """
    given = loader.get("batch_sampler")
    usual = given is None or given.get("type") == "AspectRatioBatchSampler"
    if not usual or loader.get("drop_last") or (given or {}).get("drop_last"):
        return dict(loader)
    return {**loader, "batch_sampler": {"type": "BatchesOfSeveral", "batches": given}}


@FUNCTIONS.register_module()
def collate_unless_error(samples: Any) -> Any:
    """Join the samples of a batch as mmengine does; an error stays as it is."""
    return samples if isinstance(samples, DataError) else pseudo_collate(samples)


@DATA_SAMPLERS.register_module()
class BatchesOfSeveral(Sampler[list[int]]):
    """Batches as another sampler makes them, without a last one of a single image.

    Batch normalisation of a map of one pixel, as the last ones of an SSD are, has no statistics in it. A training
    shuffles, so another image is left out in each epoch.

    Args:
        sampler: Numbers of images.
        batch_size: Images of a batch.
        batches: Configuration of the other sampler of batches; None for PyTorch's.
    """

    def __init__(self, sampler: Sampler[int], batch_size: int, batches: Mapping[str, Any] | None = None) -> None:
        given = batches or {"type": BatchSampler, "drop_last": False}
        self.sampler, self.batch_size = sampler, batch_size
        self.batches = DATA_SAMPLERS.build(dict(given), default_args={"sampler": sampler, "batch_size": batch_size})

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the numbers of each batch."""
        for number, batch in enumerate(self.batches):
            if number == 0 or len(batch) > 1 or self.batch_size == 1:
                yield batch

    def __len__(self) -> int:
        """Batches."""
        return count_batches(len(self.sampler), self.batch_size)  # type: ignore[arg-type]
