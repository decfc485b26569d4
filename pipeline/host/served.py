"""Enhancers and detectors inside the process of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from duskbench.data_tools.errors import EnhancerError
from duskbench.data_tools.fingerprint import argument_files, plugin_fingerprint
from duskbench.data_tools.host.serve import Answer, fields_of
from duskbench.data_tools.registry import load_named
from duskbench.pipeline.detectors.checked import CheckedDetector
from duskbench.pipeline.registry import load_detector, load_enhancer


class ServedEnhancer:
    """An enhancer and how requests to it are answered; arguments as in `serve.Served`."""

    def __init__(self, target: str, arguments: Mapping[str, Any], device: str) -> None:
        self.enhancer = load_enhancer({"type": target, **arguments}, device=device, isolate=False)
        self._arguments = arguments
        self._named = load_named("enhancer", target) if self.enhancer.foreign else None

    @property
    def code(self) -> object:
        """Where errors point to."""
        return self.enhancer.code

    def describe(self) -> dict[str, Any]:
        """What the other side shows of it and stores with its results."""
        own, weights = str(self.enhancer.fingerprint), dict(self.enhancer.weights)
        if self._named is not None:
            # A model file is what its fingerprint says; code from outside does not say what it reads.
            files = argument_files(self._arguments, self._named.code)
            own, weights = plugin_fingerprint(own, self._named, files), {**weights, **files}
        return {
            "name": str(self.enhancer.name),
            "arguments": dict(self.enhancer.arguments),
            "weights": weights,
            "origin": self.enhancer.origin,
            "batch_size": int(self.enhancer.batch_size),
            "fingerprint": own,
        }

    def answer(self, request: dict[str, Any], arrays: list[np.ndarray]) -> Answer:
        """Enhance; for each image an error or none, and the results of those without one."""
        ids = request["ids"]
        if request["together"]:
            results = self.enhancer.many(arrays, ids)
        else:
            results = [self.enhancer(arrays[0], image_id=ids[0])]
        errors = [fields_of(each) if isinstance(each, EnhancerError) else None for each in results]
        return {"errors": errors}, [each for each in results if isinstance(each, np.ndarray)]


class ServedDetector:
    """A detector and how requests to it are answered; arguments as in `serve.Served`."""

    def __init__(self, target: str, arguments: Mapping[str, Any], device: str) -> None:
        self.detector: Any = load_detector({"type": target, **arguments}, device=device, isolate=False)
        self._target, self._arguments = target, arguments

    @property
    def code(self) -> object:
        """Where errors point to."""
        return type(self.detector.detector if isinstance(self.detector, CheckedDetector) else self.detector)

    def describe(self) -> dict[str, Any]:
        """What the other side shows of it and stores with its results."""
        shown = ("name", "classes", "fingerprint", "identity", "batch_size")
        described = {each: getattr(self.detector, each) for each in shown}
        if isinstance(self.detector, CheckedDetector):
            own, named = described["fingerprint"], load_named("detector", self._target)
            files = argument_files(self._arguments, named.code)
            described["fingerprint"] = plugin_fingerprint(own, named, files)
            if described["identity"] == own:
                described["identity"] = described["fingerprint"]
        return {**described, "weights": dict(getattr(self.detector, "weights", {}))}

    def answer(self, request: dict[str, Any], arrays: list[np.ndarray]) -> Answer:
        """Detect; boxes, scores and labels of each image."""
        found = self.detector.detect(arrays)
        return {}, [array for each in found for array in (each.boxes_xyxy, each.scores, each.labels)]
