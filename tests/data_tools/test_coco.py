from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duskbench.data_tools.boxes import BoxError
from duskbench.data_tools.coco import COCO
from duskbench.data_tools.coco_files import CocoFile, find_annotation_files
from duskbench.data_tools.datasets import detect_layout, missing, open_dataset
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.data_tools.images import read_image, write_image
from duskbench.data_tools.records import ObjectAnnotation
from duskbench.data_tools.verify import verify

CATEGORIES = [{"id": 4, "name": "motorcycle"}, {"id": 67, "name": "dining table"}, {"id": 10, "name": "traffic light"}]


def truth(*files: str, boxes: Any = None, **changes: Any) -> dict[str, Any]:
    """Every file has the same two objects: a motorcycle, and a crowd of tables that leaves the image."""
    images = [{"id": 100 + n, "file_name": file, "width": 40, "height": 30} for n, file in enumerate(files)]
    boxes = boxes or [(4, [1, 2, 3.5, 4], 0), (67, [30, 20, 15, 15], 1)]
    annotations = [
        {"id": 10 * n + k, "image_id": 100 + n, "category_id": category, "bbox": bbox, "iscrowd": crowd}
        for n in range(len(files))
        for k, (category, bbox, crowd) in enumerate(boxes)
    ]
    return {"images": images, "annotations": annotations, "categories": CATEGORIES, **changes}


def make(root: Path, files: dict[str, dict[str, Any]], images: tuple[str, ...] = ()) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps(content))
    for number, name in enumerate(images):
        write_image(root / name, np.full((30, 40, 3), number, dtype=np.uint8))
    return root


def test_records(tmp_path: Path) -> None:
    root = make(tmp_path, {"annotations/instances_val2017.json": truth("a.jpg")}, ("val2017/a.jpg",))
    dataset = open_dataset(root, split="val")
    assert isinstance(dataset, COCO) and dataset.ids == ["a"]
    record = dataset.record("a")
    assert (record.path, record.size, record.split) == (root / "val2017/a.jpg", (40, 30), "val")
    assert record.objects == (
        ObjectAnnotation("motorbike", (1, 2, 4.5, 6)),
        ObjectAnnotation("diningtable", (30, 20, 40, 30), difficult=True),
    )
    # As it is written: what `verify` looks at.
    assert [one.name for one in dataset.annotation("a").objects or ()] == ["motorcycle", "dining table"]
    assert dataset.annotation_path("a") == root / "annotations/instances_val2017.json"


def test_a_listed_picture_of_a_format_that_is_not_read_is_found(tmp_path: Path) -> None:
    root = make(tmp_path, {"annotations/instances_val2017.json": truth("a.heic", "b.jpg")}, ("val2017/b.jpg",))
    (root / "val2017/a.heic").write_bytes(bytes(4) + b"ftypheic" + bytes(40))
    assert open_dataset(root, split="val").image_path("a.heic") == root / "val2017/a.heic"
    errors = [finding for finding in verify(root).findings if finding.severity == "error"]
    assert [(error.code, "HEIC" in error.message) for error in errors] == [("unreadable-image", True)]


@pytest.mark.parametrize(("crowd", "difficult"), [("0", False), ("1", True), (None, False), (True, True), (1.0, True)])
def test_crowds_however_they_are_written(tmp_path: Path, crowd: Any, difficult: bool) -> None:
    root = make(tmp_path, {"a.json": truth("a.jpg", boxes=[(4, [1, 2, 3, 4], crowd)])}, ("a.jpg",))
    assert [one.difficult for one in COCO(root).record("a").objects or ()] == [difficult]


@pytest.mark.parametrize(
    ("image", "category", "asked"), [(100, 4, ("100", "4")), ("100", "4", (100, 4)), (100, "4", (100.0, 4.0))]
)
def test_ids_and_sizes_may_be_text(tmp_path: Path, image: Any, category: Any, asked: tuple[Any, Any]) -> None:
    content = {
        "images": [{"id": image, "file_name": "a.jpg", "width": "40.0", "height": "30"}],
        "annotations": [{"id": 1, "image_id": asked[0], "category_id": asked[1], "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": category, "name": "car"}],
    }
    record = COCO(make(tmp_path, {"a.json": content}, ("a.jpg",))).record("a")
    assert (record.size, [one.name for one in record.objects or ()]) == ((40, 30), ["car"])


