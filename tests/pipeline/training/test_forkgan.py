"""ForkGAN: networks against the authors' code, and the losses by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn

from duskbench.pipeline import load_enhancer
from duskbench.pipeline.checkpoint import safetensors_bytes
from duskbench.pipeline.networks.forkgan import ForkClassifier, ForkDiscriminator, ForkGenerator
from duskbench.pipeline.training.forkgan import ForkGAN
from tests.pipeline.conftest import Golden

GENERATOR: dict[str, Any] = {"type": "ForkGenerator", "width": 2}


def normal(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def golden(golden_network: Callable[[str], Golden]) -> Golden:
    return golden_network("forkgan")


def loaded(golden: Golden, network: nn.Module, scope: str) -> Any:
    network.load_state_dict({k.removeprefix(scope): v for k, v in golden.weights.items() if k.startswith(scope)})
    return network


@pytest.mark.slow
def test_networks_are_the_authors(golden: Golden, golden_input: Callable[..., Tensor]) -> None:
    picture = 2 * golden_input(1, 3, 64, 128) - 1
    generator = loaded(golden, ForkGenerator(), "generator.")
    with torch.no_grad():
        code = generator.encode(picture)
        golden.assert_equal(generator.translate(code), "translation")
        plain, _ = generator.reconstruct(code, [torch.zeros_like(code)] * 2)
        golden.assert_equal(plain, "reconstruction_without_noise")
        noises = [normal((1, 256, 16, 32), seed) for seed in (9000, 9001)]
        noisy, noisy_code = generator.reconstruct(code, noises)
        golden.assert_equal(noisy, "reconstruction_with_noise")
        golden.assert_equal(noisy_code[:, ::8, ::2, ::2], "bottleneck_with_noise_sample")
        for scale, scores in enumerate(loaded(golden, ForkDiscriminator(), "discriminator.")(picture)):
            golden.assert_equal(scores, f"dis_{scale}")
        classifier = loaded(golden, ForkClassifier(), "percep.")
        golden.assert_equal(classifier(normal((1, 256, 16, 32), 778)), "classifier")


def test_no_convolution_has_a_bias() -> None:
    for network in (ForkGenerator(2), ForkDiscriminator(2), ForkClassifier(2)):
        convolutions = [each for each in network.modules() if isinstance(each, nn.Conv2d | nn.ConvTranspose2d)]
        assert convolutions
        assert all(each.bias is None for each in convolutions)


def model() -> ForkGAN:
    torch.manual_seed(0)
    narrow = {"width": 2}
    return ForkGAN(
        GENERATOR, {"type": "ForkDiscriminator", **narrow}, {"type": "ForkClassifier", **narrow}, image_size=64,
        copies=2, pool_size=2,
    )  # fmt: skip


def real() -> dict[str, Tensor]:
    low, bright = (2 * torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) - 1 for seed in (1, 2))
    return {"low": low, "normal": bright}


def test_losses_of_the_generators_by_hand() -> None:
    trained, pictures = model(), real()
    trained.brighten.draws.begin([3])
    trained.darken.draws.begin([4])
    losses, fakes, codes = trained.generator_losses(pictures)
    brighten, darken = trained.brighten, trained.darken
    fake = brighten.translate(brighten.encode(pictures["low"]))
    torch.testing.assert_close(fakes["translation_normal"], fake)
    cycle = 10 * F.l1_loss(darken.translate(darken.encode(fake)), pictures["low"])
    torch.testing.assert_close(losses["cycle_low"], cycle)
    own = 10 * F.l1_loss(fakes["reconstruction_low"], pictures["low"])
    torch.testing.assert_close(losses["reconstruction_low"], own)
    # The refinement is the fake through the reconstruction of the other generator, the one that saw its domain.
    refined, code = darken.reconstruct(darken.encode(fake), [torch.zeros_like(codes["low"])] * 2)
    assert (refined - fakes["refinement_normal"]).abs().mean() < 0.2
    assert (code - codes["fake_normal"]).abs().mean().item() == pytest.approx(0.02 * 0.798, rel=0.1)

    def adversarial(name: str, target: float) -> Tensor:
        total = torch.zeros(())
        for judge in trained.discriminators[name]:
            scales = judge(fakes[name])
            total = total + sum(((each - target) ** 2).mean() for each in scales) / len(scales)
        return total

    for kind in ("translation", "reconstruction", "refinement"):
        expected = (adversarial(f"{kind}_low", 1) + adversarial(f"{kind}_normal", 1)) / 2
        torch.testing.assert_close(losses[f"adversarial_{kind}"], expected)
    perceptual = sum(
        (codes[a].mean(1) - codes[b].mean(1)).abs().mean() for a, b in (("low", "fake_normal"), ("normal", "fake_low"))
    )
    torch.testing.assert_close(losses["perceptual"], perceptual)


def test_generator_and_classifier_want_opposite_labels_for_fakes() -> None:
    trained = model()
    # Whatever it sees, it says low light.
    trained.classifier.forward = lambda _: torch.tensor([8.0, -8.0]).view(1, 1, 1, 2)
    right, wrong = F.softplus(torch.tensor(-8.0)).item(), F.softplus(torch.tensor(8.0)).item()
    losses, _, codes = trained.generator_losses(real())
    assert losses["classification"].item() == pytest.approx((right + wrong) / 2, rel=1e-4)
    assert trained.classifier_loss(codes).item() == pytest.approx((2 * right + 2 * wrong) / 4, rel=1e-4)
    # All codes are said to be of low light: right for the real one, and for the fake that was made from it.
    names = {name: trained._classified(codes[name], domain).item() for name, domain in (
        ("low", "low"), ("fake_normal", "low"), ("normal", "normal"), ("fake_low", "normal"))}  # fmt: skip
    assert [name for name, value in names.items() if value < 1] == ["low", "fake_normal"]


@pytest.mark.slow
def test_a_step_changes_every_network_and_is_a_function_of_the_seed() -> None:
    def run(seed: int) -> tuple[dict[str, float], list[str]]:
        trained = model()
        parts = ("generators", "discriminators", "classifier")
        wrappers = OptimWrapperDict(
            **{
                name: OptimWrapper(torch.optim.Adam(getattr(trained, name).parameters(), lr=1e-3, betas=(0.5, 0.999)))
                for name in parts
            }
        )
        before = {name: value.clone() for name, value in trained.named_parameters()}
        pictures = {name: value * 0.5 + 0.5 for name, value in real().items()}
        logged = trained.step({**pictures, "seed": torch.tensor([seed])}, wrappers)
        still = [name for name, value in trained.named_parameters() if torch.equal(value, before[name])]
        return {name: value.item() for name, value in logged.items()}, still

    first, still = run(5)
    assert not still
    torch.manual_seed(99)
    assert run(5)[0] == first
    assert run(6)[0] != first


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (37, 22)])
def test_the_enhancer_takes_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    file = tmp_path / "forkgan.safetensors"
    file.write_bytes(safetensors_bytes(ForkGenerator(2).state_dict(), {"network": json.dumps(GENERATOR)}))
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    enhance = load_enhancer({"type": "forkgan", "weights": str(file)})
    np.testing.assert_array_equal(enhance(image), enhance(image))
