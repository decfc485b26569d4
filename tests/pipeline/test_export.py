"""Network enhancers leave as ONNX files of any picture size."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError, EnhancerError
from duskbench.pipeline import export, load_enhancer
from duskbench.pipeline.enhancers.torch_base import TorchEnhancer
from duskbench.pipeline.export import export_onnx
from duskbench.pipeline.networks.instance_norm import InstanceNorm2d
from tests.needs import need_module


class Small(TorchEnhancer):
    """One level down and up at a stride of 4, in the value range of [-1, 1], brighter than white at times."""

    name = "small"
    stride: ClassVar[int] = 4
    margin: ClassVar[int] = 3

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weights = {"small": "0" * 64}
        self.down = self.prepare(nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), InstanceNorm2d(6), nn.LeakyReLU(0.2)))
        self.up = self.prepare(nn.Conv2d(6, 3, 3, padding=1))

    def forward(self, batch: Tensor) -> Tensor:
        """See `TorchEnhancer`."""
        small = F.max_pool2d(self.down(batch * 2 - 1), 4)
        return batch + self.up(F.interpolate(small, scale_factor=4.0, mode="bilinear"))


class Guarded(Small):
    """Divides by zero but for a guard that onnxscript's own optimizer takes for nothing."""

    def forward(self, batch: Tensor) -> Tensor:
        """See `TorchEnhancer`."""
        return batch - (batch - batch) / (batch - batch + 1e-8)


class BranchesOnPixels(Small):
    """What a graph cannot hold."""

    def forward(self, batch: Tensor) -> Tensor:
        """See `TorchEnhancer`."""
        return batch * 2 if batch.mean() < 0.5 else batch


def run(path: Path, batch: np.ndarray) -> np.ndarray:
    onnxruntime = need_module("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["enhanced"], {"image": batch})[0]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    need_module("onnxscript")
    enhancer = Small()
    before = (enhancer.tile_pixels, enhancer.fingerprint, type(enhancer.down[1]))
    made = export_onnx(enhancer, tmp_path_factory.mktemp("onnx") / "small.onnx")
    assert (enhancer.tile_pixels, enhancer.fingerprint, type(enhancer.down[1])) == before
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "height", "width"), [(1, 40, 64), (3, 41, 67), (1, 7, 6), (2, 3, 90), (1, 2, 2), (1, 2, 3)]
)
def test_any_size_gives_what_the_enhancer_gives(exported: Any, count: int, height: int, width: int) -> None:
    images = np.random.default_rng(1).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    enhanced = run(exported.path, images.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    assert enhanced.min() >= 0 and enhanced.max() <= 1
    rounded = np.rint(enhanced * 255).transpose(0, 2, 3, 1)
    # A value on the edge of two levels may fall to either side.
    wanted = np.stack([Small()(image) for image in images]).astype(int)
    assert np.abs(rounded - wanted).max() <= 1
    assert (rounded == wanted).mean() > 0.99


@pytest.mark.slow
def test_the_file_says_what_it_is(exported: Any) -> None:
    onnx = need_module("onnx")
    model = onnx.load(exported.path)
    onnx.checker.check_model(model, full_check=True)
    assert {each.key: each.value for each in model.metadata_props if each.key.startswith("duskbench.")} == {
        "duskbench.enhancer": "small",
        "duskbench.fingerprint": Small().fingerprint,
        "duskbench.version": exported.metadata["duskbench.version"],
        "duskbench.colour_order": "rgb",
        "duskbench.range": "0-1",
        "duskbench.layout": "nchw",
        "duskbench.stride": "1",
        "duskbench.license": "that of your small weights",
    }
    for value in (model.graph.input[0], model.graph.output[0]):
        dims = [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        assert dims == ["batch", 3, "height", "width"]
    assert exported.bytes == exported.path.stat().st_size
    # No paths of the machine that it was made on.
    assert b".py" not in exported.path.read_bytes()
    assert exported.opset == next(each.version for each in model.opset_import if not each.domain)
    assert exported.largest_difference <= 1e-4


@pytest.mark.slow
def test_our_own_loader_takes_it(exported: Any) -> None:
    image = np.random.default_rng(2).integers(0, 90, (37, 53, 3), dtype=np.uint8)
    got = load_enhancer(str(exported.path))(image)
    assert np.abs(got.astype(int) - Small()(image)).max() <= 1


@pytest.mark.slow
def test_a_graph_that_differs_is_not_written(exported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = need_module("onnx")
    model = onnx.load(exported.path)
    bias = next(each for each in model.graph.initializer if list(each.dims) == [3])
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(0.001), bias.name))
    del model.metadata_props[:]
    monkeypatch.setattr(export, "_to_onnx", lambda *_: model)
    with pytest.raises(EnhancerError, match="does not compute what torch computes"):
        export_onnx(Small(), tmp_path / "small.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_tiny_summand_stays(tmp_path: Path) -> None:
    need_module("onnxscript")
    path = export_onnx(Guarded(), tmp_path / "guarded.onnx").path
    assert np.array_equal(run(path, np.full((1, 3, 4, 4), 0.5, np.float32)), np.full((1, 3, 4, 4), 0.5))


@pytest.mark.slow
def test_what_no_graph_can_hold_is_an_error(tmp_path: Path) -> None:
    need_module("onnxscript")
    with pytest.raises(EnhancerError, match="cannot be expressed"):
        export_onnx(BranchesOnPixels(), tmp_path / "small.onnx")
    assert list(tmp_path.iterdir()) == []


def test_wrong_arguments_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="Only enhancers that are networks"):
        export_onnx(load_enhancer("lime"), tmp_path / "lime.onnx")
    with pytest.raises(ConfigError, match=r"ends with \.onnx"):
        export_onnx(Small(), tmp_path / "small.pb")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else found(name))
    with pytest.raises(ConfigError, match=r"duskbench\[export\]"):
        export_onnx(Small(), tmp_path / "small.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["guided", "cyclegan"])
def test_the_networks_that_ship(tmp_path: Path, name: str) -> None:
    need_module("onnxscript")
    made = export_onnx(load_enhancer(name), tmp_path / f"{name}.onnx")
    assert made.largest_difference <= 1e-4
    assert made.metadata["duskbench.license"] == "Apache-2.0"
