"""Retinex-Net with the weights of its PyTorch port."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from duskbench.data_tools.files import file_sha256
from duskbench.pipeline.enhancers.tiling import Tile
from duskbench.pipeline.enhancers.torch_base import TorchEnhancer, count_parameters
from duskbench.pipeline.network_weights import load_file
from duskbench.pipeline.networks.retinexnet import DecomNet, RelightNet, nearest_index
from duskbench.pipeline.weight_catalogue import CATALOGUE, WeightFile
from duskbench.pipeline.weights import find_weights

DECOM_WEIGHTS = "retinexnet/Decom_9200.tar"
RELIGHT_WEIGHTS = "retinexnet/Relight_9200.tar"


class RetinexNet(TorchEnhancer):
    """Deep Retinex Decomposition, inference only: reflectance times adjusted illumination, without denoising.

    Args:
        decom: Path of the decomposition network's weights; None looks them up by name.
        relight: Path of the illumination network's weights; None looks them up by name.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.
        tile_pixels: See `TorchEnhancer`.

    Raises:
        WeightsError: A file is missing or does not fit.

    Source: Wei et al., "Deep Retinex Decomposition for Low-Light Enhancement", BMVC 2018;
    aasharma90/RetinexNet_PyTorch, model.py, `predict`. The authors' TensorFlow weights and their BM3D step are no part
    of the port.
    """

    name = "retinexnet"
    paper = "Wei, Wang, Yang, Liu: Deep Retinex Decomposition for Low-Light Enhancement, BMVC 2018"
    files: ClassVar[Mapping[str, WeightFile]] = {
        "decom": CATALOGUE[DECOM_WEIGHTS],
        "relight": CATALOGUE[RELIGHT_WEIGHTS],
    }
    # The network takes any size; padding would change what its replicate padding sees at the border.
    stride: ClassVar[int] = 8
    pads_to_stride: ClassVar[bool] = False
    # 10 for the decomposition and 23 for the illumination network.
    overlap: ClassVar[int | None] = 33

    def __init__(
        self,
        decom: str | Path | None = None,
        relight: str | Path | None = None,
        device: str | torch.device = "cpu",
        *,
        amp: bool = False,
        tile_pixels: int | None = None,
    ) -> None:
        super().__init__(device=device, amp=amp, tile_pixels=tile_pixels)
        decom_path, relight_path = find_weights(DECOM_WEIGHTS, decom), find_weights(RELIGHT_WEIGHTS, relight)
        decom_net, relight_net = DecomNet(), RelightNet()
        load_file(decom_net, decom_path)
        load_file(relight_net, relight_path)
        self.weights = {DECOM_WEIGHTS: file_sha256(decom_path), RELIGHT_WEIGHTS: file_sha256(relight_path)}
        self.decom, self.relight = self.prepare(decom_net), self.prepare(relight_net)

    @classmethod
    def parameters(cls) -> int | None:
        """Parameters of both networks."""
        return count_parameters(DecomNet, RelightNet)

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same."""
        reflectance, illumination = self.decom(batch)
        return reflectance * self.relight(illumination, reflectance)

    def forward_tile(self, batch: Tensor, tile: Tile) -> Tensor:
        """Enhance one window so that its upsampling repeats the pixels that it repeats in the whole picture."""
        height, width = tile.image_size
        rows = _quarter_index(tile.rows.start, tile.rows.stop, height)
        columns = _quarter_index(tile.columns.start, tile.columns.stop, width)
        reflectance, illumination = self.decom(batch)
        index = rows.to(batch.device), columns.to(batch.device)
        return reflectance * self.relight(illumination, reflectance, index)


def _quarter_index(start: int, stop: int, size: int) -> Tensor:
    index = nearest_index(-(-size // 4), size)[start:stop] - start // 4
    # The last index may point one past the window; no kept pixel sees it.
    return index.clamp_(max=-(-(stop - start) // 4) - 1)
