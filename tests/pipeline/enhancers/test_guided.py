"""The paper's method as an enhancer: any size, seam-free tiles, and weights that fit their extractor."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from duskbench.data_tools.errors import WeightsError
from duskbench.pipeline import load_enhancer
from duskbench.pipeline.enhancers.guided import Guided
from duskbench.pipeline.networks.build import build_network
from duskbench.pipeline.networks.own_features import DistilledFeatures

NETWORK = {
    "type": "AttentionGuided",
    "generator": {"type": "EnlightenGANGenerator", "in_channels": 4, "width": 4, "attention": "none"},
    "attention": {"type": "FeatureGuidedAttention", "features": {"type": "DistilledFeatures"}, "gamma": 4.0},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A guided generator with random weights, and an output that depends on all of them."""
    torch.manual_seed(0)
    network = build_network(NETWORK)
    torch.nn.init.normal_(network.generator.conv10.weight)
    state = {key: value for key, value in network.state_dict().items() if "attention." not in key}
    path = tmp_path_factory.mktemp("weights") / "guided.safetensors"
    features = {"attention.features": DistilledFeatures().sha256()}
    save_file(state, path, metadata={"network": json.dumps(NETWORK), "features": json.dumps(features)})
    return path


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 120, (400, 640, 3)).astype(np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (15, 17), (37, 100), (64, 64)])
def test_size_in_is_size_out(weights: Path, image: np.ndarray, size: tuple[int, int]) -> None:
    part = np.ascontiguousarray(image[: size[0], : size[1]])
    assert Guided(weights)(part).shape == part.shape


def test_tiles_agree_with_the_whole_picture(weights: Path, image: np.ndarray) -> None:
    whole = Guided(weights, tile_pixels=2**30)(image).astype(int)
    tiled = Guided(weights, tile_pixels=450 * 450)(image).astype(int)
    assert np.abs(whole - tiled).max() <= 1, "seams"
    assert whole.std() > 10


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_picture_of_the_weights_that_ship_has_no_frame(seed: int) -> None:
    """Its edges are enhanced nearly as if it went on; without the margin they are two to five times as far off."""

    class Bare(Guided):
        margin = 0

    noise = np.random.default_rng(seed).integers(0, 120, (96, 128, 3)).astype(np.uint8)
    picture = cv2.GaussianBlur(noise, (0, 0), 3)
    goes_on = np.pad(picture, ((32, 32), (32, 32), (0, 0)), mode="reflect")
    whole = Guided()(goes_on)[32:-32, 32:-32].astype(int)
    with_margin, without = (np.abs(each(picture) - whole) for each in (Guided(), Bare()))
    for edge in (np.s_[0], np.s_[:, 0]):
        assert with_margin[edge].mean() < without[edge].mean() / 2


@pytest.mark.slow
def test_the_overlap_is_needed(weights: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Guided(weights, tile_pixels=2**30)(image).astype(int)
    monkeypatch.setattr(Guided, "overlap", 16)
    assert np.abs(whole - Guided(weights, tile_pixels=200 * 200)(image).astype(int)).max() > 1


def test_weights_of_another_extractor_are_refused(weights: Path, tmp_path: Path) -> None:
    other = tmp_path / "guided.safetensors"
    metadata = {"network": json.dumps(NETWORK), "features": json.dumps({"attention.features": "0" * 64})}
    save_file(load_file(weights), other, metadata=metadata)
    with pytest.raises(WeightsError, match="not the one that these weights were trained with"):
        Guided(other)


def test_a_file_that_does_not_say_its_network_is_refused(weights: Path, tmp_path: Path) -> None:
    save_file(load_file(weights), tmp_path / "bare.safetensors")
    with pytest.raises(WeightsError, match="does not say which network"):
        Guided(tmp_path / "bare.safetensors")


def test_a_generator_that_sees_the_whole_picture_is_not_tiled(tmp_path: Path, image: np.ndarray) -> None:
    generator = {"type": "ResnetGenerator", "in_channels": 4, "width": 4, "blocks": 1, "tanh": False}
    config = {**NETWORK, "generator": generator}
    state = {key: value for key, value in build_network(config).state_dict().items() if "attention." not in key}
    metadata = {"network": json.dumps(config), "features": json.dumps({})}
    save_file(state, tmp_path / "resnet.safetensors", metadata=metadata)
    part = image[:64, :80]
    whole = Guided(tmp_path / "resnet.safetensors")(part)
    assert np.array_equal(Guided(tmp_path / "resnet.safetensors", tile_pixels=32 * 32)(part), whole)


def test_your_own_training_is_found_before_the_shipped_weights(
    weights: Path, monkeypatch: pytest.MonkeyPatch, image: np.ndarray
) -> None:
    monkeypatch.setenv("DUSKBENCH_WEIGHTS", str(weights.parent))
    own = load_enhancer("guided")
    assert own.fingerprint == Guided(weights).fingerprint
    monkeypatch.delenv("DUSKBENCH_WEIGHTS")
    assert load_enhancer("guided").fingerprint != own.fingerprint
