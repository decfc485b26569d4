"""Zero-DCE++ and SGZ: the curve at a twelfth of the size, what padding moves, and the tiles of a stretched curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.images import read_image
from duskbench.pipeline.enhancers.zero_dce_pp import SeparableDCENet, ZeroDCEpp
from duskbench.pipeline.networks.resizing import enlarge_aligned, pad_after
from duskbench.pipeline.registry import load_enhancer


def test_the_curve_is_the_authors(shared: Path) -> None:
    with np.load(shared / "golden" / "llie" / "zero_dce_pp" / "crops.npz") as stored:
        image, wanted = stored["odd_input"], stored["odd_curve"]
    enhancer = ZeroDCEpp(weights=shared / "weights" / "zero_dce_pp" / "Epoch99.pth")
    # 61 x 83 without what is left of multiples of 12.
    batch = torch.from_numpy(image[:60, :72]).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        curve = enhancer.network.estimate(F.interpolate(batch, scale_factor=1 / 12, mode="bilinear"))
    if wanted.shape != curve.shape:
        curve = F.interpolate(curve, size=wanted.shape[2:], mode="bilinear", align_corners=True)
    assert np.abs(curve.numpy() - wanted).max() <= 1e-5
    assert (wanted < 0).mean() > 0.999, "it only brightens"


@pytest.mark.parametrize(("name", "mean"), [("zero_dce_pp", 0.31), ("sgz", 0.19)])
def test_padding_moves_pixels_by_what_is_said(
    shared: Path, monkeypatch: pytest.MonkeyPatch, name: str, mean: float
) -> None:
    monkeypatch.setenv("DUSKBENCH_WEIGHTS", str(shared / "weights"))
    image = read_image(shared / "data" / "exdark" / "ExDark" / "Bicycle" / "2015_00002.png")
    wanted = read_image(shared / "golden" / "llie" / name / "2015_00002.png").astype(int)
    moved = np.abs(load_enhancer(name)(image)[: wanted.shape[0], : wanted.shape[1]] - wanted)
    assert 0 < moved.mean() < 3 * mean
    assert moved.max() <= 17


@pytest.mark.parametrize("size", [(5, 7), (1, 4), (3, 1), (1, 1)])
def test_enlarging_is_that_of_torch(size: tuple[int, int]) -> None:
    maps = torch.rand(2, 3, *size, dtype=torch.float64)
    whole = (12 * size[0], 12 * size[1])
    got = enlarge_aligned(maps, whole, whole=whole, start=(0, 0), small=size)
    torch.testing.assert_close(got, F.interpolate(maps, size=whole, mode="bilinear", align_corners=True))


def test_enlarging_a_window_is_a_part_of_the_whole() -> None:
    maps = torch.rand(1, 1, 9, 11)
    whole = (36, 44)
    wanted = enlarge_aligned(maps, whole, whole=whole, start=(0, 0), small=(9, 11))
    got = enlarge_aligned(maps[:, :, 2:8, 3:9], (24, 24), whole=whole, start=(8, 12), small=(9, 11))
    torch.testing.assert_close(got[:, :, 4:-4, 4:-4], wanted[:, :, 12:28, 16:32])


@pytest.mark.parametrize(
    ("size", "arguments", "wanted"),
    [
        (3, {"multiple": 4}, [0, 1, 2, 2]),
        (4, {"multiple": 4}, [0, 1, 2, 3]),
        (5, {"multiple": 4, "mode": "reflect"}, [0, 1, 2, 3, 4, 3, 2, 1]),
        (2, {"multiple": 8, "mode": "reflect"}, [0, 1, 0, 0, 0, 0, 0, 0]),
        (1, {"least": 3}, [0, 0, 0]),
        (4, {"least": 3}, [0, 1, 2, 3]),
        (2, {"multiple": 2, "least": 3}, [0, 1, 1, 1]),
    ],
)
def test_padding(size: int, arguments: dict, wanted: list[int]) -> None:
    row = torch.arange(float(size))[None, None, None]
    assert pad_after(row.mT, **arguments)[0, 0, :, 0].tolist() == wanted
    assert pad_after(row, **arguments)[0, 0, 0].tolist() == wanted


def test_tiles_see_as_far_as_the_network() -> None:
    torch.manual_seed(0)
    network = SeparableDCENet().double()
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 0.01)
    batch = torch.rand(1, 3, 12 * 25, 12, dtype=torch.float64, requires_grad=True)
    for row in (12 * 10, 12 * 10 + 11, 12 * 15 + 11):
        [gradient] = torch.autograd.grad(network(batch)[0, 0, row, 6], batch)
        rows = gradient.abs().sum((0, 1, 3)).nonzero().flatten()
        assert ZeroDCEpp.overlap is not None
        assert row - ZeroDCEpp.overlap <= rows.min() < rows.max() <= row + ZeroDCEpp.overlap


@pytest.mark.parametrize("scale", [0, 5, 24, 1.5, "12"])
def test_a_scale_that_tiles_cannot_have(scale: object) -> None:
    with pytest.raises(ConfigError, match="scale"):
        load_enhancer({"type": "zero_dce_pp", "scale": scale})
