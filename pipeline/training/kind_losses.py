"""KinD's losses, as pure functions of pictures, reflectances and illuminations."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

# Rec. 601, as the authors' gradient has it.
GREY = (0.2989, 0.5870, 0.1140)
SSIM_WINDOW, SSIM_SIGMA = 11, 1.5
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2
EDGE_FLOOR = 0.01


def grey(picture: Tensor) -> Tensor:
    """(N, 3, H, W) RGB to (N, 1, H, W)."""
    return (picture * picture.new_tensor(GREY).view(3, 1, 1)).sum(1, keepdim=True)


def gradients(values: Tensor) -> tuple[Tensor, Tensor]:
    """Absolute differences along x and y, each brought to [0, 1] by the extremes of the whole batch.

    Args:
        values: (N, 1, H, W). Zeros follow the last row and column, and both differences are taken at the pixel below
            and to the right, as the 2x2 kernels of the authors have it.

    Returns:
        Two of the same shape.

    Source: zhangyhuaee/KinD @ b7d7fcc, utils.py, gradient.
    """
    padded = F.pad(values, (0, 1, 0, 1))
    corner = padded[:, :, 1:, 1:]
    along_x, along_y = (corner - padded[:, :, 1:, :-1]).abs(), (corner - padded[:, :, :-1, 1:]).abs()
    return _normalised(along_x), _normalised(along_y)


def _normalised(values: Tensor) -> Tensor:
    low = values.min()
    return (values - low) / (values.max() - low + 1e-4)


def gradient_loss(result: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of the gradients of two (N, 1, H, W)."""
    (x, y), (target_x, target_y) = gradients(result), gradients(target)
    return (x - target_x).square().mean() + (y - target_y).square().mean()


def mutual_consistency_loss(low: Tensor, normal: Tensor) -> Tensor:
    """Edges of two illuminations (N, 1, H, W) are in both, or weak; scalar.

    Source: Zhang, Zhang, Guo 2019, section 3.2, with c = 10.
    """
    losses = []
    for one, other in zip(gradients(low), gradients(normal), strict=True):
        both = one + other
        losses.append((both * torch.exp(-10 * both)).mean())
    return losses[0] + losses[1]


def smoothness_loss(illumination: Tensor, picture: Tensor) -> Tensor:
    """Edges of an illumination (N, 1, H, W) are where those of its picture (N, 3, H, W) are; scalar.

    Source: Zhang, Zhang, Guo 2019, section 3.2; zhangyhuaee/KinD, decomposition_net_train.py.
    """
    pairs = zip(gradients(illumination), gradients(grey(picture)), strict=True)
    x, y = ((edge / of_picture.clamp(min=EDGE_FLOOR)).abs().mean() for edge, of_picture in pairs)
    return x + y


def ssim(result: Tensor, target: Tensor) -> Tensor:
    """Structural similarity of two (N, C, H, W) in [0, 1], the mean over channels and all whole windows; scalar.

    Source: Wang et al. 2004, Gaussian windows of 11x11 pixels.
    """
    channels = result.shape[1]
    places = torch.arange(SSIM_WINDOW, device=result.device, dtype=result.dtype) - SSIM_WINDOW // 2
    line = torch.exp(-0.5 * (places / SSIM_SIGMA) ** 2)
    line = line / line.sum()
    window = (line[:, None] * line).expand(channels, 1, -1, -1)

    def mean(values: Tensor) -> Tensor:
        return F.conv2d(values, window, groups=channels)

    mean_r, mean_t = mean(result), mean(target)
    variances = mean(result * result) - mean_r**2 + mean(target * target) - mean_t**2
    covariance = mean(result * target) - mean_r * mean_t
    luminance = (2 * mean_r * mean_t + SSIM_C1) / (mean_r**2 + mean_t**2 + SSIM_C1)
    return (luminance * (2 * covariance + SSIM_C2) / (variances + SSIM_C2)).mean()
