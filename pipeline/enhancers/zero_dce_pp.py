"""Zero-DCE++ with its authors' weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.enhancers.published import PublishedEnhancer
from duskbench.pipeline.enhancers.tiling import Tile
from duskbench.pipeline.networks.resizing import enlarge_aligned, pad_after
from duskbench.pipeline.networks.zero_dce import CURVE_ITERATIONS, CurveEstimator
from duskbench.pipeline.weight_catalogue import WeightFile, from_github

PUBLISHED_SCALE = 12


class SeparableConv2d(nn.Module):
    """A 3x3 convolution of each channel by itself, then a 1x1 one of all; nothing between them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depth_conv = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs)
        self.point_conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, inputs, H, W) float to (N, outputs, H, W)."""
        return self.point_conv(self.depth_conv(batch))


class SeparableDCENet(CurveEstimator):
    """Seven separable convolutions that estimate one curve per pixel and colour, applied eight times.

    At its own size a pixel depends on the 15x15 pixels around it.

    Source: Li, Guo, Loy 2021; Li-Chongyi/Zero-DCE_extension @ 09f202b, Zero-DCE++/model.py.
    """

    def __init__(self) -> None:
        super().__init__(SeparableConv2d, width=32, outputs=3)

    def forward(
        self,
        batch: Tensor,
        scale: int = PUBLISHED_SCALE,
        start: tuple[int, int] = (0, 0),
        whole: tuple[int, int] | None = None,
    ) -> Tensor:
        """Enhance a batch, its curve estimated at a fraction of its size.

        Args:
            batch: (N, 3, H, W) float, RGB in [0, 1]; of any size, padded to multiples of `scale` at the bottom and
                right by repeating the edge.
            scale: By what the picture is reduced for the curve.
            start: Row and column of a larger picture where the batch begins, multiples of `scale`.
            whole: Height and width of that picture; None where the batch is all of it.

        Returns:
            (N, 3, H, W) float, RGB in [0, 1].
        """
        height, width = batch.shape[2:]
        padded = pad_after(batch, multiple=scale)
        # Bilinear reduction without antialiasing: the mean of the four pixels round the middle of each cell.
        middle = (scale - 1) // 2, scale // 2
        cells = [padded[:, :, row::scale, column::scale] for row in middle for column in middle]
        curve = self.estimate((cells[0] + cells[1] + cells[2] + cells[3]) / 4)
        if scale > 1:
            # Not -(-side // scale): ONNX divides towards zero.
            rows, columns = ((side + scale - 1) // scale for side in whole or (height, width))
            curve = enlarge_aligned(
                curve, (height, width), whole=(rows * scale, columns * scale), start=start, small=(rows, columns)
            )
        for _ in range(CURVE_ITERATIONS):
            batch = torch.addcmul(batch, curve, batch * batch - batch)
        return batch


class ZeroDCEpp(PublishedEnhancer):
    """Zero-DCE++: one quadratic curve for each pixel, estimated at a twelfth of the size.

    The authors crop their pictures to multiples of 12; here the edge is repeated up to the next multiple and the result
    has the picture's size. That moves the pixels inside, because the curve is stretched over the whole picture: on 24
    photos of ExDark by 0.31 grey levels in the mean and 17 at most.

    Args:
        variant: See `PublishedEnhancer`.
        weights: See `PublishedEnhancer`.
        scale: By what the picture is reduced for the curve, a divisor of 12. The authors train at 1 and test at 12.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.
        tile_pixels: See `TorchEnhancer`.

    Raises:
        ConfigError: The scale is no divisor of 12.

    Source: Li, Guo, Loy, "Learning to Enhance Low-Light Image via Zero-Reference Deep Curve Estimation", TPAMI 2021;
    Li-Chongyi/Zero-DCE_extension @ 09f202b, Zero-DCE++/lowlight_test.py.
    """

    name = "zero_dce_pp"
    paper: ClassVar[str | None] = (
        "Li, Guo, Loy: Learning to Enhance Low-Light Image via Zero-Reference Deep Curve Estimation, TPAMI 2021"
    )
    network_class: ClassVar[type[nn.Module]] = SeparableDCENet
    files: ClassVar[Mapping[str, WeightFile]] = {
        "official": from_github(
            "zero_dce_pp/Epoch99.pth",
            "Li-Chongyi/Zero-DCE_extension",
            "09f202b690f82da939b8e6ec8535960ae97ad8bd",
            "Zero-DCE%2B%2B/snapshots_Zero_DCE%2B%2B/Epoch99.pth",
            sha256="ca8855b90df9a80fa4195a831f33d3476b1964f787eb70602797c773067f3b84",
            licence="academic research only; CC BY-NC 4.0",
            note="Takes RGB in [0, 1], at a twelfth of the size.",
        )
    }
    # Tiles begin where a small pixel begins. A pixel of the curve sees seven small ones to each side, and the
    # enlargement moves it by one and mixes it with the next.
    stride: ClassVar[int] = PUBLISHED_SCALE
    pads_to_stride: ClassVar[bool] = False
    overlap: ClassVar[int | None] = 9 * PUBLISHED_SCALE

    def __init__(
        self,
        variant: str | None = None,
        weights: str | Path | None = None,
        scale: int = PUBLISHED_SCALE,
        device: str | torch.device = "cpu",
        *,
        amp: bool = False,
        tile_pixels: int | None = None,
    ) -> None:
        if not isinstance(scale, int) or scale < 1 or PUBLISHED_SCALE % scale:
            raise ConfigError(
                "The scale is not possible.", where=self.name, expected="a divisor of 12", got=f"scale={scale!r}"
            )
        super().__init__(variant, weights, device, amp=amp, tile_pixels=tile_pixels)
        self.arguments = {**self.arguments, "scale": scale}
        self.scale = scale

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same."""
        return self.network(batch, self.scale)

    def forward_tile(self, batch: Tensor, tile: Tile) -> Tensor:
        """Enhance one window with the curve that the whole picture has there."""
        return self.network(batch, self.scale, (tile.rows.start, tile.columns.start), tile.image_size)
