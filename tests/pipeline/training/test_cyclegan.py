"""Training of CycleGAN: one step against the official order of updates in plain torch, its weights and its state."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import MODELS
from torch import Tensor, nn

import duskbench.pipeline.networks.discriminators
import duskbench.pipeline.networks.resnet
import duskbench.pipeline.networks.unet  # noqa: F401 - these imports register the networks
from duskbench.pipeline.training.cyclegan import CycleGAN

GENERATOR = {"type": "ResnetGenerator", "width": 4, "blocks": 1}
DISCRIMINATOR = {"type": "PatchDiscriminator", "width": 4, "layers": 2}
ADAM = {"lr": 2e-3, "betas": (0.5, 0.999)}


def model(seed: int = 0, **arguments: Any) -> CycleGAN:
    torch.manual_seed(seed)
    config = {"type": "CycleGAN", "generator": GENERATOR, "discriminator": DISCRIMINATOR, "image_size": 32}
    return MODELS.build({**config, "pool_size": 2, **arguments})


def optimizers(trained: CycleGAN) -> OptimWrapperDict:
    networks = {"generators": trained.generators, "discriminators": trained.discriminators}
    return OptimWrapperDict(
        **{name: OptimWrapper(torch.optim.Adam(network.parameters(), **ADAM)) for name, network in networks.items()}
    )


def batch(n: int = 1, seed: int = 0) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    low, normal = torch.rand(2, n, 3, 32, 32, generator=draw)
    return {"low": low * 0.2, "normal": normal, "seed": torch.arange(n) + 1000 * seed}


def official_step(
    nets: dict[str, nn.Module], adam: dict[str, torch.optim.Adam], real_a: Tensor, real_b: Tensor
) -> dict[str, float]:
    """optimize_parameters of the official cycle_gan_model.py, written out, before its pools are full."""

    def gan(scores: Tensor, target: float) -> Tensor:
        return F.mse_loss(scores, torch.full_like(scores, target))

    fake_b, fake_a = nets["G_A"](real_a), nets["G_B"](real_b)
    rec_a, rec_b = nets["G_B"](fake_b), nets["G_A"](fake_a)
    loss_g = gan(nets["D_A"](fake_b), 1) + gan(nets["D_B"](fake_a), 1)
    loss_g = loss_g + 10 * F.l1_loss(rec_a, real_a) + 10 * F.l1_loss(rec_b, real_b)
    loss_g = loss_g + 5 * F.l1_loss(nets["G_A"](real_b), real_b) + 5 * F.l1_loss(nets["G_B"](real_a), real_a)
    adam["G"].zero_grad()
    loss_g.backward()
    adam["G"].step()
    adam["D"].zero_grad()
    losses = []
    for name, real, fake in (("D_A", real_b, fake_b), ("D_B", real_a, fake_a)):
        losses.append((gan(nets[name](real), 1) + gan(nets[name](fake.detach()), 0)) * 0.5)
        losses[-1].backward()
    adam["D"].step()
    return {"loss": loss_g.item(), "loss_discriminators": sum(loss.item() for loss in losses)}


def test_a_step_equals_the_official_one() -> None:
    trained = model()
    nets = {
        "G_A": copy.deepcopy(trained.generators["brighten"]),
        "G_B": copy.deepcopy(trained.generators["darken"]),
        "D_A": copy.deepcopy(trained.discriminators["normal"]),
        "D_B": copy.deepcopy(trained.discriminators["low"]),
    }
    adam = {
        kind: torch.optim.Adam(itertools.chain(nets[f"{kind}_A"].parameters(), nets[f"{kind}_B"].parameters()), **ADAM)
        for kind in "GD"
    }
    wrappers = optimizers(trained)
    for step in range(2):
        data = batch(seed=step)
        expected = official_step(nets, adam, data["low"] * 2 - 1, data["normal"] * 2 - 1)
        logged = trained.step(data, wrappers)
        for name, value in expected.items():
            assert logged[name].item() == pytest.approx(value, rel=1e-4)
    ours = {
        "G_A": trained.generators["brighten"],
        "G_B": trained.generators["darken"],
        "D_A": trained.discriminators["normal"],
        "D_B": trained.discriminators["low"],
    }
    for name, network in ours.items():
        for key, value in network.state_dict().items():
            # Biases before a normalisation have no gradient but rounding, which Adam turns into whole steps.
            if key.endswith("weight"):
                torch.testing.assert_close(value, nets[name].state_dict()[key], rtol=1e-3, atol=2e-4)


def test_losses_in_the_log_are_the_parts_of_the_total() -> None:
    trained = model()
    logged = trained.step(batch(), optimizers(trained))
    generators = [f"{kind}_{name}" for kind in ("adversarial", "cycle", "identity") for name in ("normal", "low")]
    assert sum(logged[name].item() for name in generators) == pytest.approx(logged["loss"].item(), rel=1e-5)
    parts = logged["discriminator_normal"] + logged["discriminator_low"]
    assert parts.item() == pytest.approx(logged["loss_discriminators"].item(), rel=1e-5)
    without = model(identity_weight=0.0)
    assert not any("identity" in name for name in without.step(batch(), optimizers(without)))


def test_discriminators_get_no_gradient_from_the_generators_step() -> None:
    trained = model()
    losses, fakes = trained._generator_losses({"low": batch()["low"] * 2 - 1, "normal": batch()["normal"] * 2 - 1})
    trained.descend(optimizers(trained)["generators"], torch.stack(list(losses.values())).sum())
    assert all(p.grad is None for p in trained.discriminators.parameters())
    assert all(p.grad is not None for p in trained.generators.parameters())
    assert set(fakes) == {"normal", "low"}


UNET = {"type": "UNet", "in_channels": 3, "width": 4, "blocks": 4}


@pytest.mark.parametrize(
    ("generator", "passes", "tolerance"), [(GENERATOR, 1, 1e-6), ({**UNET, "norm": "batch"}, 2, 0.0)]
)
def test_translation_and_identity_share_a_pass_where_pictures_do_not_see_each_other(
    generator: dict[str, Any], passes: int, tolerance: float
) -> None:
    trained = model(generator=generator)
    real, seen = {"low": batch(2)["low"] * 2 - 1, "normal": batch(2, seed=1)["normal"] * 2 - 1}, []
    brighten = trained.generators["brighten"]
    brighten.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    together = trained._both(brighten, real["low"], real["normal"])
    assert seen == [4 // passes] * passes
    for shared, alone in zip(together, (brighten(real["low"]), brighten(real["normal"])), strict=True):
        torch.testing.assert_close(shared, alone, rtol=0, atol=tolerance)


def test_a_run_that_was_cut_goes_on_with_the_same_losses() -> None:
    uninterrupted = model()
    wrappers = optimizers(uninterrupted)
    for step in range(4):
        uninterrupted.step(batch(seed=step), wrappers)
    state, adam_state = copy.deepcopy(uninterrupted.state_dict()), copy.deepcopy(wrappers.state_dict())
    expected = [uninterrupted.step(batch(seed=step), wrappers) for step in range(4, 8)]

    resumed = model(seed=1)
    resumed.load_state_dict(state)
    resumed_wrappers = optimizers(resumed)
    resumed_wrappers.load_state_dict(adam_state)
    torch.manual_seed(123)
    for step, losses in enumerate(expected, start=4):
        again = resumed.step(batch(seed=step), resumed_wrappers)
        assert {name: value.item() for name, value in again.items()} == {n: v.item() for n, v in losses.items()}


@pytest.mark.slow
def test_discriminators_learn_to_tell_the_domains_apart() -> None:
    trained = model(pool_size=4)
    wrappers = optimizers(trained)
    losses = [trained.step(batch(seed=step), wrappers) for step in range(25)]
    first, last = (losses[i]["loss_discriminators"].item() for i in (0, -1))
    assert last < first
    cycles = [value["cycle_low"].item() + value["cycle_normal"].item() for value in losses]
    assert cycles[-1] < cycles[0]
    assert all(torch.isfinite(parameter).all() for parameter in trained.parameters())


def test_what_is_exported_rebuilds_the_enhancer() -> None:
    trained = model()
    network, config = trained.exported
    assert network is trained.generators["brighten"]
    rebuilt = MODELS.build(dict(config))
    rebuilt.load_state_dict(network.state_dict())
    low = batch()["low"]
    enhanced = trained.enhance(low)
    torch.testing.assert_close(rebuilt(low * 2 - 1) / 2 + 0.5, enhanced)
    assert enhanced.shape == low.shape
    assert enhanced.min() >= 0 and enhanced.max() <= 1


def test_convolution_biases_start_at_zero() -> None:
    biases = [p for name, p in model().named_parameters() if name.endswith("bias")]
    assert biases
    assert all(not bias.any() for bias in biases)
