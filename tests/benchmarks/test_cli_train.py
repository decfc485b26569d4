"""`duskbench train` as a command: what it refuses before it trains."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from duskbench.benchmarks.cli.train import train
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.pipeline.registry import config_root

CONFIG = config_root() / "training" / "zero_dce_small.py"


def command(*arguments: object) -> None:
    app = typer.Typer()
    app.command()(train)
    CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)


@pytest.mark.parametrize("name", ["weights.pth", "folder", "folder.safetensors", ""])
def test_weights_that_could_not_be_written_are_refused_before_the_training(tmp_path: Path, name: str) -> None:
    for folder in ("folder", "folder.safetensors"):
        (tmp_path / folder).mkdir()
    with pytest.raises(ConfigError, match=r"(?s)not exported there.*--export.*FILE\.safetensors"):
        command(CONFIG, "--work-dir", tmp_path / "work", "--export", tmp_path / name)
    assert not (tmp_path / "work").exists()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder that takes no files")
def test_a_folder_that_takes_no_file_is_named_before_the_training(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="weights") as caught:
        command(CONFIG, "--work-dir", tmp_path / "work", "--export", "/proc/weights.safetensors")
    assert caught.value.filename == "/proc/weights.safetensors"
    assert not (tmp_path / "work").exists()


def test_weights_that_are_there_are_replaced_when_asked_alone(tmp_path: Path) -> None:
    there = tmp_path / "there.safetensors"
    there.write_bytes(b"another training's")
    arguments = (CONFIG, "--work-dir", tmp_path / "work", "--export", there, "--cfg-options", f"data_root={tmp_path}")
    with pytest.raises(ConfigError, match=r"(?s)in the result's place already.*there\.safetensors.*--overwrite"):
        command(*arguments)
    assert not (tmp_path / "work").exists()
    for said in ("--overwrite", "--resume"):
        with pytest.raises(DataError, match="trainA"):
            command(*arguments, said)


def test_a_folder_with_blanks_is_taken_as_it_is(tmp_path: Path) -> None:
    root = tmp_path / "my photos, '24"
    with pytest.raises(DataError) as error:
        command(CONFIG, "--work-dir", tmp_path / "work", "--cfg-options", f'data_root="{root}"')
    assert error.value.where == root / "trainA"


def test_settings_that_are_not_read_are_refused(tmp_path: Path) -> None:
    detector = config_root() / "detectors" / "rfb_miniature.py"
    with pytest.raises(ConfigError, match=r"(?s)data_root.*train_dataloader\.dataset\.data_root"):
        command(detector, "--work-dir", tmp_path / "work", "--cfg-options", f"data_root={tmp_path}")
    with pytest.raises(UnknownNameError, match="did you mean ema"):
        command(CONFIG, "--work-dir", tmp_path / "work", "--cfg-options", "emma=0.9")
