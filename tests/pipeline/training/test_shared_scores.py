"""Steps that run a discriminator once on generated pictures equal, to the last bit, steps that run it twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn
from torch.func import functional_call

from duskbench.benchmarks.speed.mixed_floor import Convolutions
from duskbench.pipeline.networks.build import build_network
from duskbench.pipeline.training import enlightengan, guided
from duskbench.pipeline.training.shared_scores import SharedScores

MODULES = {"EnlightenGAN": enlightengan, "GuidedGAN": guided}
FEATURES = {"type": "VGG16Features", "layer": "conv1_1", "weights": "random"}
MODELS_OF = {
    "EnlightenGAN": {
        "generator": {"type": "EnlightenGANGenerator", "width": 4},
        "discriminator": {"type": "EnlightenGANDiscriminator", "width": 4, "layers": 2},
        "patch_discriminator": {"type": "EnlightenGANDiscriminator", "width": 4, "layers": 1},
        "features": FEATURES,
        "patches": 3,
        "patch_size": 16,
    },
    "GuidedGAN": {
        "generator": {
            "type": "AttentionGuided",
            "generator": {"type": "UNet", "width": 4, "blocks": 4},
            "attention": {"type": "FeatureGuidedAttention", "features": FEATURES},
        },
        "discriminator": {"type": "MultiscaleDiscriminator", "width": 4, "layers": 2},
    },
}


class TwoPasses:
    """What `SharedScores` stands for: one pass for each of the two, as the official codes have it."""

    def __init__(self, discriminator: nn.Module, pictures: Tensor) -> None:
        self.discriminator, self.pictures = discriminator, pictures

    @property
    def own(self) -> Any:
        return self.discriminator(self.pictures.detach())

    def of_generator(self) -> Any:
        frozen = {name: value.detach() for name, value in self.discriminator.named_parameters()}
        return functional_call(self.discriminator, frozen, self.pictures)


class Half(OptimWrapper):
    """What AmpOptimWrapper is on a GPU, for a CPU."""

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            yield


def three_steps(
    method: str, wrapper: type[OptimWrapper] = OptimWrapper
) -> tuple[list[dict[str, float]], dict[str, Tensor], Counter[str]]:
    """Losses, weights afterwards, and how many convolutions of each kind the last step took."""
    torch.manual_seed(0)
    model = build_network({"type": method, **MODELS_OF[method]}).train()
    networks = [name for name in ("generator", "discriminator", "patch_discriminator") if hasattr(model, name)]
    wrappers = OptimWrapperDict(
        **{name: wrapper(torch.optim.Adam(getattr(model, name).parameters(), lr=1e-3)) for name in networks}
    )
    draw, losses = torch.Generator().manual_seed(1), []
    for number in range(3):
        low, normal = torch.rand(2, 2, 3, 48, 48, generator=draw)
        convolutions = Convolutions("cpu")
        with convolutions:
            logged = model.step({"low": low * 0.2, "normal": normal, "seed": torch.tensor([number, 9])}, wrappers)
        losses.append({name: value.item() for name, value in logged.items()})
    kinds: Counter[str] = Counter()
    for piece, count in convolutions.counts.items():
        kinds[piece.kind] += count
    return losses, model.state_dict(), kinds


@pytest.mark.parametrize(("method", "saved"), [("EnlightenGAN", 4 + 3), ("GuidedGAN", 2 * 4)])
def test_one_pass_equals_two_to_the_last_bit(method: str, saved: int, monkeypatch: pytest.MonkeyPatch) -> None:
    losses, weights, kinds = three_steps(method)
    monkeypatch.setattr(MODULES[method], "SharedScores", TwoPasses)
    expected, expected_weights, expected_kinds = three_steps(method)
    assert losses == expected
    assert all(torch.equal(value, expected_weights[name]) for name, value in weights.items())
    # One forward pass of each discriminator is saved, and nothing else is computed.
    assert expected_kinds - kinds == Counter(forward=saved)
    assert not kinds - expected_kinds


def test_one_pass_equals_two_in_half_precision_but_for_roundings(monkeypatch: pytest.MonkeyPatch) -> None:
    losses, _, _ = three_steps("GuidedGAN", Half)
    monkeypatch.setattr(guided, "SharedScores", TwoPasses)
    expected, _, _ = three_steps("GuidedGAN", Half)
    # Weight gradients of real and generated pictures are now added in full precision, and in half they were before.
    assert losses[0] == expected[0]
    for one, other in zip(losses, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-3)


@pytest.mark.parametrize("many", [False, True])
def test_gradients_go_where_they_belong(many: bool) -> None:
    torch.manual_seed(0)

    class Squares(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(3.0))

        def forward(self, pictures: Tensor) -> Any:
            scores = self.weight * pictures.square()
            return [scores, scores.sum()] if many else scores

    discriminator, pictures = Squares(), torch.tensor([[[[2.0, 5.0]]]], requires_grad=True)
    shared = SharedScores(discriminator, pictures * 1)
    of_generator = shared.of_generator()
    total = sum(each.sum() for each in of_generator) if many else of_generator.sum()
    total.backward()
    # Twice where the sum is a second score.
    assert pictures.grad is not None and pictures.grad.tolist() == [[[[(1 + many) * 12.0, (1 + many) * 30.0]]]]
    assert discriminator.weight.grad is None
    own = shared.own
    (sum(each.sum() for each in own) if many else own.sum()).backward()
    assert discriminator.weight.grad is not None and discriminator.weight.grad.item() == (1 + many) * 29
    assert pictures.grad.tolist() == [[[[(1 + many) * 12.0, (1 + many) * 30.0]]]]
