"""What a configuration names by `type`: networks, training methods, hooks and data sets, imported when named."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

PACKAGES = ("networks", "training", "enhancers")
# What is registered with mmdet is imported by the detectors that are made of it.
_OURS = re.compile(r"^from mmengine\.registry import ", re.MULTILINE)
_REGISTERED = re.compile(
    r'^@[A-Z_]+\.register_module\((?:"(?P<name>\w+)")?\)\n(?:class|def) (?P<code>\w+)', re.MULTILINE
)


@cache
def registered(*packages: str) -> Mapping[str, str]:
    """What the modules of some of `pipeline`'s packages register with mmengine, read off their sources.

    The decorator `@MODELS.register_module()` is the only entry that it needs; importing all modules to find out would
    cost every start of an enhancer.

    Returns:
        Name -> module, by name.
    """
    found = {}
    for package in packages:
        address = f"duskbench.pipeline.{package}"
        for path in (
            path for folder in importlib.import_module(address).__path__ for path in Path(folder).glob("*.py")
        ):
            source = path.read_text(encoding="utf-8")
            if _OURS.search(source):
                names = (match["name"] or match["code"] for match in _REGISTERED.finditer(source))
                found.update(dict.fromkeys(names, f"{address}.{path.stem}"))
    return dict(sorted(found.items()))


def import_named(config: Any) -> None:
    """Import whatever of duskbench's a configuration names by `type`, at any depth, and nothing else."""
    if isinstance(config, Mapping):
        module = registered(*PACKAGES).get(str(config.get("type")))
        if module is not None:
            importlib.import_module(module)
        config = list(config.values())
    if isinstance(config, list | tuple):
        for value in config:
            import_named(value)
