"""The CycleGAN enhancer: files of the official code, ranges, every size, and pictures above the limit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from duskbench.data_tools.errors import WeightsError
from duskbench.pipeline.enhancers.cyclegan import CycleGAN
from duskbench.pipeline.networks.resnet import ResnetGenerator


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def network() -> ResnetGenerator:
    torch.manual_seed(0)
    return ResnetGenerator(width=4, blocks=1).eval()


@pytest.fixture(scope="module")
def weights(network, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "cyclegan.safetensors"
    config = json.dumps({"type": "ResnetGenerator", "width": 4, "blocks": 1})
    save_file(network.state_dict(), path, metadata={"network": config})
    return path


def test_values_go_to_the_networks_range_and_back(network, weights) -> None:
    image = picture(16, 24)
    with torch.no_grad():
        output = network(torch.from_numpy(image).permute(2, 0, 1)[None] / 127.5 - 1)[0]
    expected = ((output + 1) * 127.5).permute(1, 2, 0).numpy()
    assert np.abs(CycleGAN(weights)(image) - expected).max() < 0.51


def test_what_training_wrote_is_found_by_name(weights, monkeypatch) -> None:
    monkeypatch.setenv("DUSKBENCH_WEIGHTS", str(weights.parent))
    np.testing.assert_array_equal(CycleGAN()(picture(16, 16)), CycleGAN(weights)(picture(16, 16)))


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (4, 4), (5, 7), (8, 8), (9, 31), (61, 47)])
@pytest.mark.parametrize("tile_pixels", [None, 64])
def test_every_size_comes_back_as_it_went(weights, size, tile_pixels) -> None:
    assert CycleGAN(weights, tile_pixels=tile_pixels)(picture(*size)).shape == (*size, 3)


@pytest.mark.parametrize("size", [(16, 16), (61, 47), (100, 20)])
def test_a_picture_above_the_limit_has_no_seams(weights, size) -> None:
    whole = CycleGAN(weights)(picture(*size)).astype(int)
    in_bands = CycleGAN(weights, tile_pixels=200)(picture(*size))
    assert np.abs(in_bands - whole).max() <= 1
    assert CycleGAN(weights, tile_pixels=200).fingerprint == CycleGAN(weights).fingerprint


def test_a_file_of_the_official_code_loads(tmp_path) -> None:
    torch.manual_seed(0)
    state = {f"module.{key}": value for key, value in ResnetGenerator().state_dict().items()}
    torch.save(state, tmp_path / "latest_net_G_A.pth")
    # As torch 0.3 wrote it: statistics for each normalisation, which nothing reads.
    for name, channels in (("model.2", 64), ("model.10.conv_block.2", 256), ("model.24", 64)):
        state[f"module.{name}.running_mean"] = torch.full((channels,), 7.0)
        state[f"module.{name}.running_var"] = torch.full((channels,), 7.0)
        state[f"module.{name}.num_batches_tracked"] = torch.tensor(7)
    torch.save(state, tmp_path / "old.pth")
    new, old = CycleGAN(tmp_path / "latest_net_G_A.pth"), CycleGAN(tmp_path / "old.pth")
    np.testing.assert_array_equal(new(picture(16, 16)), old(picture(16, 16)))


def test_a_file_for_another_network_is_an_error(tmp_path) -> None:
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="ResnetGenerator") as caught:
        CycleGAN(tmp_path / "other.pth")
    assert "model.1.weight" in str(caught.value)
