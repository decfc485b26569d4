"""Packages that are imported at their first use, on packages made for the test and on those that mmdet imports."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from duskbench.pipeline.lazy_imports import import_when_used

USER = """
import rare_package.tools as tools
from rare_package.tools import Tool, MODES

class Better(Tool):
    def __init__(self, name):
        super().__init__(name)
        self.better = True

def describe(thing: Tool = None) -> "Tool":
    return tools.describe(thing), isinstance(thing, Tool), MODES["fast"]
"""
TOOLS = """
class Tool:
    def __init__(self, name):
        self.name = name

MODES = {"fast": 3}

def describe(thing):
    return thing.name
"""


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that imports a package at its top, imported while that is put off."""
    (tmp_path / "rare_package").mkdir()
    (tmp_path / "rare_package" / "__init__.py").touch()
    (tmp_path / "rare_package" / "tools.py").write_text(TOOLS)
    (tmp_path / "rare_user.py").write_text(USER)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("rare_user", "rare_package", "rare_package.tools"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with import_when_used("rare_package", "no_such_package"):
        return importlib.import_module("rare_user")


def test_the_first_use_imports(user: ModuleType) -> None:
    assert "rare_package" not in sys.modules
    tool = user.Tool("hammer")
    assert "rare_package.tools" in sys.modules
    assert user.describe(tool) == ("hammer", True, 3)
    assert user.describe(user.Better("axe")) == ("axe", True, 3)


def test_a_base_class_is_put_in_with_the_first_instance(user: ModuleType) -> None:
    assert "rare_package" not in sys.modules
    better = user.Better("axe")
    assert (better.name, better.better) == ("axe", True)
    assert type(better).__bases__ == (importlib.import_module("rare_package.tools").Tool,)
    assert user.Better("saw").name == "saw"


def test_others_get_the_package_itself(user: ModuleType) -> None:
    assert importlib.import_module("rare_package.tools").MODES == {"fast": 3}
    assert importlib.import_module("rare_package").__file__


def test_what_is_not_installed_is_still_missing() -> None:
    with import_when_used("no_such_package"), pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_package.part")


def test_what_is_imported_already_stays_as_it_is() -> None:
    with import_when_used("json"):
        from json import dumps
    assert dumps([1]) == "[1]"
    assert sys.modules["json"].dumps is dumps


DETECT = """
import sys
import numpy as np
from duskbench import load_detector
found = load_detector("rfb_miniature").detect([np.full((48, 64, 3), 90, np.uint8)])
seldom_used = {"imgaug", "matplotlib", "numba", "pandas", "scipy", "shapely", "skimage", "sympy", "torch._dynamo"}
print(*sorted((seldom_used | {"torch.distributed.fsdp"}) & set(sys.modules)))
from mmdet.datasets.transforms.generate_line import LineString
print(LineString([(0, 0), (3, 4)]).length)
"""


@pytest.mark.slow
def test_a_detector_imports_nothing_that_it_does_not_use() -> None:
    done = subprocess.run([sys.executable, "-c", DETECT], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.splitlines() == ["", "5.0"]


# What scikit-learn does while it is imported: it asks SciPy for its version, and for more.
CURIOUS = """
import scipy
import scipy.stats
assert tuple(map(int, scipy.__version__.split(".")[:2])) >= (1, 0)
NORMAL = scipy.stats.norm()
"""


@pytest.mark.slow
def test_packages_that_mmdet_imports_where_they_are_installed_do_not_meet_stand_ins(tmp_path: Path) -> None:
    for name in ("albumentations", "sklearn", "transformers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(CURIOUS)
    path = os.pathsep.join([str(tmp_path), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    program = f"{DETECT}\nimport sklearn\nprint(sklearn.NORMAL.mean())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["", "5.0", "0.0"]


def test_a_version_can_be_asked_for_before_the_import() -> None:
    program = """
from importlib.metadata import version
import sys
from duskbench.pipeline.lazy_imports import import_when_used
with import_when_used("scipy", "json"):
    import scipy
    assert scipy.__version__ == version("scipy")
    assert not hasattr(scipy, "__file__")
assert "scipy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], timeout=60, check=True)
