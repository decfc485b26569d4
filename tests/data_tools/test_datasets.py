from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import pytest

from duskbench.data_tools import folder as folder_files
from duskbench.data_tools.datasets import detect_layout, missing, open_dataset, reader_options
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.data_tools.exdark import ExDark
from duskbench.data_tools.folder import ImageFolder
from duskbench.data_tools.ids import UnknownIdError, read_names, stem
from duskbench.data_tools.records import Dataset, ImageRecord
from duskbench.data_tools.verify import verify
from duskbench.data_tools.voc import VOC

EXDARK_LIST = "Name | Class | Light | In/Out | Train/Val/Test\r\na.jpg 1 1 1 1\r\nb.png 2 2 2 3\r\nc.JPG 3 3 1 3\r\n"
XML = "<annotation><filename>a.jpg</filename></annotation>"


@pytest.fixture
def exdark(tmp_path: Path) -> Path:
    root = tmp_path / "exdark"
    for name in ("Bicycle/a.jpg", "Boat/b.png"):
        (root / "ExDark" / name).parent.mkdir(parents=True)
        (root / "ExDark" / name).touch()
    (root / "imageclasslist.txt").write_bytes(EXDARK_LIST.encode())
    return root


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    root = tmp_path / "VOCdevkit"
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / "VOC2007" / folder).mkdir(parents=True)
    (root / "VOC2007/ImageSets/Main/test.txt").write_text("a\nb\n")
    for image_id in "ab":
        (root / f"VOC2007/Annotations/{image_id}.xml").write_text(XML)
    (root / "VOC2007/JPEGImages/a.jpg").touch()
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.png"):
        (tmp_path / "photos" / name).touch()
    return tmp_path / "photos"


def test_layout_is_told_by_content(exdark: Path, voc: Path, folder: Path) -> None:
    assert [detect_layout(root) for root in (exdark, voc, voc / "VOC2007", folder)] == [
        "exdark",
        "voc",
        "voc",
        "folder",
    ]
    assert isinstance(open_dataset(exdark), ExDark)
    assert isinstance(open_dataset(voc), VOC)
    assert isinstance(open_dataset(folder), ImageFolder)
    assert isinstance(open_dataset(exdark, layout="folder"), ImageFolder)


@pytest.mark.parametrize("halves", [["ExDark"], ["ExDark_Annno"], ["Annotations"], ["ExDark", "ExDark_Annno"]])
def test_half_a_data_set_is_no_plain_folder(tmp_path: Path, halves: list[str]) -> None:
    for name in halves:
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=rf"no layout that is known(?s:.*)a folder {halves[0]}(?s:.*)layout='folder'"):
        open_dataset(tmp_path)


def test_default_split_is_test(exdark: Path, voc: Path, folder: Path) -> None:
    assert open_dataset(exdark).ids == ["b", "c"]
    assert open_dataset(voc).ids == ["a", "b"]
    assert open_dataset(folder).ids == ["a", "b"]


def test_an_empty_name_is_no_split(exdark: Path, voc: Path, folder: Path) -> None:
    """As of a shell's variable that is not set; it was the whole set."""
    for root in (exdark, voc, folder):
        with pytest.raises(UnknownNameError):
            open_dataset(root, split="")


