"""UNIT: networks, losses and gradients against the authors' code for the paper, and its own randomness."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from duskbench.pipeline import load_enhancer
from duskbench.pipeline.networks.sample_draws import SampleDraws, SampleDropout
from duskbench.pipeline.networks.unit import UNITDiscriminators, UNITGenerator, halved
from duskbench.pipeline.training.unit import UNITModel
from tests.pipeline.conftest import Golden

SMALL: dict[str, Any] = {"type": "UNITGenerator", "width": 4, "blocks": 1}
JUDGES: dict[str, Any] = {"type": "UNITDiscriminators", "width": 2}


def picture(seed: int, *size: int) -> Tensor:
    return 2 * torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed)) - 1


def part(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}


@pytest.fixture(scope="module")
def golden(golden_network: Callable[[str], Golden]) -> Golden:
    return golden_network("unit2017")


@pytest.fixture(scope="module")
def model(golden: Golden) -> UNITModel:
    made = UNITModel({"type": "UNITGenerator"}, {"type": "UNITDiscriminators"}).eval()
    made.generator.load_state_dict(part(golden.weights, "gen."))
    made.discriminators.load_state_dict(part(golden.weights, "dis."))
    return made


@pytest.mark.slow
def test_networks_are_the_authors(golden: Golden, model: UNITModel) -> None:
    low, normal = picture(1234, 96, 96), picture(4321, 96, 96)
    with torch.no_grad():
        code = model._codes(low, normal)
        golden.assert_equal(code[:, ::8, ::2, ::2], "shared_sample")
        for domain, names in (("A", ("x_aa", "x_ba")), ("B", ("x_ab", "x_bb"))):
            for result, name in zip(model.generator.decode(code, domain).split(1), names, strict=True):
                golden.assert_equal(result, name)
        golden.assert_equal(model.generator(low), "x_ab")
        for domain, real in (("a", low), ("b", normal)):
            for scale, scores in enumerate(model.discriminators(real, domain.upper())):
                golden.assert_equal(scores.flatten(), f"dis_{domain}_{scale}")


def test_wide_pictures_are_seen_whole(golden: Golden, model: UNITModel) -> None:
    """The stored scores of smaller scales are of the left part alone: the official code takes too few columns."""
    with torch.no_grad():
        scores = model.discriminators(picture(1234, 96, 128), "A")
    golden.assert_equal(scores[0].flatten(), "wide_dis_a_0")
    assert [tuple(each.shape[2:]) for each in scores] == [(6, 8), (3, 4), (2, 2)]
    assert golden.outputs["wide_dis_a_1"].shape == (9,)


def test_the_version_with_instance_normalisation(golden_network: Callable[[str], Golden]) -> None:
    golden = golden_network("unit2017_instancenorm")
    network = UNITGenerator(norm="instance").eval()
    network.load_state_dict(part(golden.weights, "gen."))
    with torch.no_grad():
        golden.assert_equal(network(picture(1234, 96, 96)), "x_ab")
        golden.assert_equal(network.decode(network.encode(picture(4321, 96, 96), "B"), "A"), "x_ba")


def norm_of(network: nn.Module) -> float:
    return float(torch.stack([p.grad.norm() for p in network.parameters() if p.grad is not None]).norm())


@pytest.mark.slow
def test_losses_and_gradients_are_the_authors(shared: Path, model: UNITModel) -> None:
    stored = json.loads((shared / "golden" / "networks" / "unit2017_losses.json").read_text())
    low, normal = picture(1234, 96, 96), picture(4321, 96, 96)
    model.zero_grad()
    judged = torch.stack(list(model.discriminator_losses(low, normal).values())).sum()
    judged.backward()
    assert judged.item() == pytest.approx(stored["dis_update"]["loss"], rel=1e-4)
    assert norm_of(model.discriminators) == pytest.approx(stored["dis_update"]["grad_norm_dis"], rel=1e-3)

    model.zero_grad()
    losses = model.generator_losses(low, normal)
    expected = stored["gen_update"]
    for name, term, weight in (
        ("adversarial_low", "gen_ad_loss_a", 10),
        ("adversarial_normal", "gen_ad_loss_b", 10),
        ("reconstruction_low", "gen_ll_loss_a", 100),
        ("reconstruction_normal", "gen_ll_loss_b", 100),
        ("cycle_low", "gen_ll_loss_aba", 100),
        ("cycle_normal", "gen_ll_loss_bab", 100),
        ("code", "gen_enc_loss", 0.2),
        ("code_fake_low", "gen_enc_bab_loss", 0.1),
        ("code_fake_normal", "gen_enc_aba_loss", 0.1),
    ):
        assert losses[name].item() == pytest.approx(weight * expected[term], rel=1e-4), name
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    assert total.item() == pytest.approx(expected["gen_total_loss"], rel=1e-5)
    assert norm_of(model.generator) == pytest.approx(expected["grad_norm_gen"], rel=1e-3)


def test_halving_repeats_the_border_and_takes_every_second_pixel() -> None:
    values = torch.arange(15.0).view(1, 1, 3, 5)
    result = halved(values)
    assert result.shape == (1, 1, 2, 3)
    assert result[0, 0, 0, 0].item() == pytest.approx((9 * 0 + 3 * 1 + 3 * 5 + 6) / 16)
    torch.testing.assert_close(halved(torch.full((1, 3, 7, 9), 0.3)), torch.full((1, 3, 4, 5), 0.3))


def test_noise_and_dropout_are_functions_of_each_samples_seed() -> None:
    torch.manual_seed(0)
    network = UNITGenerator(4, 1).train()
    pictures = torch.rand(3, 3, 16, 16)

    def encoded(which: slice, seeds: list[int]) -> Tensor:
        network.draws.begin(seeds)
        return network.encode(pictures[which], "A")

    whole = encoded(slice(0, 3), [5, 6, 7])
    torch.testing.assert_close(encoded(slice(1, 2), [6]), whole[1:2], rtol=1e-4, atol=1e-5)
    assert torch.equal(encoded(slice(0, 3), [5, 6, 7]), whole)
    assert not torch.allclose(encoded(slice(0, 3), [5, 6, 8])[2], whole[2])
    network.eval()
    assert torch.equal(network.encode(pictures, "A"), network.encode(pictures, "A"))


def test_dropout_drops_half_and_keeps_the_mean() -> None:
    dropout = SampleDropout(0.5, SampleDraws()).train()
    values = dropout(torch.ones(2, 4, 50, 50))
    assert set(values.unique().tolist()) == {0, 2}
    assert values.mean().item() == pytest.approx(1, abs=0.03)
    assert not torch.equal(values[0], values[1]), "two batches in a row draw apart"
    assert torch.equal(dropout.eval()(values), values)


def test_the_default_slope_is_torchs() -> None:
    slopes = {layer.negative_slope for layer in UNITDiscriminators(2).modules() if isinstance(layer, nn.LeakyReLU)}
    assert slopes == {0.01}


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (37, 22)])
def test_the_enhancer_takes_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    from duskbench.pipeline.checkpoint import safetensors_bytes

    torch.manual_seed(0)
    file = tmp_path / "unit.safetensors"
    file.write_bytes(safetensors_bytes(UNITGenerator(4, 1).state_dict(), {"network": json.dumps(SMALL)}))
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    enhance = load_enhancer({"type": "unit", "weights": str(file)})
    np.testing.assert_array_equal(enhance(image), enhance(image))


def test_a_step_changes_every_network() -> None:
    from mmengine.optim import OptimWrapper, OptimWrapperDict

    torch.manual_seed(0)
    made = UNITModel(SMALL, JUDGES)
    networks = {"generator": made.generator, "discriminators": made.discriminators}
    wrappers = OptimWrapperDict(
        **{name: OptimWrapper(torch.optim.Adam(each.parameters(), lr=1e-3)) for name, each in networks.items()}
    )
    before = {name: value.clone() for name, value in made.named_parameters()}
    batch = {"low": torch.rand(2, 3, 32, 32), "normal": torch.rand(2, 3, 32, 32), "seed": torch.tensor([1, 2])}
    logged = made.step(batch, wrappers)
    assert all(torch.isfinite(value) for value in logged.values())
    assert not [name for name, value in made.named_parameters() if torch.equal(value, before[name])]
