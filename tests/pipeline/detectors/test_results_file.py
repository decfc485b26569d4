"""Results of another program: which class and which image a number names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from duskbench.data_tools.classes import VOC_CLASSES
from duskbench.data_tools.errors import DataError, DuskbenchError
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
    found = results.detect_by_id(["a/1", "a/2", "b/2"])
    assert [each.boxes_xyxy[:, 0].tolist() for each in found] == [[3], [1], [2]]
    assert [[each.classes[label] for label in each.labels] for each in found[:3]] == [["car"], ["car"], ["dog"]]


@pytest.mark.parametrize("known", [True, False], ids=["beside annotations of other numbers", "alone"])
def test_names_beside_numbers_say_what_these_mean(tmp_path: Path, known: bool) -> None:
    path, annotations = tmp_path / "results.json", tmp_path / "other.json"
    annotations.write_text(json.dumps(ANNOTATIONS))
    names = {1: ("x/000003.jpg", "person"), 2: ("x/000001.jpg", "train"), 3: ("x/000002.jpg", "okapi")}
    found = [{**each, "file_name": names[n][0], "category_name": names[n][1]} for n, each in enumerate(FOUND, start=1)]
    path.write_text(json.dumps(found))
    results = ResultsFile(path, annotations=str(annotations) if known else None, classes=["person", "train", "okapi"])
    ids = ["000001", "000002", "000003"]
    results.check_images(ids)
    found_by = results.detect_by_id(ids)
    assert [each.boxes_xyxy[:, 0].tolist() for each in found_by] == [[2], [3], [1]]
    assert [[each.classes[label] for label in each.labels] for each in found_by] == [["train"], ["okapi"], ["person"]]
    assert set(VOC_CLASSES) < set(ResultsFile(path).classes), "and okapi, which it names"


@pytest.mark.parametrize(
    ("ids", "all_known", "unknown"),
    [
        (["1", "2", "3"], True, None),
        (["0001", "0002", "0003", "0004"], True, None),
        (["1", "2"], True, "3"),
        (["1", "2"], False, None),
        (["4", "5"], False, "1"),
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


def _results(path: Path, names: list[Any], content: dict[str, Any] | None = None, **arguments: Any) -> ResultsFile:
    """A file with one car for each name, whose box starts at its position."""
    entries = [{"image_id": n, "category": "car", "bbox": [x, 0, 8, 8], "score": 0.5} for x, n in enumerate(names)]
    path.write_text(json.dumps(entries if content is None else {**content, "annotations": entries}))
    return ResultsFile(path, **arguments)


@pytest.mark.parametrize(
    ("names", "ids", "found"),
    [
        # A name of several digits is a name; and of two ids that a name could mean, it means the one written in full.
        (["11_1"], ["1_11", "11_1"], [[], [0]]),
        (["sub/a.jpg"], ["a", "sub/a"], [[], [0]]),
        (["a.jpg", "sub/a.jpg"], ["a", "sub/a"], [[0], [1]]),
        ([111], ["1_11", "111"], [[], [0]]),
        (["JPEGImages/000012.jpg", "JPEGImages/000012"], ["000012"], [[0, 1]]),
        ([12, 12.0], ["000012"], [[0, 1]]),
        (["x/caf\xe9.jpg"], ["cafe\u0301"], [[0]]),
        ([2008000012], ["2008_000012", "000012"], [[0], []]),
        (["2008_000012.jpg"], ["2008000012"], [[0]]),
        # As COCO's annotation files have them where two formats share a name.
        (["1.jpg", "1.png", "2.png"], ["1.jpg", "1.png", "2"], [[0], [1], [2]]),
    ],
)
def test_each_name_means_one_image(tmp_path: Path, names: list[Any], ids: list[str], found: list[list[int]]) -> None:
    results = _results(tmp_path / "results.json", names)
    results.check_images(ids)
    one_by_one = [results.detect_by_id([image_id])[0] for image_id in ids]
    assert [each.boxes_xyxy[:, 0].tolist() for each in one_by_one] == found


@pytest.mark.parametrize(
    ("names", "got"),
    [
        (["night/0001.jpg", "day/0001.jpg"], "'night/0001' and 'day/0001'"),
        (["000012", 12], "'000012' and '12'"),
        (["000012.jpg", "JPEGImages/000012.jpg"], "'000012' and 'JPEGImages/000012'"),
    ],
)
def test_two_names_of_one_image_are_an_error(tmp_path: Path, names: list[Any], got: str) -> None:
    results = _results(tmp_path / "results.json", names)
    with pytest.raises(DataError, match="Two names of the results file mean one image") as caught:
        results.check_images(["000012", "0001"])
    assert caught.value.got == got and str(caught.value.where).endswith("entry 1")


@pytest.mark.parametrize(
    ("truth", "names"), [(["1", "2"], ["1", "2"]), ([1, 2], ["1", "2"]), (["1", "2"], [1, 2]), (["x", "y"], ["x", "y"])]
)
def test_ids_of_the_annotation_file_may_be_text(tmp_path: Path, truth: list[Any], names: list[Any]) -> None:
    # Numbered against the order of the files' names, so that reading a number as a name is seen.
    images = [{"id": number, "file_name": f"00000{n}.jpg"} for number, n in zip(truth, (2, 1), strict=True)]
    annotations = tmp_path / "truth.json"
    annotations.write_text(json.dumps({**ANNOTATIONS, "images": images}))
    results = _results(tmp_path / "results.json", names, annotations=str(annotations))
    results.check_images(["000001", "000002"])
    assert [each.boxes_xyxy[:, 0].tolist() for each in results.detect_by_id(["000001", "000002"])] == [[1], [0]]


def test_text_that_is_the_number_of_one_image_and_the_name_of_another(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "2.jpg"}, {"id": 2, "file_name": "1.jpg"}]
    results = _results(tmp_path / "results.json", ["1"], {"images": images})
    with pytest.raises(DataError, match="number of one image and the name of another"):
        results.check_images(["1", "2"])


def test_float_categories_are_those_of_the_annotation_file(tmp_path: Path) -> None:
    path, annotations = tmp_path / "results.json", tmp_path / "truth.json"
    annotations.write_text(
        json.dumps({**ANNOTATIONS, "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "dog"}]})
    )
    path.write_text(json.dumps([{**FOUND[0], "category_id": 2.0}]))
    results = ResultsFile(path, annotations=str(annotations))
    [found] = results.detect_by_id(["a/2"])
    assert found.classes[int(found.labels[0])] == "dog"


@pytest.mark.parametrize("entry", [{"bbox": [0, 0, 10**400, 5]}, {"image_id": "1" * 5000}])
def test_numbers_too_large_to_be_meant(tmp_path: Path, entry: dict[str, Any]) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{**FOUND[0], **entry}]))
    with pytest.raises(DuskbenchError, match=r"not usable|Unknown image id") as caught:
        ResultsFile(path).check_images(["1"])
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    "entry",
    [{"bbox": [float("nan"), 1, 2, 3]}, {"bbox": [1e308, 0, 1e308, 1]}, {"bbox": [0, 0, -1, 1]}, {"score": True},
     {"score": "0.5"}, {"score": 1.5}],
)  # fmt: skip
def test_an_unusable_entry_is_named(tmp_path: Path, entry: dict[str, Any]) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{**FOUND[0], **entry}]))
    with pytest.raises(DataError, match="not usable") as caught:
        ResultsFile(path)
    assert str(caught.value.where).endswith("entry 0")


def test_a_score_of_0_is_read(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{**FOUND[0], "score": 0}]))
    assert ResultsFile(path).detect_by_id(["1"])[0].scores.tolist() == [0]
