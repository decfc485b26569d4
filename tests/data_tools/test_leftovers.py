"""What a killed process leaves behind is removed by the next one, and nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from duskbench.data_tools.bbgt import BbgtObject, format_bbgt
from duskbench.data_tools.convert import exdark_to_voc
from duskbench.data_tools.exdark import ListedImage, format_class_list
from duskbench.data_tools.files import write_bytes
from duskbench.data_tools.images import write_image
from duskbench.data_tools.leftovers import remove_leftovers
from duskbench.data_tools.miniature import make_miniature
from duskbench.data_tools.unpaired import build_unpaired
from duskbench.data_tools.voc_dark import make_voc_dark

# Each writer of the project is killed while its temporary file or folder is there.
KILLED = """
import os, signal, sys
from pathlib import Path
import duskbench.data_tools.files as files
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
Path.replace = die
{call}
"""
CALLS = {
    "write_bytes": "files.write_bytes(Path(sys.argv[1]) / 'deep/a.xml', b'half')",
    "place_file": "Path('source').write_bytes(b'x'); files.place_file(Path('source'), Path(sys.argv[1]) / 'a', 'copy')",
    "replacing": (
        "Path(sys.argv[1]).mkdir(exist_ok=True)\n"
        "with files.replacing(Path(sys.argv[1]) / 'a.mp4', keeps_suffix=True) as file: file.write_bytes(b'half')"
    ),
    "manifest": (
        "from duskbench.data_tools.training_manifest import open_manifest\n"
        "with open_manifest(Path(sys.argv[1]) / 'manifest.json', {}): pass"
    ),
    "rows": (
        "from duskbench.data_tools.convert import _manifest_rows\n"
        "with _manifest_rows(Path(sys.argv[1]) / 'manifest.csv'): pass"
    ),
}


def kill(folder: Path, call: str, cwd: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED.format(call=call), folder], cwd=cwd, check=False)
    assert done.returncode == -signal.SIGKILL


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", CALLS)
def test_what_a_killed_writer_leaves_is_removed(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    kill(out, CALLS[name], tmp_path)
    assert len(everything(out)) == 1
    assert remove_leftovers(out) == 1
    assert everything(out) == []
    assert [path.name for path in out.rglob("*")] in ([], ["deep"])


def test_nothing_else_is_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    kept = [
        f".a.xml.{os.getpid()}.140000000000000", f".manifest.json.{os.getpid()}", f".placing.{os.getpid()}.abc/a",
        ".notes.2024", f".backup.{dead.pid}", f"a.{dead.pid}.140000000000000", ".hidden", "2015_00001.jpg", ".lock",
        # Of macOS, beside a recording that its number names.
        f"._night.{dead.pid}.140000000000000.mp4",
        f".folder/.a.{dead.pid}.140000000000000",
    ]  # fmt: skip
    for name in kept:
        write_bytes(tmp_path / name, b"x")
    assert remove_leftovers(tmp_path) == 0
    assert everything(tmp_path) == sorted(kept)
    write_bytes(tmp_path / f"deep/.a.{dead.pid}.140000000000000", b"x")
    assert remove_leftovers(tmp_path, deep=False) == 0
    assert remove_leftovers(tmp_path) == 1
    assert remove_leftovers(tmp_path / "nowhere") == 0


def exdark(root: Path, level: int = 120) -> Path:
    rows = [ListedImage(f"2015_0000{i}.png", "Car", "Low", True, "test", i + 1) for i in (1, 2)]
    for number, row in enumerate(rows):
        write_image(root / "ExDark/Car" / row.file, np.full((40, 60, 3), level + 20 * number, np.uint8))
        write_bytes(root / f"ExDark_Annno/Car/{row.file}.txt", format_bbgt([BbgtObject("Car", 1, 1, 5, 5, 2)]).encode())
    write_bytes(root / "imageclasslist.txt", format_class_list(rows).encode())
    return root


def _voc(work: Path) -> Path:
    exdark_to_voc(exdark(work / "exdark"), work / "voc")
    return work / "voc"


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda work, out: exdark_to_voc(exdark(work), out),
        lambda work, out: make_voc_dark(_voc(work), out, workers=1),
        lambda work, out: build_unpaired(
            [exdark(work / "a")], [exdark(work / "b", 200)], out, hash_distance=-1, min_brightness=0
        ),
        lambda work, out: make_miniature(out, voc_images=1, night_images=(0, 0, 0), size=(160, 120), workers=1),
    ],
    ids=["convert", "voc-dark", "unpaired", "miniature"],
)
def test_every_conversion_removes_what_a_killed_one_left(tmp_path: Path, make: Callable[[Path, Path], object]) -> None:
    out = tmp_path / "out"
    make(tmp_path / "work", out)
    whole = everything(out)
    for call in CALLS.values():
        kill(out, call, tmp_path)
    assert len(everything(out)) == len(whole) + len(CALLS)
    make(tmp_path / "work", out)
    assert everything(out) == whole
