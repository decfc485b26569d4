"""`--cfg-options a.b=c`: settings over a configuration, as mmdet's tools write them.

mmengine's own reader of them takes all blanks and the outer quotes out of every value: `data.root=/my photos` becomes
another folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from duskbench.data_tools.errors import ConfigError, UnknownNameError

_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_WORDS = {"true": True, "false": False}


def parse_cfg_options(cfg_options: Sequence[str], config: Mapping[str, Any], where: Path) -> dict[str, Any]:
    """Parse `a.b=c` settings, and check that their keys belong to a configuration.

    Raises:
        ConfigError: An option is not `key=value`, or its value cannot be read.
        UnknownNameError: An option's key is not in the configuration.
    """
    parsed = {}
    for option in cfg_options:
        key, equals, text = option.partition("=")
        if not equals:
            raise ConfigError("A --cfg-options setting is not of the form.", expected="a.b=c", got=repr(option))
        _check_path(config, key, where)
        try:
            parsed[key] = parse_value(text)
        except ValueError as error:
            raise ConfigError(
                "A --cfg-options setting has a value that cannot be read.",
                expected="a number, True, False, None, a text, or a list of these: 1,2 or [1,2] or (1,2)",
                got=f"{option}: {error}",
                todo="put quotes inside the value round a text with commas or brackets, as in \"a.b='c,d'\"; write a "
                "dict into a configuration file that begins with _base_ = [...]",
            ) from error
    return parsed


def parse_value(text: str) -> Any:
    """Read a number, True, False, None, a list in commas or square brackets, a tuple in round ones, or else a text.

    Blanks round a value do not belong to it, those inside do. Quotes round a text make it a text, whatever is in it.

    Raises:
        ValueError: Brackets do not match, or it is a dict.
    """
    text = text.strip()
    if text[:1] in ("[", "(", "'", '"') or "," in text:
        items = list(_split(text))
        if len(items) != 1 or text.endswith(","):
            return [parse_value(item) for item in items]
        text = items[0]
        if text[:1] in ("'", '"') and text[-1:] == text[:1] and len(text) > 1:
            return text[1:-1]
        if text[:1] in ("[", "(") and text[-1:] == _BRACKETS[text[0]]:
            inside = [parse_value(item) for item in _split(text[1:-1])]
            return tuple(inside) if text[0] == "(" else inside
    if text.startswith(("dict(", "{")):
        raise ValueError("a dict")
    return _plain(text)


def _split(text: str) -> Iterator[str]:
    """The parts between commas outside brackets and quotes; a comma at the end begins no further one.

    A quote counts where a part, or something in brackets, begins or a value of a name does; an apostrophe does not.
    """
    closing, quote, begin, before = [], "", 0, ","
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"" and before in ",=([{":
            quote = sign
        elif sign in _BRACKETS:
            closing.append(_BRACKETS[sign])
        elif sign in _BRACKETS.values():
            if not closing or closing.pop() != sign:
                raise ValueError(f"{sign!r} closes nothing")
        elif sign == "," and not closing:
            yield text[begin:place].strip()
            begin = place + 1
        before = before if sign == " " else sign
    if closing or quote:
        raise ValueError(f"no {quote or closing[-1]} at the end")
    if text[begin:].strip():
        yield text[begin:].strip()


def _plain(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return None if text == "None" else _WORDS.get(text.lower(), text)


def _check_path(values: Any, dotted: str, path: Path) -> None:
    """The parents of a dotted key must exist; a new key may be added to a dict that is there, but not at the top."""
    keys = dotted.split(".")
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        if isinstance(values, Mapping):
            if key not in values and (depth == 0 or not last):
                raise UnknownNameError("configuration key", ".".join(keys[: depth + 1]), values, where=path)
            values = values.get(key)
        elif isinstance(values, list) and key.isdigit() and int(key) < len(values):
            values = values[int(key)]
        else:
            return
