"""Foreign code becomes an enhancer or a detector that is checked at every call, in the process that runs it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from duskbench.data_tools.errors import ConfigError, DetectorError, EnhancerError
from duskbench.data_tools.fingerprint import argument_files
from duskbench.data_tools.plugins import naming
from duskbench.data_tools.registry import build, check_arguments
from duskbench.pipeline.detectors.checked import CheckedDetector
from duskbench.pipeline.enhancers.base import Enhancer, FunctionEnhancer


def build_enhancer(code: Any, name: str, arguments: Mapping[str, Any], device: str) -> Enhancer:
    """Build a class, or bind a function's arguments.

    Args:
        code: The class or function.
        name: For tables and errors.
        arguments: What the user gave; of files among them the content is part of the fingerprint.
        device: Passed where the code has such a parameter.

    Raises:
        UnknownNameError: An argument that the code does not take.
        ConfigError: It refuses their values, or its objects cannot be called.
        EnhancerError: It fails while it is built.
    """
    if inspect.isclass(code):
        with naming(EnhancerError, f"Enhancer {name!r} fails while it is built.", code):
            built = build(code, name, arguments, device=device)
        enhancer = built if isinstance(built, Enhancer) else FunctionEnhancer(_need_callable(built, name), name)
    else:
        _need_callable(code, name)
        if arguments:
            check_arguments(code, name, arguments)
        enhancer = FunctionEnhancer(functools.partial(code, **arguments) if arguments else code, name, code=code)
    enhancer.name = enhancer.name or name
    enhancer.foreign = True
    enhancer.arguments = {**enhancer.arguments, **arguments}
    enhancer.weights = {**enhancer.weights, **argument_files(arguments)}
    return enhancer


def build_detector(code: Any, name: str, arguments: Mapping[str, Any], device: str) -> CheckedDetector:
    """Build a detector; arguments and errors as in `build_enhancer`, with DetectorError in place of EnhancerError."""
    with naming(DetectorError, f"Detector {name!r} fails while it is built.", code):
        return CheckedDetector(build(code, name, arguments, device=device), name, arguments)


def _need_callable(built: Any, name: str) -> Callable[[np.ndarray], np.ndarray]:
    if not callable(built):
        raise ConfigError(
            "The enhancer cannot be called.",
            where=name,
            expected="a function of an image, a class with __call__(image_rgb) -> image_rgb, or a subclass of "
            "duskbench.Enhancer",
            got=type(built).__name__,
        )
    return built