def test_split_from_a_file(exdark: Path, folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "ids.txt"
    listed.write_text("\ufeff# chosen by hand\nc.JPG\n\n  a   # bicycle\r\n", encoding="utf-8")
    assert read_names(listed) == ["c.JPG", "a"]
    assert open_dataset(exdark, split=str(listed)).ids == ["c", "a"]
    assert open_dataset(exdark, split=listed).ids == ["c", "a"]
    assert open_dataset(exdark, split=["b.png"]).ids == ["b"]
    with pytest.raises(UnknownIdError, match=r"image id 'c\.JPG'"):
        open_dataset(folder, split=listed)
    for name in ("c.png", "c #1.png"):
        (folder / name).touch()
    listed.write_text("c #1\nc # bicycle\n")
    assert open_dataset(folder, split=listed).ids == ["c #1", "c"]


@pytest.mark.parametrize("content", [b"", b"# nothing\n\n", b"\xff\xfe\x00"])
def test_unusable_id_file(tmp_path: Path, exdark: Path, content: bytes) -> None:
    (tmp_path / "ids.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"ids\.txt"):
        open_dataset(exdark, split=tmp_path / "ids.txt")


def test_wrong_names(exdark: Path, voc: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean exdark"):
        open_dataset(exdark, layout="exdrak")
    with pytest.raises(UnknownNameError, match="one of all, test, train, val"):
        open_dataset(exdark, split="trainval")
    with pytest.raises(UnknownNameError, match="one of all, test"):
        open_dataset(voc, split="train")
    with pytest.raises(UnknownNameError, match="split of a plain folder"):
        open_dataset(folder, split="train")
    with pytest.raises(UnknownNameError, match=r"'ids\.txt'"):
        open_dataset(exdark, split="ids.txt")
    with pytest.raises(DataError, match="No such data set folder"):
        open_dataset(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("2015_00001.png", "2015_00001"),
        ("a.JPEG", "a"),
        ("a.v2", "a.v2"),
        ("a.v2.jpg", "a.v2"),
        ("x/a.jpg", "x/a"),
        ("a", "a"),
    ],
)
def test_stem(file: str, expected: str) -> None:
    assert stem(file) == expected


class Foreign(Dataset):
    """A data set of someone else's, with nothing but what the contract asks for."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, ["here", "gone"])
        (root / "here").touch()

    def image_path(self, image_id: str) -> Path:
        return self.root / image_id

    def annotation(self, image_id: str) -> ImageRecord:
        return ImageRecord(image_id, self.image_path(image_id))


def test_missing(exdark: Path, voc: Path, folder: Path, tmp_path: Path) -> None:
    assert missing(open_dataset(exdark, split="all")) == ["c"]
    assert missing(open_dataset(voc)) == ["b"]
    assert missing(open_dataset(folder)) == []
    assert missing(Foreign(tmp_path)) == ["gone"]


def test_real_trees(shared: Path) -> None:
    exdark = open_dataset(shared / "data/exdark", split="all")
    assert len(exdark.ids) == 7363
    assert len(missing(exdark)) == 7363 - 35
    assert len(open_dataset(shared / "data/exdark").ids) == 2563
    voc = open_dataset(shared / "data/voc2007", split="trainval")
    assert (len(voc.ids), missing(voc)) == (450, [])


READER = """
from pathlib import Path
from duskbench import Dataset, ImageRecord

class Flat(Dataset):
    def __init__(self, root, suffix=".png"):
        self.files = {path.stem: path for path in Path(root).glob("*" + suffix)}
        super().__init__(root, sorted(self.files))
    def image_path(self, image_id):
        return self.files[image_id]
    def annotation(self, image_id):
        return ImageRecord(image_id, self.image_path(image_id), ())

class Broken(Flat):
    def __init__(self, root):
        raise KeyError("lost")

def no_reader(root):
    return 3
"""


def test_a_reader_from_a_file(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(READER)
    assert open_dataset(folder, layout=f"{file}:Flat").ids == ["b"]
    assert open_dataset(folder, layout=f"{file}:Flat(suffix='.jpg')").ids == ["a"]
    assert open_dataset(folder, layout=f"{file}:Flat", suffix=".jpg", split=["a.jpg"]).ids == ["a"]
    assert reader_options(f"{file}:Flat") is None
    assert verify(folder, f"{file}:Flat", decode=False).layout == f"{file}:Flat"
    with pytest.raises(UnknownNameError, match="did you mean suffix"):
        open_dataset(folder, layout=f"{file}:Flat", sufix=".jpg")
    with pytest.raises(UnknownNameError, match=r"split of .*Flat, which has none"):
        open_dataset(folder, layout=f"{file}:Flat", split="train")
    with pytest.raises(DataError, match=r"reader fails(?s:.*)KeyError: 'lost' \(.*mine\.py:16"):
        open_dataset(folder, layout=f"{file}:Broken")
    with pytest.raises(ConfigError, match=r"no reader of data sets(?s:.*)derived from duskbench\.Dataset(?s:.*)int"):
        open_dataset(folder, layout=f"{file}:no_reader")
    with pytest.raises(ConfigError, match="does not exist"):
        open_dataset(folder, layout="nowhere.py:Flat")


def test_a_reader_by_entry_point(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site"
    (package / "flatset-1.0.dist-info").mkdir(parents=True)
    (package / "flatset-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: flatset\nVersion: 1.0\n")
    (package / "flatset-1.0.dist-info/entry_points.txt").write_text("[duskbench.datasets]\nflat = flatset:Seen\n")
    detects = (
        "\nclass Seen(Flat):\n    @classmethod\n    def detects(cls, root):\n        return (root / 'b.png').exists()\n"
    )
    (package / "flatset.py").write_text(READER + detects)
    monkeypatch.syspath_prepend(str(package))
    assert open_dataset(folder, layout="flat").ids == ["b"]
    assert detect_layout(folder) == "flat"
    (folder / "b.png").unlink()
    assert detect_layout(folder) == "folder"


def test_options_of_another_layout_are_errors(exdark: Path, voc: Path) -> None:
    assert open_dataset(exdark, box_origin=0).ids == ["b", "c"]
    with pytest.raises(UnknownNameError, match=r"argument 'box_origin'(?s:.*)where: voc(?s:.*)year"):
        open_dataset(voc, box_origin=0)
    assert {"box_origin", "year", "split", "camera"} <= set(reader_options())


@pytest.mark.parametrize(
    ("files", "seen"),
    [
        ({"a.xml": "<annotation/>"}, "1 XML files beside the images, as a.xml"),
        ({"annotations/a.xml": "<annotation/>"}, "1 XML files, as annotations/a.xml; a folder annotations"),
        ({"labels/a.txt": "0 0.5 0.5 0.1 0.1\n"}, r"1 text files .*YOLO labels\?.* as labels/a.txt; a folder labels"),
        ({"gt/a.txt": "1 2 30 40 traffic-light\n"}, r"1 text files .* as gt/a.txt"),
        ({"coco.json": "{"}, r"1 JSON files named like annotations, as coco.json"),
        ({"train_bounding_boxes.csv": "image,x\n"}, r"1 CSV files named like annotations"),
        ({"a.txt": "", "b.txt": "3 0.5 0.5 0.1 0.1\n"}, "2 text files"),
        ({"a.txt": "Car 0.0 0 -1.5 599.4 156.4 629.7 189.2 2.85 2.6 12.3 0.4 1.8 69.4 -1.56\n"}, "1 text files"),
        ({"a.jpg.txt": "% bbGt version=3\n"}, "1 text files"),
        ({"a.json": "{}"}, r"1 JSON files named after the images .LabelMe"),
        ({"via_region_data.json": "{}"}, "1 JSON files named like annotations, as via_region_data.json"),
        ({"sub/_annotations.csv": "x"}, "1 CSV files named like annotations"),
        ({"_annotations.txt": "a.jpg 10,10,50,60,0\nb.png\n"}, "1 files with boxes of images, as _annotations.txt"),
        ({"train.txt": "/data/x.jpg 1,1,2,2,0\nC:\\set\\a.jpg 10,10,50,60,0 1,1,9,9,1\n"}, "1 files with boxes"),
        ({"my list.txt": "a.jpg,10,10,50,60,person\n"}, "1 files with boxes"),
        ({"faces.txt": "2\nimage_id x_1 y_1 width height\na.jpg    95  71 226 313\n"}, "1 files with boxes"),
        ({"wider_face_train_bbx_gt.txt": "a.jpg\n1\n1 1 9 9 0 0 0 0 0 0\n"}, "1 files with boxes"),
        ({"train.csv": "filename,height,class,xmin,ymin,xmax,ymax\na.jpg,72,person,1,1,9,9\n"}, "1 files with"),
        ({"wheat.csv": 'id,size,source,bbox\na,9,x,"[1.0, 1.0, 9.0, 9.0]"\n'}, "1 files with boxes"),
        ({"det_val.json": '[{"name": "a.jpg", "labels": [{"box2d": {"x1": 1}}]}]'}, "1 files with boxes"),
        ({"metadata.jsonl": '{"file_name": "a.jpg", "objects": {"bbox": [[1, 1, 9, 9]]}}\n'}, "1 files with boxes"),
        ({"val.tfrecord-00000-of-00002": "x", "val.tfrecord-00001-of-00002": "x"}, "2 TFRecord files"),
        ({"labelTxt/a.txt": "imagesource:GoogleEarth\ngsd:0.1\n1 1 9 1 9 9 1 9 plane 0\n"}, "1 text files"),
        ({"lbl/a.txt": "# made by hand\n0 0.5 0.5 0.1 0.1\n"}, "1 text files"),
        ({"a.txt": "a photo of a dog", "b.txt": "0 0.5 0.5 0.1 0.1\n"}, "2 text files"),
        ({"gt/gt.txt": "1,1,912,484,97,109,0,7,1\n"}, "1 files with boxes of images, as gt/gt.txt"),
        ({"gt/gt_a.txt": "377,117,463,117,465,130,378,130,Bus stop\n"}, "1 files with boxes"),
        ({"train.odgt": '{"ID": "a", "gtboxes": [{"tag": "person", "fbox": [1, 1, 9, 9]}]}\n'}, "1 files with boxes"),
        ({"train.idl": '"x/a.jpg": (1, 1, 9, 9), (5, 5, 8, 8);\n'}, "1 files with boxes"),
        ({"out.manifest": '{"source-ref": "s3://x/a.jpg", "b": [{"top": 1, "left": 2}]}\n'}, "1 files with boxes"),
        ({"rows.jsonl": '{"image_url": "a.jpg", "label": [{"topX": 0.1, "topY": 0.2}]}\n'}, "1 files with boxes"),
        ({"project.json": '[{"value": {"x": 1, "y": 2, "rectanglelabels": ["car"]}}]'}, "1 files with boxes"),
        ({"my.csv": 'filename,region_shape_attributes\na.jpg,"{""x"":1,""y"":2,""width"":3,""height"":4}"\n'}, "1 f"),
        ({"my.csv": "image,x,y,w,h,class\na.jpg,1,2,3,4,car\n"}, "1 files with boxes"),
        ({"made.json": '[{"image": "a.jpg", "annotations": [{"coordinates": {"x": 1, "y": 2}}]}]'}, "1 files"),
        ({"annotations.mat": "", "labels.yaml": ""}, "1 MAT files named like annotations(?s:.*)1 YAML files"),
        ({"Annotations.zip": "", "instances_val.json.gz": ""}, "1 ZIP files(?s:.*)1 GZ files"),
        ({"imageclasslist.bak": "", "ExDark/Bus/c.jpg": ""}, "a folder ExDark without imageclasslist.txt"),
    ],
)  # fmt: skip
def test_annotations_of_no_known_layout_are_named(folder: Path, files: dict[str, str], seen: str) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    with pytest.raises(DataError, match=rf"no layout that is known(?s:.*){seen}(?s:.*)--layout folder"):
        open_dataset(folder)
    with pytest.raises(DataError, match="no layout that is known"):
        verify(folder)
    assert {"a", "b"} <= set(open_dataset(folder, layout="folder").ids)


@pytest.mark.parametrize(
    "files",
    [
        {"notes.txt": "1 2 3 4\n"},
        {"a.txt": "a street at night, 3 lamps\n", "b.txt": "2023\u5e74, 1 2 3 lamps\n"},
        {"manifest.json": '{"left": "a.jpg", "right": "b.png", "size": [1, 2, 3, 4]}'},
        {"captions.json": '{"images": [{"file_name": "a.jpg"}], "annotations": [{"image_id": 1, "caption": "a box"}]}'},
        {"README.md": "", "README.txt": "Two boxes, left and right.\n\nOf May.\na.jpg is 640 x 480, b.png 1 2 3 4\n"},
        {"metadata.csv": "filename,iso,exposure,aperture,focal\na.jpg,100,0.02,2.8,50\n"},
        {"val.txt": "a.jpg 65\nb.png 970\n", "scores.csv": "a.jpg,5.3,0.2\n", "list.txt": "a.jpg\nb.png\n"},
        {"places.json": '[{"file": "a.jpg", "coordinates": {"lat": 1.5}}]', "labels.txt": "0 person\n1 car\n"},
        {"times.txt": "at 12:30:01 in 2020\n", "imu.txt": "1.0 2 3 4 5 6\n", "weights.pkl": ""},
        {"lens.txt": "c.jpg 1 2 3 4\n", "captions.txt": "a.jpg 3 cars, 2 men, 1 dog and 4 lamps\n"},
    ],
)
def test_other_files_beside_images_are_no_annotations(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    assert detect_layout(folder) == "folder"


def test_looking_for_annotations_opens_few_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(70):
        (folder / f"{number}.jpg").touch()
        (folder / f"{number}.txt").write_text("a street")
        (folder / f"note {number}.csv").write_text("1,2")
    opened = []
    monkeypatch.setattr(folder_files, "open_file", lambda path: opened.append(path) or BytesIO(b"a street"))
    assert detect_layout(folder) == "folder"
    assert len(opened) == 100


@pytest.mark.timeout(20)
def test_a_pipe_or_a_dead_link_in_place_of_a_label(folder: Path) -> None:
    os.mkfifo(folder / "a.txt")
    (folder / "b.txt").symlink_to(folder / "nowhere")
    # What they are of is not known, and could be labels.
    with pytest.raises(DataError, match=r"no layout that is known(?s:.*)2 text files named after the images"):
        open_dataset(folder)
    (folder / "a.txt").unlink()
    (folder / "a.txt").write_text("a street at night")
    assert detect_layout(folder) == "folder"


@pytest.mark.parametrize(
    "row", ["../../evil.png 1 1 1 3", "/etc/evil.png 1 1 1 3", "x/evil.png 1 1 1 3", "C:\\e.png 1 1 1 3"]
)
def test_exdark_lists_that_lead_out_of_the_tree(exdark: Path, row: str) -> None:
    with (exdark / "imageclasslist.txt").open("a") as file:
        file.write(f"{row}\r\n")
    with pytest.raises(DataError, match=r"imageclasslist\.txt:5"):
        open_dataset(exdark)
    assert ("error", "broken-list") in verify(exdark).by_code
