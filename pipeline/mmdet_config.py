"""Reading of mmdet and mmengine configs, for detectors and for trainings."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.module_sources import source_hashes
from duskbench.data_tools.plugins import raised_at
from duskbench.pipeline.config_settings import check_overrides, runner_settings
from duskbench.pipeline.mmcv_ops import provide_mmcv_ops


def load_config(
    config: str | Path | Config,
    cfg_options: Mapping[str, Any] | None = None,
    effective: Collection[str] | None = None,
) -> Config:
    """Read an mmdet config, with values replaced.

    Args:
        config: A path, a loaded config (copied), or `mmdet::<path>` for one that mmdet brings along.
        cfg_options: Dotted key -> value.
        effective: Top-level settings that have an effect; None for those that mmengine's Runner reads.

    Raises:
        ConfigError: No such file, or it cannot be read; a value does not fit, or would have no effect.
    """
    provide_mmcv_ops()
    if isinstance(config, Config):
        # Config.copy shares nested values.
        loaded = copy.deepcopy(config)
    else:
        loaded = read_config(_packaged(str(config)) if "::" in str(config) else config)
    if cfg_options:
        check_overrides(loaded, cfg_options, runner_settings() if effective is None else effective)
        for key, value in cfg_options.items():
            try:
                loaded.merge_from_dict({key: value})
            except (AttributeError, KeyError, TypeError) as error:
                raise ConfigError(
                    "A value does not fit the configuration.",
                    where=loaded.filename,
                    got=f"{key}={value!r}: {error}",
                    todo="give a list whole, or the place of an element that is there: custom_hooks.0.window=50",
                ) from error
    if "model" not in loaded:
        raise ConfigError("The file is no mmdet config.", where=str(config), expected="a config with `model`")
    return loaded


def read_config(path: str | Path) -> Config:
    """Read a config as mmengine does: a program, which may raise anything.

    Raises:
        ConfigError: It does, or a file that it builds on is not there.
    """
    try:
        return Config.fromfile(str(path))
    except (Exception, SystemExit) as error:
        builds_on = isinstance(error, FileNotFoundError) and Path(path).is_file()
        raise ConfigError(
            "Cannot read the mmdet config.",
            where=path,
            got=raised_at(error, None),
            todo="a copied config still builds on files beside its original: give `_base_` whole paths"
            if builds_on
            else None,
        ) from error


def brought_code(config: Config, *parts: Any) -> dict[str, str]:
    """Module -> hash of the code that a config brings along: what it imports, and what parts of it name as itself."""
    named = (config.get("custom_imports") or {}).get("imports") or ()
    modules = [sys.modules.get(name) for name in ([named] if isinstance(named, str) else named)]
    codes = [code for code in (*modules, *_code_in(parts)) if code is not None]
    hashes = {name: each for code in codes for name, each in source_hashes(code).items()}
    # mmdet's and duskbench's own count in any case.
    return {name: each for name, each in hashes.items() if name.partition(".")[0] not in ("duskbench", "mmdet")}


def _code_in(value: Any) -> Iterator[Any]:
    """Classes and functions in a configuration, as those in pure Python have in place of names."""
    if isinstance(value, Mapping | list | tuple):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _code_in(each)
    elif inspect.isclass(value) or inspect.isfunction(value):
        yield value


def _packaged(address: str) -> str:
    import mmdet

    scope, _, relative = address.partition("::")
    path = Path(mmdet.__file__).parent / ".mim" / "configs" / relative
    if scope != "mmdet" or not path.is_file():
        raise ConfigError("mmdet brings no such config along.", where=address, expected=f"a file under {path.parent}")
    return str(path)
