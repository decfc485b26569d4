"""Every network by itself on tensors that say they are on a GPU, and its gradients on tensors without data."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves

from duskbench.pipeline.networks.build import build_network
from duskbench.pipeline.networks.retinexnet import DecomNet, RelightNet
from duskbench.pipeline.networks.rfbnet import RFBVGG
from duskbench.pipeline.networks.sci import SCINet
from duskbench.pipeline.networks.squeezenet import SqueezeNetFeatures
from duskbench.pipeline.registered import registered
from tests.pipeline.training.test_without_a_gpu import half_precision, replace_tensors

PICTURE = (2, 3, 64, 64)
ONE = (2, 1, 64, 64)
VGG = {"type": "VGG16Features", "weights": "random"}
GUIDED = {
    "generator": {"type": "UNet", "width": 4, "blocks": 4},
    "attention": {"type": "FeatureGuidedAttention", "features": VGG},
}
# Arguments, and shapes (or values) of what it is called with.
CASES: dict[str, tuple[Mapping[str, Any], tuple[Any, ...]]] = {
    "AttentionGuided": (GUIDED, (PICTURE,)),
    "DCENet": ({}, (PICTURE,)),
    "DRITContentDiscriminator": ({"width": 2}, ((2, 8, 54, 54),)),
    "DRITDiscriminator": ({"width": 2}, (PICTURE,)),
    "DRITGenerator": ({"width": 4}, (PICTURE,)),
    "DetectorFeatures": ({}, (PICTURE,)),
    "DistilledFeatures": ({}, (PICTURE,)),
    "EnlightenGANDiscriminator": ({"width": 4}, (PICTURE,)),
    "EnlightenGANGenerator": ({"width": 4}, (PICTURE,)),
    "FeatureBase": ({}, (PICTURE,)),
    "FeatureGuidedAttention": ({"features": VGG}, (PICTURE,)),
    "ForkClassifier": ({"width": 4}, ((2, 16, 16, 16),)),
    "ForkDiscriminator": ({"width": 4}, (PICTURE,)),
    "ForkGenerator": ({"width": 4}, (PICTURE,)),
    "HDRNet": ({"guide": "pointwise", "norm": True}, (PICTURE,)),
    "KinDAdjustment": ({}, (ONE, (1,))),
    "KinDDecomposition": ({}, (PICTURE,)),
    "KinDRestoration": ({"width": 4}, (PICTURE, ONE)),
    "LLNet": ({"widths": [8, 4, 8]}, (PICTURE,)),
    "MultiscaleDiscriminator": ({"width": 4}, (PICTURE,)),
    "PatchDiscriminator": ({"width": 4}, (PICTURE,)),
    "ResnetGenerator": ({"width": 4, "blocks": 2}, (PICTURE,)),
    "UNITDiscriminators": ({"width": 4}, (PICTURE, "A")),
    "UNITGenerator": ({"width": 4}, (PICTURE,)),
    "UNet": ({"in_channels": 3, "width": 4, "blocks": 4}, (PICTURE,)),
    "VGG16Features": ({"weights": "random"}, (PICTURE,)),
}
# Not in the registry of networks.
OTHERS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "DecomNet": (DecomNet, (PICTURE,)),
    "RelightNet": (RelightNet, (ONE, PICTURE)),
    "SCINet": (SCINet, (PICTURE,)),
    "RFBVGG": (RFBVGG, ((2, 3, 300, 300),)),
}
FROZEN = {"DetectorFeatures", "DistilledFeatures", "FeatureGuidedAttention", "VGG16Features", "SqueezeNetFeatures"}
# One call goes through the weights of one domain only; the training steps ask for the gradients of all.
TWO_DOMAINS = {"DRITGenerator", "ForkGenerator", "UNITDiscriminators", "UNITGenerator"}
NAMES = [*registered("networks"), *OTHERS]


def made(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[nn.Module, tuple[Any, ...]]:
    if name in OTHERS:
        return OTHERS[name][0](), OTHERS[name][1]
    if name == "SqueezeNetFeatures":
        with monkeypatch.context() as patch:
            patch.setattr("duskbench.pipeline.networks.squeezenet.find_weights", lambda *_: folder)
            patch.setattr("duskbench.pipeline.networks.squeezenet.load_file", lambda *_, **__: {})
            return SqueezeNetFeatures(weights=folder), (PICTURE,)
    arguments, given = CASES[name]
    return build_network({"type": name, **arguments}), given


def call(network: nn.Module, given: tuple[Any, ...], device: str) -> list[Tensor]:
    made_of = [torch.empty(each, device=device) if isinstance(each, tuple) else each for each in given]
    return [each for each in tree_leaves(network(*made_of)) if isinstance(each, Tensor)]


@pytest.mark.slow
@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "half"])
@pytest.mark.parametrize("name", NAMES)
def test_a_network_stays_on_the_gpu(name: str, autocast: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, given = made(name, tmp_path, monkeypatch)
    with FakeTensorMode(allow_non_fake_inputs=True), half_precision() if autocast else nullcontext():
        for mode in (True, False):
            replace_tensors(network.train(mode), "cuda")
            found = call(network, given, "cuda")
            assert found
            assert {each.device.type for each in found} == {"cuda"}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FROZEN | TWO_DOMAINS])
def test_every_weight_gets_a_gradient(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, given = made(name, tmp_path, monkeypatch)
    replace_tensors(network.train(), "meta")
    torch.stack([each.float().mean() for each in call(network, given, "meta")]).sum().backward()
    learning = {name: each for name, each in network.named_parameters() if each.requires_grad}
    assert learning
    assert [name for name, each in learning.items() if each.grad is None or each.grad.shape != each.shape] == []
