"""Losses: values by hand, other implementations, gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from duskbench.pipeline.training.losses import (
    chromaticity_loss,
    lsgan_discriminator_loss,
    lsgan_generator_loss,
    normalised_feature_distance,
    relativistic_discriminator_loss,
    relativistic_generator_loss,
)


def scores(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, -1)


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [
        # Perfect; undecided; the wrong way round.
        (scores(1, 1), scores(0, 0), 0.0),
        (scores(0.5), scores(0.5), 0.25),
        (scores(0), scores(1), 1.0),
        # ((0 + 4) / 2 + (1 + 9) / 2) / 2
        (scores(1, 3), scores(1, -3), 3.5),
        # Scales add up, and a large map counts as much as a small one.
        ([scores(1), scores(0, 0, 0, 0)], [scores(0), scores(1, 1, 1, 1)], 1.0),
        ([scores(0.5), scores(0.5)], [scores(0.5), scores(0.5)], 0.5),
    ],
)
def test_lsgan_discriminator_loss(real: Tensor | list[Tensor], fake: Tensor | list[Tensor], expected: float) -> None:
    assert lsgan_discriminator_loss(real, fake).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("fake", "expected"),
    [(scores(1, 1), 0.0), (scores(0), 1.0), (scores(0, 3), 2.5), ([scores(0), scores(0, 3)], 3.5)],
)
def test_lsgan_generator_loss(fake: Tensor | list[Tensor], expected: float) -> None:
    assert lsgan_generator_loss(fake).item() == pytest.approx(expected)


def test_scales_must_match() -> None:
    with pytest.raises(ValueError, match="longer"):
        lsgan_discriminator_loss([scores(1)], [scores(0), scores(0)])


@pytest.mark.parametrize(
    ("real", "fake", "discriminator", "generator"),
    [
        # One apart, in the right order: nothing left for the discriminator's first half; (0, -1 - 0) for the second.
        (scores(1), scores(0), 0.5, 2.5),
        (scores(0), scores(0), 0.5, 0.5),
        # A common shift changes nothing: only the difference counts.
        (scores(11), scores(10), 0.5, 2.5),
        # real - mean(fake) = (2, 0), fake - mean(real) = (-3, 1).
        (scores(2, 0), scores(-2, 2), (1 + 5) / 2, (2 + 8) / 2),
    ],
)
def test_relativistic_losses(real: Tensor, fake: Tensor, discriminator: float, generator: float) -> None:
    assert relativistic_discriminator_loss(real, fake).item() == pytest.approx(discriminator)
    assert relativistic_generator_loss(real, fake).item() == pytest.approx(generator)


def test_the_average_carries_a_gradient() -> None:
    fake = scores(0.3, 0.7).requires_grad_()
    relativistic_generator_loss(scores(0.4, 0.9), fake).backward()
    assert fake.grad is not None
    # d/df of mean((r - m)^2) / 2 is -(mean(r) - m) / 2 each, of mean((f - M - 1)^2) / 2 is (f - M - 1) / 2.
    expected = [-(0.65 - 0.5) / 2 + (f - 0.65 - 1) / 2 for f in (0.3, 0.7)]
    assert fake.grad.flatten().tolist() == pytest.approx(expected)


def test_feature_distance_is_of_instance_normalised_maps() -> None:
    draw = torch.Generator().manual_seed(0)
    features, reference = (torch.rand(2, 5, 4, 6, generator=draw) for _ in range(2))
    expected = F.mse_loss(F.instance_norm(features), F.instance_norm(reference))
    assert normalised_feature_distance(features, reference).item() == pytest.approx(expected.item(), rel=1e-5)


def test_feature_distance_does_not_see_brightness_and_contrast() -> None:
    features = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 10
    assert normalised_feature_distance(3 * features + 2, features).item() == pytest.approx(0, abs=1e-6)
    # Mirrored in contrast: (z + z)^2 = 4 z^2, whose mean is 4.
    assert normalised_feature_distance(-features, features).item() == pytest.approx(4, rel=1e-4)


def test_feature_distance_of_single_pixels_is_nothing() -> None:
    features = torch.ones(1, 3, 1, 1, requires_grad=True)
    loss = normalised_feature_distance(features, torch.zeros(1, 3, 1, 1))
    loss.backward()
    assert loss.item() == 0
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()


@pytest.mark.parametrize(
    ("enhanced", "low", "expected"),
    [
        # Shares (of 0.01 more): (0.5, 0.25, 0.25) stay what they are, ten times as bright.
        ((0.59, 0.29, 0.29), (0.05, 0.02, 0.02), 0.0),
        # Grey from black, at any brightness.
        ((0.7, 0.7, 0.7), (0.0, 0.0, 0.0), 0.0),
        # A third each against a half, a half and nothing: (1/6^2 + 1/6^2 + 1/3^2) / 3, the third share being 0.01 / 1.
        ((0.4, 0.4, 0.4), (0.485, 0.485, 0.0), ((1 / 3 - 0.495) ** 2 * 2 + (1 / 3 - 0.01) ** 2) / 3),
        # Below black is black.
        ((-1.0, -1.0, -1.0), (0.2, 0.2, 0.2), 0.0),
    ],
)
def test_chromaticity_loss(enhanced: tuple[float, ...], low: tuple[float, ...], expected: float) -> None:
    pictures = (torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 16, 24) for colour in (enhanced, low))
    assert chromaticity_loss(*pictures).item() == pytest.approx(expected, abs=1e-7)


def test_chromaticity_is_of_regions() -> None:
    """Noise that averages out over 8x8 pixels costs nothing; the same change over whole regions does."""
    low = torch.full((1, 3, 16, 16), 0.4)
    stripes = low.clone()
    stripes[:, 0, ::2] += 0.3
    stripes[:, 0, 1::2] -= 0.3
    assert chromaticity_loss(stripes, low).item() == pytest.approx(0, abs=1e-12)
    halves = low.clone()
    halves[:, 0, :8] += 0.3
    halves[:, 0, 8:] -= 0.3
    assert chromaticity_loss(halves, low).item() > 0.01
