"""URetinex-Net with its authors' weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

from duskbench.data_tools.settings import check_setting, is_number
from duskbench.pipeline.enhancers.published import PublishedEnhancer
from duskbench.pipeline.weight_catalogue import WeightFile, from_github

SLOPE = 0.2
ROUNDS = 3
# Penalties of reflectance and illumination: at round t the first plus t times the second. They are among the options in
# the authors' unfolding.pth and nowhere else.
REFLECTANCE_PENALTY = (0.1, 0.05)
ILLUMINATION_PENALTY = (0.5, 0.05)


class SqueezeExcite(nn.Module):
    """Channels weighed by what two layers without biases make of their means."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // reduction, bias=False),
            nn.ReLU(),
            nn.Linear(channels // reduction, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        return batch * self.fc(batch.mean(dim=(2, 3)))[:, :, None, None]


class Decomposition(nn.Module):
    """A first guess of reflectance and illumination."""

    def __init__(self) -> None:
        super().__init__()
        self.decom = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(32, 4, 3, padding=1),
            nn.ReLU(),
        )

    def forward(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) float RGB in [0, 1] to (N, 3, H, W) and (N, 1, H, W), of at least 0."""
        both = self.decom(batch)
        return both[:, :3], both[:, 3:]


class ReflectanceNet(nn.Module):
    """Restores a reflectance, with the illumination as a hint where it is poor."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(1, 32, 3, padding=1)
        self.se_layer = SqueezeExcite(64)
        for number in range(3, 8):
            self.add_module(f"conv{number}", nn.Conv2d(64, 64, 3, padding=1))
        self.conv8 = nn.Conv2d(64, 3, 3, padding=1)

    def forward(self, reflectance: Tensor, illumination: Tensor) -> Tensor:
        """(N, 3, H, W) and (N, 1, H, W) float to (N, 3, H, W), not limited."""
        features = torch.cat((self.conv1(reflectance).relu_(), self.conv2(illumination).relu_()), dim=1)
        features = self.se_layer(features)
        for number in range(3, 8):
            features = self.get_submodule(f"conv{number}")(features).relu_()
        return reflectance + self.conv8(features)


class IlluminationNet(nn.Module):
    """Smooths an illumination: four 5x5 convolutions and a 1x1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 32, 5, padding=2)
        self.conv3 = nn.Conv2d(32, 32, 5, padding=2)
        self.conv4 = nn.Conv2d(32, 32, 5, padding=2)
        self.conv5 = nn.Conv2d(32, 1, 1)

    def forward(self, illumination: Tensor) -> Tensor:
        """(N, 1, H, W) float to the same, of at least 0."""
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            illumination = F.leaky_relu_(layer(illumination), SLOPE)
        return self.conv5(illumination).relu_()


class AdjustmentNet(nn.Module):
    """Brightens an illumination by a ratio that the user chooses."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 32, 5, padding=2)
        self.conv3 = nn.Conv2d(32, 32, 5, padding=2)
        self.conv4 = nn.Conv2d(32, 1, 5, padding=2)

    def forward(self, illumination: Tensor, ratio: float) -> Tensor:
        """(N, 1, H, W) float to the same, of at least 0."""
        features = torch.cat((illumination, torch.full_like(illumination, ratio)), dim=1)
        for layer in (self.conv1, self.conv2, self.conv3):
            features = F.leaky_relu_(layer(features), SLOPE)
        return self.conv4(features).relu_()


class URetinexNetwork(nn.Module):
    """Three rounds of a Retinex decomposition with learned priors, and the adjustment of its illumination.

    State-dict keys are the official ones, below the name that each network has in the authors' file.

    Source: Wu et al. 2022; AndersonYong/URetinex-Net @ 7ee2196, test.py and network/.
    """

    def __init__(self) -> None:
        super().__init__()
        self.model_decom = Decomposition()
        self.model_R = ReflectanceNet()
        self.model_L = IlluminationNet()
        self.model_A = AdjustmentNet()

    def decompose(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) float RGB in [0, 1] to reflectance (N, 3, H, W) and illumination (N, 1, H, W), not limited."""
        p, q = self.model_decom(batch)
        reflectance, illumination = self.model_R(p, q), self.model_L(q)
        for number in range(1, ROUNDS):
            penalty = REFLECTANCE_PENALTY[0] + number * REFLECTANCE_PENALTY[1]
            p = (batch * q + penalty * reflectance) / (q * q + penalty)
            penalty = ILLUMINATION_PENALTY[0] + number * ILLUMINATION_PENALTY[1]
            q = ((batch * p).sum(1, keepdim=True) + penalty * illumination) / ((p * p).sum(1, keepdim=True) + penalty)
            reflectance, illumination = self.model_R(p, q), self.model_L(q)
        return reflectance, illumination

    def forward(self, batch: Tensor, ratio: float) -> Tensor:
        """Enhance a batch.

        Args:
            batch: (N, 3, H, W) float, RGB in [0, 1].
            ratio: By how much the illumination is to be brighter, about.

        Returns:
            (N, 3, H, W) float, RGB, a little below 0 and above 1 in places.
        """
        reflectance, illumination = self.decompose(batch)
        return self.model_A(illumination, ratio) * reflectance


class URetinex(PublishedEnhancer):
    """Retinex-based deep unfolding, inference only.

    It weighs channels by their means over the picture, so it is never tiled. The published numbers take the ratio from
    the lit picture that there is beside each of LOL; with 5 users get less.

    Args:
        variant: See `PublishedEnhancer`.
        weights: See `PublishedEnhancer`.
        ratio: By how much the illumination is to be brighter. 5 is the script's default, 3 to 5 are recommended.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.
        tile_pixels: Of no effect.

    Raises:
        ConfigError: The ratio is not above 0 or not finite.

    Source: Wu et al., "URetinex-Net: Retinex-based Deep Unfolding Network for Low-light Image Enhancement", CVPR 2022;
    AndersonYong/URetinex-Net @ 7ee2196, test.py. The authors' script truncates to 8 bits; this rounds.
    """

    name = "uretinex"
    paper: ClassVar[str | None] = (
        "Wu et al.: URetinex-Net: Retinex-based Deep Unfolding Network for Low-light Image Enhancement, CVPR 2022"
    )
    network_class: ClassVar[type[nn.Module]] = URetinexNetwork
    files: ClassVar[Mapping[str, WeightFile]] = {
        "official": from_github(
            "uretinex/L_adjust.pth",
            "AndersonYong/URetinex-Net",
            "7ee2196e093b6a9ae5c20242e48f9d61021b6364",
            "ckpt/L_adjust.pth",
            sha256="6caba8b00e32758323294f3d49fcc0337e1884964cdebb85ae733ebd67442eda",
            licence="MIT file, README: non-commercial use only",
            note="All four networks; takes RGB in [0, 1].",
        )
    }

    def __init__(
        self,
        variant: str | None = None,
        weights: str | Path | None = None,
        ratio: float = 5.0,
        device: str | torch.device = "cpu",
        *,
        amp: bool = False,
        tile_pixels: int | None = None,
    ) -> None:
        check_setting("URetinex-Net", "ratio", ratio, is_number(ratio) and ratio > 0, "a finite number greater than 0")
        super().__init__(variant, weights, device, amp=amp, tile_pixels=tile_pixels)
        self.arguments = {**self.arguments, "ratio": float(ratio)}
        self.ratio = float(ratio)

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same."""
        return self.network(batch, self.ratio)
