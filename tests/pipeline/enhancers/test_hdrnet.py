"""HDRNet: network, slicing and its gradients against the authors' graph and C++ operator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from duskbench.data_tools.errors import WeightsError
from duskbench.pipeline import load_enhancer
from duskbench.pipeline.checkpoint import safetensors_bytes
from duskbench.pipeline.networks.hdrnet import HDRNet, apply_affine, slice_grid
from tests.pipeline.conftest import Golden


def uniform(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("hdrnet_curves", {}), ("hdrnet_curves_bn", {"norm": True}), ("hdrnet_nnguide", {"guide": "pointwise"})],
)
def test_networks_are_the_authors(
    golden_network: Callable[[str], Golden], name: str, arguments: dict[str, Any]
) -> None:
    golden = golden_network(name)
    network = HDRNet(**arguments).eval()
    network.load_state_dict(golden.weights)
    full = uniform((1, 3, 120, 168), 1234)
    with torch.no_grad():
        grid = network.coefficients(uniform((1, 3, 256, 256), 4321))
        # (N, 4 x 3, luma, y, x) to (N, y, x, luma, output, input).
        golden.assert_equal(grid.unflatten(1, (4, 3)).permute(0, 4, 5, 3, 2, 1), "grid")
        golden.assert_equal(network.guide(full)[:, 0], "guide")
        golden.assert_equal(network(full, grid), "output")


@pytest.fixture
def operator(shared: Path) -> dict[str, Tensor]:
    with np.load(shared / "golden" / "networks" / "hdrnet_slice_apply.npz") as stored:
        return {key: torch.from_numpy(stored[key]) for key in stored.files}


def test_slicing_and_its_gradients_are_the_operators(operator: dict[str, Tensor]) -> None:
    grid = operator["grid"].permute(0, 5, 4, 3, 1, 2).flatten(1, 2).requires_grad_()
    guide = operator["guide"][:, None].clone().requires_grad_()
    image = operator["image"].permute(0, 3, 1, 2).clone().requires_grad_()
    output = apply_affine(slice_grid(grid, guide), image).permute(0, 2, 3, 1)
    (output * operator["tangent"]).sum().backward()
    assert grid.grad is not None
    assert guide.grad is not None
    assert image.grad is not None
    grad_grid = grid.grad.unflatten(1, (4, 3)).permute(0, 4, 5, 3, 2, 1)
    for got, name, tolerance in (
        # The operator rounds the tent along the guide off, by up to 1e-4 of the value.
        (output, "output", 2e-4),
        (grad_grid, "grad_grid", 2e-4),
        (image.grad.permute(0, 2, 3, 1), "grad_image", 2e-4),
        (guide.grad[:, 0], "grad_guide", 3e-3),
    ):
        want = operator[name]
        assert (got - want).abs().max() <= tolerance * want.abs().max(), name


def plain_slice(grid: np.ndarray, guide: np.ndarray) -> np.ndarray:
    """Trilinear weights cell by cell; a cell beyond the border is the outermost one."""
    channels, *size = grid.shape
    height, width = guide.shape
    result = np.zeros((channels, height, width))
    for y in range(height):
        for x in range(width):
            place = (guide[y, x] * size[0], (y + 0.5) * size[1] / height, (x + 0.5) * size[2] / width)
            first = [int(np.floor(p - 0.5)) for p in place]
            for corner in np.ndindex(2, 2, 2):
                cell = [f + c for f, c in zip(first, corner, strict=True)]
                weight = np.prod([1 - abs(p - c - 0.5) for p, c in zip(place, cell, strict=True)])
                inside = [min(max(c, 0), s - 1) for c, s in zip(cell, size, strict=True)]
                result[:, y, x] += weight * grid[(slice(None), *inside)]
    return result


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (2, 19)])
def test_slicing_is_trilinear_and_repeats_the_border(size: tuple[int, int]) -> None:
    grid = torch.rand(1, 2, 3, 4, 5, dtype=torch.float64)
    guide = torch.rand(1, 1, *size, dtype=torch.float64)
    guide[..., 0] = 0
    guide[..., -1] = 1
    expected = plain_slice(grid[0].numpy(), guide[0, 0].numpy())
    np.testing.assert_allclose(slice_grid(grid, guide)[0].numpy(), expected, atol=1e-12)


def test_axes_are_not_transposed() -> None:
    """Coefficient 3 j + i is of input j and output i, rows are y: a swap would tint the picture."""
    grid = torch.zeros(1, 12, 1, 2, 2)
    grid[0, 3 * 0 + 1, 0, 0, :] = 1.0  # red to green, above
    grid[0, 3 * 3 + 2, 0, :, 1] = 0.5  # an offset of blue, on the right
    picture = torch.zeros(1, 3, 40, 40)
    picture[:, 0] = 1
    result = apply_affine(slice_grid(grid, torch.full((1, 1, 40, 40), 0.5)), picture)[0]
    assert result[:, 0, 0].tolist() == [0, 1, 0]
    assert result[:, 0, -1].tolist() == [0, 1, 0.5]
    assert result[:, -1, -1].tolist() == [0, 0, 0.5]


def test_the_pointwise_guide_learns_its_statistics() -> None:
    network = HDRNet("pointwise").train()
    before = network.guide.conv1.BatchNorm.running_mean.clone()  # type: ignore[union-attr]
    network(uniform((2, 3, 16, 16), 0))
    assert not torch.equal(network.guide.conv1.BatchNorm.running_mean, before)  # type: ignore[union-attr]


def test_the_curves_guide_starts_as_the_mean_of_the_channels() -> None:
    picture = uniform((1, 3, 8, 8), 0)
    torch.testing.assert_close(HDRNet().guide(picture), picture.mean(1, keepdim=True), atol=2e-3, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (61, 47)])
def test_the_enhancer_takes_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = HDRNet("pointwise").eval()
    file = tmp_path / "hdrnet.safetensors"
    described = {"network": '{"type": "HDRNet", "guide": "pointwise"}'}
    file.write_bytes(safetensors_bytes(network.state_dict(), described))
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    result = load_enhancer({"type": "hdrnet", "weights": str(file)})(image)
    with torch.no_grad():
        expected = network(torch.from_numpy(image.transpose(2, 0, 1)[None] / np.float32(255)))
    np.testing.assert_array_equal(result, expected[0].mul(255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy())


def test_without_weights_it_says_how_to_train_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DUSKBENCH_WEIGHTS", raising=False)
    with pytest.raises(WeightsError, match="hdrnet") as caught:
        load_enhancer("hdrnet")
    assert "configs/training/hdrnet.py" in str(caught.value)
