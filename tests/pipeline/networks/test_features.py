"""Frozen extractors: the layer that is asked for, the picture's form, and no gradient into the weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from duskbench.data_tools.errors import ConfigError, WeightsError
from duskbench.pipeline.networks.features import DetectorFeatures, SqueezeNetFeatures, VGG16Features

SQUEEZENET = "weights/squeezenet1_1_imagenet_features.npz"


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    """torchvision's VGG-16 with random weights, saved with its own keys (without the large classifier)."""
    torch.manual_seed(0)
    network = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save({f"features.{key}": value for key, value in network.state_dict().items()}, path)
    return path, network.eval()


@pytest.mark.parametrize(("layer", "end", "stride"), [("conv1_2", 3, 1), ("conv3_1", 11, 4), ("conv5_1", 25, 16)])
@pytest.mark.parametrize("relu", [True, False])
def test_vgg_equals_torchvision_up_to_the_layer(
    vgg_file: tuple[Path, nn.Module], layer: str, end: int, stride: int, relu: bool
) -> None:
    path, network = vgg_file
    picture = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    normalise = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with torch.no_grad():
        # torchvision's ReLUs work in place, so the map before one is taken by cutting the network there.
        expected = network[: end + relu](normalise(picture))
        ours = VGG16Features(layer, relu=relu, weights=path)(picture)
    assert ours.shape[-2:] == (48 // stride, 64 // stride)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)


def test_squeezenet_gives_the_published_check_value(shared: Path) -> None:
    # The check value is for a picture of 227x227 that is in the network's form already: B, G, R minus the mean.
    features = SqueezeNetFeatures("fire9", weights=shared / SQUEEZENET, convention="caffe")
    for layer in features.layers:
        if isinstance(layer, nn.MaxPool2d):
            layer.ceil_mode = True
    u = torch.rand(1, 3, 227, 227, generator=torch.Generator().manual_seed(1234))
    with torch.no_grad():
        found = features(u.flip(1))
    assert found.shape == (1, 512, 14, 14)
    assert found.mean().item() == pytest.approx(0.84391, abs=1e-4)
    assert found.max().item() == pytest.approx(117.524, abs=1e-2)


def test_squeezenet_stops_at_the_layer(shared: Path) -> None:
    picture = torch.rand(1, 3, 64, 64)
    assert SqueezeNetFeatures("fire4", weights=shared / SQUEEZENET)(picture).shape == (1, 256, 7, 7)


def test_the_detectors_base_equals_the_detectors_own() -> None:
    from duskbench.pipeline import load_detector

    detector = load_detector("rfb_miniature")
    base = detector.model.backbone.features  # type: ignore[attr-defined]
    picture = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    form = picture.flip(1) * 255 - torch.tensor([104.0, 117.0, 123.0]).view(3, 1, 1)
    features = DetectorFeatures()
    with torch.no_grad():
        for layer in list(base)[: len(features.layers) + 1]:
            form = layer(form)
        found = features(picture)
    assert found.shape == (1, 96, 4, 6), "after the fourth halving"
    torch.testing.assert_close(found, form, atol=1e-4, rtol=1e-4)


def test_frozen_weights_and_statistics_but_a_gradient_for_the_picture() -> None:
    features = DetectorFeatures().train()
    assert not features.training
    before = {key: value.clone() for key, value in features.state_dict().items()}
    picture = torch.rand(1, 3, 32, 32, requires_grad=True)
    features(picture).sum().backward()
    assert picture.grad is not None
    assert picture.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in features.parameters())
    assert all(torch.equal(before[key], value) for key, value in features.state_dict().items())


def test_the_hash_is_that_of_the_weights() -> None:
    one, same = DetectorFeatures(), DetectorFeatures(relu=False)
    assert one.sha256() == same.sha256()
    with torch.no_grad():
        one.layers[0].weight[0] += 1e-3
    assert one.sha256() != same.sha256()


def test_unknown_layers_and_missing_weights(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such layer"):
        VGG16Features("conv6_1", weights="random")
    with pytest.raises(ConfigError, match="no such layer"):
        SqueezeNetFeatures("fire1", weights=tmp_path / "x.npz")
    with pytest.raises(WeightsError, match="not there"):
        VGG16Features(weights=tmp_path / "vgg16.pth")
