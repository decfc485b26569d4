from __future__ import annotations

import csv
import json
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duskbench.data_tools.convert import exdark_to_voc
from duskbench.data_tools.datasets import missing, open_dataset
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.exdark import ExDark
from duskbench.data_tools.image_sets import read_image_set
from duskbench.data_tools.images import write_image
from duskbench.data_tools.voc import VOC
from tests.progress import Seen

LIST = (
    "Name | Class | Light | In/Out | Train/Val/Test\r\n"
    "2015_00001.png 1 2 1 1\r\n2015_00002.JPG 11 10 2 2\r\n2015_00003.JPEG 8 1 1 3\r\n2015_05894.jpg 10 5 2 1\r\n"
)
TAIL = " 0 0 0 0 0 0 0\n"
BBGT = {
    "Bicycle/2015_00001.png": f"% bbGt version=3\nBicycle -2 5 12 10{TAIL}Cup 30 1 20 99{TAIL}",
    "People/2015_00002.JPG": f"% bbGt version=3\nPeople 1 1 40 30{TAIL}Table 3 4 5 6{TAIL}",
    "Cup/2015_00003.JPEG": f"% bbGt version=3\nCup 2 3 4 5{TAIL}",
    "Motorbike/2015_05894.jpg": "% bbGt version=3\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "exdark"
    for number, (name, text) in enumerate(BBGT.items()):
        write_image(root / "ExDark" / name, np.full((30, 40, 3), number, dtype=np.uint8))
        path = root / "ExDark_Annno" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "imageclasslist.txt").write_bytes(LIST.encode())
    return root


