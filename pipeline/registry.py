"""Names, and the two functions that turn a name, a config or a path into an enhancer or a detector."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from data_tools.errors import ConfigError, DuskbenchError, UnknownNameError
from pipeline.enhancers.base import Enhancer, FunctionEnhancer

if TYPE_CHECKING:
    from pipeline.detectors.base import Detector

ENHANCERS: dict[str, str] = {
    "input": "pipeline.enhancers.input:Input",
    "gamma": "pipeline.enhancers.gamma:Gamma",
    "he": "pipeline.enhancers.he:HistogramEqualization",
    "clahe": "pipeline.enhancers.clahe:CLAHE",
    "lime": "pipeline.enhancers.lime:Lime",
    "zero_dce": "pipeline.enhancers.zero_dce:ZeroDCE",
    "enlightengan": "pipeline.enhancers.enlightengan:EnlightenGAN",
    "cyclegan": "pipeline.enhancers.cyclegan:CycleGAN",
    "guided": "pipeline.enhancers.guided:Guided",
    "retinexnet": "pipeline.enhancers.retinexnet:RetinexNet",
    "sci": "pipeline.enhancers.sci:SCI",
    "dir": "pipeline.enhancers.folder:Folder",
}

# How tables spell them; what is not here is spelled as it was named.
LABELS: dict[str, str] = {
    "input": "Input",
    "gamma": "Gamma",
    "he": "HE",
    "clahe": "CLAHE",
    "lime": "LIME",
    "zero_dce": "Zero-DCE",
    "enlightengan": "EG",
    "cyclegan": "CycleGAN",
    "guided": "Ours",
    "retinexnet": "Retinex-Net",
    "sci": "SCI",
}

DETECTORS: dict[str, str] = {
    "mmdet": "pipeline.detectors.mmdet:MMDetDetector",
    "rfbnet": "pipeline.detectors.rfbnet:RFBNetDetector",
    "onnx": "pipeline.detectors.onnx:OnnxDetector",
}

# `name`, `file.py:Name`, `package.module:Name`, each with `(key=value, ...)` if wanted.
_SPEC = re.compile(r"(?P<target>[^()]+?)\s*(\((?P<arguments>.*)\))?", re.DOTALL)


def load_enhancer(spec: str | Mapping[str, Any] | Callable[..., Any], *, device: str = "cpu") -> Enhancer:
    """Turn a specification into an enhancer.

    Args:
        spec: One of
            a registered name, `"clahe"`, with arguments if wanted, `"gamma(gamma=2.2)"`;
            a function or class of your own, `"path/file.py:enhance"` or `"package.module:Class(strength=2)"`;
            `"dir:FOLDER"`, images enhanced elsewhere, matched by file stem;
            a dict `{"type": <any of the above>, **arguments}`;
            a callable from (H, W, 3) uint8 RGB to the same.
        device: Torch device for the enhancers that compute on one.

    Returns:
        A checked callable `(H, W, 3) uint8 RGB -> same`.

    Raises:
        UnknownNameError: No such registered name; the message has the nearest ones.
        ConfigError: The file, the name in it or an argument does not exist.
        WeightsError: The enhancer's weights cannot be had.
    """
    if isinstance(spec, Enhancer):
        return spec
    if isinstance(spec, Mapping):
        arguments = dict(spec)
        target = arguments.pop("type", None)
        if target is None:
            raise ConfigError(
                "An enhancer's configuration has no type.", expected="dict(type=..., ...)", got=repr(spec)
            )
    elif isinstance(spec, str):
        target, arguments = parse_spec(spec)
    else:
        target, arguments = spec, {}
    if not isinstance(target, str):
        return _wrap(target, getattr(target, "__qualname__", type(target).__name__), arguments, device)
    if target in ENHANCERS:
        return _build(_import(ENHANCERS[target]), target, arguments, device)
    if ":" in target:
        return _wrap(_find(target), target, arguments, device)
    raise UnknownNameError("enhancer", target, ENHANCERS)


def load_detector(
    config_or_name: str | Path | Mapping[str, Any], checkpoint: str | Path | None = None, *, device: str = "cpu"
) -> Detector:
    """Turn a name, a model file or a configuration into a frozen detector.

    Args:
        config_or_name: A name of `configs/detectors` (`"rfb_miniature"`, `"rfbnet300_voc"`, `"ssd300_voc"`, ...);
            a path of an `.onnx` file; a path of an mmdet config; a class of your own, `"path/file.py:Class"` or
            `"package.module:Class(threshold=0.3)"`; or a dict `{"type": <such a class> | "onnx" | "mmdet" | "rfbnet",
            **arguments}`.
        checkpoint: Weight file; None takes the one that the configuration names.
        device: Torch device.

    Returns:
        An object with `.detect(images) -> list[Detections]`, `.classes`, `.name` and `.fingerprint`.

    Raises:
        UnknownNameError, ConfigError: No such name, file or argument.
        WeightsError: The weights are missing or are not this detector's.
    """
    arguments = _detector_arguments(config_or_name)
    kind = str(arguments.pop("type"))
    if kind not in DETECTORS and ":" not in kind:
        raise UnknownNameError("detector type", kind, DETECTORS)
    if checkpoint is not None:
        arguments["path" if kind == "onnx" else "checkpoint"] = str(checkpoint)
    built = _build(_find(kind) if ":" in kind else _import(DETECTORS[kind]), str(config_or_name), arguments, device)
    lacking = [name for name in ("name", "classes", "fingerprint", "detect") if not hasattr(built, name)]
    if lacking:
        raise ConfigError(
            "The detector does not have what a detector needs.",
            where=str(config_or_name),
            expected="name, classes, fingerprint and detect(images), as in pipeline.detectors.base.Detector",
            got=f"no {', '.join(lacking)}",
        )
    return cast("Detector", built)


def _detector_arguments(config_or_name: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(config_or_name, Mapping):
        return {"type": None, **config_or_name}
    if ":" in str(config_or_name):
        target, arguments = parse_spec(str(config_or_name))
        return {"type": target, **arguments}
    path = Path(config_or_name)
    if path.suffix == ".onnx":
        return {"type": "onnx", "path": str(path)}
    if path.suffix == ".py":
        return _detector_of_config(path)
    known = {file.stem: file for file in (config_root() / "detectors").glob("*.py") if not file.stem.startswith("_")}
    if path.name != str(config_or_name) or str(config_or_name) not in known:
        raise UnknownNameError("detector", str(config_or_name), known)
    return _detector_of_config(known[path.name])


def _detector_of_config(path: Path) -> dict[str, Any]:
    """Ours say how they are loaded in `detector = dict(type=..., ...)`; any other file is an mmdet config."""
    from mmengine.config import Config

    if not path.is_file():
        raise ConfigError("The detector's configuration does not exist.", where=path)
    own = Config.fromfile(str(path)).get("detector") or {}
    # The config is this file, also where `detector` is inherited from another one.
    return {"type": "mmdet", **own, "config": str(path)}


def config_root() -> Path:
    """The folder `configs`, in a checkout or an installed package."""
    return Path(__file__).resolve().parent.parent / "configs"


def parse_spec(spec: str) -> tuple[str, dict[str, Any]]:
    """Split `target(key=value, ...)` into target and arguments; values are Python literals.

    Raises:
        ConfigError: The text is not of that form.
    """
    if spec.startswith("dir:"):
        return "dir", {"path": spec.removeprefix("dir:")}
    match = _SPEC.fullmatch(spec.strip())
    try:
        if match is None:
            raise ValueError("it does not end with the closing bracket")
        call = ast.parse(f"_({match['arguments'] or ''})", mode="eval").body
        plain = isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        if not isinstance(call, ast.Call) or not plain or call.args or any(k.arg is None for k in call.keywords):
            raise ValueError("arguments need names: key=value")
        return match["target"], {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (ValueError, SyntaxError) as error:
        raise ConfigError(
            "Cannot read the specification.",
            where=spec,
            expected="name, or name(key=value, ...) with Python literals as values",
            got=str(error),
        ) from error


def _find(target: str) -> Any:
    """Import `file.py:Name` or `package.module:Name`."""
    place, _, name = target.rpartition(":")
    if place.endswith(".py"):
        path = Path(place).expanduser().resolve()
        if not path.is_file():
            raise ConfigError("The plug-in's file does not exist.", where=target, got=str(path))
        module = _module_of_file(path)
    else:
        try:
            module = importlib.import_module(place)
        except ImportError as error:
            raise ConfigError("Cannot import the plug-in.", where=target, got=str(error)) from error
    found = getattr(module, name, None)
    if not callable(found):
        names = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        raise UnknownNameError("function or class", name, names, where=target)
    return found


def _module_of_file(path: Path) -> Any:
    # Named by place and content: two plug-ins may share a file name, and an edited one is a new module.
    digest = hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()[:12]
    name = f"duskbench_plugin_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    module_spec = importlib.util.spec_from_file_location(name, path)
    assert module_spec is not None and module_spec.loader is not None  # noqa: S101 - a .py file always has a loader
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigError(
            "The plug-in's file fails on import.", where=path, got=f"{type(error).__name__}: {error}"
        ) from error
    return module


def _wrap(found: Any, name: str, arguments: dict[str, Any], device: str) -> Enhancer:
    """A class is built, a function takes its arguments at every call; both come back checked."""
    if inspect.isclass(found):
        built = _build(found, name, arguments, device)
        return (
            built if isinstance(built, Enhancer) else FunctionEnhancer(_need_callable(built, name), name, **arguments)
        )
    if arguments:
        _check_arguments(found, name, arguments)
    bound = functools.partial(found, **arguments) if arguments else found
    enhancer = FunctionEnhancer(bound, name, **arguments)
    enhancer.code = found
    return enhancer


def _need_callable(built: Any, name: str) -> Callable[[np.ndarray], np.ndarray]:
    if not callable(built):
        raise ConfigError(
            "The plug-in's objects cannot be called.",
            where=name,
            expected="a class with __call__(image_rgb) -> image_rgb, or a subclass of pipeline.enhancers.base.Enhancer",
            got=type(built).__name__,
        )
    return built


def _build(cls: Any, name: str, arguments: dict[str, Any], device: str) -> Any:
    parameters = _check_arguments(cls, name, arguments)
    if "device" in parameters:
        arguments = {"device": device, **arguments}
    try:
        built = cls(**arguments)
    except DuskbenchError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError("Cannot build it with these arguments.", where=name, got=f"{error}; {arguments}") from error
    if isinstance(built, Enhancer):
        built.name = name
    return built


def _check_arguments(code: Any, name: str, arguments: Mapping[str, Any]) -> Mapping[str, inspect.Parameter]:
    parameters = inspect.signature(code).parameters
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    for key in arguments:
        if key not in parameters and not open_ended:
            raise UnknownNameError("argument", key, parameters, where=name)
    return parameters


def _import(address: str) -> Any:
    module, _, name = address.partition(":")
    return getattr(importlib.import_module(module), name)