def test_images_in_another_form_of_unicode(tmp_path: Path) -> None:
    root = make(tmp_path, {"a.json": truth("day/caf\xe9.jpg")}, ("day/cafe\u0301.jpg", "night/cafe\u0301.jpg"))
    assert COCO(root).image_path("day/caf\xe9") == root / "day/cafe\u0301.jpg"


@pytest.mark.parametrize("there", ["images/A.JPG", "images/a.png"])
def test_another_case_or_ending_is_hinted_at(tmp_path: Path, there: str) -> None:
    root = make(tmp_path, {"a.json": truth("a.jpg")}, (there,))
    found = {(finding.code, finding.file): finding.message for finding in verify(root).findings}
    assert found["missing-image", "images/a.jpg"] == f"not there, but {Path(there).name} is"
    with pytest.raises(DataError, match=f"{Path(there).name} is there: rename it"):
        read_image(COCO(root).image_path("a"))


def test_boxes_in_shares_of_the_image_are_said(tmp_path: Path) -> None:
    root = make(tmp_path, {"a.json": truth("a.jpg", boxes=[(4, [0.1, 0.1, 0.5, 0.5], 0)])}, ("a.jpg",))
    said = "All boxes lie within one pixel"
    assert [finding.message[:30] for finding in verify(root).findings if finding.code == "doubtful-boxes"] == [said]
    dataset = COCO(root)
    assert dataset.notes == () and dataset.record("a").objects and dataset.notes[-1].startswith(said)
    make(root, {"a.json": truth("a.jpg", boxes=[(4, [0.1, 0.1, 0.5, 0.5], 0), (4, [1, 1, 9, 9], 0)])})
    assert COCO(root).record("a") and verify(root).ok


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        ([[20, 10, 30, 20], [5, 12, 38, 28], [1, 2, 10, 9]], "Most boxes reach out of their images"),
        # A box of its own size among them, boxes inside, and boxes larger than the image are no corners.
        ([[20, 10, 30, 20], [5, 12, 38, 28], [11, 2, 10, 9]], None),
        ([[1, 2, 10, 9], [5, 6, 20, 20], [1, 1, 10, 9]], None),
        ([[0, 0, 41, 31], [0, 0, 41, 31], [0, 0, 41, 31]], None),
        ([[n, 1, 3, 7] for n in range(10)], "All boxes lie in the upper left corner"),
        ([[n, 1, 3, 7] for n in range(9)], None),
        ([[n, 1, 3, 10] for n in range(10)], None),
    ],
)
def test_boxes_that_can_hardly_be_meant_so(tmp_path: Path, boxes: list[list[float]], said: str | None) -> None:
    root = make(tmp_path, {"a.json": truth("a.jpg", boxes=[(4, box, 0) for box in boxes])}, ("a.jpg",))
    found = [finding.message for finding in verify(root).findings if finding.code == "doubtful-boxes"]
    dataset = COCO(root)
    assert len(dataset.record("a").objects or ()) == len(boxes)
    # The first is of the class, which is called motorcycle.
    assert [dataset.notes[1:], len(found)] == [tuple(found), 0 if said is None else 1]
    assert said is None or found[0].startswith(said)


@pytest.mark.parametrize(
    ("key", "entry", "match"),
    [
        ("images", {"id": 100, "file_name": "b.jpg"}, "Two images have the same id(.|\n)*100: a and b"),
        ("categories", {"id": 4, "name": "car"}, "Two categories have the same id(.|\n)*4: motorcycle and car"),
    ],
)
def test_one_number_for_two_things_is_an_error(tmp_path: Path, key: str, entry: Any, match: str) -> None:
    """The one was lost without a word, and its annotations became the other's."""
    content = truth("a.jpg")
    content[key] = [*content[key], content[key][0]]
    root = make(tmp_path, {"a.json": content}, ("a.jpg", "b.jpg"))
    # The same entry again says the same.
    assert len(COCO(root).record("a").objects or ()) == 2
    make(root, {"a.json": {**content, key: [*content[key], entry]}})
    with pytest.raises(DataError, match=match):
        COCO(root)
    assert any("have the same id" in finding.message for finding in verify(root).findings)


