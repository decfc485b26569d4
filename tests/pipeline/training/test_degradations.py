"""What is done to dark training inputs: how often, how strongly, and by the sample's seed alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from duskbench.pipeline.training.degradations import add_noise, darken


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
