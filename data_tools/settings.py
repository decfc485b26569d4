"""Checks of settings."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from duskbench.data_tools.errors import ConfigError, UnknownNameError


def is_whole(value: object, least: int | None = None) -> bool:
    """Whether a setting is a whole number of at least `least`; True, which Python counts as 1, is none."""
    return isinstance(value, int) and not isinstance(value, bool) and (least is None or value >= least)


def check_setting(of: str, key: str, value: object, fine: bool, expected: str) -> None:
    """Refuse a setting that is out of range.

    Args:
        of: What it is a setting of, for the error.
        key: Its name.
        value: What was given.
        fine: Whether it may be that.
        expected: What it may be.

    Raises:
        ConfigError: It is not fine.
    """
    if not fine:
        raise ConfigError(f"{of}'s {key} is out of range.", where=key, expected=expected, got=repr(value))


def check_keys(given: Iterable[str], known: Collection[str], kind: str, where: str | Path | None = None) -> None:
    """Refuse a setting that does not exist.

    Args:
        given: Names of settings.
        known: Those that there are.
        kind: What they are, for the error.
        where: Where they were given, likewise.

    Raises:
        UnknownNameError: One is not known; the error has the nearest ones.
    """
    for key in given:
        if key not in known:
            raise UnknownNameError(kind, key, known, where=where)


def is_pair(value: object, least: float) -> TypeGuard[Sequence[float]]:
    """Whether a setting is two numbers of at least `least`."""
    return isinstance(value, list | tuple) and len(value) == 2 and all(is_number(n) and n >= least for n in value)


def plain(value: Any, key: str, where: str | Path) -> Any:
    """A setting as a record of it can be kept in JSON: a path becomes its text, and whatever is not plain is an error.

    Args:
        value: The setting; lists, tuples and dicts are looked into.
        key: What it is called, for the error.
        where: Where it was given, likewise.

    Raises:
        ConfigError: It is, or has in it, something else than texts, finite numbers, True, False, None, lists and dicts,
            or a dict with keys of several kinds.
    """
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, list | tuple):
        return type(value)(plain(each, f"{key}[{number}]", where) for number, each in enumerate(value))
    # The record sorts the keys, and texts and numbers have no order.
    if isinstance(value, Mapping) and any(all(isinstance(each, kind) for each in value) for kind in (str, int)):
        return {name: plain(each, f"{key}.{name}", where) for name, each in value.items()}
    raise ConfigError(
        "A setting cannot be kept in the record of a run.",
        where=where,
        expected=f"{key} = a text, a path, a finite number, True, False, None, or a list or dict of these; "
        "keys all texts or all whole numbers",
        got=repr(value)[:100],
    )


def is_number(value: object) -> TypeGuard[float]:
    """Whether a setting is a finite number; True, which Python counts as 1, is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_share(value: object) -> bool:
    """Whether a setting is a number from 0 to 1."""
    return is_number(value) and 0 <= value <= 1
