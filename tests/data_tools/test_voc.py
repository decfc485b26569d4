from __future__ import annotations

import string
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duskbench.data_tools.classes import VOC_CLASSES
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.data_tools.ids import UnknownIdError
from duskbench.data_tools.images import write_image
from duskbench.data_tools.records import ObjectAnnotation
from duskbench.data_tools.voc import VOC, write_image_sets
from duskbench.data_tools.voc_xml import (
    VOCAnnotation,
    format_annotation,
    from_voc_box,
    normalise_class,
    parse_annotation,
    read_annotation,
    to_voc_box,
    write_annotation,
)

DEVKIT = """<annotation>
	<folder>VOC2007</folder><filename>000001.jpg</filename>
	<source><database>The VOC2007 Database</database></source>
	<size><width>353</width><height>500</height><depth>3</depth></size><segmented>0</segmented>
	<object>
		<name>dog</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>
		<bndbox><xmin>48</xmin><ymin>240</ymin><xmax>195</xmax><ymax>371</ymax></bndbox>
	</object>
	<object>
		<name> Person </name><difficult>1</difficult>
		<bndbox><ymax>500</ymax><xmin>1</xmin><ymin>1.5</ymin><xmax>353.0</xmax></bndbox>
		<part><name>head</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></part>
	</object>
</annotation>"""
OBJECTS = (
    ObjectAnnotation("dog", (47, 239, 195, 371), difficult=False, truncated=True, pose="Left"),
    ObjectAnnotation("person", (0, 0.5, 353, 500), difficult=True, truncated=None, pose=None),
)


def make_voc(root: Path, *, name: str = "VOC2007", suffixes: tuple[str, ...] = (".jpg", ".jpg", ".png")) -> Path:
    tree = root / name
    for number, suffix in enumerate(suffixes, start=1):
        write_image(tree / "JPEGImages" / f"00000{number}{suffix}", np.full((500, 353, 3), number, dtype=np.uint8))
        path = tree / "Annotations" / f"00000{number}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(DEVKIT.replace("000001.jpg", f"00000{number}{suffix}"))
    main = tree / "ImageSets/Main"
    main.mkdir(parents=True)
    (main / "trainval.txt").write_text("000001\n000002\n")
    (main / "train.txt").write_text("000001\n")
    (main / "val.txt").write_text("000002\n")
    (main / "test.txt").write_text("000003\n")
    (main / "dog_trainval.txt").write_text("000001  1\n000002 -1\n")
    return tree


def test_annotation_as_the_devkit_writes_it() -> None:
    said = parse_annotation(DEVKIT.encode())
    assert said == VOCAnnotation(
        "000001.jpg", (353, 500), OBJECTS, depth=3, folder="VOC2007",
        source=(("database", "The VOC2007 Database"),), segmented=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("voc", "xyxy"),
    [((1, 1, 1, 1), (0, 0, 1, 1)), ((1, 1, 353, 500), (0, 0, 353, 500)), ((48, 240, 195, 371), (47, 239, 195, 371))],
)
def test_box_to_0_based_and_back(voc: tuple, xyxy: tuple) -> None:
    assert from_voc_box(voc) == xyxy
    assert to_voc_box(xyxy) == voc
    # The area is the number of pixels, which a 1-based inclusive box counts as (xmax - xmin + 1) (ymax - ymin + 1).
    assert (xyxy[2] - xyxy[0]) * (xyxy[3] - xyxy[1]) == (voc[2] - voc[0] + 1) * (voc[3] - voc[1] + 1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("TV Monitor", "tvmonitor"), ("tv/monitor", "tvmonitor"), (" Person\n", "person"), ("potted-plant", "pottedplant"),
     ("dining_table", "diningtable"), ("Cup", "cup"), ("People", "People"), ("traffic light", "traffic light")],
)  # fmt: skip
def test_class_names(name: str, expected: str) -> None:
    assert normalise_class(name) == expected


