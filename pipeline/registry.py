"""Names, and the two functions that turn a name, a config or a path into an enhancer or a detector."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duskbench.data_tools.errors import ConfigError, DetectorError, EnhancerError, UnknownNameError
from duskbench.data_tools.fingerprint import argument_files
from duskbench.data_tools.installed import load_installed
from duskbench.data_tools.plugins import find_plugin, naming
from duskbench.data_tools.registry import Entry, Registry, build, check_arguments
from duskbench.data_tools.specs import split_spec
from duskbench.pipeline.enhancers.base import Enhancer, FunctionEnhancer

if TYPE_CHECKING:
    from duskbench.pipeline.detectors.base import Detector

ENHANCERS = Registry(
    "enhancer",
    {
        "input": Entry("duskbench.pipeline.enhancers.input:Input", "Input"),
        "gamma": Entry("duskbench.pipeline.enhancers.gamma:Gamma", "Gamma"),
        "he": Entry("duskbench.pipeline.enhancers.he:HistogramEqualization", "HE"),
        "clahe": Entry("duskbench.pipeline.enhancers.clahe:CLAHE", "CLAHE"),
        "lime": Entry("duskbench.pipeline.enhancers.lime:Lime", "LIME"),
        "zero_dce": Entry("duskbench.pipeline.enhancers.zero_dce:ZeroDCE", "Zero-DCE"),
        "enlightengan": Entry("duskbench.pipeline.enhancers.enlightengan:EnlightenGAN", "EG"),
        "cyclegan": Entry("duskbench.pipeline.enhancers.cyclegan:CycleGAN", "CycleGAN"),
        "guided": Entry("duskbench.pipeline.enhancers.guided:Guided", "Ours"),
        "retinexnet": Entry("duskbench.pipeline.enhancers.retinexnet:RetinexNet", "Retinex-Net"),
        "sci": Entry("duskbench.pipeline.enhancers.sci:SCI", "SCI"),
        "dir": Entry("duskbench.pipeline.enhancers.folder:Folder"),
        "cmd": Entry("duskbench.pipeline.enhancers.command:Command"),
        "onnx": Entry("duskbench.pipeline.enhancers.onnx:OnnxEnhancer"),
        "torch": Entry("duskbench.pipeline.enhancers.scripted:ScriptedEnhancer"),
    },
)

DETECTORS = Registry(
    "detector",
    {
        "mmdet": Entry("duskbench.pipeline.detectors.mmdet:MMDetDetector"),
        "rfbnet": Entry("duskbench.pipeline.detectors.rfbnet:RFBNetDetector"),
        "onnx": Entry("duskbench.pipeline.detectors.onnx:OnnxDetector"),
        "results": Entry("duskbench.pipeline.detectors.results_file:ResultsFile"),
    },
)

# Extensions of files that say by themselves what loads the file.
MODEL_FILES: dict[str, str] = {
    ".onnx": "onnx",
    **dict.fromkeys((".pt", ".pth", ".pt2", ".ts", ".torchscript"), "torch"),
}


DETECTOR_FILES: dict[str, str] = {".onnx": "onnx", ".json": "results"}


def load_enhancer(spec: str | Mapping[str, Any] | Callable[..., Any], *, device: str = "cpu") -> Enhancer:
    """Turn a specification into an enhancer.

    Args:
        spec: One of
            a registered name, `"clahe"`, with arguments if wanted, `"gamma(gamma=2.2)"`, or one that an installed
            package brings (entry points `duskbench.enhancers`);
            a function or class of your own, `"path/file.py:enhance"` or `"package.module:Class(strength=2)"`;
            a model file, `"model.onnx"`, `"model.pt2"` (torch.export), `"model.pt"` (TorchScript), with arguments where
            the file leaves something open, `"model.onnx(range=255)"`;
            `"dir:FOLDER"`, images enhanced elsewhere, matched by file stem;
            `"cmd:python theirs.py {in} {out}"`, a program that enhances a folder of images into another;
            a dict `{"type": <any of the above>, **arguments}`;
            a callable from (H, W, 3) uint8 RGB to the same.
        device: Torch device for the enhancers that compute on one.

    Returns:
        A checked callable `(H, W, 3) uint8 RGB -> same`.

    Raises:
        UnknownNameError: No such registered name; the message has the nearest ones.
        ConfigError: The file, the name in it or an argument does not exist, or a model file leaves something open.
        WeightsError: The enhancer's weights cannot be had.
        EnhancerError: A plug-in fails while it is built.
    """
    if isinstance(spec, Enhancer):
        return spec
    target, arguments = split_spec(spec, "enhancer")
    if not isinstance(target, str):
        return _wrap(target, getattr(target, "__qualname__", type(target).__name__), arguments, device)
    kind = MODEL_FILES.get(Path(target).suffix.lower())
    if kind is not None:
        return _build(ENHANCERS.load(kind), target, {"path": target, **arguments}, device)
    found = ENHANCERS.find(target)
    make = _wrap if found.foreign else _build
    enhancer: Enhancer = make(found.code, target, arguments, device)
    return enhancer


def load_detector(
    config_or_name: str | Path | Mapping[str, Any], checkpoint: str | Path | None = None, *, device: str = "cpu"
) -> Detector:
    """Turn a name, a model file or a configuration into a frozen detector.

    Args:
        config_or_name: A name of `configs/detectors` (`"rfb_miniature"`, `"rfbnet300_voc"`, `"ssd300_voc"`, ...), or
            one that an installed package brings (entry points `duskbench.detectors`);
            a path of an `.onnx` file, with arguments if wanted; a `.json` file of results, see `ResultsFile`; a path of
            an mmdet config, or `mmdet::<path>` for one that mmdet brings along; a class of your own,
            `"path/file.py:Class"` or `"package.module:Class(threshold=0.3)"`; or a dict `{"type": <any of the above> |
            "onnx" | "results" | "mmdet" | "rfbnet", **arguments}`.
        checkpoint: Weight file; None takes the one that the configuration names.
        device: Torch device.

    Returns:
        An object with `.detect(images) -> list[Detections]`, `.classes`, `.name` and `.fingerprint`. What a plug-in
        detects is checked.

    Raises:
        UnknownNameError, ConfigError: No such name, file or argument.
        WeightsError: The weights are missing or are not this detector's.
        DetectorError: A plug-in fails while it is built.
    """
    target, arguments = split_spec(_as_text(config_or_name), "detector")
    known = detector_configs()
    brought = load_installed("detector", target, {**DETECTORS, **known}) if isinstance(target, str) else target
    if brought is None and ":" in target and not target.startswith("mmdet::"):
        brought = find_plugin(target)
    if brought is not None:
        if checkpoint is not None:
            arguments["checkpoint"] = str(checkpoint)
        return _check_detector(brought, str(target), arguments, device)
    kind, own = _detector_kind(target, known)
    arguments = {**own, **arguments}
    if checkpoint is not None:
        arguments["path" if kind in DETECTOR_FILES.values() else "checkpoint"] = str(checkpoint)
    if "config" in arguments and "checkpoint" not in arguments:
        raise ConfigError(
            "The detector's configuration names no weights.", where=target, todo="give them: --checkpoint FILE"
        )
    detector: Detector = _build(DETECTORS.load(kind), target, arguments, device)
    return detector


def detector_configs() -> dict[str, Path]:
    """The detectors that ship as configurations, by name."""
    files = sorted((config_root() / "detectors").glob("*.py"))
    return {file.stem: file for file in files if not file.stem.startswith("_")}


def config_root() -> Path:
    """The folder `configs`, in a checkout or an installed package."""
    return Path(__file__).resolve().parent.parent / "configs"


def _as_text(spec: Any) -> Any:
    return str(spec) if isinstance(spec, Path) else spec


def _detector_kind(target: str, known: Mapping[str, Path]) -> tuple[str, dict[str, Any]]:
    """Which of DETECTORS a name or a path means, and the arguments that follow from it."""
    if target in DETECTORS:
        return target, {}
    if target.startswith("mmdet::"):
        return "mmdet", {"config": target}
    path = Path(target)
    if path.suffix in DETECTOR_FILES:
        return DETECTOR_FILES[path.suffix], {"path": target}
    if path.suffix == ".py":
        return _detector_of_config(path)
    if target not in known:
        names = [*known, *DETECTORS, *(each.name for each in DETECTORS.installed())]
        raise UnknownNameError("detector", target, names)
    return _detector_of_config(known[target])


def _detector_of_config(path: Path) -> tuple[str, dict[str, Any]]:
    """Ours say how they are loaded in `detector = dict(type=..., ...)`; any other file is an mmdet config."""
    from mmengine.config import Config

    if not path.is_file():
        raise ConfigError("The detector's configuration does not exist.", where=path)
    own = dict(Config.fromfile(str(path)).get("detector") or {})
    # The config is this file, also where `detector` is inherited from another one.
    return own.pop("type", "mmdet"), {**own, "config": str(path)}


def _wrap(found: Any, name: str, arguments: dict[str, Any], device: str) -> Enhancer:
    """A class is built, a function takes its arguments at every call; both come back checked."""
    if inspect.isclass(found):
        with naming(EnhancerError, f"Enhancer {name!r} fails while it is built.", found):
            built = _build(found, name, arguments, device)
        enhancer = built if isinstance(built, Enhancer) else FunctionEnhancer(_need_callable(built, name), name)
    else:
        if arguments:
            check_arguments(found, name, arguments)
        enhancer = FunctionEnhancer(functools.partial(found, **arguments) if arguments else found, name, code=found)
    enhancer.foreign = True
    enhancer.arguments = {**enhancer.arguments, **arguments}
    enhancer.weights = {**enhancer.weights, **argument_files(arguments)}
    return enhancer


def _check_detector(found: Any, name: str, arguments: dict[str, Any], device: str) -> Detector:
    from duskbench.pipeline.detectors.checked import CheckedDetector

    with naming(DetectorError, f"Detector {name!r} fails while it is built.", found):
        return CheckedDetector(_build(found, name, arguments, device), name, arguments)


def _need_callable(built: Any, name: str) -> Callable[[np.ndarray], np.ndarray]:
    if not callable(built):
        raise ConfigError(
            "The plug-in's objects cannot be called.",
            where=name,
            expected="a class with __call__(image_rgb) -> image_rgb, or a subclass of duskbench.Enhancer",
            got=type(built).__name__,
        )
    return built


def _build(code: Any, name: str, arguments: Mapping[str, Any], device: str) -> Any:
    built = build(code, name, arguments, device=device)
    if isinstance(built, Enhancer) and not built.name:
        built.name = name
    return built
