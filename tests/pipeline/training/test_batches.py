"""An epoch's batches: PyTorch's, but for a last one of a single image."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import RandomSampler, SequentialSampler

from duskbench.pipeline.mmdet_config import load_config
from duskbench.pipeline.registry import detector_configs
from duskbench.pipeline.training.batches import BatchesOfSeveral, count_batches, without_single_images


@pytest.mark.parametrize(
    ("images", "size", "expected"),
    [
        (6, 4, [[0, 1, 2, 3], [4, 5]]),
        (8, 4, [[0, 1, 2, 3], [4, 5, 6, 7]]),
        (9, 4, [[0, 1, 2, 3], [4, 5, 6, 7]]),
        (5, 2, [[0, 1], [2, 3]]),
        (3, 1, [[0], [1], [2]]),
        # Nothing else to learn from.
        (1, 4, [[0]]),
        (0, 4, []),
    ],
)
def test_a_last_batch_of_one_image_is_left_out(images: int, size: int, expected: list[list[int]]) -> None:
    batches = BatchesOfSeveral(SequentialSampler(range(images)), size)
    assert list(batches) == expected
    assert len(batches) == count_batches(images, size) == len(expected)


class Shapes:
    """Images of which every third is upright."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def get_data_info(self, number: int) -> dict[str, int]:
        return {"width": 1 if number % 3 == 0 else 3, "height": 2}


@pytest.mark.parametrize(("images", "dropped"), [(1002, 0), (1008, 0), (1009, 1)])
def test_the_bundled_detectors_batches_are_mmdets_but_for_a_last_one_of_one_image(images: int, dropped: int) -> None:
    from mmdet.datasets.samplers import AspectRatioBatchSampler

    loader = load_config(detector_configs()["rfb_miniature"]).train_dataloader
    # 1002 images made the bundled weights: 62 batches of 16 and one of 10.
    sampler = RandomSampler(Shapes(images), generator=torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    sampler.dataset = sampler.data_source  # type: ignore[attr-defined]
    made = without_single_images(loader)["batch_sampler"]
    ours = DATA_SAMPLERS.build(made, default_args={"sampler": sampler, "batch_size": loader.batch_size})
    expected = list(AspectRatioBatchSampler(sampler, loader.batch_size))
    sampler.generator.manual_seed(0)
    assert list(ours) == expected[: len(expected) - dropped]
    assert len(ours) == len(expected) - dropped


@pytest.mark.parametrize(
    ("loader", "changes"),
    [
        ({"batch_size": 4}, True),
        ({"batch_size": 4, "drop_last": True}, False),
        ({"batch_sampler": {"type": "AspectRatioBatchSampler"}}, True),
        ({"batch_sampler": {"type": "AspectRatioBatchSampler", "drop_last": True}}, False),
        ({"batch_sampler": {"type": "MultiDataSampler"}}, False),
    ],
)
def test_other_ways_to_make_batches_stay(loader: dict[str, Any], changes: bool) -> None:
    assert (without_single_images(loader) != loader) is changes
