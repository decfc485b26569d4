"""DRIT: networks, losses and gradients against the authors' code, and the order of its steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline import load_enhancer
from duskbench.pipeline.checkpoint import safetensors_bytes
from duskbench.pipeline.networks.drit import DRITContentDiscriminator, DRITDiscriminator, DRITGenerator
from duskbench.pipeline.training.drit import DRIT
from duskbench.pipeline.training.losses import cross_entropy_to
from tests.pipeline.conftest import Golden

GENERATOR: dict[str, Any] = {"type": "DRITGenerator", "width": 2}


def picture(seed: int, *shape: int) -> Tensor:
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 1


def part(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}


def of_generator(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in weights.items() if key.startswith(("enc_c.", "enc_a.", "gen."))}


@pytest.fixture(scope="module")
def golden(golden_network: Callable[[str], Golden]) -> Golden:
    return golden_network("drit_concat")


@pytest.mark.slow
def test_networks_are_the_authors(golden: Golden) -> None:
    network = DRITGenerator().eval()
    network.load_state_dict(of_generator(golden.weights))
    discriminator, judge = DRITDiscriminator(), DRITContentDiscriminator()
    discriminator.load_state_dict(part(golden.weights, "disA."))
    judge.load_state_dict(part(golden.weights, "disContent."))
    low, bright = picture(1234, 1, 3, 96, 128), picture(4321, 1, 3, 96, 128)
    attributes = torch.from_numpy(golden.outputs["z"])
    with torch.no_grad():
        golden.assert_equal(network.enc_c(low, "A")[:, ::8, ::2, ::2], "content_a_sample")
        golden.assert_equal(network(low, attributes), "x_ab")
        golden.assert_equal(network.gen(network.enc_c(bright, "B"), attributes, "A"), "x_ba")
        for name, each in (("a", low), ("b", bright)):
            mean, log_variance = network.enc_a(each, name.upper())
            golden.assert_equal(mean, f"mu_{name}")
            golden.assert_equal(log_variance, f"logvar_{name}")
        for scale, scores in enumerate(discriminator(low)):
            golden.assert_equal(scores, f"disA_{scale}")
        content = torch.randn(1, 256, 54, 54, generator=torch.Generator().manual_seed(778))
        golden.assert_equal(judge(content), "disContent_of_randn_seed778")


def noise(number: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(9000 + number))


def norm_of(network: nn.Module) -> float:
    return float(torch.stack([p.grad.norm() for p in network.parameters() if p.grad is not None]).norm())


@pytest.mark.slow
def test_losses_and_gradients_are_the_authors(shared: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = json.loads((shared / "golden" / "networks" / "drit_losses.json").read_text())
    model = DRIT({"type": "DRITGenerator"}, {"type": "DRITDiscriminator"}, {"type": "DRITContentDiscriminator"}).train()
    model.generator.load_state_dict(of_generator(golden.weights))
    names = {"encoded_low": "disA", "encoded_normal": "disB", "random_low": "disA2", "random_normal": "disB2"}
    for name, official in names.items():
        model.discriminators[name].load_state_dict(part(golden.weights, f"{official}."))
    model.content_discriminator.load_state_dict(part(golden.weights, "disContent."))
    # The sixth is a second z, for mode seeking, which came after the paper.
    numbers = iter([0, 1, 2, 3, 4, 6, 7, 8, 9])
    monkeypatch.setattr(model.generator.draws, "normal", lambda like: noise(next(numbers), *like.shape))
    both = {"low": picture(1234, 2, 3, 216, 216), "normal": picture(4321, 2, 3, 216, 216)}
    real = {name: each[:1] for name, each in both.items()}
    made = model.render(real)
    with torch.no_grad():
        judged = model.discriminator_losses(made, real, {name: each[1:] for name, each in both.items()})
        for name, official in names.items():
            assert judged[f"discriminator_{name}"].item() == pytest.approx(stored[official]["loss"], rel=1e-4)
        assert model.content_loss(made.content).item() == pytest.approx(stored["disContent"]["loss"], rel=1e-3)

    losses, expected = model.encoded_losses(made, real), stored["EG"]
    for ours, official in (("low", "a"), ("normal", "b")):
        capital = official.upper()
        for name, term in (
            ("adversarial", f"gan_loss_{official}"),
            ("content", f"gan_loss_{official}content"),
            ("cycle", f"l1_recon_{capital}_loss"),
            ("reconstruction", f"l1_recon_{capital * 2}_loss"),
            ("code", f"kl_loss_zc_{official}"),
            ("attributes", f"kl_loss_za_{official}"),
        ):
            assert losses[f"{name}_{ours}"].item() == pytest.approx(expected[term], rel=1e-4), term
    with torch.no_grad():
        drawn = model.random_losses(made)
        for name, domain, other, official in (("low", "A", "normal", "a"), ("normal", "B", "low", "b")):
            found = drawn[f"random_attributes_{name}"].item()
            assert found == pytest.approx(stored["G_alone"][f"l1_recon_z_loss_{official}"], rel=1e-4)
            # The stored one is the sum with that of the second z.
            second = model.generator.gen(made.content[other], noise(5, 1, 8), domain)
            both_z = drawn[f"random_adversarial_{name}"] + cross_entropy_to(
                1, model.discriminators[f"random_{name}"](second)
            )
            assert both_z.item() == pytest.approx(stored["G_alone"][f"gan2_loss_{official}"], rel=1e-4)
    total = torch.stack(list(losses.values())).sum()
    assert total.item() == pytest.approx(expected["G_loss"], rel=1e-4)
    total.backward()
    for network, term in (
        (model.generator.enc_c, "enc_c"),
        (model.generator.enc_a, "enc_a"),
        (model.generator.gen, "gen"),
    ):
        assert norm_of(network) == pytest.approx(expected[f"grad_norm_{term}"], rel=1e-3), term


def small(interval: int = 3) -> DRIT:
    torch.manual_seed(0)
    judge = {"type": "DRITContentDiscriminator", "width": 2}
    return DRIT(GENERATOR, {"type": "DRITDiscriminator", "width": 2}, judge, interval=interval)


def optimizers(model: DRIT) -> OptimWrapperDict:
    names = ("generator", "discriminators", "content_discriminator")
    return OptimWrapperDict(
        **{name: OptimWrapper(torch.optim.Adam(getattr(model, name).parameters(), lr=1e-3)) for name in names}
    )


def batch(n: int = 2) -> dict[str, Tensor]:
    low, bright = (picture(seed, n, 3, 216, 216) / 2 + 0.5 for seed in (1, 2))
    return {"low": low, "normal": bright, "seed": torch.arange(n)}


def test_two_steps_of_three_are_of_the_contents_discriminator_alone() -> None:
    model = small()
    wrappers = optimizers(model)
    for step in range(3):
        before = {name: value.clone() for name, value in model.named_parameters()}
        logged = model.step(batch(), wrappers)
        moved = {
            name.partition(".")[0] for name, value in model.named_parameters() if not torch.equal(value, before[name])
        }
        everything = {"generator", "discriminators", "content_discriminator"}
        assert moved == (everything if step == 2 else {"content_discriminator"})
        assert all(torch.isfinite(value) for value in logged.values())
    assert int(model.done) == 3


def test_the_attribute_encoder_does_not_learn_from_drawn_attributes() -> None:
    model = small()
    real = {name: each[:1] * 2 - 1 for name, each in batch().items() if name != "seed"}
    made = model.render(real)
    torch.stack(list(model.random_losses(made).values())).sum().backward()
    assert all(p.grad is None for p in model.generator.enc_a.parameters())
    assert all(p.grad is not None for p in model.generator.gen.decB1.parameters())  # type: ignore[union-attr]
    assert all(p.requires_grad for p in model.generator.enc_a.parameters())


def test_a_batch_that_cannot_be_dealt_in_two_is_an_error() -> None:
    model = small()
    with pytest.raises(ConfigError, match="batch_size"):
        model.step({name: value[:1] for name, value in batch().items()}, optimizers(model))


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (37, 22)])
def test_the_enhancer_takes_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    file = tmp_path / "drit.safetensors"
    file.write_bytes(safetensors_bytes(DRITGenerator(2).state_dict(), {"network": json.dumps(GENERATOR)}))
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    enhance = load_enhancer({"type": "drit", "weights": str(file)})
    np.testing.assert_array_equal(enhance(image), enhance(image))
