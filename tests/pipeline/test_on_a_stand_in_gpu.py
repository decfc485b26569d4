"""Everything that computes with torch gives on a GPU what it gives on a CPU, shown without a GPU."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from duskbench.benchmarks.metrics.niqe import niqe_batch
from duskbench.pipeline.detectors.mmdet import MMDetDetector, build_model
from duskbench.pipeline.enhancers.lime import Lime
from duskbench.pipeline.enhancers.published import PublishedEnhancer
from duskbench.pipeline.enhancers.torch_base import TorchEnhancer
from duskbench.pipeline.mmdet_config import load_config
from duskbench.pipeline.networks.build import build_network
from duskbench.pipeline.networks.kind import KinDAdjustment, KinDDecomposition, KinDRestoration
from duskbench.pipeline.networks.retinexnet import DecomNet, RelightNet
from duskbench.pipeline.nms import SOFT_NMS_METHODS, soft_nms
from duskbench.pipeline.registry import ENHANCERS, load_detector
from tests.gpu_stand_in import gpu_stand_in

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
ENHANCERS_ON_TORCH: dict[str, type[TorchEnhancer]] = {
    name: code
    for name in ENHANCERS
    if isinstance(code := ENHANCERS.load(name), type) and issubclass(code, TorchEnhancer)
}
# Those without weights that ship or that their authors published.
TRAINED: dict[str, dict[str, Any]] = {
    "hdrnet": {"type": "HDRNet"},
    "llnet": {"type": "LLNet", "widths": [8, 4, 8]},
    "unit": {"type": "UNITGenerator", "width": 4},
    "forkgan": {"type": "ForkGenerator", "width": 4},
    "drit": {"type": "DRITGenerator", "width": 4},
}
PARTS: dict[str, dict[str, Callable[[], torch.nn.Module]]] = {
    "retinexnet": {"decom": DecomNet, "relight": RelightNet},
    "kind": {"decomposition": KinDDecomposition, "adjustment": KinDAdjustment, "restoration": KinDRestoration},
}


@pytest.fixture(autouse=True)
def _one_seed() -> Iterator[None]:
    torch.manual_seed(0)
    yield


def picture(height: int = 48, width: int = 64, top: int = 120) -> np.ndarray:
    blocks = np.random.default_rng(0).integers(0, top, (height // 8, width // 8, 3), dtype=np.uint8)
    return blocks.repeat(8, 0).repeat(8, 1)


def weights_of(name: str, folder: Path) -> dict[str, Path]:
    """Arguments that give an enhancer random weights, where it ships none."""
    code = ENHANCERS_ON_TORCH[name]
    if name in TRAINED:
        path = folder / "weights.safetensors"
        save_file(build_network(TRAINED[name]).state_dict(), path, metadata={"network": json.dumps(TRAINED[name])})
        return {"weights": path}
    parts = PARTS.get(name, {})
    if issubclass(code, PublishedEnhancer):
        parts = {"weights": code.network_class}
    for part, network in parts.items():
        torch.save(network().state_dict(), folder / f"{part}.pt")
    return {part: folder / f"{part}.pt" for part in parts}


def test_mixing_devices_raises_and_numbers_do_not() -> None:
    with gpu_stand_in():
        on_gpu = torch.arange(3.0).to("cuda")
        with pytest.raises(RuntimeError, match="cuda"):
            on_gpu + torch.ones(3)
        with pytest.raises(RuntimeError, match="cuda"):
            torch.cat([on_gpu, torch.ones(3)])
        with pytest.raises(RuntimeError):
            torch.ones(3).index_select(0, on_gpu.long())
        with pytest.raises((RuntimeError, TypeError)):
            on_gpu.numpy()
        total = on_gpu + torch.tensor(1.0)
        assert total.device.type == "cuda"
        assert total.cpu().tolist() == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("amp", [False, True], ids=["float32", "half"])
@pytest.mark.parametrize("name", ENHANCERS_ON_TORCH)
def test_an_enhancer_gives_the_same_picture(name: str, amp: bool, tmp_path: Path) -> None:
    arguments: dict[str, Any] = weights_of(name, tmp_path)
    want = ENHANCERS_ON_TORCH[name](**arguments)(picture())
    with gpu_stand_in():
        got = ENHANCERS_ON_TORCH[name](device="cuda", amp=amp, **arguments)(picture())
    difference = np.abs(got.astype(int) - want)
    assert difference.max() == 0 if not amp else difference.mean() < 2


@pytest.fixture
def torch_convolves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector on a CPU has oneDNN do all convolutions, whose sums are rounded otherwise than the stand-in's."""
    monkeypatch.setattr("duskbench.pipeline.detectors.mmdet._convolve_by_onednn", lambda model: None)


