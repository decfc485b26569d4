"""The residual generator on pictures whose full-size feature maps do not fit in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

from duskbench.pipeline.networks.resnet import ResnetGenerator

LEAST_ROWS = 8
Normalisation = tuple[Tensor, Tensor]


def translate_in_bands(network: ResnetGenerator, batch: Tensor, rows: int) -> Tensor:
    """Do what the network does, with full-size feature maps that exist only a band of rows at a time.

    Instance normalisation needs statistics of the whole picture, so the bands are computed twice: once for the
    statistics, once for the result. This concerns the first and the last layers, which are 4 % of the arithmetic. The
    maps at half size and below are held whole: about 330 bytes for each pixel of the picture at width 64.

    Args:
        network: In evaluation, without gradients.
        batch: (N, in_channels, H, W) float; H and W multiples of 4 and at least 8.
        rows: Height of a band, in rows of the picture; at least 8 are taken.

    Returns:
        What `network(batch)` returns, to rounding.
    """
    layers, after = network.model, 10 + network.blocks
    rows = max(rows // 2 * 2, LEAST_ROWS)
    half = _shrink(network, batch, rows)
    for layer in layers[5 : after + 3]:
        half = layer(half)
    return _enlarge(network, half, rows)


def _shrink(network: ResnetGenerator, batch: Tensor, rows: int) -> Tensor:
    """The first layer and the convolution to half the size."""
    first, halve = network.model[1], network.model[4]
    assert isinstance(halve, nn.Conv2d)  # noqa: S101 - for the type checker
    padded = F.pad(batch, (3, 3, 3, 3), mode="reflect")

    def features(start: int, stop: int) -> Tensor:
        return first(padded[:, :, start : stop + 6])

    normalise = _normalisation(features, batch.shape[2], rows)
    # Row i of the half size sees the rows 2 i - 1 to 2 i + 1; above the first there is a row of zeros.
    pieces = []
    for start, stop in _bands(batch.shape[2], rows):
        seen = _normalised(features(max(start - 1, 0), stop), normalise)
        seen = F.pad(seen, (1, 1, 0 if start else 1, 0))
        pieces.append(F.conv2d(seen, halve.weight, halve.bias, stride=2))
    return torch.cat(pieces, dim=2)


def _enlarge(network: ResnetGenerator, half: Tensor, rows: int) -> Tensor:
    """The transposed convolution to full size and the last layer."""
    after = 10 + network.blocks
    double, last, end = network.model[after + 3], network.model[after + 7], network.model[after + 8 :]
    height = 2 * half.shape[2]

    def features(start: int, stop: int) -> Tensor:
        # Rows 2 i and 2 i + 1 of the full size see the rows i and i + 1.
        above, below = start // 2, -(-stop // 2)
        rows_seen = double(half[:, :, above : below + 1])
        return rows_seen[:, :, start - 2 * above : stop - 2 * above]

    normalise = _normalisation(features, height, rows)
    pieces = []
    for start, stop in _bands(height, rows):
        top, bottom = max(3 - start, 0), max(stop + 3 - height, 0)
        seen = _normalised(features(start - 3 + top, stop + 3 - bottom), normalise)
        pieces.append(end(last(F.pad(seen, (3, 3, top, bottom), mode="reflect"))))
    return torch.cat(pieces, dim=2)


def _bands(height: int, rows: int) -> Iterator[tuple[int, int]]:
    """Cut 0 to `height` into bands of about `rows`, each even and of at least half as many."""
    count = max(round(height / rows), 1)
    edges = [round(height * i / count / 2) * 2 for i in range(count)] + [height]
    yield from itertools.pairwise(edges)


def _normalisation(features: Callable[[int, int], Tensor], height: int, rows: int) -> Normalisation:
    """Mean and reciprocal deviation of each channel of each picture over all bands, (N, C, 1, 1) each."""
    pixels, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for start, stop in _bands(height, rows):
        band = features(start, stop)
        count = band.shape[2] * band.shape[3]
        band_variance, band_mean = (
            value.double() for value in torch.var_mean(band, (2, 3), correction=0, keepdim=True)
        )
        # Chan et al. 1983: sums of squares around the mean of each part join without cancellation.
        step = band_mean - mean.to(band_mean)
        squares = squares.to(step) + band_variance * count + step.square() * (pixels * count / (pixels + count))
        pixels += count
        mean = mean.to(step) + step * (count / pixels)
    return mean.float(), torch.rsqrt(squares / pixels + 1e-5).float()


def _normalised(features: Tensor, normalisation: Normalisation) -> Tensor:
    mean, scale = normalisation
    return features.sub_(mean).mul_(scale).relu_()
