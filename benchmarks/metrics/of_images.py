"""The metrics of images that a benchmark knows by name: NIQE, PSNR, SSIM.

The functions that compute them are imported when the first image is measured: reading a run's results needs none.
"""

from __future__ import annotations

import numpy as np

from duskbench.benchmarks.metrics.base import ImageMetric, Value
from duskbench.benchmarks.protocol import NiqeLuma, Protocol, SsimChannels


class Niqe(ImageMetric):
    """NIQE as a benchmark's metric.

    Args:
        protocol: Its `niqe_luma` is the default of `luma`.
        luma: See `niqe.niqe`.
        device: Torch device.
    """

    key, heading, better, digits, tolerance = "niqe", "NIQE", "lower", 3, 0.05

    def __init__(self, protocol: Protocol, luma: NiqeLuma | None = None, device: str = "cpu") -> None:
        self.luma: NiqeLuma = luma or protocol.niqe_luma
        self.device = device
        self.arguments = {"luma": self.luma}

    def measure(self, image_rgb: np.ndarray, **given: np.ndarray) -> Value:
        """Measure one image; see `niqe.niqe_batch`."""
        from duskbench.benchmarks.metrics.niqe import niqe_batch

        return niqe_batch([image_rgb], device=self.device, luma=self.luma)[0]

    def describe(self) -> str:
        """How it is computed."""
        return (
            f"NIQE: model of the official release, luma {self.luma} rounded to 8 bits, 96x96 blocks, on the "
            "8-bit enhanced image; mean over the images that have one."
        )


class _Compared(ImageMetric):
    needs = frozenset({"reference"})
    better = "higher"


class Psnr(_Compared):
    """PSNR against the lit original; an image that equals it has none, for infinity spoils every mean."""

    key, heading, digits = "psnr", "PSNR", 2

    def measure(self, image_rgb: np.ndarray, **given: np.ndarray) -> Value:
        """Measure one image; see `psnr`."""
        from duskbench.benchmarks.metrics.full_reference import IDENTICAL, psnr

        decibels = psnr(image_rgb, given["reference_rgb"])
        return Value(decibels, IDENTICAL if decibels is None else None)

    def describe(self) -> str:
        """How it is computed."""
        return "PSNR: enhanced image against the lit original, 8-bit RGB, peak 255, mean over images."


class Ssim(_Compared):
    """SSIM against the lit original; an image that is smaller than the window has none.

    Args:
        protocol: Its `ssim_channels` is the default of `channels`.
        channels: See `ssim`.
    """

    key, heading, digits = "ssim", "SSIM", 4

    def __init__(self, protocol: Protocol, channels: SsimChannels | None = None) -> None:
        self.channels: SsimChannels = channels or protocol.ssim_channels
        self.arguments = {"channels": self.channels}

    def measure(self, image_rgb: np.ndarray, **given: np.ndarray) -> Value:
        """Measure one image; see `ssim`."""
        from duskbench.benchmarks.metrics.full_reference import WINDOW, ssim

        similarity = ssim(image_rgb, given["reference_rgb"], channels=self.channels)
        height, width = image_rgb.shape[:2]
        return Value(similarity, f"{width}x{height}; SSIM needs {WINDOW}x{WINDOW}" if similarity is None else None)

    def describe(self) -> str:
        """How it is computed."""
        channels = {"rgb": "mean over R, G and B", "grey": "of the Rec. 601 luma"}[self.channels]
        return (
            "SSIM: enhanced image against the lit original, 8-bit RGB, 11x11 Gaussian window (sigma 1.5, K1 0.01, "
            f"K2 0.03) over the windows inside the image, {channels}, mean over images."
        )
