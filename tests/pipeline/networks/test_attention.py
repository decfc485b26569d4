"""Eq. 3 against numpy, its ablations, and the wrapper that lays it over any generator."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.networks.attention import FeatureGuidedAttention, luma
from duskbench.pipeline.networks.build import build_network
from duskbench.pipeline.networks.guided import AttentionGuided
from duskbench.pipeline.registered import import_named

FEATURES = {"type": "VGG16Features", "layer": "conv3_1", "weights": "random"}
import_named(FEATURES)


@pytest.fixture
def batch() -> Tensor:
    return torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))


def numpy_attention(batch: Tensor, lifted: np.ndarray | None, gamma: float, grey: bool) -> np.ndarray:
    """Eq. 3, written down again, stretched from [sigmoid(0), sigmoid(1)] to [0, 1]."""
    r, g, b = batch.double().numpy().transpose(1, 0, 2, 3)
    dark = (1 - (0.299 * r + 0.587 * g + 0.114 * b))[:, None]
    inside = (dark if grey else 1.0) * (1.0 if lifted is None else lifted**gamma)
    return (1 / (1 + np.exp(-inside)) - 0.5) / (1 / (1 + np.exp(-1)) - 0.5)


@pytest.mark.parametrize("gamma", [1.0, 2.0, 4.0, 8.0])
@pytest.mark.parametrize("grey", [True, False])
def test_attention_is_eq_3(batch: Tensor, gamma: float, grey: bool) -> None:
    torch.manual_seed(0)
    attention = FeatureGuidedAttention(FEATURES, gamma=gamma, grey=grey)
    maps = attention(batch)
    assert maps.features is not None
    assert maps.lifted is not None
    assert maps.features.shape == (2, 256, 4, 6)
    # Up-sampling of each channel and their mean commute, so this is U(phi) for a mean over the channels.
    up = nn.functional.interpolate(maps.features.double(), (16, 24), mode="bilinear").mean(1, keepdim=True).numpy()
    lifted = 1 / (1 + np.exp(-up))
    np.testing.assert_allclose(maps.lifted.numpy(), lifted, atol=1e-6)
    np.testing.assert_allclose(maps.attention.numpy(), numpy_attention(batch, lifted, gamma, grey), atol=1e-6)


def test_without_features_it_is_the_grey_map_alone(batch: Tensor) -> None:
    maps = FeatureGuidedAttention(None)(batch)
    assert maps.features is None
    assert maps.lifted is None
    np.testing.assert_allclose(maps.attention.numpy(), numpy_attention(batch, None, 4, True), atol=1e-6)


@pytest.mark.parametrize(("output", "low", "high"), [("sigmoid", 0.5, 0.7311), ("rescaled", 0, 1), ("none", 0, 1)])
def test_range_of_the_outputs(output: str, low: float, high: float) -> None:
    ends = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    attention = FeatureGuidedAttention(None, output=output)(ends).attention
    assert attention[1].max() == pytest.approx(low, abs=1e-4), "white gets the least"
    assert attention[0].min() == pytest.approx(high, abs=1e-4), "black gets the most"


@pytest.mark.parametrize("reduction", ["mean", "max", "norm"])
def test_reductions_keep_the_order_of_channels_that_agree(reduction: str) -> None:
    attention = FeatureGuidedAttention(FEATURES, reduction=reduction)
    features = torch.arange(4.0).view(1, 1, 2, 2).expand(1, 256, 2, 2)
    np.testing.assert_allclose(
        attention._lift(features, torch.Size((2, 2))).numpy().ravel(), 1 / (1 + np.exp(-np.arange(4.0))), atol=1e-6
    )


@pytest.mark.parametrize("relu", [True, False])
def test_relu_is_an_argument(batch: Tensor, relu: bool) -> None:
    torch.manual_seed(0)
    features = build_network({**FEATURES, "relu": relu})(batch)
    assert (features.min() >= 0) == relu


@pytest.mark.parametrize(
    "arguments", [{"gamma": 0.5}, {"reduction": "sum"}, {"output": "tanh"}, {"grey": False, "features": None}]
)
def test_impossible_attention(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="attention is not possible"):
        FeatureGuidedAttention(**arguments)


def test_luma_is_rec_601() -> None:
    primaries = torch.eye(3).view(3, 3, 1, 1)
    np.testing.assert_allclose(luma(primaries).ravel().numpy(), [0.299, 0.587, 0.114], atol=1e-7)


class Doubling(nn.Module):
    """A generator whose maps are known: everything it is fed, twice; then the first three channels."""

    def __init__(self) -> None:
        super().__init__()
        self.same, self.halved = nn.Identity(), nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        self.first = self.same(2 * x)
        self.second = self.halved(self.first)
        return nn.functional.interpolate(self.second, scale_factor=2)[:, :3]


@pytest.fixture
def wrapped(monkeypatch: pytest.MonkeyPatch) -> AttentionGuided:
    from mmengine.registry import MODELS

    MODELS.register_module("Doubling", force=True, module=Doubling)
    grey = {"type": "FeatureGuidedAttention", "features": None, "output": "none"}
    guided = AttentionGuided({"type": "Doubling"}, grey, layers=["same", "halved"])
    yield guided
    MODELS.module_dict.pop("Doubling")


def test_every_map_and_the_output_are_multiplied(wrapped: AttentionGuided) -> None:
    picture = torch.full((1, 3, 4, 4), 0.25)
    enhanced, maps = wrapped.guide(picture)
    assert maps is not None
    a = 0.75
    assert torch.allclose(maps.attention, torch.tensor(a))
    # Twice the input, times a; its mean, times a again; then x + a * latent.
    assert torch.allclose(wrapped.generator.first[:, :3], torch.tensor(2 * 0.25 * a))
    assert torch.allclose(wrapped.generator.first[:, 3], torch.tensor(2 * a * a)), "the map is the fourth channel"
    assert torch.allclose(wrapped.generator.second[:, :3], torch.tensor(2 * 0.25 * a * a))
    assert torch.allclose(enhanced, torch.tensor(0.25 + a * (2 * 0.25 * a * a)))
    wrapped.residual = False
    assert torch.allclose(wrapped(picture), torch.tensor(a * (2 * 0.25 * a * a)))


@pytest.mark.parametrize(("pooling", "pool"), [("max", nn.functional.max_pool2d), ("mean", nn.functional.avg_pool2d)])
def test_reduced_attention_is_the_most_or_the_mean_of_its_pixels(
    wrapped: AttentionGuided, pooling: str, pool: Any
) -> None:
    picture = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    wrapped.pooling = pooling
    _, maps = wrapped.guide(picture)
    assert maps is not None
    reduced = pool(maps.attention, 2)
    expected = nn.functional.avg_pool2d(wrapped.generator.first, 2) * reduced
    assert torch.allclose(wrapped.generator.second, expected)


def test_every_level_of_the_default_generator_is_weighed_by_the_maps_own_maximum(batch: Tensor) -> None:
    """Full size and four reduced ones: EnlightenGAN's pyramid, each the 2x2 maximum of the one before."""
    generator = {"type": "EnlightenGANGenerator", "in_channels": 4, "width": 4, "attention": "none"}
    grey = {"type": "FeatureGuidedAttention", "features": None}
    torch.manual_seed(0)
    guided = build_network({"type": "AttentionGuided", "generator": generator, "attention": grey}).eval()
    seen: dict[int, Tensor] = {}
    reduce = guided._reduce
    guided._reduce = lambda size: seen.setdefault(size[1], reduce(size))
    picture = nn.functional.interpolate(batch, (48, 64))
    attention = guided.guide(picture).maps.attention
    assert sorted(seen) == [4, 8, 16, 32]
    for width, found in seen.items():
        assert torch.equal(found, nn.functional.max_pool2d(attention, 64 // width))


def test_unknown_pooling() -> None:
    with pytest.raises(ConfigError, match="pooled"):
        AttentionGuided({"type": "UNet", "width": 2, "blocks": 2}, pooling="median")


def test_a_residual_starts_as_the_picture(batch: Tensor) -> None:
    generator = {"type": "EnlightenGANGenerator", "in_channels": 4, "width": 4, "attention": "none"}
    attention = {"type": "FeatureGuidedAttention", "features": None}
    picture = nn.functional.interpolate(batch, (32, 48))
    for zero_output, same in ((True, True), (False, False)):
        config = {**generator, "zero_output": zero_output}
        guided = build_network({"type": "AttentionGuided", "generator": config, "attention": attention}).eval()
        assert torch.equal(guided(picture), picture) is same


def test_a_copy_uses_its_own_attention(wrapped: AttentionGuided) -> None:
    other = copy.deepcopy(wrapped)
    dark, bright = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.9)
    before = wrapped(bright)
    other(dark)
    assert torch.equal(wrapped(bright), before)
    assert torch.equal(other(bright), before)


def test_a_generator_that_names_no_layers_needs_them() -> None:
    with pytest.raises(ConfigError, match="layers for the attention") as caught:
        AttentionGuided({"type": "UNet", "width": 2, "blocks": 2}, layers=["down.0", "nowhere"])
    assert "down.0" in str(caught.value.todo)


GENERATORS = [
    {"type": "UNet", "in_channels": 4, "width": 4, "blocks": 4},
    {"type": "ResnetGenerator", "in_channels": 4, "width": 4, "blocks": 1, "tanh": False},
    {"type": "EnlightenGANGenerator", "in_channels": 4, "width": 4, "attention": "none"},
]


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda each: each["type"])
def test_it_plugs_into_any_generator_by_configuration(generator: dict[str, Any], batch: Tensor) -> None:
    torch.manual_seed(0)
    attention = {"type": "FeatureGuidedAttention", "features": FEATURES}
    guided = build_network({"type": "AttentionGuided", "generator": generator, "attention": attention}).eval()
    picture = nn.functional.interpolate(batch, (32, 48))
    seen: list[str] = []
    for name in guided.generator.guided_layers:
        guided.generator.get_submodule(name).register_forward_hook(lambda *_, name=name: seen.append(name))
    enhanced = guided(picture)
    assert enhanced.shape == picture.shape
    assert sorted(seen) == sorted(guided.generator.guided_layers), "every one of the named layers is run, once"
    # With an attention of nothing, nothing may change.
    guided._weigh = None
    guided.attention.forward = lambda x: guided.attention.__class__.forward(guided.attention, x)._replace(
        attention=torch.zeros_like(x[:, :1])
    )
    assert torch.equal(guided(picture), picture)


def test_no_attention_is_the_plain_generator(batch: Tensor) -> None:
    torch.manual_seed(0)
    guided = AttentionGuided({"type": "UNet", "in_channels": 3, "width": 4, "blocks": 4}).eval()
    with torch.no_grad():
        assert torch.equal(guided(batch), batch + guided.generator(batch))
