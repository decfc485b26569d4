"""The fingerprint of a plug-in changes with everything that it is asked for by, and with nothing else."""

from __future__ import annotations

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
def test_an_edit_of_the_file_that_is_named_counts(tmp_path: Path, mine: str) -> None:
    """What it names may have been written elsewhere."""
    (tmp_path / "deco_of_print.py").write_text(
        "GAIN = 0\n\ndef enh(image): return image + GAIN\n\n"
        "def pair(function):\n    def wrapper(image): return function(image)\n    return wrapper\n"
    )
    file = tmp_path / "mine.py"
    file.write_text(mine)
    before = load_enhancer(f"{file}:enh")
    file.write_text(mine.replace("1", "2"))
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
