"""SCI: the authors' outputs, the three variants, tiles and wrong files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from duskbench.data_tools.errors import WeightsError
from duskbench.data_tools.images import read_image
from duskbench.pipeline.enhancers.sci import SCI
from duskbench.pipeline.networks.sci import SCINet


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Random weights in the layout of the published files, calibration module included."""
    torch.manual_seed(0)
    network = SCINet()
    torch.nn.init.uniform_(network.enhance.conv[1].running_mean, -0.2, 0.2)
    torch.nn.init.uniform_(network.enhance.conv[1].running_var, 0.5, 2)
    path = tmp_path_factory.mktemp("weights") / "random.pt"
    torch.save({**network.state_dict(), "calibrate.in_conv.0.weight": torch.zeros(16, 3, 3, 3)}, path)
    return path


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("image", "golden"), [("Bicycle/2015_00002.png", "2015_00002.png"), ("Car/2015_02408.jpg", "2015_02408.png")]
)
def test_equals_the_authors_output(shared, image, golden) -> None:
    enhance = SCI("medium", shared / "weights" / "sci" / "medium.pt")
    result = enhance(read_image(shared / "data" / "exdark" / "ExDark" / image))
    expected = read_image(shared / "golden" / "llie" / "sci_medium" / golden)
    assert (np.abs(result.astype(int) - expected) <= 1).mean() >= 0.999


def test_the_three_variants_load_and_differ(shared, monkeypatch) -> None:
    monkeypatch.setenv("DUSKBENCH_WEIGHTS", str(shared / "weights"))
    image = picture(30, 40) // 8
    enhancers = [SCI(variant) for variant in SCI.files]
    means = [float(enhance(image).mean()) for enhance in enhancers]
    assert len({enhance.fingerprint for enhance in enhancers}) == len(set(means)) == 3
    assert min(means) > image.mean()


def test_equals_the_formula(weights) -> None:
    """Retyped from the paper with numbers instead of modules: normalisation written out, the sum of the residual."""
    state = {key.removeprefix("enhance."): value for key, value in torch.load(weights).items()}
    image = picture(23, 31)
    x = torch.from_numpy(image).permute(2, 0, 1)[None].double() / 255

    def conv(at: str, batch: torch.Tensor) -> torch.Tensor:
        return F.conv2d(batch, state[f"{at}.weight"].double(), state[f"{at}.bias"].double(), padding=1)

    features = conv("in_conv.0", x).clamp(min=0)
    mean, variance, scale, shift = (
        state[f"conv.1.{part}"].double()[:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    normal = (conv("conv.0", features) - mean) / (variance + 1e-5).sqrt() * scale + shift
    illumination = (1 / (1 + torch.exp(-conv("out_conv.0", features + normal.clamp(min=0)))) + x).clamp(1e-4, 1)
    expected = ((x / illumination).clamp(0, 1) * 255).round()[0].permute(1, 2, 0).numpy()
    assert np.abs(SCI("medium", weights)(image) - expected).max() <= 1


def test_black_stays_black(weights) -> None:
    assert not SCI("medium", weights)(np.zeros((5, 6, 3), dtype=np.uint8)).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (37, 1), (31, 26)])
@pytest.mark.parametrize("tile_pixels", [100, 300])
def test_tiles_equal_the_whole(weights, size, tile_pixels) -> None:
    whole = SCI("medium", weights, tile_pixels=10**6)(picture(*size))
    assert whole.shape == (*size, 3)
    tiled = SCI("medium", weights, tile_pixels=tile_pixels)(picture(*size))
    assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_the_overlap_is_what_the_network_sees() -> None:
    torch.manual_seed(1)
    # Dark, because the gradient ends where illumination is clipped at 1.
    batch = (torch.rand(1, 3, 21, 21, dtype=torch.float64) / 10).requires_grad_()
    # Evaluation mode: batch statistics would see the whole picture. All-positive weights, so that no ReLU hides a path.
    network = SCINet().double().eval()
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 0.05)
    network.enhance(batch)[0, :, 10, 10].sum().backward()
    rows = batch.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert (10 - rows.min().item(), rows.max().item() - 10) == (SCI.overlap, SCI.overlap)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("enhance.out_conv.0.bias"), "missing: enhance.out_conv.0.bias"),
        (lambda state: state.update({"denoise.weight": torch.zeros(1)}), "unexpected: denoise.weight"),
        (lambda state: state.update({"enhance.in_conv.0.bias": torch.zeros(16)}), "(16,) instead of (3,)"),
    ],
)
def test_a_file_that_does_not_fit_is_an_error(weights, tmp_path, change, said) -> None:
    state = torch.load(weights)
    change(state)
    path = tmp_path / "other.pt"
    torch.save(state, path)
    with pytest.raises(WeightsError) as caught:
        SCI("medium", path)
    assert said in str(caught.value)
