"""Trained enhancers as ONNX files that take a picture of any size and need nothing of this project."""

from __future__ import annotations

import copy
import importlib.util
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError, EnhancerError
from duskbench.data_tools.files import file_sha256, write_bytes
from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.enhancers.torch_base import TorchEnhancer
from duskbench.pipeline.networks.instance_norm import InstanceNorm2d
from duskbench.pipeline.networks.retinexnet import ReplicateConv2d
from duskbench.pipeline.registry import weight_files
from duskbench.pipeline.weights import PRETRAINED

if TYPE_CHECKING:
    import onnx

PREFIX = "duskbench."
TOLERANCE = 1e-4
# Multiples of every stride and not, odd, upright and lying, and below the strides, where reflection has no room. Not
# 1x1: instance normalisation of one colour divides rounding errors by next to nothing, in torch as anywhere.
CHECKED_SIZES = ((64, 96), (75, 101), (130, 67), (17, 240), (5, 7), (2, 3))


@dataclass(frozen=True)
class ExportedFile:
    """What an export made.

    Attributes:
        path: The ONNX file.
        bytes: Its size.
        opset: Of the default operator set.
        largest_difference: Between onnxruntime and torch over all checked pictures, on the scale of [0, 1].
        checked: (N, H, W) of the pictures that were compared.
        metadata: Key -> value, as they stand in the file.
    """

    path: Path
    bytes: int
    opset: int
    largest_difference: float
    checked: tuple[tuple[int, int, int], ...]
    metadata: dict[str, str]


