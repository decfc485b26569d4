"""Errors say what, where, expected, got and what to do, also after a way through a pickle."""

from __future__ import annotations

import pickle

import pytest

from duskbench.data_tools.errors import DataError, DuskbenchError, UnknownNameError


def test_parts_are_named_lines() -> None:
    error = DataError("Broken.", where="a.txt:3", expected="a number", got="'x'", todo="mend it")
    assert str(error).splitlines() == [
        "Broken.",
        "  where: a.txt:3",
        "  expected: a number",
        "  got: 'x'",
        "  what to do: mend it",
    ]


@pytest.mark.parametrize(
    ("name", "near"), [("clahee", "clahe"), ("LIME", "lime"), ("zero-dce", "zero_dce"), ("quite else", None)]
)
def test_unknown_name_suggests(name: str, near: str | None) -> None:
    error = UnknownNameError("enhancer", name, ["lime", "clahe", "zero_dce", "lime"], where="run.py")
    assert error.expected == "one of clahe, lime, zero_dce"
    assert (near is None) == (error.todo is None)
    assert near is None or near in str(error.todo)


@pytest.mark.parametrize("error", [DataError("a", got="b"), UnknownNameError("enhancer", "limy", ["lime"])])
def test_survives_pickling(error: DuskbenchError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(again), str(again), again.todo) == (type(error), str(error), error.todo)


def test_a_place_is_filled_in_where_there_is_none() -> None:
    error = UnknownNameError("enhancer", "limy", ["lime"])
    placed = error.at("run.py")
    assert (type(placed), placed.where, placed.todo) == (UnknownNameError, "run.py", error.todo)
    assert "where: run.py" in str(placed) and "where" not in str(error)
    assert placed.at("elsewhere.py") is placed
