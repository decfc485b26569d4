"""What the modules say that some code is made of, hashed; nothing is imported to find them."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_PYTHON = Path(os.__file__).parent
_INSTALLED = {"site-packages", "dist-packages"}


def source_hashes(code: object) -> dict[str, str]:
    """Module name -> sha256 of what the source of each module says that `code` is made of; empty without a file.

    Comments, docstrings and layout do not count. Of duskbench's own code the modules of the same part count that it
    imports, directly or not, of other code all but duskbench's, wherever they lie: a plug-in may put another repository
    on the search path.

    An installed package does not change under its version, so of such a one the version stands for all sources.
    """
    module = inspect.getmodule(code)
    file = getattr(module, "__file__", None)
    if module is None or file is None or not file.endswith(".py"):
        return {}
    package = _package(module.__name__)
    if _is_installed(Path(file)):
        distribution = package.partition(".")[0]
        return {distribution: _installed_version(distribution)}
    folder = Path(file).parent if "." not in module.__name__ else None
    hashes: dict[str, str] = {}
    pending = [(module_name(code), Path(file))]
    while pending:
        name, path = pending.pop()
        if name in hashes:
            continue
        hashes[name], imported = _read_source(path.read_bytes())
        for found in (*_absolute(imported, name, path), *_packages_of(name)):
            if _is_part(found, package) and (place := _file_of(found, folder)) is not None:
                pending.append((found, place))
    return hashes


def module_name(code: object) -> str:
    """What its module is called; one that was loaded from a file by path, wherever it lies, as the file is."""
    name = code.__name__ if inspect.ismodule(code) else str(getattr(code, "__module__", ""))
    file = Path(getattr(inspect.getmodule(code), "__file__", None) or "")
    return file.stem if file.suffix == ".py" and "." not in name and file.stem != "__init__" else name


def _package(module: str) -> str:
    """What a module belongs to: its top package, of duskbench's own modules the part, `duskbench.pipeline`."""
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] == "duskbench" else 1])


@cache
def _read_source(source: bytes) -> tuple[str, tuple[str, ...]]:
    """Hash of what a source says, and what it may import. Most sources are part of many fingerprints."""
    tree = _parsed(source)
    imported = tuple(_imports_of(tree))
    # The bytes themselves where they do not parse.
    meaning = source if tree is None else repr(_plain(tree)).encode()
    return hashlib.sha256(meaning).hexdigest(), imported


def _parsed(source: bytes) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return None


def _plain(node: Any) -> Any:
    """A syntax tree as tuples, without docstrings, which it loses too.

    What is empty is left out, so that a field that a newer Python adds changes nothing.
    """
    if isinstance(node, ast.AST):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
        return (type(node).__name__, *((k, _plain(v)) for k, v in ast.iter_fields(node) if v is not None and v != []))
    if isinstance(node, list):
        return [_plain(each) for each in node]
    return node


def _installed_version(package: str) -> str:
    distributions = sorted(set(metadata.packages_distributions().get(package, ())))
    return ", ".join(f"{name} {metadata.version(name)}" for name in distributions)


def beside(folder: Path, name: str) -> Path | None:
    """The file of a module that lies in `folder`, as `name.py` or as a package; None if there is none."""
    place = folder.joinpath(*name.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def imported_names(source: bytes) -> Iterator[str]:
    """Names of all modules that a source may import, at its top or inside its functions; none if it does not parse.

    Relative imports are left out: what they find is not looked for by its name.
    """
    return (name for name in _imports_of(_parsed(source)) if not name.startswith("."))


def _imports_of(tree: ast.Module | None) -> Iterator[str]:
    """As they are written: relative ones begin with their dots."""
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dots, module = "." * node.level, node.module
            yield f"{dots}{module or ''}"
            # `from package import module` and `from module import name` look the same.
            yield from (f"{dots}{module}.{alias.name}" if module else f"{dots}{alias.name}" for alias in node.names)


def _absolute(imported: Iterable[str], module: str, path: Path) -> Iterator[str]:
    """What a module imports, by full names; what reaches out of its top package is nowhere."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for name in imported:
        with contextlib.suppress(ImportError):
            yield importlib.util.resolve_name(name, package)


def _packages_of(module: str) -> tuple[str, ...]:
    """The packages that a module lies in: their `__init__.py` run before it. Those of duskbench do nothing to it."""
    if module.startswith("duskbench."):
        return ()
    parts = module.split(".")
    return tuple(".".join(parts[:end]) for end in range(1, len(parts)))


def _is_part(name: str, package: str) -> bool:
    """Whether a module that some code imports is a part of it: see `source_hashes`."""
    ours = name.partition(".")[0] == "duskbench"
    return _package(name) == package if package.startswith("duskbench.") else not ours


def _file_of(name: str, folder: Path | None) -> Path | None:
    """The file of a module that is not installed: of one that is in use its own, else the one that Python would find.

    Nothing is imported to find it.

    Args:
        name: Of the module.
        folder: Of the code, where it belongs to no package: the module may lie beside it.
    """
    loaded = getattr(sys.modules.get(name), "__file__", None)
    if loaded is not None:
        found = Path(loaded)
        # What is in use may be compiled, or lie in an archive.
        return found if found.suffix == ".py" and found.is_file() and not _is_installed(found) else None
    # A package without `__init__.py` has no file, and may lie in several folders.
    package = [Path(each).parent for each in getattr(sys.modules.get(name.partition(".")[0]), "__path__", ())]
    folders = package or [*([] if folder is None else [folder]), *map(Path, sys.path)]
    files = (beside(each, name) for each in folders if not _is_installed(each))
    return next((file for file in files if file is not None), None)


def _is_installed(place: Path) -> bool:
    """Whether a file or folder is Python's own, or of an installed package."""
    return not _INSTALLED.isdisjoint(place.parts) or place.is_relative_to(_PYTHON)
