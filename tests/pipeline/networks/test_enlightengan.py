"""EnlightenGAN's generator: the official outputs and keys, its two forms, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS
from torch import Tensor

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.networks.enlightengan import EnlightenGANGenerator, gray_attention


@pytest.fixture(scope="module")
def golden(golden_network: Callable[..., Any]) -> Any:
    return golden_network("enlightengan_generator")


@pytest.fixture(scope="module")
def official(golden: Any) -> EnlightenGANGenerator:
    network = EnlightenGANGenerator().eval()
    network.load_state_dict(golden.weights)
    return network.to(memory_format=torch.channels_last)


def test_equals_the_official_output(
    official: EnlightenGANGenerator, golden: Any, golden_input: Callable[..., Tensor]
) -> None:
    batch = 2 * golden_input(1, 3, 256, 320) - 1
    golden.assert_equal(gray_attention(batch), "gray_256x320")
    with torch.inference_mode():
        golden.assert_equal(official(batch.contiguous(memory_format=torch.channels_last)), "output_256x320")


def test_keys_and_shapes_are_the_official_ones(golden: Any) -> None:
    own = {key: tuple(value.shape) for key, value in EnlightenGANGenerator().state_dict().items()}
    assert own == {key: tuple(value.shape) for key, value in golden.weights.items()}


def test_size_without_the_golden_files() -> None:
    assert sum(each.numel() for each in EnlightenGANGenerator().parameters()) == 8_636_675


@pytest.mark.parametrize(
    # Black, white, and 1 - luma of the primaries.
    ("rgb", "expected"),
    [((-1, -1, -1), 1.0), ((1, 1, 1), 0.0), ((1, -1, -1), 0.701), ((-1, 1, -1), 0.413), ((-1, -1, 1), 0.886)],
)
def test_gray_attention_is_darkness(rgb: tuple[float, ...], expected: float) -> None:
    batch = torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1)
    assert gray_attention(batch).item() == pytest.approx(expected, abs=1e-6)


def test_white_stays_what_it_is() -> None:
    torch.manual_seed(0)
    network = EnlightenGANGenerator(width=4).eval()
    white = torch.ones(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(network(white), white)
        assert not torch.allclose(network(-white), -white)


@pytest.mark.parametrize("in_channels", [3, 4])
def test_without_attention_the_latent_comes_back(in_channels: int) -> None:
    torch.manual_seed(0)
    config = {"type": "EnlightenGANGenerator", "in_channels": in_channels, "width": 4, "attention": "none"}
    network = MODELS.build(config).eval()
    batch = torch.rand(2, in_channels, 32, 48)
    with torch.inference_mode():
        latent = network(batch)
    assert latent.shape == (2, 3, 32, 48)
    gray = EnlightenGANGenerator(width=4).eval()
    if in_channels == 4:
        gray.load_state_dict(network.state_dict())
        # Where the map is 1 everywhere it multiplies nothing: the two forms are the same network.
        black = torch.full((1, 3, 32, 32), -1.0)
        with torch.inference_mode():
            torch.testing.assert_close(gray(black), black + network(torch.cat((black, torch.ones(1, 1, 32, 32)), 1)))


def test_guided_layers_are_the_map_of_each_level() -> None:
    torch.manual_seed(0)
    network = EnlightenGANGenerator(in_channels=4, width=4, attention="none")
    sizes = []
    for name in network.guided_layers:
        network.get_submodule(name).register_forward_hook(lambda _m, _i, output: sizes.append(tuple(output.shape[1:])))
    network(torch.rand(1, 4, 64, 64))
    down = [(4, 64, 64), (8, 32, 32), (16, 16, 16), (32, 8, 8), (64, 4, 4)]
    assert sizes == [*down, *reversed(down[:-1])]


def test_takes_the_papers_attention_by_configuration_only() -> None:
    import duskbench.pipeline.networks.guided

    assert duskbench.pipeline.networks.guided
    torch.manual_seed(0)
    generator = {"type": "EnlightenGANGenerator", "in_channels": 4, "width": 4, "attention": "none"}
    guided = MODELS.build(
        {"type": "AttentionGuided", "generator": generator, "attention": {"type": "FeatureGuidedAttention"}}
    ).eval()
    plain = MODELS.build({**generator}).eval()
    plain.load_state_dict(guided.generator.state_dict())
    batch = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        enhanced, maps = guided.guide(batch)
        unguided = batch + maps.attention * plain(torch.cat((batch, maps.attention), 1))
    assert enhanced.shape == batch.shape
    assert not torch.allclose(enhanced, unguided), "the maps inside were not multiplied"


def test_the_latent_learns_everywhere() -> None:
    torch.manual_seed(0)
    network = EnlightenGANGenerator(width=4)
    network(torch.rand(2, 3, 32, 32) * 2 - 1).square().mean().backward()
    without = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.abs().sum()]
    assert without == []


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_maps_keep_their_size_with_every_normalisation_and_without(norm: str) -> None:
    torch.manual_seed(0)
    network = EnlightenGANGenerator(in_channels=4, width=8, attention="none", norm=norm)
    sizes: dict[str, float] = {}
    for name in network.guided_layers:
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: sizes.update({name: float(output.detach().std())})
        )
    network(torch.rand(2, 4, 32, 48))
    assert len(sizes) == 9
    assert 0.15 < min(sizes.values()) < max(sizes.values()) < 3, sizes


def test_an_output_of_zero_to_begin_with() -> None:
    batch = torch.rand(1, 4, 32, 32)
    assert not EnlightenGANGenerator(in_channels=4, width=4, attention="none", zero_output=True)(batch).any()
    assert EnlightenGANGenerator(in_channels=4, width=4, attention="none")(batch).any()


@pytest.mark.parametrize("size", [(30, 32), (32, 17)])
def test_other_sizes_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="multiples of 16"):
        EnlightenGANGenerator(width=4)(torch.zeros(1, 3, *size))


@pytest.mark.parametrize("arguments", [{"attention": "grey"}, {"in_channels": 4}])
def test_impossible_forms_are_errors(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="attention 'gray' with in_channels=3"):
        EnlightenGANGenerator(**arguments)