@pytest.mark.parametrize(
    ("json_file", "file_name", "image"),
    [
        ("a.json", "x.png", "x.png"),
        ("a.json", "x.png", "images/deep/x.png"),
        ("annotations/a.json", "images/x.png", "images/x.png"),
        ("annotations/a.json", "./x.png", "images/x.png"),
        ("annotations/a.json", "images\\x.png", "images/x.png"),
        ("test/_annotations.coco.json", "x.png", "test/x.png"),
        ("a.json", "/home/else/where/x.png", "x.png"),
    ],
)
def test_images_are_found_wherever_they_lie(tmp_path: Path, json_file: str, file_name: str, image: str) -> None:
    root = make(tmp_path, {json_file: truth(file_name)}, (image,))
    dataset = open_dataset(root)
    assert dataset.image_path(dataset.ids[0]) == root / image
    assert not dataset.ids[0].startswith("/")


@pytest.mark.parametrize(
    ("split", "ids"),
    [("train", ["a", "b"]), ("val", ["c"]), ("all", ["a", "b", "c"]), ("instances_val2017", ["c"]), (["c"], ["c"])],
)
def test_splits(tmp_path: Path, split: str, ids: list[str]) -> None:
    files = {"instances_train2017": truth("a.jpg", "b.jpg"), "instances_val2017": truth("c.jpg")}
    others = {"captions_val2017": {"images": [], "annotations": [{"caption": "x"}]}, "person_keypoints": truth("c.jpg")}
    make(tmp_path, {f"annotations/{name}.json": content for name, content in {**files, **others}.items()})
    assert open_dataset(tmp_path, layout="coco", split=split).ids == ids
    with pytest.raises(UnknownNameError, match="one of all, train, val"):
        open_dataset(tmp_path, split="test")


def test_folders_may_be_called_as_vocs_are(tmp_path: Path) -> None:
    root = make(tmp_path, {"Annotations/instances_test.json": truth("a.jpg")}, ("JPEGImages/a.jpg",))
    assert detect_layout(root) == "coco" and open_dataset(root).image_path("a") == root / "JPEGImages/a.jpg"
    (root / "Annotations/a.xml").write_text("<annotation/>")
    assert detect_layout(root) == "voc"


def test_two_splits_may_number_their_images_alike(tmp_path: Path) -> None:
    files = {f"{split}/_annotations.coco.json": truth("1.jpg") for split in ("train", "valid")}
    root = make(tmp_path, files, ("train/1.jpg", "valid/1.jpg"))
    assert open_dataset(root, split="val").image_path("1") == root / "valid/1.jpg"
    assert open_dataset(root, split="train").image_path("1") == root / "train/1.jpg"
    both = open_dataset(root, split="all")
    assert [both.image_path(one) for one in both.ids] == [root / "train/1.jpg", root / "valid/1.jpg"]
    assert both.ids == ["train/1", "valid/1"] and [both.record(one).split for one in both.ids] == ["train", "val"]
    report = verify(root)
    assert report.ok and report.counts["images present"] == 2


def test_one_image_in_the_lists_of_two_splits_is_there_twice(tmp_path: Path) -> None:
    root = make(tmp_path, {f"annotations/{split}.json": truth("1.jpg") for split in ("train", "val")}, ("all/1.jpg",))
    with pytest.raises(DataError, match="given twice"):
        open_dataset(root, split="all")


