"""Processes of the fork server: what they have, what they must not have, and what comes back from them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from duskbench.benchmarks.executors import fork_server
from duskbench.data_tools.errors import ConfigError, WeightsError

STATE = """
import os, sys
from duskbench.benchmarks.executors import fork_server

def state():
    import torch
    import mmdet.models
    assert "mmdet.models" in before and "torch" in before and "torchvision" in before
    return {
        "initialised": torch.cuda.is_initialized(),
        "threads of the server": len(os.listdir(f"/proc/{os.getppid()}/task")),
        "environment": os.environ.get("SET_AFTER_THE_START"),
        "imported": sorted({"matplotlib", "sympy", "scipy"} & set(before)),
    }

before = set(sys.modules)

if __name__ == "__main__":
    fork_server.preload(["input"], ["rfb_miniature"], "cpu")
    fork_server.call(os.getpid)
    os.environ["SET_AFTER_THE_START"] = "yes"
    print(fork_server.call(state))
    print(sorted({"torch", "mmdet", "numba"} & set(sys.modules)))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
def test_a_process_has_the_detector_s_package_and_no_gpu(tmp_path: Path) -> None:
    file = tmp_path / "state.py"
    file.write_text(STATE)
    # Linear algebra's threads start with numpy; they survive a fork, which OpenMP's do not.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, check=True, env=environment)
    state, parent = done.stdout.splitlines()
    assert state == str(
        {"initialised": False, "threads of the server": 1, "environment": "yes", "imported": []},
    )
    assert parent == "[]"


STOPPED = """
import os, signal
from pathlib import Path
from duskbench.benchmarks.executors import fork_server

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    fork_server.CONTEXT.set_forkserver_preload(["slow_of_print"])
    try:
        fork_server.call(os.getpid)
    except KeyboardInterrupt:
        print("late" if Path("imported").exists() else "stopped")
    print(fork_server.call(signal.getsignal, signal.SIGINT) is signal.SIG_IGN)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="it has no fork server")
def test_ctrl_c_ends_the_command_while_the_server_imports_and_is_ignored_by_its_processes(tmp_path: Path) -> None:
    (tmp_path / "slow_of_print.py").write_text(
        "import os, pathlib, signal, time\nos.kill(os.getppid(), signal.SIGINT)\ntime.sleep(2)\n"
        "pathlib.Path('imported').touch()\n"
    )
    (tmp_path / "stopped.py").write_text(STOPPED)
    command = [sys.executable, tmp_path / "stopped.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["stopped", "True"]


def test_results_and_errors_come_back() -> None:
    assert fork_server.call(_double, 21) == 42
    with pytest.raises(WeightsError, match=r"(?s)No such weights.*where: here"):
        fork_server.call(_refuse)
    with pytest.raises(RuntimeError, match=r"(?s)A process failed.*ZeroDivisionError"):
        fork_server.call(_fail)
    with pytest.raises(ConfigError, match=r"(?s)died.*exit code 7"):
        fork_server.call(os._exit, 7)


def _double(number: int) -> int:
    return 2 * number


def _refuse() -> None:
    raise WeightsError("No such weights.", where="here")


def _fail() -> float:
    return 1 / 0


@pytest.mark.parametrize(
    ("enhancers", "detectors", "modules"),
    [
        (["input", "gamma(gamma=2)"], [], ["enhancers.gamma", "enhancers.input"]),
        ([{"type": "llnet", "label": "A"}, "mine.py:f"], ["torchvision"], ["detectors.torchvision", "enhancers.llnet"]),
        ([], ["mine.py:D", "model.onnx", "results(path='a.json')"], ["detectors.results_file"]),
        ([], ["rfb_miniature"], ["detectors.rfbnet", "networks.rfbnet", "nms"]),
    ],
)  # fmt: skip
def test_what_the_server_imports(enhancers: list[object], detectors: list[object], modules: list[str]) -> None:
    assert fork_server._modules(enhancers, detectors) == [f"duskbench.pipeline.{each}" for each in modules]


@pytest.mark.parametrize(("device", "gpus", "imported"), [("cpu", -1, True), ("cuda", -1, False), ("cuda:1", 2, True)])
def test_cuda_is_not_started_in_the_server(
    device: str, gpus: int, imported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []
    monkeypatch.setattr(fork_server.CONTEXT, "set_forkserver_preload", listed.extend)
    monkeypatch.setattr("torch.cuda._device_count_nvml", lambda: gpus)
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    fork_server.preload(["input"], ["rfb_miniature"], device)
    assert ("duskbench.pipeline.networks.rfbnet" in listed) == imported
