"""FLOL+ with its authors' weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

from duskbench.pipeline.enhancers.published import PublishedEnhancer
from duskbench.pipeline.networks.channel_norm import ChannelNorm
from duskbench.pipeline.weight_catalogue import WeightFile, from_github

AMPLITUDE_FEATURES, FEATURES = 8, 16
STRIDE = 8
SLOPE = 0.1
# What keeps the division of the spectrum, the ratio of signal to noise, and its maximum from zero.
SPECTRUM_FLOOR, RATIO_FLOOR = 1e-8, 1e-4
BLUR_SIZE, BLUR_SIGMA = 5, 1.5
GRAY = (0.299, 0.587, 0.114)


class FrequencyBlock(nn.Module):
    """Amplitude and phase of the spectrum, each through two 1x1 convolutions, and back; added to the input.

    The phase jumps between -pi and pi wherever a coefficient is real and negative, as some always are, so rounding
    decides on it and results are reproducible to about 1e-2 only, by the authors' own code too.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fpre = nn.Conv2d(channels, channels, 1)
        self.process1 = _two_layers(channels)
        self.process2 = _two_layers(channels)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        # In half precision the amplitudes overflow, and cuFFT takes powers of two only.
        with torch.autocast(batch.device.type, enabled=False):
            batch = batch.float()
            spectrum = torch.fft.rfft2(self.fpre(batch))
            amplitude, phase = self.process1(spectrum.abs()), self.process2(spectrum.angle())
            # Not torch.polar: the amplitude may be negative by now.
            spectrum = torch.complex(amplitude * phase.cos(), amplitude * phase.sin())
            return torch.fft.irfft2(spectrum, s=batch.shape[2:]) + batch


class SpatialGate(nn.Module):
    """Half of the channels, by a 3x3 convolution of each, times the other half."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwc = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, 2 channels, H, W) float to (N, channels, H, W)."""
        gated, gate = batch.chunk(2, dim=1)
        return self.dwc(gated) * gate


