"""Images enhanced elsewhere: found by id, checked, and part of the fingerprint."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from duskbench.data_tools.errors import ConfigError, DataError, EnhancerError
from duskbench.data_tools.images import write_image
from duskbench.pipeline.enhancers.folder import Folder


def picture(seed: int, height: int = 6, width: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def enhanced(tmp_path: Path) -> Path:
    folder = tmp_path / "enhanced"
    for seed, name in enumerate(("2015_00001.png", "Dog/2015_00002.PNG", "a.b.png")):
        write_image(folder / name, picture(seed))
    (folder / "notes.txt").write_text("no image")
    (folder / "._2015_00001.png").write_bytes(b"left behind by another system")
    return folder


@pytest.mark.parametrize(("image_id", "seed"), [("2015_00001", 0), ("2015_00002", 1), ("a.b", 2)])
def test_images_are_found_by_id_in_the_folder_and_below(enhanced: Path, image_id: str, seed: int) -> None:
    original = np.zeros((6, 9, 3), np.uint8)
    np.testing.assert_array_equal(Folder(enhanced)(original, image_id=image_id), picture(seed))
    assert not original.any()


def test_a_missing_image_is_named_with_its_neighbours(enhanced: Path) -> None:
    with pytest.raises(EnhancerError) as caught:
        Folder(enhanced)(picture(0), image_id="2015_00003")
    text = str(caught.value)
    assert "2015_00003.png" in text
    assert "3 images" in text
    assert "2015_00001" in text
    assert "what to do" in text


def test_an_ambiguous_id_names_every_file(enhanced: Path) -> None:
    write_image(enhanced / "Cat" / "2015_00001.jpg", picture(5))
    folder = Folder(enhanced)
    with pytest.raises(EnhancerError, match=r"2015_00001\.png, Cat/2015_00001\.jpg|Cat/.*, 2015_00001\.png") as caught:
        folder(picture(0), image_id="2015_00001")
    assert "keep one" in str(caught.value)
    # The other images are not affected.
    np.testing.assert_array_equal(folder(picture(0), image_id="a.b"), picture(2))


def test_another_size_is_refused_in_width_by_height(enhanced: Path) -> None:
    with pytest.raises(EnhancerError) as caught:
        Folder(enhanced)(picture(0, height=9, width=6), image_id="2015_00001")
    assert "expected: 6 x 9 pixels" in str(caught.value)
    assert "got: 9 x 6" in str(caught.value)


def test_without_an_id_nothing_can_be_looked_up(enhanced: Path) -> None:
    with pytest.raises(EnhancerError, match="was given none"):
        Folder(enhanced)(picture(0))


def test_a_damaged_image_is_the_readers_error(enhanced: Path) -> None:
    file = enhanced / "2015_00001.png"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(DataError, match="decode"):
        Folder(enhanced)(picture(0), image_id="2015_00001")


def test_no_folder_a_file_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got: nothing"):
        Folder(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="got: a file"):
        Folder(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="holds no image"):
        Folder(tmp_path / "empty")


def test_the_fingerprint_is_that_of_the_files_and_not_of_the_place(enhanced: Path, tmp_path: Path) -> None:
    before = Folder(enhanced).fingerprint
    assert Folder(str(enhanced)).fingerprint == before
    shutil.copytree(enhanced, tmp_path / "moved")
    assert Folder(tmp_path / "moved").fingerprint == before
    (tmp_path / "moved" / "notes.txt").write_text("changed")
    assert Folder(tmp_path / "moved").fingerprint == before

    changed = picture(0)
    changed[0, 0, 0] ^= 1
    write_image(enhanced / "2015_00001.png", changed)
    after = Folder(enhanced).fingerprint
    assert after != before
    (enhanced / "a.b.png").rename(enhanced / "c.png")
    assert Folder(enhanced).fingerprint not in (before, after)


def test_the_name_tells_folders_apart_in_a_table(enhanced: Path) -> None:
    assert Folder(enhanced).name == f"dir:{enhanced}"


def test_ids_with_folders(tmp_path: Path) -> None:
    for number, name in enumerate(("cam1/1.png", "cam2/1.png", "flat.png")):
        write_image(tmp_path / name, picture(number))
    folder = Folder(tmp_path)
    for number, image_id in enumerate(("cam1/1", "cam2/1", "cam3/flat")):
        assert (folder(picture(9), image_id=image_id) == picture(number)).all()
    with pytest.raises(EnhancerError, match=r"several images(?s:.*)cam1/1\.png, cam2/1\.png"):
        folder(picture(9), image_id="1")
    with pytest.raises(EnhancerError, match="lacks an image"):
        folder(picture(9), image_id="cam3/1")


def test_no_file_is_looked_up_for_two_images(tmp_path: Path) -> None:
    write_image(tmp_path / "1.png", picture(1))
    Folder(tmp_path).check_images(["x/1", "y/2"])
    with pytest.raises(DataError, match=r"several images(?s:.*)x/1 has 1\.png, y/1 has 1\.png"):
        Folder(tmp_path).check_images(["x/1", "y/1"])
