"""What was found out before holds only while nothing that it depends on has changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from duskbench.benchmarks.descriptions import Known
from duskbench.benchmarks.store import ResultStore

# A StringStringEntryProto `location: far.data`, as an ONNX file names the file of its external data.
LOCATION = b"\x0a\x08location\x12\x08far.data\x1a"


@pytest.fixture
def asked(tmp_path: Path) -> Callable[[str, Any], int]:
    """How often a specification had to be described so far, by calls that each open the results anew."""
    times = 0

    def describe() -> dict[str, Any]:
        nonlocal times
        times += 1
        return {}

    def ask(kind: str, spec: Any) -> int:
        known = Known(tmp_path / "results.sqlite")
        known.find(kind, {"spec": spec, "checkpoint": None} if kind == "detector" else spec, "cpu", describe)
        with ResultStore(tmp_path / "results.sqlite") as store:
            known.save(store)
        return times

    return ask


@pytest.mark.parametrize("form", ["path", "dict", "enhancer"])
@pytest.mark.parametrize("beside", ["model.onnx", "far.data", "model_classes.txt", "classes.txt"])
def test_an_onnx_file_with_what_lies_beside_it(
    tmp_path: Path, asked: Callable[[str, Any], int], form: str, beside: str
) -> None:
    """Other class names, or other weights in a file of their own: the stored rows were used under the old ones."""
    model = tmp_path / "model.onnx"
    model.write_bytes(LOCATION)
    (tmp_path / "far.data").write_bytes(b"weights")
    kind = "enhancer" if form == "enhancer" else "detector"
    spec = {"type": "onnx", "path": str(model)} if form == "dict" else str(model)
    assert [asked(kind, spec), asked(kind, spec)] == [1, 1]
    changed = tmp_path / beside
    changed.write_bytes(changed.read_bytes() if changed.exists() else b"car\ndog\n")
    os.utime(changed, ns=(1, 1))
    assert [asked(kind, spec), asked(kind, spec)] == [2, 2]


@pytest.mark.parametrize("form", ["path", "dict", "checkpoint"])
def test_a_configuration_of_ones_own_is_read_each_time(
    tmp_path: Path, asked: Callable[[str, Any], int], form: str
) -> None:
    """Which files it inherits from and loads weights from, only reading it tells."""
    config = tmp_path / "mine.py"
    config.write_text("_base_ = ['other.py']\ndetector = dict(checkpoint='mine.pth')\n")
    spec: Any = {"type": "mmdet", "config": str(config)} if form == "dict" else str(config)
    if form == "checkpoint":
        spec = {"type": str(config), "checkpoint": str(tmp_path)}
    assert [asked("detector", spec), asked("detector", spec)] == [1, 2]


def test_a_long_text_names_no_file(asked: Callable[[str, Any], int]) -> None:
    spec = {"type": "gamma", "gamma": "x" * 5000}
    assert [asked("enhancer", spec), asked("enhancer", spec)] == [1, 1]


@pytest.mark.parametrize("value", ["~/w.pth", ["a", {"b": "~/w.pth"}]])
def test_every_file_that_an_argument_names_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Callable[[str, Any], int], value: Any
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    spec = {"type": "guided", "weights": value}
    (tmp_path / "w.pth").write_bytes(b"1")
    assert [asked("enhancer", spec), asked("enhancer", spec)] == [1, 1]
    (tmp_path / "w.pth").write_bytes(b"12")
    assert [asked("enhancer", spec), asked("enhancer", spec)] == [2, 2]


def test_a_file_of_the_same_size_and_time_is_another_one(tmp_path: Path, asked: Callable[[str, Any], int]) -> None:
    """Archives and copies keep times."""
    model = tmp_path / "m.onnx"
    for content in (b"old", b"new"):
        (tmp_path / "other").write_bytes(content)
        os.utime(tmp_path / "other", (1, 1))
        (tmp_path / "other").replace(model)
        times = asked("enhancer", str(model)), asked("enhancer", str(model))
    assert times == (2, 2)


def test_what_ships_is_described_once(asked: Callable[[str, Any], int]) -> None:
    assert [asked("detector", "rfb_miniature"), asked("detector", "rfb_miniature")] == [1, 1]
    assert [asked("enhancer", "guided"), asked("enhancer", "guided")] == [2, 2]