class AmplitudeBlock(nn.Module):
    """A gated block around a frequency block; nothing connects its input with its output."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.norm1, self.norm2 = ChannelNorm(channels), ChannelNorm(channels)
        self.conv1 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv2 = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.sge = SpatialGate(channels)
        self.fatt = FrequencyBlock(channels)
        self.conv3 = nn.Conv2d(channels, channels, 1)
        self.conv4 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv5 = nn.Conv2d(channels, channels, 1)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        found = self.conv3(self.fatt(self.sge(self.conv2(self.conv1(self.norm1(batch))))))
        found = found + found * self.beta
        one, other = self.conv4(self.norm2(found)).chunk(2, dim=1)
        return found + self.conv5(one * other) * self.gamma


class AmplitudeNet(nn.Module):
    """Estimates at half the size by what the spectrum is divided."""

    def __init__(self, channels: int = AMPLITUDE_FEATURES) -> None:
        super().__init__()
        self.conv_init = nn.Conv2d(3, channels, 1)
        self.conv1, self.conv2, self.conv3 = (AmplitudeBlock(channels) for _ in range(3))
        self.conv_out = nn.Conv2d(channels, 3, 1)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, 3, H, W) float RGB to the same, in (0, 1); H and W even."""
        features = self.conv3(self.conv2(self.conv1(self.conv_init(F.avg_pool2d(batch, 2)))))
        return torch.sigmoid(F.interpolate(self.conv_out(features), scale_factor=2.0, mode="bilinear"))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a ReLU between, added to their input."""

    def __init__(self, channels: int = FEATURES) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        return batch + self.conv2(self.conv1(batch).relu())


class FrequencyStep(nn.Module):
    """A frequency block and a 1x1 convolution, added to the input."""

    def __init__(self, channels: int = FEATURES) -> None:
        super().__init__()
        self.frequency_process = FrequencyBlock(channels)
        self.cat = nn.Conv2d(channels, channels, 1)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        return batch + self.cat(self.frequency_process(batch))


class FLOLNet(nn.Module):
    """Brightens the spectrum, then restores the picture: where it is clear in space, elsewhere in frequency.

    State-dict keys are the official ones.

    Source: Benito et al. 2025; cidautai/FLOL @ 3a3675e.
    """

    gray: Tensor
    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.AmpNet = nn.Sequential(AmplitudeNet())
        self.conv_first_1 = nn.Conv2d(6, FEATURES, 3, padding=1)
        self.conv_first_2 = nn.Conv2d(FEATURES, FEATURES, 3, stride=2, padding=1)
        self.conv_first_3 = nn.Conv2d(FEATURES, FEATURES, 3, stride=2, padding=1)
        self.feature_extraction = nn.Sequential(ResidualBlock())
        self.recon_trunk_light = nn.Sequential(*(ResidualBlock() for _ in range(6)))
        self.transformer = nn.ModuleDict({"block": nn.Sequential(*(FrequencyStep() for _ in range(4)))})
        self.recon_trunk = nn.Sequential(ResidualBlock())
        self.upconv1 = nn.Conv2d(2 * FEATURES, 4 * FEATURES, 3, padding=1)
        self.upconv2 = nn.Conv2d(2 * FEATURES, 4 * FEATURES, 3, padding=1)
        self.HRconv = nn.Conv2d(2 * FEATURES, FEATURES, 3, padding=1)
        self.conv_last = nn.Conv2d(FEATURES, 3, 3, padding=1)
        places = torch.arange(BLUR_SIZE) - BLUR_SIZE // 2
        bell = torch.exp(-(places**2) / (2 * BLUR_SIGMA**2))
        bell = bell / bell.sum()
        self.register_buffer("kernel", (bell[:, None] * bell).expand(3, 1, -1, -1).contiguous(), persistent=False)
        self.register_buffer("gray", torch.tensor(GRAY)[None, :, None, None], persistent=False)

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float RGB in [0, 1] to the same; zeros stand in up to multiples of 8."""
        height, width = batch.shape[2:]
        right, bottom = ((side + STRIDE - 1) // STRIDE * STRIDE - side for side in (width, height))
        restored = self.restore(F.pad(batch, (0, right, 0, bottom)))
        return restored.clamp(0, 1)[:, :, :height, :width]

    def restore(self, batch: Tensor) -> Tensor:
        """(N, 3, H, W) float RGB in [0, 1] to the same, not limited to it; H and W multiples of 8."""
        bright = torch.fft.ifft2(torch.fft.fft2(batch) / (self.AmpNet(batch) + SPECTRUM_FLOOR)).real
        full = _activate(self.conv_first_1(torch.cat((bright, batch), dim=1)))
        half = _activate(self.conv_first_2(full))
        quarter = _activate(self.conv_first_3(half))
        features = self.feature_extraction(quarter)
        clear = self.recon_trunk_light(features)
        noisy = features + self.transformer["block"](features)
        share = self._clearness(bright)[:, :, ::4, ::4]
        features = self.recon_trunk(noisy * (1 - share) + clear * share)
        features = _activate(F.pixel_shuffle(self.upconv1(torch.cat((features, quarter), dim=1)), 2))
        features = _activate(F.pixel_shuffle(self.upconv2(torch.cat((features, half), dim=1)), 2))
        features = _activate(self.HRconv(torch.cat((features, full), dim=1)))
        return self.conv_last(features) + batch

    def _clearness(self, batch: Tensor) -> Tensor:
        """Signal to noise by the largest of the picture, (N, 1, H, W) in [0, 1]; noise is what a blur takes away."""
        margin = BLUR_SIZE // 2
        blurred = F.conv2d(F.pad(batch, (margin,) * 4, mode="reflect"), self.kernel, groups=3)
        signal, gray = ((each * self.gray).sum(dim=1, keepdim=True) for each in (blurred, batch))
        ratio = signal / ((gray - signal).abs() + RATIO_FLOOR)
        return (ratio / (ratio.amax(dim=(2, 3), keepdim=True) + RATIO_FLOOR)).clamp(0, 1)


def _two_layers(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, channels, 1), nn.LeakyReLU(SLOPE), nn.Conv2d(channels, channels, 1))


def _activate(batch: Tensor) -> Tensor:
    return F.leaky_relu(batch, SLOPE)


class FLOL(PublishedEnhancer):
    """FLOL+, fast baselines for real-world low-light enhancement, inference only.

    Its spectra are those of the whole picture, padding included, so it is never tiled. Rounding decides on phases: see
    `FrequencyBlock`.

    Args:
        variant: "all" (LOLv2-real and others), or "uhdll" (UHD-LL).
        weights: See `PublishedEnhancer`.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.
        tile_pixels: Of no effect.

    Source: Benito et al., "FLOL: Fast Baselines for Real-World Low-Light Enhancement", 2025; cidautai/FLOL @ 3a3675e.
    The authors' script truncates to 8 bits; this rounds.
    """

    name = "flol"
    paper = "Benito et al.: FLOL: Fast Baselines for Real-World Low-Light Enhancement, arXiv 2025"
    network_class: ClassVar[type[nn.Module]] = FLOLNet
    files: ClassVar[Mapping[str, WeightFile]] = {
        variant: from_github(
            f"flol/{file}.pt",
            "cidautai/FLOL",
            "3a3675e1bb39bca21a5353c3907ec7457261d8ae",
            f"weights/{file}.pt",
            sha256=sha256,
            licence="MIT",
            note="Takes RGB in [0, 1].",
        )
        for variant, file, sha256 in (
            ("all", "flolv2_all_111439", "1e43dbdfc5a8d1ea015f8038544dd96bb530b9918e9e542e93b06a504cc17231"),
            ("uhdll", "flolv2_UHDLL", "4415a5e5fd44c96c2e7e7d8a78196cc76c83cfb28ab2ec3e87620f9ce8ef87bb"),
        )
    }
