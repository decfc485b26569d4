"""Losses of the adversarial methods, as pure functions of score maps and feature maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as torch_dist
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

Scores = Tensor | Sequence[Tensor]
EPSILON = 1e-5
# Side of the regions whose colour is compared, and what is added to it.
COLOUR_REGION, BLACK_LEVEL = 8, 0.01


def lsgan_discriminator_loss(real: Scores, fake: Scores) -> Tensor:
    """Least squares, real to 1 and fake to 0: the sum over scales of ((real - 1)^2 + fake^2) / 2, means over a map.

    Args:
        real: Scores of real pictures, one tensor of any shape or one for each scale.
        fake: Scores of generated pictures, as many.

    Returns:
        Scalar.

    Raises:
        ValueError: There are more scales of one than of the other.

    Source: Mao et al. 2017, eq. 2 with (a, b) = (0, 1); the paper, eq. 1 and what eq. 2 means. The half is that of
    pix2pixHD, CycleGAN and EnlightenGAN.
    """
    pairs = zip(_scales(real), _scales(fake), strict=True)
    return torch.stack([(_to(1, each_real) + _to(0, each_fake)) / 2 for each_real, each_fake in pairs]).sum()


def lsgan_generator_loss(fake: Scores) -> Tensor:
    """Least squares, fake to 1: the sum over scales of (fake - 1)^2, mean over a map.

    Args:
        fake: Scores of generated pictures, one tensor of any shape or one for each scale.

    Returns:
        Scalar.

    Source: Mao et al. 2017, eq. 2 with c = 1; the paper, eq. 1.
    """
    return torch.stack([_to(1, each) for each in _scales(fake)]).sum()


def relativistic_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Least squares on how much more real than the average fake: real to 1, fake (against the average real) to 0.

    Args:
        real: Scores of real pictures, any shape.
        fake: Scores of generated pictures, any shape. Averages are over the batches of all processes.

    Returns:
        Scalar.

    Source: Jiang et al. 2021, eq. 3 (EnlightenGAN); VITA-Group/EnlightenGAN, models/single_model.py,
    backward_D_basic with use_ragan, which halves the sum.
    """
    return (_to(1, real - _global_mean(fake)) + _to(0, fake - _global_mean(real))) / 2


def relativistic_generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The opposite of `relativistic_discriminator_loss`: real to 0, fake to 1.

    Args:
        real: Scores of real pictures, any shape.
        fake: Scores of generated pictures, any shape. Averages are over the batches of all processes.

    Returns:
        Scalar.

    Source: Jiang et al. 2021, eq. 4 (EnlightenGAN); VITA-Group/EnlightenGAN, models/single_model.py, backward_G.
    """
    return (_to(0, real - _global_mean(fake)) + _to(1, fake - _global_mean(real))) / 2


def normalised_feature_distance(features: Tensor, reference: Tensor) -> Tensor:
    """Mean squared difference of feature maps, each channel of each sample brought to mean 0 and variance 1.

    Args:
        features: (N, C, H, W) float.
        reference: The same shape. A map of one pixel or a constant one counts as 0 everywhere.

    Returns:
        Scalar.

    Source: Jiang et al. 2021, eq. 5 and section III-B (EnlightenGAN's self feature preserving loss);
    VITA-Group/EnlightenGAN, models/networks.py, PerceptualLoss.
    """
    return (_normalised(features) - _normalised(reference)).square().mean()


def chromaticity_loss(enhanced: Tensor, low: Tensor) -> Tensor:
    """Penalise that regions of 8x8 pixels change their colour, whatever happens to their brightness.

    What a region's colour is are the shares that red, green and blue have of their sum, each lifted by 0.01 before, so
    that black counts as grey. Means over regions keep a sensor's noise out of it.

    Args:
        enhanced: (N, 3, H, W) float, RGB in [0, 1]; no side below 8. What lies below 0 counts as 0.
        low: Its input, the same shape.

    Returns:
        Mean over regions and colours of the squared changes; a scalar.

    Source: the colour loss of Wang et al. 2019 (DeepUPE), shares in place of its angle, which has no gradient at 0
    and says nothing where it is black; the constants are ours.
    """
    return (_chromaticity(enhanced) - _chromaticity(low)).square().mean()


def cross_entropy_to(target: float, scores: Scores) -> Tensor:
    """Binary cross-entropy of logits against one target: the sum over scales, means over a map.

    Args:
        target: 0 for fake, 1 for real; 0.5 for what should not be told apart.
        scores: Logits, one tensor of any shape or one for each scale.

    Returns:
        Scalar.

    Source: Goodfellow et al. 2014, in the form that does not saturate.
    """
    losses = [
        F.binary_cross_entropy_with_logits(each.float(), torch.full_like(each, target, dtype=torch.float32))
        for each in _scales(scores)
    ]
    return torch.stack(losses).sum()


def squared_mean(code: Tensor) -> Tensor:
    """The divergence of a code of variance 1 from the normal distribution, as UNIT and DRIT have it: without the half.

    Args:
        code: Any shape.

    Returns:
        Scalar, the mean of the squares.

    Source: mingyuliutw/UNIT, compute_kl; HsinYingLee/DRIT, _l2_regularize.
    """
    return code.float().square().mean()


def _chromaticity(picture: Tensor) -> Tensor:
    regions = F.avg_pool2d(picture.float(), COLOUR_REGION).clamp(min=0) + BLACK_LEVEL
    return regions / regions.sum(1, keepdim=True)


def _scales(scores: Scores) -> Sequence[Tensor]:
    return [scores] if isinstance(scores, Tensor) else scores


def _to(target: float, scores: Tensor) -> Tensor:
    # Half precision would round squares of small differences away.
    return (scores.float() - target).square().mean()


def _global_mean(scores: Tensor) -> Tensor:
    """Mean over the batches of all processes, equally large; the gradient goes back to all of them."""
    mean = scores.float().mean()
    if torch_dist.is_initialized() and torch_dist.get_world_size() > 1:
        from torch.distributed.nn.functional import all_reduce

        return all_reduce(mean) / torch_dist.get_world_size()
    return mean


def _normalised(features: Tensor) -> Tensor:
    # torch's instance_norm refuses maps of one pixel, which small patches leave after four poolings.
    features = features.float()
    variance, mean = torch.var_mean(features, (2, 3), correction=0, keepdim=True)
    return (features - mean) * torch.rsqrt(variance + EPSILON)
