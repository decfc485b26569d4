"""The Containerfile, as far as it can be tested without a container engine: its steps run, with a uv that writes down
what it is asked for, and uv itself then says what each variant would install.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from duskbench.benchmarks import cli
from tests.needs import need_tool

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "Containerfile").read_text()
INSTRUCTIONS = [
    tuple(line.split(None, 1))
    for line in re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    if line.strip()
]
LOCKED = {each["name"]: each["version"] for each in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
TORCH = [f"{name}=={LOCKED[name]}" for name in ("torch", "torchvision")]
CUDA = {name for name in LOCKED if name.startswith(("nvidia-", "cuda-"))} | {"triton"}


def arguments(instruction: str) -> list[str]:
    return [rest for name, rest in INSTRUCTIONS if name == instruction]


def copied() -> list[str]:
    """What is copied out of the repository."""
    return [source for rest in arguments("COPY") if "--from" not in rest for source in rest.split()[:-1]]


def test_what_is_copied_is_in_the_repository_and_makes_the_wheel() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    tracked = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert len(copied()) == len(set(copied())) and set(copied()) <= tracked
    # The parts that `duskbench` links to, and what pyproject.toml names.
    links = {path.readlink().name for path in (ROOT / "duskbench").iterdir() if path.is_symlink()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {*links, *project["license-files"], project["readme"], "duskbench"} <= set(copied())


def test_the_ignore_file_lets_exactly_that_through() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert [line[1:] for line in lines if line.startswith("!")] == copied()


def run_step(text: str, folder: Path, variant: str) -> tuple[int, list[list[str]], str]:
    """Run a RUN instruction in sh; returns the exit code, the arguments of each call of uv, and the error output."""
    (folder / "bin").mkdir()
    fake = folder / "bin" / "uv"
    fake.write_text('#!/bin/sh\nfor word in "$@"; do printf "%s\\n" "$word"; done >> calls\necho >> calls\n')
    fake.chmod(0o755)
    (folder / "uv.lock").symlink_to(ROOT / "uv.lock")
    env = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "VARIANT": variant}
    done = subprocess.run(["sh", "-c", text], cwd=folder, env=env, capture_output=True, text=True, check=False)
    calls = (folder / "calls").read_text() if (folder / "calls").exists() else ""
    return done.returncode, [call.splitlines() for call in calls.split("\n\n") if call.strip()], done.stderr


[PACKAGES] = [rest for rest in arguments("RUN") if "uv sync" in rest]


def left_out(sync: list[str]) -> set[str]:
    return {sync[place + 1] for place, word in enumerate(sync) if word == "--no-install-package"}


def test_the_packages_are_set_up_as_the_makefile_does(tmp_path: Path) -> None:
    code, [sync], _ = run_step(PACKAGES, tmp_path, "cuda")
    assert code == 0
    [setup] = re.findall(r"^\t\$\(UV\) (sync .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    # Without the tools of developers, and without the project, whose files are not there yet.
    assert sync == [*setup.split(), "--no-default-groups", "--no-install-project"]


def test_the_cpu_variant_takes_the_locked_torch_without_cuda(tmp_path: Path) -> None:
    code, [sync, install], _ = run_step(PACKAGES, tmp_path, "cpu")
    assert code == 0
    assert left_out(sync) == {"torch", "torchvision", *CUDA}
    assert install[:2] == ["pip", "install"] and install[-2:] == TORCH
    assert {"--no-deps", "--torch-backend"} <= set(install) and install[install.index("--torch-backend") + 1] == "cpu"


def test_another_variant_is_refused(tmp_path: Path) -> None:
    assert run_step(PACKAGES, tmp_path, "rocm") == (2, [], "VARIANT is rocm; cpu and cuda are known\n")


@pytest.mark.parametrize(("variant", "with_cuda"), [("cuda", True), ("cpu", False)])
def test_uv_says_what_a_variant_installs(variant: str, with_cuda: bool, tmp_path: Path) -> None:
    """A dry run of the real uv, for an environment that does not exist: it knows the options and names the packages."""
    uv = os.environ.get("UV") or need_tool("uv")
    _, [sync, *installs], _ = run_step(PACKAGES, tmp_path, variant)
    env = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(tmp_path / "environment")}
    words = [word for word in sync if word != "--quiet"]
    command = [uv, *words, "--dry-run", "--offline"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    named = set(re.findall(r"^ \+ ([\w.-]+)==", done.stderr, re.MULTILINE))
    assert {"onedl-mmdetection", "ray", "onnxruntime"} <= named and not {"pytest", "sphinx", "duskbench"} & named
    assert ({"torch", "nvidia-cublas", "triton"} <= named) is with_cuda
    if not with_cuda:
        assert not named & ({"torch", "torchvision"} | CUDA)
    for install in installs:
        known = subprocess.run([uv, "help", *install[:2]], capture_output=True, text=True, check=True).stdout
        for option in [word for word in install if word.startswith("--") and word != "--quiet"]:
            assert option in known, option


def test_the_system_packages_are_those_of_ci() -> None:
    [apt] = [shlex.split(rest) for rest in arguments("RUN") if "apt-get" in rest]
    named = [word for word in apt if word.startswith("lib")]
    assert named == re.findall(r"missing\+=\((lib[\w.-]+)\)", (ROOT / ".ci" / "run").read_text())


def test_what_the_image_runs_is_a_command() -> None:
    entry, command = (json.loads(arguments(name)[-1]) for name in ("ENTRYPOINT", "CMD"))
    application = typer.main.get_command(cli.app)
    assert entry == ["duskbench"] and isinstance(application, TyperGroup) and command[0] in application.commands
    for line in re.findall(r"^(?:podman|docker) run .*$", (ROOT / "docs" / "container.md").read_text(), re.MULTILINE):
        words = shlex.split(line)
        [image] = [place for place, word in enumerate(words) if word.startswith("duskbench:")]
        assert words[image + 1] in application.commands, line


def test_no_path_of_a_machine() -> None:
    paths = set(re.findall(r"(?<![\w.$}:])/[\w./-]+", " ".join(rest for _, rest in INSTRUCTIONS)))
    roots = ("/opt/duskbench", "/workspace", "/var/lib/apt/lists")
    assert {path for path in paths if not path.startswith(roots)} <= {"/p"}
