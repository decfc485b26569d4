from __future__ import annotations

import os
import shutil
import string
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duskbench.data_tools.classes import VOC_CLASSES
from duskbench.data_tools.datasets import open_dataset
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.data_tools.ids import UnknownIdError
from duskbench.data_tools.image_sets import read_image_set, write_image_sets
from duskbench.data_tools.images import write_image
from duskbench.data_tools.records import MissingAnnotationError, ObjectAnnotation
from duskbench.data_tools.verify import verify
from duskbench.data_tools.voc import VOC, VOCAnnotations
from duskbench.data_tools.voc_xml import (
    VOCAnnotation,
    format_annotation,
    from_voc_box,
    parse_annotation,
    read_annotation,
    to_voc_box,
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

AS_WRITTEN = (OBJECTS[0], replace(OBJECTS[1], name="Person"))


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
        "000001.jpg", (353, 500), AS_WRITTEN, depth=3, folder="VOC2007",
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


BOMB = b'<!DOCTYPE a [<!ENTITY x "ha">]><annotation><filename>&x;</filename></annotation>'
OBJECT = "<annotation><object><name>{}</name>{}<bndbox>{}</bndbox></object></annotation>"
GOOD_BOX = "<xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no safe XML"),
        (b"<annotation>", "no safe XML"),
        (BOMB, "no safe XML"),
        (b"<annotation><filename>a&b.jpg</filename></annotation>", "no safe XML(?s:.*)& is written &amp;"),
        (b"<html></html>", "Not a VOC annotation"),
        (OBJECT.format("", "", GOOD_BOX).encode(), "no name"),
        (OBJECT.format("dog", "", "").encode(), "object 1 .dog.(?s:.*)four numbers"),
        (OBJECT.format("dog", "", GOOD_BOX.replace(">2</xmax>", ">two</xmax>")).encode(), "complete box"),
        (OBJECT.format("dog", "", GOOD_BOX.replace("<xmin>1", "<xmin>3")).encode(), "no area"),
        (OBJECT.format("dog", "", GOOD_BOX.replace(">2</xmax>", ">nan</xmax>")).encode(), "no area"),
    ],
)
def test_broken_annotation(data: bytes, match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        parse_annotation(data, where="a.xml")
    assert str(caught.value.where).startswith("a.xml")


names = st.sampled_from(["cup", *VOC_CLASSES]) | st.text("<>&'\"é" + string.ascii_letters, min_size=1, max_size=8)
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
    (tmp_path / "a.xml").write_text(format_annotation(annotation))
    assert read_annotation(tmp_path / "a.xml") == annotation
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
    dataset = open_dataset(make_voc(tmp_path), split=split)
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
    assert VOC(tmp_path, year=2012).name == "VOC2012"
    with pytest.raises(ConfigError, match="give the year"):
        VOC(tmp_path)
    with pytest.raises(UnknownNameError, match="one of 2007, 2012"):
        VOC(tmp_path, year=2008)


def test_errors_name_what_there_is(tmp_path: Path) -> None:
    tree = make_voc(tmp_path)
    with pytest.raises(UnknownNameError, match=r"one of all, test, train, trainval, val(?s:.*)did you mean trainval"):
        VOC(tree, split="trainvla")
    with pytest.raises(UnknownIdError, match="one of 000001, 000002, 000003"):
        open_dataset(tree, split=["000009"])
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


def small_voc(root: Path, annotations: dict[str, str], images: tuple[str, ...], **sets: str) -> Path:
    for name, objects in annotations.items():
        (root / "Annotations" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "Annotations" / name).write_text(f"<annotation>{objects}</annotation>")
    for name in images:
        write_image(root / "JPEGImages" / name, np.zeros((30, 40, 3), np.uint8))
    (root / "ImageSets/Main").mkdir(parents=True)
    for name, text in sets.items():
        (root / "ImageSets/Main" / f"{name}.txt").write_text(text)
    return root


CAR = "<object><name>car</name>{}<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"


def test_every_box_of_an_object_is_an_object() -> None:
    second = "<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>8</xmax><ymax>8</ymax></bndbox></object>"
    said = parse_annotation(f"<annotation>{CAR.format('').replace('</object>', second)}</annotation>".encode())
    assert [(one.name, one.box_xyxy) for one in said.objects] == [("car", (0, 0, 9, 9)), ("car", (4, 4, 8, 8))]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("<name>bus</name>", r"several <name>(?s:.*)car, bus"),
        ("<difficult>0</difficult><difficult>1</difficult>", r"several <difficult>(?s:.*)object 1 \(car\)(?s:.*)0, 1"),
    ],
)
def test_what_is_said_twice_is_not_believed(more: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        parse_annotation(f"<annotation>{CAR.format(more)}</annotation>".encode())
    twice = CAR.format("").replace("<xmin>1</xmin>", "<xmin>1</xmin><xmin>3</xmin>")
    with pytest.raises(DataError, match=r"several <xmin>(?s:.*)1, 3"):
        parse_annotation(f"<annotation>{twice}</annotation>".encode())
    size = "<size><width>40</width><height>30</height></size>"
    said = parse_annotation(f"<annotation>{size}{size}{CAR.format('')}</annotation>".encode())
    assert said.size is None and said.oddities == ("there are 2 <size>, and none is taken",)


def test_objects_in_a_list_of_their_own() -> None:
    said = parse_annotation(f"<annotation><objects>{CAR.format('') * 2}</objects></annotation>".encode())
    assert len(said.objects) == 2


@pytest.mark.parametrize(
    ("word", "difficult", "odd"),
    [("1", True, False), ("0", False, False), ("True", True, False), ("no", False, False), ("yes", True, False),
     ("0.0", False, False), ("Unspecified", False, True), ("maybe", False, True), ("", False, False)],
)  # fmt: skip
def test_flags_as_words(word: str, difficult: bool, odd: bool) -> None:
    flags = f"<difficult>{word}</difficult><truncated>0.0597</truncated>"
    said = parse_annotation(f"<annotation><size><depth>RGB</depth></size>{CAR.format(flags)}</annotation>".encode())
    assert (said.objects[0].difficult, said.objects[0].truncated, said.depth) == (difficult, False, None)
    assert bool(said.oddities) == odd


@pytest.mark.parametrize("encoding", ["gb2312", "gbk", "big5", "windows-1252", "iso-8859-1", "utf-16", "utf-8"])
def test_encodings(encoding: str) -> None:
    name = "caf\xe9" if encoding in ("windows-1252", "iso-8859-1") else "\u4e2d"
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n<annotation><filename>{name}</filename></annotation>'
    assert parse_annotation(text.encode(encoding)).file == name


@pytest.mark.parametrize(
    ("declared", "stored"),
    [("utf-16", "utf-8"), ("utf-8", "utf-16"), ("utf8", "utf-8"), ("us-ascii", "utf-8"), ("gbk", "utf-8-sig")],
)
def test_an_encoding_that_is_declared_and_not_used(declared: str, stored: str) -> None:
    text = f'<?xml version="1.0" encoding="{declared}"?>\n<annotation><filename>caf\xe9</filename></annotation>'
    assert parse_annotation(text.encode(stored)).file == "caf\xe9"


def test_tags_in_capitals_and_blank_lines_in_front() -> None:
    text = "\n" + '<?xml version="1.0"?>' + OBJECT.format("dog", "<Difficult>1</Difficult>", GOOD_BOX)
    [found] = parse_annotation(text.replace("object>", "Object>").replace("xmin>", "XMin>").encode()).objects
    assert (found.box_xyxy, found.difficult) == ((0, 0, 2, 2), True)


def test_an_encoding_that_is_not_known_is_named() -> None:
    with pytest.raises(DataError, match=r"encoding klingon cannot be read(?s:.*)save it as UTF-8"):
        parse_annotation(b'<?xml version="1.0" encoding="klingon"?><annotation/>')
    with pytest.raises(DataError, match="encoding gb2312 cannot be read"):
        parse_annotation(b'<?xml version="1.0" encoding="gb2312"?><annotation>\xff\xff</annotation>')
    with pytest.raises(DataError, match=r"encoding utf-8 cannot be read(?s:.*)save it as UTF-8"):
        parse_annotation("<annotation><filename>caf\xe9</filename></annotation>".encode("latin-1"))
    # The way round expat must not become a way round its guard.
    bomb = b'<?xml version="1.0" encoding="gbk"?>' + BOMB
    with pytest.raises(DataError, match="no safe XML"):
        parse_annotation(bomb)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("night 1\nnight 2\n", ["night 1", "night 2"]),
        ("\ufeffa\r\nb\r\n", ["a", "b"]),
        ("a  1\nb -1\n", ["a"]),
        ("a  0\nb  1\nnight 1 -1\n", ["a", "b"]),
        ("night 1  1\nb  1\n", ["night 1", "b"]),
        ("a.jpg\nb.png\n", ["a", "b"]),
        ("a.xml\n", ["a"]),
        ("JPEGImages/a.jpg\n/data/VOC/JPEGImages/b.png\n", ["a", "b"]),
        ("C:\\data\\JPEGImages\\a.jpg\n", ["a"]),
        ("'a'\n\"b.jpg\"\n", ["a", "b"]),
        ("cam/a\ncam\\a.png\n", ["cam/a", "cam/a"]),
        ("# list\n\na # first\n", ["a"]),
        # A name with its `#` is a name where the tree has it.
        ("a #1\nJPEGImages/a #1.jpg\n'a #1'\n", ["a #1", "a #1", "a #1"]),
        ("a #1 1\nb -1\n", ["a #1"]),
        ("a #2\n", ["a"]),
        ("b # as JPEGImages/a #1\n", ["b"]),
        ("gone.v2\ngone 7\n", ["gone.v2", "gone 7"]),
    ],
)
def test_image_sets_as_other_tools_write_them(tmp_path: Path, text: str, ids: list[str]) -> None:
    images = ("a.jpg", "a #1.jpg", "b.png", "night 1.jpg", "night 2.jpg", "cam/a.png")
    root = small_voc(tmp_path, {}, images, test=text)
    (root / "Annotations").mkdir()
    in_tree = {"a", "a #1", "b", "night 1", "night 2", "cam/a"}
    assert read_image_set(root / "ImageSets/Main/test.txt", lambda: in_tree) == ids
    if len(set(ids)) == len(ids):
        assert VOC(root).ids == ids


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "C:\\other\\evil.jpg", "a/../../evil"])
def test_image_sets_that_lead_out_of_the_tree(tmp_path: Path, name: str) -> None:
    root = small_voc(tmp_path / "deep/voc", {"a.xml": ""}, ("a.jpg",), test=f"a\n{name}\n")
    with pytest.raises(DataError, match=r"not a safe file name(?s:.*)test\.txt:2"):
        VOC(root)
    report = verify(root)
    assert ("error", "broken-list") in report.by_code


