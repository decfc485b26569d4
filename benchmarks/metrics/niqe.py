"""NIQE, the naturalness of an image without a reference; lower is better.

Follows the official release: grey by MATLAB's `rgb2gray` and rounded to 8 bits, 96x96 blocks, two scales, features of
asymmetric generalised Gaussians, distance to the release's pristine model. Arithmetic is float64 throughout.

Source: Mittal, Soundararajan and Bovik, "Making a completely blind image quality analyzer", IEEE Signal Processing
Letters 2013, and the release's `computequality.m`, `computefeature.m`, `estimateaggdparam.m`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from duskbench.benchmarks.metrics.base import Value
from duskbench.benchmarks.metrics.brisque import GREY, HALVING, gaussian
from duskbench.benchmarks.protocol import NiqeLuma as Luma
from duskbench.data_tools.errors import ConfigError, DataError

BLOCK = 96

# Weights of R, G, B and an offset, in grey levels of 0..255.
_LUMA: dict[str, tuple[float, float, float, float]] = {
    "rgb2gray": (*GREY, 0.0),
    "ycbcr_y": (65.481 / 255, 128.553 / 255, 24.966 / 255, 16.0),  # MATLAB rgb2ycbcr, first channel
}

# Blocks worked on at a time: on a CPU what the cache holds, on a GPU what fills it.
_BLOCKS_AT_A_TIME = {"cpu": 6, "cuda": 512}

# A positive coefficient is counted as 1 and a negative one as this, so that one exact sum holds three counts of pairs.
_NEGATIVE = 65536.0


def niqe(image_rgb: np.ndarray, *, luma: Luma = "rgb2gray") -> float | None:
    """NIQE of one image, or None where it has none (`niqe_batch` says why).

    Args:
        image_rgb: (H, W, 3) uint8 RGB.
        luma: `rgb2gray` (the official release) or `ycbcr_y` (what super-resolution papers use).

    Raises:
        DataError: The array is no such image.
    """
    return niqe_batch([image_rgb], luma=luma)[0].number


def niqe_batch(
    images: Tensor | Sequence[np.ndarray | Tensor],
    device: str | torch.device | None = None,
    *,
    luma: Luma = "rgb2gray",
) -> list[Value]:
    """NIQE of each image; a score does not depend, to the last bit, on what else is in the batch.

    Memory does not grow with the number of images.

    Args:
        images: (N, 3, H, W) RGB, or a sequence, of any sizes, of (3, H, W) tensors and (H, W, 3) uint8 arrays.
            Tensors are uint8, or floating point in [0, 1] and then rounded to 8 bits first.
        device: Where to compute; default: where a tensor is, the CPU for an array.
        luma: As for `niqe`.

    Raises:
        DataError: An image of another shape or type.
        ConfigError: An unknown `luma`.
    """
    if luma not in _LUMA:
        raise ConfigError("Unknown grey rule for NIQE.", expected=" or ".join(map(repr, _LUMA)), got=repr(luma))
    moments: list[Tensor | str] = []
    with torch.no_grad():
        for image in images:
            planes = _planes(image)
            height, width = planes[0].shape
            n_blocks = (height // BLOCK) * (width // BLOCK)
            if n_blocks < 2:
                moments.append(f"{width}x{height} holds {n_blocks} whole blocks of {BLOCK}x{BLOCK}; NIQE needs two")
                continue
            moments.append(_moments(_luma([p if device is None else p.to(device) for p in planes], luma)))
        # Fetched last, so that a GPU is not waited for between images.
        return [Value(None, m) if isinstance(m, str) else _distance(m.cpu().numpy()) for m in moments]


def _planes(image: np.ndarray | Tensor) -> list[Tensor]:
    """The three colour planes (H, W), as 8-bit numbers in uint8 or floating point."""
    if isinstance(image, np.ndarray):
        good = image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
        # Copied only where torch cannot share the memory: read-only arrays, negative strides.
        channels = torch.from_numpy(np.require(image, requirements=["C", "W"])).permute(2, 0, 1) if good else None
    else:
        good = image.ndim == 3 and image.shape[0] == 3 and (image.dtype == torch.uint8 or image.is_floating_point())
        channels = image if good else None
    if channels is None:
        raise DataError(
            "Cannot compute NIQE of this.",
            expected="(H, W, 3) uint8 array, or (3, H, W) uint8 or floating-point tensor",
            got=f"{type(image).__name__} {tuple(image.shape)} {image.dtype}",
        )
    if channels.is_floating_point():
        channels = channels.double().mul(255).round_().clamp_(0, 255)
        if not bool(torch.isfinite(channels).all()):
            raise DataError("Cannot compute NIQE of this.", expected="finite numbers in [0, 1]", got="NaN or infinity")
    return list(channels)


def _luma(planes: list[Tensor], rule: str) -> Tensor:
    """Grey (H, W) float64, integers of 0..255, cropped to whole blocks."""
    height, width = planes[0].shape
    rows, columns = height // BLOCK * BLOCK, width // BLOCK * BLOCK
    *weights, offset = _LUMA[rule]
    grey = torch.empty((rows, columns), dtype=torch.float64, device=planes[0].device)
    for top in range(0, rows, _strip(grey)):
        # MATLAB rounds halves up, torch to even: hence the half and the floor.
        strip = grey[top : top + _strip(grey)].fill_(offset + 0.5)
        for plane, weight in zip(planes, weights, strict=True):
            strip.add_(plane[top : top + len(strip), :columns].double(), alpha=weight)
        strip.floor_()
    return grey


def _strip(grey: Tensor) -> int:
    """Rows worked on at a time, a multiple of four."""
    return BLOCK // 2 if grey.device.type == "cpu" else len(grey)


def _moments(grey: Tensor) -> Tensor:
    """Moments of the coefficients and their four products with neighbours: (blocks, scales, 5, moments)."""
    return torch.stack([_scale_moments(grey, BLOCK), _scale_moments(_half(grey), BLOCK // 2)], dim=1)


def _scale_moments(grey: Tensor, block: int) -> Tensor:
    rows, columns = grey.shape[0] // block, grey.shape[1] // block
    at_a_time = _BLOCKS_AT_A_TIME.get(grey.device.type, 512) * (BLOCK // block) ** 2
    wide = min(columns, at_a_time)
    tall = max(1, at_a_time // wide)
    with_margin = torch.arange(-3, len(grey) + 3, device=grey.device).clamp_(0, len(grey) - 1)
    parts = []
    for top in range(0, rows, tall):
        bottom = min(top + tall, rows)
        strip = grey[with_margin[top * block : bottom * block + 6]]
        strip = functional.pad(strip[None, None], (3, 3, 0, 0), mode="replicate")[0, 0]
        for left in range(0, columns, wide):
            right = min(left + wide, columns)
            tile = strip[:, left * block : right * block + 6]
            coefficients = _normalise(tile).view(bottom - top, block, right - left, block)
            parts.append(_block_moments(coefficients.transpose(1, 2).reshape(-1, block, block)))
    return torch.cat(parts)


def _normalise(tile: Tensor) -> Tensor:
    """Mean-subtracted, contrast-normalised coefficients (H, W) of a tile with a margin of 3 (H + 6, W + 6)."""
    both = _blur(_blur(torch.stack((tile, tile * tile)), 1), 2)
    mean = both[0]
    deviation = both[1].sub_(mean * mean).abs_().sqrt_()
    return (tile[3:-3, 3:-3] - mean).div_(deviation.add_(1))


def _blur(planes: Tensor, dim: int) -> Tensor:
    # From the middle outwards.
    middle, *outer = gaussian()[3:].tolist()
    size = planes.shape[dim] - 6
    blurred = planes.narrow(dim, 3, size) * middle
    for k, weight in enumerate(outer, start=1):
        blurred.add_(planes.narrow(dim, 3 - k, size) + planes.narrow(dim, 3 + k, size), alpha=weight)
    return blurred


def _half(grey: Tensor) -> Tensor:
    """Half size as MATLAB's `imresize(im, 0.5)`: bicubic with antialiasing, borders mirrored; exact on integers."""
    n_rows, n_columns = grey.shape
    half = torch.empty((n_rows // 2, n_columns // 2), dtype=grey.dtype, device=grey.device)
    rows = torch.arange(-3, n_rows + 3, device=grey.device)
    rows = torch.where(rows < 0, -1 - rows, torch.where(rows < n_rows, rows, 2 * n_rows - 1 - rows))
    for top in range(0, n_rows, _strip(grey)):
        strip = _decimate(grey[rows[top : top + _strip(grey) + 6]], 0)
        strip = torch.cat([strip[:, :3].flip(1), strip, strip[:, -3:].flip(1)], dim=1)
        half[top // 2 : top // 2 + len(strip)] = _decimate(strip, 1)
    return half


def _decimate(mirrored: Tensor, dim: int) -> Tensor:
    """Every second of the filtered samples along `dim`; of the samples given, three at either end are margin."""
    size = mirrored.shape[dim] // 2 - 3
    phases = (mirrored[::2], mirrored[1::2]) if dim == 0 else (mirrored[:, ::2], mirrored[:, 1::2])

    def at(offset: int) -> Tensor:
        return phases[offset % 2].narrow(dim, offset // 2, size)

    # Sample 2 i stands at 2 i + 3, and the filter's middle half-way to the next.
    middle, *outer = HALVING[4:].tolist()
    filtered = (at(3) + at(4)).mul_(middle)
    for k, weight in enumerate(outer, start=1):
        filtered.add_(at(3 - k) + at(4 + k), alpha=weight)
    return filtered


def _block_moments(blocks: Tensor) -> Tensor:
    """Moments of (K, B, B) coefficients and of their products with four neighbours, circular within a block.

    The moments of a product x y, namely |x y|, (x y)^2, x y |x y| and the counts of its signs, are products of such
    functions of x and of y, so no product image is made: each moment is one scalar product.

    Returns:
        (K, 5, 4): the coefficients themselves, then the products with `computefeature.m`'s shifts (0,1) (1,0) (1,1)
        (1,-1); of each the sums of |x|, x^2 and x |x|, and the coded counts of signs.
    """
    n, side, _ = blocks.shape
    # One row more, a copy of the first: a shift by a row is then an offset by `side`.
    maps = blocks.new_empty((4, n, side + 1, side))
    size, square, signed, sign = maps
    torch.cat([blocks, blocks[:, :1]], dim=1, out=sign)
    torch.abs(sign, out=size)
    torch.mul(sign, sign, out=square)
    torch.mul(sign, size, out=signed)
    nonzero = sign.sign_().abs()
    sign.mul_((1 - _NEGATIVE) / 2).add_(nonzero, alpha=(1 + _NEGATIVE) / 2)
    rolled = torch.empty_like(maps)
    rolled[..., 1:] = maps[..., :-1]
    rolled[..., 0] = maps[..., -1]

    here, below = maps.flatten(2)[..., : side * side], maps.flatten(2)[..., side:]
    left, left_below = rolled.flatten(2)[..., : side * side], rolled.flatten(2)[..., side:]
    moments = blocks.new_empty((5, 4, n))
    torch.sum(here, dim=-1, out=moments[0])
    product = torch.empty((4, n, side * side), dtype=blocks.dtype, device=blocks.device)
    for shift, (one, other) in enumerate(((here, left), (here, below), (below, left), (here, left_below)), start=1):
        torch.mul(one, other, out=product)
        torch.sum(product, dim=-1, out=moments[shift])
    return moments.permute(2, 0, 1)


@cache
def _gaussian_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Shapes 0.2, 0.201, ... 10; midpoints of their moment ratios; two ratios of gamma functions."""
    shapes = 0.2 + 0.001 * np.arange(9801)
    one, two, three = (np.array([math.gamma(k / a) for a in shapes]) for k in (1, 2, 3))
    ratio = two**2 / (one * three)
    return shapes, (ratio[1:] + ratio[:-1]) / 2, np.sqrt(one / three), two / one


def _features(moments: np.ndarray, side: int) -> np.ndarray:
    """The 18 features of each block, (K, 18), from its moments (K, 5, 4); NaN where a block has none.

    Source: `estimateaggdparam.m`, `computefeature.m`.
    """
    size, square, signed, code = np.moveaxis(moments, -1, 0)
    # Coded counts: pairs of two positives + 65536 x pairs of unlike signs + 65536^2 x pairs of two negatives.
    both_negative, rest = np.divmod(code, _NEGATIVE**2)
    unlike, both_positive = np.divmod(rest, _NEGATIVE)
    negative = unlike
    positive = both_positive + both_negative
    # The coefficients themselves are no pairs: their code is positives + 65536 x negatives, which reads the same.
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.sqrt(np.where(negative > 0, np.maximum(square - signed, 0) / 2 / negative, np.nan))
        right = np.sqrt(np.where(positive > 0, np.maximum(square + signed, 0) / 2 / positive, np.nan))
        skew = left / right
        flatness = (size / side**2) ** 2 / (square / side**2)
        flatness = flatness * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shapes, midpoints, spread, centre = _gaussian_tables()
    # The nearest ratio of the grid; MATLAB's `min` over nothing but NaN picks the first.
    nearest = np.where(np.isnan(flatness), 0, np.searchsorted(midpoints, flatness))
    alpha, left, right = shapes[nearest], left * spread[nearest], right * spread[nearest]
    mean = (right - left) * centre[nearest]
    own = np.stack([alpha[:, 0], (left[:, 0] + right[:, 0]) / 2], axis=1)
    pairs = np.stack([alpha, mean, left, right], axis=2)[:, 1:].reshape(len(own), 16)
    return np.concatenate([own, pairs], axis=1)


@cache
def _pristine_model() -> tuple[np.ndarray, np.ndarray]:
    """Mean (36,) and covariance (36, 36) of the official release's `modelparameters.mat`; see NOTICE."""
    with np.load(Path(__file__).with_name("niqe_model.npz"), allow_pickle=False) as model:
        return model["mean"], model["covariance"]


def _distance(moments: np.ndarray) -> Value:
    """Distance of an image's features to the pristine model, from its moments (blocks, scales, 5, 4)."""
    features = np.concatenate([_features(moments[:, 0], BLOCK), _features(moments[:, 1], BLOCK // 2)], axis=1)
    complete = features[~np.isnan(features).any(axis=1)]
    if len(complete) < 2:
        return Value(None, f"only {len(complete)} of {len(features)} blocks have texture; NIQE needs two")
    mean, covariance = _pristine_model()
    # As MATLAB: the mean is over what each feature has, the covariance over complete blocks.
    difference = mean - np.nanmean(features, axis=0)
    inverse = np.linalg.pinv((covariance + np.cov(complete, rowvar=False)) / 2)
    squared = float(difference @ inverse @ difference)
    return Value(math.sqrt(squared)) if squared >= 0 else Value(None, "the covariance of its features is not positive")
