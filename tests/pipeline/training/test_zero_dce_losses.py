"""The losses of Zero-DCE against values by hand and against loops over the printed sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from duskbench.pipeline.training.zero_dce_losses import (
    colour_constancy_loss,
    exposure_loss,
    smoothness_loss,
    spatial_consistency_loss,
)


def pictures(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


def grey(rows: list[list[float]], side: int) -> torch.Tensor:
    """A grey picture of flat squares."""
    squares = torch.tensor(rows).repeat_interleave(side, 0).repeat_interleave(side, 1)
    return squares.expand(1, 3, *squares.shape).contiguous()


def regions(image: np.ndarray, side: int) -> np.ndarray:
    """Means of squares over all colours, (C, H, W) to (H // side, W // side)."""
    height, width = (size // side for size in image.shape[1:])
    means = np.empty((height, width))
    for row in range(height):
        for column in range(width):
            means[row, column] = image[:, row * side : (row + 1) * side, column * side : (column + 1) * side].mean()
    return means


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # One region has four neighbours beyond the border, where the change is zero.
        ([[0.5]], 4 * 0.25),
        # Each of two: one neighbour of another change, (0.2 - 0.1)^2, and three at the border.
        ([[0.1, 0.2]], (0.01 + 3 * 0.01 + 0.01 + 3 * 0.04) / 2),
        # The same change everywhere costs only at the border: 2 of 4 neighbours in a corner, 1 at an edge, 0 inside.
        ([[0.5] * 3] * 3, (4 * 2 + 4 * 1) * 0.25 / 9),
        ([[0.0, 0.0], [0.0, 0.0]], 0.0),
    ],
)
def test_spatial_consistency_by_hand(change, expected) -> None:
    low = grey([[0.25] * len(change[0])] * len(change), 4)
    assert spatial_consistency_loss(low + grey(change, 4), low).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("size", [(16, 20), (13, 31), (4, 4)])
def test_spatial_consistency_equals_the_printed_sum(size) -> None:
    enhanced, low = pictures(2, 3, *size), pictures(2, 3, *size, seed=1)
    sums = []
    for one, other in zip(enhanced, low, strict=True):
        after, before = (np.pad(regions(image, 4), 1) for image in (one, other))
        for row in range(1, after.shape[0] - 1):
            for column in range(1, after.shape[1] - 1):
                neighbours = [(row, column - 1), (row, column + 1), (row - 1, column), (row + 1, column)]
                contrasts = [(after[row, column] - after[n], before[row, column] - before[n]) for n in neighbours]
                sums.append(sum((a - b) ** 2 for a, b in contrasts))
    loss = spatial_consistency_loss(torch.from_numpy(enhanced), torch.from_numpy(low))
    assert loss.item() == pytest.approx(np.mean(sums), rel=1e-9)


@pytest.mark.parametrize(
    ("squares", "expected"),
    [([[0.6]], 0.0), ([[0.1]], 0.25), ([[0.6, 1.0]], 0.08), ([[0.2], [1.0]], 0.16)],
)
def test_exposure_by_hand(squares, expected) -> None:
    assert exposure_loss(grey(squares, 16)).item() == pytest.approx(expected, abs=1e-6)


def test_exposure_equals_the_printed_sum() -> None:
    images = pictures(2, 3, 35, 50)
    expected = np.mean([(regions(image, 16) - 0.6) ** 2 for image in images])
    assert exposure_loss(torch.from_numpy(images)).item() == pytest.approx(expected, rel=1e-9)
    expected = np.mean([(regions(image, 7) - 0.3) ** 2 for image in images])
    assert exposure_loss(torch.from_numpy(images), 7, 0.3).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((0.4, 0.4, 0.4), 0.0),
        # Differences 1, 1 and 0: the root of 1 + 1.
        ((1.0, 0.0, 0.0), 2**0.5),
        # 0.1^2, 0.2^2 and 0.3^2, squared once more: the root of 1e-4 + 16e-4 + 81e-4.
        ((0.5, 0.6, 0.8), 98e-4**0.5),
    ],
)
def test_colour_constancy_by_hand(colour, expected) -> None:
    image = torch.tensor(colour)[None, :, None, None].expand(1, 3, 5, 4)
    assert colour_constancy_loss(image).item() == pytest.approx(expected, abs=1e-6)


def test_colour_constancy_equals_the_printed_sum() -> None:
    images = pictures(3, 3, 9, 7)
    roots = []
    for red, green, blue in images.mean((2, 3)):
        squares = (red - green) ** 2, (red - blue) ** 2, (blue - green) ** 2
        roots.append(sum(square**2 for square in squares) ** 0.5)
    assert colour_constancy_loss(torch.from_numpy(images)).item() == pytest.approx(np.mean(roots), rel=1e-9)


def test_a_grey_picture_has_a_gradient_that_is_a_number() -> None:
    image = torch.full((1, 3, 8, 8), 0.3, requires_grad=True)
    colour_constancy_loss(image).backward()
    assert torch.equal(image.grad, torch.zeros_like(image))


@pytest.mark.parametrize(
    ("curves", "expected"),
    [
        ([[[0.5, 0.5], [0.5, 0.5]]], 0.0),
        # Down: 0 and 0; across: 1 and 1, mean 1; twice that.
        ([[[0.0, 1.0], [0.0, 1.0]]], 2.0),
        # A second channel adds its own: down 0.25 and 0.25, mean 0.25; across none.
        ([[[0.0, 1.0], [0.0, 1.0]], [[0.0, 0.0], [0.5, 0.5]]], 2.0 + 0.5),
    ],
)
def test_smoothness_by_hand(curves, expected) -> None:
    assert smoothness_loss(torch.tensor([curves])).item() == pytest.approx(expected, abs=1e-6)
    assert smoothness_loss(torch.tensor([curves, curves])).item() == pytest.approx(expected, abs=1e-6)


def test_smoothness_equals_the_printed_sum() -> None:
    curves = pictures(2, 24, 6, 9) * 2 - 1
    per_image = []
    for image in curves:
        down = sum(((image[:, row + 1] - image[:, row]) ** 2).sum() for row in range(5)) / (5 * 9)
        across = sum(((image[:, :, column + 1] - image[:, :, column]) ** 2).sum() for column in range(8)) / (6 * 8)
        per_image.append(2 * (down + across))
    assert smoothness_loss(torch.from_numpy(curves)).item() == pytest.approx(np.mean(per_image), rel=1e-9)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_smoothness_has_the_gradient_of_autograd_to_the_last_bit(layout: torch.memory_format) -> None:
    curves = torch.from_numpy(pictures(2, 24, 33, 47)).float().contiguous(memory_format=layout).requires_grad_()
    plain = 2 * 24 * (curves.diff(dim=2).square().mean() + curves.diff(dim=3).square().mean())
    ours = smoothness_loss(curves)
    assert torch.equal(ours, plain)
    [gradient], [expected] = (torch.autograd.grad(200 * each, curves) for each in (ours, plain))
    assert torch.equal(gradient, expected)
