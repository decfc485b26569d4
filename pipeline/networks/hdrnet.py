"""HDRNet: a small network predicts affine colour transforms in a bilateral grid, a guide map looks them up."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.registry import MODELS
from torch import Tensor, nn

LOW_SIZE = 256
SPATIAL_BINS, LUMA_BINS = 16, 8
CHANNELS = LUMA_BINS  # of the first layer, times 1, the authors' channel multiplier
CURVE_POINTS = 16
NORM_EPSILON = 1e-3
NORM_MOMENTUM = 1e-3  # 1 - decay


class _Norm(nn.Module):
    """TF-slim's batch normalisation: an offset in place of the convolution's bias, and no scale."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Normalise each channel by the batch's statistics while training, else by those kept."""
        return F.batch_norm(
            features, self.running_mean, self.running_var, None, self.bias, self.training, NORM_MOMENTUM, NORM_EPSILON
        )


class _Layer(nn.Module):
    """A convolution or a linear layer as TF-slim builds it: SAME padding, normalisation instead of a bias if wanted."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | None = 3,
        *,
        stride: int = 1,
        norm: bool = False,
        bias: bool = True,
        relu: bool = True,
    ) -> None:
        super().__init__()
        self.stride, self.relu = stride, relu
        shape = (outputs, inputs) if kernel is None else (outputs, inputs, kernel, kernel)
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias and not norm else None
        if norm:
            self.BatchNorm = _Norm(outputs)
        self.initialise()

    def initialise(self) -> None:
        """He's normal distribution by the inputs, cut at two standard deviations; biases 0."""
        # Cutting takes away from the variance; TensorFlow corrects by 1.3.
        deviation = math.sqrt(1.3 * 2 / self.weight[0].numel())
        nn.init.trunc_normal_(self.weight, 0.0, deviation, -2 * deviation, 2 * deviation)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, D, ceil(H / stride), ceil(W / stride)), or (N, C) to (N, D)."""
        if self.weight.ndim == 2:
            features = F.linear(features, self.weight, self.bias)
        else:
            features = F.conv2d(self._padded(features), self.weight, self.bias, self.stride)
        if hasattr(self, "BatchNorm"):
            features = self.BatchNorm(features)
        return torch.relu(features) if self.relu else features

    def _padded(self, features: Tensor) -> Tensor:
        kernel, stride = self.weight.shape[-1], self.stride
        margins: list[int] = []
        for size in (features.shape[3], features.shape[2]):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            margins += [total // 2, total - total // 2]
        return F.pad(features, margins) if any(margins) else features


class Coefficients(nn.Module):
    """Predicts the grid from the picture at 256x256.

    State-dict keys are the scopes of the official graph.

    Args:
        norm: Batch normalisation; off in all published scripts.
    """

    def __init__(self, norm: bool = False) -> None:
        super().__init__()
        width, wide = CHANNELS, 8 * CHANNELS
        self.splat = nn.ModuleDict(
            {
                f"conv{i}": _Layer(3 if i == 1 else width << (i - 2), width << (i - 1), stride=2, norm=norm and i > 1)
                for i in range(1, 5)
            }
        )
        flat = wide * (SPATIAL_BINS // 4) ** 2
        self.add_module(
            "global",  # a word of Python's
            nn.ModuleDict(
                {
                    "conv1": _Layer(wide, wide, stride=2, norm=norm),
                    "conv2": _Layer(wide, wide, stride=2, norm=norm),
                    "fc1": _Layer(flat, 32 * CHANNELS, None, norm=norm),
                    "fc2": _Layer(32 * CHANNELS, 16 * CHANNELS, None, norm=norm),
                    "fc3": _Layer(16 * CHANNELS, wide, None, relu=False),
                }
            ),
        )
        self.local = nn.ModuleDict(
            {"conv1": _Layer(wide, wide, norm=norm), "conv2": _Layer(wide, wide, bias=False, relu=False)}
        )
        self.prediction = nn.ModuleDict({"conv1": _Layer(wide, 12 * LUMA_BINS, 1, relu=False)})

    def forward(self, low: Tensor) -> Tensor:
        """Predict the grid.

        Args:
            low: (N, 3, 256, 256) float RGB in [0, 1].

        Returns:
            (N, 12, 8, 16, 16): coefficient, luma, y, x; coefficient 3 j + i multiplies input j (3: one) for output i.
        """
        features = low
        for layer in self.splat.values():
            features = layer(features)
        summary = features
        layers = dict(self.named_children())["global"]
        for name, layer in layers.named_children():
            if name == "fc1":
                # TensorFlow flattens rows, columns, channels.
                summary = summary.permute(0, 2, 3, 1).flatten(1)
            summary = layer(summary)
        local = self.local["conv2"](self.local["conv1"](features))
        grid = self.prediction["conv1"](torch.relu(local + summary[:, :, None, None]))
        return grid.unflatten(1, (12, LUMA_BINS))


class CurvesGuide(nn.Module):
    """A guide of a colour matrix and a piecewise linear curve for each channel; starts as the mean of the channels.

    Source: Gharbi et al. 2017, section 3.4.1.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ccm = nn.Parameter(torch.eye(3) + 1e-4 * torch.randn(()))
        self.ccm_bias = nn.Parameter(torch.zeros(3))
        shifts = torch.arange(CURVE_POINTS) / CURVE_POINTS
        self.shifts = nn.Parameter(shifts.expand(1, 1, 3, -1).clone())
        slopes = torch.zeros(1, 1, 1, 3, CURVE_POINTS)
        slopes[..., 0] = 1
        self.slopes = nn.Parameter(slopes)
        self.channel_mixing = nn.Conv2d(3, 1, 1)
        nn.init.constant_(self.channel_mixing.weight, 1 / 3)
        nn.init.zeros_(self.channel_mixing.bias)  # type: ignore[arg-type]

    def forward(self, picture: Tensor) -> Tensor:
        """(N, 3, H, W) float RGB in [0, 1] to (N, 1, H, W) in [0, 1]."""
        mixed = torch.einsum("nchw,cd->ndhw", picture, self.ccm) + self.ccm_bias[:, None, None]
        curved = torch.zeros_like(mixed)
        # One point after the other: all at once would take sixteen pictures of memory.
        for point in range(CURVE_POINTS):
            shift, slope = self.shifts[0, 0, :, point], self.slopes[0, 0, 0, :, point]
            curved = curved + slope[:, None, None] * torch.relu(mixed - shift[:, None, None])
        return self.channel_mixing(curved).clamp(0, 1)


