"""The trainings of the systems that the paper cites: they run, resume bit for bit, and what they export enhances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from duskbench.data_tools.images import read_image
from duskbench.pipeline.network_weights import load_described
from duskbench.pipeline.training.enhancer import export, train
from tests.pipeline.training.conftest import CONFIGS, losses

PAIRED: dict[str, dict[str, Any]] = {
    "kind_decomposition_small": {},
    "kind_restoration_small": {"model.decomposition": "random", "model.generator.width": 2},
    "kind_adjustment_small": {"model.decomposition": "random"},
    "hdrnet_small": {},
    "llnet_small": {"model.patches": 2},
    "llnet_pretraining_small": {"model.patches": 2, "model.steps_a_layer": 1},
}
UNPAIRED: dict[str, dict[str, Any]] = {
    "unit_small": {"model.generator.width": 2, "model.discriminators.width": 2},
    "forkgan_small": {
        "model.generator.width": 2,
        "model.discriminator.width": 2,
        "model.classifier.width": 2,
        "model.image_size": 64,
        "train_dataloader.dataset.crop": 64,
    },
}


@pytest.fixture(params=[*PAIRED, *UNPAIRED])
def training(request: pytest.FixtureRequest, tiny: dict[str, Any], paired: Path) -> tuple[Path, dict[str, Any]]:
    """A small configuration, and options for four steps of it."""
    name = request.param
    options = {**tiny, "schedule": {"unit": "steps", "constant": 2, "decay": 2}}
    options["custom_hooks"] = [{"type": "LossGuard"}, {"type": "SampleGrid", "interval": 2, "images": 2}]
    if name in PAIRED:
        options |= {"data_root": str(paired), "train_dataloader.dataset.short_side": None}
    else:
        options |= {"train_dataloader.dataset.short_side": None}
    return CONFIGS / f"{name}.py", {**options, **{**PAIRED, **UNPAIRED}[name]}


@pytest.mark.slow
def test_a_run_resumes_bit_for_bit_and_exports(training: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    config, options = training
    whole = train(config, work_dir=tmp_path / "whole", cfg_options=options)
    expected = losses(tmp_path / "whole")
    assert sorted(expected) == [1, 2, 3, 4]
    assert all(np.isfinite(list(values.values())).all() for values in expected.values())
    side = options["train_dataloader.dataset.crop"]
    assert read_image(tmp_path / "whole" / "samples" / "iter_4.png").shape == (2 * side, 2 * side, 3)

    interrupted = tmp_path / "interrupted"
    interrupted.mkdir()
    (interrupted / "iter_2.pth").write_bytes((tmp_path / "whole" / "iter_2.pth").read_bytes())
    again = train(config, work_dir=interrupted, cfg_options=options, resume=True)
    resumed = losses(interrupted)
    assert sorted(resumed) == [3, 4]
    assert all(resumed[step] == expected[step] for step in resumed)
    ours, theirs = (torch.load(each, weights_only=False)["state_dict"] for each in (again, whole))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)

    state, described = load_described(export(whole, tmp_path / "trained.safetensors"))
    assert "network" in described
    assert state