BOMB = b'<!DOCTYPE a [<!ENTITY x "ha">]><annotation><filename>&x;</filename></annotation>'
OBJECT = "<annotation><object><name>{}</name>{}<bndbox>{}</bndbox></object></annotation>"
GOOD_BOX = "<xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no safe XML"),
        (b"<annotation>", "no safe XML"),
        (BOMB, "no safe XML"),
        (b"<html></html>", "Not a VOC annotation"),
        (OBJECT.format("", "", GOOD_BOX).encode(), "no name"),
        (OBJECT.format("dog", "", "").encode(), "object 1 .dog.(?s:.*)four numbers"),
        (OBJECT.format("dog", "", GOOD_BOX.replace(">2</xmax>", ">two</xmax>")).encode(), "complete box"),
        (OBJECT.format("dog", "", GOOD_BOX.replace("<xmin>1", "<xmin>3")).encode(), "no area"),
        (OBJECT.format("dog", "", GOOD_BOX.replace(">2</xmax>", ">nan</xmax>")).encode(), "no area"),
        (OBJECT.format("dog", "<difficult>yes</difficult>", GOOD_BOX).encode(), "<difficult> is not a number"),
    ],
)
def test_broken_annotation(data: bytes, match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        parse_annotation(data, where="a.xml")
    assert str(caught.value.where).startswith("a.xml")


names = st.sampled_from(["cup", *VOC_CLASSES]) | st.text("<>&'\"é" + string.ascii_letters, min_size=1, max_size=8).map(
    normalise_class
)
edges = st.integers(-20, 3000) | st.floats(-20, 3000, allow_nan=False).map(lambda value: round(value * 1024) / 1024)
lengths = st.integers(1, 4000) | st.floats(0.01, 4000).map(lambda value: (round(value * 1024) + 1) / 1024)
boxes = st.tuples(edges, edges, lengths, lengths).map(
    lambda b: (float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3]))
)
flags = st.none() | st.booleans()
objects = st.builds(
    ObjectAnnotation, names, boxes, st.booleans(), flags, st.sampled_from([None, "Left", "Unspecified"])
)
annotations = st.builds(
    VOCAnnotation,
    st.sampled_from([None, "a.jpg", "b & c.JPEG"]),
    st.none() | st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
    st.lists(objects, max_size=4).map(tuple),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([None, "VOC2007"]),
    st.sampled_from([None, "Low", "Twilight"]),
    flags,
    st.sampled_from([(), (("database", "a & b"), ("image", "flickr"))]),
    flags,
)


@given(annotations)
def test_round_trip(annotation: VOCAnnotation) -> None:
    assert parse_annotation(format_annotation(annotation).encode()) == annotation


def test_cup_is_marked_as_outside_the_protocol_and_nothing_else_is() -> None:
    cup, dog = (ObjectAnnotation(name, (0, 0, 2, 2)) for name in ("cup", "dog"))
    root = ElementTree.fromstring(format_annotation(VOCAnnotation("a.jpg", (2, 2), (cup, dog))))  # noqa: S314
    assert [found.findtext("protocol") for found in root.findall("object")] == ["outside", None]


def test_write_is_read(tmp_path: Path) -> None:
    annotation = VOCAnnotation("a.jpg", None, OBJECTS)
    write_annotation(tmp_path / "deep/a.xml", annotation)
    assert read_annotation(tmp_path / "deep/a.xml") == annotation
    with pytest.raises(DataError, match="Cannot read the annotation"):
        read_annotation(tmp_path / "b.xml")


@pytest.mark.parametrize("depth", ["", "VOCdevkit"])
@pytest.mark.parametrize("below", [True, False])
def test_root_at_any_depth(tmp_path: Path, depth: str, below: bool) -> None:
    tree = make_voc(tmp_path / depth)
    dataset = VOC(tree if below else tmp_path)
    assert dataset.root == tree
    assert dataset.name == "VOC2007"


