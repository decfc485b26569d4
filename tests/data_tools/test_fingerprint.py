"""A fingerprint changes with everything a result depends on, and with nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from duskbench.data_tools.fingerprint import fingerprint, source_hashes
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


def test_arguments_and_weights_count_and_their_order_does_not() -> None:
    prints = [
        fingerprint(Lime, {"a": 1, "b": (2, 3)}),
        fingerprint(Lime, {"b": (2, 3), "a": 1}),
        fingerprint(Lime, {"a": 1}),
        fingerprint(Lime, {"a": 1}, {"w": "0"}),
        fingerprint(HistogramEqualization, {"a": 1}),
    ]
    assert prints[0] == prints[1] and len(set(prints)) == 4


def test_an_installed_package_counts_by_its_version() -> None:
    import torch
    from torch import nn

    assert source_hashes(nn.Linear) == {"torch": f"torch {torch.__version__.partition('+')[0]}"}


def test_code_without_a_file_has_one_too() -> None:
    assert source_hashes(len) == {} and len(fingerprint(len, {})) == 64
