"""The three networks of KinD: decomposition, restoration of the reflectance, and adjustment of the illumination."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.registry import MODELS
from torch import Tensor, nn

SLOPE = 0.2


def _conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


def _up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 2, stride=2, bias=False)


def _active(features: Tensor) -> Tensor:
    return F.leaky_relu(features, SLOPE)


def _pool(features: Tensor) -> Tensor:
    # Odd sizes are rounded up, as TensorFlow's SAME has it.
    return F.max_pool2d(features, 2, ceil_mode=True)


def _join(up: nn.ConvTranspose2d, small: Tensor, skip: Tensor) -> Tensor:
    """Enlarge, cut to the skip's size, and concatenate with it."""
    return torch.cat((up(small)[:, :, : skip.shape[2], : skip.shape[3]], skip), dim=1)


class KinDNetwork(nn.Module):
    """What the three have in common.

    Attributes:
        part: Its name; trained weights are in `kind_<part>.safetensors`.
        scope: Name that TensorFlow puts before the names of its variables.
        published: The authors' file in the catalogue; None where it is not there.
    """

    part: ClassVar[str]
    scope: ClassVar[str]
    published: ClassVar[str | None] = None

    def initialise(self) -> None:
        """Draw kernels as TensorFlow does, from Glorot's uniform distribution; biases become 0."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


@MODELS.register_module()
class KinDDecomposition(KinDNetwork):
    """Splits a picture into reflectance and illumination; 235,876 weights, the same for low and for normal light.

    Source: Zhang, Zhang, Guo 2019, section 3.2; zhangyhuaee/KinD @ b7d7fcc, model.py, DecomNet_simple, whose two last
    layers are 1x1 where the paper has 3x3.
    """

    part: ClassVar[str] = "decomposition"
    scope: ClassVar[str] = "DecomNet"
    published: ClassVar[str | None] = "kind/decom_net_train.data"

    def __init__(self) -> None:
        super().__init__()
        self.g_conv1_1, self.g_conv2_1, self.g_conv3_1 = _conv(3, 32), _conv(32, 64), _conv(64, 128)
        self.g_up_1, self.g_conv8_1 = _up(128, 64), _conv(128, 64)
        self.g_up_2, self.g_conv9_1 = _up(64, 32), _conv(64, 32)
        self.g_conv10 = _conv(32, 3, 1)
        self.l_conv1_2, self.l_conv1_4 = _conv(32, 32), _conv(64, 1, 1)

    def forward(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Decompose a batch.

        Args:
            batch: (N, 3, H, W) float RGB, stretched to its minimum and maximum, see `stretch`; any size.

        Returns:
            Reflectance (N, 3, H, W) and illumination (N, 1, H, W), float in [0, 1].
        """
        full = _active(self.g_conv1_1(batch))
        half = _active(self.g_conv2_1(_pool(full)))
        quarter = _active(self.g_conv3_1(_pool(half)))
        up = _active(self.g_conv8_1(_join(self.g_up_1, quarter, half)))
        up = _active(self.g_conv9_1(_join(self.g_up_2, up, full)))
        light = torch.cat((_active(self.l_conv1_2(full)), up), dim=1)
        return torch.sigmoid(self.g_conv10(up)), torch.sigmoid(self.l_conv1_4(light))


@MODELS.register_module()
class KinDRestoration(KinDNetwork):
    """Cleans a reflectance: a U-Net of five levels that is told the illumination; 7,760,739 weights.

    Args:
        width: Channels of the first level; 32 in the paper.

    Source: Zhang, Zhang, Guo 2019, section 3.3; zhangyhuaee/KinD, model.py, Restoration_net.
    """

    part: ClassVar[str] = "restoration"
    scope: ClassVar[str] = "Restoration_net"

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        channels = [4, *(width << level for level in range(5))]
        for level in range(1, 6):
            self._add(level, channels[level - 1], channels[level])
        for level in range(6, 10):
            inputs, outputs = channels[11 - level], channels[10 - level]
            setattr(self, f"up_{level}", _up(inputs, outputs))
            self._add(level, 2 * outputs, outputs)
        self.de_conv10 = _conv(width, 3)

    def _add(self, level: int, inputs: int, outputs: int) -> None:
        setattr(self, f"de_conv{level}_1", _conv(inputs, outputs))
        setattr(self, f"de_conv{level}_2", _conv(outputs, outputs))

    def _level(self, level: int, features: Tensor) -> Tensor:
        first, second = getattr(self, f"de_conv{level}_1"), getattr(self, f"de_conv{level}_2")
        return _active(second(_active(first(features))))

    def forward(self, reflectance: Tensor, illumination: Tensor) -> Tensor:
        """Restore a reflectance, (N, 3, H, W) with (N, 1, H, W) to (N, 3, H, W), all float in [0, 1]; any size."""
        features = torch.cat((reflectance, illumination), dim=1)
        skips: list[Tensor] = []
        for level in range(1, 6):
            features = self._level(level, _pool(features) if skips else features)
            skips.append(features)
        for level in range(6, 10):
            features = self._level(level, _join(getattr(self, f"up_{level}"), features, skips[9 - level]))
        return torch.sigmoid(self.de_conv10(features))


@MODELS.register_module()
class KinDAdjustment(KinDNetwork):
    """Makes an illumination brighter or darker by a ratio; 19,393 weights.

    The last convolution too has its leaky ReLU before the sigmoid.

    Source: Zhang, Zhang, Guo 2019, section 3.4; zhangyhuaee/KinD, model.py, Illumination_adjust_net.
    """

    part: ClassVar[str] = "adjustment"
    scope: ClassVar[str] = "Illumination_adjust_net"
    published: ClassVar[str | None] = "kind/illumination_adjust_net_train.data"

    def __init__(self) -> None:
        super().__init__()
        self.en_conv_1, self.en_conv_2, self.en_conv_3 = _conv(2, 32), _conv(32, 32), _conv(32, 32)
        self.en_conv_4 = _conv(32, 1)

    def forward(self, illumination: Tensor, ratio: Tensor) -> Tensor:
        """Adjust an illumination, (N, 1, H, W) in [0, 1] to the same, by ratios, (N,) or one for all."""
        features = torch.cat((illumination, ratio.reshape(-1, 1, 1, 1).expand_as(illumination)), dim=1)
        for layer in (self.en_conv_1, self.en_conv_2, self.en_conv_3, self.en_conv_4):
            features = _active(layer(features))
        return torch.sigmoid(features)


def stretch(picture: Tensor) -> Tensor:
    """Stretch each picture of a batch, (N, 3, H, W), to its own minimum and maximum, over all channels.

    Source: zhangyhuaee/KinD, utils.py, load_images; a range below 0.001 counts as 0.001.
    """
    low, high = picture.amin((1, 2, 3), keepdim=True), picture.amax((1, 2, 3), keepdim=True)
    return (picture - low) / (high - low).clamp(min=1e-3)
