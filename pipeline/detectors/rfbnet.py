"""RFBNet, the paper's detector: both official weight files, or any that mmdet trained on our modules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.config import Config
from torch import Tensor

from duskbench.data_tools.errors import WeightsError
from duskbench.data_tools.files import file_sha256
from duskbench.pipeline.detectors.mmdet import MMDetDetector

_PREFIXES: tuple[tuple[str, str], ...] = (
    (r"^base\.", "backbone.features."),
    (r"^Norm\.", "backbone.norm."),
    (r"^extras\.", "backbone.extras."),
    (r"^loc\.(\d+)\.", r"bbox_head.reg_convs.\1.0."),
    (r"^conf\.(\d+)\.", r"bbox_head.cls_convs.\1.0."),
)


class RFBNetDetector(MMDetDetector):
    """RFBNet, frozen, with convolutions and their normalisation merged.

    Input and output follow the official test_RFB.py: BGR, bilinear resize, mean subtracted; softmax, decoding with
    variances 0.1 and 0.2, score above 0.01, NMS at IoU 0.45 within a class with widths + 1, the best 200. Boxes are
    not clipped to the image.

    Args:
        config: mmdet config with an `RFBVGG` backbone, as for `MMDetDetector`.
        checkpoint: An official file (RFBNet300 80.5 or 80.7; which of the two is read from its keys), or one that
            mmdet saved or this project exported; as for `MMDetDetector`.
        device: Torch device.
        name: For tables; None takes the config's file name.
        cfg_options: Values to put into the config.
        classes: Class names; None takes the checkpoint's, or else the config's.
        ends_on_last_pixel: As for `MMDetDetector`; the official files were trained on such boxes.

    Raises:
        ConfigError: The config cannot be read or built, or the class names do not fit.
        WeightsError: The checkpoint is missing, or lacks keys of the network: the message has them.
    """

    def _adapt(self, config: Config, state_dict: dict[str, Tensor], where: Path) -> tuple[Config, dict[str, Tensor]]:
        classes = config.model.bbox_head.num_classes
        if any(key.startswith(("base.", "Norm.", "conf.")) for key in state_dict):
            state_dict = from_official(state_dict, classes, where)
        config.model.backbone.branches = count_branches(state_dict)
        return config, state_dict

    def _freeze(self, model: torch.nn.Module) -> torch.nn.Module:
        from mmcv.cnn import fuse_conv_bn

        return fuse_conv_bn(super()._freeze(model)).requires_grad_(False)

    def _code(self) -> dict[str, str]:
        from duskbench.pipeline.networks import rfbnet, ssd_head

        return {module.__name__: file_sha256(str(module.__file__)) for module in (rfbnet, ssd_head)}


def count_branches(state_dict: Mapping[str, Tensor]) -> int:
    """Branches of the deeper blocks, by our keys: 3 since August 2018 (80.7), 2 before (80.5)."""
    return 3 if "backbone.extras.0.branch2.0.conv.weight" in state_dict else 2


def from_official(state_dict: Mapping[str, Tensor], num_classes: int, where: str | Path) -> dict[str, Tensor]:
    """Turn the keys of an official RFBNet file into those of our mmdet model, and background first into last.

    Args:
        state_dict: Official keys, with or without the prefix `module.`.
        num_classes: Classes without background.
        where: The file, for the error.

    Returns:
        State dict of a SingleStageDetector with `RFBVGG` and an SSD head.

    Raises:
        WeightsError: The class head is for another number of classes.
    """
    converted: dict[str, Tensor] = {}
    for key, value in state_dict.items():
        new = key.removeprefix("module.").replace(".ConvLinear.", ".conv_linear.")
        for pattern, replacement in _PREFIXES:
            new = re.sub(pattern, replacement, new)
        converted[new] = _background_last(value, num_classes + 1, where) if ".cls_convs." in new else value
    return converted


def _background_last(head: Tensor, outputs: int, where: str | Path) -> Tensor:
    """(boxes * outputs, ...) with background as the first output of each box, to the same with it as the last."""
    if len(head) % outputs:
        raise WeightsError(
            "The file's class head is for another number of classes.",
            where=where,
            expected=f"a multiple of {outputs} rows (classes and background)",
            got=f"{len(head)}",
        )
    return head.reshape(-1, outputs, *head.shape[1:]).roll(-1, dims=1).reshape(head.shape)
