"""The examples run as their README says."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks import cli
from duskbench.data_tools.datasets import open_dataset
from duskbench.data_tools.errors import DataError, UnknownNameError
from duskbench.data_tools.images import write_image
from duskbench.data_tools.miniature import make_miniature
from duskbench.data_tools.verify import verify
from duskbench.pipeline import load_detector, load_enhancer

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (duskbench run (?!.*my_dataset).*)$", README, re.MULTILINE)
IMAGE = np.random.default_rng(0).integers(0, 90, (45, 61, 3)).astype(np.uint8)


@pytest.mark.slow
def test_the_commands_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # `python` of the command line is whatever the shell finds; here it is this one.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    (tmp_path / "examples").symlink_to(EXAMPLES)
    make_miniature(tmp_path / "data/miniature", voc_images=0, night_images=(0, 0, 1), size=(320, 240), workers=1)
    labels = ["brighten(gain=3.0)", "TinyNetwork", "cmd:python examples/theirs.py {in} {out}", "Input", "hue shift"]
    assert len(COMMANDS) == len(labels)
    for command, label in zip(COMMANDS, labels, strict=True):
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        assert not stop.value.code, captured.err
        table = (tmp_path / "runs" / "miniature" / "table.csv").read_text(encoding="utf-8")
        assert label in table and "Input" in table


@pytest.mark.slow
def test_the_data_set_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, duskbench: Callable[..., tuple[int, str, str]]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(EXAMPLES)
    make_miniature(tmp_path / "data/miniature", voc_images=0, night_images=(0, 0, 2), size=(320, 240), workers=1)
    section = README[README.index("## A data set of one's own") : README.index("## Which form for what")]
    [snippet] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    exec(compile(snippet, "README", "exec"), {})  # noqa: S102 - our own text
    outputs = {}
    for command in re.findall(r"^\$ duskbench (.*)$", section, re.MULTILINE):
        code, output, errors = duskbench(*shlex.split(command))
        assert code == 0, (command, errors)
        outputs[command.split()[0]] = output
    assert "2 of 2 images measured" in " ".join(outputs["table"].split())
    original = open_dataset("data/miniature", split="test")
    mine = open_dataset("data/mine", layout="examples/my_dataset.py:PhotosAndBoxes")
    assert mine.ids == sorted(original.ids)
    for image_id in mine.ids:
        assert mine.record(image_id).objects == tuple(
            replace(one, truncated=None, pose=None) for one in original.record(image_id).objects or ()
        )
    with pytest.raises(UnknownNameError, match="did you mean offset"):
        open_dataset("data/mine", layout="examples/my_dataset.py:PhotosAndBoxes", ofset=1)


def test_a_fault_of_the_data_set_is_named(tmp_path: Path) -> None:
    layout = f"{EXAMPLES / 'my_dataset.py'}:PhotosAndBoxes"
    write_image(tmp_path / "photos/a.png", IMAGE)
    (tmp_path / "boxes").mkdir()
    (tmp_path / "boxes/a.txt").write_text("2\ncar 1 1 20 20\n")
    (tmp_path / "boxes/b.txt").write_text("0\n")
    with pytest.raises(
        DataError, match=r"reader .*failed(?s:.*), a\n(?s:.*)2 objects are promised(?s:.*)my_dataset\.py:\d+"
    ):
        open_dataset(tmp_path, layout=layout).record("a")
    report = verify(tmp_path, layout)
    assert {(finding.code, finding.file) for finding in report.findings} == {
        ("broken-annotation", "boxes/a.txt"),
        ("orphan-annotation", "boxes/b.txt"),
    }


def test_what_the_readme_names_is_there() -> None:
    for name in re.findall(r"^\| `(\w+\.py)` \|", README, re.MULTILINE):
        assert (EXAMPLES / name).is_file()


@pytest.mark.slow
def test_the_three_enhancers() -> None:
    file = EXAMPLES / "my_enhancer.py"
    assert np.array_equal(load_enhancer(f"{file}:brighten(gain=2)")(IMAGE), IMAGE * 2)
    assert np.array_equal(load_enhancer(f"{file}:Curve(gamma=1.0)")(IMAGE), IMAGE)
    network = load_enhancer(f"{file}:TinyNetwork")
    assert network(IMAGE).mean() > 1.8 * IMAGE.mean()
    # Tiles join without a seam, so `overlap` is right.
    tiled = load_enhancer(f"{file}:TinyNetwork", isolate=False)
    tiled.tile_pixels = 40 * 40  # type: ignore[attr-defined]
    assert np.abs(tiled(IMAGE).astype(int) - network(IMAGE)).max() <= 1


def test_the_detector() -> None:
    image = np.zeros((40, 50, 3), np.uint8)
    image[5:25, 10:40], image[30:35, 0:10] = 255, 255
    [found] = load_detector(f"{EXAMPLES / 'my_detector.py'}:BrightThings").detect([image])
    assert found.boxes_xyxy.tolist() == [[10, 5, 40, 25], [0, 30, 10, 35]]
