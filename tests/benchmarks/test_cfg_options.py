"""Settings on the command line: what a value means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from duskbench.benchmarks.cfg_options import parse_cfg_options
from duskbench.data_tools.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-2.5e-4", -2.5e-4),
        ("True", True),
        ("false", False),
        ("None", None),
        ("", ""),
        ("a=b", "a=b"),
        # mmengine's reader would take out the blanks.
        ("/my photos/night 1", "/my photos/night 1"),
        ("~/o'brien/a (2).png", "~/o'brien/a (2).png"),
        ("/odd/(name", "/odd/(name"),
        ("'2024'", "2024"),
        ('"a, b"', "a, b"),
        ("1,2", [1, 2]),
        ("gamma, he", ["gamma", "he"]),
        ("[a]", ["a"]),
        ("a,", ["a"]),
        ("[]", []),
        ("()", ()),
        ("(1, 2)", (1, 2)),
        ("[(1, 2), [a b, 'c,d'], None]", [(1, 2), ["a b", "c,d"], None]),
        ("(1,2),(3,4)", [(1, 2), (3, 4)]),
        ("['/my photos','data/x']", ["/my photos", "data/x"]),
        ("gamma(gamma=2,x='a,b)'),he", ["gamma(gamma=2,x='a,b)')", "he"]),
        ('[cmd:"python a.py {in} {out}",input]', ['cmd:"python a.py {in} {out}"', "input"]),
    ],
)
def test_what_a_value_means(text: str, value: Any) -> None:
    parsed = parse_cfg_options([f"a.b={text}"], {"a": {"b": 1}}, Path("x.py"))["a.b"]
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1,2", r"no \] at the end"),
        ("[1,2)", r"'\)' closes nothing"),
        ("1,2]", r"'\]' closes nothing"),
        ("'a,b", "no ' at the end"),
        ("dict(a=1)", "a dict"),
        ("[dict(type='A',b=1)]", "a dict"),
        ("{'a': 1}", "a dict"),
    ],
)
def test_a_value_that_cannot_be_read(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"(?s)cannot be read.*got: a=.*{said}"):
        parse_cfg_options([f"a={text}"], {"a": 1}, Path("x.py"))


def test_plain_values_are_those_of_mmengine() -> None:
    from argparse import ArgumentParser

    from mmengine.config import DictAction

    options = [f"k{n}={text}" for n, text in enumerate(["1", "1.5", "a", "a,b", "[1,(2,3)]", "(1,)", "true", "None"])]
    parser = ArgumentParser()
    parser.add_argument("--o", nargs="+", action=DictAction)
    theirs = parser.parse_args(["--o", *options]).o
    assert parse_cfg_options(options, dict.fromkeys(theirs), Path("x.py")) == theirs
