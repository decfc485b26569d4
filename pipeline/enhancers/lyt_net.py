"""LYT-Net with its authors' weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

from duskbench.pipeline.enhancers.published import PublishedEnhancer
from duskbench.pipeline.networks.resizing import pad_after
from duskbench.pipeline.weight_catalogue import WeightFile, from_github

FEATURES, DENOISER_FEATURES, HEADS = 32, 16, 4
STRIDE = 8
# Rows Y, U and V of what TensorFlow calls YUV, from R, G and B.
YUV = (
    (0.299, 0.587, 0.114),
    (-0.14714119, -0.28886916, 0.43601035),
    (0.61497538, -0.51496512, -0.10001026),
)
# Keras numbers its layers in the order of their making.
KERAS_LAYERS = {
    **{f"conv2d_{18 + k}": name for k, name in enumerate(("process_y", "process_cb", "process_cr"))},
    **{f"conv2d_{21 + k}": name for k, name in enumerate(("lum_conv", "ref_conv", "recombine", "final_adjustments"))},
    **{
        f"conv2d_{first + k}": f"{denoiser}.{name}"
        for first, denoiser in ((6, "denoiser_cb"), (12, "denoiser_cr"))
        for k, name in enumerate(("conv1", "conv2", "conv3", "conv4", "output", "res"))
    },
    **{
        f"dense_{first + k}": f"{attention}.{name}"
        for first, attention in ((4, "denoiser_cb.bottleneck"), (8, "denoiser_cr.bottleneck"), (12, "lum_mhsa"))
        for k, name in enumerate(("query", "key", "value", "combine"))
    },
    "dense_16": "msef.se.fc1",
    "dense_17": "msef.se.fc2",
    "depthwise_conv2d": "msef.depthwise",
    "layer_normalization": "msef.norm",
}
KERAS_TENSORS = {"kernel:0": "weight", "depthwise_kernel:0": "weight", "gamma:0": "weight"}
# From (height, width, in, out) and (in, out) to torch's order; a depthwise kernel is (height, width, channels, 1).
TORCH_ORDER = {("kernel:0", 4): (3, 2, 0, 1), ("kernel:0", 2): (1, 0), ("depthwise_kernel:0", 4): (2, 3, 0, 1)}
# How much of the luminance goes into the colours.
LUMINANCE_SHARE = 0.2


class Attention(nn.Module):
    """Attention of four heads among all positions of a map, with no connection past it and no normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.combine = nn.Linear(channels, channels)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        tokens = batch.flatten(2).transpose(1, 2)
        split = [
            layer(tokens).unflatten(2, (HEADS, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        ]
        found = self.combine(F.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2))
        return found.transpose(1, 2).unflatten(2, batch.shape[2:])


class HalvingConv2d(nn.Conv2d):
    """A 3x3 convolution of stride 2 as TensorFlow pads it: nothing before, one after."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, stride=2)

    def forward(self, input: Tensor) -> Tensor:
        """(N, inputs, H, W) float to (N, outputs, H / 2, W / 2); H and W even."""
        return super().forward(F.pad(input, (0, 1, 0, 1)))


class Denoiser(nn.Module):
    """Cleans one colour channel: three levels down, attention, three up."""

    def __init__(self, channels: int = DENOISER_FEATURES) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1)
        self.conv2 = HalvingConv2d(channels, channels)
        self.conv3 = HalvingConv2d(channels, channels)
        self.conv4 = HalvingConv2d(channels, channels)
        self.bottleneck = Attention(channels)
        self.res = nn.Conv2d(channels, 1, 3, padding=1)
        self.output = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, 1, H, W) float to the same, in [-1, 1]; H and W multiples of 8."""
        full = self.conv1(batch).relu()
        half = self.conv2(full).relu()
        quarter = self.conv3(half).relu()
        features = self.bottleneck(self.conv4(quarter).relu())
        for level in (quarter, half, full):
            features = F.interpolate(features, scale_factor=2.0) + level
        return torch.tanh(self.output(torch.tanh(self.res(features)) + batch))


class ChannelWeights(nn.Module):
    """A factor in [-1, 1] for each channel, from the means of all."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, channels // reduction)
        self.fc2 = nn.Linear(channels // reduction, channels)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        weights = torch.tanh(self.fc2(self.fc1(batch.mean(dim=(2, 3))).relu()))
        return batch * weights[:, :, None, None]


class MultiStageFusion(nn.Module):
    """The normalised features, once by a 3x3 convolution of each and once weighed, multiplied and added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-3)
        self.se = ChannelWeights(channels)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        normal = self.norm(batch.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.depthwise(normal) * self.se(normal) + batch


class LYTNetwork(nn.Module):
    """Cleans the colours, brightens the luminance by attention, and joins them.

    State-dict keys are readable ones of our own; `LYTNet` knows the authors'.

    Source: Brateanu et al. 2025; albrateanu/LYT-Net @ 903e0e4, model/arch.py.
    """

    yuv: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.process_y = nn.Conv2d(1, FEATURES, 3, padding=1)
        self.process_cb = nn.Conv2d(1, FEATURES, 3, padding=1)
        self.process_cr = nn.Conv2d(1, FEATURES, 3, padding=1)
        self.denoiser_cb = Denoiser()
        self.denoiser_cr = Denoiser()
        self.lum_mhsa = Attention(FEATURES)
        self.lum_conv = nn.Conv2d(FEATURES, FEATURES, 1)
        self.ref_conv = nn.Conv2d(2 * FEATURES, FEATURES, 1)
        self.msef = MultiStageFusion(FEATURES)
        self.recombine = nn.Conv2d(2 * FEATURES, FEATURES, 3, padding=1)
        self.final_adjustments = nn.Conv2d(FEATURES, 3, 3, padding=1)
        self.register_buffer("yuv", torch.tensor(YUV)[:, :, None, None], persistent=False)

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float RGB in [0, 1] to the same.

        A side that is no multiple of 8 is reflected up to one at the bottom and right; the authors' code refuses it.
        """
        height, width = batch.shape[2:]
        padded = pad_after(batch * 2 - 1, multiple=STRIDE, mode="reflect")
        return ((self.translate(padded) + 1) / 2)[:, :, :height, :width]

    def translate(self, batch: Tensor) -> Tensor:
        """(N, 3, H, W) float RGB in [-1, 1] to the same; H and W multiples of 8."""
        y, cb, cr = F.conv2d(batch, self.yuv).split(1, dim=1)
        cb, cr = self.denoiser_cb(cb) + cb, self.denoiser_cr(cr) + cr
        luminance = self.process_y(y).relu()
        attended = self.lum_mhsa(F.max_pool2d(luminance, STRIDE))
        luminance = luminance + F.interpolate(attended, scale_factor=float(STRIDE))
        colours = self.ref_conv(torch.cat((self.process_cb(cb).relu(), self.process_cr(cr).relu()), dim=1))
        fused = self.msef(colours + LUMINANCE_SHARE * self.lum_conv(luminance)) + colours
        joined = self.recombine(torch.cat((fused, luminance), dim=1)).relu()
        return torch.tanh(self.final_adjustments(joined))


class LYTNet(PublishedEnhancer):
    """A transformer on luminance and colours, inference only.

    Its attention sees an eighth of the picture as a whole, in time that grows with the square of its pixels; it is
    never tiled. The authors' code refuses sides that are no multiples of 8; here they are reflected up to one.

    Args:
        variant: See `PublishedEnhancer`.
        weights: The authors' Keras file, or tensors under the names of `LYTNetwork`; see `PublishedEnhancer`.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.
        tile_pixels: Of no effect.

    Source: Brateanu et al., "LYT-NET: Lightweight YUV Transformer-based Network for Low-light Image Enhancement", IEEE
    Signal Processing Letters 2025; albrateanu/LYT-Net @ 903e0e4, scripts/test.py.
    """

    name = "lyt_net"
    paper: ClassVar[str | None] = (
        "Brateanu et al.: LYT-NET: Lightweight YUV Transformer-based Network for Low-light Image Enhancement, SPL 2025"
    )
    network_class: ClassVar[type[nn.Module]] = LYTNetwork
    files: ClassVar[Mapping[str, WeightFile]] = {
        "official": from_github(
            "lyt_net/LOL_v1_weights.h5",
            "albrateanu/LYT-Net",
            "903e0e4133b897eacc6e96373d40794abe7f1ea1",
            "pretrained_weights/LOL_v1_weights.h5",
            sha256="9e0aeeb2e1fe285aa2f28b33d0a3fa7f2e13420e1997f2d54c926368ebf8ac7e",
            licence="MIT",
            note="Keras weights, read with h5py (extra `keras`); takes RGB in [-1, 1].",
        )
    }

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Bring Keras' names and layout into torch's; other files are taken as they are."""
        if not any(key.endswith(":0") for key in state):
            return state
        renamed = {}
        for key, value in state.items():
            *_, layer, tensor = key.split("/")
            order = TORCH_ORDER.get((tensor, value.ndim), tuple(range(value.ndim)))
            name = f"{KERAS_LAYERS.get(layer, layer)}.{KERAS_TENSORS.get(tensor, 'bias')}"
            renamed[name] = value.permute(order).contiguous()
        return renamed
