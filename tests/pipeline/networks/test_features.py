"""Frozen extractors: the layer that is asked for, the picture's form, and no gradient into the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from duskbench.data_tools.errors import ConfigError, WeightsError
from duskbench.pipeline.networks.features import VGG16Features
from duskbench.pipeline.networks.own_features import DetectorFeatures, DistilledFeatures, FeatureBase
from duskbench.pipeline.networks.squeezenet import SqueezeNetFeatures
from duskbench.pipeline.training.losses import normalised_feature_distance

SQUEEZENET = "weights/squeezenet1_1_imagenet_features.npz"


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    """torchvision's VGG-16 with random weights, saved with its own keys (without the large classifier)."""
    torch.manual_seed(0)
    network = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save({f"features.{key}": value for key, value in network.state_dict().items()}, path)
    return path, network.eval()


def torchvision_form(picture: torch.Tensor) -> torch.Tensor:
    normalise = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    return normalise(picture)


def caffe_form(picture: torch.Tensor) -> torch.Tensor:
    mean = torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
    return picture[:, [2, 1, 0]] * 255 - mean


@pytest.mark.parametrize(("layer", "end", "stride"), [("conv1_2", 3, 1), ("conv3_1", 11, 4), ("conv5_1", 25, 16)])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize(("form", "formed"), [("torchvision", torchvision_form), ("caffe", caffe_form)])
def test_vgg_equals_torchvision_up_to_the_layer(
    vgg_file: tuple[Path, nn.Module], layer: str, end: int, stride: int, relu: bool, form: str, formed: Any
) -> None:
    path, network = vgg_file
    picture = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        # torchvision's ReLUs work in place, so the map before one is taken by cutting the network there.
        expected = network[: end + relu](formed(picture))
        ours = VGG16Features(layer, relu=relu, weights=path, form=form)(picture)
        scaled = VGG16Features(layer, relu=relu, weights=path, form=form, scale=0.25)(picture)
    assert ours.shape[-2:] == (48 // stride, 64 // stride)
    tolerance = 1e-5 * float(expected.abs().max())
    torch.testing.assert_close(ours, expected, atol=tolerance, rtol=1e-4)
    torch.testing.assert_close(scaled, expected / 4, atol=tolerance, rtol=1e-4)


def test_enlightengans_form_of_the_perceptual_loss(vgg_file: tuple[Path, nn.Module]) -> None:
    """B, G, R in 0..255 without a mean; relu5_1 without the fourth pooling: models/networks.py, layer by layer."""
    path, network = vgg_file
    weights = [each for each in network if isinstance(each, nn.Conv2d)]

    def official(batch: torch.Tensor) -> torch.Tensor:
        """From [-1, 1], as the official code has pictures."""
        red, green, blue = torch.chunk(batch, 3, dim=1)
        h = (torch.cat((blue, green, red), dim=1) + 1) * 255 * 0.5
        for number, layer in enumerate(weights[:11], start=1):
            h = nn.functional.relu(nn.functional.conv2d(h, layer.weight, layer.bias, padding=1))
            if number in (2, 4, 7):
                h = nn.functional.max_pool2d(h, kernel_size=2, stride=2)
        return h

    features = VGG16Features("conv5_1", weights=path, form={"order": "bgr", "top": 255.0}, poolings=3)
    one, other = (torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    with torch.no_grad():
        assert features(one).shape == (2, 512, 4, 4), "of a patch of 32 pixels"
        norm = nn.InstanceNorm2d(512, affine=False)
        expected = ((norm(official(one * 2 - 1)) - norm(official(other * 2 - 1))) ** 2).mean()
        found = normalised_feature_distance(features(one), features(other))
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_an_own_convention_is_given_by_its_attributes(vgg_file: tuple[Path, nn.Module]) -> None:
    path, _ = vgg_file
    picture = torch.rand(1, 3, 16, 16)
    attributes = {"order": "rgb", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    one = VGG16Features("conv2_1", weights=path, form=attributes)
    other = VGG16Features("conv2_1", weights=path, form="torchvision")
    assert torch.equal(one(picture), other(picture))
    assert one.sha256() == other.sha256()


def test_squeezenet_gives_the_published_check_value(shared: Path) -> None:
    # The check value is for a picture of 227x227 that is in the network's form already: B, G, R minus the mean.
    features = SqueezeNetFeatures("fire9", weights=shared / SQUEEZENET, form="caffe")
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


def test_an_aligned_map_of_squeezenet_lies_on_the_picture(shared: Path) -> None:
    """The pixels that a place of the map depends on lie evenly around the cell of 16 pixels that it stands for."""
    features = SqueezeNetFeatures("fire9", weights=shared / SQUEEZENET, aligned=True)
    picture = torch.rand(1, 3, 256, 320, generator=torch.Generator().manual_seed(0), requires_grad=True)
    found = features(picture)
    assert found.shape[-2:] == (16, 20)
    (gradient,) = torch.autograd.grad(found[:, :, 8, 10].sum(), picture)
    rows, columns = (gradient.abs().sum((0, 1)) > 0).nonzero().unbind(1)
    assert int(rows.min() + rows.max()) / 2 == pytest.approx(16 * 8 + 7.5, abs=1)
    assert int(columns.min() + columns.max()) / 2 == pytest.approx(16 * 10 + 7.5, abs=1)


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


def test_the_hash_is_that_of_weights_convention_and_scale() -> None:
    one, same = DetectorFeatures(), DetectorFeatures()
    assert one.sha256() == same.sha256()
    assert one.sha256() != DetectorFeatures(scale=2.0).sha256()
    assert one.sha256() != DetectorFeatures(relu=False).sha256()
    with torch.no_grad():
        one.layers[0].weight[0] += 1e-3
    assert one.sha256() != same.sha256()


def test_unknown_layers_and_missing_weights(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such layer"):
        VGG16Features("conv6_1", weights="random")
    with pytest.raises(ConfigError, match="poolings"):
        VGG16Features("conv3_1", weights="random", poolings=3)
    for form in ("opencv", {"order": "grb"}, {"colour": "bgr"}, {"mean": [0.0]}):
        with pytest.raises(ConfigError, match="convention is not known"):
            VGG16Features("conv1_1", weights="random", form=form)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no such layer"):
        SqueezeNetFeatures("fire1", weights=tmp_path / "x.npz")
    with pytest.raises(WeightsError, match="not there"):
        VGG16Features(weights=tmp_path / "vgg16.pth")


def test_the_frozen_form_of_a_trained_base(tmp_path: Path) -> None:
    from duskbench.pipeline.checkpoint import safetensors_bytes

    torch.manual_seed(0)
    shape = {"stage_channels": [8, 8, 8, 8, 12], "stage_depths": [1, 0, 1, 1, 1]}
    base = FeatureBase(**shape)
    picture = torch.rand(2, 3, 64, 96)
    # Statistics of its own, as after a training.
    base.train()(picture)
    described = {"network": json.dumps({"type": "FeatureBase", **shape})}
    path = tmp_path / "features.safetensors"
    path.write_bytes(safetensors_bytes(dict(base.state_dict()), described))
    frozen = DistilledFeatures(weights=path, cells=0)
    with torch.no_grad():
        expected = base.eval()(picture)
        torch.testing.assert_close(frozen(picture), expected)
    assert expected.shape == (2, 12, 4, 6), "after the fourth halving"


@pytest.mark.parametrize("size", [(16, 16), (64, 96)])
def test_a_surrounded_picture_has_no_frame_in_its_map(size: tuple[int, int]) -> None:
    bare, surrounded = DistilledFeatures(cells=0), DistilledFeatures()
    picture = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    wide = nn.functional.pad(picture, (48, 48, 48, 48), mode="replicate")
    with torch.no_grad():
        assert surrounded(picture).shape == bare(picture).shape
        assert torch.equal(surrounded(picture), bare(wide)[..., 3:-3, 3:-3])
        # Where nothing changes in a picture nothing should in the map.
        flat = torch.full((1, 3, 96, 128), 0.4)
        change = [each(flat).mean(1).std().item() for each in (bare, surrounded)]
    assert change[1] < change[0] / 10
    assert bare.sha256() != surrounded.sha256()
