"""Names and what they stand for: one table each for enhancers, detectors, metrics and data sets."""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duskbench.data_tools.entry_points import Installed, Kind, find_installed, installed, load_installed
from duskbench.data_tools.errors import ConfigError, DuskbenchError, UnknownNameError
from duskbench.data_tools.fingerprint import Named
from duskbench.data_tools.hub import is_hub_address
from duskbench.data_tools.plugins import find_plugin, raised_at
from duskbench.data_tools.settings import check_setting


@dataclass(frozen=True)
class Entry:
    """What a registered name stands for.

    Attributes:
        address: `package.module:Name`, imported when it is asked for.
        label: How tables spell it; None for the name itself.
    """

    address: str
    label: str | None = None


class Registry(Mapping[str, Entry]):
    """Registered names of one kind, and the way from a specification to its code.

    Code that is not duskbench's own is imported in a process of its own; see `duskbench.data_tools.host`.

    Args:
        kind: What is registered; errors and the entry points are named after it.
        entries: Name -> entry.
    """

    def __init__(self, kind: Kind, entries: Mapping[str, Entry]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def installed(self) -> list[Installed]:
        """What installed packages bring by entry point."""
        return installed(self.kind, self._entries)

    def is_foreign(self, target: str) -> bool:
        """Whether a target's code is not duskbench's own; nothing is imported to find out.

        Raises:
            UnknownNameError: No such name.
            ConfigError: Several packages bring the name, or it is a file's alone.
        """
        if find_installed(self.kind, target, self._entries) is not None:
            return True
        if target in self._entries:
            return False
        if ":" in target:
            return True
        if target.endswith(".py"):
            raise ConfigError(
                "A file is named without what to take from it.",
                where=target,
                expected=f"{target}:NAME, a function or class in the file",
                got="no name",
            )
        raise UnknownNameError(self.kind, target, [*self._entries, *(each.name for each in self.installed())])

    def load(self, name: str) -> Any:
        """The code of a registered name."""
        module, _, attribute = self._entries[name].address.partition(":")
        return getattr(importlib.import_module(module), attribute)

    def label(self, target: str) -> str:
        """How tables spell a target; of a plug-in what stands behind its file's path."""
        if target in self._entries:
            return self._entries[target].label or target
        if target.startswith(("dir:", "cmd:")):
            return target
        head, bracket, arguments = target.partition("(")
        plain = ":" not in head or is_hub_address(head)
        return (Path(head).name if plain else head.rpartition(":")[2]) + bracket + arguments

    def labels(self, targets: Iterable[str]) -> dict[str, str]:
        """Each target once, with what to call it beside the others: its label, or itself where two have the same."""
        labels = {target: self.label(target) for target in targets}
        shared = Counter(labels.values())
        return {target: label if shared[label] == 1 else target for target, label in labels.items()}


def load_foreign(kind: Kind, target: str) -> Any:
    """Import what is not duskbench's own, as `load_named`; the code alone."""
    return load_named(kind, target).code


def load_named(kind: Kind, target: str) -> Named:
    """Import what is not duskbench's own: what a package brings under a name, or `find_plugin`'s; errors as there."""
    point = find_installed(kind, target)
    return find_plugin(target) if point is None else load_installed(kind, point)


def build(code: Any, name: str, arguments: Mapping[str, Any], **offered: Any) -> Any:
    """Call a class or function with arguments that are checked first.

    Args:
        code: What to call.
        name: For errors.
        arguments: What the user gave.
        offered: Further arguments, passed where the code has such a parameter and the user gave none.

    Raises:
        UnknownNameError: An argument that the code does not take.
        ConfigError: It refuses their values.
    """
    parameters = check_arguments(code, name, arguments)
    taken = {key: value for key, value in offered.items() if key in parameters}
    try:
        return code(**{**taken, **arguments})
    except DuskbenchError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(
            "Cannot build it with these arguments.",
            where=name,
            got=f"{raised_at(error, code)}; {dict(arguments)}",
        ) from error


def check_arguments(code: Any, name: str, arguments: Mapping[str, Any]) -> Mapping[str, inspect.Parameter]:
    """The parameters of some code.

    Raises:
        UnknownNameError: It does not take one of the arguments.
        ConfigError: One is a word where the code says bool: Python takes any for True, "False" too.
    """
    parameters = inspect.signature(code).parameters
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    for key, value in arguments.items():
        if key not in parameters and not open_ended:
            raise UnknownNameError("argument", key, parameters, where=name)
        if key in parameters and parameters[key].annotation in (bool, "bool"):
            check_setting(name, key, value, not isinstance(value, str), "True or False")
    return parameters
