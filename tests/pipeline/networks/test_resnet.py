"""CycleGAN's generator: the official output, keys, layouts, single pictures, and bands instead of the whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS
from torch import Tensor

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.networks.resnet import ResnetGenerator
from duskbench.pipeline.networks.resnet_bands import _bands, translate_in_bands


def picture(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def generator(seed: int = 0, **arguments: Any) -> ResnetGenerator:
    torch.manual_seed(seed)
    network = MODELS.build({"type": "ResnetGenerator", "width": 4, "blocks": 2, **arguments}).eval()
    # Normalisation of the small initial weights hides nothing: the biases are what it must remove.
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return network


@pytest.mark.slow
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_equals_the_official_output(
    golden_network: Callable[..., Any], golden_input: Callable[..., Tensor], layout: torch.memory_format
) -> None:
    golden = golden_network("cyclegan_resnet9_generator")
    network = ResnetGenerator().eval()
    network.load_state_dict(golden.weights)
    network.to(memory_format=layout)
    with torch.inference_mode():
        golden.assert_equal(network((2 * golden_input(1, 3, 256, 256) - 1).contiguous(memory_format=layout)), "output")


def test_size_and_keys_are_the_official_ones() -> None:
    with torch.device("meta"):
        network = ResnetGenerator()
    assert sum(each.numel() for each in network.parameters()) == 11_378_179
    keys = list(network.state_dict())
    assert keys[:2] == ["model.1.weight", "model.1.bias"]
    assert keys[-2:] == ["model.26.weight", "model.26.bias"]
    assert "model.18.conv_block.5.bias" in keys


def test_a_batch_is_its_pictures() -> None:
    network, batch = generator(), picture(3, 3, 16, 20)
    with torch.inference_mode():
        each = torch.cat([network(one[None]) for one in batch])
        torch.testing.assert_close(network(batch), each)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (12, 8), (20, 28), (64, 36), (68, 16)])
@pytest.mark.parametrize("rows", [1, 9, 16, 1000])
@pytest.mark.parametrize("tanh", [True, False])
def test_bands_equal_the_whole(height: int, width: int, rows: int, tanh: bool) -> None:
    network, batch = generator(tanh=tanh).double(), picture(2, 3, height, width).double()
    with torch.inference_mode():
        whole = network(batch)
        in_bands = translate_in_bands(network, batch.clone(), rows)
    # Statistics come back as float32.
    torch.testing.assert_close(in_bands, whole, rtol=1e-5, atol=1e-5)
    assert whole.std() > 0.1


@pytest.mark.parametrize("rows", range(8, 40, 2))
def test_bands_cover_every_row_once_and_none_is_thin(rows: int) -> None:
    for height in range(8, 200, 4):
        bands = list(_bands(height, rows))
        assert [start for start, _ in bands] + [height] == [0] + [stop for _, stop in bands]
        assert all(start % 2 == 0 and stop - start >= min(4, height) for start, stop in bands)


def test_guided_layers_are_one_for_each_size() -> None:
    network = generator(in_channels=4)
    sizes: list[tuple[int, int]] = []
    for name in network.guided_layers:
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output: sizes.append(tuple(output.shape[1:3]))
        )
    with torch.inference_mode():
        network(picture(1, 4, 16, 16))
    assert sizes == [(4, 16), (8, 8), (16, 4), (16, 4), (8, 8), (4, 16)]
    assert len(generator(blocks=0).guided_layers) == 5


def test_without_tanh_it_is_the_latent() -> None:
    batch = picture(1, 3, 12, 12)
    with torch.inference_mode():
        latent = generator(tanh=False)(batch)
        torch.testing.assert_close(generator(tanh=True)(batch), latent.tanh())


@pytest.mark.parametrize("arguments", [{"width": 0}, {"blocks": -1}, {"in_channels": 0}])
def test_impossible_arguments_are_errors(arguments: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="not possible"):
        ResnetGenerator(**arguments)
