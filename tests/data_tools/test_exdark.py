from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duskbench.data_tools.bbgt import BbgtObject, UnknownClassError, format_bbgt, parse_bbgt
from duskbench.data_tools.boxes import BoxError, clip_box
from duskbench.data_tools.classes import EXDARK_CLASSES, EXDARK_TO_VOC
from duskbench.data_tools.datasets import open_dataset
from duskbench.data_tools.errors import DataError, UnknownNameError
from duskbench.data_tools.exdark import ExDark, format_class_list
from duskbench.data_tools.ids import UnknownIdError
from duskbench.data_tools.images import write_image

HEADER = "Name | Class | Light | In/Out | Train/Val/Test\r\n"
ROWS = (
    "2015_00001.png 1 2 1 1\r\n"
    "2015_00002.JPG 1 10 2 2\r\n"
    "2015_00003.JPEG 11 1 1 3\r\n"
    "2015_00004.jpeg 12 5 2 3\r\n"
    "2015_00005.jpg 8 6 1 3\r\n"
)
TAIL = " 0 0 0 0 0 0 0"
BBGT = {
    "Bicycle/2015_00001.png": f"% bbGt version=3\r\nBicycle -2 5 12 10{TAIL}\r\nCup 30 1 20 99{TAIL}\r\n",
    "Bicycle/2015_00002.JPG": "% bbGt version=3\n",
    "People/2015_00003.JPEG": f"% bbGt version=3\nPeople 1 1 40 30{TAIL}\n",
    "Table/2015_00004.jpeg": f"% bbGt version=3\nTable 2 3 4 5{TAIL}\nMotorbike 7 -1 2 6{TAIL}\n",
    "Cup/2015_00005.jpg": "% bbGt version=3\nCup 10 10 5 5\n",
}


def make_exdark(root: Path, *, annotations: str = "ExDark_Annno", class_list: str = "imageclasslist.txt") -> Path:
    (root / class_list).parent.mkdir(parents=True, exist_ok=True)
    (root / class_list).write_bytes((HEADER + ROWS).encode())
    image = np.arange(30 * 40 * 3, dtype=np.uint8).reshape(30, 40, 3)
    for number, (name, text) in enumerate(BBGT.items()):
        write_image(root / "ExDark" / name, image + np.uint8(number))
        path = root / annotations / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_exdark(tmp_path / "exdark")


@pytest.mark.parametrize(
    ("split", "ids"),
    [
        ("train", ["2015_00001"]),
        ("val", ["2015_00002"]),
        ("test", ["2015_00003", "2015_00004", "2015_00005"]),
        ("all", [f"2015_0000{i}" for i in range(1, 6)]),
        (["2015_00005.jpg", "2015_00001"], ["2015_00005", "2015_00001"]),
        (("2015_00002.JPG",), ["2015_00002"]),
    ],
)
def test_split_selects_ids_in_order(tree: Path, split: str, ids: list[str]) -> None:
    assert open_dataset(tree, split=split).ids == ids


@pytest.mark.parametrize(
    ("image_id", "file", "boxes", "split", "lighting", "indoor"),
    [
        # l = -2 is cut at 0; the cup leaves the 40 x 30 image below and on the right.
        ("2015_00001", "Bicycle/2015_00001.png", [("bicycle", (0, 4, 9, 14)), ("cup", (29, 0, 40, 30))],
         "train", "Ambient", True),
        ("2015_00002", "Bicycle/2015_00002.JPG", [], "val", "Twilight", False),
        ("2015_00003", "People/2015_00003.JPEG", [("person", (0, 0, 40, 30))], "test", "Low", True),
        ("2015_00004.jpeg", "Table/2015_00004.jpeg",
         [("diningtable", (1, 2, 5, 7)), ("motorbike", (6, 0, 8, 4))], "test", "Weak", False),
        ("2015_00005", "Cup/2015_00005.jpg", [("cup", (9, 9, 14, 14))], "test", "Strong", True),
    ],
)  # fmt: skip
def test_record(tree: Path, image_id: str, file: str, boxes: list, split: str, lighting: str, indoor: bool) -> None:
    record = ExDark(tree, "all").record(image_id)
    assert record.path == tree / "ExDark" / file
    assert record.path.is_file()
    assert [(found.name, found.box_xyxy) for found in record.objects or ()] == boxes
    assert (record.split, record.lighting, record.indoor) == (split, lighting, indoor)
    assert record.group == file.split("/", maxsplit=1)[0]


