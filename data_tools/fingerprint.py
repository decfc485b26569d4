"""Fingerprints: what a stored result depends on, hashed."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from duskbench.data_tools.files import file_sha256

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


@dataclass(frozen=True)
class Named:
    """Code from outside the project, with the place where a specification names it.

    Attributes:
        code: The function, class or object.
        module: The module that is named.
        name: What the code is called in it.
    """

    code: Any
    module: ModuleType
    name: str


def fingerprint(code: object, arguments: Mapping[str, Any], weights: Mapping[str, str] | None = None) -> str:
    """Hash a code object, its arguments and its weights.

    Args:
        code: The function or class that does the work, or an object or `functools.partial` that can be called. Its
            qualified name counts, and the source of its module and of all modules of the same package that this one
            imports, directly or not (for a file that belongs to no package: of the modules beside it): an edited method
            never reads its predecessor's results.
        arguments: Its arguments; values that JSON does not know count by their `repr`.
        weights: Name -> sha256 of each weight file.

    Returns:
        64 hexadecimal digits.
    """
    defined = definition_of(code)
    content: dict[str, Any] = {
        "code": f"{_module_name(defined)}:{getattr(defined, '__qualname__', '')}",
        "sources": source_hashes(defined),
        "arguments": dict(arguments),
        "weights": dict(weights or {}),
    }
    if isinstance(code, partial):
        content["bound"] = [code.args, code.keywords]
    return _digest(content)


def plugin_fingerprint(own: str, named: Named, files: Mapping[str, str]) -> str:
    """Hash a plug-in: what it says of itself, and how it was asked for.

    By itself it may not tell who it is: all functions that a factory makes have one qualified name and one source, an
    object has those of its class, and either may lie in another module than the one that made it what it is.

    Args:
        own: The fingerprint that it has by its own code and arguments.
        named: The place where it is named; the source there counts, and that of what is imported there.
        files: Name -> sha256 of the files that its arguments name.

    Returns:
        64 hexadecimal digits.
    """
    place = f"{_module_name(named.module)}:{named.name}"
    return _digest({"own": own, "named": place, "sources": source_hashes(named.module), "files": dict(files)})


def definition_of(code: object) -> object:
    """Where it is written what some code does: of a `functools.partial` what it calls, of an object its class."""
    while isinstance(code, partial):
        code = code.func
    return code if hasattr(code, "__qualname__") or inspect.ismodule(code) else type(code)


def identity(arguments: Mapping[str, Any], weights: Mapping[str, str]) -> str:
    """Hash arguments and weights without the code: what a frozen model is, also after its adapter was edited.

    A fingerprint says which stored rows may be used again; an identity says which runs may be compared, so that an edit
    which moves the numbers is seen as a change of the numbers.

    Returns:
        64 hexadecimal digits.
    """
    return _digest({"arguments": dict(arguments), "weights": dict(weights)})


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=_text).encode()).hexdigest()


def _text(value: object) -> str:
    """A value that JSON does not know, without its place in memory, which is another one in each process."""
    return _ADDRESS.sub("", repr(value))


def argument_files(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Argument -> sha256 of the file that it names, for those that name one: a retrained checkpoint is another one."""
    return {
        f"file of {key}": file_sha256(value)
        for key, value in arguments.items()
        if isinstance(value, str | Path) and value and len(str(value)) < 1024 and Path(value).is_file()
    }


def source_hashes(code: object) -> dict[str, str]:
    """Module name -> sha256 of what the source of each module says that `code` is made of; empty without a file.

    Comments, docstrings and layout do not count.

    An installed package does not change under its version, so of such a one the version stands for all sources.
    """
    module = inspect.getmodule(code)
    file = getattr(module, "__file__", None)
    if module is None or file is None or not file.endswith(".py"):
        return {}
    package = _package(module.__name__)
    if "site-packages" in Path(file).parts:
        distribution = package.partition(".")[0]
        return {distribution: _installed_version(distribution)}
    folder = Path(file).parent if "." not in module.__name__ else None
    hashes: dict[str, str] = {}
    pending = [(_module_name(code), Path(file))]
    while pending:
        name, path = pending.pop()
        if name in hashes:
            continue
        hashes[name], imported = _read_source(path.read_bytes())
        for found in imported:
            place = _file_of(found, package) or (beside(folder, found) if folder is not None else None)
            if place is not None:
                pending.append((found, place))
    return hashes


def _module_name(code: object) -> str:
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
    """Names of all modules that a source may import, at its top or inside its functions; none if it does not parse."""
    return _imports_of(_parsed(source))


def _imports_of(tree: ast.Module | None) -> Iterator[str]:
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield node.module
            # `from package import module` and `from module import name` look the same.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file_of(name: str, package: str) -> Path | None:
    """The file of a module of a package; nothing is imported to find it."""
    if _package(name) != package:
        return None
    top = sys.modules.get(name.partition(".")[0])
    file = getattr(top, "__file__", None)
    return None if file is None else beside(Path(file).parent.parent, name)
