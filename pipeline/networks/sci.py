"""The illumination estimator of SCI, as it is used after training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ILLUMINATION_FLOOR = 1e-4


class IlluminationEstimator(nn.Module):
    """Three 3x3 convolutions that estimate the illumination of an image.

    State-dict keys are those under `enhance.` in the official files. The block is listed there twice, as `conv` and
    as `blocks.0`, because it is one module under two names; so it is here.

    Source: Ma et al. 2022, section 3.1; vis-opt-group/SCI, model.py, EnhanceNetwork(layers=1, channels=3).
    """

    def __init__(self) -> None:
        super().__init__()
        self.in_conv = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())
        self.conv = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())
        self.blocks = nn.ModuleList([self.conv])
        self.out_conv = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Sigmoid())

    def forward(self, batch: Tensor) -> Tensor:
        """Estimate the illumination, (N, 3, H, W) float RGB in [0, 1] to the same shape in [0.0001, 1]."""
        features = self.in_conv(batch)
        for block in self.blocks:
            features = features + block(features)
        return torch.clamp(self.out_conv(features) + batch, ILLUMINATION_FLOOR, 1.0)


class SCINet(nn.Module):
    """Image divided by its estimated illumination.

    State-dict keys are the official ones, `enhance.*`; the calibration module (`calibrate.*`) exists in training only.

    Source: Ma et al. 2022, eq. 1; vis-opt-group/SCI, model.py, Finetunemodel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.enhance = IlluminationEstimator()

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float RGB in [0, 1] to the same."""
        return torch.clamp(batch / self.enhance(batch), 0, 1)
