"""Enhancers, detectors, metrics and data sets that installed packages bring along by entry point."""

from __future__ import annotations

import functools
import sys
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.fingerprint import Named
from duskbench.data_tools.plugins import raised_at

Kind = Literal["enhancer", "detector", "metric", "data set"]

GROUPS: dict[Kind, str] = {
    "enhancer": "duskbench.enhancers",
    "detector": "duskbench.detectors",
    "metric": "duskbench.metrics",
    "data set": "duskbench.datasets",
}


@dataclass(frozen=True)
class Installed:
    """A name that a package brings.

    Attributes:
        name: What it is called by.
        address: `package.module:Name` behind it.
        package: Name and version of the distribution.
        clash: Who else has the name; None where nobody does. Such a name cannot be used, only its address can.
    """

    name: str
    address: str
    package: str
    clash: str | None = None


def installed(kind: Kind, ours: Collection[str] = ()) -> list[Installed]:
    """All names that installed packages bring, sorted; nothing of them is imported.

    Args:
        kind: What to look for.
        ours: Names that duskbench has itself.
    """
    points = _points(GROUPS[kind], tuple(sys.path))
    listed = []
    for point in points:
        others = ["duskbench"] if point.name in ours else []
        others += [_package(other) for other in points if other.name == point.name and other is not point]
        listed.append(Installed(point.name, point.value, _package(point), " and ".join(others) or None))
    return listed


def find_installed(kind: Kind, name: str, ours: Collection[str] = ()) -> EntryPoint | None:
    """What a package brings under a name; None if no package does. Nothing of it is imported.

    Raises:
        ConfigError: Several bring the name, or one does and duskbench has it too.
    """
    points = [point for point in _points(GROUPS[kind], tuple(sys.path)) if point.name == name]
    if not points:
        return None
    owners = ["duskbench"] * (name in ours) + [f"{_package(point)} ({point.value})" for point in points]
    if len(owners) > 1:
        raise ConfigError(
            f"Several packages have {'an' if kind == 'enhancer' else 'a'} {kind} named {name!r}.",
            where=f"entry points of {GROUPS[kind]}",
            expected="one",
            got=" and ".join(owners),
            todo=f"name the one you mean by its address, as in {points[0].value}, or uninstall the other package",
        )
    return points[0]


def load_installed(kind: Kind, point: EntryPoint) -> Named:
    """Import what a package brings.

    Raises:
        ConfigError: It cannot be imported.
    """
    try:
        return Named(point.load(), sys.modules[point.module], point.attr)
    # Not only ImportError: its module may raise anything, or end the process.
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"The {kind} of an installed package cannot be imported.",
            where=f"{point.name} = {point.value}, of {_package(point)}",
            got=raised_at(error, None),
            todo="install what it needs, or uninstall it; the other names are not affected",
        ) from error


@functools.lru_cache
def _points(group: str, search_path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    # Reading every installed package's metadata takes a twentieth of a second.
    return tuple(sorted(entry_points(group=group), key=lambda point: (point.name, point.value)))


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unnamed package"
