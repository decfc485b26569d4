"""PairLIE: its illumination, the exponent, and how far it sees."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.enhancers.pairlie import PairLIE, PairLIENet
from duskbench.pipeline.registry import load_enhancer


def test_the_illumination_is_the_authors(authors_crop: Any) -> None:
    batch, wanted = authors_crop("pairlie")
    with torch.inference_mode():
        illumination, reflectance = PairLIE().network.decompose(batch)
    torch.testing.assert_close(illumination, wanted["odd_L"], rtol=0, atol=1e-5)
    assert (illumination.shape[1], reflectance.shape[1]) == (1, 3)


def test_the_overlap_is_what_the_network_sees() -> None:
    network = PairLIENet().double()
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 0.001)
    batch = torch.rand(1, 3, 31, 31, dtype=torch.float64, requires_grad=True)
    [gradient] = torch.autograd.grad(network(batch, 0.2)[0, :, 15, 15].sum(), batch)
    rows = gradient.abs().sum((0, 1, 3)).nonzero().flatten()
    assert (15 - rows.min().item(), rows.max().item() - 15) == (PairLIE.overlap, PairLIE.overlap)


@pytest.mark.parametrize("exponent", [-0.1, float("nan"), float("inf")])
def test_an_exponent_out_of_range(exponent: float) -> None:
    with pytest.raises(ConfigError, match="exponent"):
        load_enhancer({"type": "pairlie", "exponent": exponent})
