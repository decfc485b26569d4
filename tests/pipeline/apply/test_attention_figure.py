"""The figure of the attention shows the maps as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline import load_enhancer
from duskbench.pipeline.apply.attention_figure import attention_figure
from duskbench.pipeline.apply.contact_sheet import CAPTION_HEIGHT
from duskbench.pipeline.networks.attention import FeatureGuidedAttention, luma

GUIDED = "guided"


def test_panels_are_the_maps(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 120, (48, 64, 3)).astype(np.uint8)
    enhancer = load_enhancer(GUIDED)
    figure = attention_figure(enhancer, image)
    assert figure.shape == (48 + CAPTION_HEIGHT, 5 * 64, 3)
    panels = [figure[CAPTION_HEIGHT:, i * 64 : (i + 1) * 64] for i in range(5)]
    # With the margin that the network is given.
    padded = np.pad(image, ((16, 16), (16, 16), (0, 0)), mode="reflect")
    batch = torch.from_numpy(padded).permute(2, 0, 1)[None] / 255
    attention = enhancer.network.attention  # type: ignore[attr-defined]
    assert isinstance(attention, FeatureGuidedAttention)
    assert np.array_equal(panels[0], image)
    for panel, values in ((panels[1], luma(batch)), (panels[3], attention(batch).attention)):
        assert np.abs(panel[:, :, 0] - 255 * values[0, 0, 16:-16, 16:-16].numpy()).max() <= 0.51
    assert np.array_equal(panels[4], enhancer(image))


def test_maps_are_those_of_the_padded_picture() -> None:
    image = np.random.default_rng(1).integers(0, 120, (41, 57, 3)).astype(np.uint8)
    enhancer = load_enhancer(GUIDED)
    figure = attention_figure(enhancer, image)
    assert figure.shape == (41 + CAPTION_HEIGHT, 5 * 57, 3)
    # 80 x 96 with the margin, the smaller half of what is missing before the picture.
    padded = np.pad(image, ((19, 20), (19, 20), (0, 0)), mode="reflect")
    batch = torch.from_numpy(padded).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        attention = enhancer.network.attention(batch).attention[0, 0, 19:60, 19:76]  # type: ignore[attr-defined]
    panel = figure[CAPTION_HEIGHT:, 3 * 57 : 4 * 57, 0]
    assert np.abs(panel - 255 * attention.numpy()).max() <= 0.51


def test_only_what_has_an_attention_is_drawn() -> None:
    with pytest.raises(ConfigError, match="has no attention"):
        attention_figure(load_enhancer("clahe"), np.zeros((8, 8, 3), np.uint8))
