"""LYT-Net: the Keras file in torch's order, TensorFlow's padding, and sides that its authors' code refuses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from duskbench.data_tools.errors import WeightsError
from duskbench.pipeline.enhancers.lyt_net import HalvingConv2d, LYTNet, LYTNetwork
from duskbench.pipeline.network_weights import load_state_dict
from tests.needs import need_module


def test_the_keras_file_equals_its_conversion(shared: Path) -> None:
    need_module("h5py")
    folder = shared / "weights" / "lyt_net"
    got = LYTNet(weights=folder / "LOL_v1_weights.h5").network.state_dict()
    wanted = load_state_dict(folder / "LOL_v1_weights.npz")
    assert got.keys() == wanted.keys()
    assert all(torch.equal(got[key], wanted[key]) for key in wanted)


def test_no_h5py_names_the_extra(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(WeightsError, match=r"duskbench\[keras\]"):
        LYTNet(weights=shared / "weights" / "lyt_net" / "LOL_v1_weights.h5")


def test_a_file_that_is_no_hdf5(tmp_path: Path) -> None:
    need_module("h5py")
    (tmp_path / "w.h5").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="Cannot read the weight file"):
        load_state_dict(tmp_path / "w.h5")


def test_a_halving_starts_at_the_first_pixel() -> None:
    layer = HalvingConv2d(1, 1)
    torch.nn.init.constant_(layer.bias, 0)
    # A kernel that takes its last tap: the pixel two to the right and below, and zero outside.
    torch.nn.init.constant_(layer.weight, 0)
    layer.weight.data[0, 0, 2, 2] = 1
    batch = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert layer(batch)[0, 0].tolist() == [[10, 0], [0, 0]]


def test_sides_are_reflected_at_the_bottom_and_right() -> None:
    torch.manual_seed(0)
    network = LYTNetwork().eval()
    batch = torch.rand(1, 3, 13, 16)
    with torch.inference_mode():
        padded = torch.cat((batch, batch[:, :, [11, 10, 9]]), dim=2)
        torch.testing.assert_close(network(batch), network(padded)[:, :, :13])
