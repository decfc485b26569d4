from __future__ import annotations

from pathlib import Path

import pytest

from duskbench.data_tools.datasets import open_dataset
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.folder import ImageFolder
from duskbench.data_tools.ids import UnknownIdError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("files", "ids"),
    [
        (["b.JPG", "a.png", "notes.txt"], ["a", "b"]),
        (["x/b.jpg", "y/a.bmp"], ["b", "a"]),
        (["x/a.jpg", "y/a.jpg", "z/b.jpg"], ["x/a", "y/a", "z/b"]),
        (["a.jpg", "a.png", "b.v2.jpg"], ["a.jpg", "a.png", "b.v2.jpg"]),
        (["a.jpg", "a.jpg.png"], ["a", "a.jpg"]),
        (["a.jpg", ".hidden.jpg", ".cache/b.jpg"], ["a"]),
    ],
)
def test_ids(tmp_path: Path, files: list[str], ids: list[str]) -> None:
    dataset = ImageFolder(touch(tmp_path, *files))
    assert dataset.ids == ids
    assert all(dataset.record(image_id).path.is_file() for image_id in ids)
    assert len({dataset.record(image_id).path for image_id in ids}) == len(ids)


def test_record(tmp_path: Path) -> None:
    dataset = ImageFolder(touch(tmp_path / "DICM", "a.jpg", "night/b.JPEG"))
    assert dataset.name == "DICM"
    record = dataset.record("b.JPEG")
    assert (record.id, record.path, record.group) == ("b", tmp_path / "DICM/night/b.JPEG", "night")
    assert record.objects is None
    assert record.split is None
    assert dataset.record("a").group is None


def test_chosen_ids_keep_their_order(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    assert open_dataset(tmp_path, split=["c.jpg", "a"]).ids == ["c", "a"]
    with pytest.raises(UnknownIdError, match="one of a, b, c"):
        open_dataset(tmp_path, split=["d"])


def test_a_path_through_another_folder_is_another_image(tmp_path: Path) -> None:
    touch(tmp_path, "night/a.jpg", "day/b.jpg")
    assert open_dataset(tmp_path, split=["/data/set/night/a.jpg", "images/b.jpg"]).ids == ["a", "b"]
    with pytest.raises(UnknownIdError, match=r"(?s)'day/a\.jpg'.*night/a\.jpg"):
        open_dataset(tmp_path, split=["day/a.jpg"])


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no image"):
        ImageFolder(touch(tmp_path, "readme.md"))
    with pytest.raises(DataError, match="No such folder"):
        ImageFolder(tmp_path / "nowhere")


def test_real_folders(shared: Path) -> None:
    assert len(ImageFolder(shared / "data/lowlight/DICM64").ids) == 64
    both = ImageFolder(shared / "data/lowlight")
    assert len(both.ids) == len(set(both.ids)) == 64 + 9 + 669 + 599 + 29
