"""What the weights that ship do to rendered scenes: light what is dark, keep what is bright, and heed the attention."""

from __future__ import annotations

import numpy as np
import pytest

from duskbench.benchmarks.studies.attention_effect import attention_effect
from duskbench.data_tools.images import read_image
from duskbench.data_tools.miniature import make_miniature
from duskbench.pipeline import load_enhancer

Scenes = list[tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    """Night scenes, each with its lit twin."""
    root = tmp_path_factory.mktemp("scenes") / "miniature"
    make_miniature(root, voc_images=0, night_images=(0, 0, 8), size=(320, 240), workers=1)
    lit = {path.stem: read_image(path) for path in (root / "lit").iterdir()}
    return [(read_image(path), lit[path.stem]) for path in sorted(root.glob("ExDark/*/*"))]


def white(image_rgb: np.ndarray) -> float:
    """Share of the pixels that have nothing but light."""
    return float((image_rgb.min(axis=-1) >= 250).mean())


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Root of the mean squared difference, in grey levels of 255."""
    return float(np.sqrt(np.square(one.astype(float) - other).mean()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["guided", "enlightengan"])
def test_night_becomes_lighter_and_nearer_to_its_lit_twin(scenes: Scenes, name: str) -> None:
    enhance = load_enhancer(name)
    enhanced = [enhance(night) for night, _ in scenes]
    assert len(scenes) == 8
    assert np.mean([picture.mean() for picture in enhanced]) > 2 * np.mean([night.mean() for night, _ in scenes])
    after = np.mean([distance(picture, lit) for picture, (_, lit) in zip(enhanced, scenes, strict=True)])
    assert after < 0.75 * np.mean([distance(night, lit) for night, lit in scenes])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["guided", "enlightengan"])
def test_what_was_bright_does_not_burn_out(scenes: Scenes, name: str) -> None:
    enhance = load_enhancer(name)
    more = [white(enhance(lit)) - white(lit) for _, lit in scenes]
    assert np.mean(more) < 0.02
    assert max(more) < 0.05


@pytest.mark.slow
def test_the_attention_guides(scenes: Scenes) -> None:
    """Where x_a is replaced by its mean, another picture comes out."""
    enhance = load_enhancer("guided")
    effects = [attention_effect(enhance, night) for night, _ in scenes]
    assert np.median([each.spread for each in effects]) > 60
    assert np.mean([each.attention for each in effects]) > 0.08 * np.mean([each.enhancing for each in effects])
    # The features have a part in it; the larger one is the grey map's.
    assert 0 < np.mean([each.features for each in effects]) < np.mean([each.attention for each in effects])
    assert np.array_equal(enhance(scenes[0][0]), load_enhancer("guided")(scenes[0][0])), "measuring left a trace"
