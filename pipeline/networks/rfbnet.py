"""RFBNet's backbone: a VGG base with receptive field blocks, as mmdet modules.

Widths, depths, normalisation and the number of levels are arguments, so the small detector of the miniature is made of
the same modules as RFBNet300. The default arguments are RFBNet300's.

Source: Liu, Huang and Wang 2018, "Receptive Field Block Net for Accurate and Fast Object Detection"; layer by layer
the official models/RFB_Net_vgg.py (GOATmessi8/RFBNet 88d5850, and before 47d7e97 for two branches).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from duskbench.pipeline.mmcv_ops import provide_mmcv_ops
from duskbench.pipeline.networks.vgg_base import STAGE_CHANNELS, STAGE_DEPTHS, convolution, vgg_base

# Before anything of mmcv and mmdet, as there.
provide_mmcv_ops()

from mmcv.cnn import ConvModule, build_norm_layer  # noqa: E402
from mmdet.registry import MODELS  # noqa: E402
from mmengine.model import BaseModule  # noqa: E402

BATCH_NORM: Mapping[str, Any] = {"type": "BN", "momentum": 0.01, "eps": 1e-5}
KAIMING: tuple[Mapping[str, Any], ...] = (
    {"type": "Kaiming", "layer": "Conv2d"},
    {"type": "Constant", "val": 1, "layer": "BatchNorm2d"},
)


def _conv(
    channels: tuple[int, int],
    kernel: int | tuple[int, int],
    norm_cfg: Mapping[str, Any],
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: int | tuple[int, int] | None = None,
    relu: bool = True,
) -> ConvModule:
    """Convolution, normalisation and, unless it ends a branch, ReLU; padded to keep the size unless told otherwise."""
    if padding is None:
        sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        padding = (dilation * (sides[0] // 2), dilation * (sides[1] // 2))
    return ConvModule(
        *channels,
        kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        norm_cfg=dict(norm_cfg),
        act_cfg={"type": "ReLU"} if relu else None,
    )


def _norm(norm_cfg: Mapping[str, Any], channels: int) -> nn.Module:
    return build_norm_layer(dict(norm_cfg), channels)[1]


class _Block(BaseModule):
    """Branches side by side, concatenated, mixed by a 1x1 convolution, added to a shortcut, ReLU."""

    def __init__(
        self,
        branches: Sequence[nn.Module],
        mixed: int,
        channels: tuple[int, int],
        norm_cfg: Mapping[str, Any],
        stride: int,
    ) -> None:
        super().__init__()
        self.branches = len(branches)
        for i, branch in enumerate(branches):
            self.add_module(f"branch{i}", branch)
        self.conv_linear = _conv((mixed, channels[1]), 1, norm_cfg, relu=False)
        self.shortcut = _conv(channels, 1, norm_cfg, stride=stride, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, C_out, H / stride, W / stride)."""
        branches = [self.get_submodule(f"branch{i}")(x) for i in range(self.branches)]
        return torch.relu(self.conv_linear(torch.cat(branches, dim=1)) + self.shortcut(x))


class RFB(_Block):
    """Receptive field block for the deeper maps: dilations 2, 3 and 5.

    Args:
        channels: Channels in and out.
        stride: 1, or 2 to halve the map.
        branches: 3, or 2 for the structure before August 2018, which lacks the dilation of 2.
        norm_cfg: Normalisation of every convolution.

    Source: official BasicRFB with visual = 2, scale = 1.
    """

    def __init__(
        self,
        channels: tuple[int, int],
        stride: int = 1,
        branches: int = 3,
        norm_cfg: Mapping[str, Any] = BATCH_NORM,
    ) -> None:
        inter = channels[0] // 8
        wide = 2 * inter
        near = nn.Sequential(
            _conv((channels[0], wide), 1, norm_cfg, stride=stride),
            _conv((wide, wide), 3, norm_cfg, dilation=2, relu=False),
        )
        middle = nn.Sequential(
            _conv((channels[0], inter), 1, norm_cfg),
            _conv((inter, wide), 3, norm_cfg, stride=stride),
            _conv((wide, wide), 3, norm_cfg, dilation=3, relu=False),
        )
        between = inter // 2 * 3
        far = nn.Sequential(
            _conv((channels[0], inter), 1, norm_cfg),
            _conv((inter, between), 3, norm_cfg),
            _conv((between, wide), 3, norm_cfg, stride=stride),
            _conv((wide, wide), 3, norm_cfg, dilation=5, relu=False),
        )
        chosen = [near, middle, far][-branches:]
        super().__init__(chosen, len(chosen) * wide, channels, norm_cfg, stride)


