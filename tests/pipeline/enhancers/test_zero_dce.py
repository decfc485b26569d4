"""Zero-DCE: the authors' outputs, the curve, exact tiles and wrong files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from duskbench.data_tools.errors import WeightsError
from duskbench.data_tools.images import read_image
from duskbench.pipeline.enhancers.zero_dce import ZeroDCE
from duskbench.pipeline.networks.zero_dce import DCENet, apply_curves


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(DCENet().state_dict(), path)
    return path


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("image", "golden"),
    [
        ("Bicycle/2015_00002.png", "2015_00002.png"),
        ("Chair/2015_03780.jpg", "2015_03780.png"),
        ("Dog/2015_04947.jpg", "2015_04947.png"),
    ],
)
@pytest.mark.slow
def test_equals_the_authors_output(shared, image, golden) -> None:
    enhance = ZeroDCE(shared / "weights" / "zero_dce" / "Epoch99.pth")
    # A corner is enough: what lies below and right of it reaches no farther in than the overlap.
    corner, inside = np.s_[:150, :150], np.s_[: 150 - ZeroDCE.overlap, : 150 - ZeroDCE.overlap]
    result = enhance(read_image(shared / "data" / "exdark" / "ExDark" / image)[corner])
    expected = read_image(shared / "golden" / "llie" / "zero_dce" / golden)
    difference = np.abs(result[inside].astype(int) - expected[inside])
    assert (difference <= 1).mean() >= 0.999


def test_keys_and_size_are_the_official_ones() -> None:
    network = DCENet()
    assert list(network.state_dict()) == [f"e_conv{i}.{part}" for i in range(1, 8) for part in ("weight", "bias")]
    assert sum(p.numel() for p in network.parameters()) == 79_416


def test_finds_the_authors_weights_by_name(weights, monkeypatch, tmp_path) -> None:
    (tmp_path / "zero_dce").mkdir()
    (tmp_path / "zero_dce" / "Epoch99.pth").write_bytes(weights.read_bytes())
    monkeypatch.setenv("DUSKBENCH_WEIGHTS", str(tmp_path))
    named, given = ZeroDCE("official"), ZeroDCE(weights)
    np.testing.assert_array_equal(named(picture(20, 30)), given(picture(20, 30)))
    assert named.fingerprint == given.fingerprint


def test_without_arguments_it_takes_what_training_wrote(monkeypatch, tmp_path) -> None:
    torch.manual_seed(1)
    network = DCENet(width=8)
    config = json.dumps({"type": "DCENet", "width": 8})
    save_file(network.state_dict(), tmp_path / "zero_dce.safetensors", metadata={"network": config})
    monkeypatch.setenv("DUSKBENCH_WEIGHTS", str(tmp_path))
    image = picture(20, 30)
    with torch.no_grad():
        expected = network(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)[0].mul(255).permute(1, 2, 0).numpy()
    assert np.abs(ZeroDCE()(image) - expected).max() < 0.51


def test_without_weights_of_that_name_it_says_so(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("DUSKBENCH_WEIGHTS", raising=False)
    monkeypatch.setattr("duskbench.pipeline.weights.PRETRAINED", tmp_path)
    with pytest.raises(WeightsError, match="'zero_dce' are shipped"):
        ZeroDCE()


def test_the_fingerprint_follows_the_weights(weights, tmp_path) -> None:
    other = tmp_path / "other.pth"
    torch.save({key: value + 1e-3 for key, value in torch.load(weights).items()}, other)
    assert ZeroDCE(other).fingerprint != ZeroDCE(weights).fingerprint
    assert ZeroDCE(weights, tile_pixels=99).fingerprint == ZeroDCE(weights).fingerprint


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (37, 1), (2, 3), (61, 47)])
@pytest.mark.parametrize("tile_pixels", [500, 900])
def test_tiles_equal_the_whole(weights, size, tile_pixels) -> None:
    whole = ZeroDCE(weights, tile_pixels=10**6)(picture(*size))
    assert whole.shape == (*size, 3)
    tiled = ZeroDCE(weights, tile_pixels=tile_pixels)(picture(*size))
    assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_the_overlap_is_what_the_network_sees() -> None:
    torch.manual_seed(0)
    network = DCENet().double().eval()
    batch = torch.rand(1, 3, 41, 41, dtype=torch.float64, requires_grad=True)
    network(batch)[0, :, 20, 20].sum().backward()
    rows = batch.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert (20 - rows.min().item(), rows.max().item() - 20) == (ZeroDCE.overlap, ZeroDCE.overlap)


@pytest.mark.parametrize(
    ("x", "alpha", "expected"),
    # By hand: 0.5 - 1 * (0.25 - 0.5) = 0.75, and 0.75 - (0.5625 - 0.75) = 0.9375 after a second step.
    [(0.5, [-1.0], 0.75), (0.5, [-1.0, -1.0], 0.9375), (0.5, [1.0], 0.25), (0.0, [-1.0], 0.0), (1.0, [1.0], 1.0)],
)
def test_the_curve(x, alpha, expected) -> None:
    batch = torch.full((1, 3, 2, 2), x)
    curves = torch.tensor(alpha).repeat_interleave(3)[None, :, None, None].expand(1, -1, 2, 2)
    assert torch.allclose(apply_curves(batch, curves), torch.full((1, 3, 2, 2), expected))


def test_the_curve_does_not_change_its_input() -> None:
    batch = torch.rand(1, 3, 4, 4)
    before = batch.clone()
    apply_curves(batch, torch.rand(1, 24, 4, 4))
    assert torch.equal(batch, before)


def test_a_file_for_another_network_is_an_error(tmp_path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="DCENet") as caught:
        ZeroDCE(path)
    assert "e_conv1.weight" in str(caught.value)
    assert caught.value.where == path


def test_a_missing_file_is_an_error_at_construction(tmp_path) -> None:
    with pytest.raises(WeightsError, match="not there"):
        ZeroDCE(tmp_path / "nothing.pth")