def assert_same(detector: MMDetDetector, on_gpu: Callable[[], MMDetDetector]) -> None:
    image = picture(96, 128, 255)
    (want,) = detector.detect([image])
    with gpu_stand_in():
        (got,) = on_gpu().detect([image])
    assert len(want) > 0
    np.testing.assert_array_equal(got.boxes_xyxy, want.boxes_xyxy)
    np.testing.assert_array_equal(got.scores, want.scores)
    np.testing.assert_array_equal(got.labels, want.labels)


@pytest.mark.usefixtures("torch_convolves")
def test_the_bundled_detector_finds_the_same() -> None:
    detector = load_detector("rfb_miniature")
    assert isinstance(detector, MMDetDetector)
    assert_same(detector, lambda: load_detector("rfb_miniature", device="cuda"))  # type: ignore[arg-type, return-value]


@pytest.mark.slow
@pytest.mark.usefixtures("torch_convolves")
@pytest.mark.parametrize("name", ["ssd300_voc", "ssd512_voc", "rfbnet300_voc"])
def test_a_detector_finds_the_same(name: str, tmp_path: Path) -> None:
    config, path = (
        load_config(CONFIGS / "detectors" / f"{name}.py", {"model.test_cfg.score_thr": 0.04}),
        tmp_path / "w.pth",
    )
    torch.save(build_model(config).state_dict(), path)
    assert_same(MMDetDetector(config, path), lambda: MMDetDetector(config, path, "cuda"))


@pytest.mark.parametrize("method", SOFT_NMS_METHODS)
def test_soft_suppression_keeps_the_same(method: str) -> None:
    corners = torch.rand(20, 2) * 50
    boxes, scores = torch.cat([corners, corners + 20], dim=1), torch.rand(20)
    want = soft_nms(boxes, scores, 0.3, 0.5, 0.05, method)
    with gpu_stand_in():
        got = soft_nms(boxes.to("cuda"), scores.to("cuda"), 0.3, 0.5, 0.05, method)
        assert {each.device.type for each in got} == {"cuda"}
        assert all(torch.equal(one.cpu(), other) for one, other in zip(got, want, strict=True))


@pytest.mark.parametrize("strategy", [1, 2, 3])
def test_lime_solves_to_the_same_picture(strategy: int) -> None:
    # More nodes than the coarsest grid, so that the cycle has a level above it; odd, so that borders differ.
    image = picture()[:41, :57]
    want = Lime(strategy=strategy)(image)
    with gpu_stand_in():
        enhancer = Lime(strategy=strategy, device="cuda")
        assert enhancer.illumination(image).device.type == "cuda"
        np.testing.assert_array_equal(enhancer(image), want)


@pytest.mark.parametrize("given", ["array", "bytes", "floats"])
def test_niqe_measures_the_same(given: str) -> None:
    image = picture(192, 288, 255)
    image = image // 2 + np.random.default_rng(1).integers(0, 99, image.shape, dtype=np.uint8)
    (want,) = niqe_batch([image])
    assert want.number is not None
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    with gpu_stand_in():
        if given == "array":
            (got,) = niqe_batch([image], "cuda")
        else:
            on_gpu = tensor.to("cuda") if given == "bytes" else tensor.to("cuda").float() / 255
            (got,) = niqe_batch([on_gpu])
    # On a GPU more blocks are summed at a time.
    assert got.number == pytest.approx(want.number, rel=1e-12)
