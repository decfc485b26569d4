"""The picture of the attention: what the generator is guided by, beside what it makes (figure 3 of the paper)."""

from __future__ import annotations

import numpy as np
import torch

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.apply.contact_sheet import captioned
from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.enhancers.torch_base import TorchEnhancer
from duskbench.pipeline.networks.attention import FeatureGuidedAttention
from duskbench.pipeline.networks.guided import AttentionGuided


def attention_figure(enhancer: Enhancer, image_rgb: np.ndarray) -> np.ndarray:
    """Draw x, x_gray, U(phi(x)), x_a and the result side by side.

    Maps are grey, black 0 and white 1, without stretching, so that figures of different images compare.

    Args:
        enhancer: One whose network is an `AttentionGuided`: `load_enhancer("guided")`.
        image_rgb: (H, W, 3) uint8.

    Returns:
        (H + caption, panels * W, 3) uint8 RGB; without U(phi(x)) where the attention has no features.

    Raises:
        ConfigError: The enhancer has no attention.
    """
    enhancer, attention = with_attention(enhancer)
    batch, (rows, columns) = enhancer.batch_of(image_rgb)
    with torch.inference_mode():
        maps = attention(batch)
    shown = {"x_gray": maps.grey, "U(phi(x))": maps.lifted, "x_a": maps.attention}
    grey = {name: _grey(values[0, 0, rows, columns]) for name, values in shown.items() if values is not None}
    panels = {"x": image_rgb, **grey, "result": enhancer(image_rgb)}
    return np.concatenate([captioned(name, panel) for name, panel in panels.items()], axis=1)


def with_attention(enhancer: Enhancer) -> tuple[TorchEnhancer, FeatureGuidedAttention]:
    """An enhancer and what guides it.

    Raises:
        ConfigError: Nothing does.
    """
    network = getattr(enhancer, "network", None)
    if not (isinstance(enhancer, TorchEnhancer) and isinstance(network, AttentionGuided) and network.attention):
        raise ConfigError(
            "The enhancer has no attention.",
            where=enhancer.name,
            expected="guided, or guided(weights=...) with attention",
            got=type(network).__name__,
        )
    return enhancer, network.attention


def _grey(values: torch.Tensor) -> np.ndarray:
    pixels = values.mul(255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return np.repeat(pixels[:, :, None], 3, axis=2)
