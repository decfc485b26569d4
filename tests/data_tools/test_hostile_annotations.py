"""Every reader of annotations, on mutated files: a documented error or a valid result, and nothing else."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from duskbench.data_tools.coco import COCO
from duskbench.data_tools.darkface import DarkFace
from duskbench.data_tools.datasets import detect_layout, open_dataset
from duskbench.data_tools.errors import DataError, DuskbenchError
from duskbench.data_tools.exdark import ExDark
from duskbench.data_tools.images import read_image, write_image
from duskbench.data_tools.nod import NOD
from duskbench.data_tools.records import Dataset
from duskbench.data_tools.verify import verify
from duskbench.data_tools.voc import VOC
from tests.mutations import mutations

BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>"
XML = f"""<?xml version="1.0" encoding="utf-8"?><annotation><filename>a.png</filename><size><width>40</width>
<height>30</height><depth>3</depth></size><object><name>car</name><difficult>0</difficult>{BOX}</object></annotation>"""
COCO_JSON = {
    "images": [{"id": 1, "file_name": "JPEGImages/a.png", "width": 40, "height": 30}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 8, 6], "iscrowd": 0}],
    "categories": [{"id": 3, "name": "car"}],
}
Reader = Callable[[Path], Dataset]
# The file that is mutated, its sound content, and how the data set is opened.
CASES: dict[str, tuple[str, str, Reader]] = {
    "voc-xml": ("Annotations/a.xml", XML, VOC),
    "voc-set": ("ImageSets/Main/test.txt", "# b\n'a'  1\n", VOC),
    "exdark-list": ("imageclasslist.txt", "Name | Class\r\na.png 5 1 2 3\r\n", ExDark),
    "exdark-bbgt": (
        "ExDark_Annno/Car/a.png.txt",
        "% bbGt version=3\nCar 1 2 8 6 0 0 0 0 0 0 0\n",
        ExDark,
    ),
    "coco": ("coco.json", json.dumps(COCO_JSON), COCO),
    "darkface": ("label/a.txt", "1\n1 2 9 8\n", DarkFace),
    "nod": ("annotations/NOD_Nikon750_test.json", json.dumps(COCO_JSON), NOD),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image in every layout at once."""
    root = tmp_path_factory.mktemp("tree")
    for folder in ("JPEGImages", "ExDark/Car", "image"):
        write_image(root / folder / "a.png", np.zeros((30, 40, 3), np.uint8))
    for name, text, _ in CASES.values():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=st.data())
def test_a_mutated_file_is_an_error_of_ours_or_read(case: str, tree: Path, choice: st.DataObject) -> None:
    name, text, open_it = CASES[case]
    file = tree / name
    file.write_bytes(choice.draw(mutations(text.encode())))
    try:
        dataset = open_it(tree)
        for image_id in dataset.ids:
            # Whatever a list says, nothing outside the tree is an image of the set.
            assert dataset.image_path(image_id).resolve().is_relative_to(tree.resolve())
            for one in dataset.record(image_id).objects or ():
                x1, y1, x2, y2 = one.box_xyxy
                assert all(map(math.isfinite, one.box_xyxy)) and 0 <= x1 < x2 and 0 <= y1 < y2
                assert one.name and isinstance(one.difficult, bool)
    except DuskbenchError as error:
        str(error).encode("utf-8")
    finally:
        file.write_text(text)


@pytest.mark.parametrize("case", CASES)
def test_every_sound_file_is_read(case: str, tree: Path) -> None:
    dataset = CASES[case][2](tree)
    [image_id] = dataset.ids
    [found] = dataset.record(image_id).objects or ()
    assert found.box_xyxy == ((0, 1, 9, 8) if "voc" in case else (0, 1, 8, 7) if "exdark" in case else (1, 2, 9, 8))


@pytest.mark.timeout(20)
# COCO would read NOD's file instead.
@pytest.mark.parametrize("case", [case for case in CASES if case != "coco"])
def test_a_pipe_is_an_error_and_does_not_hang(case: str, tree: Path) -> None:
    name, text, open_it = CASES[case]
    (tree / name).unlink()
    os.mkfifo(tree / name)
    try:
        assert COCO.detects(tree) and VOC.detects(tree)
        with pytest.raises(DataError, match=r"a pipe, not a file|is missing|No DARK FACE|No imageclasslist"):
            open_it(tree).record("a")
    finally:
        (tree / name).unlink()
        (tree / name).write_text(text)


@pytest.mark.timeout(20)
def test_a_pipe_in_place_of_an_image(tmp_path: Path) -> None:
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations/a.xml").write_text(XML)
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/test.txt").write_text("a\n")
    (tmp_path / "JPEGImages").mkdir()
    os.mkfifo(tmp_path / "JPEGImages/a.jpg")
    dataset = open_dataset(tmp_path)
    assert len(dataset.record("a").objects or ()) == 1
    assert dataset.notes == ("1 left out, a pipe in place of a file: a.jpg",)
    with pytest.raises(DataError, match="a pipe, not a file"):
        read_image(dataset.image_path("a"))


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=st.data())
def test_verify_says_something_of_every_mutated_file(tree: Path, choice: st.DataObject) -> None:
    name, text, _ = CASES["voc-xml"]
    (tree / name).write_bytes(choice.draw(mutations(text.encode())))
    try:
        report = verify(tree, "voc", workers=1)
        json.dumps(report.to_json(), allow_nan=False).encode("utf-8")
    finally:
        (tree / name).write_text(text)


@pytest.mark.parametrize("name", ["C:\\x.jpg", "\\\\server\\x", "a\nb", "-rf", "a b", "%s", "con", "Ω", "."])
def test_odd_names_of_folders_and_images(tmp_path: Path, name: str) -> None:
    """Any name that Linux allows: read, or refused with an error that can be printed."""
    write_image(tmp_path / "set" / "ok.png", np.zeros((4, 4, 3), np.uint8))
    if name != ".":
        (tmp_path / "set" / "ok.png").rename(tmp_path / "set" / f"{name}.png")
    try:
        assert detect_layout(tmp_path / "set") == "folder"
        dataset = open_dataset(tmp_path / "set")
        assert dataset.image_path(dataset.ids[0]).is_file()
    except DuskbenchError as error:
        str(error).encode("utf-8")
