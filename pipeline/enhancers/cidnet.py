"""HVI-CIDNet, for its authors' weights on the Hugging Face Hub."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

from duskbench.pipeline.enhancers.published import PublishedEnhancer
from duskbench.pipeline.networks.channel_norm import ChannelNorm
from duskbench.pipeline.networks.resizing import pad_after
from duskbench.pipeline.weight_catalogue import WeightFile

WIDTHS = (36, 36, 72, 144)
HEADS = (1, 2, 4, 8)
STRIDE = 8
EPSILON = 1e-8
# Which of value, q, p and t of the hexagonal colour model is red, green and blue in each sixth of the circle.
SECTORS = ((0, 1, 2, 2, 3, 0), (3, 0, 0, 1, 2, 2), (2, 2, 3, 0, 0, 1))


class ColourSpace(nn.Module):
    """Horizontal, vertical and intensity: hue and saturation as a point in a disc that narrows in the dark."""

    def __init__(self) -> None:
        super().__init__()
        self.density_k = nn.Parameter(torch.full((1,), 0.2))

    def _radius(self, intensity: Tensor) -> Tensor:
        return ((intensity * (math.pi / 2)).sin() + EPSILON).pow(self.density_k)

    def forward(self, batch: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1] to the two colour axes and intensity, (N, 3, H, W)."""
        red, green, blue = batch.split(1, dim=1)
        value, least = batch.amax(1, keepdim=True), batch.amin(1, keepdim=True)
        spread = value - least
        hue = torch.where(green == value, 2 + (blue - red) / (spread + EPSILON), 4 + (red - green) / (spread + EPSILON))
        hue = torch.where(red == value, ((green - blue) / (spread + EPSILON)) % 6, hue)
        angle = torch.where(spread == 0, 0, hue) * (2 * math.pi / 6)
        radius = self._radius(value) * (spread / (value + EPSILON))
        return torch.cat([radius * angle.cos(), radius * angle.sin(), value], dim=1)

    def to_rgb(self, batch: Tensor) -> Tensor:
        """The way back, clipped to [0, 1]; a hue of a whole turn is none, where the authors' code gives black."""
        across, up, value = batch[:, :1].clamp(-1, 1), batch[:, 1:2].clamp(-1, 1), batch[:, 2:].clamp(0, 1)
        radius = self._radius(value) + EPSILON
        across, up = (across / radius).clamp(-1, 1), (up / radius).clamp(-1, 1)
        sixths = torch.atan2(up, across) / (2 * math.pi) % 1 * 6
        saturation = (across**2 + up**2 + EPSILON).sqrt().clamp(0, 1)
        sector = sixths.floor()
        share = sixths - sector
        steps = (torch.zeros_like(share), share * saturation, saturation, (1 - share) * saturation)
        choices = torch.cat([value * (1 - step) for step in steps], dim=1)
        places = torch.tensor(SECTORS, device=batch.device)[:, sector.long()[:, 0] % 6].transpose(0, 1)
        return choices.gather(1, places)


class CrossAttention(nn.Module):
    """Attention among the channels of each head: what one branch asks, of what the other has."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.q = nn.Conv2d(channels, channels, 1, bias=False)
        self.q_dwconv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.kv = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.kv_dwconv = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels, bias=False)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Two of (N, channels, H, W) float to one."""
        maps = (self.q_dwconv(self.q(asking)), *self.kv_dwconv(self.kv(asked)).chunk(2, dim=1))
        q, k, v = (each.flatten(2).unflatten(1, (len(self.temperature), -1)) for each in maps)
        attention = (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(2, 3) * self.temperature).softmax(dim=-1)
        return self.project_out((attention @ v).flatten(1, 2).unflatten(2, asking.shape[2:]))


class GatedLayers(nn.Module):
    """Two halves of widened features, each through a depthwise convolution and multiplied."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = int(channels * 2.66)
        self.project_in = nn.Conv2d(channels, 2 * wide, 1, bias=False)
        self.dwconv = nn.Conv2d(2 * wide, 2 * wide, 3, padding=1, groups=2 * wide, bias=False)
        self.dwconv1 = nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False)
        self.dwconv2 = nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False)
        self.project_out = nn.Conv2d(wide, channels, 1, bias=False)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) float to the same."""
        one, other = self.dwconv(self.project_in(batch)).chunk(2, dim=1)
        return self.project_out((self.dwconv1(one).tanh() + one) * (self.dwconv2(other).tanh() + other))


class CrossLayers(nn.Module):
    """Cross attention and gated layers; those of the colours are not added to what they are given."""

    def __init__(self, channels: int, heads: int, *, added: bool) -> None:
        super().__init__()
        self.gdfn, self.norm, self.ffn = GatedLayers(channels), ChannelNorm(channels), CrossAttention(channels, heads)
        self.added = added

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        """Two of (N, channels, H, W) float to the first's next."""
        own = own + self.ffn(self.norm(own), self.norm(other))
        gated = self.gdfn(self.norm(own))
        return own + gated if self.added else gated


