"""What a specification says: a target and its arguments."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.file_states import is_file
from duskbench.data_tools.settings import plain

# Behind `name`, `file.py:Name`, `package.module:Name` or `model.onnx`, if wanted.
_ARGUMENTS = re.compile(r"(\((?P<arguments>.*)\))?", re.DOTALL)
# What stands behind these is taken as it is, brackets and all.
_VERBATIM: dict[str, str] = {"dir": "path", "cmd": "command"}
# Unless it is quoted as a whole: then arguments may follow.
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<text>.*)(?P=quote)\s*(\((?P<arguments>.*)\))?""", re.DOTALL)


def parse_spec(spec: str) -> tuple[str, dict[str, Any]]:
    """Split `target(key=value, ...)` into target and arguments; values are Python literals.

    `dir:FOLDER` and `cmd:COMMAND LINE` take no arguments behind them, and neither does the path of an existing file, so
    that brackets may occur in all three; quoted as a whole they do, `cmd:"python theirs.py {in} {out}"(timeout=60)`.

    Raises:
        ConfigError: The text is not of that form.
    """
    kind, colon, rest = spec.strip().partition(":")
    if colon and kind in _VERBATIM:
        quoted = _QUOTED.fullmatch(rest)
        if quoted is None or quoted["quote"] in quoted["text"]:
            return kind, {_VERBATIM[kind]: rest}
        return kind, {_VERBATIM[kind]: quoted["text"], **_arguments(quoted["arguments"], spec)}
    if "(" in spec and _names_file(spec):
        return spec, {}
    # Folders may have brackets in their names as well.
    opening = [bracket.start() for bracket in re.finditer(r"\(", spec)]
    start = next((each for each in opening if _names_file(spec[:each])), opening[0] if opening else len(spec))
    match = _ARGUMENTS.fullmatch(spec[start:].strip())
    if match is None or not spec[:start].strip():
        raise _unreadable(spec, "it does not end with the closing bracket" if opening else "nothing")
    return spec[:start].strip(), _arguments(match["arguments"], spec)


def _names_file(target: str) -> bool:
    """Whether it is the path of a file, or of one with a name of what is in it, `file.py:Name`."""
    place, _, name = target.strip().rpartition(":")
    return is_file(target.strip()) or ("(" not in name and is_file(place))


def _arguments(text: str | None, spec: str) -> dict[str, Any]:
    try:
        call = ast.parse(f"_({text or ''})", mode="eval").body
        named = isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        if not isinstance(call, ast.Call) or not named or call.args or any(k.arg is None for k in call.keywords):
            raise ValueError("arguments need names: key=value")
        _check_once([str(k.arg) for k in call.keywords], spec)
        return {str(k.arg): plain(_literal(k), str(k.arg), spec) for k in call.keywords}
    except (ValueError, SyntaxError) as error:
        raise _unreadable(spec, str(error)) from error


def _check_once(names: list[str], spec: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"The argument {name!r} is given more than once.",
                where=spec,
                expected="each argument once",
                got=f"{names.count(name)} values",
            )


def _literal(keyword: ast.keyword) -> Any:
    try:
        return ast.literal_eval(keyword.value)
    except ValueError:
        raise ValueError(f"{keyword.arg}={ast.unparse(keyword.value)}, which is no literal") from None


def _unreadable(spec: str, got: str) -> ConfigError:
    return ConfigError(
        "Cannot read the specification.",
        where=spec,
        expected="name, or name(key=value, ...) with Python literals as values",
        got=got,
        todo="put paths and other texts in quotes: \"name(weights='w.pth')\"" if "=" in spec else None,
    )


def split_spec(spec: Any, kind: str) -> tuple[Any, dict[str, Any]]:
    """Target and arguments of a specification in any form.

    Args:
        spec: A text for `parse_spec`; a dict `{"type": <such a text or a callable>, **arguments}`; or anything else,
            which is then the target itself.
        kind: "enhancer" or "detector", for the error.

    Raises:
        ConfigError: A dict has no type, or a text is not of `parse_spec`'s form.
    """
    given: dict[str, Any] = {}
    if isinstance(spec, Mapping):
        given = dict(spec)
        if given.get("type") is None:
            raise ConfigError(
                f"The configuration of the {kind} has no type.", expected="dict(type=..., ...)", got=repr(spec)
            )
        spec = given.pop("type")
    if not isinstance(spec, str):
        return spec, given
    target, arguments = parse_spec(spec)
    return target, {**arguments, **given}