class FineRFB(_Block):
    """Receptive field block for the finest map: smaller kernels, more branches.

    Args:
        channels: Channels in and out.
        norm_cfg: Normalisation of every convolution.

    Source: official BasicRFB_a with scale = 1 ("RFB-s" in the paper, figure 4b).
    """

    def __init__(self, channels: tuple[int, int], norm_cfg: Mapping[str, Any] = BATCH_NORM) -> None:
        inter = channels[0] // 4
        half, most = inter // 2, inter // 4 * 3
        branches = [
            nn.Sequential(
                _conv((channels[0], inter), 1, norm_cfg),
                _conv((inter, inter), 3, norm_cfg, relu=False),
            ),
            *(
                nn.Sequential(
                    _conv((channels[0], inter), 1, norm_cfg),
                    _conv((inter, inter), kernel, norm_cfg),
                    _conv((inter, inter), 3, norm_cfg, dilation=3, relu=False),
                )
                for kernel in ((3, 1), (1, 3))
            ),
            nn.Sequential(
                _conv((channels[0], half), 1, norm_cfg),
                _conv((half, most), (1, 3), norm_cfg),
                _conv((most, inter), (3, 1), norm_cfg),
                _conv((inter, inter), 3, norm_cfg, dilation=5, relu=False),
            ),
        ]
        super().__init__(branches, 4 * inter, channels, norm_cfg, stride=1)


@MODELS.register_module()
class RFBVGG(BaseModule):
    """VGG base, receptive field blocks and extra maps of RFBNet; feeds an SSD head.

    Args:
        stage_channels: Channels of the base's five stages; the fourth feeds the finest map, at a stride of 8.
        stage_depths: Convolutions in each stage.
        stem_stride: 1 as in VGG. 2 strides in the first convolution instead of pooling after the first stage, for a
            quarter of its cost; maps keep their sizes.
        fc_channels: Channels of the two convolutions that stand for VGG's fc6 and fc7, and of the second map.
        extra_channels: Channels of the maps made by receptive field blocks of stride 2.
        tail_channels: Channels of the last maps, each two smaller on either side than the one before.
        branches: 3, or 2; see `RFB`.
        base_norm_cfg: Normalisation in the base; None as in VGG, for pretrained weights.
        norm_cfg: Normalisation everywhere else.
        init_cfg: mmengine's initialisation.

    Shape:
        Input (N, 3, S, S); for RFBNet300 float32 BGR in 0..255 minus (104, 117, 123).
        Output: tuple of maps (N, C, H, W), finest first; for S = 300 of 38, 19, 10, 5, 3 and 1 pixels.
    """

    def __init__(
        self,
        stage_channels: Sequence[int] = STAGE_CHANNELS,
        stage_depths: Sequence[int] = STAGE_DEPTHS,
        stem_stride: int = 1,
        fc_channels: int = 1024,
        extra_channels: Sequence[int] = (512, 256),
        tail_channels: Sequence[int] = (256, 256),
        branches: int = 3,
        base_norm_cfg: Mapping[str, Any] | None = None,
        norm_cfg: Mapping[str, Any] = BATCH_NORM,
        init_cfg: Any = KAIMING,
    ) -> None:
        super().__init__(init_cfg=[dict(each) for each in init_cfg] if isinstance(init_cfg, tuple) else init_cfg)
        norm = None if base_norm_cfg is None else partial(_norm, base_norm_cfg)
        stages = vgg_base(stage_channels, stage_depths, stem_stride, norm=norm)
        # The last ReLU of the fourth stage; its pooling comes after it.
        self.fine_end = sum(map(len, stages[:4])) - 2
        # Named and numbered as in mmdet's SSDVGG, so that the same pretrained VGG files fit.
        self.features = nn.Sequential(
            *chain.from_iterable(stages),
            *convolution(stage_channels[-1], fc_channels, 3, norm, padding=6, dilation=6),
            *convolution(fc_channels, fc_channels, 1, norm),
        )
        self.norm = FineRFB((stage_channels[3], stage_channels[3]), norm_cfg)
        widths = (fc_channels, fc_channels, *extra_channels)
        self.extras = nn.ModuleList(
            RFB(pair, stride=1 if i == 0 else 2, branches=branches, norm_cfg=norm_cfg)
            for i, pair in enumerate(pairwise(widths))
        )
        for before, after in pairwise((widths[-1], *tail_channels)):
            self.extras.append(_conv((before, after // 2), 1, norm_cfg))
            self.extras.append(_conv((after // 2, after), 3, norm_cfg, padding=0))
        self.blocks = len(widths) - 1
        self.out_channels = (stage_channels[3], *widths[1:], *tail_channels)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the maps; see the class."""
        maps: list[Tensor] = []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i == self.fine_end:
                maps.append(self.norm(x))
        for i, layer in enumerate(self.extras):
            x = layer(x)
            # The first convolution of each tail only narrows; the head reads the second.
            if i < self.blocks or (i - self.blocks) % 2:
                maps.append(x)
        return tuple(maps)