def test_images_of_one_name_and_two_formats(tmp_path: Path) -> None:
    files = ("1.jpg", "1.png", "2.png", "day/1.png")
    root = make(tmp_path, {"a.json": truth(*files)}, files)
    dataset = open_dataset(root)
    assert dataset.ids == ["1.jpg", "1.png", "2", "day/1"]
    assert [dataset.image_path(one) for one in files] == [root / file for file in files]
    assert verify(root).ok
    with pytest.raises(UnknownNameError, match="Unknown image id '1'"):
        dataset.record("1")


@pytest.mark.parametrize(
    ("files", "there"),
    [
        (("train/_annotations.coco.json", "valid/_annotations.coco.json"), "train/1.jpg"),
        (("annotations/instances_train2017.json", "annotations/instances_val2017.json"), "images/train2017/1.jpg"),
        (("annotations/train.json", "annotations/val.json"), "images/train/1.jpg"),
    ],
)
def test_another_splits_image_is_not_taken_for_one_that_is_missing(
    tmp_path: Path, files: tuple[str, str], there: str
) -> None:
    """Its objects would be looked for in a picture of the training set, and nobody would be told."""
    root = make(tmp_path, {file: truth("1.jpg") for file in files}, (there,))
    assert open_dataset(root, split="train").image_path("1") == root / there
    assert missing(open_dataset(root, split="val")) == ["1"]
    assert [finding.code for finding in verify(root).findings if finding.severity == "error"] == ["missing-image"]


def test_a_split_may_be_drawn_from_the_folder_of_another(tmp_path: Path) -> None:
    files = {"train.json": truth("1.jpg"), "val.json": truth("2.jpg"), "trainval.json": truth("1.jpg", "2.jpg")}
    root = make(tmp_path, files, ("train/1.jpg", "train/2.jpg"))
    for split in ("train", "val", "trainval"):
        assert missing(open_dataset(root, split=split)) == []
    # Named with its folder, it is meant.
    make(root, {"val.json": truth("train/1.jpg")})
    assert open_dataset(root, split="val").image_path("train/1") == root / "train/1.jpg"


@pytest.mark.parametrize(
    ("listed", "there", "expected"),
    [
        (("day/1.jpg", "night/1.jpg"), ("images/day/1.jpg",), ("images/day/1.jpg", None)),
        (("c1/1.jpg", "c2/1.jpg", "c3/1.jpg"), ("c1/1.jpg", "c2/1.jpg"), ("c1/1.jpg", "c2/1.jpg", None)),
        (("1.jpg", "day/1.jpg"), ("day/1.jpg",), (None, "day/1.jpg")),
        (("1.jpg", "day/1.jpg"), ("1.jpg", "day/1.jpg"), ("1.jpg", "day/1.jpg")),
        # Of a flat folder it cannot be told whose it is.
        (("day/1.jpg", "night/1.jpg"), ("images/1.jpg",), (None, None)),
        (("day/1.jpg", "night/2.jpg"), ("images/1.jpg", "images/2.jpg"), ("images/1.jpg", "images/2.jpg")),
    ],
)
def test_no_file_is_the_image_of_two_entries(
    tmp_path: Path, listed: tuple[str, ...], there: tuple[str, ...], expected: tuple[str | None, ...]
) -> None:
    root = make(tmp_path, {"annotations/instances_test.json": truth(*listed)}, there)
    dataset = open_dataset(root)
    found = {file: dataset.image_path(file.removesuffix(".jpg")) for file in listed}
    wanted = {file: root / (path or file) for file, path in zip(listed, expected, strict=True)}
    assert found == wanted
    lost = expected.count(None)
    assert [finding.code for finding in verify(root).findings].count("missing-image") == lost