class PointwiseGuide(nn.Module):
    """A guide of two layers that see a pixel each, with batch normalisation; that of the authors' scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _Layer(3, CURVE_POINTS, 1, norm=True)
        self.conv2 = _Layer(CURVE_POINTS, 1, 1, relu=False)

    def forward(self, picture: Tensor) -> Tensor:
        """(N, 3, H, W) float RGB in [0, 1] to (N, 1, H, W) in [0, 1]."""
        return torch.sigmoid(self.conv2(self.conv1(picture)))


def slice_grid(grid: Tensor, guide: Tensor) -> Tensor:
    """Look a bilateral grid up at each pixel, by its place and its guide, with trilinear weights.

    Args:
        grid: (N, C, D, GH, GW).
        guide: (N, 1, H, W) in [0, 1].

    Returns:
        (N, C, H, W). Beyond the outermost cells' centres the grid repeats. The authors' operator takes up to 1e-4 off
        the weight along the guide, to have a gradient at cells' centres; this one does not.

    Source: Gharbi et al. 2017, eq. 4; google/hdrnet @ e9a5bf5, ops/bilateral_slice.cc.
    """
    height, width = guide.shape[2:]
    y, x = _centres(height, guide)[:, None].expand(height, width), _centres(width, guide).expand(height, width)
    places = torch.stack((x, y)).expand(len(grid), -1, -1, -1)
    where = torch.cat((places, 2 * guide - 1), dim=1).permute(0, 2, 3, 1)[:, None]
    return F.grid_sample(grid, where, padding_mode="border", align_corners=False)[:, :, 0]


def _centres(size: int, like: Tensor) -> Tensor:
    """Pixels' centres, where -1 and 1 are the ends of the picture; (size,)."""
    return (2 * torch.arange(size, device=like.device, dtype=like.dtype) + 1) / size - 1


def apply_affine(coefficients: Tensor, picture: Tensor) -> Tensor:
    """Transform each pixel's colour, (N, 12, H, W) with (N, 3, H, W) to (N, 3, H, W); see `Coefficients`."""
    matrix = coefficients.unflatten(1, (4, 3))
    return (matrix[:, :3] * picture[:, :, None]).sum(1) + matrix[:, 3]


@MODELS.register_module()
class HDRNet(nn.Module):
    """Deep bilateral learning.

    Args:
        guide: "curves", the paper's, or "pointwise", that of the authors' scripts ("nn").
        norm: Batch normalisation of the coefficients' network.

    Source: Gharbi, Chen, Barron, Hasinoff, Durand, "Deep Bilateral Learning for Real-Time Image Enhancement", SIGGRAPH
    2017; google/hdrnet @ e9a5bf5, hdrnet/models.py.
    """

    def __init__(self, guide: str = "curves", norm: bool = False) -> None:
        super().__init__()
        self.coefficients = Coefficients(norm)
        self.guide = {"curves": CurvesGuide, "pointwise": PointwiseGuide}[guide]()

    def grid(self, picture: Tensor) -> Tensor:
        """The grid of a picture of any size, which is reduced to 256x256 by taking the nearest pixels."""
        return self.coefficients(F.interpolate(picture, (LOW_SIZE, LOW_SIZE)))

    def forward(self, picture: Tensor, grid: Tensor | None = None) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float RGB in [0, 1] to the same, not clipped; by its own grid or another."""
        grid = self.grid(picture) if grid is None else grid
        # Places are not exact enough in half precision.
        return apply_affine(slice_grid(grid.float(), self.guide(picture).float()), picture)
