"""The CI's own files: actionlint finds nothing wrong, and their commands exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from typer.core import TyperGroup

from duskbench.benchmarks import cli
from duskbench.benchmarks.config import find_config
from tests.needs import need_tool

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z0-9_]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def read(path: Path) -> dict[str, Any]:
    # "on" is a boolean to YAML 1.1.
    return {"on" if key is True else key: value for key, value in yaml.safe_load(path.read_text()).items()}


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def commands(workflow: dict[str, Any]) -> list[list[str]]:
    text = "\n".join(step.get("run", "") for step in steps(workflow)).replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line.strip()]


def actionlint(path: Path) -> str:
    command = [need_tool("actionlint"), "-no-color", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert bool(done.returncode) == bool(done.stdout), done.stderr
    return done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actionlint_finds_nothing(path: Path) -> None:
    assert actionlint(path) == ""


@pytest.mark.parametrize(
    ("right", "wrong", "found"),
    [
        ("runs-on: ubuntu-latest", "runs-on: ubuntu-newest", "ubuntu-newest"),
        ("github.ref", "github.reff", "reff"),
        ("timeout-minutes:", "timeout-minute:", "timeout-minute"),
    ],
)
def test_actionlint_finds_what_is_wrong(tmp_path: Path, right: str, wrong: str, found: str) -> None:
    text = WORKFLOWS[0].read_text()
    assert right in text
    path = tmp_path / "wrong.yml"
    path.write_text(text.replace(right, wrong, 1))
    assert found in actionlint(path)


def test_both_are_there() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "nightly.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_every_workflow_must_have(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"]
    for job in workflow["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 90
    for step in steps(workflow):
        used = step.get("uses", "")
        assert ("run" in step) != bool(used), step
        assert not used or re.search(r"(@v\d+|:\d+\.\d+\.\d+)$", used), used
        # What an outsider may write (a title, a branch) must not become a part of a script.
        assert "${{" not in step.get("run", ""), step


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_commands_exist(path: Path) -> None:
    application = typer.main.get_command(cli.app)
    for words in commands(read(path)):
        if words[0] == "make":
            assert set(words[1:]) <= TARGETS, words
        elif words[0] == "bash":
            assert (ROOT / words[1]).is_file(), words
        elif "duskbench" in words:
            check_command(application, words[words.index("duskbench") + 1 :])


def check_command(command: Any, words: list[str]) -> None:
    while isinstance(command, TyperGroup):
        assert words[0] in command.commands, words
        command, words = command.commands[words[0]], words[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known, words
    if command.name == "nightly":
        assert find_config(words[0]).is_file()


def test_the_nightly_keeps_its_history_also_after_a_red_night() -> None:
    workflow = read(ROOT / ".github" / "workflows" / "nightly.yml")
    assert {"schedule", "workflow_dispatch"} <= set(workflow["on"])
    assert workflow["concurrency"]["cancel-in-progress"] is False
    by_use = {step["uses"].partition("@")[0]: step for step in steps(workflow) if "uses" in step}
    restore, save = by_use["actions/cache/restore"], by_use["actions/cache/save"]
    assert restore["with"]["path"] == save["with"]["path"] and restore["with"]["key"] == save["with"]["key"]
    # A key is written once: it must be another one every night, and found by its beginning.
    assert "github.run_id" in save["with"]["key"] and save["with"]["key"].startswith(restore["with"]["restore-keys"])
    order = [step.get("uses", step.get("run", "")) for step in steps(workflow)]
    night = next(number for number, text in enumerate(order) if "--junit" in text)
    assert order.index(restore["uses"]) < night < order.index(save["uses"])
    for step in steps(workflow)[night + 1 :]:
        assert "!cancelled()" in step["if"], step
    out = workflow["jobs"]["nightly"]["env"]["OUT"]
    written = {
        word.strip('"').replace("$OUT", out) for words in commands(workflow) for word in words if "$OUT/" in word
    }
    artefacts = by_use["actions/upload-artifact"]["with"]["path"].split()
    assert save["with"]["path"] in written and save["with"]["path"] in artefacts
    assert {f"{out}/{name}" for name in ("junit.xml", "summary.md", "report.html")} <= written & set(artefacts)
