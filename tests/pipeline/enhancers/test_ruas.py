"""RUAS: values between, the denoiser of one variant only, the window that looks right and down, and how far it sees."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from duskbench.pipeline.enhancers.ruas import RUAS, RUASNet, _window_maximum


def test_values_between_are_the_authors(authors_crop: Any) -> None:
    batch, wanted = authors_crop("ruas")
    network = RUAS("dark").network
    with torch.inference_mode():
        torch.testing.assert_close(network.illumination(batch), wanted["odd_t"], rtol=0, atol=1e-5)
        torch.testing.assert_close(network(batch, denoise=True), wanted["odd_denoised"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("variant", "denoises"), [("dark", False), ("upe", False), ("lol", True)])
def test_the_denoiser_belongs_to_one_variant(authors_crop: Any, variant: str, denoises: bool) -> None:
    batch, _ = authors_crop("ruas")
    enhancer = RUAS(variant)
    before = enhancer.forward(batch)
    enhancer.network.denoise_net.activate[0].bias += 0.1
    torch.testing.assert_close(before - enhancer.forward(batch), torch.full_like(before, 0.1 * denoises))


def test_the_maximum_is_of_the_pixel_its_right_and_its_lower_neighbours() -> None:
    batch = torch.tensor([[5.0, 1, 2], [3, 4, 0], [-2, -1, -3]])[None, None]
    assert _window_maximum(batch)[0, 0].tolist() == [[5, 4, 2], [4, 4, 0], [0, 0, 0]]


def test_the_overlap_is_what_the_network_sees() -> None:
    network = RUASNet().double()
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 0.02)
    # Dark and with small steps, because the gradient ends where something is clipped or a neighbour is larger.
    torch.manual_seed(0)
    batch = torch.rand(1, 3, 41, 41, dtype=torch.float64, requires_grad=True)
    seen = torch.zeros(41, dtype=torch.bool)
    for _ in range(8):
        batch.data.uniform_(0, 1e-4)
        [gradient] = torch.autograd.grad(network(batch, denoise=True)[0, :, 20, 20].sum(), batch)
        seen |= gradient.abs().sum((0, 1, 3)) > 0
    rows = seen.nonzero().flatten()
    assert RUAS.overlap is not None
    # The maximum looks one way only, so the other side is nearer.
    assert rows.max().item() - 20 == RUAS.overlap
    assert 20 - rows.min().item() == RUAS.overlap - 3
