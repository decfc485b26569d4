"""Readers of users that break every rule: each runs in a process of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from duskbench.data_tools.datasets import open_dataset, open_for_checking
from duskbench.data_tools.errors import ConfigError, DataError, DuskbenchError, UnknownNameError
from duskbench.data_tools.findings import Finding
from duskbench.data_tools.host import host
from duskbench.data_tools.images import write_image
from duskbench.data_tools.records import ImageRecord, MissingAnnotationError, ObjectAnnotation
from duskbench.data_tools.verify import verify

READER = """
import os, sys
from pathlib import Path
import duskbench
from duskbench.data_tools.records import MissingAnnotationError

class Mine(duskbench.Dataset):
    known_without_box = frozenset({"b"})

    def __init__(self, root, split="all", year=2007, how="", ids=("a", "b", "c"), tolerant=False):
        scope = {"root": root, "ids": ids}
        exec(how, globals(), scope)
        ids = scope["ids"]
        self.year = year
        super().__init__(root, ids if split == "all" else ids[:1], name="mine", tolerant=tolerant)
        self.left_out, self.counts = ("one file is left out",), {"listed": len(ids)}
        self.coco_files = (self.root / "truth.json",)

    def image_path(self, image_id): return self.root / f"{image_id}.png"

    def annotation_path(self, image_id): return self.root / f"{image_id}.txt"

    def annotation(self, image_id):
        name = self.annotation_path(image_id)
        if not name.is_file():
            raise MissingAnnotationError("no annotation", where=self.root, got=str(name))
        one = duskbench.ObjectAnnotation
        def record(image_id=image_id, *objects, **more):
            return duskbench.ImageRecord(image_id, self.image_path(image_id), objects, **more)
        return eval(name.read_text(), {**globals(), **locals()})

    def check(self):
        yield duskbench.Finding("info", "year", self.root, str(self.year))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data set of three images, and its reader beside it."""
    root = tmp_path / "set"
    root.mkdir()
    (tmp_path / "mine.py").write_text(READER)
    for image_id in "abc":
        write_image(root / f"{image_id}.png", np.zeros((6, 8, 3), np.uint8))
        (root / f"{image_id}.txt").write_text("record(image_id, one('car', (1, 1, 4, 4)))")
    return root


def layout(root: Path) -> str:
    return f"{root.parent}/mine.py:Mine"


def test_a_reader_elsewhere_is_a_data_set_like_any_other(root: Path) -> None:
    (root / "a.txt").write_text(
        "record(image_id, one('People', (1, 1, 99, 4), difficult=1, truncated=False, pose='left'), split='val',"
        " lighting='Low', indoor=True, group='g', size=(8, 6))"
    )
    data = open_dataset(root, layout=layout(root), split="all", year=2012)
    assert (data.name, data.root, data.ids) == ("mine", root, ["a", "b", "c"])
    assert data.known_without_box == {"b"} and data.counts == {"listed": 3}
    assert data.coco_files == (root / "truth.json",)
    thing = ObjectAnnotation("person", (1.0, 1.0, 8.0, 4.0), difficult=True, truncated=False, pose="left")
    assert data.record("a.png") == ImageRecord("a", root / "a.png", (thing,), "val", "Low", True, "g", (8, 6))
    assert data.notes == ("one file is left out", "Classes read under another name: People as person (1 image)")
    assert list(data.check()) == [Finding("info", "year", str(root), "2012")]
    assert open_dataset(root, layout=layout(root), split="val").ids == ["a"]
    assert open_dataset(root, layout=layout(root), split=["c", "a"]).ids == ["c", "a"]
    assert open_dataset(root, layout=f"{layout(root)}(year=2012)").ids == ["a"]


def test_a_constructor_that_forgets_its_base_is_told(root: Path) -> None:
    (root.parent / "mine.py").write_text(
        f"{READER}\nclass Bare(Mine):\n    def __init__(self, root): self.ids = ['a']\n"
    )
    with pytest.raises(ConfigError, match=r"(?s)mine\.py:Bare.*super\(\)\.__init__\(root, ids\)"):
        open_dataset(root, layout=f"{root.parent}/mine.py:Bare")


def test_its_errors_keep_their_kind(root: Path) -> None:
    (root / "b.txt").unlink()
    with pytest.raises(MissingAnnotationError, match=r"b\.txt"):
        open_dataset(root, layout=layout(root), split="all").record("b")
    assert "missing-annotation" in {each.code for each in verify(root, layout(root)).findings}
    with pytest.raises(UnknownNameError, match="did you mean year"):
        open_dataset(root, layout=layout(root), yaer=2012)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("os._exit(0)", r"(?s)ended its process.*, b\n.*exit code 0"),
        ("sys.exit()", r"(?s)reader.*failed.*SystemExit \(\S*mine\.py"),
        ("None", "(?s)broke its contract.*an ImageRecord.*None"),
        ("record('a')", "(?s)broke its contract.*the record of 'b'.*'a'"),
        ("record(image_id, 'car')", "(?s)object 1.*an ObjectAnnotation"),
        ("record(image_id, one(5, (1, 1, 4, 4)))", "name: a class's"),
        ("record(image_id, one('car', (1, 1, 4)))", "x1, y1, x2, y2, finite numbers"),
        ("record(image_id, one('car', (1, 1, 4, float('nan'))))", "finite numbers"),
        ("record(image_id, one('car', '1234'))", "finite numbers"),
        ("record(image_id, one('car', (1, 1, 4, 4), pose=3))", "pose: str or None"),
        ("record(image_id, one('car', (1, 1, 4, 4), difficult='0'))", "(?s)object 1.*difficult: True or False.*'0'"),
        ("record(image_id, size=(0, 6))", "size: width and height"),
        ("record(image_id, size='86')", "size: width and height"),
        ("record(image_id, group=1)", "group: str or None"),
        ("record(image_id, indoor='yes')", "indoor: bool or None"),
        ("duskbench.ImageRecord(image_id, 3)", "a path"),
        ("duskbench.ImageRecord(image_id, self.root, 5)", "objects: a tuple"),
        ("duskbench.ImageRecord(image_id, self.root / 'a.png', ())", r"(?s)b\.png, as image_path says.*a\.png"),
    ],
)
def test_an_annotation_that_breaks_the_rules(root: Path, text: str, says: str) -> None:
    (root / "b.txt").write_text(text)
    data = open_dataset(root, layout=layout(root), split="all")
    with pytest.raises(DataError, match=says):
        data.record("b")
    assert data.record("c").objects == (ObjectAnnotation("car", (1.0, 1.0, 4.0, 4.0)),)


def test_an_annotation_that_is_never_read_to_its_end(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUSKBENCH_TIME_LIMIT", "2")
    (root / "b.txt").write_text("[None for _ in iter(int, 1)]")
    report = verify(root, layout(root))
    [found] = [each for each in report.findings if each.code == "broken-annotation"]
    assert found.file == "b.txt" and "took too long" in found.message


@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        ("os._exit(0)", DataError, "exit code 0"),
        ("1 / 0", DataError, "ZeroDivisionError"),
        ("ids = ('../a',)", DataError, r"\.\./a"),
        ("ids = ('a', 'a')", DataError, "given twice"),
        ("while True: pass", DataError, "took too long"),
    ],
)
def test_one_that_cannot_be_opened(
    root: Path, monkeypatch: pytest.MonkeyPatch, how: str, error: type[DuskbenchError], says: str
) -> None:
    if "while" in how:
        monkeypatch.setattr(host, "LEAST_TIME_FOR_BUILDING", 2.0)
        monkeypatch.setenv("DUSKBENCH_TIME_LIMIT", "1")
    with pytest.raises(error, match=says):
        open_dataset(root, layout=layout(root), split="all", how=how)


def test_what_is_no_reader(root: Path) -> None:
    (root.parent / "other.py").write_text(
        "class Other:\n    def __init__(self, root): pass\nclass Set(dict):\n    pass\n"
    )
    with pytest.raises(ConfigError, match="names no reader"):
        open_dataset(root, layout=f"{root.parent}/other.py:Other")


def test_broken_lists_are_kept_for_verify(root: Path) -> None:
    name, data = open_for_checking(root, layout(root), ids=("a", "../b", "a"))
    assert name == layout(root) and data.ids == ["a"]
    assert [(each.severity, each.code) for each in data.faults] == [("error", "unsafe-id"), ("error", "duplicate-id")]


def test_it_is_started_again_and_must_list_the_same(root: Path) -> None:
    (root / "a.txt").write_text("os._exit(3)")
    how = "ids = tuple(sorted(each.stem for each in Path(root).glob('*.png')))"
    data = open_dataset(root, layout=layout(root), split="all", how=how)
    with pytest.raises(DataError, match="exit code 3"):
        data.record("a")
    assert data.record("b").id == "b"
    with pytest.raises(DataError, match="exit code 3"):
        data.record("a")
    write_image(root / "d.png", np.zeros((6, 8, 3), np.uint8))
    with pytest.raises(DataError, match="another one now"):
        data.record("b")
