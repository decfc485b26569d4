"""UNIT as in its paper: two variational auto-encoders that share the layers next to their code."""

from __future__ import annotations

import itertools

import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.pipeline.networks.blocks import Block, ResidualBlock
from duskbench.pipeline.networks.instance_norm import InstanceNorm2d
from duskbench.pipeline.networks.sample_draws import SampleDraws, SampleDropout

LEVELS = 2  # halvings of the encoder
DROPOUT = 0.5


class _Residual(ResidualBlock):
    """Two convolutions with instance normalisation and dropout, added to the input; nothing after the sum."""

    def __init__(self, width: int, draws: SampleDraws) -> None:
        super().__init__(
            nn.Conv2d(width, width, 3, padding=1),
            InstanceNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            InstanceNorm2d(width),
            SampleDropout(DROPOUT, draws),
        )


@MODELS.register_module()
class UNITGenerator(nn.Module):
    """Encoders and decoders of two domains, A (low light) and B (normal light), with shared layers in between.

    State-dict keys are the official ones. The code is its mean plus normal noise while training; zero padding
    everywhere.

    Args:
        width: Channels of the first layer.
        blocks: Residual blocks of each encoder and decoder that are not shared.
        norm: "none" (COCOResGen2, the authors' day and night) or "instance" (COCOResGen) after the layers that change
            the size.

    Source: Liu, Breuel, Kautz, "Unsupervised Image-to-Image Translation Networks", NIPS 2017; mingyuliutw/UNIT, branch
    version_02 @ 96def6b, src/trainers/cocogan_nets.py.
    """

    encode_A: nn.Sequential  # noqa: N815 - the official names
    encode_B: nn.Sequential  # noqa: N815
    decode_A: nn.Sequential  # noqa: N815
    decode_B: nn.Sequential  # noqa: N815
    stride = 2**LEVELS
    # Instance normalisation takes no single value.
    least_size = 2 * stride

    def __init__(self, width: int = 64, blocks: int = 3, norm: str = "none") -> None:
        super().__init__()
        self.draws = SampleDraws()
        wide = width << LEVELS
        for domain in "AB":
            down = [Block(nn.Conv2d(3, width, 7, padding=3), nn.LeakyReLU(inplace=True))]
            up: list[nn.Module] = []
            for level in range(LEVELS):
                fine, coarse = width << level, width << (level + 1)
                down.append(Block(nn.Conv2d(fine, coarse, 3, 2, 1), *_after(norm, coarse)))
                transposed = nn.ConvTranspose2d(coarse, fine, 3, 2, 1, output_padding=1)
                up.insert(0, Block(transposed, *_after(norm, fine)))
            residual = [_Residual(wide, self.draws) for _ in range(2 * blocks)]
            setattr(self, f"encode_{domain}", nn.Sequential(*down, *residual[:blocks]))
            last = nn.ConvTranspose2d(width, 3, 1)
            setattr(self, f"decode_{domain}", nn.Sequential(*residual[blocks:], *up, last, nn.Tanh()))
        self.enc_shared = nn.Sequential(_Residual(wide, self.draws))
        self.dec_shared = nn.Sequential(_Residual(wide, self.draws))

    def encode(self, picture: Tensor, domain: str) -> Tensor:
        """(N, 3, H, W) in [-1, 1] of domain "A" or "B" to its code (N, C, H / 4, W / 4), noisy while training."""
        return self.code(getattr(self, f"encode_{domain}")(picture))

    def code(self, features: Tensor) -> Tensor:
        """What the encoders' own layers gave, through the shared ones."""
        mean = self.enc_shared(features)
        return mean + self.draws.normal(mean) if self.training else mean

    def decode(self, code: Tensor, domain: str) -> Tensor:
        """A code to a picture of domain "A" or "B", in [-1, 1]."""
        return getattr(self, f"decode_{domain}")(self.dec_shared(code))

    def forward(self, low: Tensor) -> Tensor:
        """Translate from low to normal light, (N, 3, H, W) in [-1, 1] to the same; H and W multiples of 4."""
        return self.decode(self.encode(low, "A"), "B")


def _after(norm: str, channels: int) -> list[nn.Module]:
    if norm == "instance":
        return [InstanceNorm2d(channels), nn.ReLU(inplace=True)]
    return [nn.LeakyReLU(inplace=True)]


@MODELS.register_module()
class UNITDiscriminators(nn.Module):
    """For each domain three networks that see the picture at full, half and quarter size.

    State-dict keys are the official ones. The official code takes as many columns of a half-size picture as it has
    rows, so the right of wide pictures is never seen; here all columns are.

    Args:
        width: Channels of the first layer.

    Source: mingyuliutw/UNIT, branch version_02 @ 96def6b, src/trainers/cocogan_nets.py, COCOMsDis.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        for domain in "AB":
            for scale in (1, 2, 4):
                channels = [3, *(width << level for level in range(4))]
                layers = [
                    Block(nn.Conv2d(inputs, outputs, 3, 2, 1), nn.LeakyReLU(inplace=True))
                    for inputs, outputs in itertools.pairwise(channels)
                ]
                setattr(self, f"model_{scale}_{domain}", nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 1)))

    def forward(self, picture: Tensor, domain: str) -> list[Tensor]:
        """Score (N, 3, H, W) in [-1, 1]: logits (N, 1, h, w) of each scale."""
        scores = []
        for scale in (1, 2, 4):
            picture = picture if scale == 1 else halved(picture)
            scores.append(getattr(self, f"model_{scale}_{domain}")(picture))
        return scores


def halved(picture: Tensor) -> Tensor:
    """Every second pixel after a 3x3 binomial filter that repeats the border."""
    line = picture.new_tensor([0.25, 0.5, 0.25])
    kernel = (line[:, None] * line).expand(picture.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(picture, (1, 1, 1, 1), mode="replicate"), kernel, stride=2, groups=picture.shape[1])
