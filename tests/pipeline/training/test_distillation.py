"""Training of the feature extractor that ships: the three terms, what learns, and what is exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict

from duskbench.pipeline.checkpoint import metadata
from duskbench.pipeline.networks.build import build_network
from duskbench.pipeline.networks.own_features import DistilledFeatures
from duskbench.pipeline.training.enhancer import export, train
from tests.pipeline.training.conftest import CONFIGS, losses

STUDENT = {"type": "FeatureBase", "stage_channels": [8, 8, 8, 8, 12], "stage_depths": [1, 0, 1, 1, 1]}
# Of the same stride, and there without a download.
TEACHER = {"type": "DetectorFeatures", "scale": 6.0}


def model() -> Any:
    torch.manual_seed(0)
    config = {"type": "FeatureDistillation", "generator": STUDENT, "teacher": TEACHER, "channels": (12, 96)}
    return build_network(config).train()


def optimizers(trained: Any, lr: float) -> OptimWrapperDict:
    networks = {name: getattr(trained, name) for name in ("generator", "regressor")}
    return OptimWrapperDict(**{k: OptimWrapper(torch.optim.Adam(v.parameters(), lr=lr)) for k, v in networks.items()})


def batch() -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    # Coarse blocks: pictures of which features can be learned.
    low, normal = (torch.rand(2, 3, 8, 8, generator=draw).repeat_interleave(8, 2).repeat_interleave(8, 3) for _ in "ab")
    return {"low": low * 0.2, "normal": normal, "seed": torch.arange(2)}


def test_the_terms_are_shares_of_the_teachers_variance() -> None:
    trained, given = model(), batch()
    pictures = torch.cat([given["low"], given["normal"]])
    with torch.no_grad():
        wanted = trained.teacher(pictures).double().numpy()
        features = trained.generator(pictures)
        regressed = trained.regressor(features).double().numpy()
        features = features.double().numpy()
    mean, wanted_mean = features.mean(1), wanted.mean(1)
    lifted, wanted_lifted = 1 / (1 + np.exp(-mean)), 1 / (1 + np.exp(-wanted_mean))
    pairs = {"features": (regressed, wanted), "mean": (mean, wanted_mean), "lifted": (lifted, wanted_lifted)}
    expected = {f"loss_{name}": ((a - b) ** 2).mean() / b.var(ddof=1) for name, (a, b) in pairs.items()}
    found = {key: value.item() for key, value in trained.step(given, optimizers(trained, 1e-3)).items()}
    assert found.pop("loss") == pytest.approx(sum(expected.values()), rel=1e-4)
    assert found == pytest.approx(expected, rel=1e-4)


def test_student_and_regressor_learn_and_the_teacher_does_not() -> None:
    trained, given = model(), batch()
    before = {key: value.clone() for key, value in trained.state_dict().items()}
    taught = optimizers(trained, 1e-2)
    first = float(trained.step(given, taught)["loss"])
    for _ in range(60):
        last = float(trained.step(given, taught)["loss"])
    assert last < first / 3
    changed = {key.split(".")[0] for key, value in trained.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"generator", "regressor"}


def test_what_is_exported_is_the_extractor(tmp_path: Path, tiny: dict[str, Any]) -> None:
    options = {key: value for key, value in tiny.items() if not key.startswith("optim")}
    options |= {"model.generator": STUDENT, "model.channels": (12, 96), "train_dataloader.dataset.short_side": (32, 40)}
    config = tmp_path / "features.py"
    # cfg-options merge; the teacher's other arguments have to go.
    teacher = {"_delete_": True, **TEACHER}
    config.write_text(f"_base_ = [{str(CONFIGS / 'features.py')!r}]\nmodel = dict(teacher={teacher!r})\n")
    last = train(config, work_dir=tmp_path / "run", cfg_options=options)
    assert sorted(losses(tmp_path / "run")) == [1, 2, 3, 4, 5, 6]
    path = export(last, tmp_path / "features.safetensors")
    assert json.loads(metadata(path)["network"]) == STUDENT
    assert DistilledFeatures(weights=path)(torch.rand(1, 3, 32, 48)).shape == (1, 12, 2, 3)
