"""FLOL+: what lies between, zeros where its picture ends, and how far rounding moves it."""

from __future__ import annotations

from typing import Any

import torch

from duskbench.pipeline.enhancers.flol import FLOL, AmplitudeBlock, FLOLNet


def test_the_result_before_it_is_limited_is_the_authors(authors_crop: Any) -> None:
    batch, wanted = authors_crop("flol")
    raw = wanted["odd_raw"]
    padded = torch.nn.functional.pad(batch, (0, -83 % 8, 0, -61 % 8))
    with torch.inference_mode():
        got = FLOL("all").network.restore(padded)[:, :, : raw.shape[2], : raw.shape[3]]
    torch.testing.assert_close(got, raw, rtol=0, atol=1e-4)


def test_rounding_decides_on_phases(authors_crop: Any) -> None:
    """Why the crop of 96 x 128 pixels is compared with 2e-2: the network itself does not hold 1e-5."""
    _, wanted = authors_crop("flol")
    batch = wanted["even_input"].permute(2, 0, 1)[None].float() / 255
    network = FLOL("all").network
    torch.manual_seed(0)
    with torch.inference_mode():
        moved = (network(batch + 1e-8 * torch.randn_like(batch)) - network(batch)).abs()
    assert moved.mean() < 1e-3
    assert 1e-6 < moved.max() < 2e-2


def test_zeros_stand_in_for_what_a_side_lacks() -> None:
    torch.manual_seed(0)
    network = FLOLNet().eval()
    batch = torch.rand(1, 3, 13, 16)
    with torch.inference_mode():
        padded = torch.cat((batch, torch.zeros(1, 3, 3, 16)), dim=2)
        torch.testing.assert_close(network(batch), network(padded)[:, :, :13])


def test_a_block_is_not_connected_with_its_input() -> None:
    block = AmplitudeBlock(2)
    torch.nn.init.constant_(block.conv3.weight, 0)
    torch.nn.init.constant_(block.conv3.bias, 0)
    assert not block(torch.rand(1, 2, 8, 8)).any()
