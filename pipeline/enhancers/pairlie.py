"""PairLIE with its authors' weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from duskbench.data_tools.settings import check_setting, is_number
from duskbench.pipeline.enhancers.published import PublishedEnhancer
from duskbench.pipeline.networks.resizing import pad_after
from duskbench.pipeline.weight_catalogue import WeightFile, from_github

FEATURES = 64
# A reflected border needs two pixels.
LEAST_SIZE = 2


def five_layers(outputs: int) -> nn.Sequential:
    """Five 3x3 convolutions between reflected borders, with a sigmoid at the end; a pixel sees five to each side."""
    layers: list[nn.Module] = []
    for inputs, channels in ((3, FEATURES), *[(FEATURES, FEATURES)] * 3, (FEATURES, outputs)):
        layers += [nn.ReflectionPad2d(1), nn.Conv2d(inputs, channels, 3), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Sigmoid())


class PairLIENet(nn.Module):
    """Cleans a picture, and splits what is left into illumination and reflectance.

    State-dict keys are the official ones.

    Source: Fu et al. 2023; zhenqifu/PairLIE @ 3fd5c15, net/net.py.
    """

    def __init__(self) -> None:
        super().__init__()
        self.L_net = nn.ModuleDict({"L_net": five_layers(1)})
        self.R_net = nn.ModuleDict({"R_net": five_layers(3)})
        self.N_net = nn.ModuleDict({"N_net": five_layers(3)})

    def decompose(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) float RGB in [0, 1] to illumination (N, 1, H, W) and reflectance (N, 3, H, W), in (0, 1)."""
        clean = self.N_net["N_net"](batch)
        return self.L_net["L_net"](clean), self.R_net["R_net"](clean)

    def forward(self, batch: Tensor, exponent: float) -> Tensor:
        """Enhance a batch.

        Args:
            batch: (N, 3, H, W) float, RGB in [0, 1].
            exponent: Of the illumination.

        Returns:
            (N, 3, H, W) float, RGB in [0, 1].
        """
        height, width = batch.shape[2:]
        illumination, reflectance = self.decompose(pad_after(batch, least=LEAST_SIZE))
        return (illumination**exponent * reflectance)[:, :, :height, :width]


class PairLIE(PublishedEnhancer):
    """A Retinex decomposition learned from pairs of low-light photos, inference only.

    Args:
        variant: See `PublishedEnhancer`.
        weights: See `PublishedEnhancer`.
        exponent: Of the illumination: 1 leaves the picture as dark as it is, 0 is the reflectance. The authors take
            0.2, and for their numbers on LOL 0.14, found by hand.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.
        tile_pixels: See `TorchEnhancer`.

    Raises:
        ConfigError: The exponent is negative or not finite.

    Source: Fu et al., "Learning a Simple Low-light Image Enhancer from Paired Low-light Instances", CVPR 2023;
    zhenqifu/PairLIE @ 3fd5c15, eval.py. The authors' script truncates to 8 bits; this rounds.
    """

    name = "pairlie"
    paper = "Fu et al.: Learning a Simple Low-light Image Enhancer from Paired Low-light Instances, CVPR 2023"
    network_class: ClassVar[type[nn.Module]] = PairLIENet
    files: ClassVar[Mapping[str, WeightFile]] = {
        "official": from_github(
            "pairlie/PairLIE.pth",
            "zhenqifu/PairLIE",
            "3fd5c1586aa5f8f0736382de36d5bf46a4e208c2",
            "weights/PairLIE.pth",
            sha256="e223ec9e66504550e69f65b631ce520be9b5c4e8e0aba882768d06af355b0631",
            licence="none stated",
            note="Takes RGB in [0, 1].",
        )
    }
    # Five layers that clean and five that decompose; the tiling is exact.
    overlap: ClassVar[int | None] = 10
    cpu_tile_pixels: ClassVar[int] = 2**17

    def __init__(
        self,
        variant: str | None = None,
        weights: str | Path | None = None,
        exponent: float = 0.2,
        device: str | torch.device = "cpu",
        *,
        amp: bool = False,
        tile_pixels: int | None = None,
    ) -> None:
        fine = is_number(exponent) and exponent >= 0
        check_setting("PairLIE", "exponent", exponent, fine, "a finite number of at least 0")
        super().__init__(variant, weights, device, amp=amp, tile_pixels=tile_pixels)
        self.arguments = {**self.arguments, "exponent": exponent}
        self.exponent = exponent

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same."""
        return self.network(batch, self.exponent)