def export_onnx(enhancer: Enhancer, path: str | Path, *, opset: int | None = None) -> ExportedFile:
    """Write a network enhancer as one ONNX file, once onnxruntime agrees with torch about it.

    The graph takes `image` and gives `enhanced`, both (N, 3, H, W) float32 RGB in [0, 1] with N, H and W free; it pads
    to the network's stride, crops back and clips. It has no tiles, so a picture takes the memory that it takes.
    The file's metadata say so under `duskbench.*`, with the enhancer, its fingerprint, and the weights' licence.

    Args:
        enhancer: From `load_enhancer`, a `TorchEnhancer`.
        path: The file, `.onnx`; it appears whole and checked, or not at all.
        opset: Of the default operator set; None takes torch's.

    Raises:
        ConfigError: The enhancer is no network, the packages of the extra `export` are missing, or the path does not
            end with .onnx.
        EnhancerError: The network cannot be expressed in ONNX, or the exported one computes something else.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise ConfigError("An exported enhancer is an ONNX file.", where=path, expected="a name that ends with .onnx")
    if not isinstance(enhancer, TorchEnhancer):
        raise ConfigError(
            "Only enhancers that are networks can be exported.",
            where=enhancer.name,
            expected="a TorchEnhancer: guided, enlightengan, cyclegan, zero_dce, retinexnet, sci, or one of your own",
            got=type(enhancer).__name__,
            todo="load one of your own with load_enhancer(..., isolate=False)",
        )
    _need_packages()
    graph = _AnySize(enhancer).eval()
    model = _to_onnx(graph, enhancer.name, opset)
    described = _describe(enhancer)
    for key, value in described.items():
        model.metadata_props.add(key=key, value=value)
    data = model.SerializeToString()
    difference, checked = _check(data, enhancer)
    write_bytes(path, data)
    version = next(each.version for each in model.opset_import if each.domain == "")
    return ExportedFile(path, len(data), version, difference, checked, described)


def _need_packages() -> None:
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            "Exporting to ONNX needs packages that are not installed.",
            expected="onnx, onnxscript and onnxruntime",
            got=f"no {', '.join(missing)}",
            todo='pip install "duskbench[export]"',
        )


class _AnySize(nn.Module):
    """An enhancer with what `TorchEnhancer` does around it, in operations that a graph with free sizes can hold."""

    def __init__(self, enhancer: TorchEnhancer) -> None:
        super().__init__()
        own = copy.deepcopy(enhancer)
        # Bands and tiles are for memory; a graph has one path.
        own.tile_pixels = sys.maxsize
        self.networks = nn.ModuleDict({key: each for key, each in vars(own).items() if isinstance(each, nn.Module)})
        for network in self.networks.values():
            _plain_layers(network)
        self.cpu().to(memory_format=torch.contiguous_format)
        self.forward_network = own.forward
        self.stride, self.margin = enhancer.stride if enhancer.pads_to_stride else 1, enhancer.margin
        self.least = max(getattr(module, "least_size", 1) for module in self.modules())

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float RGB in [0, 1] to the same."""
        height, width = image.shape[2:]
        top, rows = self._padding(height)
        left, columns = self._padding(width)
        if rows is not None and columns is not None:
            image = image.index_select(2, rows).index_select(3, columns)
        enhanced = self.forward_network(image)[:, :, top : top + height, left : left + width]
        return enhanced.clamp(0, 1)

    def _padding(self, size: int) -> tuple[int, Tensor | None]:
        """How far the picture moves, and which row of it stands in each row of the padded one.

        The rows are those of `TorchEnhancer`: reflected, or repeated where there is too little to reflect. Padding of a
        free amount is not in every runtime's reach, and gathering is.
        """
        if self.stride == 1 and not self.margin:
            return 0, None
        # Written as a product, so that the exporter knows that every halving comes out even.
        padded = (size + 2 * self.margin + self.stride - 1) // self.stride * self.stride
        before = (padded - size) // 2
        place = torch.arange(padded) - before
        reflected = (size - 1) - ((size - 1) - place.abs()).abs()
        repeated = place.clamp(0, size - 1)
        fits = torch.full((1,), size) > torch.full((1,), padded - size - before)
        rows = torch.where(fits, reflected, repeated)
        if self.least > self.stride:
            enough = torch.sym_max(padded // self.stride, -(-self.least // self.stride))
            rows = rows[torch.arange(enough * self.stride).clamp(max=padded - 1)]
        return before, rows


def _plain_layers(network: nn.Module) -> None:
    """Put torch's own layers in place of those that are quick for one picture, or write into their result's border."""
    for name, module in list(network.named_modules()):
        if type(module) is InstanceNorm2d:
            plain: nn.Module = nn.InstanceNorm2d(module.num_features, eps=module.eps).eval()
        elif type(module) is ReplicateConv2d:
            plain = copy.copy(module)
            plain.__class__ = nn.Conv2d  # type: ignore[assignment]
        else:
            continue
        parent, _, last = name.rpartition(".")
        setattr(network.get_submodule(parent), last, plain)


def _to_onnx(graph: nn.Module, name: str, opset: int | None) -> onnx.ModelProto:
    import onnxscript.optimizer

    free = torch.export.Dim.DYNAMIC
    # No side alike, none a multiple of a stride: whatever coincides in the example could be taken for a rule.
    example = torch.rand(2, 3, 75, 101, generator=torch.Generator().manual_seed(0))
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                graph,
                (example,),
                dynamo=True,
                verbose=False,
                input_names=["image"],
                output_names=["enhanced"],
                dynamic_shapes=({0: free, 2: free, 3: free},),
                opset_version=opset,
                optimize=False,
            )
            assert program is not None  # noqa: S101 - for the type checker: there is a program with dynamo=True
            # In place of torch's `optimize`, whose rules drop a summand of up to 1e-8: guards against 0/0 are such.
            onnxscript.optimizer.fold_constants(program.model)
            onnxscript.optimizer.remove_unused_nodes(program.model)
    except Exception as error:  # torch wraps what goes wrong in many types, few of them public
        reason = error.__cause__ or error
        raise EnhancerError(
            f"Enhancer {name!r} cannot be expressed in ONNX.",
            got=f"{type(reason).__name__}: {str(reason).strip().splitlines()[0] if str(reason).strip() else ''}",
            todo="leave the opset to torch, if you chose one; a forward may not branch on its pixels",
        ) from error
    model = program.model_proto
    # Lines and paths of the code that each came from, on this machine.
    for node in (*model.graph.node, *(node for function in model.functions for node in function.node)):
        del node.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output):
        count, channels, height, width = value.type.tensor_type.shape.dim
        count.dim_param, channels.dim_value, height.dim_param, width.dim_param = "batch", 3, "height", "width"
    return model


