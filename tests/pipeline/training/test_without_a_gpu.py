"""Training steps on tensors that say they are on a GPU and hold nothing: mixing devices raises, GPU or not.

Without a GPU torch's autograd cannot run backward for such tensors, so gradients are asked for on "meta" tensors, which
have neither data nor a device to mix up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from duskbench.benchmarks.reproduce.estimates import without_downloads
from duskbench.pipeline.training.enhancer import prepare
from tests.pipeline.training.conftest import CONFIGS

METHODS = [
    "zero_dce", "enlightengan", "guided", "guided_no_grey", "guided_no_features", "guided_resnet",
    "guided_reconstruction_small", "cyclegan", "kind_decomposition", "kind_restoration", "kind_adjustment", "hdrnet",
    "llnet_pretraining_small", "llnet_small", "unit", "forkgan_small", "drit_small",
]  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {
    "cyclegan": {"model.pool_size": 0},
    "forkgan_small": {"model.pool_size": 0},
    "drit_small": {"model.interval": 1},
    "kind_restoration": {"model.decomposition": "random", "model.generator.width": 4},
    "kind_adjustment": {"model.decomposition": "random"},
    "llnet_pretraining_small": {"model.steps_a_layer": 1},
}
# Whole steps of these take more than a few seconds.
LARGE = ("cyclegan", "forkgan_small", "unit", "guided_resnet", "drit_small")
# Sides of crops where 64 is not enough.
CROPS = {"drit_small": 216}
# Whole numbers, which decide where to cut, stay on the CPU.
SEEDS = torch.tensor([3, 4])


def marked(methods: list[str]) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in methods]


@contextmanager
def half_precision() -> Iterator[None]:
    """What torch.autocast does on a GPU; without one it warns and does nothing."""
    torch.set_autocast_dtype("cuda", torch.float16)
    torch.set_autocast_enabled("cuda", True)
    try:
        yield
    finally:
        torch.set_autocast_enabled("cuda", False)
        torch.clear_autocast_cache()


class Descent:
    """Stands for an optimizer wrapper: runs the step's forward passes, and backward where that can be."""

    def __init__(self, network: nn.Module, backward: bool, autocast: bool) -> None:
        self.network, self.learns, self.autocast = network, backward, autocast
        self.param_groups: list[dict[str, Any]] = [{"params": list(network.parameters())}]
        self.losses: list[Tensor] = []

    @contextmanager
    def optim_context(self, _model: nn.Module) -> Iterator[None]:
        with half_precision() if self.autocast else nullcontext():
            yield

    def scale_loss(self, loss: Tensor) -> Tensor:
        return loss

    def zero_grad(self) -> None:
        for parameter in self.network.parameters():
            parameter.grad = None

    def backward(self, loss: Tensor, **arguments: Any) -> None:
        self.losses.append(loss)
        if self.learns:
            loss.backward(**arguments)

    def step(self) -> None:
        if self.learns:
            learning = [p for p in self.network.parameters() if p.requires_grad]
            assert all(p.grad is not None and p.grad.shape == p.shape for p in learning)


def built(method: str) -> tuple[Any, list[str]]:
    config = prepare(CONFIGS / f"{method}.py", OPTIONS.get(method))
    return MODELS.build(without_downloads(config.model.to_dict())).train(), [
        name for name in config.optim_wrapper if name != "constructor"
    ]


def replace_tensors(model: nn.Module, device: str) -> None:
    """Parameters and buffers without data in place of the real ones."""
    for module in model.modules():
        for kind in (module._parameters, module._buffers):
            for name, old in kind.items():
                if old is not None and old.is_floating_point():
                    new = torch.empty(old.shape, dtype=old.dtype, device=device)
                    kind[name] = nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new


def step(
    model: Any, networks: list[str], device: str, *, backward: bool, autocast: bool = False, crop: int = 64
) -> dict[str, Tensor]:
    """One training step; every optimizer must have been given one loss."""
    optimizers = {name: Descent(getattr(model, name), backward, autocast) for name in networks}
    batch = {name: torch.empty(2, 3, crop, crop, device=device) for name in ("low", "normal")}
    losses: dict[str, Tensor] = model.step({**batch, "seed": SEEDS}, optimizers)
    assert all(len(each.losses) == 1 for each in optimizers.values())
    return losses


@pytest.mark.slow
@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("method", marked(METHODS))
def test_a_step_stays_on_the_gpu(method: str, autocast: bool) -> None:
    model, networks = built(method)
    with FakeTensorMode(allow_non_fake_inputs=True):
        replace_tensors(model, "cuda")
        losses = step(model, networks, "cuda", backward=False, autocast=autocast, crop=CROPS.get(method, 64))
    assert all(value.device.type == "cuda" and value.shape == () for value in losses.values())
    assert all(value.dtype == torch.float32 for value in losses.values()), "losses are of small differences"


def test_half_precision_is_what_convolutions_get_and_differences_do_not() -> None:
    convolution = nn.Conv2d(3, 2, 3)
    with FakeTensorMode(allow_non_fake_inputs=True):
        replace_tensors(convolution, "cuda")
        picture = torch.empty(1, 3, 8, 8, device="cuda")
        with half_precision():
            assert convolution(picture).dtype == torch.float16
            assert (picture - 1).dtype == torch.float32
        assert convolution(picture).dtype == torch.float32


def test_a_constant_on_the_cpu_is_found() -> None:
    model, networks = built("guided")
    model.generator.attention.features.register_buffer("mean", torch.zeros(3, 1, 1), persistent=False)
    stray = model.generator.attention.features._buffers.pop("mean")
    with FakeTensorMode(allow_non_fake_inputs=True):
        replace_tensors(model, "cuda")
        model.generator.attention.features._buffers["mean"] = torch.empty(stray.shape, device="cpu")
        with pytest.raises(RuntimeError, match="device"):
            step(model, networks, "cuda", backward=False)


# LLNet's first stage trains a layer at a time.
@pytest.mark.parametrize("method", marked([method for method in METHODS if method != "llnet_pretraining_small"]))
def test_every_weight_that_learns_gets_a_gradient_of_its_shape(method: str) -> None:
    model, networks = built(method)
    replace_tensors(model, "meta")
    losses = step(model, networks, "meta", backward=True, crop=CROPS.get(method, 64))
    assert all(value.device.type == "meta" for value in losses.values())
