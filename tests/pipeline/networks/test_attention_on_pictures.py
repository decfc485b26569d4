"""What the attention says of pictures, with the features that ship: dark and informative regions get the most."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from duskbench.benchmarks.studies.attention_effect import spread
from duskbench.data_tools.images import read_image
from duskbench.pipeline.networks.attention import AttentionMaps
from duskbench.pipeline.networks.build import build_network

SHIPPED = {"type": "DistilledFeatures"}


def attend(image_rgb: np.ndarray, **arguments: Any) -> AttentionMaps:
    """The default attention of a picture, its sides cropped to multiples of 16."""
    height, width = (side // 16 * 16 for side in image_rgb.shape[:2])
    batch = torch.tensor(image_rgb[:height, :width]).permute(2, 0, 1)[None] / 255
    return build_network({"type": "FeatureGuidedAttention", **{"features": SHIPPED, **arguments}})(batch)


def three_regions() -> np.ndarray:
    """From left to right, each 128 pixels wide: dark with things in it, dark and flat, bright with the same things."""
    draw = np.random.default_rng(0)
    things = np.zeros((256, 128, 3))
    for _ in range(40):
        top, left = draw.integers(0, 240), draw.integers(0, 112)
        height, width = draw.integers(8, 48, 2)
        things[top : top + height, left : left + width] = draw.uniform(0, 1, 3)
    dark, flat, bright = 10 + 70 * things, np.full_like(things, 20), 175 + 80 * things
    return np.concatenate([dark, flat, bright], axis=1).round().astype(np.uint8)


def means(maps: Tensor) -> list[float]:
    """Mean of each of the three regions, away from their borders."""
    return [float(maps[0, 0, 32:224, 128 * i + 32 : 128 * i + 96].mean()) for i in range(3)]


def test_dark_and_informative_is_attended_to_and_neither_dark_and_flat_nor_bright() -> None:
    maps = attend(three_regions())
    textured, flat, bright = means(maps.attention)
    assert textured > flat + 0.1, "the informative region instead of the smooth background"
    assert textured > bright + 0.1, "the dark region instead of the bright region"
    # Each by the half of the attention that is there for it.
    assert maps.lifted is not None
    lifted = means(maps.lifted)
    assert lifted[0] > lifted[1] + 0.1
    assert lifted[2] > lifted[1]
    grey_alone = means(attend(three_regions(), features=None).attention)
    assert grey_alone[1] > grey_alone[0] > grey_alone[2]
    features_alone = means(attend(three_regions(), grey=False).attention)
    assert features_alone[2] > features_alone[1]


@pytest.mark.slow
def test_it_tells_places_of_night_photos_from_each_other(shared: Path) -> None:
    photos = sorted((shared / "data" / "exdark" / "ExDark").glob("*/*"))
    assert len(photos) == 35
    maps = [attend(read_image(photo)) for photo in photos]
    stretched = [spread(each.attention) for each in maps]
    assert np.median(stretched) >= 80
    assert min(stretched) >= 40
    # Not by the grey map alone, which would be an attention to darkness, nor with U at one of its ends.
    weights = [each.lifted for each in maps if each.lifted is not None]
    assert np.median([spread(each**4) for each in weights]) >= 80
    low, high = (np.median([np.quantile(each, share) for each in weights]) for share in (0.02, 0.98))
    assert 0.5 < low < 0.75
    assert 0.85 < high < 1
    # Without the stretching a quarter of it is left; without a scale that suits the sigmoid, nothing much.
    weak = {"type": "DistilledFeatures", "scale": 0.1}
    assert np.median([spread(attend(read_image(photo), features=weak).attention) for photo in photos[:9]]) < 40


@pytest.mark.slow
@pytest.mark.parametrize("form", ["caffe", "torchvision"])
def test_the_input_convention_decides_how_much_it_tells(shared: Path, form: str) -> None:
    """SqueezeNet's own convention against another: the numbers of the reading, not only their order."""
    weights = shared / "weights" / "squeezenet1_1_imagenet_features.npz"
    features = {"type": "SqueezeNetFeatures", "weights": str(weights), "form": form}
    photos = sorted((shared / "data" / "exdark" / "ExDark").glob("*/*"))[::5]
    spreads = [spread(attend(read_image(photo), features=features).attention) for photo in photos]
    low, high = {"caffe": (160, 256), "torchvision": (50, 130)}[form]
    assert low < np.median(spreads) < high