def test_upper_case_hidden_and_nested_files(tmp_path: Path) -> None:
    annotations = {"a.XML": CAR.format(""), "._a.xml": "junk", "cam/b.xml": CAR.format("")}
    root = small_voc(tmp_path, annotations, ("a.jpg", "._a.jpg", "cam/b.png"), test="a\ncam/b\n", **{"._val": "x"})
    dataset = VOC(root)
    assert [dataset.image_path(image_id).name for image_id in dataset.ids] == ["a.jpg", "b.png"]
    assert [len(dataset.record(image_id).objects or ()) for image_id in dataset.ids] == [1, 1]
    assert dataset.annotation_path("a").name == "a.XML"
    assert VOC(root, "all").ids == ["a", "cam/b"]
    assert dataset.left_out == ("1 left out, hidden files: ._a.jpg",)
    report = verify(root)
    assert report.by_code == {("warning", "left-out"): 1}
    assert (report.counts["images present"], report.counts["annotations present"]) == (2, 2)


def test_names_in_either_form_of_unicode(tmp_path: Path) -> None:
    composed, split = "caf\xe9", "cafe\u0301"
    root = small_voc(tmp_path, {f"{composed}.xml": CAR.format("")}, (f"{split}.jpg",), test=f"{composed}\n")
    (root / "ImageSets/Main/test.txt").rename(root / "ImageSets/Main/test.TXT")
    assert len(VOC(root).record(split).objects or ()) == 1 and VOC(root).image_path(composed).is_file()
    assert verify(root).findings == []


