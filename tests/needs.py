"""What a test needs beyond Python and the locked packages: without it the test skips, and in CI (CI=true) it fails."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest


def need_tool(*names: str) -> str:
    """The path of the first of these programs that is installed."""
    # `.venv/bin/pytest` without `uv run` leaves the programs of the environment off PATH.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
    return found or _lacking(" or ".join(names))


def need_module(name: str) -> Any:
    """The module of an optional dependency; may stand at the top of a test file."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
        _lacking(f"the Python package {error.name}")


def _lacking(what: str) -> NoReturn:
    message = f"{what} is not installed here"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{message}; in CI no test may be skipped for that (.ci/run installs it)", pytrace=False)
    pytest.skip(message, allow_module_level=True)
