"""RUAS with its authors' weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

from duskbench.pipeline.enhancers.published import PublishedEnhancer
from duskbench.pipeline.weight_catalogue import WeightFile, from_github

STAGES = 3
ILLUMINATION_FLOOR = 1e-3
SLOPE = 0.05
# The variant that was trained with the denoiser after it.
DENOISED = "lol"


class SearchedConv2d(nn.Module):
    """A same-size convolution that the search chose, with its input added where it chose that.

    Args:
        channels: In and out.
        kernel_size: 1 or 3.
        dilation: Between the taps.
        residual: Whether the input is added.
    """

    def __init__(self, channels: int, kernel_size: int, dilation: int = 1, *, residual: bool = False) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2 * dilation, dilation=dilation)
        self.residual = residual

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        return self.op(batch) + batch if self.residual else self.op(batch)


class IlluminationCell(nn.Module):
    """The cell that the search found for the illumination; a pixel sees two pixels to each side.

    Source: Liu et al. 2021; KarelZhang/RUAS @ f621bb1, genotypes.py.
    """

    def __init__(self) -> None:
        super().__init__()
        self.c1_r = SearchedConv2d(3, 1, residual=True)
        self.c2_d = SearchedConv2d(3, 3, dilation=2, residual=True)
        self.c2_r = SearchedConv2d(3, 3)
        self.c3_d = SearchedConv2d(3, 3)
        self.c4 = SearchedConv2d(3, 3)
        self.c5 = nn.Conv2d(12, 3, 1)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, 3, H, W) float to the same."""
        distilled = [_activate(batch)]
        rest = _activate(self.c1_r(batch) + batch)
        distilled.append(_activate(self.c2_d(rest)))
        rest = _activate(self.c2_r(rest) + rest)
        distilled.append(_activate(self.c3_d(rest)))
        rest = _activate(rest + rest)
        return self.c5(torch.cat((*distilled, _activate(self.c4(rest))), dim=1))


class NoiseCell(nn.Module):
    """The cell that the search found for the noise; a pixel sees two pixels to each side.

    Source: Liu et al. 2021; KarelZhang/RUAS @ f621bb1, genotypes.py.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.c1_d = SearchedConv2d(channels, 1, residual=True)
        self.c1_r = SearchedConv2d(channels, 1, residual=True)
        self.c2_d = SearchedConv2d(channels, 3, dilation=2, residual=True)
        self.c3_d = SearchedConv2d(channels, 1, residual=True)
        self.c3_r = SearchedConv2d(channels, 1, residual=True)
        self.c5 = nn.Conv2d(4 * channels, channels, 1)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        distilled = [_activate(self.c1_d(batch))]
        rest = _activate(self.c1_r(batch) + batch)
        distilled.append(_activate(self.c2_d(rest)))
        rest = _activate(rest + rest)
        distilled.append(_activate(self.c3_d(rest)))
        rest = _activate(self.c3_r(rest) + rest)
        return self.c5(torch.cat((*distilled, _activate(rest)), dim=1))


class Denoiser(nn.Module):
    """Estimates the noise of a picture; a pixel sees eight pixels to each side."""

    def __init__(self, channels: int = 6) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.nrms = nn.ModuleList(NoiseCell(channels) for _ in range(STAGES))
        self.activate = nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1))

    def forward(self, batch: Tensor) -> Tensor:
        """Subtract the noise, (N, 3, H, W) float RGB to the same."""
        features = self.stem(batch)
        for cell in self.nrms:
            features = cell(features)
        return batch - self.activate(features)


class RUASNet(nn.Module):
    """Three unrolled steps, each of which divides the picture by a better illumination, and a denoiser.

    State-dict keys are the official ones. The illumination has three channels and is estimated on the picture itself.

    Source: Liu et al. 2021; KarelZhang/RUAS @ f621bb1, model.py.
    """

    def __init__(self) -> None:
        super().__init__()
        self.enhance_net = nn.ModuleDict(
            {"iems": nn.ModuleList(nn.ModuleDict({"cell": IlluminationCell()}) for _ in range(STAGES))}
        )
        self.denoise_net = Denoiser()

    def illumination(self, batch: Tensor) -> Tensor:
        """Estimate the illumination of the last step, (N, 3, H, W) float RGB in [0, 1] to the same in [0.001, 1]."""
        initial = _window_maximum(batch)
        for stage in cast(nn.ModuleList, self.enhance_net["iems"]):
            cell = cast(nn.ModuleDict, stage)["cell"]
            light = torch.sigmoid(cell(initial)).clamp(ILLUMINATION_FLOOR, 1.0)
            enhanced = (batch / light).clamp(0, 1)
            initial = _window_maximum(enhanced) - 0.5 * (enhanced - batch)
        return light

    def forward(self, batch: Tensor, *, denoise: bool = False) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float RGB in [0, 1] to the same; denoised it may leave [0, 1]."""
        enhanced = (batch / self.illumination(batch)).clamp(0, 1)
        return self.denoise_net(enhanced) if denoise else enhanced


def _activate(batch: Tensor) -> Tensor:
    return F.leaky_relu(batch, SLOPE)


def _window_maximum(batch: Tensor) -> Tensor:
    """The largest of a pixel, its right and its lower neighbours; outside the picture is zero."""
    return F.max_pool2d(F.pad(batch, (0, 1, 0, 1)), 2, stride=1)


class RUAS(PublishedEnhancer):
    """Retinex-inspired unrolling with architecture search, inference only.

    Args:
        variant: "dark" (trained on DarkFace), "upe" (FiveK), or "lol", which alone ends with the denoiser.
        weights: See `PublishedEnhancer`; the variant still says whether its denoiser is used.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.
        tile_pixels: See `TorchEnhancer`.

    Source: Liu et al., "Retinex-inspired Unrolling with Cooperative Prior Architecture Search for Low-light Image
    Enhancement", CVPR 2021; KarelZhang/RUAS @ f621bb1, test.py. The authors' script truncates to 8 bits; this rounds.
    """

    name = "ruas"
    paper: ClassVar[str | None] = (
        "Liu et al.: Retinex-inspired Unrolling with Cooperative Prior Architecture Search for Low-light Image "
        "Enhancement, CVPR 2021"
    )
    network_class: ClassVar[type[nn.Module]] = RUASNet
    files: ClassVar[Mapping[str, WeightFile]] = {
        variant: from_github(
            f"ruas/{variant}.pt",
            "KarelZhang/RUAS",
            "f621bb19ceffbe27b2d9625bb806bc7cc60aea7b",
            f"ckpt/{variant}.pt",
            sha256=sha256,
            licence="none stated",
            note="Takes RGB in [0, 1].",
        )
        for variant, sha256 in (
            ("dark", "59083ec4dd4a2b7926c182a4add1519b9646a3aca6c39cfdb7d496fe885828e4"),
            ("upe", "2252d3d909e346b547232c7015f034685aac75181171c6caf90ee12d87ca36c1"),
            ("lol", "f45a881a9b836fff4a3172481f28c9eb4d91bc4df54ec064092f39ce40abcdcd"),
        )
    }
    # A step sees the two pixels of its cell and one of the maximum, and there are three; the denoiser sees eight.
    overlap: ClassVar[int | None] = 3 * 3 + 8

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same."""
        return self.network(batch, denoise=self.variant == DENOISED)
