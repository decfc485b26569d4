"""Fingerprints: what a stored result depends on, hashed."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

from duskbench.data_tools.file_states import is_file
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.module_sources import module_name, source_hashes
from duskbench.data_tools.named_files import folder_sha256, is_read_folder, named_paths

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
            qualified name counts, and the source of its module and of what this one imports, see `source_hashes`: an
            edited method never reads its predecessor's results.
        arguments: Its arguments; values that JSON does not know count by their `repr`.
        weights: Name -> sha256 of each weight file.

    Returns:
        64 hexadecimal digits.
    """
    defined = definition_of(code)
    content: dict[str, Any] = {
        "code": f"{module_name(defined)}:{getattr(defined, '__qualname__', '')}",
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
    place = f"{module_name(named.module)}:{named.name}"
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
    return hashlib.sha256(json.dumps(_sortable(content), sort_keys=True, default=_text).encode()).hexdigest()


def _sortable(value: Any) -> Any:
    """A value with texts as the keys of every dict in it: keys of several kinds have no order."""
    if isinstance(value, dict):
        are_texts = all(isinstance(key, str) for key in value)
        return {key if are_texts else repr(key): _sortable(each) for key, each in value.items()}
    return [_sortable(each) for each in value] if isinstance(value, list | tuple) else value


def _text(value: object) -> str:
    """A value that JSON does not know, without its place in memory, which is another one in each process."""
    return _ADDRESS.sub("", repr(value))


def argument_files(arguments: Mapping[str, Any], code: object = None) -> dict[str, str]:
    """Hash the files that arguments name, also in lists and dicts: a retrained checkpoint is another one.

    Args:
        arguments: What was given.
        code: The function or class from outside the project that takes them; its default values are looked at like
            them, and folders are looked into. Of duskbench's own code folders do not count: a word like "rgb" may be
            the name of one.

    Returns:
        Argument -> sha256 of the file, or of what the folder holds.
    """
    hashes = {}
    for key, path in named_paths({**_defaults(code), **arguments}):
        if is_file(path):
            hashes[f"file of {key}"] = file_sha256(path)
        elif code is not None and is_read_folder(key, path):
            hashes[f"folder of {key}"] = folder_sha256(path)
    return hashes


def _defaults(code: object) -> dict[str, Any]:
    try:
        parameters = inspect.signature(code).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):
        # None, and what is written in another language.
        return {}
    return {name: each.default for name, each in parameters.items() if each.default is not inspect.Parameter.empty}
