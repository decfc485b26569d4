"""Which top-level settings of a training configuration have an effect, and an error for those set without one.

A configuration is a program: a variable such as `data_root` is read while the file is, and its value goes into the
settings that the training reads. Whoever sets the variable afterwards, on the command line or in a file that builds on
this one, changes nothing.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from duskbench.data_tools.errors import ConfigError

# Of the last part of a setting's address, and its value.
_IsPlace = Callable[[str, Any], bool]
# What mmengine's Runner reads besides its arguments.
_READ_BY_RUNNER = {
    "activation_checkpointing", "compile", "efficient_conv_bn_eval", "find_unused_parameters", "model_wrapper_cfg",
    "runner_type", "sync_bn",
}  # fmt: skip
# Its arguments that duskbench sets for each run, from options and surroundings.
_SET_FOR_A_RUN = {"self", "cfg", "work_dir", "resume", "launcher", "experiment_name"}
# What other programs than a training read, and mmengine while it reads a file.
_READ_ELSEWHERE = {"_base_", "custom_imports", "detector", "tta_model", "tta_pipeline"}


def runner_settings() -> frozenset[str]:
    """The top-level settings that mmengine's Runner reads."""
    from mmengine.runner import Runner

    return frozenset(inspect.signature(Runner.__init__).parameters.keys() - _SET_FOR_A_RUN | _READ_BY_RUNNER)


def check_overrides(config: Config, cfg_options: Mapping[str, Any], effective: Collection[str]) -> None:
    """Refuse values for what nothing reads any more, and for a whole part of the configuration.

    Args:
        config: As its file says it.
        cfg_options: Dotted key -> value.
        effective: Top-level settings that are read.

    Raises:
        ConfigError: A value would have no effect; names the settings that got the variable's. Or a word or number would
            take the place of a dict.
    """
    for key, given in cfg_options.items():
        part = _part(config, key)
        if isinstance(part, Mapping) and not isinstance(given, Mapping | None):
            raise ConfigError(
                f"{key!r} is no single value.",
                where=config.filename,
                expected=", ".join(f"{key}.{name}=..." for name in part),
                got=f"{key}={given!r}",
            )
        name = key.partition(".")[0]
        if name not in effective:
            raise _without_effect(name, config, effective, _holding(config, name), got=key)


def check_file(config: Config, effective: Collection[str]) -> None:
    """Refuse a file that sets what nothing reads: a variable of the file that it builds on, or a wrong name.

    A variable of its own that it uses itself is neither.

    Raises:
        ConfigError: It does.
    """
    path = Path(config.filename or "")
    source = path.read_text(encoding="utf-8") if path.suffix == ".py" and path.is_file() else ""
    tree = ast.parse(source)
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    assigned = {target.id: target.lineno for target in targets if isinstance(target, ast.Name)}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    inherited = config.text.removesuffix(source)
    for name in sorted(assigned.keys() - used - _READ_ELSEWHERE - set(effective)):
        overrides = re.search(rf"^{name}\s*=", inherited, re.MULTILINE)
        if "_base_" in assigned and (overrides or difflib.get_close_matches(name, effective, cutoff=0.8)):
            raise _without_effect(name, config, effective, _named(name), got=f"line {assigned[name]}: {name} = ...")


def _without_effect(name: str, config: Config, effective: Collection[str], is_place: _IsPlace, got: str) -> ConfigError:
    read = {key: config[key] for key in config if key in effective}
    places = list(dict.fromkeys(_places(read, is_place)))
    near = difflib.get_close_matches(name, effective)
    return ConfigError(
        f"Nothing reads {name!r} once the configuration is read, so a value for it has no effect.",
        where=config.filename,
        expected=f"values for {', '.join(places)}" if places else f"one of {', '.join(sorted(read))}",
        got=got,
        todo=f"did you mean {' or '.join(near)}?" if near and not places else None,
    )


def _part(values: Any, dotted: str) -> Any:
    """What stands at a dotted key, through dicts; None where nothing does."""
    for key in dotted.split("."):
        values = values.get(key) if isinstance(values, Mapping | Config) else None
    return values


def _places(values: Any, is_place: _IsPlace, address: str = "") -> Iterator[str]:
    """Addresses of settings, at any depth; what a plain list holds belongs to the list."""
    if address and is_place(address.rpartition(".")[2], values):
        yield address
    elif isinstance(values, Mapping):
        for key, value in values.items():
            yield from _places(value, is_place, f"{address}.{key}".removeprefix("."))
    elif isinstance(values, list | tuple):
        for number, value in enumerate(values):
            yield from _places(value, is_place, f"{address}.{number}" if isinstance(value, Mapping) else address)


def _holding(config: Config, name: str) -> _IsPlace:
    """Whether a setting has the value of a variable."""
    return lambda _, value: name in config and type(value) is type(config[name]) and bool(value == config[name])


def _named(name: str) -> _IsPlace:
    return lambda key, _: key == name
