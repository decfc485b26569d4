"""What is missing skips a test on a developer's machine and fails it in CI."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.needs import need_module, need_tool


@pytest.mark.parametrize("need", [lambda: need_tool("no-such-tool", "nor-this"), lambda: need_module("no_such_module")])
@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail), ("", pytest.skip)])
def test_what_is_missing(monkeypatch: pytest.MonkeyPatch, need: Callable[[], object], ci: str, outcome: object) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome.Exception, match=r"no.such.* is not installed here"):  # type: ignore[attr-defined]
        need()


def test_what_is_there_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Path(need_tool("no-such-tool", "python")).name == "python"
    assert need_module("json").dumps([1]) == "[1]"


def test_a_module_that_is_there_but_broken_is_no_missing_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_module.py").write_text("import no_such_module_of_its_own")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="of_its_own"):
        need_module("broken_module")


def test_one_package_alone_installs_cv2() -> None:
    assert set(packages_distributions()["cv2"]) == {"opencv-python"}, "the README says how to remove the other"
