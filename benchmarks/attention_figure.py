"""The picture of the attention: what the generator is guided by, beside what it makes (figure 3 of the paper)."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.contact_sheet import captioned
from data_tools.errors import ConfigError
from pipeline.enhancers.base import Enhancer
from pipeline.networks.guided import AttentionGuided


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
    network = getattr(enhancer, "network", None)
    if not isinstance(network, AttentionGuided) or network.attention is None:
        raise ConfigError(
            "The enhancer has no attention to draw.",
            where=enhancer.name,
            expected="guided, or guided(weights=...) with attention",
            got=type(network).__name__,
        )
    device = next(network.parameters()).device
    batch = torch.from_numpy(np.ascontiguousarray(image_rgb)).to(device).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        maps = network.attention(batch)
    panels = {"x": image_rgb, "x_gray": _grey(maps.grey)}
    if maps.lifted is not None:
        panels["U(phi(x))"] = _grey(maps.lifted)
    panels |= {"x_a": _grey(maps.attention), "result": enhancer(image_rgb)}
    return np.concatenate([captioned(name, panel) for name, panel in panels.items()], axis=1)


def _grey(values: torch.Tensor) -> np.ndarray:
    pixels = values[0, 0].mul(255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return np.repeat(pixels[:, :, None], 3, axis=2)
