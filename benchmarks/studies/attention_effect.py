"""What the attention of trained weights does: how far it tells places apart, and what the picture owes to it.

    python -m duskbench.benchmarks.studies.attention_effect PHOTO... [--enhancer "guided(weights='mine.safetensors')"]

A photo is enhanced three times: as it is, with x_a replaced by its mean, and with U(phi(x)) replaced by its mean, so
that what is left of x_a is 1 - x_gray. Weights that do not heed the attention make the same picture each time. Medians
over the photos are printed, in grey levels of 255.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from duskbench.data_tools.images import read_image
from duskbench.pipeline import load_enhancer
from duskbench.pipeline.apply.attention_figure import with_attention
from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.networks.attention import AttentionMaps, FeatureGuidedAttention


class AttentionEffect(NamedTuple):
    """Of one image, in grey levels of 255.

    Attributes:
        spread: Between the 2nd and the 98th percentile of x_a.
        enhancing: Mean absolute change of a pixel by enhancing.
        attention: The same where x_a is replaced by its mean, from the enhanced picture.
        features: The same where U(phi(x)) is; 0 where there is none.
    """

    spread: float
    enhancing: float
    attention: float
    features: float


def attention_effect(enhancer: Enhancer, image_rgb: np.ndarray) -> AttentionEffect:
    """Measure what the attention does to one image.

    Args:
        enhancer: One whose network is an `AttentionGuided`: `load_enhancer("guided")`.
        image_rgb: (H, W, 3) uint8.

    Raises:
        ConfigError: The enhancer has no attention.
    """
    _, network = with_attention(enhancer)
    maps: list[AttentionMaps] = []

    def without_features(each: AttentionMaps) -> AttentionMaps:
        flat = None if each.lifted is None else _flat(each.lifted)
        return each._replace(lifted=flat, attention=network.combine(each.grey, flat))

    guided = _enhance(enhancer, network, image_rgb, maps.append)
    unguided = _enhance(enhancer, network, image_rgb, lambda each: each._replace(attention=_flat(each.attention)))
    by_grey = _enhance(enhancer, network, image_rgb, without_features)
    changes = (float(np.abs(guided - other).mean()) for other in (image_rgb, unguided, by_grey))
    return AttentionEffect(spread(maps[0].attention), *changes)


def spread(values: torch.Tensor) -> float:
    """Grey levels of 255 between the 2nd and the 98th percentile of a map in [0, 1]."""
    low, high = np.quantile(values.cpu().numpy(), (0.02, 0.98))
    return 255 * float(high - low)


def _enhance(
    enhancer: Enhancer,
    network: FeatureGuidedAttention,
    image_rgb: np.ndarray,
    change: Callable[[AttentionMaps], AttentionMaps | None],
) -> np.ndarray:
    # A hook that returns None changes nothing.
    hook = network.register_forward_hook(lambda _module, _inputs, maps: change(maps))
    try:
        return enhancer(image_rgb).astype(float)
    finally:
        hook.remove()


def _flat(values: torch.Tensor) -> torch.Tensor:
    return values.mean().expand_as(values)


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+", metavar="PHOTO")
    parser.add_argument("--enhancer", default="guided", help="one with an attention")
    arguments = parser.parse_args()
    enhancer = load_enhancer(arguments.enhancer, isolate=False)
    effects = np.array([attention_effect(enhancer, read_image(photo)) for photo in arguments.photos])
    span, enhancing, attention, features = np.median(effects, axis=0)
    print(f"{len(effects)} photos, medians, grey levels of 255")
    print(f"x_a, 2nd to 98th percentile            {span:6.1f}, least {effects[:, 0].min():.1f}")
    print(f"enhancing moves a pixel by             {enhancing:6.1f}")
    print(f"  of which, x_a replaced by its mean   {attention:6.1f}")
    print(f"  of which, U replaced by its mean     {features:6.1f}")


if __name__ == "__main__":
    main()
