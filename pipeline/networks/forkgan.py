"""ForkGAN's networks: an encoder with two decoders, a discriminator of crossing scales, a classifier of codes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from mmengine.registry import MODELS
from torch import Tensor, nn

from duskbench.pipeline.networks.sample_draws import SampleDraws

ENCODER_BLOCKS, DECODER_BLOCKS = 5, 4
NOISE = 0.02
SLOPE = 0.2
DEVIATION = 0.02


class _Scope(nn.Module):
    """A convolution under the official name of its TensorFlow scope; SAME padding, no bias."""

    def __init__(self, name: str, inputs: int, outputs: int, kernel: int, stride: int = 1, same: bool = True) -> None:
        super().__init__()
        self.name, self.same = name, same
        convolution: nn.Module
        if name == "Conv2d_transpose":
            convolution = nn.ConvTranspose2d(inputs, outputs, kernel, stride, bias=False)
        else:
            convolution = nn.Conv2d(inputs, outputs, kernel, stride, bias=False)
        self.add_module(name, convolution)

    def forward(self, features: Tensor) -> Tensor:
        """Convolve, (N, C, H, W) to ceil(H / stride), or to twice the size where it is transposed."""
        layer = getattr(self, self.name)
        if isinstance(layer, nn.ConvTranspose2d):
            # SAME starts at 0 and leaves the last row and column out.
            return layer(features)[:, :, : 2 * features.shape[2], : 2 * features.shape[3]]
        return layer(pad_same(features, layer) if self.same else features)


def pad_same(features: Tensor, layer: nn.Conv2d) -> Tensor:
    """Zeros as TensorFlow's SAME has them: the larger half behind."""
    margins: list[int] = []
    for axis in (1, 0):
        size, kernel, stride = features.shape[2 + axis], layer.kernel_size[axis], layer.stride[axis]
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        margins += [total // 2, total - total // 2]
    return F.pad(features, margins)


class _Same(nn.Conv2d):
    """A convolution with SAME padding and without bias, directly under its name."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Convolve, the size stays."""
        return super().forward(pad_same(features, self))


def _norm(channels: int) -> nn.InstanceNorm2d:
    return nn.InstanceNorm2d(channels, affine=True)


@MODELS.register_module()
class ForkGenerator(nn.Module):
    """From a picture to a code, and from it to the other domain and back to its own.

    State-dict keys are the official scopes. Normalisation has a scale and an offset; no convolution has a bias.

    Args:
        width: Channels of the first layer.

    Source: Zheng, Wu, Han, Shi, "ForkGAN: Seeing into the Rainy Night", ECCV 2020; zhengziqiang/ForkGAN @ 8b0f66c,
    model.py.
    """

    stride = 4
    # Reflection needs more pixels than it adds, and instance normalisation more than one value.
    least_size = 8

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.draws = SampleDraws()
        wide = 4 * width
        self._add("g_e1_c", "g_e1_bn", _Scope("Conv", 3, width, 7, same=False), width)
        self._add("g_e2_c", "g_e2_bn", _Scope("Conv", width, 2 * width, 3, 2), 2 * width)
        self._add("g_e3_c", "g_e3_bn", _Scope("Conv", 2 * width, wide, 3, 2), wide)
        blocks = [f"g_r{i}" for i in range(1, 1 + ENCODER_BLOCKS + DECODER_BLOCKS)]
        for name in (*blocks, *(f"{block}_rec" for block in blocks[ENCODER_BLOCKS:])):
            for i in (1, 2):
                self._add(f"{name}_c{i}", f"{name}_bn{i}", _Same(wide, wide, 3), wide)
        for end in ("", "_rec"):
            self._add(f"g_d1_dc{end}", f"g_d1_bn{end}", _Scope("Conv2d_transpose", wide, 2 * width, 3, 2), 2 * width)
            self._add(f"g_d2_dc{end}", f"g_d2_bn{end}", _Scope("Conv2d_transpose", 2 * width, width, 3, 2), width)
            setattr(self, f"g_pred_c{end}", _Scope("Conv", width, 3, 7, same=False))

    def _add(self, convolution: str, norm: str, layer: nn.Module, channels: int) -> None:
        setattr(self, convolution, layer)
        setattr(self, norm, _norm(channels))

    def _layer(self, convolution: str, norm: str, features: Tensor) -> Tensor:
        return torch.relu(getattr(self, norm)(getattr(self, convolution)(features)))

    def _residual(self, name: str, features: Tensor) -> Tensor:
        inside = self._layer(f"{name}_c1", f"{name}_bn1", features)
        second, norm = getattr(self, f"{name}_c2"), getattr(self, f"{name}_bn2")
        return features + norm(second(inside))

    def encode(self, picture: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] to its code (N, 4 width, H / 4, W / 4)."""
        features = F.pad(picture, (3, 3, 3, 3), mode="reflect")
        for i in (1, 2, 3):
            features = self._layer(f"g_e{i}_c", f"g_e{i}_bn", features)
        for i in range(1, 1 + ENCODER_BLOCKS):
            features = self._residual(f"g_r{i}", features)
        return features

    def translate(self, code: Tensor) -> Tensor:
        """A code to a picture of the other domain, in [-1, 1]."""
        for i in range(1 + ENCODER_BLOCKS, 1 + ENCODER_BLOCKS + DECODER_BLOCKS):
            code = self._residual(f"g_r{i}", code)
        return self._rendered(code, "")

    def reconstruct(self, code: Tensor, noises: Sequence[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """A code to a picture of its own domain, in [-1, 1], and the noisy code it was made from.

        Args:
            code: From `encode`.
            noises: Two in the shape of the code, of deviation 1; None draws them from `draws`. They are added at test
                time too, which keeps the decoder from copying.
        """
        first, second = (self.draws.normal(code), self.draws.normal(code)) if noises is None else noises
        noisy = code + NOISE * first
        features = noisy
        for i in range(1 + ENCODER_BLOCKS, 1 + ENCODER_BLOCKS + DECODER_BLOCKS):
            features = self._residual(f"g_r{i}_rec", features)
            if i == 1 + ENCODER_BLOCKS:
                features = features + NOISE * second
        return self._rendered(features, "_rec"), noisy

    def _rendered(self, features: Tensor, end: str) -> Tensor:
        for i in (1, 2):
            features = self._layer(f"g_d{i}_dc{end}", f"g_d{i}_bn{end}", features)
        features = F.pad(features, (3, 3, 3, 3), mode="reflect")
        return torch.tanh(getattr(self, f"g_pred_c{end}")(features))

    def forward(self, picture: Tensor) -> Tensor:
        """Translate, (N, 3, H, W) in [-1, 1] to the same; H and W multiples of 4."""
        return self.translate(self.encode(picture))


@MODELS.register_module()
class ForkDiscriminator(nn.Module):
    """Scores a picture at two scales whose features change places in every stage.

    State-dict keys are the official scopes.

    Args:
        width: Channels of the first stage; 32 where the authors use two copies.

    Source: zhengziqiang/ForkGAN @ 8b0f66c, model.py. Its bicubic half is, in the TensorFlow of
    then, every second pixel.
    """

    stages = 4

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        inputs = 3
        for stage in range(self.stages):
            outputs = width << stage
            names = f"d_h{stage}_conv_scale_"
            self.add_module(f"{names}0_first_c", _Same(inputs, outputs, 4))
            self.add_module(f"{names}0_first_bn", _norm(outputs))
            for i, channels in enumerate((inputs, outputs)):
                self.add_module(f"{names}1_c_{i}", _Scope("Conv", channels, outputs, 4, 2))
                self.add_module(f"{names}1_bn_{i}", _norm(outputs))
            inputs = outputs
        for scale in (0, 1):
            self.add_module(f"d_pred_scale_{scale}", _Scope("Conv", inputs, 1, 4))

    def _layer(self, convolution: str, norm: str, features: Tensor) -> Tensor:
        return F.leaky_relu(getattr(self, norm)(getattr(self, convolution)(features)), SLOPE)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Score (N, 3, H, W) in [-1, 1]: (N, 1, H / 16, W / 16) and half of it; H and W multiples of 32."""
        large, small = picture, picture[:, :, ::2, ::2]
        for stage in range(self.stages):
            names = f"d_h{stage}_conv_scale_"
            crossed = large
            for i in (0, 1):
                crossed = self._layer(f"{names}1_c_{i}", f"{names}1_bn_{i}", crossed)
            large, small = self._layer(f"{names}0_first_c", f"{names}0_first_bn", small), crossed
        return [getattr(self, f"d_pred_scale_{scale}")(each) for scale, each in enumerate((large, small))]


@MODELS.register_module()
class ForkClassifier(nn.Module):
    """Says which domain a code is of.

    Args:
        width: Of the generator whose codes it sees.

    Source: zhengziqiang/ForkGAN @ 8b0f66c, model.py.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        channels = (4 * width, 2 * width, width, width)
        for i in (1, 2, 3):
            self.add_module(f"d_h{i}_conv", _Scope("Conv", channels[i - 1], channels[i], 4, 2))
            self.add_module(f"d_bn{i}", _norm(channels[i]))
        self.d_h3_pred = _Scope("Conv", channels[-1], 2, 4)

    def forward(self, code: Tensor) -> Tensor:
        """Two logits for the whole batch, shape (1, 1, 1, 2): low light, normal light."""
        for i in (1, 2, 3):
            code = F.leaky_relu(getattr(self, f"d_bn{i}")(getattr(self, f"d_h{i}_conv")(code)), SLOPE)
        return self.d_h3_pred(code).mean((0, 2, 3)).view(1, 1, 1, 2)


def initialise_forkgan(network: nn.Module) -> None:
    """Draw convolution weights from N(0, 0.02) and scales from N(1, 0.02); offsets become 0.

    Source: zhengziqiang/ForkGAN @ 8b0f66c, ops.py.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.trunc_normal_(layer.weight, 0.0, DEVIATION, -2 * DEVIATION, 2 * DEVIATION)
        elif isinstance(layer, nn.InstanceNorm2d):
            nn.init.normal_(layer.weight, 1.0, DEVIATION)
            nn.init.zeros_(layer.bias)
