"""Instance normalisation equals torch's, and what changes its result in place costs no copies of gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from duskbench.pipeline.networks.instance_norm import AffineInstanceNorm2d, InstanceNorm2d

SIZES = [(1, 3, 5, 7), (3, 4, 6, 6)]


def batch_and_weights(size: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    return torch.rand(size, generator=draw) * 2 - 1, torch.rand(size, generator=draw)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_equals_torchs(size: tuple[int, ...], layout: torch.memory_format) -> None:
    batch, weights = batch_and_weights(size)
    batch = batch.contiguous(memory_format=layout).requires_grad_()
    same = batch.detach().clone().requires_grad_()
    ours, torchs = InstanceNorm2d(size[1])(batch), F.instance_norm(same)
    torch.testing.assert_close(ours, torchs)
    (ours * weights).sum().backward()
    (torchs * weights).sum().backward()
    torch.testing.assert_close(batch.grad, same.grad)


@pytest.mark.parametrize("size", SIZES)
def test_a_relu_in_place_gives_the_same_bits_without_copies(size: tuple[int, ...]) -> None:
    batch, weights = batch_and_weights(size)
    gradients, functions = [], []
    for normalise in (InstanceNorm2d(size[1]), F.instance_norm):
        leaf = batch.clone().requires_grad_()
        result = normalise(leaf).relu_()
        functions.append(result.grad_fn.name())
        gradients.append(torch.autograd.grad((result * weights).sum(), leaf)[0])
    assert torch.equal(*gradients)
    # The second one's is what to avoid: if torch no longer needs it, neither is our own layer needed for it.
    assert functions == ["ReluBackward0", "AsStridedBackward0"]


@pytest.mark.parametrize("size", SIZES)
def test_with_weights_equals_torchs_in_a_graph_of_free_sizes_too(size: tuple[int, ...]) -> None:
    batch, _ = batch_and_weights(size)
    layer = AffineInstanceNorm2d(size[1]).requires_grad_(requires_grad=False)
    layer.weight.copy_(torch.rand(size[1], generator=torch.Generator().manual_seed(1)))
    layer.bias.copy_(torch.rand(size[1], generator=torch.Generator().manual_seed(2)))
    wanted = F.instance_norm(batch, weight=layer.weight, bias=layer.bias)
    assert torch.equal(layer(batch), wanted)
    free = torch.export.Dim.DYNAMIC
    graph = torch.export.export(layer, (batch,), dynamic_shapes=({2: free, 3: free},)).module()
    torch.testing.assert_close(graph(batch), wanted)


def test_a_map_of_one_place_is_the_bias() -> None:
    layer = AffineInstanceNorm2d(3)
    torch.nn.init.constant_(layer.bias, 0.25)
    one, several = torch.rand(2, 3, 1, 1), torch.full((2, 3, 4, 4), 0.7)
    assert torch.equal(layer(one), torch.full((2, 3, 1, 1), 0.25))
    torch.testing.assert_close(layer(several), torch.full((2, 3, 4, 4), 0.25))
