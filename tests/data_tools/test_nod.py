from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from duskbench.data_tools.datasets import open_dataset
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.data_tools.images import write_image
from duskbench.data_tools.nod import NOD
from duskbench.data_tools.verify import verify

CATEGORIES = [{"id": 1, "name": "person"}, {"id": 2, "name": "bicycle"}, {"id": 3, "name": "car"}]
FILES = {
    "Nikon750/NOD_Nikon750_train.json": "DSC_1.JPG",
    "Nikon750/NOD_Nikon750_test.json": "DSC_2.JPG",
    "Sony_RX100m7/NOD_Sony_RX100m7_test.json": "DSC03.JPG",
    "Sony_RX100m7/NOD_Sony_RX100m7_test_extreme_nonextreme.json": "DSC03.JPG",
    "Combined/NOD_Sony_Nikon_test.json": "DSC_2.JPG",
}
RAW_FILES = {
    "Nikon/raw_new_Nikon750_test.json": "DSC_2.NEF",
    "Nikon/rawpy_new_Nikon750_test.json": "DSC_2.JPG",
    "Sony/raw_str_labeled_new_Sony_RX100m7_test.json": "DSC03.ARW",
}


def make(root: Path, files: dict[str, str]) -> Path:
    for name, file in files.items():
        path = root / "annotations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Numbered anew in every file, as the release does; RAW-NOD's ids are texts.
        number = file.partition(".")[0] if "new" in name else 0
        images = [{"id": number, "width": 40, "height": 30, "file_name": file, "license": 1}]
        found = [{"image_id": number, "bbox": [1, 2, 3, 4], "category_id": 3, "id": 0, "iscrowd": 0, "area": 12}]
        path.write_text(json.dumps({"images": images, "categories": CATEGORIES, "annotations": found}))
    for camera, name in (("Nikon750", "DSC_1"), ("Nikon750", "DSC_2"), ("Sony_RX100m7", "DSC03")):
        write_image(root / camera / f"{name}.JPG", np.full((30, 40, 3), len(name), np.uint8))
    return root


@pytest.mark.parametrize(
    ("split", "camera", "ids"),
    [
        ("test", "both", ["DSC_2", "DSC03"]),
        ("test", "Sony", ["DSC03"]),
        ("all", "Nikon", ["DSC_2", "DSC_1"]),
        ("train", "both", ["DSC_1"]),
    ],
)
def test_splits_and_cameras(tmp_path: Path, split: str, camera: str, ids: list[str]) -> None:
    dataset = open_dataset(make(tmp_path, FILES), split=split, camera=camera)
    assert isinstance(dataset, NOD) and dataset.ids == ids


def test_records(tmp_path: Path) -> None:
    record = open_dataset(make(tmp_path, FILES)).record("DSC03")
    assert (record.group, record.split, record.size) == ("Sony", "test", (40, 30))
    assert record.path == tmp_path / "Sony_RX100m7/DSC03.JPG"
    assert [(one.name, one.box_xyxy) for one in record.objects or ()] == [("car", (1, 2, 4, 6))]
    assert verify(tmp_path).ok


def test_raw_nod_has_jpegs_too(tmp_path: Path) -> None:
    root = make(tmp_path, RAW_FILES)
    assert open_dataset(root).ids == ["DSC_2"]
    with pytest.raises(ConfigError, match="Raw files are not read"):
        open_dataset(root, variant="raw")
    make(tmp_path, FILES)
    with pytest.raises(ConfigError, match="NOD and rawpy"):
        open_dataset(root)
    assert open_dataset(root, variant="NOD", camera="Sony").ids == ["DSC03"]


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No annotation file of NOD"):
        NOD(tmp_path)
    make(tmp_path, FILES)
    for options, match in (({"camera": "sony"}, "did you mean Sony|one of Nikon"), ({"split": "dev"}, "split of NOD")):
        with pytest.raises(UnknownNameError, match=match):
            NOD(tmp_path, **options)
    with pytest.raises(DataError, match="NOD, Sony, train"):
        NOD(tmp_path, "train", camera="Sony")
