from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from duskbench.data_tools.datasets import open_dataset
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.image_files import find_images
from duskbench.data_tools.images import write_image
from duskbench.data_tools.verify import verify


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_what_is_an_image(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a.png", "x/c.TIFF", "notes.txt", "x/a.xml", ".hidden/d.jpg", ".git/config")
    touch(tmp_path, "@eaDir/b.JPG/SYNOPHOTO_THUMB_M.jpg", "x/lost+found/e.jpg", "$RECYCLE.BIN/f.jpg")
    found = find_images(tmp_path)
    assert found.files == ["a.png", "b.JPG", "x/c.TIFF"]
    assert found.others == ["notes.txt", "x/a.xml"]
    assert found.notes == ()


def test_what_is_left_out_is_counted_and_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "._a.jpg", "b.heic", "c.NEF", *(f"{number}.gif" for number in range(5)))
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "d.jpg")
    notes = "\n".join(find_images(tmp_path).notes)
    assert find_images(tmp_path).files == ["a.jpg"]
    assert "5 left out, no format that is read: convert them to PNG: 0.gif, 1.gif, 2.gif, ..." in notes
    assert "1 left out, HEIF, which needs the package pillow-heif" in notes and "b.heic" in notes
    assert "raw photos: develop them to TIFF or JPEG first: c.NEF" in notes
    assert "1 left out, hidden files: ._a.jpg" in notes
    assert "1 left out, links that lead nowhere: gone.png" in notes
    assert "1 left out, a pipe in place of a file: d.jpg" in notes


@pytest.mark.parametrize(
    ("name", "reason"),
    [("a.j2k", "no format"), ("a.pfm", "no format"), ("a.NRW", "raw photos"), ("a.srw", "raw"), ("a.hif", "HEIF")],
)
def test_no_picture_is_passed_over_without_a_word(tmp_path: Path, name: str, reason: str) -> None:
    found = find_images(touch(tmp_path, name, "b.pgm", "c.dib", "d.apng", "e.jfi", "f.jpg_large"))
    assert found.files == ["b.pgm", "c.dib", "d.apng", "e.jfi", "f.jpg_large"]
    assert len(found.notes) == 1 and reason in found.notes[0] and name in found.notes[0]


def test_images_without_an_extension_are_named(tmp_path: Path) -> None:
    write_image(touch(tmp_path, "LICENSE", "notes") / "a.png", np.zeros((4, 4, 3), np.uint8))
    for name in ("photo", "b.jpg?raw=1"):
        shutil.copyfile(tmp_path / "a.png", tmp_path / name)
    found = find_images(tmp_path)
    assert (found.files, found.others) == (["a.png"], ["LICENSE", "notes"])
    assert found.notes == ("2 left out, images without an extension: name them .jpg, .png, ...: b.jpg?raw=1, photo",)
    # What an annotation file names is an image.
    images = [{"id": 1, "file_name": "photo"}, {"id": 2, "file_name": "a.png"}]
    (tmp_path / "ann.json").write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    dataset = open_dataset(tmp_path, layout="coco")
    assert [dataset.image_path(image_id).name for image_id in dataset.ids] == ["photo", "a.png"]
    assert dataset.left_out == (found.notes[0].replace("2 left", "1 left").replace(", photo", ""),)


def test_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    store = touch(tmp_path / "store", "Car/a.jpg", "Bus/b.jpg")
    data = touch(tmp_path / "data", "c.jpg", "Real/d.jpg")
    for name in ("Car", "Bus"):
        (data / name).symlink_to(store / name)
    (data / "e.jpg").symlink_to(store / "Car/a.jpg")
    assert find_images(data).files == ["Bus/b.jpg", "Car/a.jpg", "Real/d.jpg", "c.jpg", "e.jpg"]
    assert find_images(data).notes == ()

    (data / "Real/up").symlink_to(data)
    (data / "Again").symlink_to(data / "Real")
    found = find_images(data)
    assert found.files == ["Bus/b.jpg", "Car/a.jpg", "Real/d.jpg", "c.jpg", "e.jpg"]
    assert found.notes == ("2 left out, folders that were read already under another name: Again, Real/up",)


def test_a_name_that_is_not_utf8_is_one_error_that_names_it(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.jpg")).touch()
    with pytest.raises(DataError, match=r"not a safe file name(?s:.*)udcff.udcfe"):
        open_dataset(tmp_path)
    report = verify(tmp_path)
    assert ("error", "unsafe-id") in report.by_code and report.counts["images listed"] == 1
    json.dumps(report.to_json()).encode("utf-8")


def test_files_of_one_id(tmp_path: Path) -> None:
    touch(tmp_path, "x/a.png", "x/a.jpg", "x/a.bmp", "b.png")
    assert find_images(tmp_path).by_id() == {"b": ["b.png"], "x/a": ["x/a.jpg", "x/a.bmp", "x/a.png"]}


def test_a_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Cannot list a folder"):
        find_images(tmp_path / "nowhere")


def test_files_of_an_id_in_another_form_of_unicode(tmp_path: Path) -> None:
    found = find_images(touch(tmp_path, "x/cafe\u0301.png"))
    assert found.matching("x/caf\xe9") == found.matching("caf\xe9") == [tmp_path / "x/cafe\u0301.png"]


def test_files_that_belong_to_an_id(tmp_path: Path) -> None:
    found = find_images(touch(tmp_path, "cam1/a.png", "cam2/a.png", "b.v2.jpg", "x/c.bmp"))
    for image_id, files in (
        ("cam1/a", ["cam1/a.png"]), ("a", ["cam1/a.png", "cam2/a.png"]), ("b.v2", ["b.v2.jpg"]), ("c", ["x/c.bmp"]),
        ("z/x/c", ["x/c.bmp"]), ("cam2/b.v2", ["b.v2.jpg"]), ("d", []),
        # In another folder than the id's is another image.
        ("cam9/a", []), ("y/c", []),
    ):  # fmt: skip
        assert found.matching(image_id) == [tmp_path / file for file in files]


@pytest.mark.parametrize(
    ("files", "ids", "expected"),
    [
        (["y/1.png"], ["x/1", "y/1"], {"x/1": [], "y/1": ["y/1.png"]}),
        (["1.png"], ["x/1", "y/2"], {"x/1": ["1.png"], "y/2": []}),
        # Whose it is cannot be told.
        (["1.png"], ["x/1", "y/1"], {"x/1": [], "y/1": []}),
        (["1.png"], ["x/1", "1"], {"x/1": [], "1": ["1.png"]}),
        (["1.jpg", "1.png"], ["1"], {"1": ["1.jpg", "1.png"]}),
        (["1.jpg", "y/1.png"], ["1.jpg", "1.png", "1.bmp"], {"1.jpg": ["1.jpg"], "1.png": ["y/1.png"], "1.bmp": []}),
        (["1.jpg.png", "1.png.png"], ["1.jpg", "1.png"], {"1.jpg": ["1.jpg.png"], "1.png": ["1.png.png"]}),
    ],
)
def test_no_file_belongs_to_two_ids(
    tmp_path: Path, files: list[str], ids: list[str], expected: dict[str, list[str]]
) -> None:
    found = find_images(touch(tmp_path, *files)).matching_each(ids)
    assert found == {image_id: [tmp_path / file for file in files] for image_id, files in expected.items()}