def manifest(out: Path) -> list[dict[str, str]]:
    with (out / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def snapshot(out: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in sorted(out.rglob("*")) if path.is_file())
    return {str(path.relative_to(out)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@pytest.mark.parametrize("copy", ["hardlink", "copy"])
def test_records_are_the_same_in_both_trees(tree: Path, tmp_path: Path, copy: str) -> None:
    done = exdark_to_voc(tree, tmp_path / "voc", copy=copy)
    assert (done.images, done.boxes, done.boxes_clipped, done.written) == ({"train": 2, "val": 1, "test": 1}, 5, 2, 8)
    exdark, voc = ExDark(tree, "all"), open_dataset(tmp_path / "voc", split="all")
    assert sorted(voc.ids) == sorted(exdark.ids)
    for image_id in exdark.ids:
        before, after = exdark.record(image_id), voc.record(image_id)
        objects = tuple(replace(found, pose="Unspecified", truncated=False) for found in before.objects or ())
        assert replace(before, path=after.path, objects=objects, group=None, size=(40, 30)) == after
        assert after.path.name == before.path.name
        assert after.path.read_bytes() == before.path.read_bytes()
        assert after.path.samefile(before.path) == (copy == "hardlink")


def test_image_sets(tree: Path, tmp_path: Path) -> None:
    exdark_to_voc(tree, tmp_path / "voc")
    main = tmp_path / "voc/ImageSets/Main"
    sets = {name: read_image_set(main / f"{name}.txt") for name in ("train", "val", "trainval", "test")}
    assert sets == {
        "train": ["2015_00001", "2015_05894"],
        "val": ["2015_00002"],
        "trainval": ["2015_00001", "2015_00002", "2015_05894"],
        "test": ["2015_00003"],
    }
    assert (main / "cup_trainval.txt").read_text() == "2015_00001  1\n2015_00002 -1\n2015_05894 -1\n"
    assert (main / "diningtable_val.txt").read_text() == "2015_00002  1\n"
    assert len(list(main.iterdir())) == 4 * (12 + 1)


def test_manifest(tree: Path, tmp_path: Path) -> None:
    exdark_to_voc(tree, tmp_path / "voc")
    rows = manifest(tmp_path / "voc")
    assert [row["id"] for row in rows] == ExDark(tree, "all").ids
    sha256 = subprocess.run(
        ["sha256sum", tree / "ExDark/Bicycle/2015_00001.png"], check=True, capture_output=True, text=True
    ).stdout.split()[0]
    assert rows[0] == {
        "id": "2015_00001", "file": "2015_00001.png", "sha256": sha256,
        "bytes": str((tree / "ExDark/Bicycle/2015_00001.png").stat().st_size), "width": "40", "height": "30",
        "split": "train",
        "class_folder": "Bicycle", "lighting": "Ambient", "indoor": "1", "boxes": "2", "boxes_clipped": "2",
    }  # fmt: skip
    assert (rows[3]["id"], rows[3]["boxes"]) == ("2015_05894", "0")


@pytest.mark.parametrize("copy", ["hardlink", "copy"])
def test_run_again_it_writes_only_what_is_not_right(tree: Path, tmp_path: Path, copy: str) -> None:
    out = tmp_path / "voc"
    exdark_to_voc(tree, out, copy=copy)
    before = snapshot(out)
    assert exdark_to_voc(tree, out, copy=copy).written == 0
    after = snapshot(out)
    assert {name: data for name, (_, data) in before.items()} == {name: data for name, (_, data) in after.items()}
    assert all(before[name] == after[name] for name in before if name.startswith(("Annotations", "JPEGImages")))

    (out / "Annotations/2015_00002.xml").unlink()
    (out / "JPEGImages/2015_00003.JPEG").unlink()
    (out / "Annotations/2015_00001.xml").write_text("<annotation>")
    write_image(tree / "ExDark/Motorbike/2015_05894.jpg", np.full((31, 40, 3), 9, dtype=np.uint8))
    # The new picture has another size, so its annotation changes with it.
    assert exdark_to_voc(tree, out, copy=copy).written == 5
    assert (out / "JPEGImages/2015_05894.jpg").read_bytes() == (tree / "ExDark/Motorbike/2015_05894.jpg").read_bytes()
    assert not list(out.rglob(".*"))


def test_interrupted_run_has_no_image_sets_and_is_taken_up(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "voc"
    with pytest.raises(KeyboardInterrupt):
        exdark_to_voc(tree, out, progress=(seen := Seen(lambda done: done == 2)))
    assert seen.counts == [(1, 4), (2, 4)]
    assert sorted(path.name for path in out.iterdir()) == ["Annotations", "JPEGImages"]
    assert exdark_to_voc(tree, out).written == 4
    assert len(VOC(out, split="all").ids) == 4


def test_another_voc_tree_stays_as_it_is(tree: Path, tmp_path: Path) -> None:
    listing = tmp_path / "voc/ImageSets/Main/test.txt"
    listing.parent.mkdir(parents=True)
    listing.write_text("000001\n")
    with pytest.raises(DataError, match="not converted from this ExDark"):
        exdark_to_voc(tree, tmp_path / "voc")
    assert [path for path in (tmp_path / "voc").rglob("*") if path.is_file()] == [listing]
    assert listing.read_text() == "000001\n"


def test_another_split_is_added(tree: Path, tmp_path: Path) -> None:
    for split in ("train", "test", "val"):
        done = exdark_to_voc(tree, tmp_path / "parts", split=split)
    whole = exdark_to_voc(tree, tmp_path / "whole")
    assert done.images == whole.images and done.boxes == whole.boxes

    def lists(out: Path) -> dict[str, list[str]]:
        files = [*(out / "ImageSets/Main").iterdir(), out / "manifest.csv"]
        return {file.name: sorted(file.read_text().splitlines()) for file in files}

    assert lists(tmp_path / "parts") == lists(tmp_path / "whole")
    (tree / "imageclasslist.txt").write_text("2015_00001.png 1 2 1 1\n")
    with pytest.raises(DataError, match=r"(?s)not converted from this ExDark.*got: image 2015_0"):
        exdark_to_voc(tree, tmp_path / "whole")
    with pytest.raises(DataError, match="has no image"):
        exdark_to_voc(tree, tmp_path / "none", split="test")


def test_missing_images(tree: Path, tmp_path: Path) -> None:
    (tree / "ExDark/Bicycle/2015_00001.png").unlink()
    with pytest.raises(DataError, match=r"1 absent: 2015_00001(?s:.*)missing='skip'"):
        exdark_to_voc(tree, tmp_path / "voc")
    assert not (tmp_path / "voc").exists()

    skipped = exdark_to_voc(tree, tmp_path / "skip", missing="skip")
    assert (skipped.images["train"], skipped.missing) == (1, ("2015_00001",))
    assert "2015_00001" not in VOC(tmp_path / "skip", split="all").ids

    annotated = exdark_to_voc(tree, tmp_path / "annotate", missing="annotate")
    assert (annotated.images["train"], annotated.missing) == (2, ("2015_00001",))
    voc = VOC(tmp_path / "annotate", split="all")
    assert missing(voc) == ["2015_00001"]
    said = voc.annotation("2015_00001")
    assert said.size is None and said.objects is not None
    assert [found.box_xyxy for found in said.objects] == [(0, 4, 9, 14), (29, 0, 49, 99)]
    row = manifest(tmp_path / "annotate")[0]
    assert (row["sha256"], row["bytes"], row["width"], row["height"], row["boxes_clipped"]) == ("", "0", "0", "0", "1")


def test_wrong_arguments(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="hardlink or copy"):
        exdark_to_voc(tree, tmp_path / "voc", copy="symlink")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="error or skip or annotate"):
        exdark_to_voc(tree, tmp_path / "voc", missing="ignore")  # type: ignore[arg-type]


def test_broken_annotation_stops_with_its_line(tree: Path, tmp_path: Path) -> None:
    (tree / "ExDark_Annno/People/2015_00002.JPG.txt").write_text("% bbGt version=3\nPeople 1 1 40\n")
    with pytest.raises(DataError, match=r"2015_00002\.JPG\.txt:2"):
        exdark_to_voc(tree, tmp_path / "voc")


@pytest.fixture(scope="module")
def whole(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """All 7363 annotations of the release, without images, and the VOC tree made of them."""
    root = tmp_path_factory.mktemp("whole")
    with zipfile.ZipFile(shared / "data/exdark_full_annotations/bbGt_regenerated_from_json.zip") as archive:
        archive.extractall(root / "exdark/ExDark_Annno")
    shutil.copy(shared / "data/exdark/imageclasslist.txt", root / "exdark")
    exdark_to_voc(root / "exdark", root / "voc", missing="annotate")
    return root / "exdark", root / "voc"


@pytest.mark.slow
def test_whole_release(whole: tuple[Path, Path], shared: Path) -> None:
    counts = json.loads((shared / "data/exdark_full_annotations/counts.json").read_text())
    rows = manifest(whole[1])
    for split in ("train", "val", "test"):
        ours = [row for row in rows if row["split"] == split]
        assert len(ours) == counts["splits"][split]["images"]
        assert sum(int(row["boxes"]) for row in ours) == counts["splits"][split]["boxes"]
        assert len(read_image_set(whole[1] / f"ImageSets/Main/{split}.txt")) == counts["splits"][split]["images"]
        bus = read_image_set(whole[1] / f"ImageSets/Main/bus_{split}.txt")
        assert len(bus) == counts["splits"][split]["per_class"]["Bus"]["images_with_a_box_of_class"]
    assert sum(int(row["boxes"]) for row in rows) == 23710
    # Two negative l, two l of 0, two t of 0: the near edges of box_origin.md's table.
    assert sum(int(row["boxes_clipped"]) for row in rows) == 6
    assert len(list((whole[1] / "Annotations").iterdir())) == 7363
    assert len(read_image_set(whole[1] / "ImageSets/Main/trainval.txt")) == 4800


def test_real_images_byte_for_byte(shared: Path, tmp_path: Path) -> None:
    done = exdark_to_voc(shared / "data/exdark", tmp_path / "voc", missing="skip")
    present = json.loads((shared / "data/exdark/images_present.json").read_text())
    assert (sum(done.images.values()), len(done.missing)) == (35, 7328)
    rows = {row["file"]: row for row in manifest(tmp_path / "voc")}
    for image in present:
        row = rows[image["file"]]
        assert [int(row["width"]), int(row["height"])] == image["size"]
        source = shared / "data/exdark/ExDark" / image["class"] / image["file"]
        assert (tmp_path / "voc/JPEGImages" / image["file"]).read_bytes() == source.read_bytes()


def test_mmdet_reads_the_tree_and_passes_over_cup(tree: Path, tmp_path: Path) -> None:
    from duskbench.pipeline.mmcv_ops import provide_mmcv_ops

    provide_mmcv_ops()
    from mmdet.datasets import VOCDataset

    exdark_to_voc(tree, tmp_path / "voc")
    data = VOCDataset(
        ann_file="ImageSets/Main/trainval.txt",
        pipeline=[],
        data_root=str(tmp_path / "voc"),
        data_prefix={"sub_data_root": "."},
    )
    names = data.metainfo["classes"]
    found = [
        (
            info["img_id"],
            info["width"],
            [(names[i["bbox_label"]], i["bbox"], i["ignore_flag"]) for i in info["instances"]],
        )
        for info in data.load_data_list()
    ]
    assert found[-3:] == [
        ("2015_00001", 40, [("bicycle", [0, 4, 8, 13], 0)]),
        ("2015_00002", 40, [("person", [0, 0, 39, 29], 0), ("diningtable", [2, 3, 6, 8], 0)]),
        ("2015_05894", 40, []),
    ]
