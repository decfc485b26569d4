"""KinD's losses and stages against the authors' code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from duskbench.pipeline.networks.kind import KinDDecomposition
from duskbench.pipeline.training.kind import (
    AdjustmentStage,
    DecompositionStage,
    RestorationStage,
    adjustment_losses,
    restoration_losses,
)
from duskbench.pipeline.training.kind_losses import gradients, mutual_consistency_loss, smoothness_loss, ssim
from tests.pipeline.conftest import Golden


def uniform(seed: int) -> Tensor:
    return torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def stored(shared: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((shared / "golden" / "networks" / "kind_losses.json").read_text())
    return values


def test_decomposition_losses_and_gradients_are_the_authors(
    stored: dict[str, Any], golden_network: Callable[[str], Golden]
) -> None:
    stage = DecompositionStage({"type": "KinDDecomposition"})
    scope = f"{KinDDecomposition.scope}."
    weights = golden_network("kind").weights
    stage.generator.load_state_dict({k.removeprefix(scope): v for k, v in weights.items() if k.startswith(scope)})
    losses = stage.losses({"low": 0.3 * uniform(1234), "normal": uniform(4321)})
    expected = stored["decom"]
    for name, term, weight in (
        ("loss_reconstruction_low", "recon_low", 1),
        ("loss_reconstruction_normal", "recon_high", 1),
        ("loss_reflectance", "equal_R", 0.01),
        ("loss_mutual", "i_mutual", 0.2),
        ("loss_smoothness_normal", "i_input_mutual_high", 0.15),
        ("loss_smoothness_low", "i_input_mutual_low", 0.15),
    ):
        assert losses[name].item() == pytest.approx(weight * expected[term], rel=1e-4), name
    total = torch.stack(list(losses.values())).sum()
    assert total.item() == pytest.approx(expected["total"], rel=1e-5)
    total.backward()
    norms = {scope + key: value.grad.norm().item() for key, value in stage.generator.named_parameters()}  # type: ignore[union-attr]
    assert norms == pytest.approx(expected["grad_norms"], rel=1e-3)


def test_restoration_losses_are_the_authors(stored: dict[str, Any]) -> None:
    losses = restoration_losses(0.3 * uniform(1234), uniform(4321))
    for name, value in losses.items():
        term = {"square": "square", "ssim": "ssim", "gradient": "grad"}[name.removeprefix("loss_")]
        assert value.item() == pytest.approx(stored["restoration_loss_of_pair"][term], rel=1e-5)


def test_adjustment_losses_are_the_authors(stored: dict[str, Any]) -> None:
    losses = adjustment_losses(0.3 * uniform(1234)[:, :1], uniform(4321)[:, :1])
    assert losses["loss_square"].item() == pytest.approx(stored["adjustment_loss_of_pair"]["square"], rel=1e-5)
    assert losses["loss_gradient"].item() == pytest.approx(stored["adjustment_loss_of_pair"]["grad"], rel=1e-5)


def test_gradients_are_shifted_and_end_in_zeros() -> None:
    """At (i, j) stands |v(i+1, j+1) - v(i+1, j)|, with zeros beyond the last row and column."""
    values = torch.tensor([[1.0, 2.0], [4.0, 8.0]]).view(1, 1, 2, 2)
    x, y = gradients(values)
    raw_x, raw_y = torch.tensor([[4.0, 8.0], [0.0, 0.0]]), torch.tensor([[6.0, 0.0], [8.0, 0.0]])
    torch.testing.assert_close(x[0, 0], raw_x / (8 + 1e-4))
    torch.testing.assert_close(y[0, 0], raw_y / (8 + 1e-4))


def test_gradients_are_normalised_over_the_batch() -> None:
    weak, strong = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    weak[..., 2], strong[..., 2] = 0.1, 1.0
    assert gradients(torch.cat((weak, strong)))[0][0].max().item() == pytest.approx(0.1, abs=1e-3)
    assert gradients(weak)[0].max().item() == pytest.approx(1, abs=2e-3)


def test_edges_in_both_or_in_neither_cost_little() -> None:
    ramp = torch.linspace(0, 1, 8).expand(1, 1, 8, 8)
    edge = (torch.arange(8) > 3).float().expand(1, 1, 8, 8)
    assert mutual_consistency_loss(edge, edge) < mutual_consistency_loss(edge, torch.rand(1, 1, 8, 8))
    picture = edge.expand(1, 3, 8, 8)
    assert smoothness_loss(edge, picture) < smoothness_loss(1 - edge.transpose(2, 3), picture)
    assert torch.isfinite(smoothness_loss(ramp, torch.zeros(1, 3, 8, 8)))


def test_similarity_is_the_mean_over_channels() -> None:
    """Not that of the three channels as one."""
    one, other = torch.rand(2, 1, 3, 24, 30)
    channels = [ssim(one[:, c : c + 1], other[:, c : c + 1]).item() for c in range(3)]
    assert ssim(one, other).item() == pytest.approx(np.mean(channels), rel=1e-5)
    assert ssim(one, one).item() == pytest.approx(1)


def test_the_restorations_target_is_darkened(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = RestorationStage({"type": "KinDRestoration", "width": 2}, "random")
    batch = {"low": 0.3 * uniform(1)[..., :24, :24], "normal": uniform(2)[..., :24, :24]}
    expected = stage.parts(batch["normal"])[0] ** 1.2
    monkeypatch.setattr(stage.generator, "forward", lambda *_: expected)
    assert sum(value.item() for value in stage.losses(batch).values()) == pytest.approx(0, abs=1e-6)


def test_the_adjustment_goes_both_ways_by_each_samples_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    stage = AdjustmentStage({"type": "KinDAdjustment"}, "random")
    n = 16
    batch = {"low": 0.3 * torch.rand(n, 3, 16, 16), "normal": torch.rand(n, 3, 16, 16), "seed": torch.arange(n)}
    low, normal = stage.parts(batch["low"])[1], stage.parts(batch["normal"])[1]
    ratio = (low / (normal + 1e-4)).mean((1, 2, 3))
    seen = {}

    def forward(source: Tensor, given: Tensor) -> Tensor:
        seen["source"], seen["ratio"] = source, given
        return source

    monkeypatch.setattr(stage.generator, "forward", forward)
    stage.losses(batch)
    up = [torch.equal(seen["source"][i], low[i]) for i in range(n)]
    assert 2 <= sum(up) <= n - 2
    for i in range(n):
        assert torch.equal(seen["source"][i], low[i] if up[i] else normal[i])
        expected = 1 / ratio[i] + 1e-4 if up[i] else ratio[i]
        assert seen["ratio"][i].item() == pytest.approx(expected.item(), rel=1e-6)
    stage.losses({name: value[4:9] for name, value in batch.items()})
    # A batch of another size may round otherwise.
    assert [torch.allclose(seen["source"][i], low[4 + i], atol=1e-5) for i in range(5)] == up[4:9]


def test_the_decomposition_is_frozen_in_later_stages() -> None:
    stage = AdjustmentStage({"type": "KinDAdjustment"}, "random")
    batch = {"low": uniform(1), "normal": uniform(2), "seed": torch.arange(2)}
    torch.stack(list(stage.losses(batch).values())).sum().backward()
    assert stage.decompose is not None
    assert all(p.grad is None and not p.requires_grad for p in stage.decompose.parameters())
    assert all(p.grad is not None for p in stage.generator.parameters())


def test_kernels_start_as_tensorflow_draws_them() -> None:
    layer = DecompositionStage({"type": "KinDDecomposition"}).generator.g_conv3_1
    bound = (6 / ((64 + 128) * 9)) ** 0.5
    assert 0.95 * bound < layer.weight.abs().max() <= bound
    assert not layer.bias.any()
