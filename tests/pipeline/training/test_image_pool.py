"""The image pool: what it gives back, what it keeps, what decides, and that checkpoints have it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.training.image_pool import ImagePool


def images(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None, None, None].expand(-1, 3, 2, 2).clone()


def values(batch: Tensor) -> list[float]:
    return batch[:, 0, 0, 0].tolist()


def filled(size: int = 4, stream: int = 0) -> ImagePool:
    pool = ImagePool(size, 2, stream)
    pool(images(*range(size)), torch.arange(size))
    return pool


def test_until_it_is_full_it_keeps_and_gives_back_what_came() -> None:
    pool = ImagePool(3, 2)
    assert values(pool(images(1, 2), torch.tensor([5, 6]))) == [1, 2]
    assert int(pool.filled) == 2
    assert values(pool(images(3), torch.tensor([7]))) == [3]
    assert values(pool.images) == [1, 2, 3]


def test_full_it_gives_back_what_came_or_swaps_it_for_an_earlier_one() -> None:
    swapped = 0
    for seed in range(400):
        pool = filled()
        (back,) = values(pool(images(9), torch.tensor([seed])))
        if back == 9:
            assert values(pool.images) == [0, 1, 2, 3]
        else:
            swapped += 1
            place = int(back)
            assert values(pool.images) == [9 if i == place else i for i in range(4)]
    # A fair coin of 400 tosses leaves this range once in 300,000 times; the seeds are fixed.
    assert 150 < swapped < 250


def test_every_place_can_be_given_back() -> None:
    backs = {values(filled()(images(9), torch.tensor([seed])))[0] for seed in range(100)}
    assert backs == {0, 1, 2, 3, 9}


def test_seeds_decide_and_not_the_order_or_the_global_state() -> None:
    seeds = torch.arange(10, 18)
    one, other = filled(), filled()
    torch.manual_seed(1)
    straight = values(one(images(*range(10, 18)), seeds))
    torch.manual_seed(2)
    backwards = values(other(images(*range(17, 9, -1)), seeds.flip(0)))
    assert straight == backwards[::-1]
    assert torch.equal(one.images, other.images)
    assert straight != values(filled(stream=1)(images(*range(10, 18)), seeds))


def test_one_after_the_other_is_the_same_as_together() -> None:
    together, single = filled(), filled()
    batch, seeds = images(*range(10, 16)), torch.arange(6)
    expected = values(together(batch, seeds))
    assert expected == [values(single(batch[i : i + 1], seeds[i : i + 1]))[0] for i in range(6)]
    assert torch.equal(together.images, single.images)


def test_its_contents_are_in_checkpoints() -> None:
    pool, later = filled(), ImagePool(4, 2)
    later.load_state_dict(pool.state_dict())
    batch, seeds = images(*range(10, 30)), torch.arange(20)
    assert torch.equal(pool(batch, seeds), later(batch, seeds))


def test_what_is_given_back_is_a_copy_without_gradients() -> None:
    pool = ImagePool(2, 2)
    batch = images(1).requires_grad_()
    back = pool(batch, torch.tensor([0]))
    assert not back.requires_grad
    with torch.no_grad():
        batch.zero_()
        back.zero_()
    assert values(pool.images[:1]) == [1]


def test_a_pool_of_none_passes_everything() -> None:
    assert values(ImagePool(0, 2)(images(1, 2), torch.tensor([0, 1]))) == [1, 2]


def test_pictures_of_another_size_are_an_error() -> None:
    with pytest.raises(ConfigError, match="do not fit into the image pool"):
        ImagePool(2, 4)(images(1), torch.tensor([0]))
