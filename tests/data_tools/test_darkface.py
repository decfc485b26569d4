from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from duskbench.data_tools.boxes import BoxError
from duskbench.data_tools.darkface import DarkFace, parse_label
from duskbench.data_tools.datasets import detect_layout, missing, open_dataset
from duskbench.data_tools.errors import DataError, UnknownNameError
from duskbench.data_tools.images import write_image
from duskbench.data_tools.records import MissingAnnotationError, ObjectAnnotation
from duskbench.data_tools.verify import verify


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "DarkFace_Train_2021"
    for number, text in (("1", "2\n3 4 10 12\n30 20 45 33\n"), ("2", "0\n"), ("10", "\ufeff1\r\n0 0 40 30\r\n")):
        write_image(root / "image" / f"{number}.png", np.full((30, 40, 3), int(number), np.uint8))
        (root / "label").mkdir(exist_ok=True)
        (root / "label" / f"{number}.txt").write_bytes(text.encode())
    return root


@pytest.mark.parametrize("above", [False, True])
def test_records(tree: Path, above: bool) -> None:
    dataset = open_dataset(tree.parent if above else tree)
    assert isinstance(dataset, DarkFace) and dataset.root == tree
    assert dataset.ids == ["1", "2", "10"]
    # The second face leaves the 40 x 30 image.
    assert dataset.record("1").objects == (
        ObjectAnnotation("face", (3, 4, 10, 12)),
        ObjectAnnotation("face", (30, 20, 40, 30)),
    )
    assert dataset.record("2").objects == ()
    assert dataset.record("10.png").objects == (ObjectAnnotation("face", (0, 0, 40, 30)),)


def test_there_are_no_splits(tree: Path) -> None:
    assert open_dataset(tree, split="all").ids == open_dataset(tree).ids
    assert open_dataset(tree, split=["10.png", "1"]).ids == ["10", "1"]
    with pytest.raises(UnknownNameError, match="split of darkface, which has none"):
        open_dataset(tree, split="val")


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("", DataError, r"a\.txt:1"),
        ("x\n1 2 3 4\n", DataError, r"a\.txt:1"),
        ("2\n1 2 3 4\n", DataError, "'2', then 1 lines"),
        ("1\n1 2 3\n", DataError, r"a\.txt:2"),
        ("1\n\n1 2 x 4\n", DataError, r"a\.txt:3"),
        ("1\n5 2 5 4\n", BoxError, r"a\.txt:2"),
        ("1\n5 2 nan 4\n", BoxError, r"a\.txt:2"),
    ],
)
def test_broken_labels_name_the_line(text: str, error: type[DataError], match: str) -> None:
    with pytest.raises(error, match=match):
        parse_label(text, where="a.txt")


def test_verify(tree: Path) -> None:
    assert {finding.code for finding in verify(tree).findings} == {"no-boxes", "box-outside", "class-outside-voc"}
    (tree / "label/10.txt").unlink()
    with pytest.raises(MissingAnnotationError, match="--split FILE"):
        open_dataset(tree).record("10")
    assert ("error", "missing-annotation", "label/10.txt") in {
        (finding.severity, finding.code, finding.file) for finding in verify(tree).findings
    }


def test_labels_may_end_in_capitals(tree: Path) -> None:
    labelled = [len(open_dataset(tree).record(image_id).objects or ()) for image_id in open_dataset(tree).ids]
    for file in list((tree / "label").iterdir()):
        file.rename(file.with_suffix(".TXT"))
    assert [len(open_dataset(tree).record(image_id).objects or ()) for image_id in open_dataset(tree).ids] == labelled


def test_labels_without_image_and_images_with_two_files_are_found(tree: Path) -> None:
    (tree / "image/2.png").unlink()
    (tree / "label/readme.txt").write_text("Faces.\n")
    write_image(tree / "image/1.jpg", np.zeros((30, 40, 3), np.uint8))
    assert open_dataset(tree).ids == ["1", "2", "10"] and missing(open_dataset(tree)) == ["2"]
    found = {(finding.severity, finding.code, finding.file): finding.message for finding in verify(tree).findings}
    assert found["error", "missing-image", "image/2.png"] == "not there"
    said = "1 left out, beside a file of the same name that is read: 1.png"
    assert said in found.values() and said in open_dataset(tree).notes


def test_only_such_a_folder_is_taken_for_it(tmp_path: Path) -> None:
    write_image(tmp_path / "image/1.png", np.zeros((30, 40, 3), np.uint8))
    with pytest.raises(DataError, match="No DARK FACE"):
        DarkFace(tmp_path)
    (tmp_path / "label").mkdir()
    (tmp_path / "label/1.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(DataError, match=r"no layout that is known(?s:.*)YOLO"):
        detect_layout(tmp_path)