@pytest.mark.parametrize("annotations", ["ExDark_Annno", "ExDark_Anno"])
@pytest.mark.parametrize("class_list", ["imageclasslist.txt", "Groundtruth/imageclasslist.txt"])
def test_accepted_spellings(tmp_path: Path, annotations: str, class_list: str) -> None:
    tree = make_exdark(tmp_path, annotations=annotations, class_list=class_list)
    assert len(ExDark(tree, "all").record("2015_00001").objects or ()) == 2


@pytest.mark.parametrize(
    ("folder", "become"),
    [
        ("ExDark", "exdark/{file}"),
        ("ExDark", "ExDark/{file.name}"),
        ("ExDark", "ExDark/ExDark/{file}"),
        ("ExDark", "ExDark/images/autre/{file.name}"),
        ("ExDark_Annno", "exdark_annno/{file}"),
        ("ExDark_Annno", "Groundtruth/ExDark_Annno/{file}"),
        ("ExDark_Annno", "ExDark_Annno/{file.name}"),
    ],
)
def test_files_sorted_otherwise_are_found_by_their_names(tree: Path, folder: str, become: str) -> None:
    before = [ExDark(tree, "all").record(image_id) for image_id in ExDark(tree, "all").ids]
    released = (tree / folder).rename(tree / "released")
    for path in [path for path in released.rglob("*") if path.is_file()]:
        target = tree / become.format(file=path.relative_to(released))
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    after = ExDark(tree, "all")
    records = [after.record(image_id) for image_id in after.ids]
    assert [one.objects for one in records] == [one.objects for one in before]
    assert all(one.path.is_file() and one.path.name == b.path.name for one, b in zip(records, before, strict=True))
    assert [finding for finding in after.check() if "orphan" in finding.code] == []


def test_a_copy_is_not_taken_for_an_image_that_is_missing(tree: Path) -> None:
    image = tree / "ExDark/Cup/2015_00005.jpg"
    (tree / "ExDark/enhanced").mkdir()
    image.rename(tree / "ExDark/enhanced/2015_00005.jpg")
    dataset = ExDark(tree, "test")
    assert dataset.image_path("2015_00005") == image
    assert [Path(finding.file).name for finding in dataset.check() if finding.code == "orphan-image"] == [image.name]


def test_ending_is_case_sensitive(tree: Path) -> None:
    path = tree / "ExDark/Bicycle/2015_00002.JPG"
    path.rename(path.with_suffix(".jpg"))
    assert ExDark(tree, "val").image_path("2015_00002") == path
    assert not ExDark(tree, "val").record("2015_00002").path.exists()


def test_absent_image_is_not_clipped_at_its_unknown_edges(tree: Path) -> None:
    (tree / "ExDark/Bicycle/2015_00001.png").unlink()
    boxes = [found.box_xyxy for found in ExDark(tree, "all").record("2015_00001").objects or ()]
    assert boxes == [(0, 4, 9, 14), (29, 0, 49, 99)]


def test_box_origin_0_moves_every_box_by_one_pixel(tree: Path) -> None:
    objects = ExDark(tree, "all", box_origin=0).record("2015_00005").objects
    assert objects is not None
    assert objects[0].box_xyxy == (10, 10, 15, 15)


