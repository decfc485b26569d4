"""NaN in what a network says of a picture: any comparison with a threshold drops it, as if nothing had been found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from duskbench.data_tools.errors import DetectorError

if TYPE_CHECKING:
    from torch import Tensor, nn

# What torchvision and mmdet call the modules that make classes and boxes; a cascade has a list of them.
_HEADS = frozenset({"head", "box_predictor", "bbox_head", "rpn_head"})


def nan_found(detector: str, expected: str, got: str) -> DetectorError:
    """The error for a picture whose scores or boxes are NaN."""
    return DetectorError(
        f"Detector {detector!r} returned NaN.",
        expected=expected,
        got=got,
        todo="such weights overflow on this picture: use those of another training, or float32 in place of float16",
    )


def refuse_nan(model: nn.Module, detector: str) -> None:
    """Have the heads of a torchvision or mmdet model raise DetectorError where they make NaN.

    Args:
        model: The detector's network, as it will run.
        detector: Its name, for the error.
    """
    import torch
    from torch import nn

    def check(module: nn.Module, given: Any, made: Any) -> None:
        for each in _tensors(made):
            if each.is_floating_point() and bool(torch.isnan(each).any()):
                count = int(torch.isnan(each).sum())
                raise nan_found(detector, "scores and boxes that are numbers", f"{count} of {each.numel()} are NaN")

    for name, module in model.named_modules():
        parts = [part for part in name.split(".") if not part.isdecimal()]
        if parts and parts[-1] in _HEADS and not isinstance(module, nn.ModuleList):
            module.register_forward_hook(check)


def _tensors(made: Any) -> Iterator[Tensor]:
    from torch import Tensor

    if isinstance(made, Tensor):
        yield made
    elif isinstance(made, dict | list | tuple):
        for each in made.values() if isinstance(made, dict) else made:
            yield from _tensors(each)