def test_what_is_there_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    names = ("IMG_1", "b", "c")
    root = small_voc(
        tmp_path, {"img_1.xml": CAR.format(""), "c.xml": CAR.format("")}, ("img_1.jpg",), test="\n".join(names)
    )
    (root / "JPEGImages/b.jpg").mkdir()
    (root / "JPEGImages/c.jpg").symlink_to("c.jpg")
    os.mkfifo(root / "Annotations/b.xml")
    found = {finding.file: finding.message for finding in verify(root).findings if finding.severity == "error"}
    assert found["JPEGImages/IMG_1.jpg"] == "not there, but img_1.jpg is"
    assert found["Annotations/IMG_1.xml"] == "listed in ImageSets/Main, not there, but img_1.xml is"
    assert found["JPEGImages/b.jpg"] == "a folder, not a file"
    assert found["JPEGImages/c.jpg"] == "a link that leads nowhere, not a file"
    assert "a pipe, not a file" in found["Annotations/b.xml"]
    with pytest.raises(MissingAnnotationError, match=r"img_1\.xml is there: rename it"):
        VOC(root).record("IMG_1")


def test_two_images_of_one_id_are_settled_alike_everywhere(tmp_path: Path) -> None:
    root = small_voc(tmp_path, {"a.xml": CAR.format("")}, ("a.jpg",), test="a\n")
    (root / "JPEGImages/a.png").write_bytes(b"no picture")
    assert VOC(root).image_path("a").name == "a.jpg"
    report = verify(root)
    assert report.ok and report.by_code == {("warning", "left-out"): 1}
    said = "1 left out, beside a file of the same name that is read: a.png"
    assert report.findings[0].message == said and VOC(root).notes == (said,)


