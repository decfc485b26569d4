"""The warning about a network that enhances otherwise than it learned to, because batches normalised it in training."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from duskbench.pipeline.training import hooks
from duskbench.pipeline.training.enhancer import train
from duskbench.pipeline.training.hooks import BatchStatisticsCheck
from tests.pipeline.training.conftest import CONFIGS


class Brightener(nn.Module):
    """A network of one normalisation, in the form of a method that trains."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.generator = nn.Sequential(norm)
        self.exported = (self.generator, {})

    def data_preprocessor(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return batch

    def enhance(self, low: Tensor) -> Tensor:
        return self.generator(low).mul(0.2).add(0.5).clamp(0, 1)


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(hooks, "print_log", lambda message, *_: said.append(message))
    return said


def check(model: nn.Module, low: Tensor) -> None:
    hook = BatchStatisticsCheck()
    hook.after_train_iter(None, 0, {"low": low})
    hook.after_train(SimpleNamespace(model=model))


def night(brightness: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, 3, 16, 16, generator=generator) * brightness


def test_averages_over_dark_and_bright_batches_are_told(warnings: list[str]) -> None:
    model = Brightener(nn.BatchNorm2d(3, momentum=0.05))
    for step in range(200):
        model.enhance(night(0.05 if step % 2 else 0.9, step))
    before = {name: value.clone() for name, value in model.named_buffers()}
    check(model, night(0.05, 1000))
    [said] = warnings
    assert "norm='instance'" in said
    assert "batch of 2" in said
    assert model.training
    assert all(layer.training for layer in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(3), nn.InstanceNorm2d(3, affine=True), nn.Identity()])
def test_a_network_that_enhances_as_it_learned_to_is_not_reported(norm: nn.Module, warnings: list[str]) -> None:
    model = Brightener(norm)
    for step in range(200):
        model.enhance(night(0.05, step))
    check(model, night(0.05, 1000))
    assert not warnings


def test_a_training_asks_for_it(tmp_path: Path, tiny_guided: dict[str, Any], warnings: list[str]) -> None:
    options = {**tiny_guided, "model.generator.generator.norm": "batch", "custom_hooks": []}
    train(CONFIGS / "guided_small.py", work_dir=tmp_path, cfg_options=options)
    assert len(warnings) == 1, "after six steps the averages are still those of the start"
