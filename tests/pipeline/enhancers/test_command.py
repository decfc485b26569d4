"""Programs as enhancers: batches through folders, failures image by image, and nothing left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duskbench.data_tools.errors import ConfigError, EnhancerError
from duskbench.pipeline import load_enhancer

PYTHON = sys.executable
IMAGES = [np.full((20, 30 + n, 3), 40 * (n + 1), np.uint8) for n in range(3)]
IDS = ["a", "b", "c"]

INVERT = """
    import sys
    from pathlib import Path
    from PIL import Image, ImageOps

    source, target = map(Path, sys.argv[1:3])
    with open("starts.txt", "a") as log:
        print(len(list(source.iterdir())), file=log)
    for file in sorted(source.iterdir()):
        image = Image.open(file)
        {extra}
        ImageOps.invert(image).save(target / f"{{file.stem}}.png")
"""


def program(folder: Path, extra: str = "pass", **arguments: Any) -> dict[str, Any]:
    """A specification of a program in `folder` that inverts its images, with a line of its own in the loop."""
    (folder / "theirs.py").write_text(textwrap.dedent(INVERT).format(extra=extra))
    return {"type": "cmd", "command": f"{PYTHON} theirs.py {{in}} {{out}}", "cwd": str(folder), **arguments}


def starts(folder: Path) -> list[int]:
    """Number of images of each start."""
    return [int(line) for line in (folder / "starts.txt").read_text().split()]


def alive(marker: str) -> list[str]:
    """Processes of ours with a word in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if marker in words and state != "Z":
                found.append(f"{entry.name} {words}")
    return found


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (held := true()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held


def test_a_batch_is_one_start(tmp_path: Path) -> None:
    enhancer = load_enhancer(program(tmp_path, batch=8))
    assert enhancer.batch_size == 8
    results = enhancer.many(IMAGES, ["x/1", "x 1", None])
    assert all(np.array_equal(result, 255 - image) for result, image in zip(results, IMAGES, strict=True))
    assert np.array_equal(enhancer(IMAGES[0]), 255 - IMAGES[0])
    assert starts(tmp_path) == [3, 1]


def test_as_text_and_without_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program(tmp_path)
    spec = f"cmd:{PYTHON} theirs.py {{in}} {{out}} '; touch shell'"
    assert np.array_equal(load_enhancer(spec)(IMAGES[0]), 255 - IMAGES[0])
    assert not (tmp_path / "shell").exists()
    copied = load_enhancer("cmd:cp -r {in}/. {out}")
    assert copied.name == "cmd:cp -r {in}/. {out}"
    assert np.array_equal(copied(IMAGES[0]), IMAGES[0])
    words = {"type": "cmd", "command": [PYTHON, "theirs.py", "{in}", "{out}", "two words"], "files": "theirs.py"}
    assert np.array_equal(load_enhancer(words)(IMAGES[0]), 255 - IMAGES[0])


def test_a_bad_image_does_not_take_its_batch_with_it(tmp_path: Path) -> None:
    enhancer = load_enhancer(program(tmp_path, "assert image.width != 30, 'thirty is too narrow'"))
    bad, *good = enhancer.many(IMAGES, IDS)
    assert isinstance(bad, EnhancerError)
    text = str(bad)
    assert "theirs.py" in text and "where: a" in text and "exit code 1" in text and "thirty is too narrow" in text
    assert all(np.array_equal(result, 255 - image) for result, image in zip(good, IMAGES[1:], strict=True))
    assert starts(tmp_path) == [3, 1, 1, 1]


def test_a_broken_program_is_given_up(tmp_path: Path) -> None:
    enhancer = load_enhancer(program(tmp_path, "sys.exit('no weights')"))
    results = enhancer.many(IMAGES * 3, [f"{n}" for n in range(9)])
    assert all("no weights" in str(result) for result in results)
    assert [str(result).count(f"where: {n}") for n, result in enumerate(results)] == [1] * 9
    assert starts(tmp_path) == [9, 1, 1]


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        ("if file.stem == 'b': continue", r"(?s)no image of this one.*where: b.*b\.png of 31 x 20.*there is a\.png, c"),
        ("image = image.resize((5, 6)) if file.stem == 'b' else image", "(?s)another size.*b.*31 x 20.*5 x 6"),
        ("(target / 'b.jpg').write_bytes(b'') if file.stem == 'b' else 0", "(?s)no image of this one.*2 of that name"),
        ("if file.stem == 'b': (target / 'b.png').write_bytes(b'PNG'); continue", "cannot be read"),
    ],
)
def test_missing_and_wrong_images_are_told_one_by_one(tmp_path: Path, extra: str, text: str) -> None:
    results = load_enhancer(program(tmp_path, extra)).many(IMAGES, IDS)
    assert [type(result) for result in results] == [np.ndarray, EnhancerError, np.ndarray]
    with pytest.raises(EnhancerError, match=text):
        raise results[1]  # type: ignore[misc]
    assert starts(tmp_path) == [3]