@pytest.mark.parametrize(
    ("json_file", "listed", "there", "expected", "noted"),
    [
        ("a.json", ("val/1.jpg",), ("train/1.jpg",), (None,), ""),
        ("a.json", ("val/images/1.jpg",), ("train/images/1.jpg",), (None,), ""),
        ("a.json", ("night/1.jpg", "night/2.jpg"), ("day/1.jpg", "night/2.jpg"), (None, "night/2.jpg"), ""),
        ("val.json", ("1.jpg", "2.jpg"), ("train/1.jpg", "val/2.jpg"), (None, "val/2.jpg"), ""),
        ("val.json", ("1.jpg",), ("train/1.jpg",), ("train/1.jpg",), r"1.jpg (train/1.jpg)"),
        ("val.json", ("1.jpg", "2.jpg"), ("out/1.jpg", "val/2.jpg"), ("out/1.jpg", "val/2.jpg"), "1.jpg (out/1.jpg)"),
        ("a.json", ("night/1.jpg",), ("day/1.jpg",), ("day/1.jpg",), "night/1.jpg (day/1.jpg)"),
        ("a.json", ("/data/day/1.jpg",), ("day/1.jpg", "night/1.jpg"), ("day/1.jpg",), "/data/day/1.jpg (day/1.jpg)"),
        ("a.json", ("1.jpg", "2.jpg"), ("images/1.jpg", "images/2.jpg"), ("images/1.jpg", "images/2.jpg"), ""),
        ("a.json", ("day/1.jpg",), ("day/1.jpg", "out/day/1.jpg"), ("day/1.jpg",), ""),
        ("a.json", ("day/1.jpg",), ("images/day/1.jpg",), ("images/day/1.jpg",), ""),
        (
            "a.json",
            ("day/1.jpg", "day/2.jpg"),
            ("day/1.jpg", "out/day/2.jpg"),
            ("day/1.jpg", "out/day/2.jpg"),
            "day/2.jpg (out/day/2.jpg)",
        ),
    ],
)
def test_a_file_of_another_folder_is_not_taken_without_a_word(
    tmp_path: Path, json_file: str, listed: tuple[str, ...], there: tuple[str, ...], expected: Any, noted: str
) -> None:
    dataset = COCO(make(tmp_path, {json_file: truth(*listed)}, there), "all")
    paths = [dataset.image_path(one) for one in dataset.ids]
    assert [str(path.relative_to(tmp_path)) if path.is_file() else None for path in paths] == list(expected)
    assert dataset.notes == ((f"1 taken from elsewhere than annotated: {noted}",) if noted else ())


def test_images_of_one_name_need_a_folder(tmp_path: Path) -> None:
    root = make(tmp_path, {"a.json": truth("1.jpg")}, ("dark/1.jpg", "lit/1.jpg"))
    with pytest.raises(DataError, match=r"Several images(?s:.*)dark/1\.jpg, lit/1\.jpg(?s:.*)images=FOLDER"):
        open_dataset(root)
    assert open_dataset(root, images="lit").image_path("1") == root / "lit/1.jpg"
    with pytest.raises(ConfigError, match="no such folder"):
        open_dataset(root, images="nowhere")
    assert open_dataset(root, images="lit", annotations="a.json", split="val").record("1").split == "val"


@pytest.mark.parametrize(
    "keys",
    [
        # As the official files have it: images first, categories last, both far from each other.
        ("images", "annotations", "categories"),
        # Sorted, with images far from the begin, and further keys far behind them.
        ("annotations", "categories", "images", "more"),
    ],
)
def test_the_format_is_recognised_whatever_comes_first(tmp_path: Path, keys: tuple[str, ...]) -> None:
    large = truth(*(f"{number:06d}.jpg" for number in range(3000)), more=["x" * 200_000])
    ordered = {key: large[key] for key in keys}
    make(tmp_path, {"large.json": ordered, "notes.json": {"a": 1}, "results.json": [{"image_id": 1, "bbox": [1]}]})  # type: ignore[dict-item]
    (tmp_path / "large.json").write_text(json.dumps(ordered, indent=1))
    (tmp_path / "broken.json").write_bytes(b"\xff{")
    (tmp_path / "empty.json").write_bytes(b"")
    assert find_annotation_files(tmp_path) == [CocoFile(tmp_path / "large.json")]
    assert detect_layout(tmp_path) == "coco"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("[1, 2]", "not in COCO's format"),
        ("{", "Cannot read the annotation file"),
        ("[" * 200_000, "Cannot read the annotation file"),
        (json.dumps(truth("a.jpg", images=[{"id": 1}])), "no image"),
        (json.dumps(truth("a.jpg", categories=[{"id": 1}])), "no category"),
        (json.dumps(truth("a.jpg", annotations=[{"image_id": 7, "category_id": 4}])), "7 is missing or not known"),
        (json.dumps(truth("a.jpg", annotations=[{"image_id": 100, "category_id": 9}])), "9 is missing or not known"),
        (json.dumps(truth("a.jpg", annotations=[None])), "no annotation"),
        (json.dumps(truth("a.jpg", images=[{"id": 1, "file_name": "a.jpg", "width": 1e999}])), "no image"),
        (json.dumps(truth("../../evil.jpg")), "not a safe file name"),
        (json.dumps(truth("/evil.jpg")), "not a safe file name"),
        (json.dumps(truth("a.jpg", "a.jpg")), "given twice"),
    ],
)
def test_broken_files(tmp_path: Path, content: str, match: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match=match):
        COCO(tmp_path, annotations="a.json")


