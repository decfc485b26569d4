"""What was found out about enhancers and detectors before, so that nothing is built to learn that nothing changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from duskbench.benchmarks.provenance import package_versions
from duskbench.benchmarks.store import ResultStore
from duskbench.data_tools.file_states import is_file, is_there, states_sha256
from duskbench.data_tools.hub import is_hub_address
from duskbench.data_tools.named_files import named_paths
from duskbench.data_tools.specs import split_spec
from duskbench.pipeline.registry import config_root
from duskbench.pipeline.weights import cache_folder, search_folders

_ROOT = Path(__file__).resolve().parents[1]


def _call_here(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    return function(*arguments)


class Known:
    """Descriptions of what a specification builds, kept in a results file.

    A description holds as long as no file that it may depend on was written or replaced, as its size and stamp tell:
    duskbench's own code and weights, the folders that weights are searched in, what the specification names and what an
    ONNX file has beside it; and as long as the versions of the packages are the same. Where that cannot be told, as of
    a plug-in, or of a configuration with all that it inherits and loads, it is found out each time.

    Args:
        path: The results file; one that does not exist has kept nothing.
        call: Calls a function with its arguments to find out about enhancers and detectors, here or in another process.
    """

    def __init__(self, path: Path, call: Callable[..., dict[str, Any]] = _call_here) -> None:
        self.call = call
        self._kept: dict[str, str] = {}
        self._new: dict[str, str] = {}
        if path.is_file():
            with ResultStore(path, reading=True) as store:
                self._kept = store.known()

    def find(self, kind: str, spec: Any, device: str, describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The description of a specification: the kept one, or what `describe` finds out.

        Args:
            kind: `enhancer`, `detector`, or `costs` of an enhancer.
            spec: The specification; of a detector with its checkpoint.
            device: Torch device.
            describe: Finds it out.
        """
        request = _request(kind, spec, device)
        if request is None:
            return describe()
        if request not in self._kept:
            self._kept[request] = self._new[request] = json.dumps(describe())
        answer: dict[str, Any] = json.loads(self._kept[request])
        return answer

    def save(self, store: ResultStore) -> None:
        """Keep what was found out."""
        store.remember(self._new)
        self._new.clear()


def _request(kind: str, spec: Any, device: str) -> str | None:
    """Hash of all that a description may depend on; None where that is not known."""
    target, arguments = split_spec(spec["spec"] if kind == "detector" else spec, kind)
    if not isinstance(target, str) or not (_is_ours(kind, target) or is_file(target)):
        return None
    checkpoint = {"checkpoint": spec["checkpoint"]} if kind == "detector" else {}
    named = [path for _, path in named_paths({"type": target, "arguments": arguments, **checkpoint})]
    if any(map(is_hub_address, named)):
        return None  # A branch may have moved on.
    files = [path for path in named if is_there(path)]
    if any(file.suffix == ".py" for file in files):
        return None
    files += [beside for file in files if file.suffix.lower() == ".onnx" for beside in _beside(file)]
    content = [kind, spec, device, _surroundings(), states_sha256(files)]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _is_ours(kind: str, target: str) -> bool:
    from duskbench.pipeline.registry import DETECTORS, ENHANCERS, detector_configs

    if kind != "detector":
        # What a command line depends on only it knows.
        return target in ENHANCERS and target != "cmd"
    return target in DETECTORS or target in detector_configs()


def _beside(model: Path) -> list[Path]:
    """What is read with an ONNX file without being named."""
    from duskbench.pipeline.detectors.onnx_classes import class_files
    from duskbench.pipeline.onnx_session import model_files

    return [*model_files(model).values(), *class_files(model)]


@cache
def _surroundings() -> str:
    folders = [_ROOT / "pipeline", _ROOT / "data_tools", config_root(), *search_folders(), cache_folder()]
    return json.dumps([states_sha256(folders), package_versions()])