def test_the_time_limit_kills_all_that_was_started(tmp_path: Path) -> None:
    marker = f"{tmp_path.name}_limit"
    command = f"sh -c 'sleep 600 & sleep 600; : {marker} {{in}} {{out}}'"
    results = load_enhancer({"type": "cmd", "command": command, "timeout": 0.5}).many(IMAGES, IDS)
    assert all("more than 0.5 s" in str(result) and "timeout=" in str(result) for result in results)
    assert wait_until(lambda: not alive(marker), 20)


def test_a_stopped_run_leaves_nothing_behind(tmp_path: Path) -> None:
    callers = {how: start_and_hang(tmp_path / how.name) for how in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)}
    for how, caller in callers.items():
        stop_and_look(caller, how, tmp_path / how.name)


def stop_and_look(caller: subprocess.Popen[bytes], how: signal.Signals, folder: Path) -> None:
    assert wait_until((folder / "where").exists, 120) and caller.poll() is None
    assert len(alive(str(folder))) >= 2
    os.kill(caller.pid, how)
    caller.wait(timeout=60)
    assert wait_until(lambda: not alive(str(folder)), 20)
    temporary = Path((folder / "where").read_text().strip()).parent
    assert wait_until(lambda: not temporary.exists(), 20)


def start_and_hang(folder: Path) -> subprocess.Popen[bytes]:
    """A process with an enhancer whose program never ends, has a child, and says where its images are."""
    folder.mkdir()
    command = f"sh -c 'echo {{in}} > {folder}/where; sleep 600 & sleep 600; : {{out}}'"
    code = (
        "import sys, numpy as np; from pipeline import load_enhancer\n"
        "load_enhancer('cmd:' + sys.argv[1])(np.zeros((4, 4, 3), np.uint8))"
    )
    root = Path(__file__).resolve().parents[3]
    return subprocess.Popen([PYTHON, "-c", code, command], cwd=root, stderr=subprocess.DEVNULL)


def test_fingerprint_covers_the_files_of_the_command_line(tmp_path: Path) -> None:
    spec = program(tmp_path)
    (tmp_path / "w.pth").write_bytes(b"1")
    spec["command"] += " --weights=w.pth"

    def print_of(**more: Any) -> str:
        return load_enhancer({**spec, **more}).fingerprint

    prints = [print_of(), print_of(timeout=5, batch=2), print_of(files=["theirs.py"])]
    assert prints[0] == prints[1] == prints[2]
    (tmp_path / "w.pth").write_bytes(b"2")
    prints.append(print_of())
    program(tmp_path, "image = image.copy()")
    prints.append(print_of())
    (tmp_path / "model.py").write_text("")
    prints.append(print_of(files=["model.py"]))
    prints.append(print_of(command=spec["command"] + " --fast"))
    assert len(set(prints)) == 5


@pytest.mark.parametrize(("words", "counts"), [("ckpt", True), ("--dir ckpt", True), ("--save-dir=ckpt", False)])
def test_a_folder_that_the_command_line_names_counts_unless_it_is_written_to(
    tmp_path: Path, words: str, counts: bool
) -> None:
    spec = program(tmp_path)
    (tmp_path / "ckpt").mkdir()
    prints = []
    for number in range(2):
        (tmp_path / "ckpt" / "w.pth").write_text(str(number))
        prints.append(load_enhancer({**spec, "command": f"{spec['command']} {words} .", "cwd": str(tmp_path)}))
    assert (prints[0].fingerprint != prints[1].fingerprint) is counts
    # A script may be a word, and longer than a file's name can be.
    assert load_enhancer(f'cmd:sh -c "true {"x" * 300} {{in}} {{out}}"').fingerprint


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("cmd:ls {in}", r"no \{out\}"),
        ("cmd:", r"no \{in\} and no \{out\}"),
        ("cmd:{in} {out}", "a program with"),
        ("cmd:no_such_program_here {in} {out}", "(?s)no such program.*no_such_program_here"),
        ("cmd:python99 {in} {out}", "this Python is"),
        ("cmd:ls '{in} {out}", "Cannot split"),
        ({"type": "cmd", "command": "ls {in} {out}", "timeout": 0}, "timeout above 0"),
        ({"type": "cmd", "command": "ls {in} {out}", "timeout": float("nan")}, "timeout above 0"),
        ({"type": "cmd", "command": "ls {in} {out}", "cwd": "no/such/folder"}, "existing folder"),
        ({"type": "cmd", "command": "ls {in} {out}", "files": ["no_such.pth"]}, "(?s)does not exist.*no_such.pth"),
        ({"type": "cmd", "command": "ls {in} {out}", "tiemout": 3}, "did you mean timeout"),
        ({"type": "cmd:ls {in} {out}", "batch": 0}, "batch from 1"),
    ],
)
def test_a_wrong_command_is_refused_before_it_runs(spec: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        load_enhancer(spec)
