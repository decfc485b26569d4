"""`duskbench data ...` and `--layout` on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from duskbench.benchmarks.cli import app
from duskbench.data_tools.images import write_image

Command = Callable[..., tuple[int, str, str]]
XML = (
    "<annotation><object><name>{}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>{}</xmax><ymax>9</ymax></bndbox>"
    "</object></annotation>"
)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    root = tmp_path / "voc"
    for image_id, name in (("a", "car"), ("b", "People")):
        write_image(root / f"JPEGImages/{image_id}.png", np.zeros((30, 40, 3), np.uint8))
        (root / "Annotations").mkdir(exist_ok=True)
        (root / f"Annotations/{image_id}.xml").write_text(XML.format(name, 9))
    return root


def test_ground_truth_as_coco_json(voc: Path, tmp_path: Path, duskbench: Command) -> None:
    code, output, _ = duskbench("data", "coco", voc, tmp_path / "truth.json", "--split", "all")
    assert code == 0
    assert "2 images, car 1, person 1; 0 of them difficult" in " ".join(output.split())
    content = json.loads((tmp_path / "truth.json").read_text())
    assert [category["name"] for category in content["categories"]] == ["car", "person"]
    code, _, errors = duskbench("data", "coco", voc / "JPEGImages", tmp_path / "none.json")
    assert code == 2 and "no annotation to write" in errors and not (tmp_path / "none.json").exists()


def test_one_broken_file_does_not_stop_the_count(voc: Path, duskbench: Command) -> None:
    (voc / "Annotations/a.xml").write_text(XML.format("car", -5))
    code, output, errors = duskbench("data", "voc", voc)
    assert code == 1
    assert "person" in output and "1 annotations cannot be read" in errors
    assert "a.xml, object 1 (car)" in errors.replace("\n", "")


def test_a_layout_by_name(voc: Path, tmp_path: Path, duskbench: Command) -> None:
    code, output, _ = duskbench("data", "verify", voc / "JPEGImages", "--layout", "folder", "--json")
    assert code == 0 and json.loads(output)["layout"] == "folder"
    code, _, errors = duskbench("data", "verify", voc, "--layout", "vco")
    assert code == 2 and "did you mean voc" in errors
    options = ("--detector", "none", "--enhancer", "input", "--out", tmp_path / "out")
    code, _, errors = duskbench("run", "table2", "--data", voc, "--layout", "nowhere.py:Mine", *options)
    assert code == 2 and "nowhere.py" in errors
    code, output, _ = duskbench("run", "table2", "--data", voc, "--layout", "folder", *options)
    assert code == 0 and "2 of 2 images measured" in " ".join(output.split())


def test_annotations_of_no_known_layout_stop_a_run(voc: Path, tmp_path: Path, duskbench: Command) -> None:
    (voc / "Annotations").rename(voc / "annotations")
    options = ("--detector", "none", "--enhancer", "input", "--out", tmp_path / "out")
    for command in (("data", "verify", voc), ("run", "table2", "--data", voc, *options)):
        code, _, errors = duskbench(*command)
        assert code == 2
        assert "2 XML files, as annotations/a.xml; a folder annotations" in " ".join(errors.split())


def test_fetch_says_terms_and_citation_before_it_asks(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["data", "fetch", "exdark", "--root", str(tmp_path / "exdark")], input="n\n")
    said = result.output.partition("Do you agree to these terms?")[0]
    places = [said.index(part) for part in ("Exclusively Dark", "https://", "@article{Exdark")]
    assert result.exit_code == 2 and places == sorted(places)
