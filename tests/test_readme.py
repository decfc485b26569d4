"""The commands of README and documentation exist, and those of the README that need no real data run."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from duskbench.benchmarks import cli
from duskbench.data_tools.images import read_image, write_image
from duskbench.data_tools.miniature import make_miniature

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(text: str) -> list[str]:
    """What stands behind a `$` and begins with duskbench, without its comment; a backslash joins lines."""
    lines = text.replace("\\\n", "")
    return [line.partition("#")[0].strip() for line in re.findall(r"^\$ (duskbench .*)$", lines, re.MULTILINE)]


COMMANDS = commands(README)
PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts)
EVERYWHERE = sorted({*COMMANDS, *(one for page in PAGES for one in commands(page.read_text(encoding="utf-8")))})


def block(language: str, first_line: str) -> str:
    """The fenced block that begins with a line."""
    found = [b for b in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if b.startswith(first_line)]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("command", EVERYWHERE)
def test_every_command_and_option_exists(command: str) -> None:
    words = shlex.split(command)[1:]
    group = typer.main.get_command(cli.app)
    while hasattr(group, "commands"):
        group = group.commands[words.pop(0)]
    options = {name for parameter in group.params for name in parameter.opts + parameter.secondary_opts}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_every_configuration_named_is_there(page: Path) -> None:
    named = set(re.findall(r"configs/[\w/]+\.py", page.read_text(encoding="utf-8")))
    assert not [name for name in named if not (ROOT / name).is_file()]


def test_the_trainings_in_the_documentation_are_those_there_are() -> None:
    """The table's first column, where `_no_grey` after `guided_no_features` is short for `guided_no_grey`."""
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    table = page.partition("| configuration | trains |")[2].partition("\n\n")[0]
    cells = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in table.splitlines() if row.startswith("| `")]
    named = {name if name[0] != "_" else "guided" + name for cell in cells for name in cell}
    there = {path.stem for path in (ROOT / "configs/training").glob("*.py")}
    assert len(named) > 20
    assert named <= there
    assert {name for name in there - named if not name.endswith(("_small", "_914"))} == set()


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 8 and len(EVERYWHERE) > len(COMMANDS)


@pytest.mark.slow
def test_the_plug_in_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(block("python", "# mine.py"))
    make_miniature(tmp_path / "data/miniature", voc_images=0, night_images=(0, 0, 2), size=(320, 240), workers=1)
    for image in (tmp_path / "data/miniature/ExDark").rglob("*.*"):
        write_image(Path("my_enhanced_images") / f"{image.stem}.png", read_image(image))
    ran = [command for command in COMMANDS if "mine.py" in command or "my_enhanced_images" in command]
    assert len(ran) == 2
    for command in ran:
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert not stop.value.code, capsys.readouterr().err
    text = capsys.readouterr().out
    assert "brighten(gain=3.0)" in text and "mAP" in text


def test_the_python_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    image = np.random.default_rng(0).integers(0, 80, (200, 220, 3)).astype(np.uint8)
    exec(block("python", "from duskbench import"), {"image": image})  # noqa: S102 - our own README
    assert float(capsys.readouterr().out) > 0
