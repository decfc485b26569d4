"""A system that trains is one file and one entry: network, method and enhancer are found where they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import duskbench.pipeline.enhancers
from duskbench.data_tools.errors import UnknownNameError
from duskbench.data_tools.registry import Entry
from duskbench.pipeline import load_enhancer, registered
from duskbench.pipeline.networks.build import build_network
from duskbench.pipeline.registry import ENHANCERS
from duskbench.pipeline.training.enhancer import export, train

SYSTEM = """
import torch
from mmengine.registry import MODELS
from torch import nn

from duskbench.pipeline.enhancers.generator import GeneratorEnhancer
from duskbench.pipeline.networks.build import build_network
from duskbench.pipeline.training.trainable import TrainableEnhancer


@MODELS.register_module()
class OneGain(nn.Module):
    def __init__(self, start):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(start))

    def forward(self, batch):
        return (batch * self.gain).clamp(0, 1)


@MODELS.register_module("OneGainModel")
class Training(TrainableEnhancer):
    def __init__(self, generator):
        super().__init__(generator)
        self.generator = build_network(generator)

    def enhance(self, low):
        return self.generator(low)

    def step(self, batch, optimizers):
        loss = (self.generator(batch["low"]).mean() - 0.9) ** 2
        self.descend(optimizers["generator"], loss)
        return {"loss": loss}


class OneGainEnhancer(GeneratorEnhancer):
    default_weights = "one_gain"
"""


@pytest.mark.slow
def test_a_system_in_one_file_trains_and_enhances(
    tmp_path: Path, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one_gain.py").write_text(SYSTEM)
    monkeypatch.setattr(
        duskbench.pipeline.enhancers, "__path__", [*duskbench.pipeline.enhancers.__path__, str(tmp_path)]
    )
    monkeypatch.setitem(ENHANCERS._entries, "one_gain", Entry("duskbench.pipeline.enhancers.one_gain:OneGainEnhancer"))
    registered.registered.cache_clear()
    model = {"type": "OneGainModel", "generator": {"type": "OneGain", "start": 2.0}}
    config = tmp_path / "config.py"
    config.write_text(
        f"_base_ = [{str(Path(__file__).parents[3] / 'configs/training/zero_dce_small.py')!r}]\n"
        f"model = dict(_delete_=True, **{model!r})\n"
        "optim_wrapper = dict(_delete_=True, generator=dict(optimizer=dict(type='Adam', lr=0.1)))\n"
    )
    options = {key: value for key, value in tiny.items() if not key.startswith(("model", "optim"))}
    weights = export(train(config, work_dir=tmp_path / "run", cfg_options=options), tmp_path / "one_gain.safetensors")
    picture = np.full((8, 8, 3), 20, np.uint8)
    # Six steps of Adam at 0.1, the last two of them slower.
    assert 49 <= load_enhancer(f"one_gain(weights={str(weights)!r})")(picture).min() <= 52
    registered.registered.cache_clear()


def test_a_network_that_is_nowhere_is_compared_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match="UNITGenerator"):
        build_network({"type": "UNITGenerater"})
