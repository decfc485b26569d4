"""The fingerprint of a plug-in changes with everything that it is asked for by, and with nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from duskbench.pipeline import load_detector, load_enhancer

# Pairs that have the same source, and the same qualified name or none.
ALIKE = """
import functools
import numpy as np
from duskbench import Detections, Enhancer

weak = lambda image: np.minimum(image, 1)
strong = lambda image: np.minimum(image, 2)

def make(most):
    def enhance(image):
        return np.minimum(image, most)
    return enhance

one, two = make(1), make(2)

def decorated(function):
    def wrapper(image):
        return function(image)
    return wrapper

@decorated
def once(image): return np.minimum(image, 1)

@decorated
def twice(image): return np.minimum(image, 2)

def least(image, most): return np.minimum(image, most)

part_1, part_2 = functools.partial(least, most=1), functools.partial(least, most=2)

class Least:
    def __init__(self, most): self.most = most
    def __call__(self, image): return np.minimum(image, self.most)

object_1, object_2 = Least(1), Least(2)

def make_class(most):
    class Made(Enhancer):
        def enhance(self, image_rgb, image_id): return np.minimum(image_rgb, most)
    return Made

Made_1, Made_2 = make_class(1), make_class(2)

def make_detector(x):
    class Finds:
        classes = ("car",)
        def detect(self, images):
            box, score = np.array([[x, 0, x + 5, 5]], np.float32), np.array([0.5], np.float32)
            return [Detections(box, score, np.array([0]), self.classes) for _ in images]
    return Finds

Left, Right = make_detector(0), make_detector(9)
"""
IMAGE = np.full((4, 5, 3), 200, np.uint8)


@pytest.fixture
def alike(tmp_path: Path) -> str:
    file = tmp_path / "alike.py"
    file.write_text(ALIKE)
    return str(file)


@pytest.mark.parametrize(
    "names",
    [
        ("weak", "strong"),
        ("one", "two"),
        ("once", "twice"),
        ("part_1", "part_2"),
        ("object_1", "object_2"),
        ("Made_1", "Made_2"),
    ],
)
def test_enhancers_that_only_their_name_tells_apart(alike: str, names: tuple[str, str]) -> None:
    first, second = (load_enhancer(f"{alike}:{name}") for name in names)
    again = load_enhancer(f"{alike}:{names[0]}")
    assert (first(IMAGE).max(), second(IMAGE).max()) == (1, 2)
    assert first.fingerprint == again.fingerprint != second.fingerprint


def test_detectors_that_only_their_name_tells_apart(alike: str) -> None:
    left, right, again = (load_detector(f"{alike}:{name}") for name in ("Left", "Right", "Left"))
    assert (left.detect([IMAGE])[0].boxes_xyxy[0, 0], right.detect([IMAGE])[0].boxes_xyxy[0, 0]) == (0, 9)
    assert left.fingerprint == again.fingerprint != right.fingerprint
    assert left.identity == again.identity != right.identity


@pytest.mark.parametrize(
    "mine",
    [
        "from deco_of_print import pair\n\n@pair\ndef enh(image): return image + 1\n",
        "import deco_of_print\ndeco_of_print.GAIN = 1\nfrom deco_of_print import enh\n",
    ],
)
def test_an_edit_of_the_file_that_is_named_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mine: str) -> None:
    """What it names may have been written elsewhere; and Python keeps what it compiled of a file by size and time."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    (tmp_path / "deco_of_print.py").write_text(
        "GAIN = 0\n\ndef enh(image): return image + GAIN\n\n"
        "def pair(function):\n    def wrapper(image): return function(image)\n    return wrapper\n"
    )
    file = tmp_path / "mine.py"
    file.write_text(mine)
    written = file.stat().st_mtime_ns
    before = load_enhancer(f"{file}:enh")
    file.write_text(mine.replace("1", "2"))
    os.utime(file, ns=(written, written))
    after = load_enhancer(f"{file}:enh")
    assert after(IMAGE).max() == before(IMAGE).max() + 1 == 202
    assert after.fingerprint != before.fingerprint


def test_a_partial_in_this_process_counts_with_what_it_binds() -> None:
    from functools import partial

    class Net:
        """Its text has its place in memory."""

    def least(image: np.ndarray, net: object, most: int) -> np.ndarray:
        return np.minimum(image, most)

    prints = [load_enhancer(partial(least, net=Net(), most=most)).fingerprint for most in (1, 1, 2)]
    assert prints[0] == prints[1] != prints[2]


READS = """
from pathlib import Path
import numpy as np
from duskbench import Detections, ImageMetric

def most(path): return int(Path(path).expanduser().read_text())

class OfFiles:
    def __init__(self, files): self.most = max(map(most, files))
    def __call__(self, image): return np.minimum(image, self.most)

class OfParts(OfFiles):
    def __init__(self, parts): super().__init__(parts["decoder"])

class OfFolder(OfFiles):
    def __init__(self, folder): super().__init__([Path(folder) / "deep" / "w.txt"])

class Default(OfFiles):
    def __init__(self, weights="w.txt", folder=Path("ckpt")): super().__init__([weights, folder / "deep" / "w.txt"])

class Home(OfFiles):
    def __init__(self, weights): super().__init__([weights])

def function(image, weights="w.txt"): return np.minimum(image, most(weights))

class Finds:
    classes = ("car",)
    def __init__(self, folder="ckpt"): self.x = most(Path(folder) / "deep" / "w.txt")
    def detect(self, images):
        box, score = np.array([[self.x, 0, 9, 9]], np.float32), np.array([0.5], np.float32)
        return [Detections(box, score, np.array([0]), self.classes) for _ in images]
"""