@pytest.mark.parametrize(
    ("split", "ids", "splits"),
    [
        ("test", ["000003"], ["test"]),
        ("trainval", ["000001", "000002"], ["train", "val"]),
        ("all", ["000001", "000002", "000003"], ["train", "val", "test"]),
        ("dog_trainval", ["000001"], ["train"]),
        (["000003.png", "000001"], ["000003", "000001"], ["test", "train"]),
    ],
)
def test_splits(tmp_path: Path, split: str, ids: list[str], splits: list[str]) -> None:
    dataset = VOC(make_voc(tmp_path), split=split)
    assert dataset.ids == ids
    assert [dataset.record(image_id).split for image_id in ids] == splits


def test_record_with_any_ending(tmp_path: Path) -> None:
    tree = make_voc(tmp_path)
    record = VOC(tree).record("000003")
    assert record.path == tree / "JPEGImages/000003.png"
    assert record.objects == OBJECTS
    (tree / "JPEGImages/000003.jpg").write_bytes(b"")
    assert VOC(tree).image_path("000003").name == "000003.jpg"


def test_absent_image_has_a_path_all_the_same(tmp_path: Path) -> None:
    tree = make_voc(tmp_path)
    (tree / "JPEGImages/000003.png").unlink()
    assert VOC(tree).record("000003").path == tree / "JPEGImages/000003.jpg"


def test_two_years_need_a_year(tmp_path: Path) -> None:
    make_voc(tmp_path, name="VOC2007")
    make_voc(tmp_path, name="VOC2012")
    assert VOC(tmp_path, 2012).name == "VOC2012"
    with pytest.raises(ConfigError, match="give the year"):
        VOC(tmp_path)
    with pytest.raises(UnknownNameError, match="one of 2007, 2012"):
        VOC(tmp_path, 2008)


def test_errors_name_what_there_is(tmp_path: Path) -> None:
    tree = make_voc(tmp_path)
    with pytest.raises(UnknownNameError, match=r"one of all, test, train, trainval, val(?s:.*)did you mean trainval"):
        VOC(tree, split="trainvla")
    with pytest.raises(UnknownIdError, match="one of 000001, 000002, 000003"):
        VOC(tree, split=["000009"])
    with pytest.raises(UnknownIdError):
        VOC(tree, split="test").record("000001")
    with pytest.raises(DataError, match="No VOC tree"):
        VOC(tmp_path / "nowhere")
    (tree / "ImageSets/Main/test.txt").write_text("000003\n000003\n")
    with pytest.raises(DataError, match="given twice"):
        VOC(tree)


def test_image_sets_mark_classes(tmp_path: Path) -> None:
    dog, hard_dog = ObjectAnnotation("dog", (0, 0, 1, 1)), ObjectAnnotation("dog", (0, 0, 1, 1), difficult=True)
    write_image_sets(
        tmp_path, {"test": ["1", "2", "3", "4"]}, {"1": [hard_dog, dog], "2": [hard_dog], "3": []}, ["dog"]
    )
    assert (tmp_path / "ImageSets/Main/test.txt").read_text() == "1\n2\n3\n4\n"
    assert (tmp_path / "ImageSets/Main/dog_test.txt").read_text() == "1  1\n2  0\n3 -1\n4 -1\n"


def test_real_tree_survives_a_round_trip(shared: Path) -> None:
    dataset = VOC(shared / "data/voc2007", split="all")
    assert len(dataset.ids) == 928
    difficult = 0
    for image_id in dataset.ids:
        path = dataset.annotation_path(image_id)
        said = read_annotation(path)
        again = ElementTree.fromstring(format_annotation(said))  # noqa: S314
        real = ElementTree.parse(path).getroot()  # noqa: S314
        keys = ("name", "difficult", "bndbox/xmin", "bndbox/ymin", "bndbox/xmax", "bndbox/ymax", "pose", "truncated")
        for before, after in zip(real.findall("object"), again.findall("object"), strict=True):
            assert [before.findtext(key) for key in keys] == [after.findtext(key) for key in keys]
        for key in ("filename", "folder", "size/width", "size/height", "size/depth"):
            assert real.findtext(key) == again.findtext(key)
        difficult += sum(found.difficult for found in said.objects)
    assert difficult == 211 + 202
