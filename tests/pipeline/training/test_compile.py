"""Trainings with compiled networks: losses, checkpoints and exported weights are those of trainings without."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from safetensors import safe_open
from torch import nn

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.networks.build import build_network
from duskbench.pipeline.training.enhancer import export, train
from tests.pipeline.training.conftest import CONFIGS, losses
from tests.pipeline.training.test_shared_scores import MODELS_OF

pytestmark = pytest.mark.slow

SMALL = {
    **MODELS_OF,
    "ZeroDCEModel": {"generator": {"type": "DCENet", "width": 4}},
    "CycleGAN": {
        "generator": {"type": "ResnetGenerator", "width": 4, "blocks": 1},
        "discriminator": {"type": "PatchDiscriminator", "width": 4, "layers": 1},
        "image_size": 48,
    },
}


@pytest.fixture
def tiny_zero_dce(tiny: dict[str, Any]) -> dict[str, Any]:
    return {**tiny, "model.generator.width": 4, "custom_hooks": [{"type": "LossGuard"}]}


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what torch.compile ran; it traces forward and backward passes and leaves the C++ compiler out."""
    ran: list[str] = []
    real = torch.compile

    def compile_by_tracing(function: Callable[..., Any], **_: Any) -> Callable[..., Any]:
        compiled = real(function, backend="aot_eager")

        def call(*arguments: Any) -> Any:
            ran.append(getattr(function, "__name__", ""))
            return compiled(*arguments)

        return call

    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", compile_by_tracing)
    return ran


def two_steps(method: str, *, compiled: bool) -> tuple[list[dict[str, float]], nn.Module]:
    torch.manual_seed(0)
    model = build_network({"type": method, **SMALL[method]}).train()
    if compiled:
        model.compile_networks()
    networks = {name: each for name, each in model.named_children() if any(p.requires_grad for p in each.parameters())}
    wrappers = OptimWrapperDict(
        **{name: OptimWrapper(torch.optim.Adam(each.parameters(), lr=1e-3)) for name, each in networks.items()}
    )
    draw, found = torch.Generator().manual_seed(1), []
    for number in range(2):
        low, normal = torch.rand(2, 2, 3, 48, 48, generator=draw)
        logged = model.step({"low": low * 0.2, "normal": normal, "seed": torch.tensor([number, 9])}, wrappers)
        found.append({name: value.item() for name, value in logged.items()})
    return found, model


@pytest.mark.parametrize(
    ("method", "calls"), [("ZeroDCEModel", 2), ("EnlightenGAN", 2), ("GuidedGAN", 2), ("CycleGAN", 2 * 4)]
)
def test_steps_are_the_plain_ones(method: str, calls: int, traced: list[str]) -> None:
    (plain, one), (compiled, other) = (two_steps(method, compiled=each) for each in (False, True))
    for step, expected in zip(compiled, plain, strict=True):
        assert step == pytest.approx(expected, rel=1e-4)
    assert len(traced) == calls
    assert list(other.state_dict()) == list(one.state_dict())


def test_either_kind_of_run_resumes_the_other(tiny_zero_dce: dict[str, Any], tmp_path: Path, traced: list[str]) -> None:
    config, exported = CONFIGS / "zero_dce.py", {}
    for compiled in (False, True):
        folder = tmp_path / str(compiled)
        last = train(config, work_dir=folder, cfg_options={**tiny_zero_dce, "compile": compiled})
        with safe_open(export(last, folder / "weights.safetensors"), "pt") as file:
            exported[compiled] = sorted(file.keys()), file.metadata()
        whole = losses(folder)
        for step in (4, 6):
            (folder / f"iter_{step}.pth").unlink()
        train(config, work_dir=folder, resume=True, cfg_options={**tiny_zero_dce, "compile": not compiled})
        for step, expected in whole.items():
            assert losses(folder)[step] == pytest.approx(expected, rel=1e-5)
    assert exported[True] == exported[False]
    # The first run's four last steps and the second one's six, and the trial of the compiler in each.
    assert traced.count("curves") == 4 + 6
    assert traced.count("<lambda>") == 2


@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="no C++ compiler on this machine")
def test_the_real_compiler(tiny_zero_dce: dict[str, Any], tmp_path: Path) -> None:
    options = {**tiny_zero_dce, "schedule": {"unit": "steps", "constant": 2, "decay": 0}}
    for name, compiled in (("plain", False), ("compiled", True)):
        train(CONFIGS / "zero_dce.py", work_dir=tmp_path / name, cfg_options={**options, "compile": compiled})
    for step, expected in losses(tmp_path / "plain").items():
        assert losses(tmp_path / "compiled")[step] == pytest.approx(expected, rel=1e-5)


def test_a_missing_compiler_is_an_error_that_names_it(
    tiny_zero_dce: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.compiler.reset()
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no-such-compiler",))
    with pytest.raises(ConfigError) as error:
        train(CONFIGS / "zero_dce.py", work_dir=tmp_path, cfg_options={**tiny_zero_dce, "compile": True})
    assert "no-such-compiler" in str(error.value)
    assert "C++ compiler" in str(error.value)
    assert not list(tmp_path.glob("*.pth"))


def test_a_method_without_compiled_networks_says_so(tiny: dict[str, Any], tmp_path: Path, traced: list[str]) -> None:
    with pytest.raises(ConfigError, match="UNIT"):
        train(CONFIGS / "unit_small.py", work_dir=tmp_path, cfg_options={**tiny, "compile": True})


def test_several_processes_are_refused(tiny_zero_dce: dict[str, Any], tmp_path: Path, traced: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("duskbench.pipeline.training.hooks.get_world_size", lambda: 2)
        with pytest.raises(ConfigError, match="2 processes"):
            train(CONFIGS / "zero_dce.py", work_dir=tmp_path, cfg_options={**tiny_zero_dce, "compile": True})
