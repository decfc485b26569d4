"""A command imports what it uses, so that it starts at once: by names, since times are those of the machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks.conftest import Bench

HEAVY = (
    "PIL", "cv2", "matplotlib", "mmdet", "mmengine", "numba", "numpy", "onnxruntime", "pandas", "ray", "scipy",
    "skimage", "sympy", "torch", "torch._dynamo", "torch.distributed.fsdp", "torchvision",
)  # fmt: skip
CODE = f"""
import sys
from duskbench.benchmarks.cli import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print("\\nimported:", *sorted(set({HEAVY}) & set(sys.modules)))
"""


def _imported(*arguments: object) -> list[str]:
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].removeprefix("imported:").split()


@pytest.mark.parametrize(("arguments", "imported"), [("--help", []), ("list", ["numpy"])])
def test_what_only_prints_text(arguments: str, imported: list[str]) -> None:
    assert _imported(arguments) == imported


@pytest.mark.slow
def test_a_run_that_has_nothing_to_do_and_a_table(
    duskbench: Callable[..., tuple[int, str, str]], bench: Bench, tmp_path: Path
) -> None:
    run = ("run", bench.config, "--out", tmp_path / "out", "--limit", 2, "--device", "cpu")
    run = (*run, "--detector", "rfb_miniature", "--enhancer", "input", "--enhancer", "zero_dce")
    assert duskbench(*run)[0] == 0
    assert _imported(*run) == ["PIL", "mmengine", "numpy", "scipy"]
    assert _imported("table", tmp_path / "out") == ["PIL", "numpy", "scipy"]


@pytest.mark.slow
def test_an_enhancer_of_ours_imports_torch_without_its_compiler_and_sharding(bench: Bench, tmp_path: Path) -> None:
    image = bench.root / "JPEGImages" / f"{bench.ids[0]}.png"
    enhance = ("enhance", image, tmp_path / "a.png", "--device", "cpu", "--enhancer")
    assert _imported(*enhance, "guided") == ["PIL", "mmengine", "numpy", "torch"]