def _describe(enhancer: TorchEnhancer) -> dict[str, str]:
    described = {
        "enhancer": enhancer.name,
        "fingerprint": enhancer.fingerprint,
        "version": metadata.version("duskbench"),
        "colour_order": "rgb",
        "range": "0-1",
        "layout": "nchw",
        # The graph pads by itself.
        "stride": "1",
        "license": "; ".join(sorted(set(_licences(enhancer)))) or "unknown",
    }
    return {PREFIX + key: value for key, value in described.items()}


def _licences(enhancer: Enhancer) -> Iterable[str]:
    """Licences of the weights in use, as far as the files are known."""
    bundled = {file_sha256(path) for path in PRETRAINED.glob("*.safetensors")}
    for name, sha256 in enhancer.weights.items():
        published = [each for each in weight_files().values() if each.sha256 and sha256.startswith(each.sha256)]
        if sha256 in bundled:
            yield "Apache-2.0"
        elif published:
            yield published[0].licence
        elif not name.startswith("features of "):
            yield f"that of your {name} weights"


def _check(data: bytes, enhancer: TorchEnhancer) -> tuple[float, tuple[tuple[int, int, int], ...]]:
    """Largest difference between onnxruntime and torch, and the pictures that were compared.

    Raises:
        EnhancerError: It is above `TOLERANCE`, or onnxruntime cannot run the graph.
    """
    import onnxruntime

    expected = f"onnxruntime within {TOLERANCE:g} of torch"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    generator = np.random.default_rng(0)
    largest = 0.0
    # One batch of two: the rest of the sizes would only repeat what it shows.
    checked = tuple((2 if k == 1 else 1, *size) for k, size in enumerate(CHECKED_SIZES))
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        for count, height, width in checked:
            # Mostly dark, as the networks meet them, and not noise around a half.
            images = (generator.random((count, height, width, 3)) ** 3 * 255.99).astype(np.uint8)
            batch = images.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
            [got] = session.run(None, {"image": batch})
            wanted = np.stack([_in_torch(enhancer, image) for image in images])
            difference = float(np.abs(got - wanted).max()) if got.shape == wanted.shape else float("inf")
            # Written so that NaN fails too.
            if not difference <= TOLERANCE:
                raise EnhancerError(
                    f"The exported {enhancer.name!r} does not compute what torch computes; no file is written.",
                    expected=expected,
                    got=f"{difference:.3g} at (N, H, W) = {(count, height, width)}, shape {got.shape}",
                )
            largest = max(largest, difference)
    except EnhancerError:
        raise
    except Exception as error:  # onnxruntime's exceptions have no public base
        raise EnhancerError(
            f"onnxruntime cannot run the exported {enhancer.name!r}; no file is written.",
            expected=expected,
            got=f"{type(error).__name__}: {str(error).splitlines()[0]}",
            todo="try another opset",
        ) from error
    return largest, checked


def _in_torch(enhancer: TorchEnhancer, image_rgb: np.ndarray) -> np.ndarray:
    """What the enhancer makes of an image before it is rounded to 8 bits, (3, H, W) float32."""
    batch, (rows, columns) = enhancer.batch_of(image_rgb)
    with torch.inference_mode():
        result = enhancer.forward(batch)[0, :, rows, columns]
    return result.clamp(0, 1).float().cpu().numpy()
