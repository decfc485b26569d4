"""What one training step costs, counted on tensors without data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class TrainingCost:
    """Billions of floating-point operations of a step (a multiply-add is two), parameters trained, crops a step."""

    gflop: float
    parameters: int
    batch_size: int


def training_cost(config: str | Path, cfg_options: Mapping[str, Any] | None = None) -> TrainingCost:
    """Count one step of a training configuration, forward and backward, with the weights of no extractor at hand.

    Args:
        config: A file of `configs/training`.
        cfg_options: See `duskbench.pipeline.training.enhancer.train`.

    Raises:
        ConfigError: The configuration cannot be read.
    """
    import warnings

    import torch
    from mmengine.registry import MODELS
    from torch.utils.flop_counter import FlopCounterMode

    from duskbench.pipeline.training.enhancer import prepare

    loaded = prepare(config, cfg_options)
    crop, number = loaded.train_dataloader.dataset.crop, loaded.train_dataloader.batch_size
    with torch.device("meta"), warnings.catch_warnings():
        # Extractors that ship load their weights into tensors without data, and torch says so for each.
        warnings.simplefilter("ignore", UserWarning)
        model = MODELS.build(without_downloads(loaded.model.to_dict()))
        pictures = {name: torch.empty(number, 3, crop, crop) for name in ("low", "normal")}
    _give_counters_values(model)
    batch = {**pictures, "seed": torch.zeros(number, dtype=torch.int64)}
    counter = FlopCounterMode(display=False)
    with counter:
        model.step(batch, dict.fromkeys(loaded.optim_wrapper, _Uncounted()))
    return TrainingCost(counter.get_total_flops() / 1e9, _trained(model), number)


def without_downloads(model: Mapping[str, Any]) -> dict[str, Any]:
    """The same configuration of a model with random weights for VGG-16, at any depth."""
    changed = {key: without_downloads(value) if isinstance(value, Mapping) else value for key, value in model.items()}
    return {**changed, "weights": "random"} if model.get("type") == "VGG16Features" else changed


def _give_counters_values(model: nn.Module) -> None:
    """A step looks at whole-number state, such as how full an image pool is, so that cannot be without data."""
    import torch

    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if not buffer.is_floating_point():
                setattr(module, name, torch.zeros(buffer.shape, dtype=buffer.dtype))


def _trained(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


class _Uncounted:
    """Stands for an optimizer: the gradient is computed, nothing is updated."""

    param_groups: tuple[Mapping[str, Any], ...] = ()

    @contextmanager
    def optim_context(self, model: object) -> Iterator[None]:
        yield

    def scale_loss(self, loss: Tensor) -> Tensor:
        return loss

    def zero_grad(self) -> None:
        """Gradients of tensors without data take no memory."""

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def step(self) -> None:
        """Weights stay."""
