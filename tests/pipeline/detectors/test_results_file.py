"""Results of another program: which class and which image a number names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from duskbench.data_tools.errors import DataError
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