@pytest.mark.parametrize(
    ("text", "line", "error"),
    [
        ("", 1, DataError),
        ("Bicycle 1 2 3 4\n", 1, DataError),
        ("<html>not found</html>", 1, DataError),
        ("% bbGt version=3\n\nBicycle 1 2 3\n", 3, DataError),
        ("% bbGt version=3\nBicycle 1 2 3 4 5\n", 2, DataError),
        ("% bbGt version=3\nCup 1 1 5 5\nBicycle 1 2 x 4\n", 3, DataError),
        ("% bbGt version=3\nCar 1 nan 3 4\n", 2, BoxError),
        ("% bbGt version=3\nCar 1 1 inf 4\n", 2, BoxError),
        ("% bbGt version=3\nCar 1 1 0 4\n", 2, BoxError),
        ("% bbGt version=3\nCar 1 1 4 -4\n", 2, BoxError),
        ("% bbGt version=3\nbicycle 1 2 3 4\n", 2, UnknownClassError),
        ("% bbGt version=3\n0 0.5 0.5 0.1 0.1\n", 2, UnknownClassError),
    ],
)
def test_broken_annotation_names_file_and_line(text: str, line: int, error: type[DataError]) -> None:
    with pytest.raises(error, match=f"where: a.txt:{line}") as caught:
        parse_bbgt(text, where="a.txt")
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("row", "line"),
    [("a.jpg 1 2 1", 2), ("a.jpg 13 1 1 1", 2), ("a.jpg 0 1 1 1", 2), ("a.jpg 1 11 1 1", 2), ("a.jpg 1 1 3 1", 2),
     ("a.jpg 1 1 1 4", 2), ("a.jpg 1 1 one 1", 2), ("a.jpg 1 1 1 1 1", 2), ("a.jpg 1 1 -1 1", 2), ("a.jpg 1 1 ² 1", 2)],
)  # fmt: skip
def test_broken_class_list_names_the_line(tmp_path: Path, row: str, line: int) -> None:
    (tmp_path / "imageclasslist.txt").write_text(f"{HEADER}{row}\r\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"imageclasslist.txt:{line}\n"):
        ExDark(tmp_path)


def test_id_listed_twice(tree: Path) -> None:
    (tree / "imageclasslist.txt").write_text(HEADER + ROWS + "2015_00003.png 1 1 1 1\r\n")
    with pytest.raises(DataError, match=r"imageclasslist\.txt:7\n(?s:.*)already on line 4 as 2015_00003\.JPEG"):
        ExDark(tree)


def test_unknown_split_and_id(tree: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean test"):
        ExDark(tree, "tst")
    with pytest.raises(UnknownIdError, match="did you mean 2015_00003"):
        open_dataset(tree, split=["2015_0003"])
    with pytest.raises(DataError, match="given twice"):
        open_dataset(tree, split=["2015_00003", "2015_00003.JPEG"])


@pytest.mark.parametrize(
    ("breakage", "match"),
    [
        (lambda tree: (tree / "imageclasslist.txt").unlink(), "No imageclasslist.txt"),
        (lambda tree: (tree / "ExDark_Annno/Cup/2015_00005.jpg.txt").unlink(), r"2015_00005\.jpg\.txt"),
        (lambda tree: (tree / "ExDark_Annno/Cup/2015_00005.jpg.txt").write_bytes(b"\xff"), "Cannot read the text"),
        (lambda tree: (tree / "ExDark_Annno/Cup/2015_00005.jpg.txt").write_text("% bbGt version=3\nCup 50 1 5 5\n"),
         r"outside the image(?s:.*)jpg\.txt, object 1 \(cup\)"),
    ],
)  # fmt: skip
def test_broken_trees(tree: Path, breakage, match: str) -> None:
    breakage(tree)
    with pytest.raises(DataError, match=match):
        ExDark(tree, "all").record("2015_00005")
    with pytest.raises(DataError, match="Boxes cannot start there"):
        ExDark(tree, box_origin=2)


numbers = st.integers(-50, 5000)
sides = st.integers(1, 5000)


@given(
    st.lists(st.tuples(st.sampled_from(EXDARK_CLASSES), numbers, numbers, sides, sides)),
    st.sampled_from(["\n", "\r\n"]),
)
def test_parse_returns_what_was_written(objects: list[tuple[str, int, int, int, int]], end: str) -> None:
    text = end.join(["% bbGt version=3", *(" ".join(map(str, found)) + TAIL for found in objects), ""])
    parsed = parse_bbgt(text)
    assert [(o.name, o.left, o.top, o.width, o.height) for o in parsed] == objects
    assert [o.line for o in parsed] == list(range(2, len(objects) + 2))


coordinates = numbers | st.floats(-50, 5000).map(lambda value: round(value * 1024) / 1024)
lengths = sides | st.floats(0.01, 5000)


@given(st.lists(st.tuples(st.sampled_from(EXDARK_CLASSES), coordinates, coordinates, lengths, lengths)))
def test_what_is_written_is_parsed(objects: list[tuple[str, float, float, float, float]]) -> None:
    written = [BbgtObject(*found, line) for line, found in enumerate(objects, start=2)]
    assert parse_bbgt(format_bbgt(written)) == written


def test_a_box_is_written_as_the_release_counts() -> None:
    line = BbgtObject.from_box("Car", (0, 1, 4, 3), 2)
    assert format_bbgt([line]) == f"% bbGt version=3\nCar 1 2 4 2{TAIL}\n"
    assert line.box_xyxy() == (0, 1, 4, 3)


def test_the_class_list_is_written_as_it_was_read(tree: Path) -> None:
    assert format_class_list(ExDark(tree).listed.values()) == HEADER + ROWS


def test_the_official_class_list_is_written_as_it_was_read(shared: Path) -> None:
    root = shared / "data/exdark"
    assert format_class_list(ExDark(root).listed.values()).encode() == (root / "imageclasslist.txt").read_bytes()


@given(numbers, numbers, sides, sides, sides, sides)
def test_clip_equals_the_pixels_covered(left: int, top: int, width: int, height: int, w: int, h: int) -> None:
    """Against sets of pixel columns and rows, which know nothing of box arithmetic."""
    columns = sorted(set(range(left, left + width)) & set(range(w)))
    rows = sorted(set(range(top, top + height)) & set(range(h)))
    box = (left, top, left + width, top + height)
    if columns and rows:
        assert clip_box(box, (w, h)) == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    else:
        with pytest.raises(BoxError):
            clip_box(box, (w, h))


def test_real_images_found_with_their_sizes(shared: Path) -> None:
    root = shared / "data/exdark"
    present = json.loads((root / "images_present.json").read_text())
    dataset = open_dataset(root, split=[row["file"] for row in present])
    for row in present:
        record = dataset.record(row["file"])
        assert (record.path.name, record.split, record.group) == (row["file"], row["official_split"], row["class"])
        width, height = row["size"]
        assert record.objects
        for found in record.objects:
            x1, y1, x2, y2 = found.box_xyxy
            assert 0 <= x1 < x2 <= width
            assert 0 <= y1 < y2 <= height


def test_real_annotations_give_the_official_counts(shared: Path) -> None:
    counts = json.loads((shared / "data/exdark_full_annotations/counts.json").read_text())
    boxes: dict[str, Counter[str]] = {split: Counter() for split in ("train", "val", "test")}
    images, endings = Counter(), Counter()
    with zipfile.ZipFile(shared / "data/exdark_full_annotations/bbGt_regenerated_from_json.zip") as archive:
        for row in ExDark(shared / "data/exdark").listed.values():
            name = f"{row.class_folder}/{row.file}.txt"
            boxes[row.split].update(found.name for found in parse_bbgt(archive.read(name).decode(), where=name))
            images[row.split] += 1
            endings[Path(row.file).suffix] += 1
    assert dict(images) == {"train": 3000, "val": 1800, "test": 2563}
    assert dict(endings) == counts["endings"]
    assert sum(found.total() for found in boxes.values()) == counts["boxes_total"] == 23710
    for split, found in boxes.items():
        assert dict(found) == {name: row["boxes"] for name, row in counts["splits"][split]["per_class"].items()}
    assert set(EXDARK_TO_VOC) == set(boxes["test"])