def test_classes_of_other_data_sets(tmp_path: Path) -> None:
    names = ("People", "Table", "motorcycle", "TV", "van", "van")
    objects = "".join(CAR.format("").replace("car", name).replace(">9<", f">{9 + n}<") for n, name in enumerate(names))
    root = small_voc(tmp_path, {"a.xml": objects}, ("a.jpg",), test="a\n")
    dataset = VOC(root)
    record = dataset.record("a")
    assert [one.name for one in record.objects or ()] == [
        "person",
        "diningtable",
        "motorbike",
        "tvmonitor",
        "van",
        "van",
    ]
    assert dataset.notes == (
        "Classes read under another name: People as person (1 image), TV as tvmonitor (1 image), "
        "Table as diningtable (1 image), motorcycle as motorbike (1 image)",
    )
    messages = {finding.message for finding in verify(root).findings}
    assert "'People' (1 object in 1 image) is read as 'person'" in messages
    assert (
        "'van' (2 objects in 1 image) is no class of VOC, ExDark or COCO; it counts only where `classes` names it"
        in (messages)
    )


def test_boxes_are_clipped_to_the_image_as_exdarks_are(tmp_path: Path) -> None:
    wide = CAR.format("").replace("<xmin>1<", "<xmin>-3<").replace("<xmax>9<", "<xmax>99<")
    root = small_voc(tmp_path, {"a.xml": wide}, ("a.jpg",), test="a\n")
    assert [one.box_xyxy for one in VOC(root).record("a").objects or ()] == [(0, 0, 40, 9)]
    assert ("warning", "box-outside") in verify(root).by_code


def test_an_object_annotated_twice(tmp_path: Path) -> None:
    root = small_voc(tmp_path, {"a.xml": CAR.format("") + CAR.format("")}, ("a.jpg",), test="a\n")
    [finding] = verify(root).findings
    assert (finding.severity, finding.code, finding.file) == ("warning", "object-twice", "Annotations/a.xml")
    assert finding.message == "objects 1 and 2 (car) are one, annotated twice"


def test_another_size_than_annotated_is_noted(tmp_path: Path) -> None:
    size = "<size><width>30</width><height>40</height></size>"
    root = small_voc(tmp_path, {"a.xml": size + CAR.format("")}, ("a.jpg",), test="a\n")
    dataset = VOC(root)
    assert dataset.notes == ()
    dataset.record("a")
    assert dataset.notes == (
        "1 image of another size than annotated, so boxes may be wrong: 30 x 40, the image of a 40 x 30",
    )


def test_two_annotations_of_one_id_are_a_fault(tmp_path: Path) -> None:
    root = small_voc(tmp_path, {"a.xml": CAR.format("")}, ("a.jpg",), test="a\n")
    (root / "Annotations/a.XML").write_text(f"<annotation>{CAR.format('').replace('car', 'bus')}</annotation>")
    assert [one.name for one in VOC(root).record("a").objects or ()] == ["car"]
    report = verify(root)
    assert report.by_code == {("error", "several-annotations"): 1} and not report.ok


def test_a_lone_folder_of_annotations_takes_the_size_they_say(tmp_path: Path) -> None:
    size = "<size><width>80</width><height>60</height></size>"
    (tmp_path / "a.xml").write_text(f"<annotation>{size}{CAR.format('').replace('>9<', '>100<')}</annotation>")
    assert [one.box_xyxy for one in VOCAnnotations(tmp_path).record("a").objects or ()] == [(0, 0, 80, 60)]


@pytest.mark.parametrize("name", ["a.png", "a.JPEG"])
def test_a_lone_folder_of_annotations_takes_the_images_beside_them(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.xml").write_text(f"<annotation>{CAR.format('').replace('>9<', '>100<')}</annotation>")
    write_image(tmp_path / name, np.zeros((60, 80, 3), np.uint8))
    record = VOCAnnotations(tmp_path).record("a")
    assert (record.path, [one.box_xyxy for one in record.objects or ()]) == (tmp_path / name, [(0, 0, 80, 60)])


def test_a_tree_without_image_sets_says_how_to_take_it_whole(tmp_path: Path) -> None:
    tree = make_voc(tmp_path)
    shutil.rmtree(tree / "ImageSets")
    assert VOC(tree, split="all").ids == ["000001", "000002", "000003"]
    with pytest.raises(DataError, match=r"no image sets(?s:.*)--split all"):
        VOC(tree)
