"""The paper's U-Net: eight blocks, a stride of sixteen, resize and convolution."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.networks.unet import UNet


def test_eight_blocks_of_two_convolutions_each_with_leaky_relu_and_batch_norm() -> None:
    network = UNet(width=4)
    blocks = [*network.down, *network.up]
    assert len(blocks) == 8
    for block in blocks:
        assert [type(layer) for layer in block] == [nn.Conv2d, nn.LeakyReLU, nn.BatchNorm2d] * 2
        assert all(layer.kernel_size == (3, 3) for layer in block if isinstance(layer, nn.Conv2d))
    assert not [m for m in network.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert network.stride == 16
    assert len(network.guided_layers) == 8


def test_parameters_at_the_width_of_the_papers_configuration() -> None:
    # Counted by hand: blocks down 4->32->64->128->256, resize 256->256, 256->128, ..., blocks up 2c -> c, 1x1 to 3.
    def block(before: int, after: int) -> int:
        return 9 * before * after + after + 2 * after + 9 * after * after + after + 2 * after

    widths, below = [32, 64, 128, 256], [64, 128, 256, 256]
    expected = sum(block(a, b) for a, b in zip([4, 32, 64, 128], widths, strict=True))
    expected += sum(9 * a * b + b for a, b in zip(below, widths, strict=True))
    expected += sum(block(2 * width, width) for width in widths) + 3 * 32 + 3
    assert sum(p.numel() for p in UNet(width=32).parameters()) == expected


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("size", [(32, 48), (16, 16), (64, 16)])
def test_size_in_is_size_out(norm: str, size: tuple[int, int]) -> None:
    network = UNet(width=2, norm=norm).eval()
    assert network(torch.rand(2, 4, *size)).shape == (2, 3, *size)


def test_every_parameter_learns() -> None:
    network = UNet(width=2, blocks=4)
    network(torch.rand(2, 4, 16, 16)).square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("arguments", [{"blocks": 7}, {"blocks": 0}, {"norm": "layer"}])
def test_impossible_networks(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="U-Net is not possible"):
        UNet(**arguments)  # type: ignore[arg-type]
