"""`duskbench export` as a command."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from duskbench.benchmarks.cli.export import export
from duskbench.data_tools.errors import ConfigError, UnknownNameError
from tests.needs import need_module


def command(*arguments: object) -> str:
    app = typer.Typer()
    app.command()(export)
    done = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.slow
def test_it_says_what_it_wrote(tmp_path: Path) -> None:
    need_module("onnxscript")
    out = tmp_path / "made" / "zero_dce.onnx"
    text = command("zero_dce", out, "--opset", 18)
    assert "opset 18" in text and "of torch on 6 sizes" in text
    assert f"{out.stat().st_size / 1e6:.2f} MB" in text


def test_a_file_that_is_there_is_replaced_when_asked_alone(tmp_path: Path) -> None:
    out = tmp_path / "there.onnx"
    out.write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"(?s)in the result's place already.*there\.onnx.*--overwrite"):
        command("lime", out)
    with pytest.raises(ConfigError, match="Only enhancers that are networks"):
        command("lime", out, "--overwrite")


def test_what_cannot_be_exported_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Only enhancers that are networks"):
        command("lime", tmp_path / "lime.onnx")
    with pytest.raises(UnknownNameError, match="did you mean guided"):
        command("guidde", tmp_path / "guided.onnx")
    assert list(tmp_path.iterdir()) == []
