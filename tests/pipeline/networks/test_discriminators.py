"""Discriminators: the official outputs, keys, receptive fields and scales."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError, UnknownNameError
from duskbench.pipeline.networks.discriminators import (
    EnlightenGANDiscriminator,
    MultiscaleDiscriminator,
    PatchDiscriminator,
)


def test_patch_discriminator_equals_the_official_one(
    golden_network: Callable[..., Any], golden_input: Callable[..., Tensor]
) -> None:
    golden = golden_network("cyclegan_patchgan70_discriminator")
    network = PatchDiscriminator().eval()
    network.load_state_dict(golden.weights)
    with torch.inference_mode():
        golden.assert_equal(network(2 * golden_input(1, 3, 256, 256) - 1), "output")


def test_multiscale_discriminator_equals_the_official_one(
    golden_network: Callable[..., Any], golden_input: Callable[..., Tensor]
) -> None:
    golden = golden_network("pix2pixhd_multiscale_discriminator")
    network = MultiscaleDiscriminator().eval()
    network.load_state_dict(golden.weights)
    with torch.inference_mode():
        full, half = network(2 * golden_input(1, 3, 256, 256) - 1)
    golden.assert_equal(full, "output_0_full_scale")
    golden.assert_equal(half, "output_1_half_scale")


def official_no_norm(weights: dict[str, Tensor], layers: int, batch: Tensor) -> Tensor:
    """NoNormDiscriminator.forward with the layers written out: every convolution 4x4, padded by 2."""
    for i in range(layers + 1):
        stride = 2 if i < layers else 1
        batch = F.conv2d(batch, weights[f"model.{2 * i}.weight"], weights[f"model.{2 * i}.bias"], stride, padding=2)
        batch = F.leaky_relu(batch, 0.2)
    last = 2 * (layers + 1)
    return F.conv2d(batch, weights[f"model.{last}.weight"], weights[f"model.{last}.bias"], padding=2)


@pytest.mark.parametrize(
    # Sizes by hand: floor(size / 2) + 1 for each layer, then twice one more.
    ("layers", "size", "scores", "parameters"),
    [(5, 256, 11, 11_154_369), (4, 32, 5, 6_959_553), (5, 64, 5, 11_154_369)],
)
def test_enlightengan_discriminator_is_the_official_one(layers: int, size: int, scores: int, parameters: int) -> None:
    torch.manual_seed(0)
    network = EnlightenGANDiscriminator(layers=layers)
    assert sum(each.numel() for each in network.parameters()) == parameters
    batch = torch.rand(1, 3, size, size) * 2 - 1
    with torch.inference_mode():
        got = network(batch)
        assert got.shape == (1, 1, scores, scores)
        torch.testing.assert_close(got, official_no_norm(dict(network.state_dict()), layers, batch))


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70)])
def test_one_score_sees_the_patch_that_gave_the_name(layers: int, field: int) -> None:
    torch.manual_seed(0)
    network = PatchDiscriminator(width=2, layers=layers, norm="none").double()
    batch = torch.rand(1, 3, 120, 120, dtype=torch.float64, requires_grad=True)
    scores = network(batch)
    middle = scores.shape[-1] // 2
    scores[0, 0, middle, middle].backward()
    assert batch.grad is not None
    rows = batch.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert int(rows.max() - rows.min()) + 1 == field


def test_scales_see_the_average_of_what_is_there() -> None:
    torch.manual_seed(0)
    network = MultiscaleDiscriminator(width=4, layers=1, scales=3, norm="none")
    batch = torch.rand(1, 3, 32, 32)
    full, half, quarter = network(batch)
    assert [tuple(each.shape[2:]) for each in (full, half, quarter)] == [(19, 19), (11, 11), (7, 7)]
    seen = F.avg_pool2d(F.avg_pool2d(batch, 3, 2, 1, count_include_pad=False), 3, 2, 1, count_include_pad=False)
    torch.testing.assert_close(quarter, network.get_submodule("layer0")(seen))
    # A constant picture stays constant, corners too: padding does not count.
    flat = F.avg_pool2d(torch.ones(1, 1, 8, 8), 3, 2, 1, count_include_pad=False)
    assert flat.min() == flat.max() == 1


@pytest.mark.parametrize("kind", ["PatchDiscriminator", "MultiscaleDiscriminator", "EnlightenGANDiscriminator"])
def test_built_by_name_at_any_width_and_with_four_channels(kind: str) -> None:
    network = MODELS.build({"type": kind, "in_channels": 4, "width": 4, "layers": 2})
    scores = network(torch.rand(2, 4, 32, 48))
    for each in scores if isinstance(scores, list) else [scores]:
        assert each.shape[:2] == (2, 1)
    first = next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    assert first.weight.shape == (4, 4, 4, 4)


def test_channels_stop_doubling() -> None:
    widths = [each.out_channels for each in PatchDiscriminator(width=4, layers=5).model if isinstance(each, nn.Conv2d)]
    assert widths == [4, 8, 16, 32, 32, 32, 1]
    multiscale = MultiscaleDiscriminator(width=128, layers=3, scales=1).get_submodule("layer0")
    assert [each.out_channels for each in multiscale.children() if isinstance(each, nn.Conv2d)] == [
        128,
        256,
        512,
        512,
        1,
    ]


def test_batch_normalisation_takes_the_place_of_the_bias() -> None:
    keys = set(PatchDiscriminator(width=4, norm="batch").state_dict())
    assert {"model.0.bias", "model.11.bias", "model.3.running_mean"} <= keys
    assert "model.2.bias" not in keys


def test_starts_from_the_gan_draw() -> None:
    torch.manual_seed(0)
    weight = EnlightenGANDiscriminator(width=32, layers=3).model[2].weight
    assert float(weight.detach().std()) == pytest.approx(0.02, rel=0.02)


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda: PatchDiscriminator(norm="instnace"), UnknownNameError, "did you mean instance"),
        (lambda: PatchDiscriminator(layers=0), ConfigError, "at least 1"),
        (lambda: MultiscaleDiscriminator(scales=0), ConfigError, "at least 1"),
    ],
)
def test_wrong_arguments_are_errors(build: Callable[[], nn.Module], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        build()