@pytest.mark.parametrize(
    ("bbox", "error"),
    [([1, 2, 3], DataError), (None, DataError), ([1, 2, 0, 4], BoxError), ([1, 2, "x", 4], DataError)],
)
def test_a_broken_box_is_the_fault_of_its_image(tmp_path: Path, bbox: Any, error: type[DataError]) -> None:
    root = make(tmp_path, {"a.json": truth("a.jpg", boxes=[(4, bbox, 0)])}, ("a.jpg",))
    with pytest.raises(error, match=r"a\.json, annotation 0"):
        open_dataset(root).record("a")


def test_verify_names_every_fault(tmp_path: Path) -> None:
    content = truth(
        "a.jpg", "b.jpg", "../evil.jpg", boxes=[(4, [1, 2, 3, 4], 0), (4, [1, 2, 3, 4], 0), (10, [1, 1, 2, 2], 0)]
    )
    content["annotations"].append({"id": 9, "image_id": 999, "category_id": 4, "bbox": [1, 1, 1, 1]})
    content["images"][0]["width"] = 41
    report = verify(make(tmp_path, {"a.json": content}, ("a.jpg",)))
    assert report.layout == "coco" and not report.ok
    found = {(finding.severity, finding.code, finding.file) for finding in report.findings}
    assert found >= {
        ("error", "broken-list", "a.json"),
        ("error", "unsafe-id", "a.json"),
        ("error", "missing-image", "b.jpg"),
        ("error", "size-mismatch", "a.jpg"),
        ("warning", "object-twice", "a.json"),
        ("info", "class-synonym", "a.json"),
    }
    [outside] = [finding.message for finding in report.findings if finding.code == "class-outside-voc"]
    assert outside == "a VOC detector cannot find traffic light (2 objects in 2 images)"


def test_what_is_wrong_in_a_file_of_many_images_names_the_image(tmp_path: Path) -> None:
    twice = [(4, [1, 2, 3, 4], 0), (4, [1, 2, 3, 4], 0)]
    content = truth("a.jpg", "b.jpg", "c.jpg", boxes=[*twice, (4, [90, 90, 2, 2], 0)])
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] != 102]
    root = make(tmp_path, {"all.json": content}, ("a.jpg", "b.jpg", "c.jpg"))
    findings = {(finding.code, finding.message) for finding in verify(root).findings}
    assert ("no-boxes", "no box in the file, image c") in findings
    assert ("object-twice", "objects 1 and 2 (motorcycle) are one, annotated twice, image b") in findings
    with pytest.raises(DataError, match=r"all\.json, image b, object 3 \(motorcycle\)"):
        open_dataset(root).record("b")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_format_is_recognised_in_every_encoding_of_json(tmp_path: Path, encoding: str) -> None:
    write_image(tmp_path / "images/a.png", np.zeros((30, 40, 3), np.uint8))
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 8, 6]}],
        "categories": [{"id": 3, "name": "car"}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content), encoding=encoding)
    assert detect_layout(tmp_path) == "coco"
    assert len(open_dataset(tmp_path).record("a").objects or ()) == 1
