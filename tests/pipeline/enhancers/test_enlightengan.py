"""EnlightenGAN as an enhancer: the authors' files, their padding, exact tiles, any size."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from duskbench.data_tools.errors import WeightsError
from duskbench.pipeline.enhancers.enlightengan import EnlightenGAN
from duskbench.pipeline.enhancers.padding import pad_to_multiple
from duskbench.pipeline.networks.enlightengan import EnlightenGANGenerator

CONFIG = {"type": "EnlightenGANGenerator", "width": 4}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A narrow network as `duskbench train --export` writes it."""
    torch.manual_seed(0)
    network = EnlightenGANGenerator(width=4)
    for parameter in network.parameters():
        # Large enough that what is far away shows in 8 bits.
        torch.nn.init.normal_(parameter, 0.05, 0.2) if parameter.dim() > 1 else None
    path = tmp_path_factory.mktemp("weights") / "narrow.safetensors"
    save_file(network.state_dict(), path, metadata={"network": json.dumps(CONFIG)})
    return path


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def published(golden_network: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> EnlightenGAN:
    """The golden weights in the form of the authors' file: a prefix, and no batch counters."""
    golden = golden_network("enlightengan_generator")
    state = {f"module.{key}": value for key, value in golden.weights.items() if not key.endswith("batches_tracked")}
    path = tmp_path_factory.mktemp("published") / "200_net_G_A.pth"
    torch.save(state, path)
    return EnlightenGAN(path)


def test_pads_as_the_official_code_does(
    published: EnlightenGAN, golden_network: Callable[..., Any], golden_input: Callable[..., Tensor]
) -> None:
    golden = golden_network("enlightengan_generator")
    image = golden_input(1, 3, 150, 203)[0].permute(1, 2, 0).contiguous().numpy()
    padded, top, left = pad_to_multiple(image, published.stride)
    assert (padded.shape, top, left) == ((160, 208, 3), 5, 2)
    with torch.inference_mode():
        output = published.forward(torch.from_numpy(padded).permute(2, 0, 1)[None]) * 2 - 1
    golden.assert_equal(output[:, :, top : top + 150, left : left + 203], "output_150x203")


def test_an_8_bit_picture_comes_back_rounded(
    published: EnlightenGAN, golden_network: Callable[..., Any], golden_input: Callable[..., Tensor]
) -> None:
    golden = golden_network("enlightengan_generator")
    image = (golden_input(1, 3, 150, 203)[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    want = np.clip(golden.outputs["output_150x203"][0].transpose(1, 2, 0) * 127.5 + 127.5, 0, 255)
    difference = np.abs(published(image) - want)
    # Rounding of the input moves the output of random weights by a few levels; a shift of the grid would by dozens.
    assert np.median(difference) < 1.5
    assert np.quantile(difference, 0.99) < 8


def test_the_overlap_is_what_the_network_sees() -> None:
    # All weights positive: what is bright wins every pooling and reaches as far as anything can.
    network = EnlightenGANGenerator(width=1, attention="none").double().eval()
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 0.1)
    reach = 0
    with torch.inference_mode():
        plain = network(torch.zeros(1, 3, 384, 16, dtype=torch.float64))
        for row in range(176, 192):
            lit = torch.zeros(1, 3, 384, 16, dtype=torch.float64)
            lit[:, :, row] = 1e6
            rows = (network(lit) - plain).abs().amax((0, 1, 3)).nonzero().flatten()
            reach = max(reach, row - int(rows.min()), int(rows.max()) - row)
    assert reach == EnlightenGAN.overlap


@pytest.mark.parametrize("size", [(400, 37), (30, 400), (333, 350)])
def test_tiles_equal_the_whole(weights: Path, size: tuple[int, int]) -> None:
    whole = EnlightenGAN(weights, tile_pixels=10**7)(picture(*size))
    tiled = EnlightenGAN(weights, tile_pixels=1)
    assert np.abs(tiled(picture(*size)).astype(int) - whole).max() <= 1
    assert whole.std() > 5


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (17, 3), (16, 16), (15, 2300)])
def test_any_size_comes_back_as_it_was(weights: Path, size: tuple[int, int]) -> None:
    assert EnlightenGAN(weights)(picture(*size)).shape == (*size, 3)


def test_white_stays_white(weights: Path) -> None:
    white = np.full((20, 40, 3), 255, np.uint8)
    np.testing.assert_array_equal(EnlightenGAN(weights)(white), white)


def test_the_fingerprint_follows_weights_and_network(weights: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    torch.manual_seed(1)
    save_file(EnlightenGANGenerator(width=4).state_dict(), other, metadata={"network": json.dumps(CONFIG)})
    assert EnlightenGAN(weights).fingerprint != EnlightenGAN(other).fingerprint
    assert EnlightenGAN(weights).fingerprint == EnlightenGAN(weights, tile_pixels=9).fingerprint


def test_a_file_for_another_network_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match=r"conv1_1\.weight"):
        EnlightenGAN(path)
