"""A benchmark's configuration: read, overridden, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from duskbench.benchmarks.cfg_options import parse_cfg_options
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.references import resolve_reference
from duskbench.benchmarks.statistics import BootstrapOptions
from duskbench.data_tools.datasets import reader_options
from duskbench.data_tools.errors import ConfigError, UnknownNameError
from duskbench.data_tools.plugins import raised_at
from duskbench.data_tools.settings import check_keys, plain
from duskbench.pipeline.registry import config_root

_KEYS = ("title", "data", "detector", "enhancers", "metrics", "protocol", "bootstrap", "paper", "costs")
_KINDS = {
    "title": str, "data": dict, "detector": str | dict | list, "metrics": str | dict | list, "protocol": dict,
    "bootstrap": dict, "paper": dict, "costs": bool,
}  # fmt: skip
# What every data set has; besides, each layout has options of its own.
_DATA_KINDS = {
    "root": str | Path, "layout": str, "split": str | Path | list, "allow_missing": bool, "groups": str | list,
    "reference": str | Path,
}  # fmt: skip
# Those that `images.read_images` and the run need; the others are arguments of `open_dataset`.
RUN_KEYS = ("root", "allow_missing", "groups", "reference")
_PAPER_KINDS = {"source": str, "rows": dict, "data": str, "n_images": int}


@dataclass(frozen=True)
class BenchmarkConfig:
    """What `duskbench run` needs to know.

    Attributes:
        name: File stem of the configuration.
        title: Heading of the table.
        data: `root`, `layout` (see `datasets.open_dataset`), `split`, `allow_missing`, what the layout takes
            besides, and `reference`: folder of lit originals for PSNR and SSIM, relative to `root`.
        detectors: Specifications for `load_detector`, one, several or none; a dict may carry a `label`.
        enhancers: Specifications for `load_enhancer`; a dict may carry a `label` for the table. `lit` is
            here already the folder of the data set's references.
        metrics: Specifications for `load_metric`; None for the default ones.
        more_metrics: Further ones, from the command line.
        protocol: Everything else that changes a number.
        bootstrap: How intervals are made.
        paper: The paper's own numbers, printed under the table where the table is the paper's: `source`, `rows` (row ->
            column -> value), and `data` and `n_images` if they hold for one data set and so many images.
        costs: Whether the table also says what each enhancer costs in parameters, arithmetic and memory.
    """

    name: str
    title: str
    data: dict[str, Any]
    detectors: tuple[str | dict[str, Any], ...]
    enhancers: tuple[str | dict[str, Any], ...]
    protocol: Protocol
    bootstrap: BootstrapOptions = field(default_factory=BootstrapOptions)
    metrics: tuple[str | dict[str, Any], ...] | None = None
    more_metrics: tuple[str | dict[str, Any], ...] = ()
    paper: dict[str, Any] = field(default_factory=dict)
    costs: bool = False


def find_config(name_or_path: str | Path) -> Path:
    """A path as it is, or a name such as `miniature` or `configs/miniature.py` of the configurations that ship.

    Raises:
        UnknownNameError: Neither exists.
    """
    path = Path(name_or_path)
    if path.suffix == ".py" and path.is_file():
        return path
    shipped = {file.stem: file for file in config_root().glob("*.py") if not file.stem.startswith("_")}
    if path.stem in shipped and str(name_or_path) in (path.stem, f"{path.stem}.py", f"configs/{path.stem}.py"):
        return shipped[path.stem]
    raise UnknownNameError("configuration", str(name_or_path), shipped)


def load_benchmark_config(
    name_or_path: str | Path,
    *,
    cfg_options: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    more_metrics: Sequence[str] = (),
) -> BenchmarkConfig:
    """Read a benchmark configuration.

    None takes a setting back: a key of the configuration, or of `data`, that is None is as if it were not there.

    Args:
        name_or_path: See `find_config`.
        cfg_options: `a.b=c` settings with the syntax of mmdet's tools.
        overrides: Settings that win over both; None values are left out. `data.root` and the like reach inside.
        more_metrics: Metrics to measure besides the configuration's.

    Raises:
        ConfigError: The file cannot be read, a key is missing or has the wrong kind.
        UnknownNameError: A key is not one of a benchmark's.
    """
    path = find_config(name_or_path)
    values = read_config(path, cfg_options)
    check_keys(values, _KEYS, "configuration key", path)
    values = _without_none(values)
    _check_kinds(values, _KINDS, path)
    for key, value in (overrides or {}).items():
        if value is not None:
            head, _, tail = key.partition(".")
            if tail:
                values.setdefault(head, {})[tail] = value
            else:
                values[head] = value
    _check_kinds(values, _KINDS, path)
    _check_kinds(values.get("data") or {}, _DATA_KINDS, path, "data.")
    _check_paper(values.get("paper") or {}, path)
    values = {key: plain(value, key, path) for key, value in values.items()}
    for key, kind in (("data", dict), ("enhancers", list)):
        if not isinstance(values.get(key), kind):
            raise ConfigError(
                f"The configuration has no {key}.",
                where=path,
                expected=f"{key} = a {kind.__name__}",
                got=repr(values.get(key)),
            )
    _check_kinds(values, {"enhancers": list}, path)
    options = reader_options(values["data"].get("layout") or "auto")
    if options is not None:
        check_keys(values["data"], (*_DATA_KINDS, *options), "key of data", path)
    values["data"] = _without_none(values["data"])
    if values["data"].get("root"):
        # A shell expands ~ at the beginning of a word, and so neither in --data=~/x nor in data.root=~/x.
        values["data"]["root"] = str(Path(values["data"]["root"]).expanduser())
    groups = values["data"].get("groups")
    if isinstance(groups, str):
        # One name on a command line is a name, not a list of letters.
        values["data"]["groups"] = [groups]
    if not values["enhancers"]:
        raise ConfigError("There is no enhancer to run.", where=path, todo="name at least one: --enhancer input")
    return BenchmarkConfig(
        name=path.stem,
        title=values.get("title", path.stem),
        data=values["data"],
        detectors=_detectors(values.get("detector")),
        enhancers=tuple(resolve_reference(spec, values["data"]) for spec in values["enhancers"]),
        protocol=Protocol.from_config(values.get("protocol", {})),
        bootstrap=BootstrapOptions.from_config(values.get("bootstrap", {})),
        metrics=tuple(_listed(values["metrics"])) if "metrics" in values else None,
        more_metrics=tuple(more_metrics),
        paper=values.get("paper") or {},
        costs=bool(values.get("costs")),
    )


def _detectors(given: Any) -> tuple[str | dict[str, Any], ...]:
    """One, several in a list, or None or `none`."""
    return tuple(spec for spec in _listed(given) if spec not in (None, "none"))


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else [given]


def read_config(path: Path, cfg_options: Sequence[str] = ()) -> dict[str, Any]:
    """Read an mmengine configuration file and apply `a.b=c` settings to it, of keys that the file has or may have.

    Raises:
        ConfigError: The file does not parse, or an option is not `key=value` or does not fit.
        UnknownNameError: An option's key is not in the file.
    """
    from mmengine.config import Config

    try:
        config = Config.fromfile(str(path))
    # It is a program: one that ends itself must not end this one as if all were well.
    except (Exception, SystemExit) as error:
        raise ConfigError("Cannot read the configuration.", where=path, got=raised_at(error, None)) from error
    try:
        known = {**dict.fromkeys(_KEYS), **config.to_dict()}
        config.merge_from_dict(parse_cfg_options(cfg_options, known, path))
    except (AttributeError, KeyError, TypeError) as error:
        raise ConfigError(
            "A --cfg-options setting does not fit the configuration.",
            where=path,
            got=f"{' '.join(cfg_options)}; {error}",
            todo="give a list whole, as in enhancers=input,lime",
        ) from error
    # mmengine leaves out the modules and functions that a file imports, and takes its classes for settings.
    return {key: value for key, value in config.to_dict().items() if not isinstance(value, type)}


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _check_kinds(values: Mapping[str, Any], kinds: Mapping[str, Any], path: Path, inside: str = "") -> None:
    """A value of another kind would fail somewhere, or be stored with the results."""
    for key, kind in kinds.items():
        value = values.get(key)
        if not (
            value is None or isinstance(value, kind) or (isinstance(value, list | tuple) and list in _members(kind))
        ):
            raise _other_kind(path, f"{inside}{key}", kind, value)
        if isinstance(value, list | tuple):
            for one in value:
                if not isinstance(one, str | Path if inside else str | dict):
                    raise _other_kind(path, f"{inside}{key}", kind, one)


def _check_paper(paper: Mapping[str, Any], path: Path) -> None:
    check_keys(paper, _PAPER_KINDS, "key of paper", path)
    _check_kinds(paper, _PAPER_KINDS, path, "paper.")
    for key in ("source", "rows"):
        if paper and paper.get(key) is None:
            raise _other_kind(path, f"paper.{key}", _PAPER_KINDS[key], None)
    for name, row in (paper.get("rows") or {}).items():
        if not isinstance(row, Mapping):
            raise _other_kind(path, f"paper.rows.{name}", dict, row)


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) or (kind,)


def _other_kind(path: Path, key: str, kind: Any, got: Any) -> ConfigError:
    names = {
        str: "a text", dict: "a dict", list: "a list of them", bool: "True or False", Path: "a path",
        int: "a whole number",
    }  # fmt: skip
    expected = ", ".join(names[each] for each in _members(kind))
    return ConfigError("A setting is of another kind.", where=path, expected=f"{key} = {expected}", got=repr(got)[:100])
