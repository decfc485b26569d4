"""Dataclasses from JSON, each field of its type."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from duskbench.data_tools.typed import from_values, strict_json


@dataclass(frozen=True)
class Part:
    value: float
    low: float | None = None


@dataclass(frozen=True)
class Whole:
    name: str
    kind: Literal["a", "b"] = "a"
    parts: tuple[Part, ...] = ()
    box: tuple[float, float] = (0.0, 0.0)
    by_name: dict[str, Part] = field(default_factory=dict)
    spec: str | dict[str, Any] = ""
    count: int = 0
    flag: bool | None = None


def test_a_whole_one() -> None:
    values = strict_json(
        '{"name": "x", "kind": "b", "parts": [{"value": 1}], "box": [1, 2.5],'
        ' "by_name": {"p": {"value": 2, "low": null}}, "spec": {"type": "y", "n": [1]}, "count": 3, "flag": true}'
    )
    expected = Whole("x", "b", (Part(1),), (1, 2.5), {"p": Part(2)}, {"type": "y", "n": [1]}, 3, True)
    assert from_values(Whole, values) == expected == from_values(Whole, vars(expected))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "name"),
        ({"name": 5}, "Whole.name: 5 is no str"),
        ({"name": "x", "other": 1}, "unknown field other"),
        ({"name": "x", "kind": "c"}, "Whole.kind"),
        ({"name": "x", "parts": {"value": 1}}, "Whole.parts"),
        ({"name": "x", "parts": [{"value": "1"}]}, r"Whole.parts\[0\].value"),
        ({"name": "x", "parts": [{"value": True}]}, r"Whole.parts\[0\].value"),
        ({"name": "x", "parts": [{"value": float("inf")}]}, "value: inf"),
        ({"name": "x", "box": [1]}, "Whole.box"),
        ({"name": "x", "by_name": {"p": 3}}, r"Whole.by_name\['p'\]"),
        ({"name": "x", "spec": 3}, "Whole.spec"),
        ({"name": "x", "count": 1.0}, "Whole.count"),
        ({"name": "x", "count": True}, "Whole.count"),
        ({"name": "x", "flag": 1}, "Whole.flag"),
        ([], "is no Whole"),
    ],
)
def test_what_is_not_of_its_type(values: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        from_values(Whole, values)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "{"])
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"no number of JSON|Expecting"):
        strict_json(text)
