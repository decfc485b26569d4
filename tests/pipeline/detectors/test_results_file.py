"""Results of another program: which class and which image a number names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.ids import UnknownIdError
from duskbench.pipeline.detectors.results_file import ResultsFile

CONTENT = {
    "images": [{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "a.png"}],
    "categories": [{"id": 3, "name": "car"}, {"id": 3, "name": "Car"}],
    "annotations": [{"image_id": 1, "category_id": 3, "bbox": [1, 2, 8, 6], "score": 0.5}],
}


@pytest.mark.parametrize(
    ("key", "entry", "names"),
    [
        ("images", {"id": 1, "file_name": "b.png"}, "1: a.png and b.png"),
        ("categories", {"id": 3, "name": "dog"}, "3: car and dog"),
    ],
)
def test_one_number_of_two_names_is_an_error(tmp_path: Path, key: str, entry: Any, names: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(CONTENT))
    [found] = ResultsFile(path).detect_by_id(["a"])
    assert found.boxes_xyxy.tolist() == [[1, 2, 9, 8]] and found.classes[int(found.labels[0])] == "car"
    path.write_text(json.dumps({**CONTENT, key: [*CONTENT[key], entry]}))
    with pytest.raises(DataError, match="have the same id") as caught:
        ResultsFile(path)
    assert caught.value.got == names


# Numbers that are not those of the file names, and one file name in two folders.
ANNOTATIONS = {
    "images": [{"id": n, "file_name": name} for n, name in [(1, "a/2.jpg"), (2, "b/2.jpg"), (3, "a/1.jpg")]],
    "categories": [{"id": 9, "name": "car"}, {"id": 1, "name": "dog"}],
    "annotations": [],
}
FOUND = [{"image_id": n, "category_id": c, "bbox": [n, 0, 8, 8], "score": 0.5} for n, c in [(1, 9), (2, 1), (3, 9)]]


@pytest.mark.parametrize("lists", ["in the results", "in the annotations"])
def test_numbers_are_those_of_the_annotation_file(tmp_path: Path, lists: str) -> None:
    path, annotations = tmp_path / "results.json", tmp_path / "truth.json"
    annotations.write_text(json.dumps(ANNOTATIONS))
    whole = lists == "in the results"
    path.write_text(json.dumps({**ANNOTATIONS, "annotations": FOUND} if whole else FOUND))
    results = ResultsFile(path, annotations=None if whole else str(annotations))
    results.check_images(["a/1", "a/2", "b/2"])
    found = results.detect_by_id(["a/1", "a/2", "b/2", "2"])
    assert [each.boxes_xyxy[:, 0].tolist() for each in found] == [[3], [1], [2], [1, 2]]
    assert [[each.classes[label] for label in each.labels] for each in found[:3]] == [["car"], ["car"], ["dog"]]


@pytest.mark.parametrize(
    ("ids", "all_known", "unknown"),
    [
        (["1", "2", "3"], True, None),
        (["0001", "0002", "0003", "0004"], True, None),
        (["1", "2"], True, "3"),
        (["1", "2"], False, None),
        (["4", "5"], False, "3"),
        (["01", "001", "2", "3"], False, "1"),
    ],
)
def test_results_of_other_images(tmp_path: Path, ids: list[str], all_known: bool, unknown: str | None) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(FOUND))
    results = ResultsFile(path)
    if unknown is None:
        results.check_images(ids, all_known=all_known)
        return
    with pytest.raises(UnknownIdError, match=f"Unknown image id '{unknown}'"):
        results.check_images(ids, all_known=all_known)


def test_numbers_that_two_annotation_files_use_differently(tmp_path: Path) -> None:
    """Roboflow numbers the images of each split from 0; a file that names its images does not ask for numbers."""
    files = [tmp_path / "train.json", tmp_path / "val.json"]
    for file in files:
        images = [{"id": 0, "file_name": f"{file.stem}.jpg"}]
        file.write_text(json.dumps({**ANNOTATIONS, "images": images}))
    path, annotations = tmp_path / "results.json", list(map(str, files))
    path.write_text(json.dumps([{**FOUND[0], "image_id": "val.jpg"}]))
    none, one = ResultsFile(path, annotations=annotations).detect_by_id(["train", "val"])
    assert len(none.scores) == 0 and one.classes[int(one.labels[0])] == "car"
    path.write_text(json.dumps([{**FOUND[0], "image_id": 0}]))
    with pytest.raises(DataError, match="have the same id") as caught:
        ResultsFile(path, annotations=annotations)
    assert caught.value.got == "0: train.jpg and val.jpg"
