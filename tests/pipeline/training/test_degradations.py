"""What is done to dark training inputs: how often, how strongly, and by the sample's seed alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from duskbench.data_tools.darken import Camera, srgb_to_linear
from duskbench.data_tools.darken import darken as darken_array
from duskbench.pipeline.training.degradations import add_noise, darken, underexpose


def test_darkening_is_by_two_to_four_for_half_of_the_samples() -> None:
    light = torch.ones(400, 3, 1, 1)
    factors = 1 / darken(light, range(400), 0.5, (2.0, 4.0))[:, 0, 0, 0]
    darker = factors[factors > 1]
    assert 160 < len(darker) < 240
    assert 2 <= darker.min() < 2.1
    assert 3.9 < darker.max() <= 4
    assert torch.equal(light, torch.ones(400, 3, 1, 1))
    assert torch.equal(darken(light, range(400), 0.0, (2.0, 4.0)), light)


def test_noise_has_the_stated_variance() -> None:
    """Of samples of one grey, s shot v + (s read)^2: the greatest is near s = 1, and half of them are below s = 1/4."""
    grey = torch.full((200, 3, 32, 32), 0.5)
    noise = (add_noise(grey, range(200), 0.03, 0.002) - grey).numpy()
    variances = np.sort(noise.var(axis=(1, 2, 3)))
    assert variances[-1] == pytest.approx(0.002 * 0.5 + 0.03**2, rel=0.1)
    assert np.median(variances) == pytest.approx(0.25 * 0.002 * 0.5 + (0.25 * 0.03) ** 2, rel=0.4)
    assert abs(noise.mean()) < 2e-4


def test_half_of_the_noise_is_coarse() -> None:
    """Neighbours in a mean over 3x3 share 6 of 9 values; those of white noise nothing."""
    grey = torch.full((200, 3, 32, 32), 0.5)
    noise = (add_noise(grey, range(200), 0.1, 0.0) - grey).numpy()
    alike = [np.corrcoef(each[..., 1:].ravel(), each[..., :-1].ravel())[0, 1] for each in noise]
    coarse = [value for value in alike if value > 0.3]
    assert 70 < len(coarse) < 130
    assert coarse == pytest.approx([2 / 3] * len(coarse), abs=0.1)
    assert [value for value in alike if value <= 0.3] == pytest.approx([0] * (200 - len(coarse)), abs=0.1)


def test_noise_is_that_of_the_seed() -> None:
    """Whatever else is in the batch; never outside of [0, 1], and none where its strength is 0."""
    light = torch.rand(4, 3, 16, 20)
    both = add_noise(light, [5, 6, 7, 8], 0.5, 0.0)
    assert torch.equal(add_noise(light[2:3], [7], 0.5, 0.0), both[2:3])
    assert not torch.equal(add_noise(light[2:3], [9], 0.5, 0.0), both[2:3])
    assert both.min() == 0
    assert both.max() == 1
    assert torch.equal(add_noise(light, [5, 6, 7, 8], 0.0, 0.0), light)


NO_NOISE = {"shot": (1e-12, 1e-12), "read": (1e-12, 1e-12)}


def linear(pictures: torch.Tensor) -> np.ndarray:
    return srgb_to_linear(pictures.numpy().astype(np.float64))


def test_light_is_lost_by_stops_that_change_smoothly_over_the_picture() -> None:
    """Between 3x3 draws: neighbours of 33 differ by a sixteenth of the range at most."""
    lit = torch.ones(200, 3, 33, 33)
    dark = underexpose(lit, range(200), (1.0, 4.0), **NO_NOISE)
    assert torch.equal(dark, (dark * 255).round() / 255)
    stops = -np.log2(linear(dark))[:, 0]
    assert 0.98 < stops.min() < 1.1
    assert 3.9 < stops.max() < 4.05
    assert stops.mean() == pytest.approx(2.5, abs=0.1)
    assert np.abs(np.diff(stops, axis=2)).max() < 3 / 16 + 0.06
    assert np.median(np.ptp(stops, axis=(1, 2))) > 1.5


def test_light_is_even_to_the_spread() -> None:
    """As without, each picture gets its own loss of light; within one it differs by the spread at most."""
    lit = torch.ones(200, 3, 24, 24)
    stops = -np.log2(linear(underexpose(lit, range(200), (1.0, 4.0), 0.5, **NO_NOISE)))[:, 0]
    within = np.ptp(stops, axis=(1, 2))
    assert 0.1 < np.median(within) < within.max() < 0.5 + 0.06
    assert 0.7 < stops.min() < 1.1 and 3.9 < stops.max() < 4.3
    even = underexpose(lit[:9], range(9), (1.0, 4.0), 0.0, **NO_NOISE).flatten(1)
    assert torch.equal(even.amin(1), even.amax(1)) and len(even.amin(1).unique()) == 9
    # A spread around little loss makes nothing lighter.
    assert (underexpose(lit, range(200), (0.0, 0.2), 3.0, **NO_NOISE) <= lit).all()


def test_no_light_lost_is_no_light_gained() -> None:
    lit = torch.rand(20, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    dark = underexpose(lit, range(20), (0.0, 0.0), **NO_NOISE)
    assert (dark <= lit + 0.5 / 255 + 1e-6).all()
    assert (dark.flatten(1).sum(1) > 0.7 * lit.flatten(1).sum(1)).all()


def test_tensors_and_arrays_have_one_curve() -> None:
    levels = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, axis=2)
    # Stops at which no level lies so near a half that 16 bits, the table of the arrays, round it to the other side.
    for stops in (0.0, 0.7, 2.9):
        batch = torch.tensor(levels).permute(2, 0, 1)[None] / 255
        made = underexpose(batch, [0], (stops, stops), **NO_NOISE)
        of_arrays = darken_array(levels, Camera(exposure_ev=-stops), np.random.default_rng(0))
        assert np.array_equal((made[0].permute(1, 2, 0) * 255).round().numpy(), of_arrays)


def test_underexposed_light_has_the_stated_noise() -> None:
    """What noise adds to the same loss of light without any."""
    lit = torch.ones(40, 3, 64, 64)
    clean = linear(underexpose(lit, range(40), (2.0, 2.0), **NO_NOISE))
    noise = linear(underexpose(lit, range(40), (2.0, 2.0), shot=(1e-3, 1e-3), read=(2e-3, 2e-3))) - clean
    assert noise.var() == pytest.approx(1e-3 * clean.mean() + 2e-3**2, rel=0.05)
    assert abs(noise.mean()) < 1e-3


def test_an_underexposed_picture_is_that_of_the_seed() -> None:
    lit = torch.rand(3, 3, 16, 20)
    both = underexpose(lit, [5, 6, 7], (1.0, 6.0))
    assert torch.equal(underexpose(lit[1:2], [6], (1.0, 6.0)), both[1:2])
    assert not torch.equal(underexpose(lit[1:2], [9], (1.0, 6.0)), both[1:2])
    assert both.min() >= 0