class Halving(nn.Module):
    """A convolution, and half the size by bilinear samples with aligned corners."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.prelu = nn.PReLU()
        self.down = nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))

    def forward(self, batch: Tensor) -> Tensor:
        """(N, inputs, H, W) float to (N, outputs, H / 2, W / 2)."""
        half = [side // 2 for side in batch.shape[2:]]
        return self.prelu(F.interpolate(self.down(batch), half, mode="bilinear", align_corners=True))


class Doubling(nn.Module):
    """A convolution, twice the size, and a second input joined."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.prelu = nn.PReLU()
        self.up_scale = nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))
        self.up = nn.Conv2d(2 * outputs, outputs, 1, bias=False)

    def forward(self, batch: Tensor, across: Tensor) -> Tensor:
        """(N, inputs, H, W) and (N, outputs, 2 H, 2 W) float to the latter's shape."""
        large = F.interpolate(self.up_scale(batch), across.shape[2:], mode="bilinear", align_corners=True)
        return self.prelu(self.up(torch.cat([large, across], dim=1)))


def _framed(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.ReplicationPad2d(1), nn.Conv2d(inputs, outputs, 3, bias=False))


class CIDNet(nn.Module):
    """Colour and intensity in a branch each, with cross attention between them. State-dict keys are the official ones.

    As in the authors' code, three of the cross layers only feed what is joined later: intensity goes on from before
    its second and fifth, and the colours from before their second.

    Source: Yan et al. 2025; Fediory/HVI-CIDNet @ 2a2b40f, net/CIDNet.py, LCA.py and HVI_transform.py.
    """

    HV_LCA5: CrossLayers

    def __init__(self) -> None:
        super().__init__()
        for branch, inputs, outputs in (("HV", 3, 2), ("I", 1, 1)):
            self.add_module(f"{branch}E_block0", _framed(inputs, WIDTHS[0]))
            self.add_module(f"{branch}D_block0", _framed(WIDTHS[0], outputs))
            for k in (1, 2, 3):
                self.add_module(f"{branch}E_block{k}", Halving(WIDTHS[k - 1], WIDTHS[k]))
                self.add_module(f"{branch}D_block{k}", Doubling(WIDTHS[k], WIDTHS[k - 1]))
            for k, level in enumerate((1, 2, 3, 3, 2, 1), start=1):
                self.add_module(f"{branch}_LCA{k}", CrossLayers(WIDTHS[level], HEADS[level], added=branch == "I"))
        self.trans = ColourSpace()

    def _cross(self, k: int, light: Tensor, colour: Tensor) -> tuple[Tensor, Tensor]:
        """The k-th cross layers of both branches, each given the other's input."""
        return getattr(self, f"I_LCA{k}")(light, colour), getattr(self, f"HV_LCA{k}")(colour, light)

    def _both(self, block: str, light: tuple[Tensor, ...], colour: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        return getattr(self, f"I{block}")(*light), getattr(self, f"HV{block}")(*colour)

    def forward(self, batch: Tensor) -> Tensor:
        """(N, 3, H, W) float RGB in [0, 1] to the same."""
        height, width = batch.shape[2:]
        # The authors' script mirrors at the bottom and right.
        given = self.trans(pad_after(batch, multiple=STRIDE, mode="reflect"))
        full = self._both("E_block0", (given[:, 2:],), (given,))
        half = self._cross(1, *self._both("E_block1", full[:1], full[1:]))
        light, colour = self._both("E_block2", half[:1], half[1:])
        quarter = self._cross(2, light, colour)
        light, colour = self._cross(3, *self._both("E_block3", (light,), (colour,)))
        light, colour = self._cross(4, light, colour)
        light, colour = self._both("D_block3", (light, quarter[0]), (colour, quarter[1]))
        colour = self.HV_LCA5(colour, light)
        light, colour = self._both("D_block2", (light, half[0]), (colour, half[1]))
        light, colour = self._cross(6, light, colour)
        light, colour = self._both("D_block1", (light, full[0]), (colour, full[1]))
        light, colour = self._both("D_block0", (light,), (colour,))
        return self.trans.to_rgb(torch.cat([colour, light], dim=1) + given)[:, :, :height, :width]


class HVICIDNet(PublishedEnhancer):
    """Enhancement in a colour space that narrows in the dark, inference only; its weights were not at hand here.

    The network gives what the authors' code gives, with weights made up for the comparison; their own were never run.
    The factor of 1.3 on the saturation by which their script makes its numbers on LOL is left out. For the arguments
    see `PublishedEnhancer`.

    Source: Yan et al., "HVI: A New Color Space for Low-light Image Enhancement", CVPR 2025.
    """

    name = "cidnet"
    paper = "Yan et al.: HVI: A New Color Space for Low-light Image Enhancement, CVPR 2025"
    network_class: ClassVar[type[nn.Module]] = CIDNet
    files: ClassVar[Mapping[str, WeightFile]] = {
        "lol_v1": WeightFile(
            "cidnet/LOLv1-wperc.safetensors",
            "the Hugging Face Hub, as Fediory/HVI-CIDNet@2a2b40f names it in eval_hf.py",
            urls=("hf://Fediory/HVI-CIDNet-LOLv1-wperc/model.safetensors",),
            sha256=None,
            licence="MIT (repository)",
            note="Not seen here.",
        )
    }
    # Attention is among channels, over the whole picture.
    overlap: ClassVar[int | None] = None
