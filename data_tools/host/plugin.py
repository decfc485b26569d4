"""What a host runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from duskbench.data_tools.errors import (
    ConfigError,
    DataError,
    DetectorError,
    DuskbenchError,
    EnhancerError,
    MetricError,
)

DEFAULT_TIME_LIMIT = 600.0

PluginKind = Literal["enhancer", "detector", "metric", "data set reader"]
FAILURES: dict[PluginKind, type[DuskbenchError]] = {
    "enhancer": EnhancerError,
    "detector": DetectorError,
    "metric": MetricError,
    "data set reader": DataError,
}


@dataclass(frozen=True)
class Plugin:
    """Everything that must be the same when a host is started again, or in another process.

    Attributes:
        kind: What it is.
        served: `package.module:Class` of ours that builds it in its process and answers requests; see `serve.Served`.
        target: `file.py:Name`, `package.module:Name`, a name that an installed package brings, or a model file.
        arguments: What it is built with.
        offered: What it is built with besides, where it takes that: the torch device, a protocol.
        time_limit: Seconds that it may take for an image.
        folder: Current folder.
        search_path: Where its imports are looked for.
    """

    kind: PluginKind
    served: str
    target: str
    arguments: Mapping[str, Any]
    offered: Mapping[str, Any]
    time_limit: float
    folder: str = field(default_factory=os.getcwd)
    search_path: tuple[str, ...] = field(default_factory=lambda: tuple(str(Path(each).absolute()) for each in sys.path))

    def says(self, what: str) -> str:
        """A sentence about it: `Enhancer 'mine.py:f' failed.`."""
        return f"{self.kind.capitalize()} {self.target!r} {what}"

    @property
    def file(self) -> str | None:
        """The file that the target names; None where it names a module or a package's name."""
        place = self.target.rpartition(":")[0]
        return str(Path(self.folder, place).expanduser().resolve()) if place.endswith(".py") else None

    @property
    def failure(self) -> type[DuskbenchError]:
        """The error of its kind."""
        return FAILURES[self.kind]


def seconds_an_image(seconds: float | None = None) -> float:
    """Seconds that foreign code may take for an image.

    Args:
        seconds: What the caller wants; None takes $DUSKBENCH_TIME_LIMIT, or 600 where that is not set.

    Raises:
        ConfigError: It is no number above 0.
    """
    value = seconds if seconds is not None else os.environ.get("DUSKBENCH_TIME_LIMIT") or DEFAULT_TIME_LIMIT
    try:
        limit = float(value)
    except (TypeError, ValueError):
        limit = 0.0
    # Written so that NaN is refused as well.
    if not limit > 0:
        raise ConfigError(
            "The time limit of plug-ins is no number of seconds.",
            where="time_limit" if seconds is not None else "$DUSKBENCH_TIME_LIMIT",
            expected="a number above 0",
            got=repr(value),
        )
    return limit
