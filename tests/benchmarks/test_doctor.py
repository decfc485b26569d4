"""`duskbench doctor`: what is there is said, what is missing is no error, what is broken is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from duskbench.benchmarks.doctor import installation as installed
from duskbench.benchmarks.doctor import surroundings as around
from duskbench.benchmarks.doctor.fact import Fact
from duskbench.benchmarks.doctor.installation import EXTRAS, installation
from duskbench.benchmarks.doctor.surroundings import surroundings
from tests.needs import need_module

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, no cache, no cluster, none of the variables that duskbench reads; only one quick import."""
    monkeypatch.setattr(installed, "_IMPORTED", ("numpy",))
    for name in [name for name in os.environ if name.startswith("DUSKBENCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(installed, "_RAY_ADDRESS_FILE", tmp_path / "ray_current_cluster")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def find(facts: list[Fact], section: str, name: str) -> Fact:
    [fact] = [fact for fact in facts if (fact.section, fact.name) == (section, name)]
    return fact


def broken(facts: list[Fact]) -> list[str]:
    return [fact.name for fact in facts if fact.state == "broken"]


def test_every_extra_has_a_purpose_and_every_package_a_line() -> None:
    assert EXTRAS.keys() == PROJECT["optional-dependencies"].keys()
    facts = list(installation())
    assert broken(facts) == []
    for name in ("torch", "onedl-mmdetection", "typer"):
        assert find(facts, "Packages", name).found == metadata.version(name)
    assert len([fact for fact in facts if fact.section == "Packages"]) == len(PROJECT["dependencies"]) + 2


REQUIRES = [
    "numpy>=2.0",
    "torch>=999",
    "no-such-package>=1",
    "ray>=999; extra == 'cluster'",
    "nowhere; extra == 'onnx'",
]


def test_what_is_missing_too_old_or_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed.metadata, "requires", lambda name: REQUIRES)
    monkeypatch.setattr(installed, "_IMPORTED", ("numpy", "no_such_module"))
    facts = list(installation())
    assert broken(facts) == ["torch", "no-such-package", "import no_such_module", "cluster"]
    assert find(facts, "Packages", "numpy").state == "ok"
    assert find(facts, "Packages", "torch").found == f"torch is {metadata.version('torch')}, >=999 is needed"
    onnx = find(facts, "Extras", "onnx")
    assert (onnx.state, onnx.todo) == ("missing", 'pip install "duskbench[onnx]"') and "nowhere is not" in onnx.found


def test_a_library_of_the_system_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "libGL.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "needs_gl.py").write_text(f"raise ImportError({said!r})\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(installed, "_IMPORTED", ("needs_gl",))
    fact = find(list(installation()), "Packages", "import needs_gl")
    assert (fact.state, fact.found) == ("broken", said) and "libgl1" in (fact.todo or "")


@pytest.mark.parametrize("by", ["variable", "file", "nothing"])
def test_the_cluster_that_auto_means(by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_module("ray")
    if by == "variable":
        monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    if by == "file":
        (tmp_path / "ray_current_cluster").write_text("10.0.0.1:6379\n")
    found = find(list(installation()), "Cluster", "Ray").found
    assert ("connects to 10.0.0.1:6379" in found) == (by != "nothing")
    assert ("belongs to no cluster" in found) == (by == "nothing")


@pytest.mark.slow
def test_the_packages_load_and_ray_is_not_imported() -> None:
    code = "import sys; from duskbench.benchmarks.doctor.installation import installation as i; "
    code += "assert not [fact for fact in i() if fact.state == 'broken']; "
    code += "assert {'mmdet', 'torch'} <= sys.modules.keys() and 'ray' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_weights_and_data_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("weights/sci/medium.pt", "cache/duskbench/weights/sci/easy.pt", "here/data/exdark/file"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    (tmp_path / "here" / "data" / "miniature").mkdir()
    before = {fact.name: fact for fact in surroundings() if fact.section == "Weights"}["published"].found
    monkeypatch.setenv("DUSKBENCH_WEIGHTS", str(tmp_path / "weights"))
    facts = list(surroundings())
    assert broken(facts) == []
    assert find(facts, "Weights", str(tmp_path / "weights")).found == "1 published files: sci/medium.pt"
    assert find(facts, "Weights", str(tmp_path / "cache/duskbench/weights")).found == "1 published files: sci/easy.pt"
    absent = int(find(facts, "Weights", "published").found.split()[0])
    # An enhancer's own file is counted like one of the catalogue.
    assert absent == int(before.split()[0]) - 1 > 14
    assert find(facts, "Data", "data/exdark").state == "ok"
    # A folder with nothing in it is no data set.
    assert find(facts, "Data", "data/miniature").state == "missing"
    assert "for miniature, nightly" in find(facts, "Data", "data/miniature").found


def test_what_a_run_cannot_work_with_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "pretrained"
    damaged.mkdir()
    whole = (around.PRETRAINED / "features.safetensors").read_bytes()
    (damaged / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (damaged / "whole.safetensors").write_bytes(whole)
    monkeypatch.setattr(around, "PRETRAINED", damaged)
    monkeypatch.setenv("DUSKBENCH_WEIGHTS", str(tmp_path / "nowhere"))
    monkeypatch.setenv("DUSKBENCH_TIME_LIMIT", "soon")
    monkeypatch.setenv("DUSKBENCH_MAX_PIXELS", "many")
    monkeypatch.setenv("DUSKBENCH_OFFLINE", "1")
    monkeypatch.setattr(around.os, "access", lambda *_: False)
    facts = list(surroundings())
    assert broken(facts) == ["cut", "$DUSKBENCH_WEIGHTS", "time limit", "largest image", "results"]
    assert "$DUSKBENCH_OFFLINE" in find(facts, "A run would use", "downloads").found
    assert find(facts, "A run would use", "device").found in ("cpu", "cuda")


def test_a_gpu_that_torch_cannot_use_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(around, "gpu_files", lambda: [Path("/dev/nvidia0")])
    fact = find(list(around._devices()), "Devices", "cuda")
    assert fact.state == "missing" and "/dev/nvidia0 is there, but torch" in fact.found and fact.todo is not None


def test_the_command(duskbench: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = duskbench("doctor")
    assert code == 0
    lines = out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        "Packages", "Extras", "Cluster", "Devices", "Weights", "Data", "A run would use",
    ]  # fmt: skip
    assert any(line.split()[:2] == ["ok", "workers"] for line in lines)
    monkeypatch.setenv("DUSKBENCH_TIME_LIMIT", "soon")
    code, out, _ = duskbench("doctor", "--json")
    assert code == 2
    facts = [Fact(**values) for values in json.loads(out)]
    assert broken(facts) == ["time limit"]


@pytest.mark.slow
def test_a_broken_package_is_said_and_not_raised(tmp_path: Path) -> None:
    """What nearly every part of duskbench imports: the doctor still says it, and looks at nothing that needs it."""
    for module in ("numpy", "PIL"):
        (tmp_path / f"{module}.py").write_text("raise ImportError('its parts do not fit together')\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "duskbench", "doctor"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "broken   import numpy" in done.stdout and "Weights" not in done.stdout
