"""A fingerprint changes with everything a result depends on, and with nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from duskbench.data_tools.fingerprint import fingerprint
from duskbench.data_tools.module_sources import source_hashes
from duskbench.data_tools.plugins import find_plugin
from duskbench.pipeline.enhancers.he import HistogramEqualization
from duskbench.pipeline.enhancers.lime import Lime


def test_sources_are_followed_through_imports() -> None:
    assert set(source_hashes(HistogramEqualization)) >= {
        "duskbench.pipeline.enhancers.he",
        "duskbench.pipeline.enhancers.luminance",
    }
    lime = source_hashes(Lime)
    # The solver is imported inside a function, two modules deep.
    assert {
        "duskbench.pipeline.enhancers.illumination",
        "duskbench.pipeline.enhancers.multigrid",
        "duskbench.pipeline.enhancers.line_solver",
    } <= set(lime)
    assert not any(name.startswith(("torch", "duskbench.data_tools")) for name in lime)


def test_edited_helper_changes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "outside_methods"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "method.py").write_text("def f(image):\n    from outside_methods.helper import g\n    return g(image)\n")
    (package / "helper.py").write_text("def g(image):\n    return image\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    from outside_methods.method import f  # type: ignore[import-not-found]

    before = fingerprint(f, {})
    assert fingerprint(f, {}) == before
    (package / "helper.py").write_text('"""Says it."""\ndef g(image):\n    """It."""\n    return (image)  # same\n')
    assert fingerprint(f, {}) == before, "comments, docstrings and layout do nothing"
    (package / "helper.py").write_text("def g(image):\n    return 255 - image\n")
    assert fingerprint(f, {}) != before
    for name in [name for name in sys.modules if name.startswith("outside_methods")]:
        monkeypatch.delitem(sys.modules, name)


NETS = {
    "nets/__init__.py": "TOP = 1\n",
    "nets/deep/__init__.py": "from . import net\n",
    "nets/deep/net.py": "from .blocks import GAIN\nfrom .. import sizes\n\n\ndef f(image):\n    return image * GAIN\n",
    "nets/deep/blocks.py": "def g():\n    from .... import outside\n\n\nGAIN = 1\n",
    "nets/sizes.py": "SIZE = 1\n",
}


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a package in it; afterwards it is as if nobody had imported it."""
    for name, source in NETS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    monkeypatch.chdir(tmp_path)
    modules, path = set(sys.modules), list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.mark.parametrize(
    "source", ["import nets.deep.net", "from nets.deep import net", "from nets.deep.net import f", ""]
)
@pytest.mark.parametrize("without", ["", "nets/__init__.py"])
def test_packages_are_followed_through_relative_imports(nets: Path, source: str, without: str) -> None:
    """Of a file the package beside it, and a package itself; one folder of it may have no `__init__.py`."""
    if without:
        (nets / without).unlink()
    (nets / "mine.py").write_text(f"{source}\n\n\ndef f(image):\n    return image\n")
    module = find_plugin("mine.py:f" if source else "nets.deep.net:f").module
    files = sorted({*NETS, *(["mine.py"] if source else [])} - {without})
    before = source_hashes(module)
    assert sorted(before) == sorted(
        file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in files
    )
    for file in files:
        with (nets / file).open("a") as opened:
            opened.write("EDITED = 1\n")
    after = source_hashes(module)
    assert not [name for name in before if before[name] == after[name]]


def test_arguments_and_weights_count_and_their_order_does_not() -> None:
    prints = [
        fingerprint(Lime, {"a": 1, "b": (2, 3)}),
        fingerprint(Lime, {"b": (2, 3), "a": 1}),
        fingerprint(Lime, {"a": 1}),
        fingerprint(Lime, {"a": 1}, {"w": "0"}),
        fingerprint(HistogramEqualization, {"a": 1}),
    ]
    assert prints[0] == prints[1] and len(set(prints)) == 4


def test_keys_of_several_kinds_count_by_what_they_are() -> None:
    tables: list[dict[object, int]] = [{1: 2, "a": 3}, {"a": 3, 1: 2}, {"1": 2, "a": 3}, {(1, "b"): 2, None: 3}]
    prints = [fingerprint(len, {"table": [table]}) for table in tables]
    assert prints[0] == prints[1] and len(set(prints)) == 3


def test_an_installed_package_counts_by_its_version() -> None:
    import torch
    from torch import nn

    assert source_hashes(nn.Linear) == {"torch": f"torch {torch.__version__.partition('+')[0]}"}


def test_code_without_a_file_has_one_too() -> None:
    assert source_hashes(len) == {} and len(fingerprint(len, {})) == 64
