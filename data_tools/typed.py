"""Dataclasses from the values of JSON, each field of the type that its class says."""

from __future__ import annotations

import json
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

_T = TypeVar("_T")


def strict_json(text: str) -> Any:
    """The values of JSON; NaN and infinity, which JSON has not, are errors.

    Raises:
        ValueError: It is no JSON.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number of JSON")

    return json.loads(text, parse_constant=refuse)


def from_values(kind: type[_T], values: Any) -> _T:
    """Build a dataclass; fields may be dataclasses, lists of them, dicts, unions and literals.

    Args:
        kind: The class. Its annotations must have a meaning where it is defined.
        values: A dict of its fields, whose values may be built already.

    Raises:
        TypeError: A value is not of its field's type, or a field is unknown or absent.
    """
    built: _T = _value(kind, values, kind.__name__)
    return built


def _value(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind) and isinstance(value, Mapping):
        return _dataclass(kind, value, where)
    if origin in (Union, types.UnionType):
        return _one_of(arguments, value, where)
    if origin is tuple and isinstance(value, list | tuple):
        kinds = arguments[:1] * len(value) if arguments[1:] == (...,) else arguments
        if len(kinds) == len(value):
            return tuple(_value(k, each, f"{where}[{n}]") for n, (k, each) in enumerate(zip(kinds, value, strict=True)))
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {_value(arguments[0], k, where): _value(arguments[1], v, f"{where}[{k!r}]") for k, v in value.items()}
    if _is_right(kind, value):
        return value
    raise TypeError(f"{where}: {value!r} is no {getattr(kind, '__name__', kind)}"[:300])


def _one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    failures = []
    for kind in kinds:
        try:
            return _value(kind, value, where)
        except TypeError as error:
            failures.append(error)
    raise failures[0]


def _dataclass(kind: Any, values: Mapping[str, Any], where: str) -> Any:
    hints = _hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise TypeError(f"{where}: unknown field {', '.join(unknown)}"[:300])
    return kind(**{name: _value(hints[name], value, f"{where}.{name}") for name, value in values.items()})


def _is_right(kind: Any, value: Any) -> bool:
    """Whether a value may stay as it is."""
    if get_origin(kind) is Literal:
        return any(type(value) is type(each) and value == each for each in get_args(kind))
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return kind is Any or (isinstance(kind, type) and type(value) is kind)


@cache
def _hints(kind: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(kind)
