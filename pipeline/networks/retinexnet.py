"""Decom-Net and Relight-Net of Retinex-Net, as in its PyTorch port."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

FEATURES = 64


class ReplicateConv2d(nn.Conv2d):
    """A same-size convolution that repeats the border, without the copy that padding a feature map costs.

    `nn.Conv2d(padding_mode="replicate")` writes a padded copy of its input first: a sixth of the network's time. Here
    the convolution pads with zeros, which costs nothing, and the frame that this gets wrong is computed again.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3, stride: int = 1) -> None:
        super().__init__(
            inputs, outputs, kernel_size, stride=stride, padding=kernel_size // 2, padding_mode="replicate"
        )

    def forward(self, input: Tensor) -> Tensor:
        """Convolve a batch, (N, C, H, W) to (N, D, ceil(H / stride), ceil(W / stride))."""
        pad = self.kernel_size[0] // 2
        if self.stride != (1, 1) or min(input.shape[2:]) < 2 * pad:
            return super().forward(input)
        output = F.conv2d(input, self.weight, self.bias, padding=pad)
        output[:, :, :pad] = self._valid(input[:, :, : 2 * pad], (pad, pad, pad, 0))
        output[:, :, -pad:] = self._valid(input[:, :, -2 * pad :], (pad, pad, 0, pad))
        output[:, :, :, :pad] = self._valid(input[:, :, :, : 2 * pad], (pad, 0, pad, pad))
        output[:, :, :, -pad:] = self._valid(input[:, :, :, -2 * pad :], (0, pad, pad, pad))
        return output

    def _valid(self, strip: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
        return F.conv2d(F.pad(strip, padding, mode="replicate"), self.weight, self.bias)


class DecomNet(nn.Module):
    """Splits an image into reflectance and illumination.

    State-dict keys are the port's. A pixel depends on the 21x21 pixels around it.

    Source: Wei et al. 2018, section 3.1; aasharma90/RetinexNet_PyTorch, model.py, DecomNet. Unlike the authors'
    TensorFlow code the port repeats the border instead of padding with zeros.
    """

    def __init__(self) -> None:
        super().__init__()
        self.net1_conv0 = ReplicateConv2d(4, FEATURES, kernel_size=9)
        self.net1_convs = nn.Sequential(
            *(layer for _ in range(5) for layer in (ReplicateConv2d(FEATURES, FEATURES), nn.ReLU(inplace=True)))
        )
        self.net1_recon = ReplicateConv2d(FEATURES, 4)

    def forward(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Decompose a batch.

        Args:
            batch: (N, 3, H, W) float, RGB in [0, 1].

        Returns:
            Reflectance (N, 3, H, W) and illumination (N, 1, H, W), float in [0, 1].
        """
        brightest = batch.amax(dim=1, keepdim=True)
        features = self.net1_conv0(torch.cat((brightest, batch), dim=1))
        both = torch.sigmoid(self.net1_recon(self.net1_convs(features)))
        return both[:, :3], both[:, 3:]


class RelightNet(nn.Module):
    """Estimates the illumination of the picture in good light: three levels down, three up, and a fusion of them.

    State-dict keys are the port's. The result has no final activation. A pixel depends on at most 23 pixels before and
    17 after it in each direction, at a position that is fixed modulo 8.

    Source: Wei et al. 2018, section 3.2; aasharma90/RetinexNet_PyTorch, model.py, RelightNet.
    """

    def __init__(self) -> None:
        super().__init__()
        self.net2_conv0_1 = ReplicateConv2d(4, FEATURES)
        self.net2_conv1_1 = ReplicateConv2d(FEATURES, FEATURES, stride=2)
        self.net2_conv1_2 = ReplicateConv2d(FEATURES, FEATURES, stride=2)
        self.net2_conv1_3 = ReplicateConv2d(FEATURES, FEATURES, stride=2)
        self.net2_deconv1_1 = ReplicateConv2d(2 * FEATURES, FEATURES)
        self.net2_deconv1_2 = ReplicateConv2d(2 * FEATURES, FEATURES)
        self.net2_deconv1_3 = ReplicateConv2d(2 * FEATURES, FEATURES)
        self.net2_fusion = nn.Conv2d(3 * FEATURES, FEATURES, 1)
        self.net2_output = nn.Conv2d(FEATURES, 1, 3)

    def forward(
        self, illumination: Tensor, reflectance: Tensor, quarter_index: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """Estimate the illumination in good light.

        Args:
            illumination: (N, 1, H, W) float in [0, 1].
            reflectance: (N, 3, H, W) float in [0, 1].
            quarter_index: For every row (H int64) and column (W int64) the row and column of the quarter-size map that
                lies under it. Needed for a window of a larger picture only: `nearest_index` of the whole picture.

        Returns:
            (N, 1, H, W) float, not limited to [0, 1].
        """
        full = self.net2_conv0_1(torch.cat((reflectance, illumination), dim=1))
        half = torch.relu_(self.net2_conv1_1(full))
        quarter = torch.relu_(self.net2_conv1_2(half))
        eighth = torch.relu_(self.net2_conv1_3(quarter))
        quarter = torch.relu_(self.net2_deconv1_1(_upsample_and_join(eighth, quarter)))
        half = torch.relu_(self.net2_deconv1_2(_upsample_and_join(quarter, half)))
        full = torch.relu_(self.net2_deconv1_3(_upsample_and_join(half, full)))
        return self._fuse(quarter, half, full, quarter_index)

    def _fuse(self, quarter: Tensor, half: Tensor, full: Tensor, quarter_index: tuple[Tensor, Tensor] | None) -> Tensor:
        """Apply fusion and output layer.

        Both are linear, and a 1x1 convolution commutes with repeating pixels. So each level is reduced to the nine taps
        of the output kernel at its own size, and the 192 full-size channels of the printed network never exist.
        """
        height, width = full.shape[2:]
        kernel = self.net2_output.weight.reshape(FEATURES, 9).T
        taps = (kernel @ self.net2_fusion.weight.flatten(1)).reshape(9, 3, FEATURES, 1, 1)
        fusion_bias, output_bias = cast(Tensor, self.net2_fusion.bias), cast(Tensor, self.net2_output.bias)
        nine = F.conv2d(full, taps[:, 2], kernel @ fusion_bias)
        nine = nine + F.interpolate(F.conv2d(half, taps[:, 1]), size=(height, width))
        below = F.conv2d(quarter, taps[:, 0])
        if quarter_index is None:
            nine = nine + F.interpolate(below, size=(height, width))
        else:
            rows, columns = quarter_index
            nine = nine + below[:, :, rows][:, :, :, columns]
        nine = F.pad(nine, (1, 1, 1, 1), mode="replicate")
        shifted = [nine[:, k : k + 1, k // 3 : k // 3 + height, k % 3 : k % 3 + width] for k in range(9)]
        return torch.stack(shifted).sum(dim=0) + output_bias


def nearest_index(size: int, upsampled_size: int) -> Tensor:
    """Index of the pixel that nearest-neighbour upsampling repeats at each position.

    It comes from the upsampling itself: where the sizes are not in a whole ratio, the rounding of its float32 scale
    decides, and a window must follow the whole picture there.

    Returns:
        (upsampled_size,) int64, on the CPU.
    """
    positions = torch.arange(size, dtype=torch.float32)[None, None, :, None]
    return F.interpolate(positions, size=(upsampled_size, 1))[0, 0, :, 0].long()


def _upsample_and_join(small: Tensor, large: Tensor) -> Tensor:
    return torch.cat((F.interpolate(small, size=large.shape[2:]), large), dim=1)
