"""2x2 max pooling equals torch's, whichever way it is computed."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from duskbench.pipeline.networks.pooling import MaxPool2d, max_pool


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("size", [(8, 6), (7, 9), (2, 2)])
def test_values_and_gradients_are_those_of_torch(
    size: tuple[int, int], learns: bool, layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    # Few values, so that windows have ties.
    maps = torch.randint(-2, 3, (2, 3, *size)).float().contiguous(memory_format=layout).requires_grad_(learns)
    pooled, expected = max_pool(maps), F.max_pool2d(maps, 2)
    assert torch.equal(pooled, expected)
    if learns:
        weights = torch.rand_like(expected)
        [ours], [theirs] = (torch.autograd.grad((each * weights).sum(), maps) for each in (pooled, expected))
        assert torch.equal(ours, theirs)


def test_what_is_no_number_stays_so() -> None:
    maps = torch.zeros(1, 1, 4, 4)
    maps[0, 0, 1, 2] = torch.nan
    assert max_pool(maps).isnan().tolist() == [[[[False, True], [False, False]]]]


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 2, "stride": 2},
        {"kernel_size": 2, "stride": 2, "ceil_mode": True},
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 1, "padding": 1},
        {"kernel_size": (2, 1), "stride": 2},
        {"kernel_size": 2, "stride": 1},
    ],
)
@pytest.mark.parametrize("size", [(8, 6), (7, 6), (5, 9)])
def test_the_layer_is_torchs_with_any_arguments(arguments: dict[str, object], size: tuple[int, int]) -> None:
    maps = torch.rand(1, 2, *size)
    assert torch.equal(MaxPool2d(**arguments)(maps), torch.nn.MaxPool2d(**arguments)(maps))
