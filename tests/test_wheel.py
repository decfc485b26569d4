"""The wheel: what is in it, and that it works in a folder whose own packages have the names of our parts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from duskbench.data_tools.images import read_image, write_image
from tests.needs import need_tool

ROOT = Path(__file__).resolve().parent.parent
TUTORIAL = (ROOT / "docs" / "tutorials" / "plug-in.md").read_text(encoding="utf-8")
PARTS = ("pipeline", "benchmarks", "configs", "data_tools")
COMMANDS = [line.partition(" #")[0].strip() for line in re.findall(r"^\$ (duskbench .*)$", TUTORIAL, re.MULTILINE)]


@dataclass(frozen=True)
class Installed:
    """The wheel in an environment of its own, and a user's folder."""

    wheel: Path
    environment: Path
    folder: Path

    def run(self, *command: str) -> str:
        """Run a program of the environment in the folder; returns what it printed."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("DUSKBENCH_", "PYTHON"))}
        program = str(self.environment / "bin" / command[0])
        done = subprocess.run(
            [program, *command[1:]], cwd=self.folder, env=clean, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The built wheel, installed beside our own dependencies but without the repository."""
    root = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(root / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = (root / "dist").glob("*.whl")
    uv = os.environ.get("UV") or need_tool("uv")
    environment = root / "environment"
    subprocess.run([uv, "venv", "--quiet", "--offline", "--python", sys.executable, environment], check=True)
    install = [uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", environment / "bin/python", wheel]
    subprocess.run(install, check=True)
    # torch is not installed a second time. The repository is not found this way: .pth files in there do not count.
    [site] = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    folder = root / "theirs"
    for part in PARTS:
        (folder / part).mkdir(parents=True)
        (folder / part / "__init__.py").write_text("raise RuntimeError('the package of the user was imported')\n")
    return Installed(wheel, environment, folder)


def test_its_only_package_is_ours(installed: Installed) -> None:
    names = zipfile.ZipFile(installed.wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"duskbench", f"{installed.wheel.name.removesuffix('-py3-none-any.whl')}.dist-info"}
    assert {"duskbench/py.typed", "duskbench/configs/table2.py"} <= set(names)
    # The parts are links in the repository, and folders here.
    for part in PARTS:
        inside = {path.relative_to(ROOT).as_posix() for path in (ROOT / part).rglob("*.py")}
        assert {name.removeprefix("duskbench/") for name in names if name.startswith(f"duskbench/{part}/")} >= inside


@pytest.mark.slow
def test_commands_that_say_what_it_is(installed: Installed) -> None:
    assert re.fullmatch(r"duskbench \d+\.\d+\.\d+\n", installed.run("duskbench", "--version"))
    assert "Usage: duskbench" in installed.run("python", "-m", "duskbench", "--help")


PYTHON = """
import importlib, sys
import duskbench

assert duskbench.__file__.startswith(sys.prefix), duskbench.__file__
for part in ("pipeline", "benchmarks", "configs", "data_tools"):
    try:
        importlib.import_module(part)
    except RuntimeError:
        continue
    raise AssertionError(f"{part} is not the user's")
for name in duskbench.__all__:
    assert getattr(duskbench, name) is not None
print(duskbench.__version__)

import torch
from duskbench.data_tools.images import read_image
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from duskbench.pipeline.mmcv_ops import provide_mmcv_ops

provide_mmcv_ops()  # for the compiled mmcv, which whoever uses mmdet has
# As mmdet's tools do it: reading the configuration imports what it names.
init_default_scope("mmdet")
image = read_image("photo.jpg")
packed = Compose(Config.fromfile("theirs.py").test_pipeline)(dict(img_path="photo.jpg", img_id=1))
print(tuple(packed["inputs"].shape), float(packed["inputs"].float().mean()) > 1.5 * image.mean())

from torchvision.transforms import v2

names = {"v2": v2, "torch": torch}
exec(open("transform.py").read(), names)
got = names["transform"](torch.from_numpy(image).permute(2, 0, 1))
print(tuple(got.shape), float(got.mean()) > 1.5 * image.mean() / 255)
print(duskbench.niqe(image) > 0, duskbench.voc_ap)
"""


def python_block(first: str) -> str:
    """The tutorial's block of Python that begins so."""
    [found] = re.findall(rf"^```python\n({re.escape(first)}.*?)^```", TUTORIAL, re.MULTILINE | re.DOTALL)
    return str(found)


def photo(folder: Path) -> None:
    image = np.random.default_rng(0).integers(0, 60, (24, 32, 3)).astype(np.uint8)
    write_image(folder / "photo.jpg", image.repeat(10, 0).repeat(10, 1))


@pytest.mark.slow
def test_the_python_of_the_tutorial(installed: Installed) -> None:
    photo(installed.folder)
    (installed.folder / "theirs.py").write_text(python_block("custom_imports"))
    (installed.folder / "transform.py").write_text(python_block("from duskbench.pipeline.transforms.torchvision"))
    printed = installed.run("python", "-c", PYTHON).splitlines()
    assert len(printed) == 4
    assert [line.partition(") ")[2] for line in printed[1:3]] == ["True", "True"]


DRIVER = """
import shlex, sys
from duskbench.benchmarks.cli import main
from duskbench.data_tools.miniature import make_miniature

if __name__ == "__main__":
    for command in sys.argv[1:]:
        words = shlex.split(command)[1:]
        if words[:2] == ["data", "miniature"]:
            # The same set, smaller.
            make_miniature(words[2], voc_images=0, night_images=(0, 2, 2), size=(320, 240), workers=1)
            continue
        if words[:2] == ["run", "table2"]:
            # In place of ExDark and of the weights that its detector needs; the run before had processes to start.
            words += ["--data", "data/miniature", "--detector", "rfb_miniature", "--workers", "1"]
        print("$", command, flush=True)
        sys.argv = ["duskbench", *words]
        try:
            main()
        except SystemExit as stop:
            if stop.code:
                raise
"""


@pytest.mark.slow
def test_the_commands_of_the_tutorial(installed: Installed) -> None:
    folder = installed.folder
    photo(folder)
    (folder / "night").mkdir()
    (folder / "night" / "a.jpg").write_bytes((folder / "photo.jpg").read_bytes())
    (folder / "mine.py").write_text(python_block("# mine.py"))
    (folder / "tutorial.py").write_text(DRIVER)
    assert len(COMMANDS) >= 10
    printed = installed.run("python", "tutorial.py", *COMMANDS)
    assert printed.count("brighten(gain=3.0)") >= 3 and "mAP" in printed
    assert np.abs(read_image(folder / "out.png").astype(int) - 2.0 * read_image(folder / "photo.jpg")).max() <= 1
    for made in ("sheet.jpg", "guided.onnx", "out/a.jpg", "runs/table2/report.html"):
        assert (folder / made).stat().st_size > 1000, made