@pytest.fixture
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current and the home folder, with weights in several places."""
    (tmp_path / "reads.py").write_text(READS)
    (tmp_path / "ckpt" / "deep").mkdir(parents=True)
    for name in ("w.txt", "v.txt", "ckpt/deep/w.txt"):
        (tmp_path / name).write_text("1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("spec", "file"),
    [
        ("OfFiles(files=['v.txt', 'w.txt'])", "w.txt"),
        ("OfParts(parts={'decoder': ('w.txt',)})", "w.txt"),
        ("OfFolder(folder='ckpt')", "ckpt/deep/w.txt"),
        ("Home(weights='~/w.txt')", "w.txt"),
        ("Default", "w.txt"),
        ("Default", "ckpt/deep/w.txt"),
        ("function", "w.txt"),
    ],
)
def test_every_file_that_an_argument_of_an_enhancer_names_counts(reads: Path, spec: str, file: str) -> None:
    before, again = load_enhancer(f"reads.py:{spec}"), load_enhancer(f"reads.py:{spec}")
    (reads / file).write_text("2")
    after = load_enhancer(f"reads.py:{spec}")
    assert (before(IMAGE).max(), after(IMAGE).max()) == ((1, 2) if spec != "function" else (2, 2))
    assert before.fingerprint == again.fingerprint != after.fingerprint
    # What a night's verdict calls other weights.
    assert before.weights == again.weights != after.weights


@pytest.mark.parametrize("spec", ["Finds", "Finds(folder='ckpt')"])
def test_every_file_that_an_argument_of_a_detector_names_counts(reads: Path, spec: str) -> None:
    before, again = load_detector(f"reads.py:{spec}"), load_detector(f"reads.py:{spec}")
    (reads / "ckpt/deep/w.txt").write_text("2")
    after = load_detector(f"reads.py:{spec}")
    assert before.fingerprint == again.fingerprint != after.fingerprint
    assert before.identity == again.identity != after.identity


@pytest.mark.parametrize(
    ("spec", "files", "edited"),
    [
        (
            "mine.py:enh",
            {
                "mine.py": "import sys\nsys.path.append('theirs')\nfrom net_of_theirs import most\n"
                "def enh(image): return image.clip(max=most())\n",
                "theirs/net_of_theirs.py": "from parts_of_theirs.head import most\n",
                "theirs/parts_of_theirs/head.py": "def most(): return 1\n",
            },
            "theirs/parts_of_theirs/head.py",
        ),
        (
            "mine.py:enh",
            {
                "mine.py": "import sys\nsys.path.append('theirs')\n"
                "def enh(image):\n    from net_of_theirs import most\n    return image.clip(max=most())\n",
                "theirs/net_of_theirs.py": "def most(): return 1\n",
            },
            "theirs/net_of_theirs.py",
        ),
        (
            "pack_of_print.enh:enh",
            {
                "pack_of_print/__init__.py": "",
                "pack_of_print/enh.py": "from other_of_print.core import most\n"
                "def enh(image): return image.clip(max=most())\n",
                "other_of_print/core.py": "def most(): return 1\n",
            },
            "other_of_print/core.py",
        ),
    ],
    ids=["another repository", "imported when it runs", "another package"],
)
def test_an_edit_of_what_a_plugin_imports_counts_wherever_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, files: dict[str, str], edited: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    before, again = load_enhancer(spec), load_enhancer(spec)
    # Of another length, as Python takes a compiled file of the same second and size for that of the edited one.
    (tmp_path / edited).write_text("def most(): return 1 + 1\n")
    after = load_enhancer(spec)
    assert (before(IMAGE).max(), after(IMAGE).max()) in ((1, 2), (2, 2))
    assert before.fingerprint == again.fingerprint != after.fingerprint


SAYS = """
from duskbench import Detections
import numpy as np

class Finds:
    classes, name, fingerprint = ("car",), "mine", "mine"
    def __init__(self, x=0): self.x = x
    def detect(self, images):
        box, score = np.array([[self.x, 0, 9, 9]], np.float32), np.array([0.5], np.float32)
        return [Detections(box, score, np.array([0]), self.classes) for _ in images]
"""


def test_what_a_detector_says_its_fingerprint_is_does_not_stand_for_its_arguments_or_code(tmp_path: Path) -> None:
    file = tmp_path / "says.py"
    file.write_text(SAYS)
    one, again, other = (load_detector(f"{file}:Finds(x={x})") for x in (1, 1, 2))
    file.write_text(SAYS.replace("self.x = x", "self.x = x + 1"))
    edited = load_detector(f"{file}:Finds(x=1)")
    file.write_text(SAYS.replace('"mine", "mine"', '"mine", "yours"'))
    renamed = load_detector(f"{file}:Finds(x=1)")
    assert one.fingerprint == again.fingerprint
    assert len({each.fingerprint for each in (one, other, edited, renamed)}) == 4
    # Its own word says which runs may be compared.
    assert one.identity == other.identity == edited.identity == "mine"
