"""Retinex-Net: the port's outputs, the fused output layers, tiles on a network that down-samples, and wrong files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duskbench.data_tools.errors import WeightsError
from duskbench.data_tools.images import read_image
from duskbench.pipeline.enhancers.retinexnet import RetinexNet
from duskbench.pipeline.networks.retinexnet import DecomNet, RelightNet, ReplicateConv2d, nearest_index


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> list[Path]:
    """Random weights of the two networks, scaled so that the whole receptive field shows in the result."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    for name, network in (("decom", DecomNet()), ("relight", RelightNet())):
        for parameter in network.parameters():
            if parameter.ndim == 4:
                nn.init.kaiming_normal_(parameter)
        torch.save(network.state_dict(), folder / f"{name}.tar")
    return [folder / "decom.tar", folder / "relight.tar"]


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("image", "golden"), [("Bus/2015_01881.png", "2015_01881.png"), ("Cup/2015_04425.jpg", "2015_04425.png")]
)
def test_equals_the_ports_output(shared, image, golden) -> None:
    folder = shared / "weights" / "retinexnet"
    enhance = RetinexNet(folder / "Decom_9200.tar", folder / "Relight_9200.tar")
    result = enhance(read_image(shared / "data" / "exdark" / "ExDark" / image))
    expected = read_image(shared / "golden" / "llie" / "retinexnet" / golden)
    assert (np.abs(result.astype(int) - expected) <= 1).mean() >= 0.999


def relight_as_printed(network: RelightNet, illumination: Tensor, reflectance: Tensor) -> Tensor:
    """Every level at full size, fused and put through the output layer, in the order of the port's description."""

    def conv(name: str, batch: Tensor, stride: int = 1) -> Tensor:
        layer = getattr(network, f"net2_{name}")
        return F.conv2d(F.pad(batch, (1, 1, 1, 1), mode="replicate"), layer.weight, layer.bias, stride=stride)

    full = conv("conv0_1", torch.cat([reflectance, illumination], 1))
    half = conv("conv1_1", full, 2).relu()
    quarter = conv("conv1_2", half, 2).relu()
    eighth = conv("conv1_3", quarter, 2).relu()
    up1 = conv("deconv1_1", torch.cat([F.interpolate(eighth, quarter.shape[2:]), quarter], 1)).relu()
    up2 = conv("deconv1_2", torch.cat([F.interpolate(up1, half.shape[2:]), half], 1)).relu()
    up3 = conv("deconv1_3", torch.cat([F.interpolate(up2, full.shape[2:]), full], 1)).relu()
    joined = torch.cat([F.interpolate(up1, full.shape[2:]), F.interpolate(up2, full.shape[2:]), up3], 1)
    return conv("output", F.conv2d(joined, network.net2_fusion.weight, network.net2_fusion.bias))


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 9), (24, 40), (31, 33), (38, 27)])
def test_the_fused_layers_equal_the_printed_ones(weights, size) -> None:
    network = RelightNet().double()
    network.load_state_dict(torch.load(weights[1]))
    illumination, reflectance = torch.rand(2, 1, *size).double(), torch.rand(2, 3, *size).double()
    expected = relight_as_printed(network, illumination, reflectance)
    assert torch.allclose(network(illumination, reflectance), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kernel_size", [3, 9])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (1, 12), (2, 2), (3, 8), (8, 9), (20, 17)])
def test_the_convolution_repeats_the_border(kernel_size, stride, size) -> None:
    convolve = ReplicateConv2d(2, 3, kernel_size, stride).double()
    batch = torch.rand(2, 2, *size).double()
    padded = F.pad(batch, (kernel_size // 2,) * 4, mode="replicate")
    expected = F.conv2d(padded, convolve.weight, convolve.bias, stride=stride)
    assert torch.allclose(convolve(batch), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (3, 130), (131, 2), (97, 118), (112, 99)])
@pytest.mark.parametrize("tile_pixels", [4000, 110 * 110])
def test_tiles_equal_the_whole(weights, size, tile_pixels) -> None:
    """At heights and widths of every remainder by 4: there nearest-neighbour steps are not of one length."""
    whole = RetinexNet(*weights, tile_pixels=10**6)(picture(*size))
    assert whole.shape == (*size, 3)
    tiled = RetinexNet(*weights, tile_pixels=tile_pixels)(picture(*size))
    assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_less_overlap_shows_a_seam(weights) -> None:
    class Shortsighted(RetinexNet):
        overlap = 8

    image = picture(90, 66)
    difference = Shortsighted(*weights, tile_pixels=48 * 48)(image).astype(int) - RetinexNet(*weights)(image)
    assert np.abs(difference).max() > 3


def test_the_overlap_is_enough(weights) -> None:
    decom, relight = DecomNet().double(), RelightNet().double()
    decom.load_state_dict(torch.load(weights[0]))
    relight.load_state_dict(torch.load(weights[1]))
    for position in range(40, 48):
        batch = torch.rand(1, 3, 1, 86, dtype=torch.float64, requires_grad=True)
        reflectance, illumination = decom(batch)
        relight(illumination, reflectance)[0, 0, 0, position].backward()
        columns = batch.grad.abs().sum((0, 1, 2)).nonzero().flatten()
        assert position - columns.min().item() <= RetinexNet.overlap
        assert columns.max().item() - position <= RetinexNet.overlap


@pytest.mark.parametrize(("size", "upsampled"), [(1, 1), (2, 5), (3, 9), (94, 375), (88, 350), (500, 1997)])
def test_nearest_index_is_the_upsampling(size, upsampled) -> None:
    column = torch.rand(1, 1, size, 1)
    expected = F.interpolate(column, size=(upsampled, 1))
    assert torch.equal(column[:, :, nearest_index(size, upsampled)], expected)


def test_the_size_is_the_ports() -> None:
    parameters = [*DecomNet().parameters(), *RelightNet().parameters()]
    assert sum(p.numel() for p in parameters) == 555_205


def test_the_fingerprint_has_both_files(weights, tmp_path) -> None:
    other = tmp_path / "relight.tar"
    torch.save({key: value + 1e-3 for key, value in torch.load(weights[1]).items()}, other)
    assert RetinexNet(*weights).fingerprint != RetinexNet(weights[0], other).fingerprint


def test_files_in_the_wrong_place_are_an_error(weights) -> None:
    with pytest.raises(WeightsError, match="DecomNet") as caught:
        RetinexNet(weights[1], weights[0])
    assert "net1_conv0.weight" in str(caught.value)
    assert caught.value.where == weights[1]


def test_a_missing_file_is_an_error_at_construction(weights, tmp_path) -> None:
    with pytest.raises(WeightsError, match="not there"):
        RetinexNet(weights[0], tmp_path / "nothing.tar")
