"""Training of the paper's method: one step against the losses written out, with and without what the paper has not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.networks.build import build_network
from duskbench.pipeline.training.degradations import add_noise, underexpose
from duskbench.pipeline.training.losses import chromaticity_loss

FEATURES = {"type": "VGG16Features", "layer": "conv2_1", "weights": "random"}
OTHER_FEATURES = {"type": "VGG16Features", "layer": "conv1_1", "weights": "random"}


def model(**arguments: Any) -> Any:
    torch.manual_seed(0)
    config = {
        "type": "GuidedGAN",
        "generator": {
            "type": "AttentionGuided",
            "generator": {"type": "UNet", "width": 4, "blocks": 4},
            "attention": {"type": "FeatureGuidedAttention", "features": FEATURES},
        },
        "discriminator": {"type": "MultiscaleDiscriminator", "width": 4, "layers": 2},
    }
    made: Any = build_network({**config, **arguments}).train()
    # It begins with zeros, so that the picture would stay as it is and have no perceptual loss.
    torch.nn.init.normal_(made.generator.generator.out.weight)
    return made


def batch() -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(1)
    low, normal = (torch.rand(2, 3, 32, 32, generator=draw) for _ in range(2))
    return {"low": low * 0.2, "normal": normal, "seed": torch.tensor([7, 8])}


def step(trained: Any, given: dict[str, Tensor]) -> dict[str, Tensor]:
    wrappers = OptimWrapperDict(
        **{
            name: OptimWrapper(torch.optim.SGD(getattr(trained, name).parameters(), lr=0.0))
            for name in ("generator", "discriminator")
        }
    )
    losses: dict[str, Tensor] = trained.step(given, wrappers)
    return losses


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"alpha": 0.0},
        {"alpha": 3.0, "normalised": True, "perceptual": OTHER_FEATURES},
        {"identity": 0.5, "chromaticity": 20.0, "noise": (0.1, 0.01)},
        {"reconstruction": {"pixels": 3.0, "stops": (1.0, 2.0), "spread": 0.5}},
        {"reconstruction": {"pixels": 3.0, "features": 12.0}, "normalised": True, "perceptual": OTHER_FEATURES},
    ],
    ids=["paper", "no-features", "other-features", "additions", "reconstruction", "reconstruction-of-features"],
)
def test_one_step_is_the_one_written_out(arguments: dict[str, Any]) -> None:
    trained, expected = model(**arguments), model(**arguments)
    given = batch()
    losses = step(trained, given)

    low, normal = given["low"], given["normal"]
    # What is compared with the result is the input without noise.
    seen = add_noise(low, [7, 8], *arguments["noise"]) if "noise" in arguments else low
    enhanced = expected.generator(seen)
    adversarial = sum((each - 1).square().mean() for each in expected.discriminator(enhanced * 2 - 1))
    features = expected.perceptual or expected.generator.attention.features

    def distance(*pictures: Tensor) -> Tensor:
        maps = [features(each) for each in pictures]
        return F.mse_loss(*([F.instance_norm(each) for each in maps] if arguments.get("normalised") else maps))

    perceptual = distance(enhanced, low)
    loss = adversarial + arguments.get("alpha", 1.0) * perceptual
    loss = loss + arguments.get("identity", 0.0) * (expected.generator(normal) - normal).abs().mean()
    loss = loss + arguments.get("chromaticity", 0.0) * chromaticity_loss(enhanced, low)
    back = arguments.get("reconstruction", {})
    restored = expected.generator(underexpose(normal, [7, 8], back.get("stops", (1.0, 6.5)), back.get("spread")))
    loss = loss + back.get("pixels", 0.0) * (restored - normal).abs().mean()
    loss = loss + back.get("features", 0.0) * distance(restored, normal)
    assert losses["loss"].item() == pytest.approx(loss.item(), rel=1e-5)
    assert losses["loss_adversarial"].item() == pytest.approx(adversarial.item(), rel=1e-5)
    if arguments.get("alpha", 1.0):
        assert losses["loss_perceptual"].item() == pytest.approx(perceptual.item(), rel=1e-5)

    learned = [name for name, value in expected.generator.named_parameters() if value.requires_grad]
    gradients = torch.autograd.grad(loss, [expected.generator.get_parameter(name) for name in learned])
    for name, gradient in zip(learned, gradients, strict=True):
        assert torch.allclose(trained.generator.get_parameter(name).grad, gradient, rtol=1e-3, atol=1e-5), name


def test_an_extractor_of_its_own_is_used_with_and_without_attention() -> None:
    own, other = (step(model(**given), batch())["loss_perceptual"] for given in ({}, {"perceptual": OTHER_FEATURES}))
    assert own.item() != pytest.approx(other.item(), rel=1e-3)
    alone = {"type": "AttentionGuided", "generator": {"type": "UNet", "width": 4, "blocks": 4, "in_channels": 3}}
    assert step(model(generator=alone, perceptual=OTHER_FEATURES), batch())["loss_perceptual"] > 0
    assert step(model(generator=alone, alpha=0.0), batch())["loss_perceptual"] == 0


def test_an_enhanced_picture_is_clipped() -> None:
    trained = model()
    trained.generator.forward = lambda low: torch.cat([low + 2, low - 2])
    assert trained.enhance(torch.full((1, 3, 8, 8), 0.5)).unique().tolist() == [0, 1]


@pytest.mark.parametrize(
    "reconstruction",
    [
        {"stops": (3.0, 1.0)},
        {"stops": (-1.0, 2.0)},
        {"stops": 2.0},
        {"spread": -0.5},
        {"pixels": -1.0},
        {"features": float("nan")},
    ],
)
def test_a_reconstruction_that_is_not_possible_is_refused(reconstruction: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="reconstruction"):
        model(reconstruction=reconstruction)


def test_features_of_a_reconstruction_need_an_extractor() -> None:
    alone = {"type": "AttentionGuided", "generator": {"type": "UNet", "width": 4, "blocks": 4, "in_channels": 3}}
    assert step(model(generator=alone, alpha=0.0, reconstruction={"pixels": 1.0}), batch())["loss_reconstruction"] > 0
    with pytest.raises(ConfigError, match="extractor"):
        model(generator=alone, alpha=0.0, reconstruction={"features": 1.0})
