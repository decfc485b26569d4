"""Names, and the two functions that turn a name, a config or a path into an enhancer or a detector."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duskbench.data_tools.entry_points import find_installed
from duskbench.data_tools.errors import ConfigError, UnknownNameError
from duskbench.data_tools.host.plugin import Plugin, PluginKind, seconds_an_image
from duskbench.data_tools.hub import hub_copy
from duskbench.data_tools.registry import Entry, Registry, build, load_foreign
from duskbench.data_tools.specs import split_spec
from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.host.build import build_detector, build_enhancer
from duskbench.pipeline.host.hosted import HostedDetector, HostedEnhancer

if TYPE_CHECKING:
    from duskbench.pipeline.detectors.base import Detector
    from duskbench.pipeline.weight_catalogue import WeightFile

ENHANCERS = Registry(
    "enhancer",
    {
        "input": Entry("duskbench.pipeline.enhancers.input:Input", "Input"),
        "gamma": Entry("duskbench.pipeline.enhancers.gamma:Gamma", "Gamma"),
        "he": Entry("duskbench.pipeline.enhancers.he:HistogramEqualization", "HE"),
        "clahe": Entry("duskbench.pipeline.enhancers.clahe:CLAHE", "CLAHE"),
        "npe": Entry("duskbench.pipeline.enhancers.npe:NPE", "NPE"),
        "ldr": Entry("duskbench.pipeline.enhancers.ldr:LDR", "LDR"),
        "dhe": Entry("duskbench.pipeline.enhancers.dhe:DynamicHistogramEqualization", "DHE"),
        "lime": Entry("duskbench.pipeline.enhancers.lime:Lime", "LIME"),
        "zero_dce": Entry("duskbench.pipeline.enhancers.zero_dce:ZeroDCE", "Zero-DCE"),
        "zero_dce_pp": Entry("duskbench.pipeline.enhancers.zero_dce_pp:ZeroDCEpp", "Zero-DCE++"),
        "enlightengan": Entry("duskbench.pipeline.enhancers.enlightengan:EnlightenGAN", "EG"),
        "cyclegan": Entry("duskbench.pipeline.enhancers.cyclegan:CycleGAN", "CycleGAN"),
        "guided": Entry("duskbench.pipeline.enhancers.guided:Guided", "Ours"),
        "retinexnet": Entry("duskbench.pipeline.enhancers.retinexnet:RetinexNet", "Retinex-Net"),
        "kind": Entry("duskbench.pipeline.enhancers.kind:KinD", "KinD"),
        "hdrnet": Entry("duskbench.pipeline.enhancers.hdrnet:HDRNet", "HDRNet"),
        "llnet": Entry("duskbench.pipeline.enhancers.llnet:LLNet", "LLNet"),
        "unit": Entry("duskbench.pipeline.enhancers.unit:UNIT", "UNIT"),
        "forkgan": Entry("duskbench.pipeline.enhancers.forkgan:ForkGAN", "ForkGAN"),
        "drit": Entry("duskbench.pipeline.enhancers.drit:DRIT", "DRIT"),
        "sci": Entry("duskbench.pipeline.enhancers.sci:SCI", "SCI"),
        "ruas": Entry("duskbench.pipeline.enhancers.ruas:RUAS", "RUAS"),
        "sgz": Entry("duskbench.pipeline.enhancers.sgz:SGZ", "SGZ"),
        "uretinex": Entry("duskbench.pipeline.enhancers.uretinex:URetinex", "URetinex-Net"),
        "iat": Entry("duskbench.pipeline.enhancers.iat:IAT", "IAT"),
        "psenet": Entry("duskbench.pipeline.enhancers.psenet:PSENet", "PSENet"),
        "clip_lit": Entry("duskbench.pipeline.enhancers.clip_lit:CLIPLIT", "CLIP-LIT"),
        "pairlie": Entry("duskbench.pipeline.enhancers.pairlie:PairLIE", "PairLIE"),
        "lyt_net": Entry("duskbench.pipeline.enhancers.lyt_net:LYTNet", "LYT-Net"),
        "flol": Entry("duskbench.pipeline.enhancers.flol:FLOL", "FLOL+"),
        "retinexformer": Entry("duskbench.pipeline.enhancers.retinexformer:Retinexformer", "Retinexformer"),
        "cidnet": Entry("duskbench.pipeline.enhancers.cidnet:HVICIDNet", "HVI-CIDNet"),
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
        "torchvision": Entry("duskbench.pipeline.detectors.torchvision:TorchvisionDetector"),
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
# What a detector calls the argument that holds its weights, where it is not `checkpoint`.
_WEIGHTS_ARGUMENT: dict[str, str] = {"onnx": "path", "results": "path", "torchvision": "weights"}
_OWN_PREFIXES = ("mmdet::", "torchvision:")


def load_enhancer(
    spec: str | Mapping[str, Any] | Callable[..., Any],
    *,
    device: str = "cpu",
    time_limit: float | None = None,
    isolate: bool = True,
) -> Enhancer:
    """Turn a specification into an enhancer.

    Code that is named and not duskbench's own, and a model file, run in a process of their own, see
    `duskbench.data_tools.host`: whatever happens to that process is an error for the image at hand. A callable runs in
    this one.

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
        time_limit: Seconds that a plug-in or model file may take for an image, and at least 30 to be loaded; None takes
            $DUSKBENCH_TIME_LIMIT, or 600.
        isolate: False runs it in this process, for those who need its object.

    Returns:
        A checked callable `(H, W, 3) uint8 RGB -> same`.

    Raises:
        UnknownNameError: No such registered name; the message has the nearest ones.
        ConfigError: The file, the name in it or an argument does not exist, or a model file leaves something open.
        WeightsError: The enhancer's weights cannot be had.
        EnhancerError: It fails while it is built, or ends its process, or takes too long.
    """
    if isinstance(spec, Enhancer):
        return spec
    target, arguments = _here(*split_spec(spec, "enhancer"))
    if not isinstance(target, str):
        return build_enhancer(target, getattr(target, "__qualname__", type(target).__name__), arguments, device)
    kind = MODEL_FILES.get(Path(target).suffix.lower())
    foreign = kind is None and ENHANCERS.is_foreign(target)
    if isolate and (foreign or kind is not None or target in MODEL_FILES.values()):
        return HostedEnhancer(_plugin("enhancer", target, arguments, device, time_limit))
    if foreign:
        return build_enhancer(load_foreign("enhancer", target), target, arguments, device)
    if kind is not None:
        return _build(ENHANCERS.load(kind), target, {"path": target, **arguments}, device)
    return _build(ENHANCERS.load(target), target, arguments, device)


def load_detector(
    config_or_name: str | Path | Mapping[str, Any],
    checkpoint: str | Path | None = None,
    *,
    device: str = "cpu",
    time_limit: float | None = None,
    isolate: bool = True,
) -> Detector:
    """Turn a name, a model file or a configuration into a frozen detector.

    Args:
        config_or_name: A name of `configs/detectors` (`"rfb_miniature"`, `"rfbnet300_voc"`, `"ssd300_voc"`, ...), or
            one that an installed package brings (entry points `duskbench.detectors`);
            a path of an `.onnx` file, with arguments if wanted; a `.json` file of results, see `ResultsFile`; a path of
            an mmdet config, or `mmdet::<path>` for one that mmdet brings along; `torchvision:<name>` for one of
            torchvision; a class of your own, `"path/file.py:Class"` or `"package.module:Class(threshold=0.3)"`; or a
            dict `{"type": <any of the above> | "onnx" | "results" | "mmdet" | "rfbnet" | "torchvision", **arguments}`.
        checkpoint: Weight file; None takes the one that the configuration names.
        device: Torch device.
        time_limit: See `load_enhancer`.
        isolate: False runs a plug-in or model file in this process.

    Returns:
        An object with `.detect(images) -> list[Detections]`, `.classes`, `.name` and `.fingerprint`. What a plug-in
        detects is checked, and it runs in a process of its own, as in `load_enhancer`; so does a model file.

    Raises:
        UnknownNameError, ConfigError: No such name, file or argument.
        WeightsError: The weights are missing or are not this detector's.
        DetectorError: It fails while it is built, or ends its process, or takes too long.
    """
    target, arguments = _here(*split_spec(_as_text(config_or_name), "detector"))
    checkpoint = hub_copy(checkpoint)
    known = detector_configs()
    named = isinstance(target, str)
    foreign = named and find_installed("detector", target, {**DETECTORS, **known}) is not None
    foreign = foreign or (named and ":" in target and not target.startswith(_OWN_PREFIXES))
    if checkpoint is not None and (foreign or not named):
        arguments["checkpoint"] = str(checkpoint)
    if not named:
        return build_detector(target, str(target), arguments, device)
    if foreign and isolate:
        return HostedDetector(_plugin("detector", target, arguments, device, time_limit))
    if foreign:
        return build_detector(load_foreign("detector", target), target, arguments, device)
    kind, own = _detector_kind(target, known)
    arguments = {**own, **arguments}
    if checkpoint is not None:
        arguments[_WEIGHTS_ARGUMENT.get(kind, "checkpoint")] = str(checkpoint)
    if "config" in arguments and "checkpoint" not in arguments:
        raise ConfigError(
            "The detector's configuration names no weights.", where=target, todo="give them: --checkpoint FILE"
        )
    if kind == "onnx" and isolate:
        return HostedDetector(_plugin("detector", target, arguments, device, time_limit))
    detector: Detector = _build(DETECTORS.load(kind), target, arguments, device)
    return detector


def _plugin(
    kind: PluginKind, target: str, arguments: Mapping[str, Any], device: str, time_limit: float | None
) -> Plugin:
    served = f"duskbench.pipeline.host.served:Served{kind.capitalize()}"
    return Plugin(kind, served, target, arguments, {"device": device}, seconds_an_image(time_limit))


def weight_files() -> dict[str, WeightFile]:
    """Every published weight file by its name: those of the catalogue, and those that enhancers say they can use."""
    from duskbench.pipeline.enhancers.torch_base import TorchEnhancer
    from duskbench.pipeline.weight_catalogue import CATALOGUE

    networks = [code for code in map(ENHANCERS.load, ENHANCERS) if issubclass(code, TorchEnhancer)]
    return {**CATALOGUE, **{file.name: file for code in networks for file in code.files.values()}}


@dataclass(frozen=True)
class Description:
    """What is known of a registered enhancer without weights; empty texts where there is nothing to say.

    Attributes:
        paper: Where the method was published, in a line.
        parameters: Of its networks; None where it has none.
        weights: Names of the files that its authors published, as `duskbench data fetch` takes them.
        licence: Of those files; of weights that ship, duskbench's own.
    """

    name: str
    paper: str
    parameters: int | None
    weights: str
    licence: str


def describe_enhancers() -> Iterator[Description]:
    """Describe the registered enhancers, those aside that only run what a user brings."""
    from duskbench.pipeline.enhancers.generator import GeneratorEnhancer
    from duskbench.pipeline.enhancers.torch_base import TorchEnhancer

    for name, entry in ENHANCERS.items():
        if entry.label is None:
            continue
        code = ENHANCERS.load(name)
        files = list(code.files.values()) if issubclass(code, TorchEnhancer) else []
        weights, licences = [file.name for file in files], [file.licence for file in files]
        if issubclass(code, GeneratorEnhancer):
            own = "ship with duskbench" if code.ships() else "to be trained"
            weights, licences = [own, *weights], ["Apache-2.0", *licences]
        yield Description(
            name, code.paper or "", code.parameters(), ", ".join(weights), ", ".join(dict.fromkeys(licences))
        )


def detector_configs() -> dict[str, Path]:
    """The detectors that ship as configurations, by name."""
    files = sorted((config_root() / "detectors").glob("*.py"))
    return {file.stem: file for file in files if not file.stem.startswith("_")}


def config_root() -> Path:
    """The folder `configs`, in a checkout or an installed package."""
    return Path(__file__).resolve().parent.parent / "configs"


def _here(target: Any, arguments: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A specification with a copy's path for each address on the Hugging Face Hub."""
    return hub_copy(target), {name: hub_copy(each) for name, each in arguments.items()}


def _as_text(spec: Any) -> Any:
    return str(spec) if isinstance(spec, Path) else spec


def _detector_kind(target: str, known: Mapping[str, Path]) -> tuple[str, dict[str, Any]]:
    """Which of DETECTORS a name or a path means, and the arguments that follow from it."""
    if target in DETECTORS:
        return target, {}
    if target.startswith("mmdet::"):
        return "mmdet", {"config": target}
    if target.startswith("torchvision:"):
        return "torchvision", {"model": target.removeprefix("torchvision:")}
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
    from duskbench.pipeline.mmdet_config import read_config

    if not path.is_file():
        raise ConfigError("The detector's configuration does not exist.", where=path)
    config = read_config(path)
    own = dict(config.get("detector") or {})
    # The config is this file, also where `detector` is inherited from another one.
    return own.pop("type", "mmdet"), {**own, "config": config}


def _build(code: Any, name: str, arguments: Mapping[str, Any], device: str) -> Any:
    built = build(code, name, arguments, device=device)
    if isinstance(built, Enhancer) and not built.name:
        built.name = name
    return built
